"""When the next request to one destination may be sent: a circuit breaker whose limit grows with each answer.

States:
    closed   up to `_limit` requests may be in flight
    open     no request may be sent before `probe_at`; then one may, the probe
    probing  the probe is in flight, and no other request may be sent
    suspect  like `open`, but after a refusal
    asking   like `probing`, but after a refusal

Inputs, each with the method that reports it:
    request  a request is sent                                             `begin_request`
    answer   the vendor works, even if it rejects some or all events       `answered`
    failure  waiting may help: no reply, 429, 5xx                          `failed`
    refusal  only a person can help: a wrong key, address or certificate   `refused`
    end      the request is over, with or without an answer                `returned`

Rules:
    1. The state changes in `_move` only, by one row of `_TRANSITIONS`.
    2. Each opening begins a new generation, and a request carries the generation in which it was sent. What a request
       of an earlier generation reports is stale and moves nothing: ten requests that fail together count as one
       failure, and a late answer does not close the circuit. Three stale inputs do count: a refusal, and a failure
       while a `Retry-After` is running, open a closed circuit; an answer closes one that is suspect or asking.
    3. The wait before a probe doubles with each failure, with full jitter. `Retry-After` is a floor under it, which
       `skip_wait` respects. While the client closes, a wait takes at most half of the remaining time.
    4. One refusal proves nothing: a gateway may be starting, or one of ten servers may be broken. The vendor is asked
       again at once, then after 1, 5 and 15 s, then after a minute, then every `probe_interval`. If it refuses after
       each of the first four waits, without an answer in between, it is `halted`, a flag beside the state.
    5. A refusal before its wait was over, because a caller flushes, adds nothing to rule 4.

Example: closed, 4 in flight; all 4 fail: open, for up to 1 s -> the wait is over, a probe is sent: probing -> it fails:
open, for up to 2 s -> the next probe is answered: closed, with a limit of 1 -> each answer doubles the limit.
Another: closed, 4 in flight, one gets a 401: suspect -> another of the 4 is answered: closed, its limit unchanged.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import attrs

from asyncsdk._retry import at_least, waits
from asyncsdk.vendors._base import Limits

State = Literal["closed", "open", "probing", "suspect", "asking"]
Input = Literal["request", "answer", "failure", "refusal", "end"]

_TRANSITIONS: Mapping[State, Mapping[Input, State]] = {
    "closed": {"request": "closed", "answer": "closed", "failure": "open", "refusal": "suspect", "end": "closed"},
    "open": {"request": "probing", "answer": "open", "failure": "open", "refusal": "open", "end": "open"},
    # A probe that ends without an answer, because its task was cancelled, is sent again.
    "probing": {"request": "probing", "answer": "closed", "failure": "open", "refusal": "suspect", "end": "open"},
    "suspect": {"request": "asking", "answer": "closed", "failure": "suspect", "refusal": "suspect", "end": "suspect"},
    "asking": {"request": "asking", "answer": "closed", "failure": "open", "refusal": "suspect", "end": "suspect"},
}
# Seconds from a refusal to the next attempt: after the first refusal in a row, the second, ...; then `probe_interval`.
_REFUSAL_WAITS = (0.0, 1.0, 5.0, 15.0, 60.0)
# Refusals in a row, each after its wait, after which the vendor is halted.
_REFUSALS_TO_HALT = 5
# Refusals in a row after which a closing client stops trying: the next wait is 5 s.
_REFUSALS_WHILE_CLOSING = 3
# Minimum time between two attempts that callers of `flush` bring forward while the vendor refuses, in seconds.
_MIN_FLUSH_INTERVAL = 1.0


def refusal_wait(refusals: int, probe_interval: float) -> float:
    """Return the seconds to wait after a number of refusals in a row, plus up to 20 % so that clients spread out."""
    wait = _REFUSAL_WAITS[refusals - 1] if refusals <= len(_REFUSAL_WAITS) else probe_interval
    return at_least(min(wait, probe_interval))


@attrs.define(eq=False, repr=False)
class Circuit:
    """The circuit of one destination. It reads no clock: times are passed in, on the monotonic clock.

    Attributes:
        state: Changed by `_move` only.
        halted: Whether several refusals suggest that only a person can help; cleared by the next answer.
        generation: Number of times that the circuit has opened.
        probe_at: When the next request may be sent; meaningful only in the states `open` and `suspect`.
    """

    _limits: Limits
    state: State = "closed"
    halted: bool = False
    generation: int = 0
    probe_at: float = 0.0
    _retry_after_until: float = 0.0
    # Refusals in a row, and when the vendor is due to be asked again.
    _refusals: int = 0
    _due_at: float = float("-inf")
    _skipped_at: float = float("-inf")
    _closing_at: float | None = None
    _limit: int = attrs.field(init=False)
    _waits: Iterator[float] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._limit = self._limits.max_in_flight
        self._reset_waits()

    def __repr__(self) -> str:
        halted = ", halted" if self.halted else ""
        return f"<Circuit {self.state}{halted}, limit {self._limit}, generation {self.generation}>"

    # --- questions --------------------------------------------------------------------------------------------

    def allows(self, in_flight: int, now: float) -> bool:
        """Return whether a request may be sent now, while `in_flight` others are."""
        if self.state == "closed":
            return in_flight < self._limit
        # Requests sent before the failure may still be in flight: the probe does not wait for them.
        return self.is_waiting and now >= self.probe_at

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is sent before `probe_at`."""
        return self.state in ("open", "suspect")

    @property
    def is_refused(self) -> bool:
        """Whether the vendor's latest verdict is that only a person can help; it may still prove wrong."""
        return self.state in ("suspect", "asking")

    def is_blocked_until(self, until: float) -> bool:
        """Return whether no request is sent before `until`, when the client closes."""
        if self.state == "suspect" and self._refusals >= _REFUSALS_WHILE_CLOSING and self.probe_at > self._skipped_at:
            return True
        return self.is_waiting and self.probe_at > until

    # --- inputs -----------------------------------------------------------------------------------------------

    def begin_request(self) -> int:
        """Record that a request is sent; return the generation under which to report how it went."""
        self._move("request")
        return self.generation

    def answered(self, generation: int) -> bool:
        """Record an answer of a working vendor; return whether the circuit closed, so the vendor has recovered."""
        # A stale answer contradicts a refusal all the same: the vendor takes events.
        if generation != self.generation and not self.is_refused:
            return False
        before = self.state
        self._move("answer")
        if before == "closed":
            self._limit = min(self._limit * 2, self._limits.max_in_flight)
        if before == self.state:
            return False
        if before == "probing" or self.halted:
            self._limit = 1
        self.halted, self._refusals, self._due_at = False, 0, float("-inf")
        self._reset_waits()
        return True

    def failed(self, generation: int, now: float, retry_after: float | None) -> bool:
        """Record a failure that may pass with time.

        Args:
            generation: The one in which the request was sent.
            now: The time.
            retry_after: Minimum wait that the vendor asked for, in seconds; None if it did not.

        Returns:
            Whether it counts: failures of requests that were sent together count once.
        """
        was_closed = self.state == "closed"
        if retry_after is not None:
            self._retry_after_until = max(self._retry_after_until, now + at_least(retry_after))
        counts = generation == self.generation
        if counts:
            self._open("failure", now + self._next_wait(now))
        elif was_closed and self._retry_after_until > now:  # stale, but the vendor's request to wait is not
            counts = True
            self._open("failure", self._retry_after_until)
        self.probe_at = max(self.probe_at, self._retry_after_until)
        return counts

    def refused(self, generation: int, now: float) -> bool:
        """Record a failure that probably only a person can end; return whether it counts."""
        if generation != self.generation and self.state != "closed":
            return False
        # Asked before the wait was over: the wait goes on.
        if now >= self._due_at:
            self._refusals += 1
            self._due_at = now + refusal_wait(self._refusals, self._limits.probe_interval)
        self._open("refusal", max(self._due_at, self._retry_after_until))
        self.halted = self.halted or self._refusals >= _REFUSALS_TO_HALT
        return True

    def returned(self, generation: int) -> None:
        """Record that a request is over; if it was the probe and had no answer, another probe may be sent."""
        if generation == self.generation:
            self._move("end")

    def skip_wait(self, now: float, closing_at: float | None = None) -> None:
        """Allow the probe now, because a caller flushes, or as soon as the vendor's `Retry-After` permits.

        Frequent flushes must not become frequent requests: without `closing_at`, waits are skipped at most once per
        `retry_initial` seconds, and at most once a second while the vendor refuses.

        Args:
            now: The time.
            closing_at: When the client closes; later waits take at most half of the time until then.
        """
        if closing_at is not None:
            self._closing_at = closing_at
        interval = self._limits.retry_initial
        if self.is_refused:
            interval = max(interval, min(_MIN_FLUSH_INTERVAL, self._limits.probe_interval))
        if self.is_waiting and (closing_at is not None or now >= self._skipped_at + interval):
            self._skipped_at = now
            self.probe_at = min(self.probe_at, max(now, self._retry_after_until))

    # --- the only writers of the state ------------------------------------------------------------------------

    def _move(self, input_: Input) -> None:
        self.state = _TRANSITIONS[self.state][input_]

    def _open(self, input_: Input, probe_at: float) -> None:
        self._move(input_)
        self.probe_at = probe_at
        self.generation += 1

    def _next_wait(self, now: float) -> float:
        wait = next(self._waits)
        if self._closing_at is None:
            return wait
        return min(wait, max((self._closing_at - now) / 2, self._limits.retry_initial))

    def _reset_waits(self) -> None:
        self._waits = waits(self._limits.retry_initial, self._limits.retry_max)
