"""Exposures that travel as one: nobody has a receipt for any of them, so that a lane need not tell them apart."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

# What stands between two chunks in a request: the closing brace that the first one lacks.
SEPARATOR = b"},"


class Bundle(bytes):
    """Chunks, joined as they are in a request. No chunk by itself is one.

    Attributes:
        sizes: Bytes of each.
    """

    sizes: tuple[int, ...]

    @classmethod
    def of(cls, chunks: Sequence[bytes]) -> "Bundle":
        """Join chunks."""
        bundle = cls(SEPARATOR.join(chunks))
        bundle.sizes = tuple(map(len, chunks))
        return bundle


def split_bundle(chunk: bytes) -> list[bytes]:
    """Give the chunks again of which one was made."""
    if not isinstance(chunk, Bundle):
        return [chunk]
    starts = accumulate((size + len(SEPARATOR) for size in chunk.sizes), initial=0)
    return [chunk[start : end - len(SEPARATOR)] for start, end in pairwise(starts)]


def count_events(chunks: Sequence[bytes]) -> int:
    """Count the events and exposures that chunks are."""
    return len(chunks) + sum(len(chunk.sizes) - 1 for chunk in chunks if isinstance(chunk, Bundle))


def join_chunks(chunks: Sequence[bytes]) -> bytes:
    """Make one chunk of some; of a single one, that itself."""
    return Bundle.of(chunks) if len(chunks) > 1 else chunks[0]


def bundle_chunks(chunks: Sequence[bytes], most: int, max_bytes: int) -> Iterator[bytes]:
    """Put chunks together, in their order: so many at most, and so many bytes unless one alone is larger."""
    ends = list(accumulate(map(len, chunks)))
    start = size = 0
    while start < len(chunks):
        stop = bisect_right(ends, size + max_bytes, start + 1, min(start + most, len(chunks)))
        yield join_chunks(chunks[start:stop])
        start, size = stop, ends[stop - 1]
