"""How long to wait before the next attempt.

The only module that touches `backoff`, and only its generators: its decorators time with the wall clock, cannot be
woken, and shorten a `Retry-After`.
"""

from collections.abc import Iterator
from random import uniform

import backoff


def waits(first: float, most: float) -> Iterator[float]:
    """Yield the seconds to wait after the first, second, ... failure in a row: full jitter under a doubling bound.

    Args:
        first: The first bound, in seconds.
        most: The bound never exceeds this many seconds.
    """
    for bound in backoff.expo(base=2, factor=first, max_value=most):  # pragma: no branch -- it never ends
        if bound is not None:  # both packages yield one None before the first bound
            yield backoff.full_jitter(bound)


def at_least(floor: float) -> float:
    """Stretch a vendor's `Retry-After` by 0 to 20 %, so that its clients do not come back as one herd."""
    return floor * uniform(1.0, 1.2)  # noqa: S311 -- spreads load, guards nothing
