"""How many events a vendor has had from somebody lately."""

from collections.abc import Mapping

import attrs


@attrs.define
class Window:
    """A sliding window of counts per key, approximated by two adjacent spans, whose keys bound the memory.

    Attributes:
        span: Length in seconds.
    """

    span: float
    _index: int = 0
    _current: dict[str, int] = attrs.field(factory=dict)
    _previous: dict[str, int] = attrs.field(factory=dict)

    def used(self, key: str, now: float) -> int:
        """Count what was charged to `key` in the last `span` seconds."""
        index, into = divmod(now, self.span)
        age = int(index) - self._index
        if age == 0:
            fading = 1 - into / self.span
            return self._current.get(key, 0) + int(self._previous.get(key, 0) * fading)
        if age == 1:
            return int(self._current.get(key, 0) * (1 - into / self.span))
        return 0

    def charge(self, usage: Mapping[str, int], now: float) -> None:
        """Add `usage` to the current span."""
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
