"""Rare cases of relays and engines: mistakes, failures of the engine, calls out of order."""

import asyncio
import logging
import os
import signal
import struct
import sys
import threading
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio
from helpers import rudderstack

from asyncsdk import ConfigurationError
from asyncsdk._delivery.fleet.engine_status import EngineStatus
from asyncsdk._delivery.fleet.lease_reader import LeaseReader
from asyncsdk._delivery.lane import Lane
from asyncsdk.cli import main, relay
from asyncsdk.dev import DevServer
from asyncsdk.engines import EngineError, Memory, Postgres, Redis, Taken
from asyncsdk.relay import Relay
from asyncsdk.relay.monitoring import Monitoring
from engines.servers import PostgresServer, RedisServer
from engines.test_leases import drained, entry, until


class Flaky(Memory):
    """Fails to take and to open the first time; returns leases that name the entry only, as Redis does."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = {"take": 1, "open": 1}

    def _fail(self, verb: str) -> None:
        self.failures[verb] -= 1
        if self.failures[verb] >= 0:
            raise EngineError("connection lost")

    async def open(self) -> Sequence[str]:
        self._fail("open")
        return ()

    async def take(self, destination: str, number: int, wait: float, lease: float) -> Sequence[Taken]:
        self._fail("take")
        taken = await super().take(destination, number, wait, lease)
        return [Taken(one.lease[0], one.entry, one.deliveries) for one in taken]

    async def extend(self, destination: str, leases: Sequence[int], lease: float) -> None:
        """Let every lease expire."""

    async def ack(self, destination: str, leases: Sequence[int]) -> None:
        await super().ack(destination, [(lease, 0) for lease in leases])

    async def release(self, destination: str, leases: Sequence[int]) -> None:
        """Nothing is released."""


async def test_a_relay_goes_on_after_its_engine_failed(server: DevServer) -> None:
    engine = Flaky()
    await engine.put("RudderStack", [entry(1)])
    async with Relay(rudderstack(server), engine=engine) as made:
        await server.received("rudderstack")
        await until(lambda: made.health().engine is not None and made.health().engine.state == "ok")  # type: ignore[union-attr]


async def test_an_entry_that_a_relay_takes_again_itself_is_delivered_once(server: DevServer) -> None:
    engine = Flaky()
    await engine.put("RudderStack", [entry(1)])
    server.script("rudderstack", *[503] * 60)
    async with Relay(rudderstack(server), engine=engine, lease=0.2) as made:
        await server.requested("rudderstack", 5)
        await asyncio.sleep(0.5)
        assert made.health().destinations["RudderStack"].counts.accepted == 1
        server.clear_faults()
        await drained(engine)

    assert len({event.id for event in server.events}) == 1


@pytest.mark.parametrize(("at", "value"), [(12, 50), (24, 90_000), (45, 250)])
async def test_a_made_up_entry_with_a_right_checksum_is_a_dead_letter(server: DevServer, at: int, value: int) -> None:
    block = bytearray(entry(1))
    struct.pack_into("<I", block, at, value)
    struct.pack_into("<I", block, 4, zlib.crc32(memoryview(block)[8:]))
    engine = Memory()
    await engine.put("RudderStack", [bytes(block), entry(2)])
    async with Relay(rudderstack(server), engine=engine) as made:
        await server.received("rudderstack")
        await drained(engine)

        assert made.health().crashes == 0
    assert "id-2" in {event.id for event in server.events}


async def test_a_relay_is_started_once_and_closed_any_number_of_times(server: DevServer) -> None:
    made = Relay(rudderstack(server), engine=Memory())
    await made.start()
    await made.start()
    assert "running" in repr(made)
    reports = await asyncio.gather(made.aclose(), made.aclose(0.1))

    assert reports[0] is reports[1] is await made.aclose()


async def test_a_relay_that_was_not_started_closes_at_once(server: DevServer) -> None:
    made = Relay(rudderstack(server), engine=Memory())
    with pytest.raises(ConfigurationError, match="not started"):
        await made.wait_closed()

    assert (await made.aclose()).destinations["RudderStack"].accepted == 0
    assert (await made.aclose()).complete


async def test_a_relay_closed_by_cancellation_hands_back(server: DevServer) -> None:
    engine = Memory()
    await engine.put("RudderStack", [entry(1)])
    server.script("rudderstack", *[503] * 100)
    made = Relay(rudderstack(server), engine=engine)
    await made.start()
    await server.requested("rudderstack")
    made._life.cancel()
    await made.wait_closed()
    await made.aclose()

    assert (await engine.stats("RudderStack")).waiting == 1


@pytest.mark.parametrize("settings", [{"lease": 0.1}, {"max_age": 0}, {"engine": None}, {"lease": "30"}])
def test_a_wrong_setting_is_a_configuration_error(settings: dict[str, object], server: DevServer) -> None:
    with pytest.raises(ConfigurationError):
        Relay(rudderstack(server), **{"engine": Memory(), **settings})  # type: ignore[arg-type]


def test_a_relay_needs_a_destination() -> None:
    with pytest.raises(ConfigurationError, match="needs destinations"):
        Relay(engine=Memory())


def test_reprs_show_what_is_held(server: DevServer) -> None:
    reader = LeaseReader(Lane(rudderstack(server)), Memory(), "RudderStack", 30.0, EngineStatus(""))

    assert repr(reader) == "<LeaseReader RudderStack: 0 entries held, 0 to acknowledge>"
    assert repr(Memory()) == "Memory({})"


async def test_metrics_count_rejected_events_by_reason(server: DevServer) -> None:
    made = Relay(rudderstack(server), engine=Memory())
    await made.start()
    made._lanes[0].ledger.account.rejected["too large"] = 3
    text = (await Monitoring(made, "", 0)._metrics(None)).body  # type: ignore[arg-type]
    await made.aclose()

    assert b'reason="too large",status="rejected"} 3.0' in text  # type: ignore[operator]


class Away(Memory):
    async def stats(self, destination: str) -> object:  # type: ignore[override]
        raise EngineError("connection refused")


async def test_metrics_are_served_while_the_engine_is_away(server: DevServer) -> None:
    made = Relay(rudderstack(server), engine=Away())
    await made.start()
    text = (await Monitoring(made, "", 0)._metrics(None)).body  # type: ignore[arg-type]
    await made.aclose()

    assert b"asyncsdk_relay_leased_entries" in text  # type: ignore[operator]
    assert b"asyncsdk_engine_entries{" not in text  # type: ignore[operator]


def small_relay() -> Relay:
    """Return what `asyncsdk relay engines.test_relay_edges:small_relay` runs; it is sent SIGTERM soon."""
    from asyncsdk import RudderStack

    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    return Relay(RudderStack("key", "http://127.0.0.1:9"), engine=Memory())


def test_the_command_runs_a_relay_until_sigterm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    code = main(["relay", "engines.test_relay_edges:small_relay", "--listen", "0", "--log-format", "json"])

    assert code == 0
    assert str(tmp_path) in sys.path


def test_json_logs_hold_exceptions() -> None:
    try:
        int("x")
    except ValueError:
        record = logging.LogRecord("asyncsdk", logging.ERROR, "", 1, "failed", (), sys.exc_info())

    assert "ValueError" in relay.JsonFormatter().format(record)


async def test_concurrent_first_calls_share_one_pool(postgres_server: PostgresServer) -> None:
    postgres_server_table = "first_calls"
    await asyncio.to_thread(postgres_server.migrate, postgres_server_table)
    engine = Postgres(postgres_server.dsn, table=postgres_server_table)
    await asyncio.gather(*(engine.put("d", [b"1"]) for _ in range(5)))
    await asyncio.gather(*(engine.take("d", 1, 0.1, 9.0) for _ in range(3)))
    stats = await engine.stats("d")
    await engine.aclose()

    assert stats.waiting + stats.taken == 5


async def test_an_engine_that_only_opened_no_pool_closes(postgres_server: PostgresServer) -> None:
    engine = Postgres(postgres_server.dsn)
    await engine._listen()
    await engine.aclose()

    assert engine._connections is None


async def test_an_error_of_the_server_is_named(postgres_server: PostgresServer) -> None:
    engine = Postgres(postgres_server.dsn)
    with pytest.raises(EngineError, match="division by zero") as caught:
        await engine._fetch("select 1 / 0")
    await engine.aclose()

    assert not caught.value.refused


async def test_a_key_of_another_type_is_an_error_of_redis(redis_server: RedisServer) -> None:
    engine = Redis(redis_server.url, prefix="wrongtype")
    async with redis.asyncio.Redis.from_url(redis_server.url) as raw:
        await raw.set(engine._key("d"), "text")
    for call in (engine.put("d", [b"1"]), engine.take("d", 1, 0.0, 1.0)):
        with pytest.raises(EngineError, match="wrong kind of value"):
            await call
    await engine.aclose()


@asynccontextmanager
async def in_front_of(port: int, old: bytes, new: bytes) -> AsyncIterator[int]:
    """Yield the port of a proxy that replaces bytes in the answers of a server."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *edit: bytes) -> None:
        while data := await reader.read(2**20):
            writer.write(data.replace(*edit) if edit else data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, questions), copy(answers, writer, old, new))

    async with await asyncio.start_server(connect, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_fsync_is_checked_once_and_then_waited_for(redis_server: RedisServer) -> None:
    async with in_front_of(redis_server.port, b"redis_version:7.0", b"redis_version:7.2") as port:
        engine = Redis(f"redis://127.0.0.1:{port}", prefix="aof", durability="fsync")
        (outcome,) = await asyncio.gather(engine.put("d", [b"1"]), return_exceptions=True)
        waiting = (await engine.stats("d")).waiting
        await engine.aclose()

    # A server without the command says so, though its version promised it.
    assert waiting == 1
    assert outcome is None or "unknown command" in str(outcome)
