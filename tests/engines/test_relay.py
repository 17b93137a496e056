"""A client hands events over to an engine, and relays deliver them: on each engine, with real servers."""

import asyncio
from collections.abc import Callable

from helpers import ADA, amplitude, rudderstack, statsig

from asyncsdk import Client, Track
from asyncsdk.dev import DevServer
from asyncsdk.engines import Engine
from asyncsdk.relay import Relay

Engines = Callable[[], Engine]


def names(server: DevServer, vendor: str) -> list[str]:
    return [received.name for received in server.events if received.vendor == vendor]


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_event_travels_through_the_engine_to_every_vendor(engines: Engines, server: DevServer) -> None:
    destinations = (rudderstack(server), amplitude(server), statsig(server))
    async with Client(*destinations, engine=engines()) as client:
        receipt = await client.track(ADA, "Signed Up", {"plan": "pro"})
        statuses = {delivery.status for delivery in (await receipt).values()}
        assert not server.events
        async with Relay(*client.destinations, engine=engines()):
            await until(lambda: len(server.events) == 3)

    assert statuses == {"enqueued"}
    assert {received.vendor for received in server.events} == {"rudderstack", "amplitude", "statsig"}


async def test_an_awaited_verb_returns_when_the_engine_has_the_event(engines: Engines, server: DevServer) -> None:
    engine = engines()
    async with Client(rudderstack(server), engine=engines()) as client:
        receipt = await client.track(ADA, "Signed Up")

        assert [delivery.status for delivery in receipt.deliveries.values() if delivery] == ["enqueued"]
        assert (await engine.stats("RudderStack")).waiting == 1


async def test_events_of_a_user_arrive_in_order(engines: Engines, server: DevServer) -> None:
    async with Client(rudderstack(server), engine=engines()) as client:
        for number in range(300):
            client.put_nowait(Track(f"user-{number % 3}", str(number)))
        await client.flush()
        async with Relay(rudderstack(server), engine=engines()):
            await until(lambda: len(server.events) == 300)

    for user in ("user-0", "user-1", "user-2"):
        numbers = [int(e.name) for e in server.events if e.user == user]
        assert numbers == sorted(numbers)


async def test_delivered_entries_are_gone_from_the_engine(engines: Engines, server: DevServer) -> None:
    engine = engines()
    async with Client(rudderstack(server), engine=engines()) as client:
        await asyncio.gather(*(client.track(f"u{n}", "Seen") for n in range(50)))
    async with Relay(rudderstack(server), engine=engines()) as relay:
        await until(lambda: len(server.events) == 50)
        report = await relay.aclose()
    stats = await engine.stats("RudderStack")

    assert report.destinations["RudderStack"].delivered == 50
    assert (stats.waiting, stats.taken) == (0, 0)
