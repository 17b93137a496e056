"""When to ask again, and what to say of failures."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from random import uniform
from typing import Protocol, TypeVar

import attrs

from asyncsdk._retry import at_least, waits
from asyncsdk.vendors._base import Request, Response
from asyncsdk.vendors.statsig.ruleset import RulesAnswer

logger = logging.getLogger("asyncsdk.rules")

_INITIAL_BACKOFF = 0.4
# Longest that a store takes to end once it is cancelled, before nobody waits for it.
_CANCEL_GRACE = 0.05
# A turn on the loop lasts at least this long if there is so much to do: turns cost, too.
_MIN_SLICE = 0.0003

T = TypeVar("T")


class Fetcher(Protocol):
    """What is needed of a transport."""

    async def fetch(self, request: Request) -> Response:
        """Do a request and give the whole answer; trouble is a response without a status."""
        ...


@attrs.define(eq=False, repr=False)
class FailureStreak:
    """Failures of one thing in a row: a line in the log when they begin, and one when they end.

    That a key is refused is a line of its own: somebody has to act.

    Attributes:
        subject: What fails, as the log names it.
        failures: How many in a row.
        total: How many ever.
        last_error: The latest one in a few words; empty when the latest attempt went well.
        refused: The key was refused in one of them.
    """

    subject: str
    failures: int = 0
    total: int = 0
    last_error: str = ""
    refused: bool = False

    def record_failure(self, reason: str, *, refused: bool = False, has_any: bool = True) -> None:
        """Note a failure.

        Args:
            reason: A few words.
            refused: The key is wrong.
            has_any: There are rules, or whatever it is, from before.
        """
        self.failures += 1
        self.total += 1
        self.last_error = reason
        outlook = "what is there stays in use" if has_any else "no rules yet: lookups answer their fallbacks"
        if refused and not self.refused:
            logger.error("%s: %s (is the key right?); %s", self.subject, reason, outlook)
        elif self.failures == 1:
            logger.warning("%s: %s; %s", self.subject, reason, outlook)
        self.refused |= refused

    def record_success(self) -> None:
        """Note a success."""
        if self.failures:
            logger.info("%s: is well again", self.subject)
        self.failures, self.last_error, self.refused = 0, "", False


async def call_guarded(call: Callable[[], Awaitable[T]], longest: float) -> tuple[T | None, str]:
    """Call a store, for at most so many seconds; gives what it gave, or in a word what went wrong.

    It has a task of its own: one that does not end when it is cancelled is left to itself, and keeps nobody.
    """

    async def run() -> T:
        return await call()

    task = asyncio.create_task(run(), name="asyncsdk store")
    task.add_done_callback(_consume_exception)
    try:
        await asyncio.wait([task], timeout=longest)
    finally:
        is_late = task.cancel()
        if is_late:
            await asyncio.wait([task], timeout=_CANCEL_GRACE)
    if is_late or task.cancelled():
        return None, "TimeoutError" if is_late else "CancelledError"
    error = task.exception()
    return (task.result(), "") if error is None else (None, type(error).__name__)


def _consume_exception(task: asyncio.Task[T]) -> None:
    """Take note of how a task ended, which asyncio would complain of otherwise."""
    if not task.cancelled():
        task.exception()


@attrs.define(eq=False, repr=False)
class Polling:
    """When to ask the next time: after an interval, sooner after a failure, never sooner than the answer wanted.

    In an outage the waits grow until they are as long as the interval on average, so that a vendor that is coming
    back meets no more requests than on a good day.

    Attributes:
        streak: The failures so far.
        interval: Seconds.
    """

    streak: FailureStreak
    interval: float
    _waits: Iterator[float] = attrs.field(init=False, factory=lambda: iter(()))

    def after(self, answer: RulesAnswer, *, has_any: bool = True) -> float:
        """Take an answer in; give the seconds until the next question. `has_any`: as in `record_failure`."""
        pause = self.interval * uniform(0.9, 1.1)  # noqa: S311 -- spreads load, guards nothing
        if not answer.reason:
            self.streak.record_success()
            return pause
        if not self.streak.failures:
            self._waits = waits(min(_INITIAL_BACKOFF, self.interval), 2 * self.interval)
        self.streak.record_failure(answer.reason, refused=answer.refused, has_any=has_any)
        if answer.retry_soon:
            pause = next(self._waits)
        return pause if answer.retry_after is None else max(pause, at_least(answer.retry_after))


def notify(listeners: Iterable[Callable[[T], object]], news: T) -> None:
    """Call those who want to know; what they raise is logged."""
    for listener in listeners:
        try:
            listener(news)
        except (Exception, asyncio.CancelledError):  # it may raise that without anybody cancelling us
            logger.exception("a watcher of the rules failed")


@attrs.define(eq=False, repr=False)
class CooperativeRunner:
    """Runs long work in turns, so that the loop is never held.

    Attributes:
        turns: How many there were.
        longest: The longest piece of work that could not be cut, in seconds of CPU time.
    """

    yields: int = 0
    max_step_seconds: float = 0.0

    async def run(self, steps: Generator[None, None, T]) -> T:
        """Run steps to their end, and give what they return."""
        began = time.perf_counter()
        while True:
            piece = time.thread_time()
            try:
                next(steps)
            except StopIteration as stop:
                result: T = stop.value
                return result
            finally:
                self.max_step_seconds = max(self.max_step_seconds, time.thread_time() - piece)
            if time.perf_counter() - began > _MIN_SLICE:
                self.yields += 1
                await asyncio.sleep(0)
                began = time.perf_counter()
