"""When the next request to one destination may be sent: a circuit breaker whose limit grows with each answer.

States:
    closed   up to `_limit` requests may be in flight
    open     no request may be sent before `probe_at`; then one may, the probe
    probing  the probe is in flight, and no other request may be sent

Inputs, each with the method that reports it:
    request  a request is sent                                             `begin_request`
    answer   the vendor works, even if it rejects some or all events       `answered`
    failure  waiting may help: no reply, 429, 5xx                          `failed`
    halt     only a person can help: a wrong key, address or certificate   `halt`
    end      the request is over, with or without an answer                `returned`

Rules:
    1. The state changes in `_move` only, by one row of `_TRANSITIONS`.
    2. Each opening begins a new generation, and a request carries the generation in which it was sent. What a request
       of an earlier generation reports is stale and moves nothing: ten requests that fail together count as one
       failure, and a late answer does not close the circuit. Two stale inputs do open a closed circuit: a halt, and a
       failure while a `Retry-After` is running.
    3. The wait before a probe doubles with each failure, with full jitter. `Retry-After` is a floor under it, which
       `skip_wait` respects. While the client closes, a wait takes at most half of the remaining time.
    4. `halted` is a flag beside the state: a halt sets it, and the next answered probe clears it.

Example: closed, 4 in flight; all 4 fail: open, for up to 1 s -> the wait is over, a probe is sent: probing -> it fails:
open, for up to 2 s -> the next probe is answered: closed, with a limit of 1 -> each answer doubles the limit.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import attrs

from asyncsdk._retry import at_least, waits
from asyncsdk.vendors._base import Limits

State = Literal["closed", "open", "probing"]
Input = Literal["request", "answer", "failure", "halt", "end"]

_TRANSITIONS: Mapping[State, Mapping[Input, State]] = {
    "closed": {"request": "closed", "answer": "closed", "failure": "open", "halt": "open", "end": "closed"},
    "open": {"request": "probing", "answer": "open", "failure": "open", "halt": "open", "end": "open"},
    # A probe that ends without an answer, because its task was cancelled, is sent again.
    "probing": {"request": "probing", "answer": "closed", "failure": "open", "halt": "open", "end": "open"},
}


@attrs.define(eq=False, repr=False)
class Circuit:
    """The circuit of one destination. It reads no clock: times are passed in, on the monotonic clock.

    Attributes:
        state: Changed by `_move` only.
        halted: Whether only a person can help; cleared by the next answered probe.
        generation: Number of times that the circuit has opened.
        probe_at: When the probe may be sent; has a meaning in state `open` only.
    """

    _limits: Limits
    state: State = "closed"
    halted: bool = False
    generation: int = 0
    probe_at: float = 0.0
    _retry_after_until: float = 0.0
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
        return self.state == "open" and now >= self.probe_at

    def is_blocked_until(self, until: float) -> bool:
        """Return whether no request may be sent before `until`."""
        return self.state == "open" and self.probe_at > until

    # --- inputs -----------------------------------------------------------------------------------------------

    def begin_request(self) -> int:
        """Record that a request is sent; return the generation under which to report how it went."""
        self._move("request")
        return self.generation

    def answered(self, generation: int) -> bool:
        """Record an answer of a working vendor; return whether the circuit closed, so the vendor has recovered."""
        if generation != self.generation:
            return False
        was_probing = self.state == "probing"
        self._move("answer")
        if was_probing:
            self.halted, self._limit = False, 1
            self._reset_waits()
        else:
            self._limit = min(self._limit * 2, self._limits.max_in_flight)
        return was_probing

    def failed(self, generation: int, now: float, retry_after: float | None) -> bool:
        """Record a failure that may pass with time.

        Args:
            generation: The one in which the request was sent.
            now: The time.
            retry_after: Seconds to wait at least, as the vendor asked; None when it did not.

        Returns:
            Whether the circuit was closed before, so that this failure is the first of its kind.
        """
        was_closed = self.state == "closed"
        if retry_after is not None:
            self._retry_after_until = max(self._retry_after_until, now + at_least(retry_after))
        if generation == self.generation:
            self._open("failure", now + self._next_wait(now))
        elif was_closed and self._retry_after_until > now:  # stale, but the vendor's request to wait is not
            self._open("failure", self._retry_after_until)
        self.probe_at = max(self.probe_at, self._retry_after_until)
        return was_closed

    def halt(self, generation: int, now: float) -> bool:
        """Record a failure that only a person can end; return whether the circuit was not halted before."""
        was_halted, self.halted = self.halted, True
        if generation == self.generation or self.state == "closed":
            self._open("halt", now + self._limits.probe_interval)
        return not was_halted

    def returned(self, generation: int) -> None:
        """Record that a request is over; if it was the probe and had no answer, another probe may be sent."""
        if generation == self.generation:
            self._move("end")

    def skip_wait(self, now: float, closing_at: float | None = None) -> None:
        """Allow the probe now, because a caller flushes, or as soon as the vendor's `Retry-After` permits.

        Frequent flushes must not become frequent requests: without `closing_at`, waits are skipped at most once per
        `retry_initial` seconds, and never those of a halted circuit.

        Args:
            now: The time.
            closing_at: When the client closes; later waits take at most half of the time until then.
        """
        if closing_at is not None:
            self._closing_at = closing_at
        may_skip = now >= self._skipped_at + self._limits.retry_initial and not self.halted
        if self.state == "open" and (closing_at is not None or may_skip):
            self._skipped_at = now
            self.probe_at = max(now, self._retry_after_until)

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
