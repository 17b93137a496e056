"""Events in a transaction of the caller's, with the connections that each library makes."""

from typing import Any, assert_type

import asyncpg
import psycopg
import psycopg_pool
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from asyncsdk import Client, Flags, Receipt, TransactionError
from asyncsdk.engines import DatabaseConnection


async def with_libraries(client: Client, dsn: str, engine: AsyncEngine, session: AsyncSession) -> None:
    connection = await asyncpg.connect(dsn)
    assert_type(await client.track("ada", "a", connection=connection), Receipt)
    async with asyncpg.create_pool(dsn) as pool, pool.acquire() as acquired:
        await client.identify("ada", {"plan": "pro"}, connection=acquired)
    async with await psycopg.AsyncConnection.connect(dsn) as own:
        await client.page("ada", "a", connection=own)
    async with psycopg_pool.AsyncConnectionPool(dsn) as connections, connections.connection() as pooled:
        await client.screen("ada", "a", connection=pooled)
    async with engine.begin() as begun:
        await client.group("ada", "g", connection=begun)
    await client.alias("old", "ada", connection=session)
    await client.log_event("ada", "a", connection=session)
    await client.log_event({"event_type": "a", "user_id": "ada-1"}, connection=session)


async def with_flags(flags: Flags, session: AsyncSession, given: AsyncSession | None) -> None:
    assert_type(flags.track("a"), Receipt)
    assert_type(await flags.track("a", {"step": 1}, connection=session), Receipt)


async def of_my_service(client: Client, connection: DatabaseConnection | None = None) -> None:
    try:
        await client.track("ada", "a", connection=connection)
    except TransactionError as error:
        assert_type(str(error), str)


async def mistakes(
    client: Client, session: Session, made: AsyncEngine, sync: sqlalchemy.Connection, begun: AsyncConnection
) -> None:
    await client.track("ada", "a", connection=session)  # type: ignore[arg-type]
    await client.track("ada", "a", connection=sync)  # type: ignore[arg-type]
    await client.track("ada", "a", connection=made)  # type: ignore[arg-type]
    await client.track("ada", "a", None, begun)  # type: ignore[call-arg]


async def a_pool_is_no_connection(client: Client, pool: "asyncpg.Pool[Any]") -> None:
    await client.track("ada", "a", connection=pool)  # type: ignore[arg-type]
