"""How a spool is doing, for the log and for `health()`."""

import logging
from typing import Literal

from asyncsdk._model.reports import SpoolHealth
from asyncsdk._model.spooling import Usage

logger = logging.getLogger("asyncsdk.spool")


class SpoolStatus:
    """What the latest commit has told.

    Attributes:
        usage: What the spool takes.
    """

    def __init__(self) -> None:
        """Begin well."""
        self.usage = Usage()
        self._last_error = ""
        self._is_full = False

    def record(self, error: str, *, is_full: bool) -> None:
        """Log when the spool begins to fail or to be full, and when it is well again."""
        if error and not self._last_error:
            logger.error("the spool cannot be written (%s): events are kept in memory only until it can", error)
        elif self._last_error and not error:
            logger.warning("the spool can be written again")
        if is_full and not self._is_full:
            logger.error("the spool is full: events are refused or lost until there is room")
        self._last_error, self._is_full = error, is_full

    def health(self, waiting: int) -> SpoolHealth:
        """Tell how the spool is doing; `waiting` are on disk only."""
        state: Literal["ok", "full", "degraded"] = "full" if self._is_full else "ok"
        return SpoolHealth(
            state="degraded" if self._last_error else state,
            waiting=waiting,
            bytes=self.usage.bytes,
            dead_letters=self.usage.dead_letters,
            quarantined=self.usage.quarantined,
            last_error=self._last_error,
        )
