"""A shop on FastAPI and SQLAlchemy: an order and its event are one transaction in Postgres, and relays deliver it.

    export SHOP_DATABASE=postgresql://shop:secret@db.internal/shop
    export RUDDERSTACK_WRITE_KEY=... RUDDERSTACK_URL=https://plane.example.com
    asyncsdk relay migrate asyncsdk.examples.fleet.shop:make_client
    uvicorn --factory asyncsdk.examples.fleet.shop:init
    asyncsdk relay asyncsdk.examples.fleet.shop:make_client --listen 0.0.0.0:9464    # as many as you like

What to look at: `order` gives the session to `track`. If the payment is declined after that, neither the order nor its
event exists. The relays take the destinations and the engine from `make_client`, so both are configured once.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from asyncsdk import Client, RudderStack
from asyncsdk.engines import Postgres


class Table(DeclarativeBase):
    """The tables of the shop. That of the events is made by `asyncsdk relay migrate`."""


class Order(Table):
    """An order."""

    __tablename__ = "shop_orders"
    number: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    sku: Mapped[str]


class OrderRequest(BaseModel):
    """What a customer asks for; a card that begins with 0 is declined."""

    customer: str
    sku: str
    card: str = "4"


def make_client(environ: Mapping[str, str] = os.environ) -> Client:
    """Build the client, for the shop and for the relays."""
    plane = RudderStack(environ["RUDDERSTACK_WRITE_KEY"], environ["RUDDERSTACK_URL"])
    return Client(plane, engine=Postgres(environ["SHOP_DATABASE"]))


def init(environ: Mapping[str, str] = os.environ) -> FastAPI:
    """Build the shop from the environment; a missing variable raises `KeyError` with its name."""
    scheme, _, rest = environ["SHOP_DATABASE"].partition("://")
    database, client = create_async_engine(f"{scheme}+asyncpg://{rest}"), make_client(environ)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with database.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)
        async with client:
            yield
        await database.dispose()

    app = FastAPI(title="The shop of a fleet", lifespan=lifespan)

    @app.post("/orders", status_code=201)
    async def order(given: OrderRequest) -> dict[str, int]:
        async with AsyncSession(database) as session, session.begin():
            made = Order(customer=given.customer, sku=given.sku)
            session.add(made)
            await session.flush()
            # The event's id is the order's: a copy can be recognised anywhere.
            await client.track(
                given.customer,
                "Order Completed",
                {"order": made.number, "sku": given.sku},
                message_id=f"order-{made.number}",
                connection=session,
            )
            charge(given.card)
            return {"order": made.number}

    return app


def charge(card: str) -> None:
    """Charge a card, which may be declined."""
    if card.startswith("0"):
        raise HTTPException(402, "the card was declined")
