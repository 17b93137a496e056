"""The command `asyncsdk relay`, with a client of a service, and its HTTP server."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest
from helpers import amplitude, rudderstack

from asyncsdk import Client, ConfigurationError, RudderStack, Rules, Statsig, Track
from asyncsdk.cli import main, relay
from asyncsdk.dev import DevServer
from asyncsdk.engines import Memory, Postgres
from asyncsdk.relay import Relay
from asyncsdk.relay.monitoring import Monitoring
from engines import shop
from engines.servers import PostgresServer, RedisServer

EVENTS, FLEET = Postgres("postgresql://a@127.0.0.1:9/events"), Postgres("postgresql://a@127.0.0.1:9/fleet")
SHARING = Client(
    Statsig("secret-k", rules=Rules(shared=FLEET, assignments=FLEET, overrides=FLEET)),  # type: ignore[arg-type]
    engine=EVENTS,
    shared_exposures=Memory(),  # type: ignore[arg-type]
)
MADE = Relay(RudderStack("k", "http://127.0.0.1:9"), engine=Memory())


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    relay.configure(parser)
    return parser.parse_args(given)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (["shop"], "not of the form MODULE:NAME"),
        (["no_such_module:client"], "cannot load"),
        (["engines.shop:no_such_name"], "cannot load"),
        (["engines.shop:without_engine"], "a Client with an engine"),
        (["engines.shop:LIMITS"], "a Client with an engine"),
        (["migrate"], "give one target"),
        (["a:b", "c:d"], "give one target"),
        (["migrate", "engines.shop:without_engine"], "a Client with an engine"),
        (["engines.test_relay_command:MADE", "--listen", "nowhere"], "--listen takes"),
    ],
)
def test_a_mistake_ends_with_code_2_and_says_what(
    target: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["relay", *target]) == 2
    assert problem in capsys.readouterr().err


def test_only_picks_destinations(server: DevServer) -> None:
    client = Client(rudderstack(server), amplitude(server), engine=Memory())

    assert "[Amplitude]" in repr(relay.make_relay(client, arguments("a:b", "--only", "Amplitude")))
    with pytest.raises(ConfigurationError, match="destinations are RudderStack, Amplitude"):
        relay.make_relay(client, arguments("a:b", "--only", "Statsig"))


def test_an_engine_without_tables_needs_no_migration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", "migrate", "engines.test_relay_command:MADE"]) == 0
    assert "needs no migration" in capsys.readouterr().out


def test_migrate_makes_the_table_twice(postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", "migrate", postgres_server.dsn]) == 0
    assert main(["relay", "migrate", postgres_server.dsn]) == 0
    assert "is up to date" in capsys.readouterr().out


def test_migrate_print_only_prints_the_sql(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", "migrate", "postgresql://nobody@127.0.0.1:9/none", "--print"]) == 0
    assert "create table if not exists" in capsys.readouterr().out


def test_migrate_covers_what_a_fleet_shares_in_other_databases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", "migrate", "engines.test_relay_command:SHARING", "--print"]) == 0
    printed = capsys.readouterr()

    assert printed.out == EVENTS.migration + FLEET.migration
    assert "Memory({}) needs no migration" in printed.err


def test_a_client_that_only_shares_can_be_migrated(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOP_PLANE", postgres_server.dsn)
    assert main(["relay", "migrate", "engines.test_relay_command:only_sharing"]) == 0
    assert 'table="only_sharing") is up to date' in capsys.readouterr().out


def only_sharing() -> Client:
    database = Postgres(os.environ["SHOP_PLANE"], table="only_sharing")
    return Client(Statsig("secret-k", rules=Rules(overrides=database)))  # type: ignore[arg-type]


def test_a_migration_without_a_server_ends_with_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", "migrate", "postgresql://nobody:secret@127.0.0.1:9/none"]) == 1
    problem = capsys.readouterr().err
    assert "connection refused" in problem
    assert "secret" not in problem


async def test_health_and_metrics_are_served(server: DevServer) -> None:
    engine = Memory()
    async with Client(rudderstack(server), engine=engine) as client, Relay(*client.destinations, engine=engine) as made:
        monitoring = Monitoring(made, "127.0.0.1", 0)
        address = await monitoring.start()
        await client.track("ada", "Signed Up")
        await server.received("rudderstack")
        async with aiohttp.ClientSession(address) as http:
            health = await http.get("/healthz")
            ready = await http.get("/readyz")
            metrics = await (await http.get("/metrics")).text()
            await made.aclose()
            ended = [(await http.get(path)).status for path in ("/healthz", "/readyz")]
        await monitoring.aclose()

    assert (health.status, ready.status, ended) == (200, 200, [503, 503])
    assert (
        'asyncsdk_relay_events_total{destination="RudderStack",kind="event",reason="",status="accepted"} 1.0' in metrics
    )
    assert "asyncsdk_relay_engine_up 1.0" in metrics
    assert 'asyncsdk_engine_entries{destination="RudderStack",state="waiting"} 0.0' in metrics


def test_json_logs_are_one_object_a_line() -> None:
    record = logging.LogRecord("asyncsdk", logging.WARNING, "", 1, "%d events\nlost", (3,), None)
    line = relay.JsonFormatter().format(record)

    assert "\n" not in line
    assert json.loads(line)["message"] == "3 events\nlost"


async def test_serve_ends_with_0_when_asked_and_closes_everything(server: DevServer) -> None:
    engine = Memory()
    made = Relay(rudderstack(server), engine=engine)
    serving = asyncio.create_task(relay.serve(made, "127.0.0.1", 0))
    async with Client(rudderstack(server), engine=engine) as client:
        await client.track("ada", "Signed Up")
        await server.received("rudderstack")
    os.kill(os.getpid(), signal.SIGTERM)

    assert await serving == 0
    assert made.health().state == "closed"


async def test_serve_ends_with_1_when_the_relay_ended_by_itself(server: DevServer) -> None:
    made = Relay(rudderstack(server), engine=Memory())
    serving = asyncio.create_task(relay.serve(made, "", -1))
    while made.health().state != "running":
        await asyncio.sleep(0.01)
    await made.aclose()

    assert await serving == 1


async def test_a_taken_port_ends_with_1(server: DevServer, capsys: pytest.CaptureFixture[str]) -> None:
    port = int(server.url.rpartition(":")[2])

    assert await relay.serve(Relay(rudderstack(server), engine=Memory()), "127.0.0.1", port) == 1
    assert "cannot listen" in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_relays_of_a_service_deliver_until_sigterm(
    kind: str, request: pytest.FixtureRequest, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{kind}_relays"
    address = request.getfixturevalue(f"{kind}_server")
    where = address.url if isinstance(address, RedisServer) else address.dsn
    if kind == "postgres":
        engine = Postgres(where, table=place)
        await engine.migrate()
        await engine.aclose()
    monkeypatch.setenv("SHOP_ENGINE", f"{kind} {where} {place}")
    monkeypatch.setenv("SHOP_PLANE", server.url)
    command = [sys.executable, "-m", "asyncsdk", "relay", "engines.shop:client", "--lease", "2", "--log-format", "json"]
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path}
    relays = [
        await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
        for _ in range(2)
    ]
    for process in relays:
        assert process.stderr is not None
        assert json.loads(await process.stderr.readline())["message"].startswith("started")
    async with shop.client() as client:
        for number in range(500):
            client.put_nowait(Track(f"user-{number % 20}", str(number)))
        await client.flush()
        await server.received("rudderstack", 500, within=30.0)
    for process in relays:
        process.terminate()

    for process in relays:
        await process.communicate()
    assert [process.returncode for process in relays] == [0, 0]
    assert len({event.id for event in server.events}) == 500
