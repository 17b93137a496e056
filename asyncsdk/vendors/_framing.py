"""How the encoded events of a request become its body: shared by the codecs."""

from collections.abc import Sequence


def frame_body(head: bytes, chunks: Sequence[bytes], between: bytes, tail: bytes) -> bytes:
    """Join one or more chunks between `head` and `tail`, in one copy.

    A format string copies them once more, into memory that is new each time: 400 kB then take 0.2 ms, not 0.01.
    """
    parts = list(chunks)
    parts[0] = head + parts[0]
    parts[-1] += tail
    return between.join(parts)
