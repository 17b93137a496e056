"""How many entries a relay takes at once: many small ones, and never more than its lane has room for."""

import asyncio
import time
from collections.abc import Sequence

from helpers import quick, rudderstack

from asyncsdk import Limits
from asyncsdk._delivery.fleet.entries import ENTRY_BYTES, pack_entries
from asyncsdk._model.receipts import Record
from asyncsdk.dev import DevServer
from asyncsdk.engines import Memory, Taken
from asyncsdk.relay import Relay

PLENTY = 5_000


class Counting(Memory):
    """An engine that remembers how many entries it was asked for, and how many it returned."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.returned: list[int] = []

    async def take(self, destination: str, number: int, wait: float, lease: float) -> Sequence[Taken]:
        taken = await super().take(destination, number, wait, lease)
        self.asked.append(number)
        self.returned.append(len(taken))
        return taken


def events(number: int, size: int = 10) -> list[Record]:
    chunk = b'{"type":"track","event":"%s","userId":"ada","messageId":"1"' % (b"x" * size)
    return [Record("ada", f"id-{place}", chunk, 0.0) for place in range(number)]


async def fill(engine: Memory, entries: int, *, per_entry: int = 1, size: int = 10) -> None:
    (packed,) = pack_entries("RudderStack", events(per_entry, size), int(time.time() * 1000))
    await engine.put("RudderStack", [packed] * entries)


async def emptied(engine: Memory) -> None:
    async with asyncio.timeout(30.0):
        while (stats := await engine.stats("RudderStack")).waiting + stats.taken:
            await asyncio.sleep(0.02)


async def test_entries_of_one_event_are_taken_by_the_hundred(server: DevServer) -> None:
    engine = Counting()
    await fill(engine, 3_000)
    async with Relay(rudderstack(server, quick(max_events=500)), engine=engine):
        await emptied(engine)

    assert max(engine.returned) == 500


async def test_full_entries_are_taken_only_as_far_as_the_lane_has_room_for_events(server: DevServer) -> None:
    engine = Counting()
    await fill(engine, 100, per_entry=100)
    server.script("rudderstack", *[503] * 1000)
    async with Relay(rudderstack(server, quick(max_queued_events=1_000)), engine=engine, close_timeout=0.0) as relay:
        async with asyncio.timeout(10.0):
            while relay.health().destinations["RudderStack"].queued_events < 600:
                await asyncio.sleep(0.01)

        assert relay.health().destinations["RudderStack"].queued_events <= 1_000


async def test_full_entries_after_small_ones_do_not_exceed_the_bytes_of_the_lane(server: DevServer) -> None:
    engine, limit = Counting(), 40 * ENTRY_BYTES
    await fill(engine, 2_000)
    await fill(engine, 100, per_entry=2, size=30_000)
    server.script("rudderstack", *[200] * 4, *[503] * 1000)
    destination = rudderstack(server, quick(max_events=500, max_queued_events=PLENTY, max_queued_bytes=limit))
    async with Relay(destination, engine=engine, close_timeout=0.0) as relay:
        async with asyncio.timeout(10.0):
            while relay.health().destinations["RudderStack"].queued_bytes <= limit // 2:
                await asyncio.sleep(0.01)

        assert relay.health().destinations["RudderStack"].queued_bytes <= limit


async def test_one_small_entry_does_not_make_the_next_take_a_hundred_times_as_large(server: DevServer) -> None:
    engine = Counting()
    async with Relay(rudderstack(server, Limits(max_queued_events=PLENTY, linger=0.0)), engine=engine):
        await fill(engine, 1)
        await emptied(engine)
        await fill(engine, 1)
        await emptied(engine)

    assert engine.asked[0] == 20
    assert engine.asked[1] <= 2 * PLENTY // 100


async def test_entries_of_relays_that_died_are_taken_a_few_at_a_time(server: DevServer) -> None:
    engine = Counting()
    await fill(engine, 300)
    assert len(await engine.take("RudderStack", 300, 0.0, 0.01)) == 300
    await asyncio.sleep(0.02)
    engine.returned.clear()
    async with Relay(rudderstack(server, quick(max_events=500)), engine=engine):
        await emptied(engine)

    assert max(engine.returned) == 20


async def test_a_lane_with_room_for_less_than_an_entry_takes_one_at_a_time(server: DevServer) -> None:
    engine = Counting()
    await fill(engine, 5, per_entry=10)
    async with Relay(rudderstack(server, quick(max_events=5, max_queued_events=5)), engine=engine):
        await emptied(engine)

    assert max(engine.returned) == 1
