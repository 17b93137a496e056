"""How one lane gets its events when a client has a spool: at once if it has room, otherwise later, from disk.

A committed block takes one of two paths:
    1. The lane has room and no backlog: it admits the records at once, and the block is not read again.
    2. Otherwise the block joins the backlog, and its records are released from memory. When at most half of the lane's
       limits are in use, `read_more` reads the next blocks.

The backlog has only weak references to its records (`_awaited`). A record lives on if a caller still has its receipt:
reading the block then finds that same record and settles it. All others are freed, so memory does not grow with the
backlog.

Two cases differ:
    1. The spool cannot be written: a record goes to the lane as if there were no spool; or, if there is a backlog, to
       its end, as a range in memory, up to the lane's limits.
    2. The client closes: nothing more is read, and everything on disk is settled as spooled.

Everything here runs on the event loop; the spool's thread only executes `read`.
"""

import time
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

from asyncsdk._delivery.batching import size_of, total
from asyncsdk._delivery.lane import Lane
from asyncsdk._delivery.spool.positions import (
    Backlog,
    BlockRef,
    SpooledRecord,
    from_stored,
    pop_first,
    unsettled_positions,
)
from asyncsdk._model.receipts import Delivery, Record
from asyncsdk._model.spooling import StoredBlock

# Starts to read the blocks of a file after a row; `receive` or `read_failed` of the reader is called with the result.
Read = Callable[["SpoolReader", int, int], None]

_SPOOLED_REASON = "on disk, for the next process"


