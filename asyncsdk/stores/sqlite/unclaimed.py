"""Events that wait for destinations which this client does not have: those that were removed or renamed.

The spool cannot know whether another program still has such a destination, so it keeps the events:

1. They are counted, and the client logs their number.
2. They take no space from the client's own destinations: `max_bytes` does not include them.
3. After `max_age` they become dead letters, as events of other destinations do. The dead letters stay in their file
   until it is adopted; `SqliteFiles` moves them then.

A file of an ended process gets no new blocks, so it is examined once, and again when its oldest such block has reached
`max_age`.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import attrs

from asyncsdk._model.blocks import Block, BlockError, pack_block
from asyncsdk._model.receipts import Record
from asyncsdk._model.spooling import Settled
from asyncsdk._model.values import Shown
from asyncsdk.stores.sqlite.open_file import OpenFile, unpack_for
from asyncsdk.stores.sqlite.quota import Quota
from asyncsdk.stores.sqlite.rows import DeadRow, Row

logger = logging.getLogger("asyncsdk.spool")

# Bytes of blocks that expire in one transaction.
_STEP_BYTES = 1024 * 1024
_NEVER = float("inf")
_NONE: Mapping[str, int] = MappingProxyType({})


@attrs.define(eq=False, repr=False)
class _Found(Shown):
    """What one file has for other destinations: events by destination, their size, and when the oldest expires."""

    events: Mapping[str, int]
    bytes: int
    expires_ms: float


class UnclaimedEvents:
    """The events of a folder for destinations that the client does not have.

    Attributes:
        now_ms: The time of the latest commit, in milliseconds since 1970; until the first one, nothing expires.
        expired: Number of events that have become dead letters.
    """

    def __init__(self, quota: Quota) -> None:
        """Start without any."""
        self.now_ms = 0
        self.expired = 0
        self._max_age_ms = quota.max_age * 1000
        self._dead_bytes = quota.dead_bytes
        self._found: dict[Path, _Found] = {}

    def __repr__(self) -> str:
        return f"<UnclaimedEvents: {sum(self.events.values())} in {len(self._found)} files>"

    @property
    def events(self) -> Mapping[str, int]:
        """Their number, by destination."""
        if not self._found:
            return _NONE
        total = Counter[str]()
        for found in self._found.values():
            total.update(found.events)
        return total

    @property
    def bytes(self) -> int:
        """Their size on disk."""
        return sum(found.bytes for found in self._found.values())

    def is_due(self, path: Path) -> bool:
        """Return whether events of a file that was examined have reached `max_age`."""
        return path in self._found and self.now_ms >= self._found[path].expires_ms

    @property
    def due(self) -> Sequence[Path]:
        """Files with events that have reached `max_age`."""
        return [path for path in self._found if self.is_due(path)]

    def examine(
        self, file: OpenFile, destinations: Collection[str], quarantine: Callable[[OpenFile, Row], object]
    ) -> None:
        """Count the events of a file for other destinations, and turn those that are too old into dead letters.

        Args:
            file: A file of an ended process.
            destinations: The client's own.
            quarantine: Called with each damaged block.

        Raises:
            sqlite3.Error: The file cannot be read or written now.
        """
        path = file.lock.path
        if path in self._found and not self.is_due(path):
            return
        names = {name for name, size in file.database.count_bytes().items() if size and name not in destinations}
        expires_ms = min((self._expire(file, name, quarantine) for name in names), default=_NEVER)
        events = file.database.count_events() if names else {}
        sizes = file.database.count_bytes()
        self._found[path] = _Found(
            {name: events[name] for name in sorted(names & events.keys())},
            sum(sizes[name] for name in names),
            expires_ms,
        )

    def include_file(self, path: Path) -> None:
        """Count all of a file, which has events for other destinations only."""
        with suppress(OSError, KeyError):
            self._found[path].bytes = path.stat().st_size

    def forget(self, path: Path) -> None:
        """Forget a file that is examined again, or not at all."""
        self._found.pop(path, None)

    def forget_others(self, paths: Collection[Path]) -> None:
        """Forget all files but these."""
        for path in self._found.keys() - set(paths):
            del self._found[path]

    def _expire(self, file: OpenFile, destination: str, quarantine: Callable[[OpenFile, Row], object]) -> float:
        """Turn blocks that are too old into dead letters, and return when the next one will be."""
        expires_ms, number = _NEVER, 0
        while expires_ms == _NEVER and (rows := file.database.read(destination, 0, _STEP_BYTES)):
            finished: list[int] = []
            letters: list[DeadRow] = []
            for row in rows:
                try:
                    block = unpack_for(destination, row.body)
                except BlockError:
                    quarantine(file, row)
                else:
                    if block.time_ms + self._max_age_ms > self.now_ms:
                        expires_ms = block.time_ms + self._max_age_ms
                        break
                    letters.append(_to_dead_letter(block, row))
                finished.append(row.id)
            file.database.commit((), Settled(finished), letters, self._dead_bytes)
            number += sum(letter.events for letter in letters)
        if number:
            self.expired += number
            logger.warning("spool: %d events for %r have expired: dead letters now", number, destination)
        return expires_ms


def _to_dead_letter(block: Block, row: Row) -> DeadRow:
    """Return the unsettled records of a block as a dead letter."""
    kept = [record for position, record in enumerate(block.records) if not row.done >> position & 1]
    body = row.body
    if row.done:
        records = [Record(r.key, r.id, r.chunk, 0.0, r.second_key, int(r.is_exposure)) for r in kept]
        body = bytes(pack_block(block.destination, block.time_ms, records))
    return DeadRow(block.destination, len(kept), "dropped", "deadline", body)
