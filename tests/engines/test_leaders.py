"""A fleet of twenty whose leader is killed and paused, while the vendor's rules change: what its vendor sees."""

import asyncio
import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import attrs
import pytest
from refresh.vendor import Vendor, rules, serving, statsig

from engines.chaos.fleet import PATH
from engines.shop import make_engine

TTL, INTERVAL = 1.0, 0.5
CLIENTS = 4

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]


@attrs.define
class Timed(Vendor):
    """A vendor whose rules change with every poll."""

    asked_at: list[float] = attrs.field(factory=list)

    async def answer(self, request: Any) -> Any:
        self.asked_at.append(time.monotonic())
        self.body = rules(len(self.asked_at))
        return await super().answer(request)


class Process:
    """A process of the fleet, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.leads = False
        self.times: dict[str, list[int]] = defaultdict(list)
        self.reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        roles = {}
        async for line in self.process.stdout:
            number, role, time_ms = line.decode().split()
            roles[number] = role
            self.leads = "leader" in roles.values()
            self.times[number].append(int(time_ms))

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()
        await self.reader


class Fleet:
    def __init__(self, url: str) -> None:
        self.key = f"secret-{uuid4()}"
        self._command = [
            sys.executable,
            "-m",
            "engines.rules_process",
            url,
            self.key,
            str(CLIENTS),
            str(TTL),
            str(INTERVAL),
        ]
        self.running: list[Process] = []
        self.all: list[Process] = []

    async def grow(self) -> None:
        environment = {**os.environ, "PYTHONPATH": PATH}
        started = await asyncio.create_subprocess_exec(*self._command, env=environment, stdout=asyncio.subprocess.PIPE)
        self.running.append(Process(started))
        self.all.append(self.running[-1])

    async def leader(self) -> Process:
        """Return the process that leads, once all of them have started: those could be killed faster than they start."""
        while True:
            for one in self.running:
                if one.leads and all(process.times for process in self.running):
                    return one
            await asyncio.sleep(0.01)


@asynccontextmanager
async def fleet_of(vendor: Vendor) -> AsyncIterator[Fleet]:
    fleet = Fleet(vendor.url)
    for _ in range(5):
        await fleet.grow()
    try:
        yield fleet
    finally:
        for one in fleet.running:
            with suppress(ProcessLookupError):
                await one.kill()


async def watch_copies(key: str, seen: list[int]) -> None:
    """Record the time of what the engine has, each time it changes."""
    engine: Any = make_engine()
    shared, project = engine.rules(), attrs.evolve(statsig(), secret_key=key).cache_key
    known = ""
    try:
        while True:
            copy = await shared.read(project, project, known)
            if copy.body is not None:
                known = copy.version
                seen.append(int(copy.body.partition(b'"time":')[2].split(b",")[0]))
            await asyncio.sleep(0.01)
    finally:
        await engine.aclose()


# `ASYNCSDK_STRIKES=60 pytest -m torture tests/engines/test_leaders.py` runs for longer.
STRIKES = int(os.environ.get("ASYNCSDK_STRIKES", "6"))


async def run(strikes: int, *, pause: bool) -> tuple[Timed, Fleet, list[int], float]:
    chance = random.Random(1)
    async with serving(Timed()) as vendor, fleet_of(vendor) as fleet:
        assert isinstance(vendor, Timed)
        seen: list[int] = []
        watcher = asyncio.create_task(watch_copies(fleet.key, seen))
        await fleet.leader()
        began = time.monotonic()
        for _ in range(strikes):
            await asyncio.sleep(chance.uniform(0, 3 * INTERVAL))
            leader = await fleet.leader()
            if pause:
                leader.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(2 * TTL)
                leader.process.send_signal(signal.SIGCONT)
            else:
                fleet.running.remove(leader)
                await leader.kill()
                await fleet.grow()
        await asyncio.sleep(2 * TTL)
        seconds = time.monotonic() - began
        vendor.asked_at = [at for at in vendor.asked_at if at >= began - 0.01]
        watcher.cancel()
        await asyncio.wait([watcher])
    return vendor, fleet, seen, seconds


def check(vendor: Timed, fleet: Fleet, seen: list[int], seconds: float) -> None:
    gaps = [after - before for before, after in zip(vendor.asked_at, vendor.asked_at[1:], strict=False)]
    polls, expected = len(vendor.asked_at), seconds / INTERVAL
    line = f"{polls} polls in {seconds:.0f} s, {polls / expected:.2f} of one process's; longest gap {max(gaps):.2f} s"
    print(line)  # noqa: T201 -- for `pytest -s`
    assert polls <= 1.2 * expected + 1
    assert max(gaps) <= TTL + INTERVAL + 2.0  # a busy machine
    assert seen == sorted(seen)
    assert len(seen) > 2
    for process in fleet.all:
        for times in process.times.values():
            assert times == sorted(times)


@pytest.mark.usefixtures("own_server")
@pytest.mark.parametrize("pause", [False, True], ids=["killed", "paused"])
async def test_a_fleet_whose_leader_is_lost_polls_as_one_process(pause: bool) -> None:
    check(*await run(4, pause=pause))


@pytest.mark.torture
@pytest.mark.usefixtures("own_server")
@pytest.mark.parametrize("pause", [False, True], ids=["killed", "paused"])
async def test_a_fleet_whose_leader_is_lost_many_times_polls_as_one_process(pause: bool) -> None:
    check(*await run(STRIKES, pause=pause))
