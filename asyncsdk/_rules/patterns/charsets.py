"""Classes of characters. Their members are an int, whose bit n tells whether the n-th character of a universe is one.

There are two universes: ASCII, which is small and fast, and all of Unicode, whose tables take about 50 ms to build and
are not needed before the first text that is not ASCII. The same class can be evaluated in either.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import attrs

from asyncsdk._rules.patterns.errors import InvalidPatternError, UnsupportedPatternError

_LAST = 0x10FFFF
_MAX_KEPT = 32
# The characters beyond ASCII that are equal to ASCII letters if case is ignored: the long s, and the Kelvin sign.
_ASCII_POINTS = [*map(chr, range(128)), "\u017f", "\u212a"]
_ASCII_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\0-\x7f", "blank": "\t-\t - ", "cntrl": "\0-\x1f\x7f-\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@[-`{-~", "space": "\t-\r - ",
    "upper": "A-Z", "word": "0-9A-Z_-_a-z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_SPACES = "\t-\r - \x85-\x85\xa0-\xa0\u1680-\u1680\u2000-\u200a\u2028-\u2029\u202f-\u202f\u205f-\u205f\u3000-\u3000"
# Letters outside the letter categories, and the two joiners that count as parts of words.
_MORE_WORD = "\u24b6-\u24e9\u200c-\u200d\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189"
_CATEGORIES = [
    "Cc", "Cf", "Cn", "Co", "Cs", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No", "Pc", "Pd", "Pe",
    "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs",
]  # fmt: skip
_CATEGORY_NAMES = {
    "other": "C", "letter": "L", "mark": "M", "combiningmark": "M", "number": "N", "punctuation": "P", "punct": "P",
    "symbol": "S", "separator": "Z", "control": "Cc", "cntrl": "Cc", "format": "Cf", "privateuse": "Co",
    "lowercaseletter": "Ll", "uppercaseletter": "Lu", "titlecaseletter": "Lt", "modifierletter": "Lm",
    "otherletter": "Lo", "decimalnumber": "Nd", "digit": "Nd", "letternumber": "Nl", "othernumber": "No",
    "spacingmark": "Mc", "enclosingmark": "Me", "nonspacingmark": "Mn", "connectorpunctuation": "Pc",
    "dashpunctuation": "Pd", "closepunctuation": "Pe", "finalpunctuation": "Pf", "initialpunctuation": "Pi",
    "otherpunctuation": "Po", "openpunctuation": "Ps", "currencysymbol": "Sc", "modifiersymbol": "Sk",
    "mathsymbol": "Sm", "othersymbol": "So", "lineseparator": "Zl", "paragraphseparator": "Zp", "spaceseparator": "Zs",
}  # fmt: skip
_RANGE_PROPERTIES = {
    "perls": _SPACES, "whitespace": _SPACES, "wspace": _SPACES, "space": _SPACES, "ascii": "\0-\x7f",
    "any": f"\0-{chr(_LAST)}", "asciihexdigit": "0-9A-Fa-f", "ahex": "0-9A-Fa-f",
    "hexdigit": "0-9A-Fa-f\uff10-\uff19\uff21-\uff26\uff41-\uff46",
}  # fmt: skip
_PREDICATES = {"lowercase": str.islower, "lower": str.islower, "uppercase": str.isupper, "upper": str.isupper}
# Pairs that are equal if case is ignored, although Python's `casefold` makes several characters of them.
_SAME = {"\u1fd3": "\u0390", "\u1fe3": "\u03b0", "\ufb05": "\ufb06"}


def _fold(char: str) -> str:
    folded = char.casefold()
    if len(folded) != 1:
        folded = char.lower()
    return _SAME.get(char, folded if len(folded) == 1 else char)


@attrs.define(eq=False, repr=False, slots=False)
class Universe:
    """The characters that a text may have.

    Attributes:
        points: The characters in order; None for all of Unicode, where a character's position is its code point.
        re2: The module `re2`, which knows scripts; None without it.
        kept: Members of the properties that were used before; an entry takes up to 140 kB.
    """

    points: Sequence[str] | None
    re2: Any
    kept: dict[tuple[str, bool, bool], int] = attrs.field(init=False, factory=dict)

    @cached_property
    def everything(self) -> int:
        """All characters."""
        return (1 << (_LAST + 1 if self.points is None else len(self.points))) - 1

    def between(self, low: int, high: int) -> int:
        """Return the characters from one to another, both included."""
        if self.points is None:
            return ((1 << (high - low + 1)) - 1) << low
        return self.where(lambda char: low <= ord(char) <= high)

    def where(self, holds: Callable[[str], bool]) -> int:
        """Return the characters for which a function holds."""
        points = self.points or [chr(code) for code in _ASSIGNED]
        numbers = range(len(points)) if self.points is not None else _ASSIGNED
        bits = bytearray(_LAST // 8 + 1)
        for number, char in zip(numbers, points, strict=True):
            if holds(char):
                bits[number >> 3] |= 1 << (number & 7)
        return int.from_bytes(bits, "little")

    def ranges(self, text: str) -> int:
        """Return the characters of ranges, written one after the other, such as `a-z0-9`."""
        found = 0
        for at in range(0, len(text), 3):
            found |= self.between(ord(text[at]), ord(text[at + 2]))
        return found

    def of_categories(self, names: frozenset[str]) -> int:
        """Return the characters of general categories."""
        if self.points is not None:
            return self.where(lambda char: unicodedata.category(char) in names)
        wanted = bytes(48 + (name in names) for name in _CATEGORIES).ljust(256, b"0")
        return int(self.category_table.translate(wanted)[::-1], 2)

    @cached_property
    def category_table(self) -> bytes:
        """The category of each character, as an index."""
        index = {name: number for number, name in enumerate(_CATEGORIES)}
        table = bytearray([index["Cn"]]) * (_LAST + 1)
        for block in _LETTER_BLOCKS:
            table[block.start : block.stop] = bytes([index["Lo"]]) * len(block)
        for part in _OTHER_BLOCKS:
            table[part.start : part.stop] = bytes(map(index.__getitem__, map(unicodedata.category, map(chr, part))))
        for private in (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE)):
            table[private.start : private.stop] = bytes([index["Co"]]) * len(private)
        return bytes(table)

    def folded(self, members: int) -> int:
        """Return the members, and the characters that are equal to one if case is ignored."""
        size = len(self.points or ()) or _LAST + 1
        bits = bytearray(members.to_bytes(size // 8 + 1, "little"))
        for orbit in self.orbits:
            if any(bits[number >> 3] >> (number & 7) & 1 for number in orbit):
                for number in orbit:
                    bits[number >> 3] |= 1 << (number & 7)
        return int.from_bytes(bits, "little")

    @cached_property
    def orbits(self) -> list[list[int]]:
        """The groups of characters that are equal if case is ignored."""
        groups: dict[str, list[int]] = {}
        numbered: Iterator[tuple[int, str]]
        if self.points is None:
            cased = (chr(code) for part in _CASED for code in part)
            numbered = ((ord(char), char) for char in cased if char.lower() != char or char.upper() != char)
        else:
            numbered = iter(enumerate(self.points))
        for number, char in numbered:
            groups.setdefault(_fold(char), []).append(number)
        return [group for group in groups.values() if len(group) > 1]

    def property(self, name: str) -> int:  # noqa: PLR0911 -- a table of names
        """Return the characters that have a property.

        Raises:
            UnsupportedPatternError: The property is unknown here.
        """
        plain = re.sub(r"[ _-]", "", name.lower())
        plain = re.sub(r"^(gc|generalcategory|category|sc|script)[=:]", "", plain)
        if plain == "perlw":
            kinds = frozenset(kind for kind in _CATEGORIES if kind[0] in "LM" or kind in ("Nd", "Nl", "Pc"))
            return self.of_categories(kinds) | self.ranges(_MORE_WORD)
        if plain == "perld":
            return self.of_categories(frozenset({"Nd"}))
        if plain in _RANGE_PROPERTIES:
            return self.ranges(_RANGE_PROPERTIES[plain])
        if plain in ("alphabetic", "alpha") and self.points is not None:
            return self.where(str.isalpha)
        if plain in _PREDICATES:
            return self.where(_PREDICATES[plain])
        if plain in ("casedletter", "lc"):
            return self.of_categories(frozenset({"Ll", "Lt", "Lu"}))
        short = _CATEGORY_NAMES.get(plain, plain.title())
        kinds = frozenset(kind for kind in _CATEGORIES if short and kind.startswith(short))
        return self.of_categories(kinds) if kinds else self._of_script(name)

    def _of_script(self, name: str) -> int:
        script = "_".join(word.title() for word in re.split(r"[ _-]", re.sub(r"^\w+[=:]", "", name)))
        if self.re2 is None or not re.fullmatch(r"\w+", script, re.ASCII):
            raise UnsupportedPatternError(f"it names a property of characters, {name}")
        options = self.re2.Options()
        options.log_errors = False
        try:
            find = self.re2.compile(f"\\p{{{script}}}+", options).finditer
        except self.re2.error:
            raise UnsupportedPatternError(f"it names a property of characters, {name}") from None
        if self.points is not None:
            return self.where(lambda char: next(find(char), None) is not None)
        # Without surrogates, which have no UTF-8; they would be 2,048 places.
        text, found = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x32400)))), 0
        for match in find(text):
            start, end = (place if place < 0xD800 else place + 0x800 for place in match.span())
            found |= self.between(start, end - 1)
        return found


_ASSIGNED = [*range(0xD800), *range(0xE000, 0x20000)]
# Ideographs and syllables since Unicode 14, which need not be asked for one by one; and what is between them.
_LETTER_BLOCKS = (
    range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000),
    range(0xAC00, 0xD7A4),
    range(0x17000, 0x187F8),
    range(0x20000, 0x2A6E0),
    range(0x30000, 0x3134B),
)
_OTHER_BLOCKS = [
    range(before, block.start)
    for before, block in zip(
        (0, *(block.stop for block in _LETTER_BLOCKS)), (*_LETTER_BLOCKS, range(0x33480, 0x33480)), strict=True
    )
] + [range(0xE0000, 0xE0200)]
# Where there may be characters of two cases; not in the large blocks of ideographs and syllables.
_CASED = (
    range(0x3000),
    range(0xA000, 0xAC00),
    range(0xF900, 0x12000),
    range(0x16000, 0x17000),
    range(0x1E000, 0x1F000),
)


def ascii_universe(re2: Any) -> Universe:
    """Return the universe of ASCII texts; of its classes only the first 128 bits count."""
    return Universe(_ASCII_POINTS, re2)


def runs(members: int) -> Iterator[tuple[int, int]]:
    """Return the ranges of numbers whose bits are set."""
    return ((found.start(), found.end() - 1) for found in re.finditer("1+", bin(members)[:1:-1]))


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
            if len(universe.kept) < _MAX_KEPT:
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


ANY = Literal(0, _LAST)
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
