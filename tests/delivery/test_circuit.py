"""When the next request may be sent."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._delivery.circuit import _TRANSITIONS, Circuit, Input, State
from asyncsdk.vendors._base import Limits


def circuit(in_flight: int = 4) -> Circuit:
    return Circuit(Limits(max_in_flight=in_flight, retry_initial=1.0, retry_max=8.0, probe_interval=300.0))


def opened(at: float = 100.0, retry_after: float | None = None) -> Circuit:
    it = circuit()
    it.failed(it.begin_request(), at, retry_after)
    return it


def test_every_state_has_a_row_and_every_row_every_input() -> None:
    assert set(_TRANSITIONS) == set(get_args(State))
    assert all(set(row) == set(get_args(Input)) for row in _TRANSITIONS.values())


def test_a_closed_circuit_allows_up_to_its_limit() -> None:
    assert circuit().allows(3, 0.0)
    assert not circuit().allows(4, 0.0)


def test_a_failure_opens_it_for_at_most_the_first_wait() -> None:
    it = opened()

    assert 100.0 <= it.probe_at <= 101.0
    assert it.allows(0, it.probe_at)


def test_only_one_probe_is_sent() -> None:
    it = opened()
    it.begin_request()

    assert not it.allows(0, 1000.0)


def test_an_answered_probe_closes_it_and_the_limit_grows_back() -> None:
    it = opened()
    assert it.answered(it.begin_request())

    limits = []
    for _ in range(3):
        limits.append(max(n for n in range(5) if it.allows(n, 0.0)) + 1)
        it.answered(it.generation)
    assert limits == [1, 2, 4]


def test_failures_of_requests_sent_together_count_as_one() -> None:
    it = circuit()
    generations = [it.begin_request() for _ in range(4)]
    is_first = [it.failed(generation, 100.0, None) for generation in generations]

    assert is_first == [True, False, False, False]
    assert it.probe_at <= 101.0


def test_an_answer_from_before_the_failure_does_not_close_it() -> None:
    it = circuit()
    early = it.begin_request()
    it.failed(it.begin_request(), 100.0, None)

    assert not it.answered(early)
    assert it.state == "open"


def test_retry_after_is_a_floor() -> None:
    assert 130.0 <= opened(retry_after=30.0).probe_at <= 136.0


def test_skipping_the_wait_cuts_it_short() -> None:
    it = opened()
    it.skip_wait(100.0)

    assert it.allows(0, 100.0)


def test_skipping_the_wait_respects_retry_after() -> None:
    it = opened(retry_after=30.0)
    it.skip_wait(100.0)

    assert it.probe_at >= 130.0


@given(st.integers(0, 20))
def test_while_the_client_closes_a_wait_takes_at_most_half_of_the_remaining_time(failures: int) -> None:
    it = opened()
    for _ in range(failures):  # the waits have grown to a minute
        it.failed(it.begin_request(), 100.0, None)
    it.skip_wait(100.0, 105.0)
    it.failed(it.begin_request(), 101.0, None)

    assert it.probe_at <= 103.0
    assert not it.is_blocked_until(105.0)


def test_a_halt_is_reported_once_and_probed_at_long_intervals() -> None:
    it = circuit()
    assert it.halt(it.begin_request(), 100.0)
    assert it.probe_at == 400.0
    assert not it.halt(it.begin_request(), 400.0)

    it.answered(it.begin_request())
    assert not it.halted


def test_a_stale_halt_does_not_change_the_wait() -> None:
    it = circuit()
    early = it.begin_request()
    it.failed(it.begin_request(), 100.0, None)
    probe_at = it.probe_at

    assert it.halt(early, 100.0)
    assert it.probe_at == probe_at


def test_a_probe_that_ends_without_an_answer_is_sent_again() -> None:
    it = opened()
    generation = it.begin_request()
    it.returned(generation)

    assert it.allows(0, it.probe_at)


@pytest.mark.parametrize("failures", [1, 3, 10])
def test_waits_double_up_to_the_cap(failures: int) -> None:
    longest = 0.0
    for _ in range(200):
        it = circuit()
        for _ in range(failures):
            it.failed(it.begin_request(), 0.0, None)
        longest = max(longest, it.probe_at)

    bound = min(8.0, 2.0 ** (failures - 1))
    assert bound * 0.8 < longest <= bound
