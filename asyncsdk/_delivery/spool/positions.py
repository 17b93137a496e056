"""Where events are on disk, which of them are settled, and which a lane has yet to read.

The spool stores records in *blocks*: rows of a file, numbered from 1, each with the records of one destination that
were committed together. A record is found by (file, row, position in the block).

Two kinds of bookkeeping connect a lane and its blocks; both live on the event loop:

`BlockRef` and `PendingAcks`: the blocks whose records are in the lane. Each `SpooledRecord` there refers to its
`BlockRef`. Settling a record sets its bit in `done`; the next commit writes the bits of all blocks that were touched,
or deletes a block whose records are all settled.

`Backlog`: the blocks that are on disk only, as a queue of ranges, oldest first. Invariants:
    1. While the backlog is not empty, new events join its end: none overtakes an older one.
    2. Only the first range is read; a range that was read to its end is removed.
    3. Each event of this process in the backlog is in exactly one range's `tally`. What remains in the tally of a range
       that was read to its end was lost to damage.

Example, for a lane that is full: blocks 5 and 6 of file 1 are committed and join as one range (1, after 4, last 6);
a file of an ended process is adopted and joins as (2, after 0, last unknown). The lane has room again and reads
block 5: (1, after 5, last 6), then 6: the range is done, and file 2 is next, until a read finds nothing.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import attrs

from asyncsdk._delivery.batching import count, split
from asyncsdk._model.blocks import StoredRecord
from asyncsdk._model.receipts import Record
from asyncsdk._model.spooling import Settled

# A block is read whole, so that a larger one would need more memory and block the event loop for longer.
BLOCK_EVENTS, BLOCK_BYTES = 1_000, 256 * 1024


@attrs.define(eq=False, repr=False)
class BlockRef:
    """A block on disk, some of whose records are in memory.

    Attributes:
        file: The number of its file.
        row: Its number in the file.
        unsettled: The number of its records without an outcome.
        done: The settled positions, a bit each.
    """

    file: int
    row: int
    unsettled: int
    done: int = 0


@attrs.define(eq=False, repr=False)
class SpooledRecord(Record):
    """A record that is on disk too. While its receipt exists, it is found again when its block is read.

    Attributes:
        block: Its block; None while it is in memory only.
        position: Its position in that block.
    """

    block: BlockRef | None = None
    position: int = 0


def to_spooled(record: Record, event_id: str) -> SpooledRecord:
    """Return the spooled form of a record, with the id that it keeps on disk."""
    return SpooledRecord(record.key, event_id, record.chunk, record.admitted, record.second_key, record.exposures)


def from_stored(stored: StoredRecord, admitted: float, block: BlockRef, position: int) -> SpooledRecord:
    """Build a record from what was read."""
    key, second_key, event_id, chunk, is_exposure = stored
    # Positional: keywords take 1.6 times as long, for every record that is read.
    return SpooledRecord(key, event_id, chunk, admitted, second_key, is_exposure, 0, (), None, (), block, position)


def split_blocks(records: Sequence[SpooledRecord]) -> Iterator[Sequence[SpooledRecord]]:
    """Split records into blocks of at most `BLOCK_EVENTS` and `BLOCK_BYTES`; a larger record has one of its own."""
    return split(records, BLOCK_EVENTS, BLOCK_BYTES)


class PendingAcks:
    """The blocks of which records were settled since the last commit."""

    def __init__(self) -> None:
        """Create an empty set."""
        self._touched: set[BlockRef] = set()

    def __bool__(self) -> bool:
        return bool(self._touched)

    def add(self, records: Collection[Record]) -> None:
        """Mark settled records in their blocks; those that are not on disk are ignored."""
        for record in records:
            if isinstance(record, SpooledRecord) and (block := record.block) is not None:
                block.done |= 1 << record.position
                block.unsettled -= 1
                self._touched.add(block)

    def drain(self) -> dict[int, Settled]:
        """Return what has to be written, by number of the file, and start over."""
        touched, self._touched = self._touched, set()
        by_file: dict[int, list[BlockRef]] = {}
        for block in touched:
            by_file.setdefault(block.file, []).append(block)
        return {
            file: Settled(
                [block.row for block in blocks if not block.unsettled],
                [(block.row, block.done) for block in blocks if block.unsettled],
            )
            for file, blocks in by_file.items()
        }


@attrs.define(eq=False, repr=False)
class Tally:
    """A number of events and a number of exposures."""

    events: int = 0
    exposures: int = 0

    def add(self, records: Collection[Record], sign: int = 1) -> None:
        """Add the events and exposures of these records; with a `sign` of -1, subtract them."""
        events, exposures = count(records)
        self.events += sign * events
        self.exposures += sign * exposures


@attrs.define(eq=False, repr=False)
class BlockRange:
    """Blocks of one file that a lane has yet to read; or records that could not be written and are in memory only.

    Attributes:
        file: The number of the file.
        after: The last row that was read; 0 before the first.
        last: The last row of the range; None when it is unknown, because another process wrote the file.
        records: The records in memory; a range with records has no file.
        tally: What this process accepted of it.
    """

    file: int = 0
    after: int = 0
    last: int | None = None
    records: list[SpooledRecord] = attrs.field(factory=list)
    tally: Tally = attrs.field(factory=Tally)

    @property
    def is_foreign(self) -> bool:
        """Whether another process accepted the events."""
        return self.last is None


@attrs.define(eq=False, repr=False)
class Backlog:
    """What a lane has yet to take from disk, in the order in which it was accepted.

    Attributes:
        ranges: Oldest first.
        reading: Whether a read is under way.
        bytes_in_memory: Size of the records in it that could not be written.
    """

    ranges: deque[BlockRange] = attrs.field(factory=deque)
    reading: bool = False
    bytes_in_memory: int = 0

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __repr__(self) -> str:
        return f"<Backlog {self.own_count} events of this process in {len(self.ranges)} ranges>"

    @property
    def own_count(self) -> int:
        """Number of events and exposures that this process accepted."""
        return sum(range_.tally.events + range_.tally.exposures for range_ in self.ranges)

    def append_block(self, file: int, row: int, records: Sequence[SpooledRecord]) -> None:
        """Append a block that this process has written."""
        if self.ranges and self.ranges[-1].file == file and not self.ranges[-1].is_foreign:
            self.ranges[-1].last = row
        else:
            self.ranges.append(BlockRange(file, row - 1, row))
        self.ranges[-1].tally.add(records)

    def append_unstored(self, record: SpooledRecord) -> None:
        """Append a record that could not be written."""
        if not (self.ranges and self.ranges[-1].records):
            self.ranges.append(BlockRange(last=0))
        self.ranges[-1].records.append(record)
        self.bytes_in_memory += len(record.chunk)
        self.ranges[-1].tally.add([record])

    def append_file(self, file: int) -> None:
        """Append a file of an ended process."""
        self.ranges.append(BlockRange(file))

    def advance(self, row: int | None) -> Tally:
        """Record how far the first range was read; return what of it is lost, if that was its end.

        Args:
            row: The last row that was read; None if there was none left.
        """
        range_ = self.ranges[0]
        if row is not None:
            range_.after = row
        if row is None or (range_.last is not None and row >= range_.last):
            self.ranges.popleft()
            return range_.tally
        return Tally()

    def find_range(self, file: int, row: int) -> BlockRange | None:
        """Return the range in which a block of this process has yet to be read; None when it was read."""
        found = (r for r in self.ranges if r.file == file and r.last is not None and r.after < row <= r.last)
        return next(found, None)

    def has_yet_to_read(self, file: int, row: int) -> bool:
        """Return whether a block of an ended process has yet to be read."""
        return any(r.is_foreign and r.file == file and r.after < row for r in self.ranges)


def unsettled_positions(done: int, count: int) -> Iterator[int]:
    """Yield the positions of a block of `count` records whose bit in `done` is not set."""
    return (position for position in range(count) if not done >> position & 1)


def pop_first(records: list[SpooledRecord], number: int) -> list[SpooledRecord]:
    """Remove and return the first records of a list, at most `number`."""
    taken = list(islice(records, number))
    del records[: len(taken)]
    return taken
