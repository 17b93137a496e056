"""The events that one commit writes, and the callers that wait for it."""

import asyncio
from collections.abc import Sequence

import attrs

from asyncsdk._delivery.spool.positions import SpooledRecord, split_blocks
from asyncsdk._delivery.spool.reader import SpoolReader

ReaderBlocks = Sequence[tuple[SpoolReader, Sequence[SpooledRecord]]]
"""Blocks to write, each with the reader of its lane."""


@attrs.define(eq=False, repr=False)
class CommitGroup:
    """Events that are collected while the previous commit is under way.

    Attributes:
        records: For each lane, in the client's order.
        waiters: The callers that wait for the commit.
        bytes: The total size of all chunks.
    """

    records: Sequence[list[SpooledRecord]]
    waiters: list[asyncio.Future[None]] = attrs.field(factory=list)
    bytes: int = 0

    def __repr__(self) -> str:
        return f"<CommitGroup {sum(map(len, self.records))} records, {len(self.waiters)} waiters>"

    def add(self, number: int, record: SpooledRecord) -> None:
        """Add a record for the lane with this number."""
        self.records[number].append(record)
        self.bytes += len(record.chunk)

    def blocks(self, readers: Sequence[SpoolReader]) -> ReaderBlocks:
        """Split the records into blocks."""
        pairs = [(reader, records) for reader, records in zip(readers, self.records, strict=True) if records]
        return [(reader, block) for reader, records in pairs for block in split_blocks(records)]

    def release(self, number: int) -> None:
        """Wake the callers that have waited longest, at most `number`."""
        for waiter in self.waiters[:number]:
            if not waiter.done():  # it may have been cancelled
                waiter.set_result(None)
        del self.waiters[:number]
