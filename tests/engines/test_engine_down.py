"""A client whose engine is away: in memory within the lane's limits, or on disk with a spool."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from helpers import amplitude, quick, rudderstack, statsig

from asyncsdk import Client, ConfigurationError, Track
from asyncsdk.dev import DevServer
from asyncsdk.engines import Engine, EngineError, Memory, Redis, _postgres_errors, _redis_errors
from asyncsdk.relay import Relay
from engines.servers import RedisServer


class Breakable(Memory):
    """An engine that fails while told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None
        self.hang = asyncio.Event()
        self.hang.set()

    async def put(self, destination: str, entries: Sequence[bytes]) -> None:
        await self.hang.wait()
        if self.fault is not None:
            raise self.fault
        await super().put(destination, entries)

    async def open(self) -> Sequence[str]:
        if self.fault is not None:
            raise self.fault
        return ("the clock is wrong: set it",)


def databases(folder: Path) -> Iterator[Path]:
    return folder.glob("*.db")


async def count(engine: Engine, destination: str = "RudderStack") -> int:
    stats = await engine.stats(destination)
    return stats.waiting + stats.taken


async def test_a_verb_does_not_wait_for_an_engine_that_is_down(server: DevServer) -> None:
    engine = Breakable()
    engine.fault = EngineError("connection refused")
    async with Client(rudderstack(server), engine=engine) as client:
        receipt = await client.track("ada", "Signed Up")
        health = client.health()
        assert (receipt.deliveries, health.engine.state if health.engine else "") == (
            {"RudderStack": None},
            "unavailable",
        )
        assert health.destinations["RudderStack"].last_error == "engine: connection refused"
        engine.fault = None

        assert {delivery.status for delivery in (await receipt).values()} == {"enqueued"}
    assert await count(engine) == 1


async def test_an_engine_that_raises_anything_loses_no_event(server: DevServer) -> None:
    engine = Breakable()
    engine.fault = AttributeError("'NoneType' object has no attribute '_add_writer'")
    async with Client(rudderstack(server), engine=engine) as client:
        receipt = await client.track("ada", "Signed Up")
        health = client.health().engine
        engine.fault = None
        await client.flush()

    assert health is not None
    assert (health.state, health.last_error) == ("unavailable", "unexpected AttributeError")
    assert {delivery.status for delivery in (await receipt).values()} == {"enqueued"}


@pytest.mark.parametrize("reported", [_redis_errors.reported, _postgres_errors.reported])
def test_what_a_driver_raises_is_an_engine_error(reported: Callable[[], AbstractContextManager[None]]) -> None:
    for error in (AttributeError("secret"), RuntimeError("the handler is closed"), ValueError("postgres://secret")):
        with pytest.raises(EngineError, match=f"unexpected {type(error).__name__}") as caught, reported():
            raise error
        assert "secret" not in str(caught.value)
    for ours in (EngineError("timeout"), ConfigurationError("ours")):
        with pytest.raises(type(ours), match=str(ours)), reported():
            raise ours


async def test_verbs_that_wait_are_released_when_the_engine_fails(server: DevServer) -> None:
    engine = Breakable()
    engine.hang.clear()
    async with Client(rudderstack(server), engine=engine, close_timeout=0.3) as client:
        verbs = [asyncio.create_task(client.track("ada", str(number))) for number in range(20)]
        await asyncio.sleep(0.05)
        assert not any(verb.done() for verb in verbs)
        engine.fault = EngineError("connection lost")
        engine.hang.set()
        async with asyncio.timeout(2.0):
            await asyncio.gather(*verbs)


async def test_a_cancelled_verb_leaves_the_others_waiting(server: DevServer) -> None:
    engine = Breakable()
    engine.hang.clear()
    async with Client(rudderstack(server), engine=engine) as client:
        first, second = (asyncio.create_task(client.track("ada", name)) for name in "ab")
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0)
        assert first.cancelled()
        engine.hang.set()
        await second

    assert await count(engine) == 1


async def test_an_engine_that_hangs_counts_as_down(server: DevServer) -> None:
    engine = Breakable()
    engine.hang.clear()
    async with Client(rudderstack(server, quick(timeout=0.1)), engine=engine, close_timeout=0.3) as client:
        await client.track("ada", "Signed Up")
        assert client.health().destinations["RudderStack"].last_error == "engine: timeout"
        report = await client.aclose()

    assert report.destinations["RudderStack"].abandoned == 1


