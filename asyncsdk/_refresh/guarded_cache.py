"""The cache of the settings: what it does wrong, or takes too long for, is counted and harms nothing."""

from functools import partial

import attrs

from asyncsdk._model.stores import RulesCache
from asyncsdk._refresh.polling import FailureStreak, call_guarded

MAX_CALL_SECONDS = 5.0


@attrs.define(eq=False, repr=False)
class GuardedCache:
    """A cache that never raises; without one there is nothing in it, and nothing is kept.

    Attributes:
        streak: Its failures.
    """

    _cache: RulesCache | None
    streak: FailureStreak = attrs.field(factory=lambda: FailureStreak("rules cache"), init=False)

    @property
    def is_configured(self) -> bool:
        """Whether there is one."""
        return self._cache is not None

    async def load(self, key: str) -> bytes | None:
        """Give what was saved under `key`; None when nothing was, or the cache fails."""
        if self._cache is None:
            return None
        body, fault = await call_guarded(partial(self._cache.load, key), MAX_CALL_SECONDS)
        is_fit = body is None or isinstance(body, bytes)
        self._record(fault if is_fit else f"`load` gives bytes or None, not {type(body).__name__}")
        return body if is_fit else None

    async def save(self, key: str, body: bytes) -> bool:
        """Keep `body` under `key`; False when the cache fails."""
        if self._cache is None:
            return True
        _, fault = await call_guarded(partial(self._cache.save, key, body), MAX_CALL_SECONDS)
        self._record(fault)
        return not fault

    def _record(self, fault: str) -> None:
        if fault:
            self.streak.record_failure(fault)
        else:
            self.streak.record_success()
