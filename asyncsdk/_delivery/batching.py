"""Pure functions over batches: sort one by its verdict, split it, find its ordering keys, measure it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate, filterfalse
from operator import attrgetter
from typing import TypeVar

import attrs

from asyncsdk._model.bundles import join_chunks, split_bundle
from asyncsdk._model.receipts import Record
from asyncsdk.vendors._base import Verdict

Batch = list[Record]
AnyRecord = TypeVar("AnyRecord", bound=Record)

# `map` with an attrgetter runs in C: no Python bytecode per record, unlike a comprehension.
key_of, second_key_of, chunk_of = attrgetter("key"), attrgetter("second_key"), attrgetter("chunk")
delivery_of, attempts_of, watchers_of = attrgetter("delivery"), attrgetter("attempts"), attrgetter("watchers")
exposures_of = attrgetter("exposures")


@attrs.frozen(eq=False, repr=False)
class SortedBatch:
    """A batch, sorted by its verdict. Every record is in exactly one of these lists.

    Attributes:
        delivered: Accepted by the vendor.
        rejected: Refused by the vendor, each with the reason.
        resend: To send again at once.
        retry: To send again after the circuit's wait.
        paused: To send again after the verdict's pause, together with everything else of the same ordering keys.
    """

    delivered: Batch
    rejected: list[tuple[Record, str]]
    resend: Batch
    retry: Batch
    paused: Batch


def sort_out(batch: Sequence[Record], verdict: Verdict) -> SortedBatch:
    """Sort the records of a batch by what `verdict` says about their positions.

    A position that several parts of the verdict name goes to the first of: reject, pause, retry, resend.
    """
    if not (verdict.reject or verdict.resend or verdict.retry or verdict.pause):
        return SortedBatch(list(batch), [], [], [], [])
    sorted_ = SortedBatch([], [], [], [], [])
    piles = (
        (frozenset(verdict.pause), sorted_.paused),
        (frozenset(verdict.retry), sorted_.retry),
        (frozenset(verdict.resend), sorted_.resend),
    )
    for position, record in enumerate(batch):
        if position in verdict.reject:
            sorted_.rejected.append((record, verdict.reject[position]))
        else:
            pile = next((pile for positions, pile in piles if position in positions), sorted_.delivered)
            pile.append(record)
    return sorted_


def halve(batch: Sequence[Record]) -> tuple[Batch, Batch]:
    """Split a batch in the middle: two or more records, or one record of several exposures."""
    middle = len(batch) // 2
    if middle:
        return list(batch[:middle]), list(batch[middle:])
    (record,) = batch
    chunks = split_bundle(record.chunk)
    middle = len(chunks) // 2
    return [_part_of(record, chunks[:middle])], [_part_of(record, chunks[middle:])]


def split_exposures(record: Record) -> Batch:
    """Return one record per exposure; any other record is returned as it is."""
    return [_part_of(record, [part]) for part in split_bundle(record.chunk)] if record.exposures > 1 else [record]


def _part_of(record: Record, chunks: Sequence[bytes]) -> Record:
    return attrs.evolve(record, chunk=join_chunks(chunks), exposures=len(chunks))


def keys_of(records: Collection[Record]) -> set[str]:
    """Return the ordering keys of these records. Exposures have none."""
    keys = set(map(key_of, records))
    keys.update(filter(None, map(second_key_of, records)))
    keys.discard("")
    return keys


def linked_keys(keys: AbstractSet[str], records: Iterable[Record]) -> set[str]:
    """Return `keys` and all keys that aliases among the records link to them, directly or through others.

    With the aliases a-b and b-c, the keys linked to {a} are {a, b, c}.
    """
    pairs = [(record.key, record.second_key) for record in records if record.second_key is not None]
    linked = set(keys)
    while more := {key for pair in pairs if not linked.isdisjoint(pair) for key in pair} - linked:
        linked |= more
    return linked


def unsettled(records: Iterable[Record]) -> Batch:
    """Return the records without an outcome."""
    return list(filterfalse(delivery_of, records))


def count(records: Iterable[Record]) -> tuple[int, int]:
    """Return the number of events and the number of exposures in these records."""
    exposures = list(map(exposures_of, records))
    return exposures.count(0), sum(exposures)


def total(records: Iterable[Record]) -> int:
    """Return the number of events and exposures in these records, added up."""
    return sum(count(records))


def running_totals(records: Iterable[Record]) -> list[int]:
    """Return the number of events and exposures up to and including each record."""
    return list(accumulate(exposures or 1 for exposures in map(exposures_of, records)))


def size_of(records: Iterable[Record]) -> int:
    """Return the total size of the records' chunks, in bytes."""
    return sum(map(len, map(chunk_of, records)))


def split(records: Sequence[AnyRecord], max_events: int, max_bytes: int) -> Iterator[Sequence[AnyRecord]]:
    """Split records into parts of at most `max_events` and `max_bytes`; a larger record has a part of its own."""
    start = size = 0
    for number, record in enumerate(records):
        size += len(record.chunk)
        if number - start == max_events or (size > max_bytes and number > start):
            yield records[start:number]
            start, size = number, len(record.chunk)
    yield records[start:]
