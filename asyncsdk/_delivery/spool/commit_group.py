"""What goes to disk together, and who waits for it."""

import asyncio
from collections.abc import Sequence

import attrs

from asyncsdk._delivery.spool.positions import SpooledRecord, split_blocks
from asyncsdk._delivery.spool.reader import SpoolReader

Parts = Sequence[tuple[SpoolReader, Sequence[SpooledRecord]]]
"""Blocks to be, and whose they are."""


@attrs.define(eq=False, repr=False)
class CommitGroup:
    """Events that gather while the commit before theirs is under way.

    Attributes:
        records: Per lane.
        waiters: Who waits for it; True tells that it found room.
        bytes: Of all of it.
    """

    records: Sequence[list[SpooledRecord]]
    waiters: list[asyncio.Future[bool]] = attrs.field(factory=list)
    bytes: int = 0

    def add(self, number: int, record: SpooledRecord) -> None:
        """Take a record for a lane."""
        self.records[number].append(record)
        self.bytes += len(record.chunk)

    def parts(self, readers: Sequence[SpoolReader]) -> Parts:
        """Cut it into blocks."""
        pairs = [(reader, records) for reader, records in zip(readers, self.records, strict=True) if records]
        return [(reader, part) for reader, records in pairs for part in split_blocks(records)]

    def release(self, most: int, *, has_room: bool) -> None:
        """Let those go on who have waited longest."""
        for waiter in self.waiters[:most]:
            if not waiter.done():
                waiter.set_result(has_room)
        del self.waiters[:most]
