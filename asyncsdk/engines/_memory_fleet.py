"""What clients of one process share in memory besides events: for tests."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count
from typing import Any

import attrs

from asyncsdk._model.fleet import Copy, Lead, WriteStatus


@attrs.define(eq=False, repr=False)
class _Project:
    """The rules of one secret key."""

    holder: object = None
    until: float = 0.0
    token: int = 0
    asked: dict[str, float] = attrs.field(factory=dict)
    copies: dict[str, Copy] = attrs.field(factory=dict)
    written: asyncio.Event = attrs.field(factory=asyncio.Event)


class MemoryRules:
    """Rules that the clients of one process share; see `SharedRules`."""

    def __init__(self, projects: dict[str, _Project], *, may_write: bool, ttl: float) -> None:
        self._projects, self._may_write, self._ttl = projects, may_write, ttl
        self._versions = count(1)

    @property
    def may_write(self) -> bool:
        """Whether this client may lead."""
        return self._may_write

    @property
    def ttl(self) -> float:
        """Time after which another process leads, in seconds."""
        return self._ttl

    def _of(self, project: str) -> _Project:
        return self._projects.setdefault(project, _Project())

    async def lead(self, project: str, ttl: float, key: str = "", interval: float = 0.0) -> Lead | None:
        """Take the lead, or renew it."""
        held, now = self._of(project), time.monotonic()
        if held.holder is not self:
            if now < held.until:
                return None
            held.holder, held.token = self, held.token + 1
        held.until = now + ttl
        due_in = held.asked.get(key, float("-inf")) + interval - now
        if key and due_in <= 0:
            held.asked[key] = now
        return Lead(held.token, max(0.0, due_in) if key else 0.0)

    async def resign(self, project: str) -> None:
        """Let another client lead at once."""
        held = self._of(project)
        if held.holder is self:
            held.until = 0.0

    async def read(self, project: str, key: str, known: str = "") -> Copy:
        """Return what is stored under a key."""
        copy = self._of(project).copies.get(key, Copy())
        return attrs.evolve(copy, body=None) if copy.version == known else copy

    async def write(
        self, project: str, key: str, body: bytes, *, replaces: str, token: int, generation: str = ""
    ) -> tuple[WriteStatus, str]:
        """Replace what is stored under a key, and notify the others."""
        held = self._of(project)
        if token < held.token:
            return "fenced", ""
        if held.copies.get(key, Copy()).version != replaces:
            return "changed", ""
        version = f"{id(self)}-{next(self._versions)}"
        held.copies[key] = Copy(version, body, generation)
        written, held.written = held.written, asyncio.Event()
        written.set()
        return "written", version

    async def notices(self, project: str) -> AsyncIterator[None]:
        """Yield now, and each time something was written."""
        while True:
            written = self._of(project).written
            yield
            await written.wait()

    async def aclose(self) -> None:
        """Do nothing: there is no server."""


class FleetAssignments:
    """Sticky assignments that the clients of one process share; see `ComparingStore`."""

    def __init__(self, units: dict[str, dict[str, Mapping[str, Any]]]) -> None:
        self._units = units

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a unit's assignments by name; empty if there are none."""
        return dict(self._units.get(key, {}))

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        """Save one assignment of a unit; None deletes it."""
        if assignment is None:
            self._units.get(key, {}).pop(name, None)
        else:
            self._units.setdefault(key, {})[name] = assignment

    async def compare_and_set(
        self, key: str, name: str, expected: Mapping[str, Any] | None, assignment: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """Save one assignment if the stored one is `expected`; return what is stored afterwards."""
        current = self._units.get(key, {}).get(name)
        if current != expected:
            return current
        await self.save(key, name, assignment)
        return assignment


class MemoryExposures:
    """Exposures that the clients of one process have reported; see `SharedExposures`."""

    def __init__(self, seen: set[bytes]) -> None:
        self._seen = seen

    async def claim(self, exposures: Sequence[bytes]) -> Sequence[bool]:
        """Record exposures as reported; return for each whether it is new."""
        is_new = [one not in self._seen for one in exposures]
        self._seen.update(exposures)
        return is_new

    async def release(self, exposures: Sequence[bytes]) -> None:
        """Forget exposures."""
        self._seen.difference_update(exposures)

    async def aclose(self) -> None:
        """Do nothing: there is no server."""


class MemoryFleet:
    """What `Memory` keeps for a fleet besides events."""

    _projects: dict[str, _Project]
    _units: dict[str, dict[str, Mapping[str, Any]]]
    _seen: set[bytes]

    def rules(self, *, may_write: bool = True, ttl: float = 3.0) -> MemoryRules:
        """Return where clients share their rules, for `Rules(shared=...)`.

        Args:
            may_write: Whether this client may lead: poll the vendor for all.
            ttl: Time after which another process leads if the leader does not renew its lead, in seconds.
        """
        return MemoryRules(self._projects, may_write=may_write, ttl=ttl)

    def assignments(self) -> FleetAssignments:
        """Return where clients keep sticky assignments, for `Rules(assignments=...)`."""
        return FleetAssignments(self._units)

    def exposures(self) -> MemoryExposures:
        """Return where clients record which exposures were reported, for `Client(shared_exposures=...)`."""
        return MemoryExposures(self._seen)
