"""The outbox where processes die and transactions overlap: what commits is delivered, in order; what does not, is not."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from fastapi import FastAPI, HTTPException
from helpers import rudderstack
from httpx import ASGITransport, AsyncClient
from sqlalchemy import orm, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from asyncsdk import Client
from asyncsdk.dev import DevServer
from asyncsdk.engines import Postgres
from asyncsdk.relay import Relay
from engines.servers import PostgresServer
from engines.test_outbox import count

BUYER = """
import asyncio, sys
import asyncpg
from asyncsdk import Client, RudderStack
from asyncsdk.engines import Postgres

async def main(dsn, table, commits):
    async with Client(RudderStack("key", "http://127.0.0.1:9"), engine=Postgres(dsn, table=table)) as client:
        connection = await asyncpg.connect(dsn)
        transaction = connection.transaction()
        await transaction.start()
        await client.track("ada", "Order Completed", connection=connection)
        if commits:
            await transaction.commit()
        print("written", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] == "True"))
"""


@pytest.fixture
async def engine(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> AsyncIterator[Postgres]:
    engine = Postgres(postgres_server.dsn, table=f"crashes_{abs(hash(request.node.name)) % 10**9}")
    await engine.migrate()
    yield engine
    await engine.aclose()


@pytest.mark.process
@pytest.mark.parametrize("commits", [True, False])
async def test_a_process_killed_around_its_commit_leaves_the_event_or_none(engine: Postgres, commits: bool) -> None:
    arguments = [sys.executable, "-c", BUYER, engine._dsn, engine._sql.channel, str(commits)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = await asyncio.create_subprocess_exec(*arguments, env=environment, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"written\n"
    process.kill()
    await process.wait()

    assert await count(engine) == int(commits)


async def put_in(engine: Postgres, connection: asyncpg.Connection, body: bytes) -> None:
    await engine.put_in(connection, [("d", body)])


async def take_all(engine: Postgres, number: int) -> list[bytes]:
    found: list[bytes] = []
    async with asyncio.timeout(10.0):
        while len(found) < number:
            taken = await engine.take("d", 10, 1.0, 30.0)
            found += [one.entry for one in taken]
            await engine.ack("d", [one.lease for one in taken])
    return found


async def settle_floor(engine: Postgres) -> None:
    """Read the floor as often as it takes to rise to the oldest row."""
    for _ in range(3):
        for label, floor in engine._floors.items():
            engine._floors[label] = type(floor)(floor.id, floor.next_id, floor.pending_until, 0.0)
        await engine._floor("d")


async def test_an_event_that_commits_after_a_later_one_is_taken(engine: Postgres) -> None:
    slow, fast = [await asyncpg.connect(engine._dsn) for _ in range(2)]
    first, second = slow.transaction(), fast.transaction()
    await first.start()
    await put_in(engine, slow, b"1 commits last")
    await second.start()
    await put_in(engine, fast, b"2 commits first")
    await second.commit()
    (taken,) = await engine.take("d", 10, 1.0, 30.0)
    await settle_floor(engine)
    await first.commit()

    assert (taken.entry, await take_all(engine, 1)) == (b"2 commits first", [b"1 commits last"])
    await slow.close()
    await fast.close()


async def test_the_floor_waits_for_transactions_that_may_still_commit(engine: Postgres) -> None:
    slow = await asyncpg.connect(engine._dsn)
    transaction = slow.transaction()
    await transaction.start()
    await put_in(engine, slow, b"1")
    await engine.put("d", [b"2"])
    await settle_floor(engine)
    held_back = await engine._floor("d")
    await transaction.commit()
    await engine.put("d", [b"3"])  # of the same user as 1, and after it

    assert (held_back, await take_all(engine, 3)) == (0, [b"1", b"2", b"3"])
    await slow.close()


async def test_the_floor_rises_when_no_transaction_is_open(engine: Postgres) -> None:
    await engine.put("d", [b"1"])
    await engine.put("d", [b"2"])
    (first,) = await engine.take("d", 1, 0.0, 30.0)
    await engine.ack("d", [first.lease])
    await settle_floor(engine)

    assert await engine._floor("d") == first.lease + 1


@pytest.mark.torture
async def test_no_event_of_overlapping_transactions_is_skipped_or_out_of_order(engine: Postgres) -> None:
    """Users order one after the other, in transactions that end in any order: each user's events stay in order."""
    users, orders = 20, 40

    async def shop(user: int) -> None:
        connection = await asyncpg.connect(engine._dsn)
        for order in range(orders):
            async with connection.transaction():
                await put_in(engine, connection, f"{user} {order}".encode())
                await asyncio.sleep((user * 7 + order * 3) % 11 / 200)
        await connection.close()

    shopping = asyncio.gather(*map(shop, range(users)))
    found = await asyncio.wait_for(take_all(engine, users * orders), 60.0)
    await shopping

    assert len(set(found)) == users * orders
    for user in range(users):
        mine = [int(body.split()[1]) for body in found if body.startswith(b"%d " % user)]
        assert mine == sorted(mine)


# --- a request of FastAPI in two phases -----------------------------------------------------------------------


class Model(orm.DeclarativeBase):
    pass


class Purchase(Model):
    __tablename__ = "purchases"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    sku: orm.Mapped[str]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_an_error_later_in_a_request_takes_the_order_and_its_event_back(
    engine: Postgres, server: DevServer, driver: str
) -> None:
    database = create_async_engine(engine._dsn.replace("postgresql", f"postgresql+{driver}", 1))
    async with database.begin() as connection:
        await connection.run_sync(Model.metadata.drop_all)
        await connection.run_sync(Model.metadata.create_all)
    app = FastAPI()

    @app.post("/orders/{sku}")
    async def buy(sku: str) -> None:
        async with AsyncSession(database) as session, session.begin():
            # 1. The order and its event.
            session.add(Purchase(sku=sku))
            await client.track("ada", "Order Completed", {"sku": sku}, connection=session)
            # 2. What may still fail.
            if sku == "out-of-stock":
                raise HTTPException(409)

    async with Client(rudderstack(server), engine=engine) as client, Relay(*client.destinations, engine=engine):
        async with AsyncClient(transport=ASGITransport(app), base_url="http://shop") as http:
            replies = [await http.post(f"/orders/{sku}") for sku in ("lamp", "out-of-stock", "kettle")]
        events = await server.received("rudderstack", 2)
    async with AsyncSession(database) as session:
        sold = list(await session.scalars(select(Purchase.sku).order_by(Purchase.number)))
    await database.dispose()

    assert [reply.status_code for reply in replies] == [200, 409, 200]
    assert sorted(event.body["properties"]["sku"] for event in events) == sorted(sold) == ["kettle", "lamp"]
    assert await count(engine) == 0
