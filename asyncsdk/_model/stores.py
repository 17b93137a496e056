"""What a store does, as a type; a store of either kind is one file in `asyncsdk/stores`.

A store may raise whatever it likes: whoever uses it counts that, logs it once and goes on without it.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class RulesCache(Protocol):
    """Keeps the last good rules, so that a start during an outage has them."""

    async def load(self, key: str) -> bytes | None:
        """Give what was saved under `key`; None when nothing was."""
        ...

    async def save(self, key: str, body: bytes) -> None:
        """Keep `body` under `key`, in place of what was there: whole, or not at all."""
        ...


class AssignmentStore(Protocol):
    """Keeps sticky assignments: which group of an experiment a unit was given."""

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Give a unit's assignments, by name of the experiment or layer; empty when there are none."""
        ...

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        """Keep one assignment of a unit; None deletes it."""
        ...
