"""Kinds of transactions for an event of the caller's: two phases, pipelines, poolers, nested ones."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from helpers import rudderstack, statsig
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from asyncsdk import Client, RudderStack, User
from asyncsdk._model.blocks import unpack_block
from asyncsdk.dev import DevServer
from asyncsdk.engines import Postgres
from asyncsdk.relay import Relay
from engines.servers import PostgresServer
from engines.test_outbox import count

Begin = Callable[[str], AbstractAsyncContextManager[Any]]


@pytest.fixture
async def engine(postgres_server: PostgresServer) -> AsyncIterator[Postgres]:
    engine = Postgres(postgres_server.dsn, table=f"kinds_{uuid4().hex}")
    await engine.migrate()
    yield engine
    await engine.aclose()


@pytest.fixture
async def client(engine: Postgres, server: DevServer) -> AsyncIterator[Client]:
    async with Client(rudderstack(server), engine=engine) as client:
        yield client


@asynccontextmanager
async def two_phases_of_psycopg(dsn: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.tpc_begin(uuid4().hex)
        try:
            yield connection
        except BaseException:
            await connection.tpc_rollback()
            raise
        await connection.tpc_prepare()
        await connection.tpc_commit()


def two_phases_of_a_session(driver: str) -> Begin:
    @asynccontextmanager
    async def begin(dsn: str) -> AsyncIterator[Any]:
        engine = create_async_engine(dsn.replace("postgresql", f"postgresql+{driver}", 1), poolclass=NullPool)
        async with AsyncSession(engine, twophase=True) as session, session.begin():
            yield session

    return begin


def session_of(driver: str, **settings: Any) -> Begin:
    @asynccontextmanager
    async def begin(dsn: str) -> AsyncIterator[Any]:
        url = dsn.replace("postgresql", f"postgresql+{driver}", 1)
        engine = create_async_engine(url, poolclass=NullPool, **settings)
        async with AsyncSession(engine) as session, session.begin(), session.begin_nested():
            yield session

    return begin


@asynccontextmanager
async def pipeline_of_psycopg(dsn: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection, connection.pipeline():
        yield connection


@asynccontextmanager
async def nested_of_psycopg(dsn: str) -> AsyncIterator[Any]:
    async with (
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
        connection.transaction(),
        connection.transaction(),
    ):
        yield connection


@asynccontextmanager
async def connected(dsn: str, **settings: Any) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn, **settings)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def without_statement_cache(dsn: str) -> AsyncIterator[Any]:
    async with (
        connected(dsn, statement_cache_size=0) as connection,
        connection.transaction(),
        connection.transaction(),
    ):
        yield connection


@asynccontextmanager
async def begun_by_a_statement(dsn: str) -> AsyncIterator[Any]:
    async with connected(dsn) as connection:
        await connection.execute("begin")
        yield connection
        await connection.execute("commit")


POOLER = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
KINDS: dict[str, Begin] = {
    "two phases of psycopg": two_phases_of_psycopg,
    "two phases of a session, psycopg": two_phases_of_a_session("psycopg"),
    "two phases of a session, asyncpg": two_phases_of_a_session("asyncpg"),
    "pipeline of psycopg": pipeline_of_psycopg,
    "nested of psycopg": nested_of_psycopg,
    "asyncpg without a statement cache": without_statement_cache,
    "asyncpg, begun by a statement": begun_by_a_statement,
    "session for a pooler, asyncpg": session_of("asyncpg", connect_args=POOLER),
    "session for a pooler, psycopg": session_of("psycopg", connect_args={"prepare_threshold": None}),
    "serializable session": session_of("asyncpg", isolation_level="SERIALIZABLE"),
}


@pytest.fixture(params=KINDS)
def begin(request: pytest.FixtureRequest) -> Begin:
    return KINDS[request.param]


async def test_a_commit_writes_the_event(client: Client, engine: Postgres, begin: Begin) -> None:
    async with begin(engine._dsn) as connection:
        await client.track("ada", "Order Completed", connection=connection)

    assert await count(engine) == 1


async def test_a_rollback_leaves_none(client: Client, engine: Postgres, begin: Begin) -> None:
    with suppress(ZeroDivisionError):
        async with begin(engine._dsn) as connection:
            await client.track("ada", "Order Completed", connection=connection)
            raise ZeroDivisionError

    assert await count(engine) == 0


async def test_relays_find_an_event_of_two_phases_without_a_notification(
    client: Client, engine: Postgres, server: DevServer
) -> None:
    async with Relay(*client.destinations, engine=engine):
        async with two_phases_of_psycopg(engine._dsn) as connection:
            await client.track("ada", "Order Completed", connection=connection)
        async with asyncio.timeout(10.0):
            await server.received("rudderstack")


async def test_an_event_that_is_prepared_waits_for_its_commit_and_keeps_none_back(
    client: Client, engine: Postgres
) -> None:
    async with await psycopg.AsyncConnection.connect(engine._dsn) as connection:
        await connection.tpc_begin("prepared")
        await client.track("ada", "first", connection=connection)
        await connection.tpc_prepare()
        await client.track("bob", "second")
        taken = await engine.take("RudderStack", 10, 3.0, 30.0)
        assert [unpack_block(one.entry).records[0].key for one in taken] == ["bob"]
        await engine.ack("RudderStack", [one.lease for one in taken])
        await connection.tpc_commit()

    taken = await engine.take("RudderStack", 10, 3.0, 30.0)
    assert [unpack_block(one.entry).records[0].key for one in taken] == ["ada"]


async def test_concurrent_events_on_one_connection_of_psycopg_are_all_written(client: Client, engine: Postgres) -> None:
    async with await psycopg.AsyncConnection.connect(engine._dsn) as connection:
        await asyncio.gather(*(client.track("ada", str(number), connection=connection) for number in range(5)))

    assert await count(engine) == 5


async def test_private_attributes_are_not_written(engine: Postgres, server: DevServer) -> None:
    user = User("ada", custom={"plan": "pro"}, private_attributes={"iban": "DE-private"})
    async with (
        Client(statsig(server), rudderstack(server), engine=engine) as client,
        without_statement_cache(engine._dsn) as connection,
    ):
        await client.track(user, "Order Completed", connection=connection)
        bodies = await connection.fetch(f"select body from {engine._sql.table}")

    assert len(bodies) == 2
    assert not any(b"DE-private" in row["body"] for row in bodies)


async def test_the_engine_itself_may_be_unavailable(engine: Postgres) -> None:
    away = Postgres("postgresql://a@127.0.0.1:9/none", table=engine._sql.table.strip('"'))
    nowhere = RudderStack("key", "http://127.0.0.1:9")
    async with (
        Client(nowhere, engine=away, close_timeout=0.1) as client,
        without_statement_cache(engine._dsn) as connection,
    ):
        await client.track("ada", "Order Completed", connection=connection)

    assert await count(engine) == 1
