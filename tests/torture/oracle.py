"""The oracle: it is never killed, kills others, plays the vendors badly, and keeps all promises in mind.

What has to hold when the faults have stopped: whatever was promised has arrived at every vendor; copies have the same
id and the same content; nothing arrived that nobody sent; the events of a user came in order; and no database of the
folder was ever open in two processes.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import attrs
import orjson

from asyncsdk.dev import DevServer, Fault
from torture.worker import LIMITS

VENDORS = ("rudderstack", "amplitude", "statsig")
_SLOWEST_START = 120.0
WORKER = Path(__file__).with_name("worker.py")
# Of a hundred requests, so many meet each of these.
FAULTS = (
    (8, Fault(503)),
    (3, Fault(429, retry_after=0)),
    (2, Fault.lost_reply()),
    (2, Fault(end="reset")),
    (1, Fault(end="refuse")),
    (1, Fault(end="truncate")),
    (2, Fault(delay=0.1)),
)
_STEPS: list[Fault | None] = [fault for times, fault in FAULTS for _ in range(times)]
_STEPS += [None] * (100 - len(_STEPS))


@attrs.define
class Vendor:
    """What one vendor has: how often each id, and what came with it."""

    copies: Counter[str] = attrs.field(factory=Counter)
    content: dict[str, bytes] = attrs.field(factory=dict)
    differing: set[str] = attrs.field(factory=set)
    last: dict[str, int] = attrs.field(factory=dict)
    overtaken: int = 0

    def take(self, event_id: str, body: dict[str, Any]) -> None:
        digest = sha256(orjson.dumps({k: v for k, v in body.items() if k != "sentAt"})).digest()[:8]
        self.copies[event_id] += 1
        if self.content.setdefault(event_id, digest) != digest:
            self.differing.add(event_id)
        if self.copies[event_id] == 1:
            line, _, number = event_id.rpartition("-")
            self.overtaken += int(number) < self.last.get(line, -1)
            self.last[line] = int(number)


@attrs.define
class Accounts:
    """What came of it."""

    kills: int = 0
    promised: set[str] = attrs.field(factory=set)
    vendors: dict[str, Vendor] = attrs.field(factory=lambda: {name: Vendor() for name in VENDORS})
    lost_replies: int = 0
    requests: int = 0
    seconds: float = 0.0
    left: list[str] = attrs.field(factory=list)
    looks: int = 0
    owned_twice: set[str] = attrs.field(factory=set)

    def missing(self, vendor: str) -> int:
        return len(self.promised - self.vendors[vendor].copies.keys())

    def duplicates(self, vendor: str) -> int:
        return sum(self.vendors[vendor].copies.values()) - len(self.vendors[vendor].copies)

    @property
    def bound(self) -> int:
        """Most copies that there may be of one vendor's: of what was under way at a kill, and of lost replies."""
        return (self.kills * LIMITS.max_in_flight + self.lost_replies) * LIMITS.max_events + self.kills * 2000

    @property
    def is_well(self) -> bool:
        faults = [
            self.missing(name) or vendor.differing or vendor.overtaken or self.duplicates(name) > self.bound
            for name, vendor in self.vendors.items()
        ]
        return bool(self.promised) and not any(faults) and not self.left and not self.owned_twice

    def __str__(self) -> str:
        lines = [
            f"{self.kills} kills, {len(self.promised):,} promised, {self.requests:,} requests, {self.seconds:.0f} s",
            f"{'':12}{'delivered':>12}{'missing':>9}{'copies':>9}{'of bound':>10}{'differing':>11}{'overtaken':>11}",
        ]
        for name, vendor in self.vendors.items():
            lines.append(
                f"{name:12}{len(vendor.copies):>12,}{self.missing(name):>9,}{self.duplicates(name):>9,}"
                f"{self.duplicates(name) / max(1, self.bound):>10.1%}{len(vendor.differing):>11,}{vendor.overtaken:>11,}"
            )
        lines.append(f"files with two owners: {len(self.owned_twice)} (looked {self.looks:,} times)")
        if self.left:
            lines.append(f"left in the folder: {self.left}")
        return "\n".join([*lines, "all is well" if self.is_well else "NOT WELL"])


