"""How long to wait before the next attempt: only the numbers. Events that wait are in `Lane._to_retry`.

The only module that imports `backoff`, and only its generators: its decorators read the wall clock, cannot be woken,
and would cut a `Retry-After` short.
"""

from collections.abc import Iterator
from random import uniform

import backoff

# What the waits are multiplied by: a list of one number, which `asyncsdk.testing.no_backoff` changes for a test.
SCALE = [1.0]
# Maximum seconds to wait because a vendor asked for it.
_MAX_RETRY_AFTER = 3600.0


def waits(initial: float, maximum: float) -> Iterator[float]:
    """Yield the seconds to wait after the first, second, ... failure in a row: full jitter under a doubling bound.

    Args:
        initial: The first bound, in seconds.
        maximum: The bound stops doubling here, in seconds.
    """
    bounds = backoff.expo(base=2, factor=initial, max_value=maximum)
    next(bounds)  # the first value only primes the generator: None in backoff 2.2.1, 0 in python-backoff 3
    for bound in bounds:  # pragma: no branch -- without an end
        yield SCALE[0] * backoff.full_jitter(bound)


def at_least(floor: float) -> float:
    """Stretch a vendor's `Retry-After` by 0 to 20 %, so that its clients do not all return at once.

    Args:
        floor: The minimum wait, in seconds.

    Returns:
        A wait of at most an hour, or `floor` if that is longer.
    """
    return SCALE[0] * min(floor * uniform(1.0, 1.2), max(floor, _MAX_RETRY_AFTER))  # noqa: S311 -- spreads load, guards nothing
