"""A server that is full refuses what needs room, and does what makes room: relays must go on with the latter."""

from collections.abc import Sequence

import pytest
from helpers import quick, rudderstack

from asyncsdk.dev import DevServer
from asyncsdk.engines import EngineError, Memory, Redis
from asyncsdk.relay import Relay
from engines.servers import RedisServer
from engines.test_leases import dead_letters, drained, entry, until


class Full(Memory):
    """Refuses what needs room, as Redis at its `maxmemory` and Postgres on a full disk."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: set[str] = set()
        self.refused = 0

    def _check(self, verb: str) -> None:
        if verb in self.refuses:
            self.refused += 1
            raise EngineError("no room")

    async def put(self, destination: str, entries: Sequence[bytes]) -> None:
        self._check("put")
        await super().put(destination, entries)

    async def extend(self, destination: str, leases: Sequence[object], lease: float) -> None:
        self._check("extend")
        await super().extend(destination, leases, lease)


async def left(engine: Memory) -> int:
    stats = await engine.stats("RudderStack")
    return stats.waiting + stats.taken


async def test_dead_letters_that_find_no_room_block_no_other_entry(server: DevServer) -> None:
    engine = Full()
    await engine.put("RudderStack", [b"damaged", entry(1), entry(2)])
    engine.refuses = {"put"}
    async with Relay(rudderstack(server), engine=engine) as relay:
        await until(lambda: engine.refused > 1)
        assert (await left(engine), len(server.events)) == (1, 2)
        engine.refuses = set()
        await drained(engine)
        assert relay.dead_letters() == {"RudderStack": 1}

    assert await dead_letters(engine) == [b"damaged"]


async def test_leases_are_extended_while_dead_letters_find_no_room(server: DevServer) -> None:
    engine = Full()
    await engine.put("RudderStack", [b"damaged", entry(1)])
    engine.refuses = {"put"}
    server.script("rudderstack", *[503] * 1000)
    async with Relay(rudderstack(server), engine=engine, lease=0.5, close_timeout=0.2):
        await until(lambda: engine.refused > 1)

        assert not await engine.take("RudderStack", 10, 1.5, 0.5)


async def test_entries_are_acknowledged_while_leases_cannot_be_extended(server: DevServer) -> None:
    engine = Full()
    engine.refuses = {"extend"}
    async with Relay(rudderstack(server), engine=engine, lease=0.3):
        await until(lambda: engine.refused > 1)
        await engine.put("RudderStack", [entry(1)])
        await server.received("rudderstack")
        await drained(engine)


async def test_a_relay_stops_taking_when_many_dead_letters_find_no_room(server: DevServer) -> None:
    engine = Full()
    await engine.put("RudderStack", [b"damaged %d" % number for number in range(500)])
    engine.refuses = {"put"}
    async with Relay(rudderstack(server, quick(max_queued_events=10_000)), engine=engine) as relay:
        await until(lambda: engine.refused > 2)
        assert relay.held_entries()["RudderStack"] < 300
        engine.refuses = set()
        await drained(engine)

    assert len(await dead_letters(engine)) == 500


async def test_a_full_redis_that_had_no_relay_yet_can_be_drained(redis_server: RedisServer, server: DevServer) -> None:
    engine = Redis(redis_server.url, prefix="full")
    await engine.put("RudderStack", [entry(1)])
    commands = engine._clients.commands
    await commands.config_set("maxmemory", 1)
    try:
        with pytest.raises(EngineError, match="maxmemory"):
            await engine.put("RudderStack", [entry(2)])
        async with Relay(rudderstack(server), engine=Redis(redis_server.url, prefix="full")):
            await server.received("rudderstack")
    finally:
        await commands.config_set("maxmemory", 0)
        await engine.aclose()
