"""The universes of characters that classes are evaluated in.

A class is an int, whose bit n tells whether it has the n-th element of the universe.

* `AsciiUniverse`: the elements are the ASCII characters, and the two others that equal one if case is ignored.
* `Partition`: the elements are ranges of Unicode, which none of a pattern's classes divides. A pattern has a few
  thousand of them at most, so that its classes are small ints, and no table of all characters is needed.

The same class can be evaluated in either. A partition is found by evaluating the classes in `Boundaries` first.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from typing import Any

from asyncsdk._rules.patterns.categories import Range
from asyncsdk._rules.patterns.properties import (
    LAST,
    find_orbits,
    find_script,
    fold,
    look_up,
    plain_name,
    property_ranges,
    written_ranges,
)

# The characters beyond ASCII that are equal to ASCII letters if case is ignored: the long s, and the Kelvin sign.
_ASCII_POINTS = [*map(chr, range(128)), "\u017f", "\u212a"]


class Universe:
    """Characters, in elements that a class has or does not have."""

    def __init__(self, size: int, re2: Any) -> None:
        """Create a universe.

        Args:
            size: Number of elements.
            re2: The module `re2`, which knows scripts; None without it.
        """
        self.everything = (1 << size) - 1
        self.re2 = re2
        self.kept: dict[tuple[str, bool, bool], int] = {}

    def between(self, low: int, high: int) -> int:
        """Return the characters from one to another, both included."""
        raise NotImplementedError

    def property(self, name: str) -> int:
        """Return the characters that have a property.

        Raises:
            UnsupportedPatternError: The property is unknown here.
        """
        raise NotImplementedError

    @cached_property
    def orbits(self) -> list[int]:
        """The groups of elements that are equal if case is ignored."""
        raise NotImplementedError

    def ranges(self, text: str) -> int:
        """Return the characters of ranges, written one after the other, such as `a-z0-9`."""
        return self.all_between(written_ranges(text))

    def all_between(self, ranges: Sequence[Range]) -> int:
        """Return the characters of ranges."""
        found = 0
        for low, high in ranges:
            found |= self.between(low, high)
        return found

    def folded(self, members: int) -> int:
        """Return the members, and the characters that are equal to one if case is ignored."""
        for orbit in self.orbits:
            if members & orbit:
                members |= orbit
        return members

    def spans(self, members: int) -> Iterator[Range]:
        """Return the ranges of characters that a class has."""
        return runs(members)


class AsciiUniverse(Universe):
    """The universe of ASCII texts; of its classes only the first 128 bits count."""

    def __init__(self, re2: Any) -> None:
        """Create the universe; `re2` as for all."""
        super().__init__(len(_ASCII_POINTS), re2)

    def between(self, low: int, high: int) -> int:
        """Return the characters from one to another, both included."""
        return self._where(lambda char: low <= ord(char) <= high)

    def property(self, name: str) -> int:
        """Return the characters that have a property."""
        if plain_name(name) in ("alphabetic", "alpha"):
            return self._where(str.isalpha)
        named = look_up(name)
        if named.predicate is not None:
            return self._where(named.predicate)
        if named.text or named.categories:
            in_category = self._where(lambda char: unicodedata.category(char) in named.categories)
            return in_category | self.ranges(named.text)
        find = find_script(name, self.re2)
        return self._where(lambda char: next(find(char), None) is not None)

    @cached_property
    def orbits(self) -> list[int]:
        """The groups of elements that are equal if case is ignored."""
        groups: dict[str, int] = {}
        for number, char in enumerate(_ASCII_POINTS):
            folded = fold(char)
            groups[folded] = groups.get(folded, 0) | 1 << number
        return [group for group in groups.values() if group & (group - 1)]

    def _where(self, holds: Callable[[str], bool]) -> int:
        return sum(1 << number for number, char in enumerate(_ASCII_POINTS) if holds(char))


class Boundaries(Universe):
    """Records where classes begin and end. In it, each class is empty."""

    def __init__(self, re2: Any) -> None:
        """Record nothing yet; `re2` as for all."""
        super().__init__(0, re2)
        self.starts: set[int] = {0}
        self.folds = False

    def between(self, low: int, high: int) -> int:
        """Record a range."""
        self.starts.add(low)
        self.starts.add(high + 1)
        return 0

    def property(self, name: str) -> int:
        """Record the ranges of a property."""
        for low, high in property_ranges(name, self.re2):
            self.starts.add(low)
            self.starts.add(high + 1)
        return 0

    def folded(self, members: int) -> int:
        """Record that characters are equal if case is ignored: each that has a case is then an element."""
        self.folds = True
        return members

    def partition(self) -> "Partition":
        """Return the universe in which the classes that were recorded can be evaluated."""
        if self.folds:
            for orbit in find_orbits():
                for number in orbit:
                    self.starts.add(number)
                    self.starts.add(number + 1)
        self.starts |= {10, 11}  # the newline, which is a letter of its own
        self.starts.discard(LAST + 1)
        return Partition(sorted(self.starts), self.re2)


class Partition(Universe):
    """All of Unicode, in ranges."""

    def __init__(self, starts: Sequence[int], re2: Any) -> None:
        """Create a universe from the numbers of the characters with which its ranges begin, in order."""
        super().__init__(len(starts), re2)
        self.starts = starts

    def between(self, low: int, high: int) -> int:
        """Return the characters from one to another, both included."""
        first = bisect_left(self.starts, low)
        return ((1 << (bisect_left(self.starts, high + 1, first) - first)) - 1) << first

    def property(self, name: str) -> int:
        """Return the characters that have a property."""
        return self.all_between(property_ranges(name, self.re2))

    @cached_property
    def orbits(self) -> list[int]:
        """The groups of elements that are equal if case is ignored."""
        numbers = {start: number for number, start in enumerate(self.starts)}
        return [sum(1 << numbers[number] for number in orbit) for orbit in find_orbits()]

    def spans(self, members: int) -> Iterator[Range]:
        """Return the ranges of characters that a class has."""
        ends = (*self.starts[1:], LAST + 1)
        return ((self.starts[first], ends[last] - 1) for first, last in runs(members))


@cache
def ascii_universe(re2: Any) -> AsciiUniverse:
    """Return the universe of ASCII texts."""
    return AsciiUniverse(re2)


def runs(members: int) -> Iterator[Range]:
    """Return the ranges of numbers whose bits are set."""
    return ((found.start(), found.end() - 1) for found in re.finditer("1+", bin(members)[:1:-1]))
