"""The oracle: starts workers, kills them, lets the vendors fail, and checks that no promised event is lost.

A worker promises an event when its verb has returned. After the faults have stopped:

1. Every promised event has arrived at every vendor.
2. Duplicates have the same id and the same content as the original, and there are not more than can be explained.
3. The events of each user have arrived in order.
4. No database of the folder was ever open for writing in two processes.
5. The folder is empty.
"""

import asyncio
import os
import re
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
_START_TIMEOUT = 120.0
WORKER = Path(__file__).with_name("worker.py")
# How many of a hundred requests meet each fault.
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
    """What one vendor has received.

    Attributes:
        copies: How often each event arrived, by id.
        content: Digest of each event's first copy, by id.
        differing: Ids of events of which two copies differ.
        last: Number of the latest event of each user.
        overtaken: Number of events that arrived after a later event of their user.
    """

    copies: Counter[str] = attrs.field(factory=Counter)
    content: dict[str, bytes] = attrs.field(factory=dict)
    differing: set[str] = attrs.field(factory=set)
    last: dict[str, int] = attrs.field(factory=dict)
    overtaken: int = 0

    def record(self, event_id: str, body: dict[str, Any]) -> None:
        digest = sha256(orjson.dumps({k: v for k, v in body.items() if k != "sentAt"})).digest()[:8]
        self.copies[event_id] += 1
        if self.content.setdefault(event_id, digest) != digest:
            self.differing.add(event_id)
        if self.copies[event_id] == 1:
            user, _, number = event_id.rpartition("-")
            self.overtaken += int(number) < self.last.get(user, -1)
            self.last[user] = int(number)


@attrs.define
class Results:
    """What has happened so far.

    Attributes:
        kills: Number of workers killed.
        promised: Ids of the promised events.
        vendors: What each vendor has received.
        lost_replies: Number of requests that met a fault.
        requests: Number of requests.
        seconds: Duration of the run.
        remaining: Names of the files in the folder at the end.
        checks: How often the workers' open files were checked.
        open_twice: Databases that two workers had open.
    """

    kills: int = 0
    promised: set[str] = attrs.field(factory=set)
    vendors: dict[str, Vendor] = attrs.field(factory=lambda: {name: Vendor() for name in VENDORS})
    lost_replies: int = 0
    requests: int = 0
    seconds: float = 0.0
    remaining: list[str] = attrs.field(factory=list)
    checks: int = 0
    open_twice: set[str] = attrs.field(factory=set)

    def missing(self, vendor: str) -> int:
        return len(self.promised - self.vendors[vendor].copies.keys())

    def duplicates(self, vendor: str) -> int:
        return sum(self.vendors[vendor].copies.values()) - len(self.vendors[vendor].copies)

    @property
    def max_duplicates(self) -> int:
        """Maximum number of duplicates at one vendor: of events in flight at a kill, and of those whose reply was lost."""
        return (self.kills * LIMITS.max_in_flight + self.lost_replies) * LIMITS.max_events + self.kills * 2000

    @property
    def is_ok(self) -> bool:
        faults = [
            self.missing(name) or vendor.differing or vendor.overtaken or self.duplicates(name) > self.max_duplicates
            for name, vendor in self.vendors.items()
        ]
        return bool(self.promised) and not any(faults) and not self.remaining and not self.open_twice

    def __str__(self) -> str:
        lines = [
            f"{self.kills} kills, {len(self.promised):,} promised, {self.requests:,} requests, {self.seconds:.0f} s",
            f"{'':12}{'delivered':>12}{'missing':>9}{'copies':>9}{'of max':>10}{'differing':>11}{'overtaken':>11}",
        ]
        for name, vendor in self.vendors.items():
            lines.append(
                f"{name:12}{len(vendor.copies):>12,}{self.missing(name):>9,}{self.duplicates(name):>9,}"
                f"{self.duplicates(name) / max(1, self.max_duplicates):>10.1%}{len(vendor.differing):>11,}{vendor.overtaken:>11,}"
            )
        lines.append(f"files with two owners: {len(self.open_twice)} (checked {self.checks:,} times)")
        if self.remaining:
            lines.append(f"remaining in the folder: {self.remaining}")
        return "\n".join([*lines, "ok" if self.is_ok else "FAILED"])