class Oracle:
    """Runs the torture."""

    def __init__(self, kills: int, processes: int, seed: int, log: int = asyncio.subprocess.DEVNULL) -> None:
        self.accounts = Accounts()
        self._log = log
        self._kills, self._processes = kills, processes
        self._chance = Random(seed)
        self._begun = 0
        self._living: set[int] = set()
        self._is_calm = False

    async def run(self) -> Accounts:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            async with DevServer(keep=1_000_000, keep_bytes=10**9) as server:
                absorbing = asyncio.create_task(self._absorb_on(server))
                await asyncio.gather(*(self._torment(server.url, folder) for _ in range(self._processes)))
                self._is_calm = True
                self._absorb(server)
                await self._drain(server, folder)
                absorbing.cancel()
            self.accounts.left = sorted(os.listdir(folder))  # noqa: PTH208 -- names are wanted
        self.accounts.seconds = time.monotonic() - began
        return self.accounts

    async def _torment(self, url: str, folder: str) -> None:
        """Start a worker, kill it, start the next."""
        while self.accounts.kills < self._kills:
            process = await self._start(url, folder, 40 // self._processes)
            assert process.stdout is not None
            reading = asyncio.create_task(self._listen(process.stdout))
            if self._chance.random() < 0.9:
                await asyncio.wait([reading], timeout=0.01)
                await self._first_promise(process)
                await asyncio.sleep(self._chance.uniform(0.0, 0.8))
            else:
                await asyncio.sleep(self._chance.uniform(0.0, 1.0))
            self._living.discard(process.pid)
            process.kill()
            self.accounts.kills += 1
            await reading
            await process.wait()

    async def _first_promise(self, process: Process) -> None:
        """Wait until a worker has promised something; one that does not is to say what it is doing."""
        try:
            async with asyncio.timeout(_SLOWEST_START):
                begun = len(self.accounts.promised)
                while len(self.accounts.promised) == begun:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            process.send_signal(signal.SIGABRT)  # its faulthandler prints all stacks
            await process.wait()
            raise

    async def _start(self, url: str, folder: str, producers: int) -> Process:
        self._begun += 1
        arguments = [str(WORKER), f"w{self._begun}", url, folder, str(producers)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=self._log,
        )
        self._living.add(process.pid)
        return process

    async def _listen(self, promises: asyncio.StreamReader) -> None:
        while line := await promises.readline():
            if line.endswith(b"\n"):
                self.accounts.promised.add(line.decode().strip())

    async def _drain(self, server: DevServer, folder: str) -> None:
        """Let a last one deliver in peace what was left."""
        process = await self._start(server.url, folder, 0)
        until = time.monotonic() + 120
        while any(self.accounts.missing(name) for name in VENDORS) and time.monotonic() < until:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)
        self._absorb(server)

    async def _absorb_on(self, server: DevServer) -> None:
        while True:
            self._absorb(server)
            self._look_for_two_owners()
            await asyncio.sleep(0.1)

    def _look_for_two_owners(self) -> None:
        """Note databases that two living workers have open; a file may change hands between two looks."""
        self.accounts.looks += 1
        self.accounts.owned_twice |= open_twice(self._living) & open_twice(self._living) & open_twice(self._living)

    def _absorb(self, server: DevServer) -> None:
        """Take what has arrived out of the server's books, and prepare the next faults."""
        for event in server.events:
            if event.verdict in ("accepted", "duplicate"):
                self.accounts.vendors[event.vendor].take(event.name, _plain(event.body))
        for request in server.requests:
            self.accounts.requests += 1
            self.accounts.lost_replies += bool(request.fault)
        server.reset()
        for vendor in () if self._is_calm else VENDORS:
            server.script(vendor, *self._chance.choices(_STEPS, k=200))


def open_twice(processes: set[int]) -> set[str]:
    """Name the databases that more than one of some processes has open."""
    owners: Counter[str] = Counter()
    for process in processes:
        opened: set[str] = set()
        with suppress(OSError):  # it has just been killed
            for link in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    opened.add(str(link.readlink()))
        owners.update(name for name in opened if name.endswith(".db"))
    return {name for name, count in owners.items() if count > 1}


def _plain(body: object) -> dict[str, Any]:
    assert isinstance(body, dict)
    return body
