"""The interface between clients, relays and an engine: a protocol of six verbs, and the values that they exchange.

An engine keeps accepted events for a fleet. Clients `put` *entries*; relays `take` them, deliver the events in them,
and `ack` them. An entry is a block of events of one destination (`_model/blocks.py`), which the engine does not read.

A lease is the right to one entry for a time, from `take` on:

    put ──> waiting ──take──> taken ──ack──> deleted
               ^                │
               └── release, or the lease has expired

Promises of an engine:

1. An entry whose `put` returned is kept until it is acknowledged, as durably as the engine's settings say.
2. While an entry is leased, `take` returns it to no other caller; `extend` renews the lease.
3. When a lease expires, because its relay was killed, the next `take` returns the entry again.
4. Waiting entries are returned in the order of `put`, those that were taken before first.
5. `put` may store an entry twice if it fails half-way and is repeated. The events in it have ids.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import attrs

from asyncsdk._model.values import Value


class EngineError(Exception):
    """An engine did not do what it was asked; the text is the reason in a few words, without any address or key.

    Attributes:
        refused: Whether only a person can help: a wrong password, a missing table.
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


@attrs.frozen(eq=False, repr=False)
class Taken:
    """An entry that was taken.

    Attributes:
        lease: Names the entry and its lease, for `extend`, `ack` and `release`; hashable, and otherwise opaque.
        entry: The entry, as it was put.
        deliveries: Number of times that it was taken without having been released, this one included.
    """

    lease: Any
    entry: bytes
    deliveries: int


@attrs.frozen(eq=False, repr=False)
class EngineStats(Value):
    """The entries of one destination.

    Attributes:
        waiting: Number of entries that can be taken now.
        taken: Number of entries that are leased.
        oldest: Time since the oldest entry was put, in seconds; 0 if there is none.
    """

    waiting: int = 0
    taken: int = 0
    oldest: float = 0.0


class Engine(Protocol):
    """Where events wait for a fleet of relays: `Client(engine=...)`, `Relay(engine=...)`.

    A verb connects if necessary, so an engine can be a module-level global; it belongs to the event loop and process
    that use it. Every verb may raise `EngineError`, and nothing else; the caller tries again.

    In all verbs, `destination` is the label of a destination: any text. Its entries are apart from all others.
    """

    async def open(self) -> Sequence[str]:
        """Connect, and check the server's settings.

        Returns:
            What is wrong with them, a sentence each, for the log and `health()`.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections; a later verb opens new ones. Does not raise."""
        ...

    async def put(self, destination: str, entries: Sequence[bytes]) -> None:
        """Store entries. When this returns, they are as durable as the engine's settings say.

        Args:
            destination: Label of the destination.
            entries: At least one, in order.
        """
        ...

    async def take(self, destination: str, number: int, wait: float, lease: float) -> Sequence[Taken]:
        """Take the oldest entries that are not leased.

        Args:
            destination: Label of the destination.
            number: Maximum number of entries.
            wait: Maximum time to wait for the first one, in seconds.
            lease: Time after which another caller may take them, unless it is extended, in seconds.

        Returns:
            The entries, oldest first; none after `wait`.
        """
        ...

    async def extend(self, destination: str, leases: Sequence[Any], lease: float) -> None:
        """Renew leases, so that they last for `lease` seconds from now; those that were lost are not taken back."""
        ...

    async def ack(self, destination: str, leases: Sequence[Any]) -> None:
        """Delete entries permanently. Those that are gone already are ignored."""
        ...

    async def release(self, destination: str, leases: Sequence[Any]) -> None:
        """Hand entries back, so that the next `take` returns them; their deliveries are counted from 0 again."""
        ...

    async def stats(self, destination: str) -> EngineStats:
        """Count the entries of a destination."""
        ...


class TransactionalEngine(Engine, Protocol):
    """An engine in a database, which can also store entries in a transaction of the caller's."""

    async def put_in(self, connection: object, entries: Sequence[tuple[str, bytes]]) -> None:
        """Store entries in a transaction of the caller's: relays see them if and when that commits.

        Args:
            connection: The caller's connection.
            entries: Label of the destination and entry; there may be none.

        Raises:
            TransactionError: The connection cannot store them. Other errors are those of its own library.
        """
        ...


class _BeginsByCall(Protocol):
    """A connection of asyncpg."""

    def is_in_transaction(self) -> bool: ...


class _CommitsAsync(Protocol):
    """An `AsyncConnection` of psycopg; an `AsyncSession` or `AsyncConnection` of SQLAlchemy."""

    async def commit(self) -> None: ...


# What a type checker can know of a connection without importing its library.
DatabaseConnection = _BeginsByCall | _CommitsAsync
