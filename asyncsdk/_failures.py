"""Logs failures: one line when they begin and one when they end, however many there are.

A `FailureStreak` counts the failures of one thing in a row: deliveries to a destination, polls for rules, commits to
the spool. Only its two methods change its state, as this table says:

    state     input                                     log                                              next
    ok        success                                   none                                             ok
    ok        failure                                   DEBUG                                            failing
    ok        failure, the retry is a minute away       WARNING                                          logged
    failing   success                                   DEBUG                                            ok
    failing   failure, a line in the last minute        none                                             failing
    failing   failure, no line in the last minute       WARNING, with the number of failures not logged  logged
    logged    failure                                   none                                             logged
    logged    success                                   "recovered after 4 failures"                     ok

A failure that only a person can end is an ERROR instead, once per streak, even if the streak has had its
WARNING. Failures are logged at most once a minute at each level.

Example: the vendor answers every tenth request with 503, and the retry with 200: nothing but DEBUG. It is down for an
hour: a WARNING after the second attempt, and "recovered after 70 failures". It is down every other second: these two
lines once a minute, the first with the number of failures in between.
"""

import logging
import time
from collections.abc import Callable
from typing import Literal

import attrs

LOG_INTERVAL = 60.0
"""Minimum time between two warnings about the same thing, in seconds."""

State = Literal["ok", "failing", "logged"]


@attrs.define(eq=False, repr=False)
class FailureStreak:
    """Failures of one thing in a row.

    Attributes:
        subject: The thing that fails, as the log names it.
        state: `ok`, `failing` or `logged`; see the table at the head of this file.
        failures: Number of failures in a row.
        total: Number of failures since the start.
        last_error: The latest failure in a few words; empty if the latest attempt succeeded.
        refused: Whether a failure of this streak is one that only a person can end.
    """

    subject: str
    _logger: logging.Logger = logging.getLogger("asyncsdk.rules")
    _recovery_level: int = logging.INFO
    _clock: Callable[[], float] = time.monotonic
    state: State = attrs.field(default="ok", init=False)
    failures: int = attrs.field(default=0, init=False)
    total: int = attrs.field(default=0, init=False)
    last_error: str = attrs.field(default="", init=False)
    refused: bool = attrs.field(default=False, init=False)
    # When the latest line of each level was logged, and the failures since then that no line mentions.
    _logged_at: dict[int, float] = attrs.field(factory=dict, init=False)
    _unlogged: int = attrs.field(default=0, init=False)
    _unlogged_since: float = attrs.field(default=0.0, init=False)

    def record_failure(
        self,
        reason: str,
        outlook: str = "keeping current data",
        *,
        shown: str = "",
        refused: bool = False,
        retry_in: float = 0.0,
    ) -> None:
        """Record a failed attempt.

        Args:
            reason: The failure in a few words.
            outlook: What happens next, in a few words.
            shown: The failure as the log describes it; "" logs `reason`.
            refused: Whether only a person can end this.
            retry_in: Seconds until the next attempt.
        """
        self.failures += 1
        self.total += 1
        self.last_error = reason
        if self.state == "logged" and (self.refused or not refused):
            return
        now = self._clock()
        if not self._unlogged:
            self._unlogged_since = now
        self._unlogged += 1
        level = logging.ERROR if refused else logging.WARNING
        is_due = refused or self.failures > 1 or retry_in >= LOG_INTERVAL
        if is_due and now >= self._logged_at.get(level, float("-inf")) + LOG_INTERVAL:
            self._log(level, shown or reason, outlook, now)
            self.state, self.refused = "logged", refused
        else:
            self._logger.debug("%s: %s; %s", self.subject, shown or reason, outlook)
            self.state = "logged" if self.state == "logged" else "failing"

    def record_success(self) -> None:
        """Record an attempt that succeeded, which ends the streak."""
        if self.failures:
            level = self._recovery_level if self.state == "logged" else logging.DEBUG
            plural = "s" if self.failures > 1 else ""
            self._logger.log(level, "%s: recovered after %d failure%s", self.subject, self.failures, plural)
        self.state, self.failures, self.last_error, self.refused = "ok", 0, "", False

    def _log(self, level: int, reason: str, outlook: str, now: float) -> None:
        earlier = self._unlogged > self.failures
        more = f" ({self._unlogged} failures in the last {now - self._unlogged_since:.0f} s)" if earlier else ""
        self._logger.log(level, "%s: %s; %s%s", self.subject, reason, outlook, more)
        self._logged_at[level] = now
        self._unlogged = 0
