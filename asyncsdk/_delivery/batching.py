"""Which events go together, and what a verdict means for each of them."""

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate, filterfalse
from operator import attrgetter

import attrs

from asyncsdk._model.bundles import join_chunks, split_bundle
from asyncsdk._model.receipts import Record
from asyncsdk.vendors._base import Verdict

Batch = list[Record]

# What is asked of every record of a batch, at no step of Python's for each.
key_of, also_of, chunk_of = attrgetter("key"), attrgetter("also"), attrgetter("chunk")
delivery_of, attempts_of, watchers_of = attrgetter("delivery"), attrgetter("attempts"), attrgetter("watchers")
exposures_of = attrgetter("exposures")


@attrs.frozen(eq=False, repr=False)
class SortedBatch:
    """A batch, sorted by what its verdict says. Every record is in exactly one of these.

    Attributes:
        delivered: Taken by the vendor.
        rejected: With the reason of each.
        resend: To send again at once.
        retry: To send again after the circuit's wait.
        paused: To send again after the verdict's pause, with everything else of the same keys.
    """

    delivered: Batch
    rejected: list[tuple[Record, str]]
    resend: Batch
    retry: Batch
    paused: Batch


def sort_out(batch: Sequence[Record], verdict: Verdict) -> SortedBatch:
    """Deal the records of a batch out by what `verdict` says of their positions."""
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
    """Cut a batch of two or more in the middle, or one of exposures that travel as one."""
    middle = len(batch) // 2
    if middle:
        return list(batch[:middle]), list(batch[middle:])
    (record,) = batch
    chunks = split_bundle(record.chunk)
    middle = len(chunks) // 2
    return [_part_of(record, chunks[:middle])], [_part_of(record, chunks[middle:])]


def split_exposures(record: Record) -> Batch:
    """Take exposures that travel as one apart; anything else is one already."""
    return [_part_of(record, [part]) for part in split_bundle(record.chunk)] if record.exposures > 1 else [record]


def _part_of(record: Record, chunks: Sequence[bytes]) -> Record:
    return attrs.evolve(record, chunk=join_chunks(chunks), exposures=len(chunks))


def keys_of(records: Collection[Record]) -> set[str]:
    """Collect whose lines these records stand in."""
    keys = set(map(key_of, records))
    keys.update(filter(None, map(also_of, records)))
    keys.discard("")
    return keys


def linked_keys(keys: AbstractSet[str], records: Iterable[Record]) -> set[str]:
    """Add to `keys` those that aliases among the records tie to them, however many stand between."""
    pairs = [(record.key, record.also) for record in records if record.also is not None]
    tied = set(keys)
    while more := {key for pair in pairs if not tied.isdisjoint(pair) for key in pair} - tied:
        tied |= more
    return tied


def unsettled(records: Iterable[Record]) -> Batch:
    """Give those that have no fate yet."""
    return list(filterfalse(delivery_of, records))


def count(records: Iterable[Record]) -> tuple[int, int]:
    """Count the events and the exposures among records."""
    exposures = list(map(exposures_of, records))
    return exposures.count(0), sum(exposures)


def total(records: Iterable[Record]) -> int:
    """Count the events and exposures among records, together."""
    return sum(count(records))


def running_totals(records: Iterable[Record]) -> list[int]:
    """Count the events and exposures up to each record, and with it."""
    return list(accumulate(exposures or 1 for exposures in map(exposures_of, records)))


def size_of(records: Iterable[Record]) -> int:
    """Count the bytes of records."""
    return sum(map(len, map(chunk_of, records)))
