"""An engine in this process: for tests, and to try a relay without a server. It keeps nothing when the process ends."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import count

import attrs

from asyncsdk._model.engines import EngineStats, Taken
from asyncsdk.engines._memory_fleet import MemoryFleet


@attrs.define(eq=False, repr=False)
class _Entry:
    body: bytes
    put_at: float
    due: float = 0.0
    deliveries: int = 0
    token: int = 0


class Memory(MemoryFleet):
    """Keeps entries in memory: what relays and clients of one event loop share.

    Example: `engine = Memory()`, then `Client(..., engine=engine)` and `Relay(..., engine=engine)` in one test.
    """

    def __init__(self) -> None:
        self._entries: dict[str, dict[int, _Entry]] = defaultdict(dict)
        self._numbers = count(1)
        self._arrival = asyncio.Event()
        self._projects, self._units, self._seen, self._overrides = {}, {}, set(), {}

    def __repr__(self) -> str:
        return f"Memory({ {name: len(entries) for name, entries in self._entries.items()} })"

    async def open(self) -> Sequence[str]:
        """Do nothing: there is no server."""
        return ()

    async def aclose(self) -> None:
        """Keep the entries: another client or relay may use them."""

    async def put(self, destination: str, entries: Sequence[bytes]) -> None:
        """Store entries."""
        for body in entries:
            self._entries[destination][next(self._numbers)] = _Entry(body, time.monotonic())
        self._wake()

    async def take(self, destination: str, number: int, wait: float, lease: float) -> Sequence[Taken]:
        """Take the oldest entries that are not leased."""
        until = time.monotonic() + wait
        while True:
            arrival, now = self._arrival, time.monotonic()
            entries = self._entries[destination]
            if due := [key for key, entry in entries.items() if entry.due <= now][:number]:
                return [self._lease(key, entries[key], now + lease) for key in due]
            if now >= until:
                return ()
            # The first lease to expire may be the next entry.
            next_due = min((entry.due for entry in entries.values()), default=until)
            try:
                async with asyncio.timeout(min(until, next_due) - now):
                    await arrival.wait()
            except TimeoutError:
                continue

    def _lease(self, key: int, entry: _Entry, due: float) -> Taken:
        entry.due, entry.token = due, next(self._numbers)
        entry.deliveries += 1
        return Taken((key, entry.token), entry.body, entry.deliveries)

    async def extend(self, destination: str, leases: Sequence[tuple[int, int]], lease: float) -> None:
        """Renew leases that were not lost."""
        for entry in self._held(destination, leases):
            entry.due = time.monotonic() + lease

    async def ack(self, destination: str, leases: Sequence[tuple[int, int]]) -> None:
        """Delete entries."""
        for key, _ in leases:
            self._entries[destination].pop(key, None)

    async def release(self, destination: str, leases: Sequence[tuple[int, int]]) -> None:
        """Hand entries back."""
        for entry in self._held(destination, leases):
            entry.due, entry.deliveries = 0.0, 0
        self._wake()

    async def stats(self, destination: str) -> EngineStats:
        """Count the entries of a destination."""
        now, entries = time.monotonic(), self._entries[destination].values()
        taken = sum(entry.due > now for entry in entries)
        oldest = max((now - entry.put_at for entry in entries), default=0.0)
        return EngineStats(len(entries) - taken, taken, oldest)

    def _held(self, destination: str, leases: Sequence[tuple[int, int]]) -> list[_Entry]:
        entries = self._entries[destination]
        return [entries[key] for key, token in leases if key in entries and entries[key].token == token]

    def _wake(self) -> None:
        self._arrival.set()
        self._arrival = asyncio.Event()
