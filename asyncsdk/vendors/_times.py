"""The two ways in which vendors write a point in time."""

from datetime import UTC, datetime
from functools import lru_cache


# Events of one moment are many, and of one second more: formatting costs ten times a look-up.
@lru_cache(maxsize=64)
def iso(time_ms: int) -> str:
    """Write milliseconds since 1970 as `2026-11-20T20:16:11.414Z`."""
    return _second(time_ms // 1000) + _ENDINGS[time_ms % 1000]


# Formatting a number costs more than all the rest of it.
_ENDINGS = tuple(f".{millisecond:03d}Z" for millisecond in range(1000))


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
