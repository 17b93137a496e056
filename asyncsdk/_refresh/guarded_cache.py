"""The rules cache of the user, guarded: a cache that fails or hangs is counted and logged, and never raises."""

from functools import partial

import attrs

from asyncsdk._failures import LOG_INTERVAL, FailureStreak
from asyncsdk._model.stores import RulesCache
from asyncsdk._refresh.polling import call_guarded

MAX_CALL_SECONDS = 5.0
"""Maximum duration of one call of the cache, in seconds. Longer is a failure."""


@attrs.define(eq=False, repr=False)
class GuardedCache:
    """A cache that does not raise. Without one configured it is empty and saves nothing.

    Attributes:
        streak: Failures of the cache.
    """

    _cache: RulesCache | None
    streak: FailureStreak

    @property
    def is_configured(self) -> bool:
        """Whether the settings have a cache."""
        return self._cache is not None

    async def load(self, key: str) -> bytes | None:
        """Return what was saved under `key`; None if nothing was, or if the cache fails."""
        if self._cache is None:
            return None
        body, fault = await call_guarded(partial(self._cache.load, key), MAX_CALL_SECONDS)
        # A cache written by a user may return text: a failure as well, since it would break loading later on.
        is_valid = body is None or isinstance(body, bytes)
        self._record(fault if is_valid else f"`load` must return bytes or None, not {type(body).__name__}")
        return body if is_valid else None

    async def save(self, key: str, body: bytes) -> bool:
        """Save `body` under `key`; return False if the cache fails."""
        if self._cache is None:
            return True
        _, fault = await call_guarded(partial(self._cache.save, key, body), MAX_CALL_SECONDS)
        self._record(fault)
        return not fault

    def _record(self, fault: str) -> None:
        if fault:
            # Rules change rarely, so that the next call is far away.
            self.streak.record_failure(fault, retry_in=LOG_INTERVAL)
        else:
            self.streak.record_success()
