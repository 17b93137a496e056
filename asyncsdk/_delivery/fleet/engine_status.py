"""The state of an engine, for the log and for `health()`: one episode, however many lanes it holds up."""

import logging
from collections.abc import Sequence

from asyncsdk._delivery.trouble import Trouble
from asyncsdk._failures import FailureStreak
from asyncsdk._model.engines import EngineError
from asyncsdk._model.reports import EngineHealth
from asyncsdk.vendors._base import Request, Response, Verdict

logger = logging.getLogger("asyncsdk.engine")


class EngineStatus:
    """What the latest calls of an engine's verbs said."""

    def __init__(self, outlook: str) -> None:
        """Start as "ok".

        Args:
            outlook: What happens to events while the engine is unavailable, in a few words.
        """
        self._streak = FailureStreak("engine", logger, logging.WARNING)
        self._outlook = outlook
        self._warnings: tuple[str, ...] = ()

    def record_failure(self, reason: str, *, refused: bool = False) -> None:
        """Record a failed call; see `FailureStreak` for what is logged."""
        self._streak.record_failure(reason, self._outlook, refused=refused)

    def record_error(self, error: EngineError) -> None:
        """Record a failed call by its error."""
        self.record_failure(str(error), refused=error.refused)

    def record_success(self) -> None:
        """Record that the engine works."""
        self._streak.record_success()

    def record_warnings(self, warnings: Sequence[str]) -> None:
        """Log what is wrong with the server's settings, and keep it for `health()`."""
        self._warnings = tuple(warnings)
        for warning in warnings:
            logger.error("engine: %s", warning)

    def health(self) -> EngineHealth:
        """Return the state of the engine."""
        state = self._streak
        return EngineHealth("unavailable" if state.failures else "ok", state.last_error, self._warnings)


class EngineTrouble(Trouble):
    """Reports a lane's trouble with its engine to the engine's status, which all lanes share."""

    def __init__(self, status: EngineStatus) -> None:
        """Report to `status`."""
        self._status = status

    def record_failure(self, response: Response, verdict: Verdict, retry_in: float) -> None:
        """Record a failure that may pass with time."""
        self._status.record_failure(response.error)

    def record_refusal(
        self, request: Request, response: Response, verdict: Verdict, *, events: int, halted: bool
    ) -> None:
        """Record a failure after which only a person can help."""
        self._status.record_failure(response.error, refused=True)

    def record_success(self) -> None:
        """Record that the engine takes events again."""
        self._status.record_success()
