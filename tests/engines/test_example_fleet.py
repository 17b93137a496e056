"""The example of a fleet: a shop with an outbox, and two relays, killed and audited."""

import runpy
import sys
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from httpx import ASGITransport, AsyncClient

from asyncsdk import Client
from asyncsdk.dev import DevServer
from asyncsdk.engines import Postgres
from asyncsdk.examples.fleet import __main__ as fleet
from asyncsdk.examples.fleet import shop
from asyncsdk.examples.fleet.processes import Process, python, temporary_postgres, until_answers
from asyncsdk.relay import Relay
from engines.servers import PostgresServer

SMALL = fleet.Audit(frozenset({"order-1", "order-2"}), frozenset({"order-1"}), 3, 4, 5)


async def test_a_declined_order_has_no_event(postgres_server: PostgresServer) -> None:
    await fleet._prepare(postgres_server.dsn)
    async with DevServer() as vendor:
        environ = {"SHOP_DATABASE": postgres_server.dsn, "RUDDERSTACK_WRITE_KEY": "k", "RUDDERSTACK_URL": vendor.url}
        app, client = shop.init(environ), shop.make_client(environ)
        assert isinstance(client, Client)
        transport = ASGITransport(app)
        async with app.router.lifespan_context(app), AsyncClient(transport=transport, base_url="http://shop") as http:
            bodies = [{"customer": "ada", "sku": "lamp", "card": card} for card in ("4", "0")]
            replies = [await http.post("/orders", json=body) for body in bodies]
        assert isinstance(client.engine, Postgres)
        async with Relay(*client.destinations, engine=client.engine):
            (event,) = await vendor.received("rudderstack")

    assert [reply.status_code for reply in replies] == [201, 402]
    assert event.id == f"order-{replies[0].json()['order']}"


@pytest.mark.process
@pytest.mark.timeout(150)
def test_each_order_has_its_event_and_each_event_its_order(
    postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fleet.main(["--database", postgres_server.dsn, "--orders", "200", "--kills", "4"]) == 0
    assert "0 missing, 0 without an order (40 declined, 4 processes killed" in capsys.readouterr().out


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_one_command_starts_everything(postgres_server: PostgresServer) -> None:
    assert fleet.main(["--orders", "1000", "--kills", "10"]) == 0


def test_the_audit_says_what_is_missing() -> None:
    assert not SMALL.is_right
    assert str(SMALL).startswith("2 orders, 1 events delivered: 1 missing, 0 without an order")


async def test_a_process_that_was_not_started_has_ended() -> None:
    assert await Process("none", python("none"), {}).end() == 0


@pytest.mark.process
async def test_a_temporary_postgres_is_there_until_it_is_not_needed(postgres_programs: Path) -> None:
    async with temporary_postgres() as address:
        connection = await asyncpg.connect(address)
        assert await connection.fetchval("select 1") == 1
        await connection.close()

    with pytest.raises(OSError, match=r"111|refused"):
        await asyncpg.connect(address)


def test_a_machine_without_postgres_is_told_what_to_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        fleet.main(["--postgres", str(tmp_path)])
    assert "apt install postgresql" in capsys.readouterr().err


async def test_events_that_no_relay_delivers_are_waited_for_only_so_long(postgres_server: PostgresServer) -> None:
    await fleet._prepare(postgres_server.dsn)
    connection = await asyncpg.connect(postgres_server.dsn)
    await connection.execute("create table shop_orders as select 7 as number")
    await connection.close()
    engine = Postgres(postgres_server.dsn)
    await engine.put("RudderStack", [b"1"])
    await engine.aclose()

    assert await fleet._delivered(postgres_server.dsn, timeout=0.2) == {"order-7"}


async def test_customers_order_again_while_the_shop_fails() -> None:
    statuses = iter([500, 402, 201])

    async def order(_: web.Request) -> web.Response:
        return web.Response(status=next(statuses))

    app = web.Application()
    app.router.add_post("/orders", order)
    async with TestServer(app) as server:
        assert await fleet._order(str(server.make_url("")), 2) == 1


async def test_a_server_that_is_not_up_yet_is_asked_again() -> None:
    with pytest.raises(TimeoutError):
        await until_answers("postgresql://nobody@127.0.0.1:9/none", timeout=0.2)


def test_the_command_has_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["fleet", "--help"])

    with pytest.raises(SystemExit, match="0"), pytest.warns(RuntimeWarning, match="found in sys.modules"):
        runpy.run_module("asyncsdk.examples.fleet", run_name="__main__")
    assert "--kills" in capsys.readouterr().out
