"""Bundles: several encoded exposures as one chunk, so that a lane handles one record instead of many.

Exposures have no receipts and no order, so the lane need not distinguish them. A bundle can be split again, for example
when the vendor rejects a request and the batch is halved.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

# Between two chunks in a request: the closing brace that the first one lacks, and a comma.
SEPARATOR = b"},"


class Bundle(bytes):
    """Chunks joined as in a request body. A chunk that is not a `Bundle` is one event or exposure.

    Attributes:
        sizes: Size of each chunk, in bytes.
    """

    sizes: tuple[int, ...]

    @classmethod
    def of(cls, chunks: Sequence[bytes]) -> "Bundle":
        """Return a bundle of chunks."""
        bundle = cls(SEPARATOR.join(chunks))
        bundle.sizes = tuple(map(len, chunks))
        return bundle


def split_bundle(chunk: bytes) -> list[bytes]:
    """Return the chunks of a bundle; a chunk that is not a bundle is returned as the only one."""
    if not isinstance(chunk, Bundle):
        return [chunk]
    starts = accumulate((size + len(SEPARATOR) for size in chunk.sizes), initial=0)
    return [chunk[start : end - len(SEPARATOR)] for start, end in pairwise(starts)]


def count_events(chunks: Sequence[bytes]) -> int:
    """Return the number of events and exposures in chunks, of which some may be bundles."""
    return len(chunks) + sum(len(chunk.sizes) - 1 for chunk in chunks if isinstance(chunk, Bundle))


def join_chunks(chunks: Sequence[bytes]) -> bytes:
    """Return a bundle of chunks; a single chunk is returned unchanged."""
    return Bundle.of(chunks) if len(chunks) > 1 else chunks[0]


def bundle_chunks(chunks: Sequence[bytes], max_chunks: int, max_bytes: int) -> Iterator[bytes]:
    """Group chunks into bundles, in their order.

    Args:
        chunks: Chunks that are not bundles.
        max_chunks: Maximum number of chunks in one bundle.
        max_bytes: Maximum size of the chunks in one bundle, in bytes; a larger chunk is alone in its bundle.
    """
    ends = list(accumulate(map(len, chunks)))
    start = size = 0
    while start < len(chunks):
        stop = bisect_right(ends, size + max_bytes, start + 1, min(start + max_chunks, len(chunks)))
        yield join_chunks(chunks[start:stop])
        start, size = stop, ends[stop - 1]
