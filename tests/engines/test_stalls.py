"""A network between engine and server that stalls: nothing is lost, nothing hangs, and `health()` says so."""

import asyncio
import gc
import time
from contextlib import suppress

import asyncpg
import pytest
from helpers import quick, rudderstack

from asyncsdk import Client
from asyncsdk.dev import DevServer
from asyncsdk.engines import EngineError, Postgres, postgres
from asyncsdk.relay import Relay
from engines import shop
from engines.chaos import scenarios
from engines.chaos.proxy import Mode, StallingProxy
from engines.chaos.stage import AnyServer, running, setting
from engines.servers import PostgresServer

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TIMEOUT", "0.5")


@pytest.mark.torture
async def test_nothing_is_lost_while_the_network_stalls(own_server: AnyServer) -> None:
    async with StallingProxy(own_server.port) as proxy, running(own_server, relays=2, port=proxy.port) as stage:
        await scenarios.stall(stage, proxy, ["freeze", "vanish"])

    assert stage.audit.is_ok, stage.audit


@pytest.mark.process
@pytest.mark.parametrize("mode", ["freeze", "half-open", "reset", "vanish"])
async def test_client_and_relay_close_in_time_while_the_network_stalls(
    mode: Mode, own_server: AnyServer, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with StallingProxy(own_server.port) as proxy:
        monkeypatch.setenv("SHOP_ENGINE", setting(own_server, "chaos", proxy.port))
        relay = Relay(rudderstack(server, quick()), engine=shop.make_engine(), close_timeout=0.5)
        client = Client(rudderstack(server, quick()), engine=shop.make_engine(), close_timeout=0.5)
        async with client, relay:
            await client.track("ada", "1")
            await server.received("rudderstack")
            proxy.set(mode)
            await client.track("ada", "2")
            began = time.monotonic()
            await asyncio.gather(client.aclose(), relay.aclose())

    assert time.monotonic() - began < 8.0


async def test_a_listener_whose_network_vanished_is_replaced(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_CHECK_INTERVAL", 0.1)
    async with StallingProxy(postgres_server.port) as proxy:
        engine = Postgres(postgres_server.dsn.replace(str(postgres_server.port), str(proxy.port)), timeout=0.5)
        await engine.migrate()
        engine._look_interval = 0.2
        assert not await engine.take("d", 1, 0.5, 60.0)
        lost = engine._current.listener
        proxy.set("vanish")
        async with asyncio.timeout(20.0):
            while engine._current.listener is lost:
                with suppress(EngineError):
                    await engine.take("d", 1, 0.5, 60.0)
        await engine.aclose()

    assert lost.is_closed()


async def test_a_call_that_waits_for_a_server_without_network_can_be_cancelled(
    postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    blocker = await asyncpg.connect(postgres_server.dsn)
    async with StallingProxy(postgres_server.port) as proxy, blocker.transaction():
        engine = Postgres(postgres_server.dsn.replace(str(postgres_server.port), str(proxy.port)), timeout=0.5)
        await engine.migrate()
        await blocker.execute("lock table asyncsdk_events")
        putting = asyncio.create_task(engine.put("d", [b"1"]))
        await asyncio.sleep(0.2)
        proxy.set("freeze")
        putting.cancel()
        await asyncio.wait([putting], timeout=5.0)
        assert putting.cancelled()
        await engine.aclose()
    await blocker.close()
    gc.collect()

    assert "never retrieved" not in caplog.text


async def count_connections(server: PostgresServer) -> int:
    connection = await asyncpg.connect(server.dsn)
    number: int = await connection.fetchval("select count(*) from pg_stat_activity where application_name = 'asyncsdk'")
    await connection.close()
    return number


async def test_a_listener_whose_start_is_cancelled_leaves_no_connection(postgres_server: PostgresServer) -> None:
    before = await count_connections(postgres_server)
    async with StallingProxy(postgres_server.port, delay=0.02) as proxy:
        engine = Postgres(postgres_server.dsn.replace(str(postgres_server.port), str(proxy.port)))
        proxy.set("delay")
        for number in range(12):
            listening = asyncio.create_task(engine._listen())
            await asyncio.sleep(0.02 * number)
            listening.cancel()
            await asyncio.wait([listening])
        proxy.set("pass")
        await engine.aclose()
    async with asyncio.timeout(10.0):
        while await count_connections(postgres_server) > before:
            await asyncio.sleep(0.05)
