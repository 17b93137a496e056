"""How long to wait: the schedule that `backoff` (2.2.1 or python-backoff 3) gives."""

import itertools

from asyncsdk._retry import at_least, waits


def test_bounds_double_from_the_first_up_to_the_cap() -> None:
    rounds = [list(itertools.islice(waits(0.5, 4.0), 6)) for _ in range(300)]

    highest = [max(column) for column in zip(*rounds, strict=True)]
    for seen, bound in zip(highest, [0.5, 1.0, 2.0, 4.0, 4.0, 4.0], strict=True):
        assert bound * 0.9 < seen <= bound


def test_jitter_is_full() -> None:
    assert min(next(waits(1.0, 1.0)) for _ in range(300)) < 0.1


def test_a_vendors_wish_is_never_undercut() -> None:
    waited = [at_least(10.0) for _ in range(300)]

    assert min(waited) >= 10.0
    assert max(waited) <= 12.0


def test_a_vendors_wish_is_an_hour_at_most_with_its_jitter() -> None:
    assert all(floor <= at_least(floor) <= 3600.0 for floor in (3000.0, 3500.0, 3600.0) for _ in range(100))
