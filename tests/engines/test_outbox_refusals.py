"""Events in a transaction of the caller's: connections that cannot take them, clients that cannot, and cancellation."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import psycopg
import psycopg_pool
import pytest
from helpers import rudderstack
from sqlalchemy import orm
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.asyncio import create_async_engine as create

from asyncsdk import Client, ClientClosedError, ConfigurationError, TransactionError
from asyncsdk.dev import DevServer
from asyncsdk.engines import Memory, Postgres, Redis
from asyncsdk.testing import FakeClient
from engines.servers import PostgresServer
from engines.test_outbox import LIBRARIES, Begin, count, run, with_asyncpg, with_session

DRIVERS = ("asyncpg", "psycopg")


@pytest.fixture
async def engine(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> AsyncIterator[Postgres]:
    engine = Postgres(postgres_server.dsn, table=f"refusals_{abs(hash(request.node.name)) % 10**9}")
    await engine.migrate()
    yield engine
    await engine.aclose()


@pytest.fixture
async def client(engine: Postgres, server: DevServer) -> AsyncIterator[Client]:
    async with Client(rudderstack(server), engine=engine) as client:
        yield client


def url(engine: Postgres, driver: str) -> str:
    return engine._dsn.replace("postgresql", f"postgresql+{driver}", 1)


async def refuses(client: Client, connection: Any, problem: str) -> None:
    with pytest.raises(TransactionError, match=problem):
        await client.track("ada", "a", connection=connection)
    assert client.health().destinations["RudderStack"].counts.accepted == 0


@pytest.mark.parametrize(
    "connection", [True, "postgresql://", object(), {}, asyncio.Lock()], ids=lambda given: type(given).__name__
)
async def test_what_is_no_connection_is_refused(client: Client, connection: object) -> None:
    await refuses(client, connection, "`connection` must be an asyncpg connection")


async def test_what_only_makes_connections_is_refused(client: Client, engine: Postgres) -> None:
    made = create(url(engine, "asyncpg"))
    pool = psycopg_pool.AsyncConnectionPool(engine._dsn, open=False)
    for connection in (made, pool, orm.Session(), await asyncpg.create_pool(engine._dsn, min_size=0)):
        await refuses(client, connection, f"not an? {type(connection).__name__} of ")


async def test_another_kind_of_database_is_refused(client: Client) -> None:
    made = create("sqlite+aiosqlite://")
    async with AsyncSession(made) as session:
        await refuses(client, session, "its database is sqlite")
    await made.dispose()


async def test_a_closed_connection_is_refused(client: Client, engine: Postgres) -> None:
    by_asyncpg = await asyncpg.connect(engine._dsn)
    await by_asyncpg.close()
    by_psycopg = await psycopg.AsyncConnection.connect(engine._dsn)
    await by_psycopg.close()
    for connection in (by_asyncpg, by_psycopg):
        await refuses(client, connection, "is closed")


async def test_a_connection_that_went_back_to_its_pool_is_refused(client: Client, engine: Postgres) -> None:
    async with asyncpg.create_pool(engine._dsn, min_size=1) as pool:
        async with pool.acquire() as connection:
            pass
        await refuses(client, connection, "released back to the pool")


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_connection_of_sqlalchemy_that_is_not_open_is_refused(
    client: Client, engine: Postgres, driver: str
) -> None:
    made = create(url(engine, driver))
    await refuses(client, made.connect(), "await")
    async with made.connect() as connection:
        pass
    await refuses(client, connection, "closed|await")
    await made.dispose()


async def test_asyncpg_without_a_transaction_is_refused(client: Client, engine: Postgres) -> None:
    connection = await asyncpg.connect(engine._dsn)
    await refuses(client, connection, "commits each statement by itself.*use `async with connection.transaction")
    await connection.close()


async def test_psycopg_in_autocommit_mode_is_refused(client: Client, engine: Postgres) -> None:
    async with await psycopg.AsyncConnection.connect(engine._dsn, autocommit=True) as connection:
        await refuses(client, connection, "commits each statement by itself")


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("of_engine", [True, False])
async def test_sqlalchemy_in_autocommit_mode_is_refused(
    client: Client, engine: Postgres, driver: str, of_engine: bool
) -> None:
    made = create(url(engine, driver), isolation_level="AUTOCOMMIT" if of_engine else "REPEATABLE READ")
    options = {} if of_engine else {"isolation_level": "AUTOCOMMIT"}
    async with AsyncSession(made.execution_options(**options)) as session:
        await refuses(client, session, "commits each statement by itself.*isolation level")
    async with made.connect() as plain:
        await refuses(client, await plain.execution_options(**options), "commits each statement by itself")
    await made.dispose()


@pytest.mark.parametrize("begin", LIBRARIES.values(), ids=LIBRARIES)
async def test_a_transaction_that_has_failed_is_refused(client: Client, engine: Postgres, begin: Begin) -> None:
    with pytest.raises(TransactionError, match="has failed"):
        async with begin(engine._dsn) as connection:
            with pytest.raises(Exception, match="division by zero"):
                await run(connection, "select 1 / 0")
            await client.track("ada", "a", connection=connection)


@pytest.mark.parametrize("begin", LIBRARIES.values(), ids=LIBRARIES)
async def test_a_read_only_transaction_is_refused(client: Client, engine: Postgres, begin: Begin) -> None:
    with pytest.raises(TransactionError, match="read-only"):
        async with begin(engine._dsn) as connection:
            await run(connection, "set transaction read only")
            await client.track("ada", "a", connection=connection)


@pytest.mark.parametrize("begin", LIBRARIES.values(), ids=LIBRARIES)
async def test_a_missing_table_and_privilege_are_named(engine: Postgres, server: DevServer, begin: Begin) -> None:
    async with Client(rudderstack(server), engine=engine) as client:
        with pytest.raises(TransactionError, match="grant insert on"):
            async with begin(engine._dsn) as connection:
                await run(connection, "create role clerk")
                await run(connection, "set local role clerk")
                await client.track("ada", "a", connection=connection)
        with pytest.raises(TransactionError, match="run `asyncsdk relay migrate`"):
            async with begin(engine._dsn) as connection:
                await run(connection, "set local search_path to nowhere")
                await client.track("ada", "a", connection=connection)


@pytest.mark.parametrize("driver", DRIVERS)
async def test_other_errors_of_the_server_are_the_drivers_own_and_do_not_show_the_event(
    client: Client, engine: Postgres, driver: str
) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with with_session(driver)(engine._dsn) as session:
            await run(session, f"alter table {engine._sql.table} add check (length(destination) < 3)")
            await client.track("ada", "a", {"secret": "hush-hush"}, connection=session)

    assert "hush-hush" not in str(caught.value)
    assert "violates check constraint" in str(caught.value)


class Table(orm.DeclarativeBase):
    pass


class Order(Table):
    __tablename__ = "refused_orders"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True)


async def test_a_session_whose_flush_has_failed_is_refused(client: Client, engine: Postgres) -> None:
    made = create(url(engine, "asyncpg"))
    async with AsyncSession(made) as session:
        await (await session.connection()).run_sync(Table.metadata.create_all)
        session.add(Order(number=2**40))
        with pytest.raises(DBAPIError):
            await session.flush()
        await refuses(client, session, "transaction has been rolled back")
    await made.dispose()


async def test_a_session_without_one_database_is_refused(client: Client) -> None:
    await refuses(client, AsyncSession(), "bind")


async def test_two_tasks_on_one_connection_get_an_error(client: Client, engine: Postgres) -> None:
    async with with_asyncpg(engine._dsn) as connection:
        other = asyncio.create_task(connection.execute("select pg_sleep(0.3)"))
        await asyncio.sleep(0.05)
        await refuses(client, connection, "another operation is in progress")
        await other


@pytest.mark.parametrize("engine", [None, Memory(), Redis("redis://127.0.0.1:9")], ids=repr)
@pytest.mark.parametrize("enabled", [True, False])
async def test_a_client_without_postgres_says_what_it_needs(server: DevServer, engine: Any, enabled: bool) -> None:
    client = Client(rudderstack(server), engine=engine, enabled=enabled, close_timeout=0.1)
    await client.start()
    with pytest.raises(ConfigurationError, match=r"needs a client with engine=Postgres\(dsn\)"):
        await client.track("ada", "a", connection=object())  # type: ignore[call-overload, arg-type]
    await client.aclose()


async def test_a_client_that_is_off_checks_the_event_and_leaves_the_connection_alone(server: DevServer) -> None:
    async with Client(rudderstack(server), engine=Postgres("postgresql://127.0.0.1:9/none"), enabled=False) as client:
        receipt = await client.track("ada", "a", connection=object())  # type: ignore[arg-type]

    assert (await receipt)["RudderStack"].reason == "disabled"


async def test_a_closed_client_refuses(client: Client, engine: Postgres) -> None:
    await client.aclose()
    async with with_asyncpg(engine._dsn) as connection:
        with pytest.raises(ClientClosedError):
            await client.track("ada", "a", connection=connection)


async def test_a_fake_client_delivers_at_once() -> None:
    async with FakeClient() as fake:
        receipt = await fake.track("ada", "a", connection=object())  # type: ignore[arg-type]
        await fake.bind("ada").track("b", connection=object())  # type: ignore[call-overload]

    assert (await receipt)["RudderStack"].status == "delivered"
    assert [event.name for event in fake.events] == ["a", "b"]


@pytest.mark.parametrize("begin", LIBRARIES.values(), ids=LIBRARIES)
async def test_a_cancelled_call_counts_nothing_and_leaves_no_event(
    engine: Postgres, server: DevServer, begin: Begin
) -> None:
    lock = await asyncpg.connect(engine._dsn)
    transaction = lock.transaction()
    async with Client(rudderstack(server), engine=engine) as client:
        with pytest.raises((TimeoutError, DBAPIError, psycopg.Error)):
            async with begin(engine._dsn) as connection:
                await run(connection, "select 1")
                await transaction.start()
                await lock.execute(f"lock table {engine._sql.table}")
                async with asyncio.timeout(0.1):
                    await client.track("ada", "a", connection=connection)
        counts = client.health().destinations["RudderStack"].counts
    await lock.close()

    assert (counts.accepted, await count(engine)) == (0, 0)
