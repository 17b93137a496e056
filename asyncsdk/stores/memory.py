"""Stores in memory, which end with the process: for tests, and to share between the clients of one process."""

from collections.abc import Mapping
from typing import Any

import attrs

from asyncsdk._model.assignments import Units, put_assignment, swap_assignment
from asyncsdk._model.values import Comparable


@attrs.define(eq=False, repr=False)
class MemoryCache(Comparable):
    """Keeps rulesets in memory."""

    _bodies: dict[str, bytes] = attrs.field(factory=dict, init=False, repr=False)

    async def load(self, key: str) -> bytes | None:
        """Return what was saved under `key`; None if nothing was."""
        return self._bodies.get(key)

    async def save(self, key: str, body: bytes) -> None:
        """Save `body` under `key`."""
        self._bodies[key] = body


@attrs.define(eq=False, repr=False)
class MemoryAssignments(Comparable):
    """Keeps sticky assignments in memory."""

    _units: Units = attrs.field(factory=dict, init=False, repr=False)

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a unit's assignments by name; empty if there are none."""
        return dict(self._units.get(key, {}))

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        """Save one assignment of a unit; None deletes it."""
        put_assignment(self._units, key, name, assignment)

    async def compare_and_set(
        self, key: str, name: str, expected: Mapping[str, Any] | None, assignment: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """Save one assignment if the stored one is `expected`; return what is stored afterwards."""
        return swap_assignment(self._units, key, name, expected, assignment)
