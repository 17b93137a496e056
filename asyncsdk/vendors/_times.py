"""The two ways in which vendors write a point in time."""

from datetime import UTC, datetime
from functools import lru_cache


def iso(time_ms: int) -> str:
    """Write milliseconds since 1970 as `2026-11-20T20:16:11.414Z`."""
    second, millisecond = divmod(time_ms, 1000)
    return f"{_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    # Formatting a date costs ten times a look-up, and events of one second are many.
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
