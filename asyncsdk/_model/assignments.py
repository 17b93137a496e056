"""Sticky assignments in a dict: what stores and engines in memory have in common."""

from collections.abc import Mapping
from typing import Any

Assignment = Mapping[str, Any]
Units = dict[str, dict[str, Assignment]]
"""Assignments by unit, and by name of the experiment or layer."""


def put_assignment(units: Units, key: str, name: str, assignment: Assignment | None) -> None:
    """Set one assignment of a unit; None deletes it, and a unit without any."""
    if assignment is not None:
        units.setdefault(key, {})[name] = assignment
        return
    units.get(key, {}).pop(name, None)
    if not units.get(key):
        units.pop(key, None)


def swap_assignment(
    units: Units, key: str, name: str, expected: Assignment | None, assignment: Assignment | None
) -> Assignment | None:
    """Set one assignment of a unit if it is `expected`; return what is set afterwards."""
    current = units.get(key, {}).get(name)
    if current != expected:
        return current
    put_assignment(units, key, name, assignment)
    return assignment
