"""Which exposures a fleet has reported, in sets of Redis: one for each window, in parts so that none is large.

A window begins at a multiple of its length, on the clocks of the clients. The sets expire with it.
"""

import time
from collections.abc import Sequence
from typing import Any

from asyncsdk.engines._extras import check_count
from asyncsdk.engines._part import ExposuresPart
from asyncsdk.engines._redis_errors import reported

# Freeing a set of a million members at once would block the server for a second.
_PARTS = 64


class RedisExposures(ExposuresPart[Any]):
    """Exposures that a fleet has reported; see `SharedExposures`."""

    def __init__(self, engine: Any, window: float, max_exposures: int) -> None:
        super().__init__(engine, window)
        self._max_part = max(1, check_count(max_exposures, "max_exposures", 1) // _PARTS)
        # The current window, and its parts that are full.
        self._current = 0
        self._full: set[int] = set()

    async def claim(self, exposures: Sequence[bytes]) -> Sequence[bool]:
        """Record exposures as reported; return for each whether it is new."""
        self._roll()
        places = [(position, one, one[0] % _PARTS) for position, one in enumerate(exposures)]
        asked = [place for place in places if place[2] not in self._full]
        parts = sorted({part for _, _, part in asked})
        is_new = [True] * len(exposures)
        if not asked:
            return is_new
        with reported():
            async with self.engine._clients.commands.pipeline(transaction=False) as pipeline:
                for _, one, part in asked:
                    pipeline.sadd(self._key(part), one)
                for part in parts:
                    pipeline.pexpire(self._key(part), int(self._window * 1000))
                    pipeline.scard(self._key(part))
                replies = await pipeline.execute()
        for (position, _, _), added in zip(asked, replies, strict=False):
            is_new[position] = bool(added)
        sizes = replies[len(asked) + 1 :: 2]
        self._full |= {part for part, size in zip(parts, sizes, strict=True) if size >= self._max_part}
        return is_new

    async def release(self, exposures: Sequence[bytes]) -> None:
        """Forget exposures."""
        with reported():
            async with self.engine._clients.commands.pipeline(transaction=False) as pipeline:
                for one in exposures:
                    pipeline.srem(self._key(one[0] % _PARTS), one)
                await pipeline.execute()

    def _roll(self) -> None:
        current = int(time.time() // self._window)
        if current != self._current:
            self._current, self._full = current, set()

    def _key(self, part: int) -> str:
        return f"{self.engine._prefix}:exposures:{self._current}:{part}"
