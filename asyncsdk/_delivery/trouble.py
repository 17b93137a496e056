"""The log of one destination's trouble: what is wrong, where, and what a person should check."""

import logging

from asyncsdk._failures import FailureStreak
from asyncsdk.vendors._answers import without_echoes
from asyncsdk.vendors._base import Request, Response, Verdict

logger = logging.getLogger("asyncsdk.delivery")


class Trouble:
    """Failures and refusals of one destination in a row; see `FailureStreak` for what is logged when."""

    def __init__(self, destination: str) -> None:
        """Begin without trouble."""
        self._streak = FailureStreak(destination, logger, logging.WARNING)

    def record_failure(self, response: Response, verdict: Verdict, retry_in: float) -> None:
        """Record a failure that may pass with time; the next attempt is in `retry_in` seconds."""
        where = "" if response.status else f" at {response.host}"
        detail = f" ({response.detail})" if response.detail else ""
        shown = f"{verdict.reason}{where}{detail}"
        self._streak.record_failure(verdict.reason, "retrying with backoff", shown=shown, retry_in=retry_in)

    def record_refusal(
        self, request: Request, response: Response, verdict: Verdict, *, events: int, halted: bool
    ) -> None:
        """Record an answer after which only a person can help, if it is what it seems.

        Args:
            request: The request. Nothing that the answer repeats of it is logged.
            response: The answer, or why there is none.
            verdict: What it means.
            events: Number of events that wait.
            halted: Whether it is certain by now.
        """
        where = f" {'from' if response.status else 'at'} {response.host}" if response.host else ""
        detail = f" ({without_echoes(verdict.detail, request)})" if verdict.detail else ""
        shown = f"{'halted: ' if halted else ''}{verdict.reason}{where}{detail}"
        certainty = "" if halted else "asking again; if it goes on, "
        outlook = f"{certainty}check {verdict.check}; its events ({events}) wait until their deadline"
        self._streak.record_failure(verdict.reason, outlook, shown=shown, refused=halted)

    def record_success(self) -> None:
        """Record that the vendor takes events again."""
        self._streak.record_success()
