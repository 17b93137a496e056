"""Relays and servers are killed at random while events flow: nothing accepted is missing, copies are identical.

`ASYNCSDK_CHAOS_SECONDS=600 pytest -m torture tests/engines/test_chaos.py` runs for longer.
"""

import asyncio
import logging
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asyncsdk import Track
from asyncsdk.dev import DevServer, Fault
from asyncsdk.engines import Engine, EngineError
from engines import shop
from engines.servers import PostgresServer, RedisServer, ends_with_us

SECONDS = float(os.environ.get("ASYNCSDK_CHAOS_SECONDS", "4"))
PATH = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
pytestmark = [pytest.mark.torture, pytest.mark.timeout(SECONDS + 180)]


@pytest.fixture(params=["redis", "postgres"])
def own_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RedisServer | PostgresServer:
    """A server that this test may kill."""
    server: RedisServer | PostgresServer
    if request.param == "redis":
        server = request.getfixturevalue("start_redis")()
        monkeypatch.setenv("SHOP_ENGINE", f"redis {server.url} chaos")
    else:
        server = request.getfixturevalue("own_postgres")
        server.migrate("chaos")
        monkeypatch.setenv("SHOP_ENGINE", f"postgres {server.dsn} chaos")
    return server


class Fleet:
    """Relay processes, of which some are killed and replaced."""

    def __init__(self, *flags: str) -> None:
        self.kills = self.terminations = 0
        command = [sys.executable, "-m", "engines.relay_process", *flags, "relay", "engines.shop:client"]
        self._command = ends_with_us(command, "SIGTERM")
        self._command += ["--lease", "1", "--close-timeout", "1", "--log-level", "error"]
        self._processes: list[asyncio.subprocess.Process] = []

    async def grow(self) -> None:
        environment = {**os.environ, "PYTHONPATH": PATH}
        self._processes.append(await asyncio.create_subprocess_exec(*self._command, env=environment))

    async def strike(self, chance: random.Random) -> None:
        process = self._processes.pop(chance.randrange(len(self._processes)))
        if chance.random() < 0.7:
            process.kill()
            self.kills += 1
        else:
            process.terminate()
            self.terminations += 1
        await process.wait()
        await self.grow()

    async def stop(self) -> None:
        for process in self._processes:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def running_fleet(*flags: str) -> AsyncIterator[Fleet]:
    fleet = Fleet(*flags)
    try:
        for _ in range(3):
            await fleet.grow()
        yield fleet
    finally:
        await fleet.stop()


async def produce(until: float) -> list[str]:
    """Track events for a while; return the ids of those that the engine had accepted."""
    accepted: list[str] = []
    async with shop.client() as client:
        number = 0
        while time.monotonic() < until:
            events = [Track(f"user-{(number + n) % 50}", str(number + n)) for n in range(50)]
            receipts = [client.put_nowait(event) for event in events]
            number += len(events)
            await client.flush(20.0)
            for receipt in receipts:
                statuses = {delivery.status for delivery in receipt.deliveries.values() if delivery is not None}
                accepted += [receipt.event_id] if statuses == {"enqueued"} else []
            await asyncio.sleep(0.02)
    return accepted


async def drained(engine: Engine, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            stats = await engine.stats("RudderStack")
        except EngineError:
            stats = None
        if stats is not None and not stats.waiting + stats.taken:
            return True
        await asyncio.sleep(0.1)
    return False


async def run_chaos(server: DevServer, own: RedisServer | PostgresServer, *flags: str, restarts: int) -> list[str]:
    """Return the ids of accepted events that are missing."""
    chance = random.Random(1)
    server.fault("rudderstack", Fault(status=503, when=lambda _: chance.random() < 0.5))
    until = time.monotonic() + SECONDS
    engine = shop.make_engine()
    async with running_fleet(*flags) as fleet:
        producing = asyncio.create_task(produce(until))
        restart_at = [until - SECONDS * (number + 1) / (restarts + 1) for number in range(restarts)]
        while not producing.done():
            await asyncio.sleep(0.4)
            await fleet.strike(chance)
            if restart_at and time.monotonic() >= restart_at[-1]:
                restart_at.pop()
                own.kill()
                await asyncio.to_thread(own.start)
        accepted = await producing
        assert await drained(engine, 60.0)
        dead = len(await engine.take("RudderStack (dead letters)", 1000, 0.0, 10.0))
    await engine.aclose()
    bodies: dict[str, object] = {}
    for event in server.events:
        body = {name: value for name, value in event.body.items() if name != "sentAt"}  # that of the request
        assert bodies.setdefault(event.id, body) == body
    missing = [event_id for event_id in accepted if event_id not in bodies]
    copies = len(server.events) - len(bodies)
    figures = f"accepted {len(accepted)}, killed {fleet.kills}, terminated {fleet.terminations}, copies {copies}"
    logging.getLogger("tests.chaos").info("%s, missing %d, dead letters %d", figures, len(missing), dead)
    return missing[dead:]


async def test_nothing_accepted_is_missing(
    own_server: RedisServer | PostgresServer, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PLANE", server.url)

    assert await run_chaos(server, own_server, restarts=2) == []


async def test_a_relay_that_acknowledges_before_it_delivers_loses_events(
    own_server: RedisServer | PostgresServer, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PLANE", server.url)

    assert await run_chaos(server, own_server, "--ack-first", restarts=0)
