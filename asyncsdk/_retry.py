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
    bounds = backoff.expo(base=2, factor=first, max_value=most)
    next(bounds)  # what primes the generator is no bound: None in backoff 2.2.1, 0 in python-backoff 3
    yield from map(backoff.full_jitter, bounds)


def at_least(floor: float) -> float:
    """Stretch a vendor's `Retry-After` by 0 to 20 %, so that its clients do not come back as one herd."""
    return floor * uniform(1.0, 1.2)  # noqa: S311 -- spreads load, guards nothing
