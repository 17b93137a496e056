"""How many requests may be under way to one destination, and when the next may leave.

Closed: up to the limit. After a failure it opens for a wait that doubles (or the vendor's `Retry-After`); then one
probe goes out. A probe that is answered closes it, and the limit grows from 1 as answers come; one that fails opens it
for longer. Halted: a person has to act; one probe at long intervals.
"""

from collections.abc import Iterator
from typing import Literal

import attrs

from asyncsdk._retry import at_least, waits
from asyncsdk.vendors._base import Limits


@attrs.define(eq=False, repr=False)
class Circuit:
    """The state of one destination's circuit; times are on the monotonic clock."""

    _limits: Limits
    state: Literal["closed", "open", "probing"] = "closed"
    halted: bool = False
    generation: int = 0
    probe_at: float = 0.0
    _floor: float = 0.0
    _skipped_at: float = float("-inf")
    _closing_at: float | None = None
    _limit: int = attrs.field(init=False)
    _waits: Iterator[float] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._limit = self._limits.max_in_flight
        self._start_over()

    def allows(self, in_flight: int, now: float) -> bool:
        """Say whether a request may leave now, with `in_flight` under way."""
        if self.state == "closed":
            return in_flight < self._limit
        # Requests of before the failure may still be under way: the probe does not wait for them.
        return self.state == "open" and now >= self.probe_at

    def begin_request(self) -> int:
        """Note that a request leaves; give the generation to report its answer under."""
        if self.state == "open":
            self.state = "probing"
        return self.generation

    def answered(self, generation: int) -> bool:
        """Note an answer that shows the vendor to be well, whatever it says of the events; True when this is news."""
        if generation != self.generation:
            return False
        news = self.state == "probing"
        if news:
            self.state, self.halted, self._limit = "closed", False, 1
            self._start_over()
        else:
            self._limit = min(self._limit * 2, self._limits.max_in_flight)
        return news

    def failed(self, generation: int, now: float, retry_after: float | None) -> bool:
        """Note a failure that waiting may heal; those that left together count as one. True when this is news."""
        news = self.state == "closed"
        if retry_after is not None:
            self._floor = max(self._floor, now + at_least(retry_after))
        if generation == self.generation:
            self._open(now + self._wait(now))
        elif news and self._floor > now:  # a late answer of before the failure: what it asks for holds all the same
            self._open(self._floor)
        self.probe_at = max(self.probe_at, self._floor)
        return news

    def returned(self, generation: int) -> None:
        """Note that a flight ended; a probe that came back without an answer goes out again."""
        if generation == self.generation and self.state == "probing":
            self.state = "open"

    def halt(self, generation: int, now: float) -> bool:
        """Note an answer that only a person can heal; True when this is news."""
        news = not self.halted
        self.halted = True
        if generation == self.generation or self.state == "closed":
            self._open(now + self._limits.probe_interval)
        return news

    def skip_wait(self, now: float, closing_at: float | None = None) -> None:
        """Cut a wait short, for a flush; what the vendor asked for is kept to.

        Many flushes are not many requests: a halted vendor is asked before its time only when the client closes, any
        other at most once per first wait.

        Args:
            now: The time.
            closing_at: When the client closes; no wait then takes more than half of what is left.
        """
        if closing_at is not None:
            self._closing_at = closing_at
        is_due = now >= self._skipped_at + self._limits.retry_initial and not self.halted
        if self.state == "open" and (closing_at is not None or is_due):
            self._skipped_at = now
            self.probe_at = max(now, self._floor)

    def is_blocked_until(self, until: float) -> bool:
        """Say whether no request may leave before `until`."""
        return self.state == "open" and self.probe_at > until

    def _wait(self, now: float) -> float:
        wait = next(self._waits)
        if self._closing_at is None:
            return wait
        return min(wait, max((self._closing_at - now) / 2, self._limits.retry_initial))

    def _open(self, until: float) -> None:
        self.state, self.probe_at = "open", until
        self.generation += 1

    def _start_over(self) -> None:
        self._waits = waits(self._limits.retry_initial, self._limits.retry_max)
