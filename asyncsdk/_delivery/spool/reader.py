"""How one lane gets its events when a client has a spool: at once if it has room, or from disk when it has again."""

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

# Reads blocks for a reader: of a file, after a row.
Read = Callable[["SpoolReader", int, int], None]

_SPOOLED_REASON = "on disk, for the next process"


class SpoolReader:
    """One lane's events on disk.

    Attributes:
        lane: The lane.
        label: Whose events these are in the spool.
        backlog: What the lane has yet to take from disk.
    """

    def __init__(self, lane: Lane, read: Read) -> None:
        """Begin with none."""
        self.lane = lane
        self.label = lane.destination.name
        self.backlog = Backlog()
        self._read = read
        self._is_closing = False
        # Records that are on disk only, of which somebody still has the receipt: by file, row and position.
        self._held: WeakValueDictionary[tuple[int, int, int], SpooledRecord] = WeakValueDictionary()

    def accept_block(self, records: Sequence[SpooledRecord], file: int, row: int) -> None:
        """Let the lane have a block that was just written, unless it has no room or earlier ones to take first."""
        self.lane.ledger.count_accepted(records)
        if self.backlog or self._is_closing or not self._has_room(records):
            self.backlog.append_block(file, row, records)
            self._held.update({(file, row, position): record for position, record in enumerate(records)})
            self.read_more()
            return
        place = BlockRef(file, row, len(records))
        for position, record in enumerate(records):
            record.block, record.position = place, position
        self.lane.admit(records)

    def accept_unstored(self, record: SpooledRecord) -> None:
        """Let the lane have what could not be put on disk, as if there were no spool."""
        limits = self.lane.destination.limits
        if self.backlog and self.backlog.own_count < limits.max_queued_events:
            self.lane.ledger.count_accepted([record])
            self.backlog.append_unstored(record)
        elif self.backlog or not self._offer(record):
            self.refuse(record, "queue full")

    def _offer(self, record: SpooledRecord) -> bool:
        return self.lane.offer_exposures([record]) if record.exposures else self.lane.offer(record)

    def refuse(self, record: Record, reason: str) -> None:
        """Count an event, or exposure, that the lane is not given."""
        record.settle(delivery := self._dropped(reason))
        if record.exposures:
            self.lane.ledger.count_refused_exposures(delivery, record.exposures)
        else:
            self.lane.ledger.count_refused(record.id, delivery)

    def drop_deleted(self, file: int, row: int, events: int, exposures: int) -> None:
        """Count what was deleted on disk to make room, if it is nowhere else."""
        source = self.backlog.find_range(file, row)
        if source is None:
            return
        source.tally.events -= events
        source.tally.exposures -= exposures
        delivery = self._dropped("spool full")
        self.lane.ledger.settle_unheld(delivery, events, exposures)
        for key, record in list(self._held.items()):
            if key[:2] == (file, row):
                record.settle(delivery)

    def adopt_file(self, file: int) -> None:
        """Take the events of a process that is gone."""
        self.backlog.append_file(file)
        self.read_more()

    def read_more(self) -> None:
        """Read the next blocks, if there are any on disk and there is room for them."""
        if not self.backlog or self.backlog.reading or self._is_closing or not self._wants_more():
            return
        source = self.backlog.ranges[0]
        if source.records:
            self._admit_from_memory()
        else:
            self.backlog.reading = True
            self._read(self, source.file, source.after)

    def _has_room(self, records: Sequence[Record]) -> bool:
        """Say whether there is room for all of a block; an empty lane always has, however small it is."""
        ledger = self.lane.ledger
        return not ledger.held_events or ledger.has_room(size_of(records), total(records))

    def _wants_more(self) -> bool:
        limits, ledger = self.lane.destination.limits, self.lane.ledger
        return ledger.held_events <= limits.max_queued_events // 2 and ledger.held_bytes <= limits.max_queued_bytes // 2

    def receive(self, blocks: Sequence[StoredBlock]) -> None:
        """Let the lane have what was read."""
        backlog = self.backlog
        backlog.reading = False
        source = backlog.ranges[0]
        for stored in blocks:
            records = self._records(source.file, stored)
            if source.is_foreign:
                self.lane.ledger.count_accepted(records)
            else:
                source.tally.add(records, -1)
            self.lane.admit(records)
        lost = backlog.advance(blocks[-1].row if blocks else None)
        self.lane.ledger.settle_unheld(self._dropped("spool damaged"), lost.events, lost.exposures)
        self.read_more()

    def read_failed(self) -> None:
        """Note that nothing could be read; `read_more` tries again."""
        self.backlog.reading = False

    def _records(self, file: int, stored: StoredBlock) -> Sequence[SpooledRecord]:
        """Make the records of a block that have no fate yet, or find those that somebody has a receipt of."""
        now = time.monotonic()
        admitted = min(now, now - (time.time() - stored.block.time_ms / 1000))
        kept, row, held = stored.block.records, stored.row, self._held
        positions = list(unsettled_positions(stored.done, len(kept))) if stored.done else range(len(kept))
        place = BlockRef(file, row, len(positions), stored.done)
        may_be_held = bool(held)
        records: list[SpooledRecord] = []
        for position in positions:
            record = held.pop((file, row, position), None) if may_be_held else None
            if record is None:
                record = from_stored(kept[position], admitted, place, position)
            else:
                record.block, record.position = place, position
            records.append(record)
        return records

    def _admit_from_memory(self) -> None:
        source = self.backlog.ranges[0]
        records = pop_first(source.records, max(1, self.lane.destination.limits.max_queued_events // 2))
        source.tally.add(records, -1)
        if not source.records:
            self.backlog.ranges.popleft()
        self.lane.admit(records)

    # --- the end ----------------------------------------------------------------------------------------------

    def settle_admitted(self) -> None:
        """Give what the lane has on disk and has not delivered its fate. The lane has ended."""
        self._is_closing = True
        left = [r for r in self.lane.remaining() if isinstance(r, SpooledRecord) and r.block is not None]
        self.lane.ledger.settle(left, "spooled", reason=_SPOOLED_REASON)

    def settle_backlog(self) -> None:
        """Give what the lane has never had its fate; what was never on disk is the lane's to abandon."""
        delivery = Delivery(self.lane.destination.name, "spooled", reason=_SPOOLED_REASON)
        for source in self.backlog.ranges:
            source.tally.add(source.records, -1)
            self.lane.admit(source.records)
            self.lane.ledger.settle_unheld(delivery, source.tally.events, source.tally.exposures)
        self.backlog.ranges.clear()
        for record in list(self._held.values()):
            record.settle(delivery)

    def _dropped(self, reason: str) -> Delivery:
        return Delivery(self.lane.destination.name, "dropped", reason=reason)
