"""Who may go next: events of one user never overtake each other, also when some wait for a retry.

An order key is *held* while a flight carries an event of it. Events that arrive for a held key stand in that
key's line; when the flight lets the key go, they move up, ahead of newer arrivals. An event with two keys (an
alias) stands in both lines, and moves up when it is first in each.
"""

from collections import deque
from collections.abc import Iterable

import attrs

from asyncsdk._batching import Batch, keys_of
from asyncsdk._model.receipts import Record


@attrs.define(eq=False)
class Flight:
    """Events on their way together, and the order keys that they hold.

    Attributes:
        parts: The batches to send, in order; one until a vendor's answer splits it.
        keys: What it holds.
        not_before: When it may go, on the monotonic clock.
        refusals: Answers in a row that ask for patience.
        plain: Its bodies are not compressed.
        generation: The circuit's generation when it last left.
    """

    parts: deque[Batch]
    keys: set[str]
    not_before: float = 0.0
    refusals: int = 0
    plain: bool = False
    generation: int = 0

    @property
    def records(self) -> Batch:
        """Everything that is still on board, in order."""
        return [record for part in self.parts for record in part]


@attrs.define(eq=False)
class Pending:
    """Events of one destination that are in no flight."""

    ready: deque[Record] = attrs.field(factory=deque)
    _lines: dict[str, deque[Record]] = attrs.field(factory=dict)
    _held: set[str] = attrs.field(factory=set)

    def take(self, most_events: int, most_bytes: int) -> Batch:
        """Take the next batch of ready events whose keys are free, and hold those keys; empty when none is free."""
        batch: Batch = []
        size = 0
        ready, held, lines = self.ready, self._held, self._lines
        while ready and len(batch) < most_events:
            record = ready.popleft()
            key, also = record.key, record.also
            if key in held or key in lines or (also is not None and (also in held or also in lines)):
                self._queue_up(record)
                continue
            size += len(record.chunk)
            if batch and size > most_bytes:
                ready.appendleft(record)
                break
            batch.append(record)
        held |= keys_of(batch)
        return batch

    def release(self, keys: Iterable[str]) -> None:
        """Let keys go: whoever stands in their lines moves up, to the front."""
        keys = list(keys)
        self._held.difference_update(keys)
        moved: list[Record] = []
        for key in keys:
            self._advance(key, moved)
        self.ready.extendleft(reversed(moved))

    def remove(self, before: float = float("inf")) -> Batch:
        """Take out every event admitted before a point in time (all, by default), wherever it stands."""
        out = [record for record in self.ready if record.admitted < before]
        if out:
            self.ready = deque(record for record in self.ready if record.admitted >= before)
        late = {id(r): r for line in self._lines.values() for r in line if r.admitted < before}
        for record in late.values():
            self._leave(record)
        for key in list(self._lines):
            moved: list[Record] = []
            self._advance(key, moved)
            self.ready.extend(moved)
        return out + list(late.values())

    def oldest(self) -> float | None:
        """Say when the first of the ready events was admitted; None without any."""
        return self.ready[0].admitted if self.ready else None

    def _queue_up(self, record: Record) -> None:
        for key in record.keys:
            self._lines.setdefault(key, deque()).append(record)

    def _leave(self, record: Record) -> None:
        for key in record.keys:
            line = self._lines[key]
            line.remove(record)
            if not line:
                del self._lines[key]

    def _advance(self, key: str, moved: list[Record]) -> None:
        """Move those up who stand first in the free line of `key`, and in all other lines they stand in."""
        while key not in self._held and (line := self._lines.get(key)):
            record = line[0]
            if any(other in self._held or self._lines[other][0] is not record for other in record.keys):
                return
            self._leave(record)
            moved.append(record)
            for other in record.keys:
                if other != key:
                    self._advance(other, moved)
