"""How one lane of a relay gets its events: from an engine, by leases. The sibling of `spool/reader.py`.

The path of an entry:
    1. `take` returns it, when at most half of the lane's room is in use; never more of them than fit into the rest,
       which for small entries is hundreds at once. From then on it is in `_held`.
    2. Its events go into the lane, which delivers them as always: same codecs, verdicts, circuit and order per user.
    3. The ledger settles them. What is rejected or dropped is put into the engine again, as a dead letter.
    4. Once all of its events are settled, and its dead letters are stored, it is acknowledged: `ack` deletes it.

Until 4, its lease is extended a third of its time after each extension: also for hours, while a vendor is down. If this
process is killed, the lease expires and another relay takes the entry: its events are sent again, with the same ids.

Entries that are not delivered in this way:
    damaged     not a block: a dead letter at once
    suspect     taken more than `_MAX_DELIVERIES` times, and neither acknowledged nor released: every relay that took it
                died, of this entry or of one beside it. Given to the lane alone, so that only the guilty one is taken
                more than `_MAX_ALONE` times. That one is put again as two halves, and so on until one event is left,
                which becomes a dead letter. Of several single events, the later half is handed back: they were held
                beside it

Who may change what: two loops of this class, both on the relay's event loop. `read` alone takes; `settle` alone
extends, acknowledges and puts dead letters. The ledger's callback only marks.
"""

import asyncio
import logging
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from asyncsdk._delivery.batching import count
from asyncsdk._delivery.fleet.engine_status import EngineStatus
from asyncsdk._delivery.fleet.entries import (
    DEAD_SUFFIX,
    ENTRY_BYTES,
    ENTRY_EVENTS,
    LeasedEntry,
    LeasedRecord,
    halve_entry,
    pack_entries,
    unpack_entry,
)
from asyncsdk._delivery.lane import Lane
from asyncsdk._model.blocks import Block, BlockError, unpack_block
from asyncsdk._model.engines import Engine, EngineError, Taken
from asyncsdk._model.receipts import Record, Status
from asyncsdk._retry import waits

logger = logging.getLogger("asyncsdk.relay")

# Times that an entry may be taken without having been released, before it is suspected of killing relays.
_MAX_DELIVERIES, _MAX_ALONE = 5, 7
# Maximum number of entries of one `take`, and of one `ack`. Entries of a single event (an outbox) cost a round trip and
# a commit each unless there are many; more than this would hold up the loop while they are unpacked.
_MAX_TAKEN, _MAX_ACKED = 500, 1_000
# The same until an answer has shown that no relay died of these entries: those beside a fatal one are suspected too.
_MAX_TAKEN_AFTER_DEATHS = 20
# Maximum time that `take` waits, in seconds: also how long a relay needs to notice that it should stop.
_MAX_WAIT = 1.0
# Dead letters that may wait to be stored, in packs, before no more entries are taken.
_MAX_DEAD = 100
# Bounds of the backoff after a failure of the engine, in seconds.
_RETRY_INITIAL, _RETRY_MAX = 0.1, 5.0


