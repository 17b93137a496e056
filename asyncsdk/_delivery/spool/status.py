"""The state of a spool, for the log and for `health()`."""

import logging
from typing import Literal

from asyncsdk._model.reports import SpoolHealth
from asyncsdk._model.spooling import Usage

logger = logging.getLogger("asyncsdk.spool")


class SpoolStatus:
    """The result of the latest commit.

    Attributes:
        usage: The disk space that the spool uses, and what it has set aside.
    """

    def __init__(self) -> None:
        """Start as "ok"."""
        self.usage = Usage()
        self._last_error = ""
        self._is_full = False

    def record(self, error: str, *, is_full: bool) -> None:
        """Record the result of a commit; log each change between failing, full and ok.

        Args:
            error: Why nothing could be written, in a few words; empty after a commit.
            is_full: Whether there was no room for some of it.
        """
        if error and not self._last_error:
            logger.error("spool: write failed (%s); events are kept in memory only until it recovers", error)
        elif self._last_error and not error:
            logger.warning("spool: recovered")
        if is_full and not self._is_full:
            logger.error("spool: full; events are refused or dropped until there is room")
        self._last_error, self._is_full = error, is_full

    def health(self, waiting: int) -> SpoolHealth:
        """Return the state of the spool.

        Args:
            waiting: The number of events and exposures of this process that are on disk only.
        """
        state: Literal["ok", "full", "degraded"] = "full" if self._is_full else "ok"
        return SpoolHealth(
            state="degraded" if self._last_error else state,
            waiting=waiting,
            bytes=self.usage.bytes,
            dead_letters=self.usage.dead_letters,
            quarantined=self.usage.quarantined,
            last_error=self._last_error,
        )
