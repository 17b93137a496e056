"""The state of a spool, for the log and for `health()`."""

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from asyncsdk._failures import FailureStreak
from asyncsdk._model.reports import SpoolHealth
from asyncsdk._model.spooling import Usage

logger = logging.getLogger("asyncsdk.spool")

_FULL = "events are kept in memory while that has room, then dropped"


class SpoolStatus:
    """The result of the latest commit, and of the latest read.

    Attributes:
        usage: The disk space that the spool uses, and what it has set aside.
    """

    def __init__(self, folder: str = "") -> None:
        """Start as "ok"; `folder` is named in the log."""
        self.usage = Usage()
        self._last_error = ""
        # Labels of other destinations whose events were logged.
        self._reported: set[str] = set()
        # Destinations for some of whose events the latest commit had no room.
        self._full: set[str] = set()
        self._where = f" in {folder}" if folder else ""
        self._writing, self._room, self._reading, self._adopting = (
            FailureStreak("spool", logger, logging.WARNING) for _ in range(4)
        )

    @property
    def may_heal_at_once(self) -> bool:
        """Whether the latest commit is the first that failed, so that the next one need not wait."""
        return self._writing.failures == 1

    def record(self, error: str, fits: Mapping[str, bool] = MappingProxyType({})) -> None:
        """Record the result of a commit; see `FailureStreak` for what is logged.

        Args:
            error: Why nothing could be written, in a few words; empty after a commit.
            fits: For each destination that the commit had events of, whether there was room for all of them.
        """
        if error:
            outlook = "events are kept in memory only until it recovers"
            is_repeated = self._writing.failures > 0
            self._writing.record_failure(f"write failed{self._where} ({error})", outlook, refused=is_repeated)
        else:
            self._writing.record_success()
        full = {name for name, all_fit in fits.items() if not all_fit}
        self._full = self._full - fits.keys() | full
        if full:
            self._room.record_failure(f"full for {', '.join(sorted(self._full))}{self._where}", _FULL, refused=True)
        elif not error and not self._full:
            self._room.record_success()
        self._last_error = error

    def record_usage(self, usage: Usage) -> None:
        """Record the size of the spool; log each destination that the client does not have, once."""
        self.usage = usage
        for label in usage.unclaimed.keys() - self._reported:
            self._reported.add(label)
            logger.warning(
                "spool: %d events wait%s for %r, which is not a destination of this client; "
                "they expire after `max_age`, and `asyncsdk spool purge --destination` deletes them",
                usage.unclaimed[label],
                self._where,
                label,
            )

    def record_read(self, error: str, *, adopts: bool = False) -> None:
        """Record the result of a read.

        Args:
            error: Why it failed, in a few words; empty after a success.
            adopts: Whether it was a search for files of ended processes.
        """
        streak = self._adopting if adopts else self._reading
        if error:
            is_repeated = streak.failures > 0
            streak.record_failure(f"read failed{self._where} ({error})", "trying again", refused=is_repeated)
        else:
            streak.record_success()

    def health(self, waiting: int) -> SpoolHealth:
        """Return the state of the spool.

        Args:
            waiting: The number of events and exposures of this process that are on disk only.
        """
        state: Literal["ok", "full", "degraded"] = "full" if self._full else "ok"
        return SpoolHealth(
            state="degraded" if self._last_error else state,
            waiting=waiting,
            bytes=self.usage.bytes,
            dead_letters=self.usage.dead_letters,
            quarantined=self.usage.quarantined,
            last_error=self._last_error,
            unclaimed=self.usage.unclaimed,
        )
