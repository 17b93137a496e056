"""The example of the page of the engines, run as printed."""

from types import SimpleNamespace

import pytest
from readme.pages import ENGINES, blocks, run
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from asyncsdk import Client, RudderStack
from asyncsdk.engines import Postgres
from engines.servers import PostgresServer

(BLOCK,) = blocks(ENGINES)


class Model(orm.DeclarativeBase):
    pass


class Order(Model):
    __tablename__ = "page_orders"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    sku: orm.Mapped[str]


@pytest.mark.parametrize("fails", [False, True])
async def test_the_order_and_its_event_are_one(postgres_server: PostgresServer, fails: bool) -> None:
    engine = Postgres(postgres_server.dsn, table="outbox_page_failing" if fails else "outbox_page")
    await engine.migrate()
    database = create_async_engine(postgres_server.dsn.replace("postgresql", "postgresql+asyncpg"))
    async with database.begin() as connection:
        await connection.run_sync(Model.metadata.drop_all)
        await connection.run_sync(Model.metadata.create_all)
    async with Client(RudderStack("k", "http://127.0.0.1:9"), engine=engine) as client:
        names = {"AsyncSession": AsyncSession, "database": database, "Order": Order, "client": client}
        if fails:
            with pytest.raises(ZeroDivisionError):
                await run(BLOCK + "    1 / 0\n", names)
        else:
            await run(BLOCK, names)
        found = SimpleNamespace(events=(await engine.stats("RudderStack")).waiting)
    async with AsyncSession(database) as session:
        found.order = await session.get(Order, 7)
    await database.dispose()

    assert (found.events, found.order is not None) == ((0, False) if fails else (1, True))
