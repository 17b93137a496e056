"""Statements in a transaction of the caller's: with a connection of asyncpg, psycopg 3 or SQLAlchemy 2.

A connection must be one on which nothing is committed before the caller commits:

    asyncpg      inside of `async with connection.transaction():`; without it, each statement commits itself
    psycopg      any but one in autocommit mode outside of `connection.transaction()`; others begin by themselves
    SQLAlchemy   any but one with the isolation level AUTOCOMMIT; an `AsyncSession` begins by itself

A transaction that will be committed in two phases may not notify, which Postgres would say at PREPARE only: after the
call. So these get a statement without a notification, if the library knows of the two phases.

These are checked without I/O, before anything is written. What the server then refuses raises the driver's own error,
because the transaction has failed and the caller may want to repeat it (a serialization failure, say); unless only a
change of code or schema can help: `TransactionError`. No library is imported that the caller does not use.
"""

import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from asyncsdk._model.validation import describe_type
from asyncsdk.errors import TransactionError

_KINDS = "an asyncpg connection, a psycopg AsyncConnection, or a SQLAlchemy AsyncSession or AsyncConnection"
_CLOSED = "the connection is closed"
_AUTOCOMMIT = "the connection commits each statement by itself, so the event would not depend on anything: {}"
# What the server says if only a change of code or schema helps.
_ADVICE = {
    "25P02": "the transaction has failed: roll it back, and begin again",
    "25006": "the transaction is read-only",
    "42P01": "its database, or search_path, has no table {table}: run `asyncsdk relay migrate`",
    "3F000": "its database has no table {table}: run `asyncsdk relay migrate`",
    "42501": "its role may not write events: grant insert on {table}",
}
_IDLE = 0  # psycopg.pq.TransactionStatus.IDLE


Statement = Callable[[bool], str]
"""Returns the statement, for a transaction of two phases (True) or one."""

Execute = Callable[[Any, Statement, Sequence[object]], Awaitable[None]]


async def execute_in(connection: object, statement: Statement, values: Sequence[object], table: str) -> None:
    """Execute a statement in the transaction of a connection.

    Args:
        connection: One of those above.
        statement: Returns the statement, with parameters `$1`, `$2` and so on.
        values: Their values. If there are none, only the type of the connection is checked.
        table: The table that it writes to.

    Raises:
        TransactionError: The connection is none of those, has no transaction, or cannot write events.
    """
    execute = _executor_of(connection)
    if not values:
        return
    with _advised(table):
        await execute(connection, statement, values)


def _executor_of(connection: object) -> Execute:
    """Return the function for a type of connection, whose library is loaded if there is such a connection."""
    for module, names, execute in _EXECUTORS:
        library = sys.modules.get(module)
        if library is not None and isinstance(connection, tuple(getattr(library, name) for name in names)):
            return execute
    msg = f"`connection` must be {_KINDS}, not {describe_type(connection)} of {type(connection).__module__}"
    raise TransactionError(msg)


async def _with_asyncpg(connection: Any, statement: Statement, values: Sequence[object]) -> None:
    from asyncpg import InterfaceError  # noqa: PLC0415 -- an extra

    try:
        if connection.is_closed():
            raise TransactionError(_CLOSED)
        if not connection.is_in_transaction():
            raise TransactionError(_AUTOCOMMIT.format("use `async with connection.transaction():`"))
        await connection.execute(statement(False), *values)  # noqa: FBT003 -- asyncpg has no calls for two phases
    except InterfaceError as error:  # released to its pool, or used by another task
        raise TransactionError(str(error)) from error


async def _with_psycopg(connection: Any, statement: Statement, values: Sequence[object]) -> None:
    from psycopg import AsyncCursor  # noqa: PLC0415 -- a library of the caller's

    if connection.closed:
        raise TransactionError(_CLOSED)
    if connection.autocommit and connection.info.transaction_status == _IDLE:
        raise TransactionError(_AUTOCOMMIT.format("use `async with connection.transaction():`"))
    # Not `connection.execute`: the caller's kind of cursor may have other placeholders.
    async with AsyncCursor(connection) as cursor:
        await cursor.execute(*_named(statement(bool(getattr(connection, "_tpc", None))), values))


async def _with_sqlalchemy(connection: Any, statement: Statement, values: Sequence[object]) -> None:
    from sqlalchemy import TwoPhaseTransaction  # noqa: PLC0415 -- a library of the caller's
    from sqlalchemy.exc import DBAPIError, InvalidRequestError  # noqa: PLC0415 -- a library of the caller's
    from sqlalchemy.ext.asyncio import AsyncConnection  # noqa: PLC0415 -- as above

    try:
        # A session has a connection, and begins its transaction there.
        own: Any = connection if isinstance(connection, AsyncConnection) else await connection.connection()
        driver: Any = (await own.get_raw_connection()).dbapi_connection
        if own.dialect.name != "postgresql":
            msg = f"its database is {own.dialect.name}, and the engine's is Postgres"
            raise TransactionError(msg)
        if driver.autocommit:
            raise TransactionError(_AUTOCOMMIT.format("use another isolation level than AUTOCOMMIT"))
        chosen = statement(isinstance(own.sync_connection.get_transaction(), TwoPhaseTransaction))
        if own.dialect.driver == "asyncpg":
            await own.exec_driver_sql(chosen, tuple(values))
        else:
            await own.exec_driver_sql(*_named(chosen, values))
    except InvalidRequestError as error:
        # A closed connection, a session whose transaction has failed, one that is used by two tasks.
        raise TransactionError(str(error).partition("\n")[0]) from error
    except DBAPIError as error:
        error.hide_parameters = True  # its text would have the event in it
        raise


def _named(statement: str, values: Sequence[object]) -> tuple[Any, Mapping[str, object]]:
    """Return a statement and its values with the placeholders of psycopg: `%(v1)s` for `$1`."""
    return re.sub(r"\$(\d+)", r"%(v\1)s", statement), {f"v{place}": value for place, value in enumerate(values, 1)}


@contextmanager
def _advised(table: str) -> Iterator[None]:
    """Turn errors of the server that only a change of code or schema can help with into `TransactionError`."""
    try:
        yield
    except Exception as error:
        state = getattr(getattr(error, "orig", error), "sqlstate", None)
        if state not in _ADVICE:
            raise
        msg = f"the event cannot be written in the transaction of `connection`: {_ADVICE[state].format(table=table)}"
        raise TransactionError(msg) from error


_EXECUTORS: tuple[tuple[str, tuple[str, ...], Execute], ...] = (
    ("asyncpg.pool", ("PoolConnectionProxy",), _with_asyncpg),
    ("asyncpg.connection", ("Connection",), _with_asyncpg),
    ("psycopg", ("AsyncConnection",), _with_psycopg),
    ("sqlalchemy.ext.asyncio", ("AsyncSession", "async_scoped_session", "AsyncConnection"), _with_sqlalchemy),
)
