"""The protocols of stores: `RulesCache`, `AssignmentStore` and `Spool`. Implementations are in `asyncsdk/stores`.

A store may raise any exception. The caller counts the failure, logs the first one of a series, and continues without
the store.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from asyncsdk._model.spooling import SpoolFiles


class RulesCache(Protocol):
    """Keeps the last good ruleset and its ID lists, so that a service can start while the vendor is unavailable."""

    async def load(self, key: str) -> bytes | None:
        """Return what was saved under `key`; None if nothing was.

        Args:
            key: Any text; identifies one ruleset or ID list.
        """
        ...

    async def save(self, key: str, body: bytes) -> None:
        """Save `body` under `key`, replacing what was there: completely, or not at all.

        Args:
            key: Any text; identifies one ruleset or ID list.
            body: Its content.
        """
        ...


class AssignmentStore(Protocol):
    """Keeps sticky assignments: the group of an experiment that a unit was given."""

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a unit's assignments, by name of the experiment or layer; empty if there are none.

        Args:
            key: Identifies the unit, such as `ada:userID`.
        """
        ...

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        """Save one assignment of a unit.

        Args:
            key: Identifies the unit.
            name: Name of the experiment or layer.
            assignment: JSON-like values to be returned by `load`; None deletes the assignment.
        """
        ...


@runtime_checkable
class ComparingStore(AssignmentStore, Protocol):
    """An `AssignmentStore` that several processes share without overwriting each other's groups.

    Of two processes that assign a unit at the same time, the first one wins, and the other takes over its group.
    """

    async def compare_and_set(
        self, key: str, name: str, expected: Mapping[str, Any] | None, assignment: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """Save one assignment if the stored one is equal to `expected`.

        Args:
            key: Identifies the unit.
            name: Name of the experiment or layer.
            expected: The assignment that the caller knows; None for none.
            assignment: JSON-like values; None deletes the assignment.

        Returns:
            What is stored afterwards: `assignment`, or what another process has saved.
        """
        ...


class Spool(Protocol):
    """The settings of a spool, which keeps accepted events on disk until every vendor has them: `Client(spool=...)`."""

    @property
    def rejects(self) -> bool:
        """Whether a verb raises `QueueFullError` when the spool is full; otherwise its event is dropped and counted."""
        ...

    @property
    def max_age(self) -> float:
        """Maximum time for which an event is retried, in seconds."""
        ...

    def may_have_events(self) -> bool:
        """Return whether an earlier process may have left events; must not block, so it may err on the side of True."""
        ...

    def open(self) -> "SpoolFiles":
        """Return the files, for use by one thread. They open nothing before their first call."""
        ...
