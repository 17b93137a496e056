"""Building blocks of the refresh tasks: when to poll again, how to log failures, how to run slow or long work safely.

* `Polling` decides the delay before the next request; it owns a `FailureStreak`.
* `call_guarded` calls code of the user (a store) with a timeout, and does not raise.
* `notify` calls listeners of the user, and does not raise.
* `CooperativeRunner` runs a long computation on the event loop without blocking it.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from random import uniform
from typing import Protocol, TypeVar

import attrs

from asyncsdk._failures import LOG_INTERVAL, FailureStreak
from asyncsdk._retry import at_least, waits
from asyncsdk.vendors._base import Request, Response
from asyncsdk.vendors.statsig.ruleset import RulesAnswer

logger = logging.getLogger("asyncsdk.rules")

_INITIAL_BACKOFF = 0.4
"""Upper bound of the first delay after a failure, in seconds; it doubles with each further one."""
_CANCEL_GRACE = 0.05
"""Maximum time for a cancelled call to end, in seconds; then it is left running in its task."""
_MIN_SLICE = 0.0003
"""Time to run before yielding to the event loop, in seconds. Shorter steps run together: each yield has a cost."""

T = TypeVar("T")
Receive = Callable[[Response, AsyncIterator[bytes]], Awaitable[None]]


class Fetcher(Protocol):
    """The part of a transport that a refresh needs."""

    async def fetch(self, request: Request) -> Response:
        """Send a request and return the whole response. A connection error is a response without a status."""
        ...

    async def stream(self, request: Request, receive: Receive, max_bytes: int) -> Response:
        """Send a request and pass a successful response on while it arrives; return it without its body.

        Args:
            request: The request.
            receive: Called with the response, still without its body, and the pieces of the body.
            max_bytes: Maximum size of the body.
        """
        ...


def outlook(*, has_any: bool) -> str:
    """Return what lookups are answered from after a failure, for the log.

    Args:
        has_any: Whether there is earlier data, such as rules, that stays in use.
    """
    return "keeping current data" if has_any else "no rules yet, lookups return their fallbacks"


async def call_guarded(call: Callable[[], Awaitable[T]], timeout: float) -> tuple[T | None, str]:
    """Call a store, for at most `timeout` seconds, and catch what it raises.

    Runs in its own task, so a store that ignores cancellation cannot block the caller.

    Returns:
        The result and ""; or, if the call failed, None and the name of the error.
    """

    async def run() -> T:
        return await call()

    task = asyncio.create_task(run(), name="asyncsdk store")
    task.add_done_callback(_consume_exception)
    try:
        await asyncio.wait([task], timeout=timeout)
    finally:
        # Also when the caller itself is cancelled: `wait` leaves the task running.
        is_late = task.cancel()
        if is_late:
            await asyncio.wait([task], timeout=_CANCEL_GRACE)
    if is_late or task.cancelled():
        return None, "TimeoutError" if is_late else "CancelledError"
    error = task.exception()
    return (task.result(), "") if error is None else (None, type(error).__name__)


def _consume_exception(task: asyncio.Task[T]) -> None:
    """Retrieve the exception of a task that may outlive its caller; asyncio logs exceptions that nothing retrieves."""
    if not task.cancelled():
        task.exception()


@attrs.define(eq=False, repr=False)
class Polling:
    """Decides when to poll next.

    In an outage the delays grow until their mean equals `interval`, so that a vendor that recovers receives no more
    requests than usual.

    Attributes:
        streak: The failures in a row.
        interval: Seconds between two polls. May be changed at any time; the next delay uses it.
    """

    streak: FailureStreak
    interval: float
    _backoff: Iterator[float] = attrs.field(init=False, factory=lambda: iter(()))

    def may_heal_soon(self, answer: RulesAnswer) -> bool:
        """Return whether a retry before the next poll may help, after a failure that is not recorded yet.

        One refused key or certificate proves nothing: a gateway may be starting, or a firewall may have answered.
        It is tried again soon, once.
        """
        return answer.retry_soon or (answer.may_be_stray and not self.streak.failures)

    def delay_after(self, answer: RulesAnswer, *, has_any: bool = True) -> float:
        """Record an answer and return the delay before the next request.

        Args:
            answer: The result of the latest request.
            has_any: Whether there is earlier data that stays in use.

        Returns:
            Seconds: after a failure that a retry may fix, a backoff with full jitter; otherwise about `interval`. Never
            less than the answer's `Retry-After`.
        """
        delay = self.interval * uniform(0.9, 1.1)  # noqa: S311 -- spreads load, guards nothing
        if not answer.reason:
            self.streak.record_success()
            return delay
        if not self.streak.failures:
            # Full jitter under a bound of twice the interval: on average one interval.
            self._backoff = waits(min(_INITIAL_BACKOFF, self.interval), 2 * self.interval)
        if self.may_heal_soon(answer):
            delay = next(self._backoff)
        if answer.retry_after is not None:
            delay = max(delay, at_least(answer.retry_after))
        refused = answer.refused and self.streak.failures > 0
        self.streak.record_failure(
            answer.reason,
            outlook(has_any=has_any),
            shown=f"{answer.reason}, check the secret key" if refused else "",
            refused=refused,
            retry_in=LOG_INTERVAL if answer.malformed else delay,  # a malformed body will not heal by itself
        )
        return delay


def notify(listeners: Iterable[Callable[[T], object]], value: T) -> None:
    """Call each listener with `value`; log what it raises."""
    for listener in listeners:
        try:
            listener(value)
        except (Exception, asyncio.CancelledError):  # raised by the listener itself: there is no await here
            logger.exception("Statsig rules: a function given to on_ruleset_change or on_rules_health failed")


@attrs.define(eq=False, repr=False)
class CooperativeRunner:
    """Runs long computations on the event loop without blocking it.

    A computation is a generator that yields after each short step, such as `loading.load`. Steps run until
    `_MIN_SLICE` has passed; then other tasks get their turn.

    Attributes:
        yields: Number of times it yielded to the event loop.
        max_step_seconds: The longest step so far, in seconds of CPU time of this thread.
    """

    yields: int = 0
    max_step_seconds: float = 0.0

    async def run(self, steps: Generator[None, None, T]) -> T:
        """Run a generator to its end and return its result."""
        began = time.perf_counter()
        while True:
            step_began = time.thread_time()
            try:
                next(steps)
            except StopIteration as stop:
                result: T = stop.value
                return result
            finally:
                self.max_step_seconds = max(self.max_step_seconds, time.thread_time() - step_began)
            if time.perf_counter() - began > _MIN_SLICE:
                self.yields += 1
                await asyncio.sleep(0)
                began = time.perf_counter()
