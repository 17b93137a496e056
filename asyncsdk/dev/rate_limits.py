"""Count a vendor's events per key over a sliding window.

The window is approximated by two adjacent spans: the current one counts in full, and the previous one by the share of
it that the window still covers. Memory is bounded by the keys of two spans. With `span` 10, 8 events at second 5 count
as 8 until second 10, as 4 at second 15, and as 0 from second 20.
"""

from collections.abc import Mapping

import attrs


@attrs.define
class Window:
    """A sliding window of counts per key.

    Attributes:
        span: Length of the window, in seconds.
    """

    span: float
    _index: int = 0
    _current: dict[str, int] = attrs.field(factory=dict)
    _previous: dict[str, int] = attrs.field(factory=dict)

    def used(self, key: str, now: float) -> int:
        """Return the number of events charged to a key in the last `span` seconds, rounded down.

        Args:
            key: The key that was charged.
            now: Seconds on the clock of `charge`; not before its last call.
        """
        index, elapsed = divmod(now, self.span)
        remaining = 1 - elapsed / self.span
        age = int(index) - self._index
        # 1. The last charge was in this span.
        if age == 0:
            return self._current.get(key, 0) + int(self._previous.get(key, 0) * remaining)
        # 2. It was in the span before, which therefore is the previous one by now.
        if age == 1:
            return int(self._current.get(key, 0) * remaining)
        # 3. It was earlier: the window no longer covers any charge.
        return 0

    def charge(self, usage: Mapping[str, int], now: float) -> None:
        """Add events to the current span.

        Args:
            usage: Number of events by key.
            now: Time of the events, in seconds.
        """
        index = int(now // self.span)
        if index != self._index:
            self._previous = self._current if index == self._index + 1 else {}
            self._current = {}
            self._index = index
        for key, count in usage.items():
            self._current[key] = self._current.get(key, 0) + count

    def clear(self) -> None:
        """Forget all counts."""
        self._current, self._previous = {}, {}
