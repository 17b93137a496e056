"""A set of ids that takes 8 to 16 bytes per id, for ID lists of millions.

An id is a key of 6 bytes, the start of a SHA-256. A `set[bytes]` takes about 90 bytes for each: 48 for the key, the
rest for the hash table. Here the keys are distributed over buckets by their hash; a bucket is one `bytes` of
concatenated keys, which `bytes.find` searches in C.

    keys      a1a1a1 b2b2b2 c3c3c3           (3 bytes long in this picture)
    buckets   [b"a1a1a1c3c3c3", b"b2b2b2"]

A lookup takes a fifth longer than in a set, so lists of up to `SMALL` ids remain sets.

Invariants: 1. each key is in the bucket that its hash selects, at a multiple of `KEY_BYTES`, once; 2. `_table` is
replaced as a whole, so that a reader in another thread always sees a mask and the buckets that belong to it; 3. one
writer at a time.
"""

from collections.abc import Generator, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain, islice
from struct import iter_unpack

KEY_BYTES = 6
SMALL = 100_000
"""Maximum number of ids that are kept in a `set`."""
_KEYS_PER_BUCKET = 32
"""Mean number of keys in a bucket when the table is built; it is built again at four times as many."""
_KEYS_PER_STEP, _BUCKETS_PER_STEP = 500, 8
"""Keys and buckets that one step copies."""


class CompactIds:
    """The set. Reading is safe from any thread, while one task changes it."""

    __slots__ = ("_count", "_table")

    def __init__(self, expected: int = 0) -> None:
        """Create an empty set with room for `expected` ids."""
        buckets = 1 << max(expected // _KEYS_PER_BUCKET, 1).bit_length()
        self._table = (buckets - 1, [b""] * buckets)
        self._count = 0

    def __contains__(self, key: object) -> bool:
        mask, buckets = self._table
        bucket = buckets[hash(key) & mask]
        at = bucket.find(key)  # type: ignore[arg-type] # keys are bytes; `Container` would take anything
        while at > 0 and at % KEY_BYTES:  # a match of the end of one key and the start of the next
            at = bucket.find(key, at + 1)  # type: ignore[arg-type] # see above
        return at >= 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(map(_split, self._table[1]))

    def __repr__(self) -> str:
        return f"<CompactIds of {self._count}>"

    @property
    def needs_growth(self) -> bool:
        """Whether the buckets are so full that `grow` is due."""
        return self._count > 4 * _KEYS_PER_BUCKET * len(self._table[1])

    def add(self, key: bytes) -> None:
        """Add a key of `KEY_BYTES`; nothing happens if it is present."""
        self.update((key,))

    def update(self, keys: Iterable[bytes]) -> None:
        """Add many keys."""
        mask, buckets = self._table
        for key in keys:
            place = hash(key) & mask
            bucket = buckets[place]
            at = bucket.find(key)
            # `__contains__` again, only for a match that is not at the start of a key: a call would double the cost.
            if at < 0 or (at % KEY_BYTES and key not in self):
                buckets[place] = bucket + key
                self._count += 1

    def discard(self, key: bytes) -> None:
        """Remove a key; nothing happens if it is absent."""
        if key in self:
            mask, buckets = self._table
            place = hash(key) & mask
            buckets[place] = b"".join(kept for kept in _split(buckets[place]) if kept != key)
            self._count -= 1

    def grow(self) -> Generator[None, None, None]:
        """Build a larger table, yielding between steps; the set must not be changed until it ends."""
        table = CompactIds(2 * self._count)
        for position, bucket in enumerate(self._table[1]):
            table.update(_split(bucket))
            if position % _BUCKETS_PER_STEP == 0:
                yield
        self._table = table._table


def compacted(ids: AbstractSet[bytes]) -> Generator[None, None, CompactIds]:
    """Return a copy of a set, yielding between steps; the set must not be changed until it ends."""
    result = CompactIds(2 * len(ids))
    keys = iter(ids)
    while batch := list(islice(keys, _KEYS_PER_STEP)):
        result.update(batch)
        yield
    return result


def _split(bucket: bytes) -> Iterator[bytes]:
    return (key for (key,) in iter_unpack(f"{KEY_BYTES}s", bucket))
