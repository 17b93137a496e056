"""Who may go next: events of one user never overtake each other, also when some wait for a retry.

An order key is *held* while a flight carries an event of it. Events that arrive for a held key stand in that
key's line; when the flight lets the key go, they move up, ahead of newer arrivals. An event with two keys (an
alias) stands in both lines, and moves up when it is first in each.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import accumulate, islice, repeat, starmap

import attrs

from asyncsdk._delivery.batching import Batch, chunk_of, exposures_of, keys_of, running_totals
from asyncsdk._model.receipts import Record


@attrs.define(eq=False, repr=False)
class InFlight:
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


@attrs.define(eq=False, repr=False)
class Pending:
    """Events of one destination that are in no flight.

    Attributes:
        ready: Those that nobody was before, as far as is known, in order of arrival.
    """

    ready: deque[Record] = attrs.field(factory=deque)
    _queues: dict[str, deque[Record]] = attrs.field(factory=dict)
    _busy_keys: set[str] = attrs.field(factory=set)
    # Keys whose line may move: an ordered set.
    _recheck: dict[str, None] = attrs.field(factory=dict)

    @property
    def needs_recheck(self) -> bool:
        """Whether somebody who stood in line may be free to go."""
        return bool(self._recheck)

    def heads(self) -> Batch:
        """Give those that nobody of their line was before: the oldest is among them."""
        return [record for line in [self.ready, *list(self._queues.values())] for record in list(line)[:1]]

    def next_batch(self, max_events: int, max_bytes: int) -> InFlight | None:
        """Take the next batch of events whose keys are free, and hold those keys; None when none is free.

        Those who stood in line go first. An event that is larger than a batch goes alone.
        """
        if not self._recheck and (flight := self._front_batch(max_events, max_bytes)) is not None:
            return flight
        batch: Batch = []
        number = size = 0
        for record in self._eligible():
            number += record.exposures or 1
            size += len(record.chunk)
            if batch and (number > max_events or size > max_bytes):
                break
            self._dequeue(record)
            batch.append(record)
        keys = keys_of(batch)
        self._busy_keys |= keys
        return InFlight(deque([batch]), keys) if batch else None

    def release(self, keys: AbstractSet[str]) -> None:
        """Let keys go: whoever stands in their lines may move."""
        self._busy_keys -= keys
        for key in self._queues.keys() & keys:
            self._recheck[key] = None

    def all_records(self) -> Batch:
        """Give all of them, wherever they stand."""
        in_line = {id(record): record for line in self._queues.values() for record in line}
        return [*self.ready, *in_line.values()]

    def remove(self, before: float = float("inf")) -> Batch:
        """Take out every event admitted before a point in time (all, by default), wherever it stands."""
        late = [record for record in self.ready if record.admitted < before]
        self.ready = deque(record for record in self.ready if record.admitted >= before)
        in_line = {id(r): r for line in self._queues.values() for r in line if r.admitted < before}
        for record in in_line.values():
            self._dequeue(record)
        return late + list(in_line.values())

    def _front_batch(self, max_events: int, max_bytes: int) -> InFlight | None:
        """Take the first of the ready ones in one go: the usual case, in which nobody of them has to wait."""
        front = list(islice(self.ready, max_events))
        if not front:
            return None
        sizes = list(accumulate(map(len, map(chunk_of, front))))
        most = bisect_right(sizes, max_bytes)
        if any(map(exposures_of, front)):
            most = min(most, bisect_right(running_totals(front), max_events))
        count = max(1, most)
        keys = keys_of(front[:count])
        if not (keys.isdisjoint(self._busy_keys) and self._queues.keys().isdisjoint(keys)):
            return None
        self._busy_keys |= keys
        return InFlight(deque([list(starmap(self.ready.popleft, repeat((), count)))]), keys)

    def _eligible(self) -> Iterator[Record]:
        """Yield who may go next, if the one before has left; those who may not are queued up on the way."""
        held, lines, ready = self._busy_keys, self._queues, self.ready
        while self._recheck:
            key = next(iter(self._recheck))
            line = lines.get(key)
            if line and all(k not in held and lines[k][0] is line[0] for k in line[0].keys):
                yield line[0]
            else:
                del self._recheck[key]
        while ready:
            record = ready[0]
            key, also = record.key, record.also
            if key in held or key in lines or (also is not None and (also in held or also in lines)):
                ready.popleft()
                for key in record.keys:
                    lines.setdefault(key, deque()).append(record)
            else:
                yield record

    def _dequeue(self, record: Record) -> None:
        """Take one out of its lines, or of the front of the ready ones."""
        if record.key not in self._queues:
            self.ready.popleft()
            return
        for key in record.keys:
            line = self._queues[key]
            line.remove(record)
            self._recheck[key] = None
            if not line:
                del self._queues[key]
