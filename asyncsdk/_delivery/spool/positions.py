"""Where events are on disk, and what has become of them since: the books between a lane and a spool."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import attrs

from asyncsdk._delivery.batching import count
from asyncsdk._model.blocks import StoredRecord
from asyncsdk._model.receipts import Record
from asyncsdk._model.spooling import Settled

# A block is read whole: with more in it, memory and the loop would notice.
BLOCK_EVENTS, BLOCK_BYTES = 1_000, 256 * 1024


@attrs.define(eq=False, repr=False)
class BlockRef:
    """A block on disk, some of whose records are in memory.

    Attributes:
        file: Number of its file.
        row: Its number there.
        left: How many of its records have no fate yet.
        done: Which ones have, a bit each.
    """

    file: int
    row: int
    unsettled: int
    done: int = 0


@attrs.define(eq=False, repr=False)
class SpooledRecord(Record):
    """A record that is on disk, too; it can be found again from there for as long as somebody has its receipt.

    Attributes:
        place: Its block; None while it is in memory only.
        position: Where it stands in that block.
    """

    block: BlockRef | None = None
    position: int = 0


def to_spooled(record: Record, event_id: str) -> SpooledRecord:
    """Make the spooled form of a record."""
    return SpooledRecord(record.key, event_id, record.chunk, record.admitted, record.second_key, record.exposures)


def from_stored(kept: StoredRecord, admitted: float, place: BlockRef, position: int) -> SpooledRecord:
    """Make a record of what was read."""
    key, also, event_id, chunk, is_exposure = kept
    return SpooledRecord(key, event_id, chunk, admitted, also, is_exposure, 0, (), None, (), place, position)


def split_blocks(records: Sequence[SpooledRecord]) -> Iterator[Sequence[SpooledRecord]]:
    """Cut records into blocks."""
    start = size = 0
    for number, record in enumerate(records):
        size += len(record.chunk)
        if number - start == BLOCK_EVENTS or (size > BLOCK_BYTES and number > start):
            yield records[start:number]
            start, size = number, len(record.chunk)
    yield records[start:]


class PendingAcks:
    """Blocks whose records have met their fates since the last commit."""

    def __init__(self) -> None:
        """Begin with none."""
        self._touched: set[BlockRef] = set()

    def __bool__(self) -> bool:
        return bool(self._touched)

    def add(self, records: Collection[Record]) -> None:
        """Note that records have their fate; those that are on no disk do not matter."""
        for record in records:
            if isinstance(record, SpooledRecord) and (place := record.block) is not None:
                place.done |= 1 << record.position
                place.unsettled -= 1
                self._touched.add(place)

    def drain(self) -> dict[int, Settled]:
        """Give what was noted, by file, and forget it."""
        touched, self._touched = self._touched, set()
        by_file: dict[int, list[BlockRef]] = {}
        for place in touched:
            by_file.setdefault(place.file, []).append(place)
        return {
            file: Settled(
                [place.row for place in places if not place.unsettled],
                [(place.row, place.done) for place in places if place.unsettled],
            )
            for file, places in by_file.items()
        }


@attrs.define(eq=False, repr=False)
class Tally:
    """How many events and exposures there are of something."""

    events: int = 0
    exposures: int = 0

    def add(self, records: Collection[Record], sign: int = 1) -> None:
        """Count records in, or out."""
        events, exposures = count(records)
        self.events += sign * events
        self.exposures += sign * exposures


@attrs.define(eq=False, repr=False)
class BlockRange:
    """A stretch of blocks of one file that a lane has yet to take; or of records that are in memory only.

    Attributes:
        file: Number of the file.
        after: The last block that was taken.
        last: The last block there is; None when that is not known, because another process has written them.
        records: What could not be put on disk; such a source has no file.
        tally: What is in it of this process.
    """

    file: int = 0
    after: int = 0
    last: int | None = None
    records: list[SpooledRecord] = attrs.field(factory=list)
    tally: Tally = attrs.field(factory=Tally)

    @property
    def is_foreign(self) -> bool:
        """Whether the events were accepted by another process."""
        return self.last is None


@attrs.define(eq=False, repr=False)
class Backlog:
    """What a lane has yet to take from disk, in the order in which it was accepted.

    Attributes:
        ranges: Stretches, oldest first; while there are any, new events join at the end, and overtake nobody.
        reading: Whether blocks are being read.
    """

    ranges: deque[BlockRange] = attrs.field(factory=deque)
    reading: bool = False

    def __bool__(self) -> bool:
        return bool(self.ranges)

    @property
    def own_count(self) -> int:
        """How many events and exposures of this process there are."""
        return sum(source.tally.events + source.tally.exposures for source in self.ranges)

    def append_block(self, file: int, row: int, records: Sequence[SpooledRecord]) -> None:
        """Add a block of this process at the end."""
        if self.ranges and self.ranges[-1].file == file and not self.ranges[-1].is_foreign:
            self.ranges[-1].last = row
        else:
            self.ranges.append(BlockRange(file, row - 1, row))
        self.ranges[-1].tally.add(records)

    def append_unstored(self, record: SpooledRecord) -> None:
        """Add a record that could not be put on disk, at the end."""
        if not (self.ranges and self.ranges[-1].records):
            self.ranges.append(BlockRange(last=0))
        self.ranges[-1].records.append(record)
        self.ranges[-1].tally.add([record])

    def append_file(self, file: int) -> None:
        """Add a file of a process that is gone, at the end."""
        self.ranges.append(BlockRange(file))

    def advance(self, row: int | None) -> Tally:
        """Note the last block that was read of the first source, None when there was none left; give what is lost."""
        source = self.ranges[0]
        if row is not None:
            source.after = row
        if row is None or (source.last is not None and row >= source.last):
            self.ranges.popleft()
            return source.tally
        return Tally()

    def find_range(self, file: int, row: int) -> BlockRange | None:
        """Give the stretch in which a block of this process waits to be taken; None when it is in none."""
        found = (s for s in self.ranges if s.file == file and s.last is not None and s.after < row <= s.last)
        return next(found, None)


def unsettled_positions(done: int, count: int) -> Iterator[int]:
    """Yield the positions of a block that have no fate yet."""
    return (position for position in range(count) if not done >> position & 1)


def pop_first(records: list[SpooledRecord], most: int) -> list[SpooledRecord]:
    """Take the first ones out of a list."""
    taken = list(islice(records, most))
    del records[: len(taken)]
    return taken
