"""Delays between polls, streaks of failures, and guarded calls."""

import asyncio
from contextlib import suppress

import pytest

from asyncsdk._refresh.polling import FailureStreak, Polling, call_guarded
from asyncsdk.vendors.statsig.ruleset import RulesAnswer

SUCCESS = RulesAnswer()
BUSY = RulesAnswer(reason="status 503")
REFUSED = RulesAnswer(reason="status 403", retry_soon=False)


def polling(interval: float = 10.0) -> Polling:
    return Polling(FailureStreak("rules"), interval)


def test_polls_are_an_interval_apart_within_a_tenth() -> None:
    poller = polling()
    delays = [poller.delay_after(SUCCESS) for _ in range(1000)]

    assert 9 <= min(delays) < 9.5
    assert 10.5 < max(delays) <= 11


def test_delays_grow_with_each_failure() -> None:
    for _ in range(100):
        poller = polling()
        bounds = [poller.delay_after(BUSY) for _ in range(3)]

        assert bounds[0] <= 0.4
        assert bounds[1] <= 0.8
        assert bounds[2] <= 1.6


def test_in_an_outage_polls_are_an_interval_apart_on_average() -> None:
    poller = polling()
    delays = [poller.delay_after(BUSY) for _ in range(3000)]

    assert 9 < sum(delays) / len(delays) < 11
    assert max(delays) <= 20


def test_after_an_outage_the_backoff_starts_again() -> None:
    poller = polling()
    for _ in range(50):
        poller.delay_after(BUSY)
    poller.delay_after(SUCCESS)

    assert poller.delay_after(BUSY) <= 0.4


def test_a_refused_key_waits_for_the_next_poll() -> None:
    poller = polling()

    assert all(9 <= poller.delay_after(REFUSED) <= 11 for _ in range(100))


@pytest.mark.parametrize("soon", [True, False])
def test_retry_after_is_a_minimum(soon: bool) -> None:
    poller = polling()
    busy = RulesAnswer(reason="status 429", retry_soon=soon, retry_after=100)

    assert all(100 <= poller.delay_after(busy) <= 120 for _ in range(100))


def test_a_short_retry_after_does_not_shorten_the_interval() -> None:
    assert polling().delay_after(RulesAnswer(reason="status 429", retry_soon=False, retry_after=1)) >= 9


def test_a_changed_interval_applies_to_the_next_delay() -> None:
    poller = polling()
    poller.interval = 1.0

    assert poller.delay_after(SUCCESS) <= 1.1


def test_a_streak_counts_its_failures_and_the_total() -> None:
    streak = FailureStreak("rules")
    for _ in range(2):
        streak.record_failure("status 503")
        streak.record_failure("status 500")
        assert (streak.failures, streak.last_error) == (2, "status 500")
        streak.record_success()

    assert (streak.failures, streak.total, streak.last_error) == (0, 4, "")


class Endless:
    """A call that ignores cancellation until `go_on` is set, and then raises."""

    def __init__(self) -> None:
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.began.set()
        while not self.go_on.is_set():
            with suppress(asyncio.CancelledError):
                await self.go_on.wait()
        raise OSError


async def test_a_call_that_does_not_end_times_out() -> None:
    call = Endless()

    assert await call_guarded(call, 0.01) == (None, "TimeoutError")
    call.go_on.set()


async def test_a_call_that_does_not_end_does_not_block_cancelling_its_caller() -> None:
    call = Endless()
    calling = asyncio.create_task(call_guarded(call, 60))
    await call.began.wait()

    calling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await calling
    call.go_on.set()


async def test_a_call_ends_when_its_caller_is_cancelled() -> None:
    ended = []

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    with suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await call_guarded(call, 60)

    assert ended
