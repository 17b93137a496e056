"""The Postgres engine, apart from the contract: its table, notifications, restarts, and what it refuses."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from asyncsdk import ConfigurationError
from asyncsdk.engines import EngineError, Postgres
from asyncsdk.engines._postgres_sql import statements
from engines.servers import PostgresServer, free_port

SECRET = "s3cret-password"


@pytest.fixture
async def engine(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> AsyncIterator[Postgres]:
    engine = Postgres(postgres_server.dsn, table=f"pg_{abs(hash(request.node.name)) % 10**9}")
    await engine.migrate()
    yield engine
    await engine.aclose()


async def run_sql(server: PostgresServer, *statements: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(server.dsn)
    rows: list[asyncpg.Record] = []
    for statement in statements:
        rows = await connection.fetch(statement)
    await connection.close()
    return rows


async def test_a_lease_does_not_wait_for_the_disk_and_later_statements_do(engine: Postgres) -> None:
    pool = await engine._pool()
    async with pool.acquire() as connection:
        await connection.execute(engine._sql.put, "d", [b"1"])
        (row,) = await connection.fetch(engine._sql.take, "d", 10, 60.0, "me", 0)
        extended = await connection.execute(engine._sql.extend, [row["id"]], "me", 60.0)
        setting = await connection.fetchval("show synchronous_commit")

    assert "synchronous_commit" in engine._sql.take
    assert (extended, setting) == ("UPDATE 1", "on")


async def test_open_says_what_to_run_when_the_table_is_missing(postgres_server: PostgresServer) -> None:
    engine = Postgres(postgres_server.dsn, table="no_such_table")
    for call in (engine.open(), engine.put("d", [b"1"]), engine.take("d", 1, 0.0, 1.0)):
        with pytest.raises(EngineError, match="run `asyncsdk relay migrate`") as caught:
            await call
        assert caught.value.refused
    await engine.aclose()


async def test_a_relay_acknowledges_no_row_of_a_table_that_was_made_again(
    engine: Postgres, postgres_server: PostgresServer
) -> None:
    await engine.put("d", [b"of the dropped table"])
    (old,) = await engine.take("d", 1, 0.0, 60.0)
    await run_sql(postgres_server, f"drop table {engine._sql.table}")
    await engine.migrate()
    await engine.put("d", [b"new"])
    await engine.ack("d", [old.lease])

    assert [one.entry for one in await engine.take("d", 1, 5.0, 60.0)] == [b"new"]


async def test_a_migration_of_a_used_table_keeps_its_ids_rising(engine: Postgres) -> None:
    await engine.put("d", [b"1", b"2"])
    await engine.migrate()
    await engine.put("d", [b"3"])

    assert [one.entry for one in await engine.take("d", 9, 0.0, 60.0)] == [b"1", b"2", b"3"]


async def test_concurrent_migrations_make_one_table(postgres_server: PostgresServer) -> None:
    engines = [Postgres(postgres_server.dsn, table="many_migrations") for _ in range(5)]
    await asyncio.gather(*(engine.migrate() for engine in engines))
    for engine in engines:
        await engine.aclose()

    assert len(await run_sql(postgres_server, "select 1 from pg_class where relname = 'many_migrations'")) == 1


async def test_the_printed_sql_is_enough(postgres_server: PostgresServer) -> None:
    engine = Postgres(postgres_server.dsn, table="events.queue")
    await run_sql(postgres_server, "create schema if not exists events")
    connection = await asyncpg.connect(postgres_server.dsn)
    await connection.execute(engine.migration)
    await connection.execute(engine.migration)
    await connection.close()
    await engine.put("d", [b"1"])

    assert len(await engine.take("d", 1, 0.0, 1.0)) == 1
    await engine.aclose()


async def test_put_in_a_transaction_of_ones_own_exists_only_after_its_commit(
    engine: Postgres, postgres_server: PostgresServer
) -> None:
    connection = await asyncpg.connect(postgres_server.dsn)
    waiting = asyncio.create_task(engine.take("d", 9, 10.0, 10.0))
    async with connection.transaction():
        await connection.execute(engine.put_statement, "d", [b"1"])
        await asyncio.sleep(0.1)
        assert not waiting.done()
    taken = await waiting
    with pytest.raises(RuntimeError):
        async with connection.transaction():
            await connection.execute(engine.put_statement, "d", [b"2"])
            raise RuntimeError
    await connection.close()

    assert [one.entry for one in taken] == [b"1"]
    assert (await engine.stats("d")).waiting == 0


async def test_calls_that_come_first_together_share_a_pool(postgres_server: PostgresServer, engine: Postgres) -> None:
    other = Postgres(postgres_server.dsn, table=engine._sql.channel)
    pools = await asyncio.gather(other._pool(), other._pool())
    await other.aclose()

    assert pools[0] is pools[1]


async def test_a_notification_wakes_a_relay_sooner_than_its_next_look(engine: Postgres) -> None:
    engine._look_interval = 30.0
    waiting = asyncio.create_task(engine.take("d", 1, 30.0, 100.0))
    await asyncio.sleep(0.5)
    began = time.monotonic()
    await engine.put("other", [b"0"])
    await engine.put("d", [b"1"])
    await waiting

    assert time.monotonic() - began < 10.0


async def test_behind_a_pooler_relays_look_often(postgres_server: PostgresServer, engine: Postgres) -> None:
    pooled = Postgres(postgres_server.dsn, table=engine._sql.channel, pooler=True)
    waiting = asyncio.create_task(pooled.take("d", 1, 10.0, 10.0))
    await asyncio.sleep(0.05)
    await engine.put("d", [b"1"])

    assert len(await waiting) == 1
    assert pooled._current.listener is None
    await pooled.aclose()


async def test_a_lost_listener_is_replaced(engine: Postgres, postgres_server: PostgresServer) -> None:
    waiting = asyncio.create_task(engine.take("d", 1, 10.0, 10.0))
    await asyncio.sleep(0.3)
    await run_sql(
        postgres_server,
        f"select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%{engine._sql.channel}%'",
    )
    await engine.put("d", [b"1"])

    assert len(await waiting) == 1


async def test_an_engine_survives_a_restart_of_its_server(own_postgres: PostgresServer) -> None:
    engine = Postgres(own_postgres.dsn)
    await engine.migrate()
    await engine.put("d", [b"1"])
    await engine.take("d", 1, 0.0, 0.1)
    own_postgres.kill()
    with pytest.raises(EngineError):
        await engine.put("d", [b"2"])
    own_postgres.start()
    (again,) = await engine.take("d", 1, 5.0, 0.1)
    await engine.aclose()

    # The crash may have lost the lease, and so its number: leases do not wait for the disk.
    assert again.entry == b"1"


async def test_a_server_that_is_away_is_an_error_at_once() -> None:
    engine = Postgres(f"postgresql://ada:{SECRET}@127.0.0.1:{free_port()}/shop")
    for call in (engine.open(), engine.migrate(), engine.put("d", [b"1"]), engine.take("d", 1, 5.0, 1.0)):
        with pytest.raises(EngineError, match="connection refused") as caught:
            await call
        assert SECRET not in str(caught.value)
    await engine.aclose()


async def test_a_server_that_does_not_answer_is_a_timeout() -> None:
    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    engine = Postgres(f"postgresql://ada@127.0.0.1:{server.sockets[0].getsockname()[1]}/shop", timeout=0.3)
    with pytest.raises(EngineError, match=r"timeout|connection lost"):
        await engine.put("d", [b"1"])
    await engine.aclose()
    server.close()


@pytest.mark.parametrize(
    ("dsn", "problem"), [("nobody_here@{}/postgres", "does not exist"), ("relay@{}/no_such", "does not exist")]
)
async def test_a_login_or_database_that_is_wrong_needs_a_person(
    postgres_server: PostgresServer, dsn: str, problem: str
) -> None:
    engine = Postgres("postgresql://" + dsn.format(f"127.0.0.1:{postgres_server.port}"))
    with pytest.raises(EngineError, match=problem) as caught:
        await engine.put("d", [b"1"])
    await engine.aclose()

    assert caught.value.refused


async def test_settings_that_lose_events_are_named(postgres_server: PostgresServer, engine: Postgres) -> None:
    assert await engine.open() == ()
    await run_sql(postgres_server, "alter role relay set synchronous_commit = off")
    lax = Postgres(postgres_server.dsn, table=engine._sql.channel)
    warnings = await lax.open()
    await lax.aclose()
    await run_sql(postgres_server, "alter role relay reset synchronous_commit")

    assert [warning.split()[0] for warning in warnings] == ["synchronous_commit"]


async def test_a_lease_is_renewed_without_writing_to_an_index(
    engine: Postgres, postgres_server: PostgresServer
) -> None:
    await engine.put("d", [b"x" * 5_000 for _ in range(20)])
    taken = await engine.take("d", 20, 0.0, 10.0)
    for _ in range(3):
        await engine.extend("d", [one.lease for one in taken], 10.0)
    await engine.aclose()
    table = engine._sql.channel
    async with asyncio.timeout(10.0):
        while True:
            query = f"select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = '{table}'"
            (row,) = await run_sql(postgres_server, query)
            if row["n_tup_upd"] >= 80:
                break
            await asyncio.sleep(0.1)

    assert row["n_tup_hot_upd"] >= 0.8 * row["n_tup_upd"]


async def test_a_destination_may_have_any_name_but_nul(engine: Postgres) -> None:
    await engine.put("a\0b", [b"1"])

    assert len(await engine.take("a\0b", 1, 0.0, 1.0)) == 1


@pytest.mark.parametrize("dsn", ["", "host/db", "mysql://host/db", "postgresql://", 5])
def test_an_address_of_another_form_is_refused(dsn: object) -> None:
    with pytest.raises(ConfigurationError, match="has the form"):
        Postgres(dsn)  # type: ignore[arg-type]


@pytest.mark.parametrize("table", ["", "a b", 'a"b', "a.b.c", "x" * 60, ".a", "a;drop", 5])
def test_a_table_that_is_no_plain_name_is_refused(table: object) -> None:
    with pytest.raises(ConfigurationError, match="plain name"):
        statements(table)  # type: ignore[arg-type]


def test_a_repr_shows_where_but_no_password() -> None:
    assert (
        repr(Postgres(f"postgresql+asyncpg://ada:{SECRET}@db:5433/shop"))
        == 'Postgres(db:5433/shop, table="asyncsdk_events")'
    )
    assert repr(Postgres("postgresql://db:port/shop")) == 'Postgres(..., table="asyncsdk_events")'


@pytest.mark.parametrize("settings", [{"timeout": -1}, {"shards": 0}, {"shards": "2"}])
def test_a_wrong_setting_is_a_configuration_error(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        Postgres("postgresql://127.0.0.1", **settings)  # type: ignore[arg-type]


def test_an_engine_works_on_one_loop_after_another(postgres_server: PostgresServer) -> None:
    postgres_server.migrate("loops")
    engine = Postgres(postgres_server.dsn, table="loops")

    async def put_and_close() -> int:
        await engine.put("d", [b"1"])
        waiting = (await engine.stats("d")).waiting
        await engine.aclose()
        return waiting

    assert [asyncio.run(put_and_close()), asyncio.run(put_and_close())] == [1, 2]
