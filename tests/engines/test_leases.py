"""What a relay does with entries: leases, dead letters, and what it leaves for others."""

import asyncio
import time
from collections.abc import Callable

import pytest
from helpers import quick, rudderstack, statsig_with_rules

from asyncsdk import Client
from asyncsdk._delivery.fleet.entries import pack_entries
from asyncsdk._model.blocks import pack_block, unpack_block
from asyncsdk._model.receipts import Record
from asyncsdk.dev import DevServer
from asyncsdk.engines import Engine, EngineError, Memory
from asyncsdk.relay import Relay

Engines = Callable[[], Engine]


def record(number: int, body: bytes = b'{"type":"track","event":"Seen","userId":"ada"') -> Record:
    return Record("ada", f"id-{number}", body + b',"messageId":"id-%d"' % number, 0.0)


def entry(*numbers: int) -> bytes:
    (packed,) = pack_entries("RudderStack", map(record, numbers), int(time.time() * 1000))
    return packed


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def drained(engine: Engine, seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while (stats := await engine.stats("RudderStack")).waiting + stats.taken:
            await asyncio.sleep(0.02)


async def dead_letters(engine: Engine) -> list[bytes]:
    return [one.entry for one in await engine.take("RudderStack (dead letters)", 1000, 0.0, 10.0)]


async def take_often(engine: Engine, times: int) -> None:
    """Take what there is, as relays that die would."""
    for _ in range(times):
        assert await engine.take("RudderStack", 100, 2.0, 0.01)
        await asyncio.sleep(0.02)


async def test_a_rejected_event_becomes_a_dead_letter_and_the_others_arrive(
    engines: Engines, server: DevServer
) -> None:
    engine = engines()
    too_old = record(2, b'{"type":"track","event":"' + b"x" * 40_000 + b'","userId":"ada"')
    (packed,) = pack_entries("RudderStack", [record(1), too_old, record(3)], int(time.time() * 1000))
    await engine.put("RudderStack", [packed])
    async with Relay(rudderstack(server, quick(max_bytes=200_000)), engine=engines()) as relay:
        await drained(engine)
        report = await relay.aclose()

    counts = report.destinations["RudderStack"]
    assert counts.accepted == 3 == counts.delivered + sum(counts.rejected.values())
    assert sum(len(unpack_block(one).records) for one in await dead_letters(engine)) == sum(counts.rejected.values())


async def test_an_event_older_than_max_age_becomes_a_dead_letter(engines: Engines, server: DevServer) -> None:
    engine = engines()
    (packed,) = pack_entries("RudderStack", [record(1)], int(time.time() * 1000) - 100_000)
    await engine.put("RudderStack", [packed])
    server.script("rudderstack", *[503] * 1000)
    async with Relay(rudderstack(server), engine=engines(), max_age=5.0) as relay:
        await drained(engine)

        assert relay.dead_letters() == {"RudderStack": 1}
    assert len(await dead_letters(engine)) == 1


async def test_a_damaged_entry_becomes_a_dead_letter_and_the_next_one_arrives(
    engines: Engines, server: DevServer
) -> None:
    engine = engines()
    await engine.put("RudderStack", [b"not an entry", entry(1)])
    async with Relay(rudderstack(server), engine=engines()):
        await server.received("rudderstack")
        await drained(engine)

    assert await dead_letters(engine) == [b"not an entry"]


async def test_an_empty_entry_is_acknowledged(server: DevServer) -> None:
    engine = Memory()
    await engine.put("RudderStack", [bytes(pack_block("RudderStack", 0, []))])
    async with Relay(rudderstack(server), engine=engine):
        await drained(engine)

    assert not server.events


async def test_entries_that_were_held_when_relays_died_are_delivered_one_by_one(
    engines: Engines, server: DevServer
) -> None:
    engine = engines()
    await engine.put("RudderStack", [entry(1, 2), entry(3, 4)])
    await take_often(engine, 5)
    await engine.put("RudderStack", [entry(5)])
    async with Relay(rudderstack(server), engine=engines(), lease=0.3):
        await server.received("rudderstack", 5)
        await drained(engine)

    assert [request.events for request in server.requests if request.events == 2] == [2, 2]


async def test_an_entry_that_kills_relays_is_divided(engines: Engines, server: DevServer) -> None:
    engine = engines()
    await engine.put("RudderStack", [entry(1, 2, 3, 4)])
    await take_often(engine, 7)
    async with Relay(rudderstack(server), engine=engines(), lease=0.3):
        await server.received("rudderstack", 4)
        await drained(engine)

    assert sorted(event.id for event in server.events) == ["id-1", "id-2", "id-3", "id-4"]


async def test_a_single_event_that_kills_relays_becomes_a_dead_letter(engines: Engines, server: DevServer) -> None:
    engine = engines()
    await engine.put("RudderStack", [entry(1)])
    await take_often(engine, 7)
    async with Relay(rudderstack(server), engine=engines(), lease=0.3) as relay:
        await drained(engine)
        assert relay.dead_letters() == {"RudderStack": 1}

    assert len(await dead_letters(engine)) == 1
    assert not server.events


async def test_single_events_beside_one_that_kills_relays_are_delivered(engines: Engines, server: DevServer) -> None:
    engine = engines()
    await engine.put("RudderStack", [entry(number) for number in range(1, 6)])
    await take_often(engine, 7)
    async with Relay(rudderstack(server), engine=engines(), lease=0.3) as relay:
        await server.received("rudderstack", 5)
        await drained(engine)
        assert relay.dead_letters() == {"RudderStack": 0}

    assert sorted(event.id for event in server.events) == [f"id-{number}" for number in range(1, 6)]


async def test_leases_are_extended_while_a_vendor_is_down(engines: Engines, server: DevServer) -> None:
    engine, other = engines(), engines()
    await engine.put("RudderStack", [entry(1)])
    server.script("rudderstack", *[503] * 1000)
    async with Relay(rudderstack(server), engine=engine, lease=0.6, close_timeout=0.5):
        await server.requested("rudderstack")
        taken = await other.take("RudderStack", 1, 2.0, 0.6)

    assert not taken


async def test_a_relay_hands_back_at_close_what_it_could_not_deliver(engines: Engines, server: DevServer) -> None:
    other = engines()
    await other.put("RudderStack", [entry(1, 2)])
    server.script("rudderstack", *[503] * 1000)
    async with Relay(rudderstack(server), engine=engines(), lease=100.0) as relay:
        await server.requested("rudderstack")
        report = await relay.aclose(0.5)
    (taken,) = await other.take("RudderStack", 1, 2.0, 100.0)

    assert report.destinations["RudderStack"].enqueued == 2
    assert (len(unpack_block(taken.entry).records), taken.deliveries) == (2, 1)


async def test_an_idle_relay_closes_within_two_seconds(engines: Engines, server: DevServer) -> None:
    relay = Relay(rudderstack(server), engine=engines())
    await relay.start()
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await relay.aclose()

    assert time.monotonic() - began < 3.0


async def test_a_killed_relay_is_replaced_after_its_lease(engines: Engines, server: DevServer) -> None:
    engine = engines()
    await engine.put("RudderStack", [entry(1)])
    assert await engine.take("RudderStack", 1, 2.0, 0.3)
    async with Relay(rudderstack(server), engine=engines(), lease=0.3):
        await server.received("rudderstack")


async def test_several_relays_share_the_work(engines: Engines, server: DevServer) -> None:
    engine = engines()
    await engine.put("RudderStack", [entry(number) for number in range(200)])
    async with Relay(rudderstack(server), engine=engines()) as one, Relay(rudderstack(server), engine=engines()) as two:
        await server.received("rudderstack", 200)
        reports = [await one.aclose(), await two.aclose()]

    assert sum(report.destinations["RudderStack"].delivered for report in reports) == 200
    assert len({event.id for event in server.events}) == len(server.events) == 200


async def test_a_dead_vendor_takes_at_most_half_of_a_lane(server: DevServer) -> None:
    engine = Memory()
    await engine.put("RudderStack", [entry(number) for number in range(500)])
    server.script("rudderstack", *[503] * 1000)
    limits = quick(max_queued_events=20)
    async with Relay(rudderstack(server, limits), engine=engine, close_timeout=0.3) as relay:
        await server.requested("rudderstack", 3)

        assert relay.health().destinations["RudderStack"].queued_events <= 30


async def test_exposures_travel_through_the_engine_too(engines: Engines, server: DevServer) -> None:
    async with Client(statsig_with_rules(server), engine=engines()) as client:
        for number in range(250):
            await client.check_gate(f"user-{number}", "open")
        await client.flush()
        counts = client.health().destinations["Statsig"].counts
        async with Relay(*client.destinations, engine=engines()) as relay:
            await server.received("statsig", 250)
            report = await relay.aclose()

    assert counts.exposures is not None
    assert counts.exposures.enqueued == 250
    relayed = report.destinations["Statsig"].exposures
    assert relayed is not None
    assert relayed.delivered == 250


async def test_events_for_a_dev_server_are_apart(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Memory()
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    async with Client(rudderstack(server), engine=engine) as client:
        await client.track("ada", "Tried")
    monkeypatch.delenv("ASYNCSDK_DEV_SERVER")
    async with Relay(rudderstack(server), engine=engine, close_timeout=0.2) as relay:
        await asyncio.sleep(0.1)
        assert not relay.health().destinations["RudderStack"].counts.accepted
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    async with Relay(rudderstack(server), engine=engine):
        await server.received("rudderstack")


class Unacknowledging(Memory):
    """Fails to acknowledge, extend and release."""

    async def ack(self, destination: str, leases: object) -> None:
        raise EngineError("down")

    extend = release = ack  # type: ignore[assignment]


async def test_a_failed_acknowledgement_is_repeated_and_ends_with_the_relay(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Unacknowledging()
    await engine.put("RudderStack", [entry(1)])
    async with Relay(rudderstack(server), engine=engine, lease=0.5) as relay:
        await server.received("rudderstack")
        await until(lambda: relay.health().engine is not None and relay.health().engine.state == "unavailable")  # type: ignore[union-attr]

    assert "entries could not be handed back (down)" in caplog.text
