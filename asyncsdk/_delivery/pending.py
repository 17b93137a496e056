"""Events that wait for a batch: which may be sent next, so that events of one user are delivered in order.

Each event has an ordering key (its user); an alias has two, and exposures have none. A key is busy while a batch in
flight contains an event of it, also while that batch waits for a retry.

Where a record is:
    ready    in `ready`, in order of arrival; its keys have not been checked yet
    queued   in the queue of each of its keys, because one of them is busy or has a queue already
    taken    in the `InFlight` that `next_batch` returned; its keys are busy until `release`

Invariants:
    1. A queued record is eligible if it is the first in each of its queues and none of its keys is busy.
    2. Queued records go before ready ones, which arrived later.
    3. `_recheck` contains each key whose first record may have become eligible. If empty, no queue needs checking.
    4. Only `next_batch` makes keys busy, only `release` ends that; only `_eligible` puts records into queues.

Example, with events a1, a2, a3 of user a and b1 of user b:
    a1 is in flight, and a is busy;  ready: a2 b1
    next_batch -> b1                 a2 is passed over and goes to the queue of a
    a3 arrives                       ready: a3
    release({a}); next_batch -> a2 a3
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
    """A batch that was taken to be sent, with the ordering keys that it keeps busy.

    Attributes:
        parts: The batches to send, in order; one until a vendor's answer splits it.
        keys: Its ordering keys.
        not_before: When it may be sent, on the monotonic clock.
        refusals: Number of answers in a row with `halve_after`.
        halts: Number of answers in a row with `halt`, and when the latest came.
        uncompressed: Whether its bodies are sent without compression.
        generation: The circuit's generation when it was last sent.
    """

    parts: deque[Batch]
    keys: set[str]
    not_before: float = 0.0
    refusals: int = 0
    halts: int = 0
    halted_at: float = 0.0
    uncompressed: bool = False
    generation: int = 0

    def __repr__(self) -> str:
        return f"<InFlight {len(self.records)} records in {len(self.parts)} parts, {len(self.keys)} keys>"

    @property
    def records(self) -> Batch:
        """The records of all parts, in order."""
        return [record for part in self.parts for record in part]


@attrs.define(eq=False, repr=False)
class Pending:
    """The records of one destination that are in no batch.

    Attributes:
        ready: Records whose keys have not been checked yet, in order of arrival.
    """

    ready: deque[Record] = attrs.field(factory=deque)
    _queues: dict[str, deque[Record]] = attrs.field(factory=dict)
    _busy_keys: set[str] = attrs.field(factory=set)
    # An ordered set: the queue that was released first is checked first.
    _recheck: dict[str, None] = attrs.field(factory=dict)

    def __repr__(self) -> str:
        queued = len(self.all_records()) - len(self.ready)
        return f"<Pending {len(self.ready)} ready, {queued} queued, {len(self._busy_keys)} busy keys>"

    @property
    def needs_recheck(self) -> bool:
        """Whether a queued record may have become eligible."""
        return bool(self._recheck)

    def heads(self) -> Batch:
        """Return the first ready record and the first of each queue; the oldest record is one of them."""
        return [record for queue in [self.ready, *list(self._queues.values())] for record in list(queue)[:1]]

    def next_batch(self, max_events: int, max_bytes: int) -> InFlight | None:
        """Take the next batch of eligible records and make their keys busy; None when no record is eligible.

        Args:
            max_events: Maximum number of events and exposures in the batch.
            max_bytes: Maximum size of the batch, in bytes; a single larger record is a batch of its own.
        """
        # 1. No queue to check and no conflict among the first ready records: take them all at once.
        if not self._recheck and (in_flight := self._front_batch(max_events, max_bytes)) is not None:
            return in_flight
        # 2. Otherwise one by one: the queues first, then the ready records, which may have to be queued.
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
        """Make keys free again; records that are queued behind them may have become eligible."""
        self._busy_keys -= keys
        for key in self._queues.keys() & keys:
            self._recheck[key] = None

    def all_records(self) -> Batch:
        """Return all records, ready and queued, each once."""
        queued = {id(record): record for queue in self._queues.values() for record in queue}
        return [*self.ready, *queued.values()]

    def remove(self, before: float = float("inf")) -> Batch:
        """Remove and return every record admitted before a time on the monotonic clock, or all of them."""
        late = [record for record in self.ready if record.admitted < before]
        self.ready = deque(record for record in self.ready if record.admitted >= before)
        queued = {id(r): r for queue in self._queues.values() for r in queue if r.admitted < before}
        for record in queued.values():
            self._dequeue(record)
        return late + list(queued.values())

    def _front_batch(self, max_events: int, max_bytes: int) -> InFlight | None:
        """Take the first ready records, if none of them has to wait; this is the usual case.

        It measures and checks whole batches with `accumulate`, `bisect` and sets, which run in C, without Python
        bytecode per record.
        """
        front = list(islice(self.ready, max_events))
        if not front:
            return None
        sizes = list(accumulate(map(len, map(chunk_of, front))))
        fitting = bisect_right(sizes, max_bytes)
        if any(map(exposures_of, front)):
            fitting = min(fitting, bisect_right(running_totals(front), max_events))
        count = max(1, fitting)
        keys = keys_of(front[:count])
        if not (keys.isdisjoint(self._busy_keys) and self._queues.keys().isdisjoint(keys)):
            return None
        self._busy_keys |= keys
        return InFlight(deque([list(starmap(self.ready.popleft, repeat((), count)))]), keys)

    def _eligible(self) -> Iterator[Record]:
        """Yield the records that may be sent, in order; the caller dequeues each before it asks for the next.

        Ready records that may not be sent are moved to the queues of their keys on the way.
        """
        busy, queues, ready = self._busy_keys, self._queues, self.ready
        # 1. Queued records: the first of a queue, if it is first in all its queues and its keys are free.
        while self._recheck:
            key = next(iter(self._recheck))
            queue = queues.get(key)
            if queue and all(k not in busy and queues[k][0] is queue[0] for k in queue[0].keys):
                yield queue[0]
            else:
                del self._recheck[key]
        # 2. Ready records: those with a busy key, or behind queued records of a key, are queued.
        while ready:
            record = ready[0]
            key, second_key = record.key, record.second_key
            if (
                key in busy
                or key in queues
                or (second_key is not None and (second_key in busy or second_key in queues))
            ):
                ready.popleft()
                for key in record.keys:
                    queues.setdefault(key, deque()).append(record)
            else:
                yield record

    def _dequeue(self, record: Record) -> None:
        """Remove a record: from its queues, or from the front of the ready records."""
        # An eligible ready record has no queue for its key: see case 2 of `_eligible`.
        if record.key not in self._queues:
            self.ready.popleft()
            return
        for key in record.keys:
            queue = self._queues[key]
            queue.remove(record)
            self._recheck[key] = None
            if not queue:
                del self._queues[key]
