"""Entries of an engine: records packed into blocks, and unpacked again by a relay.

An entry is one block (`_model/blocks.py`) of at most `ENTRY_EVENTS` events and `ENTRY_BYTES` of one destination: the
same bytes that a spool stores. Larger entries would take longer to repeat when a relay is killed; smaller ones cost
an engine 5 to 20 times as much per event.
"""

from collections.abc import Iterable
from typing import Any

import attrs

from asyncsdk._delivery.batching import halve, split, split_exposures
from asyncsdk._model.blocks import Block, StoredRecord, pack_block
from asyncsdk._model.receipts import Record

ENTRY_EVENTS, ENTRY_BYTES = 100, 64 * 1024

# Appended to a destination's label: where a relay puts the events that it gives up.
DEAD_SUFFIX = " (dead letters)"


@attrs.define(eq=False, repr=False)
class LeasedEntry:
    """An entry that a relay holds.

    Attributes:
        lease: Its lease.
        unsettled: Number of its events and exposures without an outcome.
        is_owing: Whether dead letters, or halves, have to be stored before it is acknowledged.
    """

    lease: Any
    unsettled: int
    is_owing: bool = False


@attrs.define(eq=False, repr=False)
class LeasedRecord(Record):
    """A record of an entry that a relay holds.

    Attributes:
        entry: The entry.
    """

    entry: LeasedEntry = attrs.field(kw_only=True)


def pack_entries(label: str, records: Iterable[Record], now_ms: int) -> list[bytes]:
    """Pack records into as few entries as their limits allow; a larger record has one of its own.

    Args:
        label: Label of the destination.
        records: At least one, in the order in which they were accepted. Bundles of exposures are split.
        now_ms: The time, in milliseconds since 1970; the age of the events is measured from it.
    """
    single = [part for record in records for part in (split_exposures(record) if record.exposures > 1 else (record,))]
    return [bytes(pack_block(label, now_ms, part)) for part in split(single, ENTRY_EVENTS, ENTRY_BYTES)]


def unpack_entry(lease: Any, block: Block, now: float, now_ms: int) -> list[LeasedRecord]:
    """Return the records of an entry that was taken.

    Args:
        lease: Its lease.
        block: Its content.
        now: The time, on the monotonic clock.
        now_ms: The time, in milliseconds since 1970. The clock of the process that packed it may be ahead of it.
    """
    entry = LeasedEntry(lease, len(block.records))
    admitted = min(now, now - (now_ms - block.time_ms) / 1000)
    return [_to_leased(stored, admitted, entry) for stored in block.records]


def _to_leased(stored: StoredRecord, admitted: float, entry: LeasedEntry) -> LeasedRecord:
    key, second_key, event_id, chunk, is_exposure = stored
    return LeasedRecord(key, event_id, chunk, admitted, second_key, int(is_exposure), entry=entry)


def halve_entry(label: str, block: Block) -> list[bytes]:
    """Pack the records of an entry as two entries, which are as old as it is."""
    records = unpack_entry(None, block, 0.0, block.time_ms)
    return [bytes(pack_block(label, block.time_ms, half)) for half in halve(records)]
