"""Timestamps in ISO 8601."""

from datetime import UTC, datetime
from functools import lru_cache


# Many events share a millisecond, and more share a second: formatting costs 10x a cache hit.
@lru_cache(maxsize=64)
def iso(time_ms: int) -> str:
    """Return milliseconds since 1970 as `2026-11-20T20:16:11.414Z`."""
    return _second(time_ms // 1000) + _ENDINGS[time_ms % 1000]


# A table, since formatting the milliseconds would cost more than the rest.
_ENDINGS = tuple(f".{millisecond:03d}Z" for millisecond in range(1000))


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