class Oracle:
    """Runs the torture.

    Args:
        kills: Number of workers to kill.
        processes: Number of workers that share the folder at any time.
        seed: Seed of all random choices.
        log: Where the workers log: a file descriptor, or one of subprocess's constants.
    """

    def __init__(self, kills: int, processes: int, seed: int, log: int = asyncio.subprocess.DEVNULL) -> None:
        self.results = Results()
        self._log = log
        self._kills, self._processes = kills, processes
        self._random = Random(seed)
        self._started = 0
        self._running: set[int] = set()
        self._is_draining = False

    async def run(self) -> Results:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            async with DevServer(keep=1_000_000, keep_bytes=10**9) as server:
                polling = asyncio.create_task(self._poll(server))
                await asyncio.gather(*(self._kill_workers(server.url, folder) for _ in range(self._processes)))
                self._is_draining = True
                self._collect(server)
                await self._drain(server, folder)
                polling.cancel()
            self.results.remaining = sorted(os.listdir(folder))  # noqa: PTH208 -- only names are needed
        self.results.seconds = time.monotonic() - began
        return self.results

    async def _kill_workers(self, url: str, folder: str) -> None:
        """Start a worker, kill it, start the next."""
        while self.results.kills < self._kills:
            process = await self._start(url, folder, 40 // self._processes)
            assert process.stdout is not None
            reading = asyncio.create_task(self._read_promises(process.stdout))
            if self._random.random() < 0.9:
                await asyncio.wait([reading], timeout=0.01)
                await self._wait_for_promise(process)
                await asyncio.sleep(self._random.uniform(0.0, 0.8))
            else:
                await asyncio.sleep(self._random.uniform(0.0, 1.0))
            self._running.discard(process.pid)
            process.kill()
            self.results.kills += 1
            await reading
            await process.wait()

    async def _wait_for_promise(self, process: Process) -> None:
        """Wait until a worker has promised an event; let one that does not print all its stacks."""
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                before = len(self.results.promised)
                while len(self.results.promised) == before:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            process.send_signal(signal.SIGABRT)  # the worker has enabled faulthandler
            await process.wait()
            raise

    async def _start(self, url: str, folder: str, producers: int) -> Process:
        self._started += 1
        arguments = [str(WORKER), f"w{self._started}", url, folder, str(producers)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=self._log,
        )
        self._running.add(process.pid)
        return process

    async def _read_promises(self, promises: asyncio.StreamReader) -> None:
        while line := await promises.readline():
            if line.endswith(b"\n"):
                self.results.promised.add(line.decode().strip())

    async def _drain(self, server: DevServer, folder: str) -> None:
        """Start a last worker, without faults, to deliver what is left."""
        process = await self._start(server.url, folder, 0)
        until = time.monotonic() + 120
        while any(self.results.missing(name) for name in VENDORS) and time.monotonic() < until:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)
        self._collect(server)

    async def _poll(self, server: DevServer) -> None:
        while True:
            self._collect(server)
            self._check_open_files()
            await asyncio.sleep(0.1)

    def _check_open_files(self) -> None:
        """Record databases that two running workers have open. Three looks, as a file may be adopted between two of them."""
        self.results.checks += 1
        self.results.open_twice |= (
            find_open_twice(self._running) & find_open_twice(self._running) & find_open_twice(self._running)
        )

    def _collect(self, server: DevServer) -> None:
        """Move what has arrived from the server to the results, and script the next faults."""
        for event in server.events:
            if event.verdict in ("accepted", "duplicate"):
                self.results.vendors[event.vendor].record(event.name, _as_dict(event.body))
        for request in server.requests:
            self.results.requests += 1
            self.results.lost_replies += bool(request.fault)
        server.reset()
        for vendor in () if self._is_draining else VENDORS:
            server.script(vendor, *self._random.choices(_STEPS, k=200))


def find_open_twice(processes: set[int]) -> set[str]:
    """Return the databases that more than one of these processes has open for writing."""
    owners: Counter[str] = Counter()
    for process in processes:
        opened: set[str] = set()
        with suppress(OSError):  # the process has just been killed
            for link in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    flags = re.search(r"flags:\s+(\d+)", Path(f"/proc/{process}/fdinfo/{link.name}").read_text())
                    if flags is not None and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY:
                        opened.add(str(link.readlink()))
        owners.update(name for name in opened if name.endswith(".db"))
    return {name for name, count in owners.items() if count > 1}


def _as_dict(body: object) -> dict[str, Any]:
    assert isinstance(body, dict)
    return body
