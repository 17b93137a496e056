"""Compare versions such as `1.2.3-beta`: cut at the first `-`, then part by part; a missing part is 0."""

from asyncsdk._rules.language.instants import BLANKS

_MAX_CACHED = 2_000
_MAX_LENGTH = 20_000
# Statsig reads a part as a signed number of 128 bits.
_END = 2**127

Version = tuple[int | None, ...]
"""A version's parts; None is a part that is not a number."""


class VersionResults(dict[str, bool]):
    """Cached results of comparing users' versions with one target; emptied when it is full.

    Users have few different versions, and a dict lookup is far cheaper than splitting and comparing.

    Args:
        target: The version to compare with.
        accepted: The results of `_order` that count as True.
    """

    def __init__(self, target: Version, accepted: tuple[int, ...]) -> None:
        super().__init__()
        self._target, self._accepted = target, accepted

    def __missing__(self, value: str) -> bool:
        if len(self) >= _MAX_CACHED:
            self.clear()
        found = self[value] = _order(parse_version(value), self._target) in self._accepted
        return found


def parse_version(value: str) -> Version:
    """Split a version into its parts; a text of more than `_MAX_LENGTH` characters is none."""
    if len(value) > _MAX_LENGTH:
        return (None,)
    return tuple(map(_part, value.partition("-")[0].split(".")))


def _part(part: str) -> int | None:
    """Return one part of a version as a number below 2^127; None if it is not one."""
    digits = part.strip(BLANKS).removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        return None
    if len(digits) > 39:
        # No number below 2^127 has more, leading zeros aside; longer ones would only cost time in `int`.
        digits = digits.lstrip("0") or "0"
        if len(digits) > 39:
            return None
    number = int(digits)
    return number if number < _END else None


def _order(left: Version, right: Version) -> int | None:
    """Return -1, 0 or 1 as `left` is lower, equal or higher; None if a part up to the first difference is no number."""
    # The usual case: tuples compare in C.
    if None not in left and None not in right and len(left) == len(right):
        return (left > right) - (left < right)
    for index in range(max(len(left), len(right))):
        one = left[index] if index < len(left) else 0
        other = right[index] if index < len(right) else 0
        if one is None or other is None:
            return None
        if one != other:
            return 1 if one > other else -1
    return 0
