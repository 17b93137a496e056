"""What clients of one process share in memory besides events: for tests."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count
from typing import Any

import attrs

from asyncsdk._model.assignments import Units, put_assignment, swap_assignment
from asyncsdk._model.fleet import Copy, Lead, WriteStatus
from asyncsdk.engines._part import Part, RulesPart


@attrs.define(eq=False, repr=False)
class _Project:
    """The rules of one secret key."""

    holder: object = None
    until: float = 0.0
    token: int = 0
    asked: dict[str, float] = attrs.field(factory=dict)
    copies: dict[str, Copy] = attrs.field(factory=dict)
    written: asyncio.Event = attrs.field(factory=asyncio.Event)


@attrs.define(eq=False, repr=False)
class _Overrides:
    """The overrides of one secret key."""

    copy: Copy = Copy()
    written: asyncio.Event = attrs.field(factory=asyncio.Event)


class MemoryRules(RulesPart["MemoryFleet"]):
    """Rules that the clients of one process share; see `SharedRules`."""

    def __init__(self, engine: "MemoryFleet", *, may_write: bool, ttl: float) -> None:
        super().__init__(engine, may_write=may_write, ttl=ttl)
        self._versions = count(1)

    def _of(self, project: str) -> _Project:
        return self.engine._projects.setdefault(project, _Project())

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


class FleetAssignments(Part["MemoryFleet"]):
    """Sticky assignments that the clients of one process share; see `ComparingStore`."""

    kind = "assignments"

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a unit's assignments by name; empty if there are none."""
        return dict(self.engine._units.get(key, {}))

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        """Save one assignment of a unit; None deletes it."""
        put_assignment(self.engine._units, key, name, assignment)

    async def compare_and_set(
        self, key: str, name: str, expected: Mapping[str, Any] | None, assignment: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """Save one assignment if the stored one is `expected`; return what is stored afterwards."""
        return swap_assignment(self.engine._units, key, name, expected, assignment)


class MemoryOverrides(Part["MemoryFleet"]):
    """Overrides that the clients of one process share; see `SharedOverrides`."""

    kind = "overrides"

    def _of(self, project: str) -> "_Overrides":
        return self.engine._overrides.setdefault(project, _Overrides())

    async def read(self, project: str, known: str = "") -> Copy:
        """Return what is stored."""
        copy = self._of(project).copy
        return attrs.evolve(copy, body=None) if copy.version == known else copy

    async def write(self, project: str, body: bytes, *, replaces: str) -> str | None:
        """Replace what is stored, if that is the version `replaces`."""
        held = self._of(project)
        if held.copy.version != replaces:
            return None
        held.copy = Copy(f"{int(held.copy.version or 0) + 1}", body)
        written, held.written = held.written, asyncio.Event()
        written.set()
        return held.copy.version

    async def notices(self, project: str) -> AsyncIterator[None]:
        """Yield now, and each time something was written."""
        while True:
            written = self._of(project).written
            yield
            await written.wait()


class MemoryExposures(Part["MemoryFleet"]):
    """Exposures that the clients of one process have reported; see `SharedExposures`."""

    kind = "exposures"

    async def claim(self, exposures: Sequence[bytes]) -> Sequence[bool]:
        """Record exposures as reported; return for each whether it is new."""
        seen = self.engine._seen
        is_new = [one not in seen for one in exposures]
        seen.update(exposures)
        return is_new

    async def release(self, exposures: Sequence[bytes]) -> None:
        """Forget exposures."""
        self.engine._seen.difference_update(exposures)


class MemoryFleet:
    """What `Memory` keeps for a fleet besides events."""

    _projects: dict[str, _Project]
    _units: Units
    _seen: set[bytes]
    _overrides: dict[str, _Overrides]

    async def aclose(self) -> None:
        """Keep everything: another client may use it."""

    def rules(self, *, may_write: bool = True, ttl: float = 3.0) -> MemoryRules:
        """Return where clients share their rules, for `Rules(shared=...)`.

        Args:
            may_write: Whether this client may lead: poll the vendor for all.
            ttl: Time after which another process leads if the leader does not renew its lead, in seconds.
        """
        return MemoryRules(self, may_write=may_write, ttl=ttl)

    def assignments(self) -> FleetAssignments:
        """Return where clients keep sticky assignments, for `Rules(assignments=...)`."""
        return FleetAssignments(self)

    def overrides(self) -> MemoryOverrides:
        """Return where clients share their overrides, for `Rules(overrides=...)`."""
        return MemoryOverrides(self)

    def exposures(self) -> MemoryExposures:
        """Return where clients record which exposures were reported, for `Client(shared_exposures=...)`."""
        return MemoryExposures(self)