async def test_without_a_spool_the_lane_is_bounded_and_drops_are_counted(server: DevServer) -> None:
    engine = Breakable()
    engine.fault = EngineError("connection refused")
    limits = quick(max_queued_events=10)
    async with Client(rudderstack(server, limits), engine=engine, close_timeout=0.2) as client:
        for number in range(25):
            await client.track("ada", str(number))
        counts = client.health().destinations["RudderStack"].counts

    assert (counts.accepted, counts.pending, counts.dropped) == (25, 10, {"queue full": 15})


async def test_with_a_spool_events_are_on_disk_until_the_engine_has_them(server: DevServer, tmp_path: Path) -> None:
    engine = Breakable()
    engine.fault = EngineError("connection refused")
    async with Client(rudderstack(server), engine=engine, spool=tmp_path, close_timeout=0.2) as client:
        for number in range(20):
            await client.track("ada", str(number))
        report = await client.aclose()
    engine.fault = None
    async with Client(rudderstack(server), engine=engine, spool=tmp_path) as client:
        while not await count(engine):
            await asyncio.sleep(0.01)
        await client.flush()
    async with Relay(rudderstack(server), engine=engine):
        await server.received("rudderstack", 20)

    assert report.destinations["RudderStack"].spooled == 20
    assert [event.name for event in server.events] == [str(number) for number in range(20)]
    assert not list(databases(tmp_path))


async def test_an_outage_is_one_line_however_many_lanes_it_stops(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Breakable()
    engine.fault = EngineError("connection refused")
    destinations = (rudderstack(server), amplitude(server), statsig(server))
    async with Client(*destinations, engine=engine) as client:
        for number in range(3):
            await client.track("ada-lovelace", str(number))
        await asyncio.sleep(0.5)
        engine.fault = None
        await client.flush()
    lines = [
        line.getMessage() for line in caplog.records if line.name == "asyncsdk.engine" and line.levelname == "WARNING"
    ]

    assert [line.partition(";")[0] for line in lines][:1] == ["engine: connection refused"]
    assert len(lines) == 2
    assert "recovered" in lines[1]


async def test_an_engine_that_refuses_is_an_error_for_a_person(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Breakable()
    engine.fault = EngineError("WRONGPASS", refused=True)
    async with Client(rudderstack(server), engine=engine, close_timeout=0.2) as client:
        await client.track("ada", "Signed Up")
        assert client.health().destinations["RudderStack"].state == "refused"

    assert [line.levelname for line in caplog.records if "WRONGPASS" in line.getMessage()][:1] == ["ERROR"]


async def test_what_is_wrong_with_the_server_is_in_health_and_log(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(rudderstack(server), engine=Breakable()) as client:
        await asyncio.sleep(0.05)
        health = client.health().engine

    assert health is not None
    assert health.warnings == ("the clock is wrong: set it",)
    assert "engine: the clock is wrong" in caplog.text


@pytest.mark.parametrize("given", ["redis://127.0.0.1", Memory, 5])
def test_engine_takes_an_engine(given: object) -> None:
    with pytest.raises(ConfigurationError, match="`engine` must be an engine"):
        Client(engine=given)  # type: ignore[arg-type]


async def test_statsig_gets_event_ids(server: DevServer) -> None:
    engine = Memory()
    async with Client(statsig(server), engine=engine) as client:
        receipt = await client.track("ada", "Signed Up")
        async with Relay(*client.destinations, engine=engine):
            (event,) = await server.received("statsig")

    assert event.body["metadata"]["asyncsdk_event_id"] == receipt.event_id  # type: ignore[index]


async def test_middleware_overflow_and_hooks_work_as_without_an_engine(server: DevServer) -> None:
    finals: list[str] = []
    engine = Memory()
    destination = rudderstack(server, overflow="wait")
    client = Client(destination, engine=engine, on_delivery=lambda event_id, delivery: finals.append(delivery.status))
    async with client:
        await asyncio.gather(*(client.track("ada", str(number)) for number in range(50)))

    assert finals == ["enqueued"] * 50


async def test_shards_spread_users_and_one_relay_reads_them_all(redis_server: RedisServer, server: DevServer) -> None:
    engine = Redis(redis_server.url, prefix="shards", shards=4)
    async with Client(rudderstack(server), engine=engine) as client:
        for number in range(100):
            client.put_nowait(Track(f"user-{number % 10}", str(number)))
        await client.flush()
    spread = [await count(engine, f"RudderStack#{number}") for number in range(4)]
    async with Relay(rudderstack(server), engine=engine) as relay:
        await server.received("rudderstack", 100)
        stats = await relay.stats()

    assert sum(bool(number) for number in spread) > 1
    assert stats.keys() == {"RudderStack"}
    for user in range(10):
        numbers = [int(event.name) for event in server.events if event.user == f"user-{user}"]
        assert numbers == sorted(numbers)
