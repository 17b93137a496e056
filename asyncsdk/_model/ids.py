"""Event ids in the form of a random UUID."""

import itertools
import os
from collections.abc import Iterator


class Ids:
    """Ids in the form of a random UUID: a random start per client, then a count, at a tenth of the cost.

    Attributes:
        texts: Yields one after another, to any thread.
    """

    texts: Iterator[str]

    def __init__(self) -> None:
        """Begin somewhere."""
        self.renew()

    def renew(self) -> None:
        """Draw a start that no other client or process has; a fork would continue its parent's otherwise."""
        start = os.urandom(14).hex()
        form = f"{start[:8]}-{start[8:12]}-4{start[12:15]}-a{start[15:18]}-%x"
        # The highest of its 48 bits is set, so that the count always has twelve digits.
        self.texts = map(form.__mod__, itertools.count(1 << 47 | int(start[18:27], 16)))
