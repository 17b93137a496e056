"""Count the work of what must be bounded. Counts, unlike seconds, are the same on every machine."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_calls(work: Callable[[], object], max_calls: int = 5_000_000) -> int:
    """Return how many calls and returns `work` makes, of Python functions and of C functions.

    Raises:
        AssertionError: There are more than `max_calls`; `work` is stopped.
    """
    count = 0

    def count_event(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += 1
        if count > max_calls:
            sys.setprofile(None)
            msg = f"more than {max_calls} calls"
            raise AssertionError(msg)

    before = sys.getprofile()
    sys.setprofile(count_event)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


class CountedBytes(bytes):
    """Bytes that count how often they are searched."""

    searches = 0

    def find(self, *arguments: Any) -> int:
        CountedBytes.searches += 1
        return super().find(*arguments)