class SpoolReader:
    """One lane's events on disk.

    Attributes:
        lane: The lane.
        label: The name under which the spool stores the lane's events.
        backlog: What the lane has yet to take from disk.
    """

    def __init__(self, lane: Lane, read: Read) -> None:
        """Create a reader with an empty backlog.

        Args:
            lane: The lane to feed.
            read: Starts a read; see `Read`.
        """
        self.lane = lane
        self.label = lane.destination.name
        self.backlog = Backlog()
        self._read = read
        self._is_closing = False
        # By file, row and position.
        self._awaited: WeakValueDictionary[tuple[int, int, int], SpooledRecord] = WeakValueDictionary()

    def __repr__(self) -> str:
        return f"<SpoolReader {self.label}: {self.backlog!r}, {len(self._awaited)} awaited by receipts>"

    # --- what was written, or could not be --------------------------------------------------------------------

    def accept_block(self, records: Sequence[SpooledRecord], file: int, row: int) -> None:
        """Accept a block that was just written: into the lane, or into the backlog."""
        self.lane.ledger.count_accepted(records)
        if self.backlog or self._is_closing or not self._has_room(records):
            self.backlog.append_block(file, row, records)
            self._awaited.update({(file, row, position): record for position, record in enumerate(records)})
            self.read_more()
            return
        block = BlockRef(file, row, len(records))
        for position, record in enumerate(records):
            record.block, record.position = block, position
        self.lane.admit(records)

    def accept_unstored(self, records: Sequence[SpooledRecord], reason: str = "queue full") -> bool:
        """Accept records that could not be written, within the limits that a lane has without a spool.

        Args:
            records: In the order in which they were accepted.
            reason: Why those beyond the limits are dropped.

        Returns:
            Whether all of them were accepted.
        """
        accepted = True
        for record in records:
            if not (self._keep_in_backlog(record) if self.backlog else self._offer(record)):
                accepted = False
                self.refuse(record, reason)
        return accepted

    def _keep_in_backlog(self, record: SpooledRecord) -> bool:
        """Append a record to the backlog, in memory, if there is room; none may overtake the blocks on disk."""
        limits, backlog = self.lane.destination.limits, self.backlog
        number, size = backlog.own_count, backlog.bytes_in_memory + len(record.chunk)
        if number + (record.exposures or 1) > limits.max_queued_events or size > limits.max_queued_bytes:
            return False
        self.lane.ledger.count_accepted([record])
        backlog.append_unstored(record)
        return True

    def _offer(self, record: SpooledRecord) -> bool:
        return self.lane.offer_exposures([record]) if record.exposures else self.lane.offer(record)

    def refuse(self, record: Record, reason: str) -> None:
        """Drop a record that was not accepted yet, and count it."""
        record.settle(delivery := self._dropped(reason))
        if record.exposures:
            self.lane.ledger.count_refused_exposures(delivery, record.exposures)
        else:
            self.lane.ledger.count_refused(record.id, delivery)

    def drop_deleted(self, file: int, row: int, events: int, exposures: int) -> None:
        """Settle a block that was deleted to make room, unless the lane has its records already: they are not lost.

        A block of an ended process that was not read yet counts as accepted first, as if it had been read.

        Args:
            file: The number of its file.
            row: Its number in the file.
            events: How many of its events were unsettled.
            exposures: How many of its exposures were.
        """
        delivery = self._dropped("spool full")
        if self.backlog.has_yet_to_read(file, row):
            self.lane.ledger.count_refused_unread(delivery, events, exposures)
        range_ = self.backlog.find_range(file, row)
        if range_ is None:
            return
        range_.tally.events -= events
        range_.tally.exposures -= exposures
        self.lane.ledger.settle_unheld(delivery, events, exposures)
        for key, record in list(self._awaited.items()):
            if key[:2] == (file, row):
                record.settle(delivery)

    def adopt_file(self, file: int) -> None:
        """Take over the lane's events in a file of an ended process."""
        self.backlog.append_file(file)
        self.read_more()

    # --- reading ----------------------------------------------------------------------------------------------

    def read_more(self) -> None:
        """Start to read the next blocks, if there are any and the lane has room; safe to call at any time."""
        if not self.backlog or self.backlog.reading or self._is_closing or not self._wants_more():
            return
        range_ = self.backlog.ranges[0]
        if range_.records:
            self._admit_from_memory()
        else:
            self.backlog.reading = True
            self._read(self, range_.file, range_.after)

    def _has_room(self, records: Sequence[Record]) -> bool:
        """Return whether the lane has room for a block; an empty lane always has, as a block may exceed its limits."""
        ledger = self.lane.ledger
        return not ledger.held_events or ledger.has_room(size_of(records), total(records))

    def _wants_more(self) -> bool:
        limits, ledger = self.lane.destination.limits, self.lane.ledger
        return ledger.held_events <= limits.max_queued_events // 2 and ledger.held_bytes <= limits.max_queued_bytes // 2

    def receive(self, blocks: Sequence[StoredBlock]) -> None:
        """Let the lane admit the blocks that were read; none means the end of the first range."""
        backlog = self.backlog
        backlog.reading = False
        range_ = backlog.ranges[0]
        for stored in blocks:
            records = self._restore(range_.file, stored)
            if range_.is_foreign:
                # They were counted by the process that wrote them, but not in this one's report.
                self.lane.ledger.count_accepted(records)
            else:
                range_.tally.add(records, -1)
            self.lane.admit(records)
        lost = backlog.advance(blocks[-1].row if blocks else None)
        self.lane.ledger.settle_unheld(self._dropped("spool damaged"), lost.events, lost.exposures)
        self.read_more()

    def read_failed(self) -> None:
        """Record that a read failed; the next call of `read_more` tries again."""
        self.backlog.reading = False

    def _restore(self, file: int, stored: StoredBlock) -> Sequence[SpooledRecord]:
        """Return the unsettled records of a block: the ones that receipts still refer to, and new ones for the rest."""
        now = time.monotonic()
        # The block has a wall clock time, which may be in the future if the clock was set back.
        admitted = min(now, now - (time.time() - stored.block.time_ms / 1000))
        kept, row, awaited = stored.block.records, stored.row, self._awaited
        positions = list(unsettled_positions(stored.done, len(kept))) if stored.done else range(len(kept))
        block = BlockRef(file, row, len(positions), stored.done)
        may_be_awaited = bool(awaited)  # usually nothing is: saves a tuple and a look-up per record
        records: list[SpooledRecord] = []
        for position in positions:
            record = awaited.pop((file, row, position), None) if may_be_awaited else None
            if record is None:
                record = from_stored(kept[position], admitted, block, position)
            else:
                record.block, record.position = block, position
            records.append(record)
        return records

    def _admit_from_memory(self) -> None:
        """Let the lane admit records that could not be written, at most half of its limit at a time."""
        range_ = self.backlog.ranges[0]
        records = pop_first(range_.records, max(1, self.lane.destination.limits.max_queued_events // 2))
        range_.tally.add(records, -1)
        self.backlog.bytes_in_memory -= size_of(records)
        if not range_.records:
            self.backlog.ranges.popleft()
        self.lane.admit(records)

    # --- the end: both are called after the lane's worker has ended -------------------------------------------

    def settle_admitted(self) -> None:
        """Stop reading, and settle as spooled those records in the lane that are on disk."""
        self._is_closing = True
        records = [r for r in self.lane.remaining() if isinstance(r, SpooledRecord) and r.block is not None]
        self.lane.ledger.settle(records, "spooled", reason=_SPOOLED_REASON)

    def settle_backlog(self) -> None:
        """Settle as spooled what is only on disk; give the lane what is only in memory, for it to abandon."""
        delivery = Delivery(self.lane.destination.name, "spooled", reason=_SPOOLED_REASON)
        for range_ in self.backlog.ranges:
            range_.tally.add(range_.records, -1)
            self.lane.admit(range_.records)
            self.lane.ledger.settle_unheld(delivery, range_.tally.events, range_.tally.exposures)
        self.backlog.ranges.clear()
        for record in list(self._awaited.values()):
            record.settle(delivery)

    def _dropped(self, reason: str) -> Delivery:
        return Delivery(self.lane.destination.name, "dropped", reason=reason)
