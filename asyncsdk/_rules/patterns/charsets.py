"""Classes of characters, as patterns write them. `universe.py` has what they are evaluated in."""

import re
from collections.abc import Sequence

import attrs

from asyncsdk._rules.patterns.errors import InvalidPatternError
from asyncsdk._rules.patterns.properties import LAST
from asyncsdk._rules.patterns.universe import Universe

_ASCII_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\0-\x7f", "blank": "\t-\t - ", "cntrl": "\0-\x1f\x7f-\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@[-`{-~", "space": "\t-\r - ",
    "upper": "A-Z", "word": "0-9A-Z_-_a-z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


@attrs.frozen(eq=False)
class Class:
    """A class of characters."""

    def members(self, universe: Universe, *, folds: bool) -> int:
        """Return its characters; `folds` if case is ignored."""
        raise NotImplementedError

    def negated(self, really: bool = True) -> "Class":  # noqa: FBT001, FBT002 -- reads like the flag of the syntax
        """Return the class of all other characters."""
        return Bracketed((self,), negative=True) if really else self

    def without(self, char: str) -> "Class":
        """Return the class without a character."""
        return Operation("-", self, Literal.of(char))


@attrs.frozen(eq=False)
class Literal(Class):
    """The characters from one to another."""

    low: int
    high: int

    @classmethod
    def of(cls, char: str) -> "Literal":
        """Return the class of one character."""
        return cls(ord(char), ord(char))

    def members(self, universe: Universe, *, folds: bool) -> int:
        """Return its characters."""
        found = universe.between(self.low, self.high)
        return universe.folded(found) if folds else found


@attrs.frozen(eq=False)
class Property(Class):
    """The characters with a property."""

    name: str
    negative: bool

    def members(self, universe: Universe, *, folds: bool) -> int:
        """Return its characters."""
        key = (self.name, self.negative, folds)
        found = universe.kept.get(key)
        if found is None:
            found = universe.property(self.name)
            found = universe.folded(found) if folds and not self.name.startswith("perl") else found
            found = universe.everything & ~found if self.negative else found
            universe.kept[key] = found
        return found


@attrs.frozen(eq=False)
class Ranges(Class):
    """An ASCII class such as `[:alpha:]`."""

    text: str

    def members(self, universe: Universe, *, folds: bool) -> int:
        """Return its characters."""
        found = universe.ranges(self.text)
        return universe.folded(found) if folds else found


@attrs.frozen(eq=False)
class Bracketed(Class):
    """The characters of several classes, or all others."""

    items: Sequence[Class]
    negative: bool = False

    def members(self, universe: Universe, *, folds: bool) -> int:
        """Return its characters."""
        found = 0
        for item in self.items:
            found |= item.members(universe, folds=folds)
        found = universe.folded(found) if folds else found
        return universe.everything & ~found if self.negative else found


@attrs.frozen(eq=False)
class Operation(Class):
    """An intersection `&`, difference `-` or symmetric difference `~` of two classes."""

    kind: str
    left: Class
    right: Class

    def members(self, universe: Universe, *, folds: bool) -> int:
        """Return its characters."""
        left, right = (side.members(universe, folds=folds) for side in (self.left, self.right))
        if self.kind == "&":
            return left & right
        return left & ~right if self.kind == "-" else left ^ right


ANY = Literal(0, LAST)
HEX = Ranges("0-9A-Fa-f")

Part = str | Class
"""A character of a class as it is written, or an escape."""


def parse_class(parts: Sequence[Part]) -> Class:
    """Parse a class, from after its opening bracket to its closing one, which is included.

    Raises:
        InvalidPatternError: It is not a class.
    """
    found, at = _parse_class(parts, 0)
    if at != len(parts):
        raise InvalidPatternError("a class ends too early")
    return found


def _parse_class(parts: Sequence[Part], at: int) -> tuple[Class, int]:
    """Parse a class from after its opening bracket; return it, and the position after its closing bracket."""
    negative = _is(parts, at, "^")
    at += negative
    items: list[Class] = []
    # Hyphens at the start stand for themselves, and so does a closing bracket that comes first.
    while _is(parts, at, "-"):
        items.append(Literal.of("-"))
        at += 1
    if not items and _is(parts, at, "]"):
        items.append(Literal.of("]"))
        at += 1
    # The left side of a set operation, and its sign, until the right side ends. `a&&b--c` is `(a&&b)--c`.
    pending: tuple[Class, str] | None = None
    while True:
        if at >= len(parts):
            raise InvalidPatternError("a class does not end")
        operation = next((sign for sign in "&-~" if _is(parts, at, sign) and _is(parts, at + 1, sign)), "")
        if operation or _is(parts, at, "]"):
            left: Class = Bracketed(items)
            left = left if pending is None else Operation(pending[1], pending[0], left)
            if not operation:
                return Bracketed((left,), negative), at + 1
            pending, items, at = (left, operation), [], at + 2
            continue
        if _is(parts, at, "["):
            item, at = _ascii_class(parts, at) or _parse_class(parts, at + 1)
        else:
            item, at = _range(parts, at)
        items.append(item)


def _is(parts: Sequence[Part], at: int, char: str) -> bool:
    return at < len(parts) and parts[at] == char


def _range(parts: Sequence[Part], at: int) -> tuple[Class, int]:
    first, at = _item(parts, at)
    if not _is(parts, at, "-") or _is(parts, at + 1, "]") or _is(parts, at + 1, "-"):
        return first, at
    last, at = _item(parts, at + 1)
    if not (isinstance(first, Literal) and isinstance(last, Literal)) or first.low > last.low:
        raise InvalidPatternError("an invalid range in a class")
    return Literal(first.low, last.low), at


def _item(parts: Sequence[Part], at: int) -> tuple[Class, int]:
    part = parts[at]
    return (Literal.of(part) if isinstance(part, str) else part), at + 1


def _ascii_class(parts: Sequence[Part], at: int) -> tuple[Class, int] | None:
    """Parse a class such as `[:alpha:]` or `[:^alpha:]`; return None for any other."""
    text = "".join(part if isinstance(part, str) else "\\" for part in parts[at : at + 12])
    found = re.match(r"\[:(\^?)([a-z]+):\]", text)
    if found is None or found[2] not in _ASCII_CLASSES:
        return None
    return Ranges(_ASCII_CLASSES[found[2]]).negated(bool(found[1])), at + len(found[0])
