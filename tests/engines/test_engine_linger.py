"""How long an event waits for others before it is put: not at all after a pause, and with others in a burst."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from helpers import rudderstack

from asyncsdk import Client
from asyncsdk._delivery.fleet.engine_lane import EngineLane
from asyncsdk._model.blocks import unpack_block
from asyncsdk.dev import DevServer
from asyncsdk.engines import Memory

# Longer than any test may take.
LONG = 60.0


class Sizes(Memory):
    """An engine that remembers how many events each entry had, and takes a moment for each call."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[int] = []

    async def put(self, destination: str, entries: Sequence[bytes]) -> None:
        self.events += [len(unpack_block(entry).records) for entry in entries]
        await asyncio.sleep(0.01)
        await super().put(destination, entries)


@pytest.fixture
def engine() -> Sizes:
    return Sizes()


@pytest.fixture
async def client(engine: Sizes, server: DevServer) -> AsyncIterator[Client]:
    async with Client(rudderstack(server), engine=engine) as client:
        yield client


def set_linger(client: Client, seconds: float) -> None:
    for lane in client._lanes:
        assert isinstance(lane, EngineLane)
        lane.linger = seconds


async def test_the_first_event_after_a_pause_is_put_at_once(client: Client, engine: Sizes) -> None:
    set_linger(client, LONG)
    async with asyncio.timeout(LONG / 2):
        await client.track("ada", "Seen")

    assert engine.events == [1]


async def test_events_that_arrive_together_are_put_together(client: Client, engine: Sizes) -> None:
    set_linger(client, LONG)
    async with asyncio.timeout(LONG / 2):
        await asyncio.gather(*(client.track("ada", str(number)) for number in range(50)))

    assert engine.events == [50]


async def test_an_event_soon_after_a_put_waits_for_others(client: Client, engine: Sizes) -> None:
    set_linger(client, LONG)
    await client.track("ada", "first")
    later = [asyncio.ensure_future(client.track("ada", str(number))) for number in range(20)]
    for _ in range(20):
        await asyncio.sleep(0.001)
    await client.flush()
    await asyncio.gather(*later)

    assert engine.events == [1, 20]


async def test_callers_in_turn_share_few_entries(client: Client, engine: Sizes) -> None:
    async def call(user: int) -> None:
        for number in range(10):
            await client.track(f"user-{user}", str(number))

    await asyncio.gather(*map(call, range(40)))

    assert sum(engine.events) == 400
    assert len(engine.events) <= 40
