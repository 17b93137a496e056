"""When the next request may be sent."""

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
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


def refuse(it: Circuit, times: int) -> list[float]:
    """Refuse requests that are sent as early as allowed; return when they were sent."""
    sent, now = list[float](), 100.0
    for _ in range(times):
        now = max(now, it.probe_at) if it.is_waiting else now
        sent.append(now)
        it.refused(it.begin_request(), now)
    return sent


def test_one_refusal_is_asked_about_at_once() -> None:
    it = circuit()
    assert it.refused(it.begin_request(), 100.0)

    assert it.allows(0, 100.0)
    assert not it.halted
    it.begin_request()
    assert not it.allows(1, 100.0)


def test_it_is_halted_after_spaced_refusals_only() -> None:
    it = circuit()
    sent = refuse(it, 4)
    assert not it.halted
    sent += refuse(it, 1)
    assert it.halted

    waits = [later - earlier for earlier, later in pairwise([*sent, it.probe_at])]
    for wait, floor in zip(waits, (0.0, 1.0, 5.0, 15.0, 60.0), strict=True):
        assert floor <= wait <= floor * 1.2


def test_a_halted_vendor_is_asked_every_probe_interval() -> None:
    it = circuit()
    sent = refuse(it, 10)

    assert all(300 <= later - earlier <= 360 for earlier, later in pairwise(sent[6:]))


def test_an_answer_to_another_request_ends_the_suspicion_without_a_slow_start() -> None:
    it = circuit()
    early = it.begin_request()
    it.refused(it.begin_request(), 100.0)

    assert it.answered(early)
    assert it.state == "closed"
    assert it.allows(3, 100.0)


def test_a_halted_vendor_that_answers_is_taken_up_slowly() -> None:
    it = circuit()
    refuse(it, 6)
    assert it.answered(it.begin_request())

    assert not it.halted
    assert not it.allows(1, 1e6)


def test_a_flush_asks_a_halted_vendor_but_adds_nothing_to_the_verdict() -> None:
    it = circuit()
    refuse(it, 6)
    due = it.probe_at
    it.skip_wait(300.0)
    assert it.allows(0, 300.0)
    it.refused(it.begin_request(), 300.0)

    assert it.probe_at == due


def test_a_client_that_closes_asks_a_halted_vendor_once() -> None:
    it = circuit()
    refuse(it, 6)
    it.skip_wait(300.0, 900.0)
    assert not it.is_blocked_until(900.0)
    it.refused(it.begin_request(), 300.0)

    assert it.is_blocked_until(900.0)


@settings(deadline=None)  # 300 steps each
@given(st.sets(st.floats(0.0, 3.0), max_size=60))
def test_a_wrong_key_stays_quiet_however_often_callers_flush(flushes: set[float]) -> None:
    it = circuit(in_flight=4)
    sent, waiting = 4, [it.begin_request() for _ in range(4)]
    for now in sorted({step / 100 for step in range(300)} | flushes):
        while waiting:
            it.refused(waiting.pop(), now)
        if now in flushes:
            it.skip_wait(now)
        if it.allows(0, now):
            waiting.append(it.begin_request())
            sent += 1

    assert sent <= 12


@given(
    st.lists(st.tuples(st.sampled_from(["refusal", "failure", "answer", "flush", "stale answer"]), st.floats(0, 30)))
)
def test_it_is_halted_only_after_refusals_over_21_seconds_without_an_answer(steps: list[tuple[str, float]]) -> None:
    it, now, first, refusals = circuit(), 0.0, None, 0
    for what, seconds in steps:
        now += seconds
        if what == "flush":
            it.skip_wait(now)
        elif what == "stale answer" and it.is_refused:
            it.answered(it.generation - 1)
            first, refusals = None, 0
        elif it.allows(0, now):
            generation = it.begin_request()
            if what == "refusal":
                it.refused(generation, now)
                first, refusals = now if first is None else first, refusals + 1
            elif what == "failure":
                it.failed(generation, now, None)
            else:
                it.answered(generation)
                first, refusals = None, 0
        assert not it.halted or (refusals >= 5 and first is not None and now - first >= 21)


def test_a_stale_refusal_does_not_change_the_wait() -> None:
    it = circuit()
    early = it.begin_request()
    it.failed(it.begin_request(), 100.0, None)
    probe_at = it.probe_at

    assert not it.refused(early, 100.0)
    assert (it.state, it.probe_at, it.halted) == ("open", probe_at, False)


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