class LeaseReader:
    """One lane's share of the entries of one label.

    Attributes:
        dead_letters: Number of events that this reader has put as dead letters.
        stopped: Set when it takes no more entries.
    """

    def __init__(self, lane: Lane, engine: Engine, label: str, lease: float, status: EngineStatus) -> None:
        """Create a reader that holds nothing.

        Args:
            lane: The lane to feed.
            engine: Where the entries are.
            label: Under which the engine keeps them.
            lease: Duration of a lease, in seconds.
            status: The state of the engine, shared by all readers.
        """
        self.dead_letters = 0
        self.stopped = asyncio.Event()
        self._lane = lane
        self._engine = engine
        self._label = label
        self._lease = lease
        self._status = status
        self._held: dict[Any, LeasedEntry] = {}
        # Entries to acknowledge: those that owe nothing, and those that wait for `_dead` and `_requeued`.
        self._finished: list[LeasedEntry] = []
        self._owing: list[LeasedEntry] = []
        # Dead letters that are not stored yet: packed, with their number.
        self._dead: list[tuple[Sequence[bytes], int]] = []
        self._requeued: list[bytes] = []
        self._taken_too_often: list[tuple[Taken, Block]] = []
        self._handed_back: list[Any] = []
        self._suspects: deque[tuple[Taken, Block]] = deque()
        # Records on their way into the lane, and how many an entry has had lately.
        self._arrived: list[LeasedRecord] = []
        self._entry_events = float(ENTRY_EVENTS)
        self._max_taken = _MAX_TAKEN_AFTER_DEATHS
        # Entries in the lane, and whether the only one is a suspect.
        self._in_lane = 0
        self._is_alone = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._is_stopping = False
        self._extend_at = 0.0

    def __repr__(self) -> str:
        finished = len(self._finished) + len(self._owing)
        return f"<LeaseReader {self._label}: {len(self._held)} entries held, {finished} to acknowledge>"

    @property
    def held_entries(self) -> int:
        """Number of entries that this relay has leased."""
        return len(self._held)

    # --- taking -----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Take no more entries. What a `take` under way still returns is handed back at the end."""
        self._is_stopping = True
        self._room.set()

    async def read(self) -> None:
        """Take entries while the lane has room, until `stop`."""
        pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
        while not self._is_stopping:
            if self._suspects and not self._in_lane:
                self._is_alone = True
                self._admit(*self._suspects.popleft())
                self._enqueue_arrived()
            if self._suspects or self._is_alone or not self._wants_more():
                self._room.clear()
                await self._room.wait()
                continue
            try:
                taken = await self._engine.take(self._label, self._max_entries(), _MAX_WAIT, self._lease)
            except EngineError as error:
                self._status.record_error(error)
                await asyncio.sleep(next(pauses))
                continue
            pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
            self._status.record_success()
            for one in taken:
                self._accept(one)
            if taken:
                # Not less than half as many as before: the next ones may be full again.
                self._entry_events = max(1.0, len(self._arrived) / len(taken), self._entry_events / 2)
                is_calm = all(one.deliveries == 1 for one in taken)
                self._max_taken = _MAX_TAKEN if is_calm else _MAX_TAKEN_AFTER_DEATHS
            self._give_up_last()
            self._enqueue_arrived()
        self.stopped.set()
        await asyncio.Event().wait()  # a job that returned would be started again

    def _wants_more(self) -> bool:
        limits, ledger = self._lane.destination.limits, self._lane.ledger
        if len(self._dead) >= _MAX_DEAD:
            return False
        return ledger.held_events <= limits.max_queued_events // 2 and ledger.held_bytes <= limits.max_queued_bytes // 2

    def _max_entries(self) -> int:
        """Return how many entries the lane has room for: by bytes, even if all are full; by events, as they were."""
        limits, ledger = self._lane.destination.limits, self._lane.ledger
        by_bytes = (limits.max_queued_bytes - ledger.held_bytes) // ENTRY_BYTES
        by_events = (limits.max_queued_events - ledger.held_events) // self._entry_events
        return max(1, int(min(self._max_taken, by_bytes, by_events)))

    def _accept(self, taken: Taken) -> None:
        """Give the lane the events of an entry, unless something is wrong with it."""
        if taken.lease in self._held:
            return  # its lease expired while the loop was blocked, and this relay was the first to take it again
        if self._is_stopping:
            self._held[taken.lease] = LeasedEntry(taken.lease, 1)
            return
        # 1. It is not an entry.
        try:
            block = unpack_block(taken.entry)
        except (BlockError, ValueError, struct.error):  # even one whose checksum is right may have been made up
            logger.error(  # noqa: TRY400 -- a traceback would say no more
                "%s: an entry of %d bytes is damaged; it is a dead letter", self._label, len(taken.entry)
            )
            self._give_up(taken, [taken.entry], 1)
            return
        # 2. It is what kills relays.
        if taken.deliveries > _MAX_ALONE and len(block.records) > 1:
            self._divide(taken, block)
        elif taken.deliveries > _MAX_ALONE:
            self._taken_too_often.append((taken, block))
        # 3. It may be.
        elif taken.deliveries > _MAX_DELIVERIES:
            self._suspect(taken, block)
        # 4. The usual case.
        else:
            self._admit(taken, block)

    def _admit(self, taken: Taken, block: Block) -> None:
        records = unpack_entry(taken.lease, block, time.monotonic(), int(time.time() * 1000))
        if not records:
            self._is_alone = False
            self._finish(LeasedEntry(taken.lease, 0))
            return
        self._held[taken.lease] = records[0].entry
        self._in_lane += 1
        self._arrived += records

    def _enqueue_arrived(self) -> None:
        """Give the lane the records of all entries that were taken together."""
        arrived, self._arrived = self._arrived, []
        self._lane.ledger.count_accepted(arrived)
        self._lane.admit(arrived)

    def _suspect(self, taken: Taken, block: Block) -> None:
        self._held[taken.lease] = LeasedEntry(taken.lease, 0)
        self._suspects.append((taken, block))

    def _give_up_last(self) -> None:
        """Make a single event that was taken too often a dead letter; of several, most were only held beside it."""
        events, self._taken_too_often = self._taken_too_often, []
        if len(events) == 1:
            ((taken, block),) = events
            logger.error("%s: an event was taken %d times and is a dead letter", self._label, taken.deliveries)
            self._give_up(taken, [taken.entry], len(block.records))
            return
        # Suspects are delivered one by one, in order: if one of them is fatal, the next relay finds it first.
        half = (len(events) + 1) // 2
        for taken, block in events[:half]:
            self._suspect(taken, block)
        for taken, _ in events[half:]:
            self._held[taken.lease] = LeasedEntry(taken.lease, 0)
            self._handed_back.append(taken.lease)
            self._changed.set()

    def _divide(self, taken: Taken, block: Block) -> None:
        """Divide an entry that was taken too often."""
        logger.warning("%s: an entry was taken %d times; it is divided", self._label, taken.deliveries)
        self._requeued += halve_entry(self._label, block)
        self._finish(LeasedEntry(taken.lease, 0, is_owing=True))

    def _give_up(self, taken: Taken, dead: Sequence[bytes], events: int) -> None:
        self._dead.append((dead, events))
        self._finish(LeasedEntry(taken.lease, 0, is_owing=True))

    # --- settling ---------------------------------------------------------------------------------------------

    def on_records_settled(self, records: Collection[Record], status: Status) -> None:
        """Mark what the ledger has settled, and finish the entries of which nothing is left.

        Args:
            records: Records of this reader's entries, and of others.
            status: Their outcome.
        """
        self._room.set()
        if status in ("enqueued", "abandoned"):
            return  # the relay ends: they are handed back
        mine = [r for r in records if isinstance(r, LeasedRecord) and self._owns(r.entry)]
        if status != "delivered" and mine:
            self._dead.append((pack_entries(self._label, mine, int(time.time() * 1000)), sum(count(mine))))
            for record in mine:
                record.entry.is_owing = True
        for record in mine:
            record.entry.unsettled -= record.exposures or 1
            if not record.entry.unsettled:
                self._in_lane -= 1
                self._is_alone = False
                self._finish(record.entry)

    def _owns(self, entry: LeasedEntry) -> bool:
        return self._held.get(entry.lease) is entry

    def _finish(self, entry: LeasedEntry) -> None:
        self._held[entry.lease] = entry  # extended until it is acknowledged
        (self._owing if entry.is_owing else self._finished).append(entry)
        self._changed.set()

    async def settle(self) -> None:
        """Acknowledge what is finished, and extend the leases of the rest, until cancelled."""
        self._extend_at = time.monotonic() + self._lease / 3
        pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
        while True:
            self._changed.clear()
            # Each on its own: a server that is full may refuse one and do the other, which makes room.
            results = [await self._try(verb) for verb in (self._extend, self.acknowledge)]
            if not all(results):
                await asyncio.sleep(min(next(pauses), self._lease / 10))
                continue
            pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
            if self._finished or self._owing:
                continue
            try:
                async with asyncio.timeout(max(0.0, self._extend_at - time.monotonic())):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _try(self, verb: Callable[[], Awaitable[None]]) -> bool:
        """Return whether the engine did it."""
        try:
            await verb()
        except EngineError as error:
            self._status.record_error(error)
            return False
        return True

    async def _extend(self) -> None:
        """Extend all leases, if a third of their time has passed; after a failure, a tenth."""
        if time.monotonic() < self._extend_at:
            return
        self._extend_at = time.monotonic() + self._lease / 10
        await self._engine.extend(self._label, list(self._held), self._lease)
        self._extend_at = time.monotonic() + self._lease / 3

    async def acknowledge(self) -> None:
        """Acknowledge what is finished; then store dead letters, and acknowledge the entries that waited for it.

        Raises:
            EngineError: Some are left for the next call.
        """
        # What owes nothing comes first: it makes the room that a full server needs for dead letters.
        await self._acknowledge(self._finished)
        # What was finished first: its dead letters and halves are among those that are stored now.
        owing = self._owing[:_MAX_ACKED]
        while self._dead:
            entries, number = self._dead[0]
            await self._engine.put(self._label + DEAD_SUFFIX, entries)
            self._dead.pop(0)
            self.dead_letters += number
            self._room.set()
        if handed_back := list(self._handed_back):
            await self._engine.release(self._label, handed_back)
            del self._handed_back[: len(handed_back)]
            for lease in handed_back:
                self._held.pop(lease, None)
        if requeued := list(self._requeued):
            await self._engine.put(self._label, requeued)
            del self._requeued[: len(requeued)]
        del self._owing[: len(owing)]
        self._finished += owing
        if owing:
            await self._acknowledge(self._finished)

    async def _acknowledge(self, finished: list[LeasedEntry]) -> None:
        if part := finished[:_MAX_ACKED]:
            await self._engine.ack(self._label, [entry.lease for entry in part])
            del finished[: len(part)]
            for entry in part:
                self._held.pop(entry.lease, None)

    async def release(self) -> None:
        """Acknowledge what is finished, and hand back everything else; called after the loops and the lane have ended.

        Raises:
            EngineError: It is handed back by the end of its lease.
        """
        while self._dead or self._requeued or self._owing or self._finished:
            await self.acknowledge()
        if self._held:
            await self._engine.release(self._label, list(self._held))
            self._held.clear()
