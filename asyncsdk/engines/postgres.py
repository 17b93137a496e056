"""An engine in a Postgres table, for services that have a Postgres and no Redis.

For each entry there is one row, which `take` leases with `for update skip locked`: it is not taken by others before
`due`. `put` notifies the relays that wait, which also look every second, so no notification has to arrive. Time is the
server's. The table is made by `asyncsdk relay migrate`, or by the SQL that it prints (`Postgres.migration`).

An event is accepted when its transaction is committed: with `synchronous_commit` on, it is on the server's disk.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import attrs

from asyncsdk._model.engines import EngineError, EngineStats, Taken
from asyncsdk.engines._extras import check_count, check_seconds, require
from asyncsdk.engines._own_transaction import execute_in
from asyncsdk.engines._postgres_errors import reported
from asyncsdk.engines._postgres_fleet import PostgresFleet
from asyncsdk.engines._postgres_sql import put_in, statements
from asyncsdk.errors import ConfigurationError

logger = logging.getLogger("asyncsdk.engine")

# Seconds between two searches for expired leases, and for rows whose notification was lost.
_LOOK_INTERVAL = 1.0
# The same behind a connection pooler, which passes no notifications on.
_POLL_INTERVAL = 0.1
_MAX_CONNECTIONS = 8
# Seconds between two checks of the connection that receives notifications.
_CHECK_INTERVAL = 10.0
# The loop itself keeps no strong reference to a task.
_releasing: "set[asyncio.Task[None]]" = set()
# Two migrations at once would both find no table.
_MIGRATION_LOCK = 0x61737964


@attrs.define(eq=False, repr=False)
class _Connections:
    """The connections of one event loop."""

    loop: asyncio.AbstractEventLoop
    pid: int
    opening: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    pool: Any = None
    listener: Any = None
    # When to check the listener, on the monotonic clock.
    check_at: float = 0.0
    # By destination; set, and replaced by a new one, when something was put.
    arrivals: dict[str, asyncio.Event] = attrs.field(factory=dict)

    def is_listening(self, now: float) -> bool:
        """Return whether there is a listener that needs no check."""
        return self.listener is not None and not self.listener.is_closed() and now < self.check_at


@attrs.frozen
class _Floor:
    """Where `take` starts to look.

    Attributes:
        id: The oldest row, older than all that may still appear.
        next_id: The oldest row of the latest reading.
        pending_until: Transactions before this one may still commit rows older than `next_id`.
        read_at: When to read again, on the monotonic clock.
    """

    id: int = 0
    next_id: int = 0
    pending_until: int = 0
    read_at: float = 0.0


class Postgres(PostgresFleet):
    """Keeps entries in a table of Postgres, 12 or newer.

    Args:
        dsn: `postgresql://user:password@host/database`, as libpq and asyncpg take it.
        table: Name of the table, with or without that of its schema.
        shards: Number of destinations' parts, as for `Redis`. One is enough for a server.
        timeout: Maximum time to wait for the server, in seconds.
        notify: Whether what is stored wakes the relays by NOTIFY when its transaction commits. False: they look every
            second. Postgres lets transactions that notify commit one after the other, which events in transactions of
            your own (`connection=`) may feel: see the page of the engines.
        pooler: Whether a pooler in transaction mode, such as PgBouncer, is in between: it allows neither prepared
            statements nor notifications, so relays look every 0.1 s instead.

    Raises:
        ConfigurationError: The extra `postgres` is not installed, or a setting is out of range.
    """

    def __init__(
        self,
        dsn: str,
        *,
        table: str = "asyncsdk_events",
        shards: int = 1,
        timeout: float = 3.0,
        notify: bool = True,
        pooler: bool = False,
    ) -> None:
        require("asyncpg", "postgres")
        scheme, _, rest = dsn.partition("://") if isinstance(dsn, str) else ("", "", "")
        if scheme.partition("+")[0] not in ("postgres", "postgresql") or not rest:
            msg = "the DSN of a Postgres engine has the form postgresql://user:password@host:5432/database"
            raise ConfigurationError(msg)
        # SQLAlchemy names a driver in the scheme.
        self._dsn = f"postgresql://{rest}"
        self._sql = statements(table, notify=notify)
        self._fleet = self._sql.fleet
        self.shards = check_count(shards, "shards", 1)
        self._timeout = check_seconds(timeout, "timeout")
        self._notify = notify
        self._pooler = pooler
        self._look_interval = _LOOK_INTERVAL
        self._owner = ""
        self._connections: _Connections | None = None
        # By destination.
        self._floors: dict[str, _Floor] = {}

    def __repr__(self) -> str:
        try:
            parts = urlsplit(self._dsn)
            where = f"{parts.hostname or ''}:{parts.port or 5432}{parts.path}"
        except ValueError:
            where = "..."
        return f"Postgres({where}, table={self._sql.table})"

    @property
    def migration(self) -> str:
        """The SQL that makes the table, for migrations of your own; safe to run again."""
        return self._sql.migrate

    @property
    def put_statement(self) -> str:
        """The SQL of `put`, with the destination as `$1` and the entries as `$2`, for use in another transaction."""
        return self._sql.put

    async def migrate(self) -> None:
        """Make the table if it does not exist.

        Raises:
            EngineError: The server cannot be reached, or refuses.
        """
        async with self._connection() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
            await connection.execute(self._sql.migrate)

    # --- connections ------------------------------------------------------------------------------------------

    @property
    def _current(self) -> _Connections:
        """The connections of the running loop and this process."""
        loop, current = asyncio.get_running_loop(), self._connections
        if current is None or current.loop is not loop or current.pid != os.getpid():
            current = self._connections = _Connections(loop, os.getpid())
            self._owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
            self._floors.clear()
        return current

    @property
    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"timeout": self._timeout, "command_timeout": self._timeout}
        if self._pooler:
            return {**options, "statement_cache_size": 0}
        # A plan made while the table was empty must not read all of it once it is not.
        settings = {"application_name": "asyncsdk", "enable_seqscan": "off", "enable_bitmapscan": "off"}
        return {**options, "server_settings": settings}

    async def _pool(self) -> Any:
        import asyncpg  # noqa: PLC0415 -- an extra

        current = self._current
        if current.pool is not None:
            return current.pool
        async with current.opening:
            if current.pool is None:  # pragma: no branch -- today's asyncpg does not wait to make a pool of none
                with reported():
                    current.pool = await asyncpg.create_pool(
                        self._dsn, min_size=0, max_size=_MAX_CONNECTIONS, **self._options
                    )
        return current.pool

    async def _listen(self) -> None:
        """Open the connection that receives notifications, unless it is open; check now and then that it works."""
        current = self._current
        if self._pooler or current.is_listening(time.monotonic()):
            return
        async with current.opening:
            if current.is_listening(now := time.monotonic()):
                return  # another call was faster
            if current.listener is not None and not current.listener.is_closed():
                # The network may have dropped it without a word; a server has nothing to say for hours.
                try:
                    await current.listener.execute("select 1")
                except Exception:  # noqa: BLE001 -- whatever it is, it is replaced
                    current.listener.terminate()
            if current.listener is None or current.listener.is_closed():
                with reported():
                    current.listener = await self._new_listener()
            current.check_at = now + _CHECK_INTERVAL

    async def _new_listener(self) -> Any:
        import asyncpg  # noqa: PLC0415 -- an extra

        listener = await asyncpg.connect(self._dsn, **self._options)
        try:
            await listener.add_listener(self._sql.channel, self._on_notification)
        except BaseException:
            listener.terminate()
            raise
        return listener

    def _on_notification(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        current = self._connections
        for destination in () if current is None else [name for name in current.arrivals if name[:200] == payload]:
            self._wake(destination)

    def _wake(self, destination: str) -> None:
        arrivals = self._current.arrivals
        arrivals[destination].set()
        arrivals[destination] = asyncio.Event()

    async def open(self) -> Sequence[str]:
        """Connect, and check that the table exists and that the server's settings are safe."""
        row = await self._fetch(
            """select to_regclass($1) is not null as found, current_setting('fsync') as fsync,
            current_setting('synchronous_commit') as synchronous_commit, current_setting('autovacuum') as autovacuum""",
            self._sql.table,
        )
        if not row[0]["found"]:
            msg = f"the table {self._sql.table} does not exist: run `asyncsdk relay migrate`"
            raise EngineError(msg, refused=True)
        return tuple(
            f"{name} is off, so {consequence}: set it to on"
            for name, consequence in (
                ("fsync", "a power cut loses events"),
                ("synchronous_commit", "a crash of the server loses the latest events"),
                ("autovacuum", "the table grows for ever"),
            )
            if row[0][name] == "off"
        )

    async def aclose(self) -> None:
        """Close all connections."""
        current, self._connections = self._connections, None
        if current is None or current.loop is not asyncio.get_running_loop() or current.pid != os.getpid():
            return
        with suppress(Exception):
            if current.listener is not None:
                await current.listener.close(timeout=self._timeout)
        with suppress(Exception):
            if current.pool is not None:
                async with asyncio.timeout(self._timeout):
                    await current.pool.close()

    async def _fetch(self, statement: str, *arguments: object) -> Sequence[Any]:
        async with self._connection() as connection:
            rows: Sequence[Any] = await connection.fetch(statement, *arguments)
            return rows

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """Borrow a connection of the pool.

        It is given back by a task of its own, for that takes seconds when the server does not answer, and then raises:
        `async with pool.acquire()` would raise this instead of a cancellation, which would be lost.
        """
        pool = await self._pool()
        with reported():
            connection = await pool.acquire(timeout=self._timeout)
            try:
                yield connection
            except BaseException:
                self._give_back(pool, connection)
                raise
            await asyncio.shield(self._give_back(pool, connection))

    def _give_back(self, pool: Any, connection: Any) -> "asyncio.Task[None]":
        async def release() -> None:
            with suppress(Exception):  # asyncpg has closed it
                await pool.release(connection, timeout=self._timeout)

        task = asyncio.get_running_loop().create_task(release(), name="asyncsdk postgres release")
        _releasing.add(task)
        task.add_done_callback(_releasing.discard)
        return task

    # --- verbs ------------------------------------------------------------------------------------------------

    async def put(self, destination: str, entries: Sequence[bytes]) -> None:
        """Store entries in one transaction."""
        await self._fetch(self._sql.put, _text(destination), list(entries))

    async def put_in(self, connection: object, entries: Sequence[tuple[str, bytes]]) -> None:
        """Store entries in a transaction of the caller's, which notifies the relays when it commits.

        Args:
            connection: An asyncpg connection, a psycopg `AsyncConnection`, or a SQLAlchemy `AsyncSession` or
                `AsyncConnection`, to the database of this engine.
            entries: Label of the destination and entry; there may be none.

        Raises:
            TransactionError: It is of another type, closed, without a transaction, or may not write. Other errors are
                those of its own library.
        """
        values = [value for label, body in entries for value in (_text(label), body)]

        def statement(is_two_phase: bool) -> str:  # noqa: FBT001 -- its only argument
            notify = self._notify and not is_two_phase
            return put_in(self._sql.table, self._sql.channel, len(entries), notify=notify)

        await execute_in(connection, statement, values, self._sql.table)

    async def take(self, destination: str, number: int, wait: float, lease: float) -> Sequence[Taken]:
        """Take the oldest rows that are due."""
        label, until = _text(destination), time.monotonic() + wait
        while True:
            arrival = self._current.arrivals.setdefault(label, asyncio.Event())
            floor = await self._floor(label)
            rows = await self._fetch(self._sql.take, label, number, float(lease), self._owner, floor)
            if rows:
                return [Taken(row["id"], row["body"], row["deliveries"]) for row in sorted(rows, key=_id_of)]
            if (left := until - time.monotonic()) <= 0:
                return ()
            await self._listen()
            # What was put before it listened was not announced; a new listener looks again at once.
            interval = _POLL_INTERVAL if self._pooler else min(self._look_interval, lease / 2)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, interval)):
                    await arrival.wait()

    async def _floor(self, label: str) -> int:
        """Return an id that no row of a destination is below, and none will be, as of a second ago."""
        now, floor = time.monotonic(), self._floors.get(label, _Floor())
        if now >= floor.read_at:
            (row,) = await self._fetch(self._sql.floor, label)
            if row["ended_before"] >= floor.pending_until:
                floor = _Floor(floor.next_id, row["id"], row["pending_until"])
            self._floors[label] = floor = attrs.evolve(floor, read_at=now + self._look_interval)
        return floor.id

    async def extend(self, destination: str, leases: Sequence[Any], lease: float) -> None:
        """Renew leases that were not lost."""
        if leases:
            await self._fetch(self._sql.extend, list(leases), self._owner, float(lease))

    async def release(self, destination: str, leases: Sequence[Any]) -> None:
        """Hand entries back."""
        if leases:
            await self._fetch(self._sql.release, list(leases), self._owner)

    async def ack(self, destination: str, leases: Sequence[Any]) -> None:
        """Delete entries."""
        if leases:
            await self._fetch(self._sql.ack, list(leases))

    async def stats(self, destination: str) -> EngineStats:
        """Count the rows of a destination."""
        (row,) = await self._fetch(self._sql.stats, _text(destination))
        return EngineStats(row["waiting"], row["taken"], max(0.0, row["oldest"]))


def _id_of(row: Any) -> int:
    number: int = row["id"]
    return number


def _text(destination: str) -> str:
    # The one character that no text of Postgres may contain.
    return destination.replace("\0", "\ufffd")
