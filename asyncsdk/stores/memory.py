"""Stores that forget everything with the process: for tests, and to share among the clients of one."""

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.define
class MemoryCache:
    """Keeps rules in memory."""

    _bodies: dict[str, bytes] = attrs.field(factory=dict, init=False, repr=False)

    async def load(self, key: str) -> bytes | None:
        """Give what was saved under `key`; None when nothing was."""
        return self._bodies.get(key)

    async def save(self, key: str, body: bytes) -> None:
        """Keep `body` under `key`."""
        self._bodies[key] = body


@attrs.define
class MemoryAssignments:
    """Keeps sticky assignments in memory."""

    _units: dict[str, dict[str, Mapping[str, Any]]] = attrs.field(factory=dict, init=False, repr=False)

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Give a unit's assignments, by name; empty when there are none."""
        return dict(self._units.get(key, {}))

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        """Keep one assignment of a unit; None deletes it."""
        unit = self._units.setdefault(key, {})
        if assignment is not None:
            unit[name] = assignment
        else:
            unit.pop(name, None)
            if not unit:
                del self._units[key]
