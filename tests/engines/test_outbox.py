"""Events in a transaction of the caller's (`connection=`): each library, and what commits and rolls back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import psycopg
import pytest
from helpers import amplitude, rudderstack, statsig
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.ext.asyncio import create_async_engine as create

from asyncsdk import Client, User
from asyncsdk.dev import DevServer
from asyncsdk.engines import Postgres
from asyncsdk.relay import Relay
from engines.servers import PostgresServer

# Opens a connection, and begins a transaction that is committed at the end of the block, or rolled back by an error.
Begin = Callable[[str], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def with_asyncpg(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def with_asyncpg_pool(dsn: str) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(dsn, min_size=1) as pool, pool.acquire() as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def with_psycopg(dsn: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        yield connection


@asynccontextmanager
async def with_psycopg_autocommit(dsn: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def with_psycopg_own_cursors(dsn: str) -> AsyncIterator[Any]:
    kinds = {"cursor_factory": psycopg.AsyncRawCursor, "row_factory": psycopg.rows.dict_row}
    async with await psycopg.AsyncConnection.connect(dsn, **kinds) as connection:
        yield connection


def with_session(driver: str) -> Begin:
    @asynccontextmanager
    async def begin(dsn: str) -> AsyncIterator[Any]:
        engine = create(dsn.replace("postgresql", f"postgresql+{driver}", 1))
        try:
            async with AsyncSession(engine) as session, session.begin():
                yield session
        finally:
            await engine.dispose()

    return begin


def with_connection(driver: str) -> Begin:
    @asynccontextmanager
    async def begin(dsn: str) -> AsyncIterator[Any]:
        engine = create(dsn.replace("postgresql", f"postgresql+{driver}", 1))
        try:
            async with engine.begin() as connection:
                yield connection
        finally:
            await engine.dispose()

    return begin


@asynccontextmanager
async def with_scoped_session(dsn: str) -> AsyncIterator[Any]:
    engine = create(dsn.replace("postgresql", "postgresql+asyncpg", 1))
    scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
    try:
        async with scoped.begin():
            yield scoped
    finally:
        await scoped.remove()
        await engine.dispose()


LIBRARIES: dict[str, Begin] = {
    "asyncpg": with_asyncpg,
    "asyncpg pool": with_asyncpg_pool,
    "psycopg": with_psycopg,
    "psycopg autocommit": with_psycopg_autocommit,
    "psycopg raw cursors": with_psycopg_own_cursors,
    **{f"session {driver}": with_session(driver) for driver in ("asyncpg", "psycopg")},
    **{f"connection {driver}": with_connection(driver) for driver in ("asyncpg", "psycopg")},
    "scoped session": with_scoped_session,
}


@pytest.fixture
async def engine(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> AsyncIterator[Postgres]:
    engine = Postgres(postgres_server.dsn, table=f"outbox_{abs(hash(request.node.name)) % 10**9}")
    await engine.migrate()
    yield engine
    await engine.aclose()


async def run(connection: Any, statement: str) -> None:
    """Execute a statement with a connection of any of the libraries."""
    if isinstance(connection, AsyncSession | async_scoped_session):
        connection = await connection.connection()
    is_sqlalchemy = isinstance(connection, AsyncConnection)
    await (connection.exec_driver_sql(statement) if is_sqlalchemy else connection.execute(statement))


async def count(engine: Postgres, label: str = "RudderStack") -> int:
    return (await engine.stats(label)).waiting


@pytest.mark.parametrize("begin", LIBRARIES.values(), ids=LIBRARIES)
async def test_an_event_exists_when_the_transaction_commits(begin: Begin, engine: Postgres, server: DevServer) -> None:
    async with Client(rudderstack(server), engine=engine) as client:
        async with begin(engine._dsn) as connection:
            receipt = await client.track("ada", "Order Completed", {"total": 5}, connection=connection)
            assert await count(engine) == 0
        assert await count(engine) == 1
        async with Relay(*client.destinations, engine=engine):
            (event,) = await server.received("rudderstack")

    assert (event.id, event.name) == (receipt.event_id, "Order Completed")


@pytest.mark.parametrize("begin", LIBRARIES.values(), ids=LIBRARIES)
async def test_an_event_does_not_exist_when_the_transaction_rolls_back(
    begin: Begin, engine: Postgres, server: DevServer
) -> None:
    async with Client(rudderstack(server), engine=engine) as client:
        with pytest.raises(RuntimeError, match="no stock"):
            async with begin(engine._dsn) as connection:
                await client.track("ada", "Order Completed", connection=connection)
                raise RuntimeError("no stock")

    assert await count(engine) == 0


@pytest.mark.parametrize("begin", LIBRARIES.values(), ids=LIBRARIES)
async def test_a_savepoint_takes_its_event_back_alone(begin: Begin, engine: Postgres, server: DevServer) -> None:
    async with Client(rudderstack(server), engine=engine) as client:
        async with begin(engine._dsn) as connection:
            await client.track("ada", "kept", connection=connection)
            await run(connection, "savepoint s")
            await client.track("ada", "undone", connection=connection)
            await run(connection, "rollback to savepoint s")
        async with Relay(*client.destinations, engine=engine):
            await server.received("rudderstack")

    assert [event.name for event in server.events] == ["kept"]


async def test_the_receipt_says_that_the_transaction_decides(engine: Postgres, server: DevServer) -> None:
    async with Client(rudderstack(server), amplitude(server), engine=engine) as client:
        async with with_asyncpg(engine._dsn) as connection:
            selected = {"Amplitude": False}
            receipt = await client.track("ada", "a", integrations=selected, connection=connection)
        counts = client.health().destinations["RudderStack"].counts

    first, second = (await receipt).values()
    assert (first.status, first.reason, second.status) == ("enqueued", "with the caller's transaction", "skipped")
    assert (counts.accepted, counts.enqueued, counts.pending) == (1, 1, 0)
    assert "enqueued: with the caller's transaction" in receipt.explain()


async def test_every_verb_and_flags_write_in_the_transaction(engine: Postgres, server: DevServer) -> None:
    async with Client(rudderstack(server), engine=engine) as client:
        flags = client.bind("ada", properties={"shop": "north"})
        async with with_asyncpg(engine._dsn) as connection:
            await client.identify("ada", {"plan": "pro"}, connection=connection)
            await client.track("ada", "a", connection=connection)
            await client.page("ada", "a", connection=connection)
            await client.screen("ada", "a", connection=connection)
            await client.group("ada", "g", connection=connection)
            await client.alias("old", "ada", connection=connection)
            await client.log_event("ada", "a", connection=connection)
            await flags.track("a", connection=connection)
            assert await count(engine) == 0

    assert await count(engine) == 8


async def test_raw_fields_of_amplitude_are_written_in_the_transaction(engine: Postgres, server: DevServer) -> None:
    async with Client(amplitude(server), engine=engine) as client, with_asyncpg(engine._dsn) as connection:
        await client.log_event({"event_type": "a", "user_id": "ada-1"}, connection=connection)

    assert await count(engine, "Amplitude") == 1


async def test_exposures_are_not_part_of_the_transaction(engine: Postgres, server: DevServer) -> None:
    async with Client(statsig(server), engine=engine) as client:
        with pytest.raises(RuntimeError):
            async with with_asyncpg(engine._dsn) as connection:
                flags = client.bind("ada")
                flags.check_gate("new_checkout")
                await flags.track("a", connection=connection)
                raise RuntimeError
        await client.flush()

    assert await count(engine, "Statsig") == 1  # the exposure


async def test_the_commit_notifies_the_relays(engine: Postgres, server: DevServer) -> None:
    relay = await asyncpg.connect(engine._dsn)
    heard: asyncio.Queue[object] = asyncio.Queue()
    await relay.add_listener(engine._sql.channel, lambda *notification: heard.put_nowait(notification[3]))
    async with Client(rudderstack(server), engine=engine) as client:
        async with with_asyncpg(engine._dsn) as connection:
            await client.track("ada", "a", connection=connection)
            await relay.execute("select 1")
            assert heard.empty()
        async with asyncio.timeout(10.0):
            assert await heard.get() == "RudderStack"
    await relay.close()


async def test_without_notify_nothing_is_notified_and_relays_look(postgres_server: PostgresServer) -> None:
    engine = Postgres(postgres_server.dsn, table="outbox_quiet", notify=False)
    await engine.migrate()
    heard: list[object] = []
    async with with_asyncpg(postgres_server.dsn) as connection:
        await engine.put_in(connection, [("d", b"1")])
    relay = await asyncpg.connect(postgres_server.dsn)
    await relay.add_listener("outbox_quiet", lambda *notification: heard.append(notification))
    await engine.put("d", [b"2"])
    async with with_asyncpg(postgres_server.dsn) as connection:
        await engine.put_in(connection, [("d", b"3")])
    await relay.execute("select 1")
    bodies = [one.entry for one in await engine.take("d", 5, 0.0, 1.0)]
    await relay.close()
    await engine.aclose()

    assert (heard, bodies) == ([], [b"1", b"2", b"3"])


async def test_all_destinations_and_shards_are_written_in_one_statement(
    postgres_server: PostgresServer, server: DevServer
) -> None:
    engine = Postgres(postgres_server.dsn, table="outbox_shards", shards=4)
    await engine.migrate()
    async with Client(rudderstack(server), statsig(server), engine=engine) as client:
        async with with_asyncpg(postgres_server.dsn) as connection:
            queries: list[str] = []
            connection.add_query_logger(lambda logged: queries.append(logged.query[:8]))
            await client.track("ada", "a", connection=connection)
        async with Relay(*client.destinations, engine=engine):
            await server.received("rudderstack")
            await server.received("statsig")
    await engine.aclose()

    assert queries == ["with put", "COMMIT;"]


async def test_concurrent_transactions_are_independent(engine: Postgres, server: DevServer) -> None:
    async with Client(rudderstack(server), engine=engine) as client:

        async def order(number: int) -> None:
            async with with_asyncpg(engine._dsn) as connection:
                await client.track(f"user-{number}", str(number), connection=connection)
                if number % 2:
                    raise RuntimeError

        await asyncio.gather(*map(order, range(20)), return_exceptions=True)
        async with Relay(*client.destinations, engine=engine):
            events = await server.received("rudderstack", 10)

    assert sorted(int(event.name) for event in events) == list(range(0, 20, 2))


async def test_middleware_drops_an_event_before_it_is_written(engine: Postgres, server: DevServer) -> None:
    client = Client(rudderstack(server), engine=engine)
    seen: list[str] = []

    async def drop(payload: Any, next: Any) -> None:
        seen.append(payload.event.name)

    async with client.add_middleware(drop), with_asyncpg(engine._dsn) as connection:
        receipt = await client.track("ada", "a", connection=connection)

    assert (seen, await count(engine)) == (["a"], 0)
    assert (await receipt)["RudderStack"].reason == "middleware"


async def test_an_invalid_event_leaves_the_transaction_usable(engine: Postgres, server: DevServer) -> None:
    async with Client(rudderstack(server), engine=engine, on_invalid="report") as client:
        client._admission.must_raise = False  # the dev server lets mistakes raise
        async with with_asyncpg(engine._dsn) as connection:
            receipt = await client.track("", "a", connection=connection)
            await client.track("ada", "b", connection=connection)

    assert (receipt.error != "", await count(engine)) == (True, 1)


async def test_an_event_written_beside_a_dev_server_is_kept_apart(
    engine: Postgres, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    async with Client(rudderstack(server), engine=engine) as client, with_asyncpg(engine._dsn) as connection:
        await client.track("ada", "a", connection=connection)

    assert (await count(engine), await count(engine, "RudderStack (dev server)")) == (0, 1)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.booleans()), max_size=12))
async def test_exactly_the_committed_events_exist(
    postgres_server: PostgresServer, orders: list[tuple[str, bool]]
) -> None:
    engine = Postgres(postgres_server.dsn, table="outbox_law")
    await engine.migrate()
    connection = await asyncpg.connect(postgres_server.dsn)
    await connection.execute("truncate outbox_law")
    for text, commits in orders:
        transaction = connection.transaction()
        await transaction.start()
        await engine.put_in(connection, [(text, text.encode())])
        await (transaction.commit() if commits else transaction.rollback())
    bodies = [bytes(row["body"]) for row in await connection.fetch("select body from outbox_law order by id")]
    await connection.close()
    await engine.aclose()

    assert bodies == [text.encode() for text, commits in orders if commits]


async def test_a_user_is_found_in_the_event_that_was_written(engine: Postgres, server: DevServer) -> None:
    async with Client(rudderstack(server), engine=engine) as client, Relay(*client.destinations, engine=engine):
        async with with_psycopg(engine._dsn) as connection:
            await client.track(User("ada-1", email="x@y.z"), "Zahlung eingegangen \u20ac", connection=connection)
        (event,) = await server.received("rudderstack")

    assert event.name == "Zahlung eingegangen \u20ac"
