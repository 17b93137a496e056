"""Counting what work takes, for work that must be bounded: steps, unlike seconds, are the same on every machine."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_calls(work: Callable[[], object], most: int = 5_000_000) -> int:
    """Say how many calls and returns `work` takes, of Python's and of C's functions; past `most` it is stopped."""
    count = 0

    def tell(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += 1
        if count > most:
            sys.setprofile(None)
            msg = f"more than {most} steps"
            raise AssertionError(msg)

    before = sys.getprofile()
    sys.setprofile(tell)
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
