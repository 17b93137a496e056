"""The sliding window of rate limits."""

from hypothesis import given
from hypothesis import strategies as st

from asyncsdk.dev.rate_limits import Window


def test_a_charge_fades_after_one_span() -> None:
    window = Window(10.0)

    window.charge({"a": 8}, now=5.0)

    assert [window.used("a", now) for now in (5.0, 9.9, 10.0, 15.0, 19.9, 20.0, 99.0)] == [
        8,
        8,
        8,
        4,
        0,
        0,
        0,
    ]
    assert window.used("b", 5.0) == 0


def test_spans_add_up() -> None:
    window = Window(10.0)

    window.charge({"a": 8}, now=5.0)
    window.charge({"a": 2}, now=12.5)

    assert window.used("a", 12.5) == 2 + 6


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(1, 5)), max_size=20), st.floats(50, 60))
def test_no_charge_counts_for_more_than_two_spans(charges: list[tuple[float, int]], now: float) -> None:
    window = Window(10.0)
    for at, count in sorted(charges):
        window.charge({"a": count}, at)

    assert 0 <= window.used("a", now) <= sum(count for at, count in charges if at >= now - 20)
