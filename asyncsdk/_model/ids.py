"""Event ids in the form of a random UUID."""

import itertools
import os
from collections.abc import Iterator


class Ids:
    """Generates ids in the form of a random UUID: a random prefix per client and a counter.

    Ten times faster than `uuid4()`, which every event would otherwise call.

    Attributes:
        texts: The iterator of ids; `next(ids.texts)` is safe from any thread.
    """

    texts: Iterator[str]

    def __init__(self) -> None:
        """Draw a random start."""
        self.renew()

    def renew(self) -> None:
        """Draw a new random start. A forked process needs its own, or it would repeat the ids of its parent."""
        start = os.urandom(14).hex()
        template = f"{start[:8]}-{start[8:12]}-4{start[12:15]}-a{start[15:18]}-%x"
        # The counter's highest bit (of 48) is set, so that it always has twelve hexadecimal digits.
        self.texts = map(template.__mod__, itertools.count(1 << 47 | int(start[18:27], 16)))
