r"""Parse a pattern as statsig-python-core does: in the syntax of Rust's `fancy-regex` 0.17 and `regex-syntax` 0.8.

What differs from Python's syntax, and is easy to get wrong:

* `$` is the end of the text, never the place before a final line break, and `\Z` is the place before final ones.
* A flag such as `(?i)` may be anywhere. It holds until the end of the pattern, even beyond the group that it is in.
* A quantifier after another one does not apply to it: `a{2}{3}` ends in the text `{3}`, `a**` is an error, and `a++` is
  possessive.
* A class can contain set operations, as in `[a-z&&[^aeiou]--b]`; see `charsets`.
* `\h` is a hexadecimal digit, `(?#...)` is a comment, and `{` stands for itself where no quantifier can be.
"""

import re
from collections.abc import Sequence

import attrs

from asyncsdk._rules.patterns.charsets import ANY, HEX, Class, Literal, Part, Property, parse_class
from asyncsdk._rules.patterns.errors import InvalidPatternError, UnsupportedPatternError

_MAX_NESTING = 64
_ESCAPED = {"a": "\x07", "b": "\x08", "f": "\x0c", "n": "\n", "r": "\r", "t": "\t", "v": "\x0b", "e": "\x1b"}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_IN_CLASS_LITERALS = frozenset("kAzBKG")
_EDGES = {"start": "word start", "end": "word end", "start-half": "half start", "end-half": "half end"}
_ESCAPED_ASSERTIONS = {"A": "start", "G": "start", "z": "end", "<": "word start", ">": "word end"}
_NUMBER, _COMMA, _CLOSING = re.compile("[0-9]*"), re.compile(",?"), re.compile(r"\}")
_NAME = re.compile(r"(?:[^\W]|_)+")
_LOOKS = {"?=": (True, False), "?!": (True, True), "?<=": (False, False), "?<!": (False, True)}


@attrs.frozen(eq=False)
class Node:
    """A part of a pattern; `Node()` itself matches the empty text."""

    @property
    def children(self) -> "Sequence[Node]":
        """The parts that it consists of."""
        return ()


EMPTY = Node()


@attrs.frozen(eq=False)
class Chars(Node):
    """One character out of a class; `folds` if case is ignored."""

    members: Class
    folds: bool


@attrs.frozen(eq=False)
class Assertion(Node):
    """A place: `start`, `end`, `line start`, `line end`, `word`, `not word`, or an edge of a word."""

    kind: str


@attrs.frozen(eq=False)
class Sequenced(Node):
    """Several parts, one after the other."""

    children: Sequence[Node]


@attrs.frozen(eq=False)
class Choice(Node):
    """One of several alternatives; the first one that matches wins."""

    children: Sequence[Node]


@attrs.frozen(eq=False)
class Repeat(Node):
    """A part, repeated `low` to `high` times; a `high` of None is unbounded."""

    child: Node
    low: int
    high: int | None
    greedy: bool

    @property
    def children(self) -> Sequence[Node]:
        """The repeated part."""
        return (self.child,)


@attrs.frozen(eq=False)
class Group(Node):
    """A group; one that is `atomic` is never matched again in another way."""

    child: Node
    atomic: bool = False

    @property
    def children(self) -> Sequence[Node]:
        """The part inside."""
        return (self.child,)


@attrs.frozen(eq=False)
class Look(Node):
    """A lookahead or lookbehind."""

    child: Node
    ahead: bool
    negative: bool

    @property
    def children(self) -> Sequence[Node]:
        """The part inside."""
        return (self.child,)


@attrs.frozen(eq=False)
class Backreference(Node):
    """The text of an earlier group."""

    number: int


def parse(pattern: str) -> Node:
    """Parse a pattern.

    Raises:
        InvalidPatternError: Statsig's package refuses it too; it matches nothing.
        UnsupportedPatternError: It uses syntax that only Statsig's package can handle.
    """
    parser = _Parser(pattern)
    node = parser.parse_choice(0)
    if parser.at < len(pattern):
        raise InvalidPatternError("unbalanced parenthesis")
    if parser.backreferences and ((parser.names and parser.is_numbered) or max(parser.backreferences) > parser.groups):
        raise UnsupportedPatternError("it has references that no engine here reads alike")
    # A lookahead at the end is replaced by its content, as in Statsig's package: RE2 has no lookarounds.
    if isinstance(node, Sequenced) and _is_ahead(node.children[-1]):
        return Sequenced((*node.children[:-1], *node.children[-1].children))
    return node.children[0] if _is_ahead(node) else node


def _is_ahead(node: Node) -> bool:
    return isinstance(node, Look) and node.ahead and not node.negative


def walk(node: Node) -> "Sequence[Node]":
    """Return a part and all the parts inside it."""
    found = [node]
    for one in found:
        found.extend(one.children)
    return found


@attrs.define(eq=False)
class _Parser:
    """A pattern, the position reached, and the flags there."""

    text: str
    at: int = 0
    flags: frozenset[str] = frozenset()
    groups: int = 0
    names: dict[str, int] = attrs.Factory(dict)
    backreferences: list[int] = attrs.Factory(list)
    is_numbered: bool = False

    def peek(self, length: int = 1) -> str:
        return self.text[self.at : self.at + length]

    def take(self, text: str) -> bool:
        """Skip a text if it is next, and return whether it was."""
        found = self.text.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found

    def match(self, expected: "re.Pattern[str]") -> "re.Match[str] | None":
        found = expected.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found

    def skip_blanks(self) -> None:
        """Skip comments and, with the flag x, blanks."""
        while self.at < len(self.text):
            if "x" in self.flags and self.peek() in " \r\n\t":
                self.at += 1
            elif "x" in self.flags and self.peek() == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end + 1
            elif not self.match(_COMMENT):
                if self.peek(3) == "(?#":
                    raise InvalidPatternError("a comment does not end")
                return

    def parse_choice(self, nesting: int) -> Node:
        choices = [self.parse_sequence(nesting)]
        self.skip_blanks()
        while self.take("|"):
            choices.append(self.parse_sequence(nesting))
            self.skip_blanks()
        return choices[0] if len(choices) == 1 else Choice(choices)

    def parse_sequence(self, nesting: int) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text):
            before = self.at
            part = self.parse_piece(nesting)
            if self.at == before:
                break
            if part is not EMPTY:
                parts.append(part)
        return Sequenced(parts) if len(parts) > 1 else parts[0] if parts else EMPTY

    def parse_piece(self, nesting: int) -> Node:
        atom = self.parse_atom(nesting)
        self.skip_blanks()
        times = self.parse_times()
        if times is None:
            return atom
        if atom is EMPTY or isinstance(atom, Look):
            raise InvalidPatternError("nothing to repeat")
        if isinstance(atom, Assertion) and atom.kind == "anywhere":
            raise UnsupportedPatternError(r"it repeats \K")
        low, high = times
        if high is not None and low > high:
            raise InvalidPatternError("a repeat whose minimum is above its maximum")
        self.skip_blanks()
        # The flag U swaps the meanings of `a*` and `a*?`.
        greedy = self.take("?") == ("U" in self.flags)
        repeat = Repeat(atom, low, high, greedy)
        return Group(repeat, atomic=True) if self.take("+") else repeat

    def parse_times(self) -> tuple[int, int | None] | None:
        """Read a quantifier: its bounds, or None if there is none."""
        for sign, times in (("?", (0, 1)), ("*", (0, None)), ("+", (1, None))):
            if self.take(sign):
                return times
        start = self.at
        low, comma, high = self.parse_bounds() if self.take("{") else ("", "", "")
        if not (low or comma):
            self.at = start  # `{}` stands for itself
            return None
        if max(len(low), len(high)) > 6:
            raise UnsupportedPatternError("it repeats too often")
        return int(low or 0), (int(high) if high else None) if comma else int(low)

    def parse_bounds(self) -> tuple[str, str, str]:
        """Read `2,3}`, which may have blanks and comments between its parts; three empty texts if it is none."""
        parts: list[str] = []
        for expected in (_NUMBER, _COMMA, _NUMBER, _CLOSING):
            self.skip_blanks()
            found = self.match(expected)
            if found is None or (expected is _NUMBER and found[0] and len(parts) == 2 and not parts[1]):
                return "", "", ""
            parts.append(found[0])
        return parts[0], parts[1], parts[2]

    def parse_atom(self, nesting: int) -> Node:  # noqa: PLR0911 -- one for each kind
        self.skip_blanks()
        char = self.peek()
        if char == "" or char in "+*?|)":
            return EMPTY
        if char == "(":
            return self.parse_group(nesting)
        if char == "\\":
            return self.parse_escape()
        if char == "[":
            return Chars(self.parse_brackets(), "i" in self.flags)
        self.at += 1
        if char == ".":
            return Chars(ANY if "s" in self.flags else ANY.without("\n"), folds=False)
        if char in "^$":
            place = "start" if char == "^" else "end"
            return Assertion(f"line {place}" if "m" in self.flags else place)
        return Chars(Literal.of(char), "i" in self.flags)

    def parse_group(self, nesting: int) -> Node:
        if nesting + 1 >= _MAX_NESTING:
            raise InvalidPatternError("too many nested groups")
        self.at += 1
        self.skip_blanks()
        for sign in ("?<=", "?<!", "?=", "?!"):
            if self.take(sign):
                return Look(self.parse_inside(nesting), *_LOOKS[sign])
        if self.take("?>"):
            return Group(self.parse_inside(nesting), atomic=True)
        if self.take("?P="):
            return self.named_backreference(")")
        if self.peek(2) == "?(" or self.peek(3) == "?P>":
            raise UnsupportedPatternError("it has a condition, or calls a group")
        for sign, end in (("?P<", ">"), ("?<", ">"), ("?'", "'")):
            if self.take(sign):
                self.groups += 1
                self.names[self.name(end)] = self.groups
                return Group(self.parse_inside(nesting))
        if self.take("?"):
            return self.parse_flags(nesting)
        self.groups += 1
        return Group(self.parse_inside(nesting))

    def parse_inside(self, nesting: int) -> Node:
        inside = self.parse_choice(nesting + 1)
        self.skip_blanks()
        if not self.take(")"):
            raise InvalidPatternError("a group does not end")
        return inside

    def name(self, end: str) -> str:
        found = self.match(_NAME)
        if found is None or not self.take(end):
            raise InvalidPatternError("an invalid name of a group")
        return found[0]

    def parse_flags(self, nesting: int) -> Node:
        """Read flags for the rest of the pattern, or a group with flags of its own."""
        before, sign, seen = self.flags, True, ""
        while True:
            self.skip_blanks()
            char = self.peek()
            self.at += 1
            if char in (")", ":") and seen != "-" and (seen or char == ":"):
                break
            if char == "-" and sign:
                sign = False
            elif char and char in "imsUx":
                self.flags = self.flags | {char} if sign else self.flags - {char}
            elif char != "u" or not sign:
                raise InvalidPatternError("an unknown flag")
            seen += char
        if char == ")":
            return EMPTY
        inside = self.parse_inside(nesting)
        self.flags = before
        return inside

    def parse_escape(self) -> Node:
        char = self.text[self.at + 1 : self.at + 2]
        if char in _ESCAPED_ASSERTIONS and char:
            self.at += 2
            return Assertion(_ESCAPED_ASSERTIONS[char])
        if char in ("b", "B"):
            self.at += 2
            return self.parse_boundary(char)
        if char in ("K", "Z", "O", "k", "g"):
            return self.parse_rare_escape(char)
        if char.isascii() and char.isdecimal():
            self.at += 1
            number = self.match(_DIGITS)
            self.is_numbered = True
            return self.backreference(9_999 if number is None or number[0][0] == "0" else int(number[0]))
        folds = "i" in self.flags and char not in _ESCAPED and (char.isalnum() and char not in "hH")
        return Chars(self.escaped_part(in_class=False), folds)

    def parse_boundary(self, char: str) -> Node:
        plain = Assertion("word" if char == "b" else "not word")
        start = self.at
        if not self.take("{"):
            return plain
        self.skip_blanks()
        if self.peek() and self.peek() in "0123456789,":
            self.at = start  # a quantifier
            return plain
        name = self.match(_EDGE)
        self.skip_blanks()
        if char == "B" or name is None or name[0] not in _EDGES or not self.take("}"):
            raise InvalidPatternError("an unknown boundary")
        return Assertion(_EDGES[name[0]])

    def parse_rare_escape(self, char: str) -> Node:
        self.at += 2
        if char == "K":
            return Assertion("anywhere")
        if char == "O":
            return Chars(ANY, folds=False)
        if char == "Z":
            breaks = Repeat(Chars(Literal.of("\n"), folds=False), 0, None, greedy=True)
            return Look(Sequenced((breaks, Assertion("end"))), ahead=True, negative=False)
        if char == "k" and (self.take("<") or self.take("'")):
            return self.named_backreference(">" if self.text[self.at - 1] == "<" else "'")
        raise UnsupportedPatternError("it calls a group")

    def named_backreference(self, end: str) -> Node:
        number = self.names.get(self.name(end))
        if number is None:
            raise UnsupportedPatternError("it refers to a group by number or before it begins")
        return self.backreference(number)

    def backreference(self, number: int) -> Node:
        if "i" in self.flags:
            raise UnsupportedPatternError("it refers to a group and ignores case")
        self.backreferences.append(min(number, 9_999))
        return Backreference(number)

    def escaped_part(self, *, in_class: bool) -> Class:
        """Read an escape that stands for characters."""
        self.at += 1
        char = self.peek()
        self.at += 1
        if char == "":
            raise InvalidPatternError("a backslash at the end")
        if char in "dswDSW":
            return Property(f"perl {char.lower()}", char.isupper())
        if char in "hH":
            return HEX.negated(char == "H")
        if char in _HEX_DIGITS:
            return Literal.of(self.hexadecimal(_HEX_DIGITS[char]))
        if char in "pP":
            return self.parse_property(negated=char == "P")
        if char in _ESCAPED or (in_class and char in _IN_CLASS_LITERALS):
            return Literal.of(_ESCAPED.get(char, char))
        if char.isascii() and char.isalnum():
            raise InvalidPatternError("an unknown escape")
        return Literal.of(char)

    def hexadecimal(self, digits: int) -> str:
        self.skip_blanks()
        found = self.match(_FIXED[digits]) or self.match(_BRACED)
        number = int(found[0].strip("{}"), 16) if found else 0x110000
        if number > 0x10FFFF or 0xD800 <= number < 0xE000:
            raise InvalidPatternError("an unknown character")
        return chr(number)

    def parse_property(self, *, negated: bool) -> Class:
        found = self.match(_PROPERTY)
        if found is None:
            raise InvalidPatternError("an invalid name of a property")
        return Property(found[1] or found[2], negated)

    def parse_brackets(self) -> Class:
        """Read a class: first find its end as fancy-regex does, then parse it as regex-syntax does."""
        self.at += 1
        parts: list[Part] = []
        depth = 1
        if self.take("^"):
            parts.append("^")
        if self.take("]"):
            parts.append("]")
        while depth:
            char = self.peek()
            if char == "":
                raise InvalidPatternError("a class does not end")
            if char == "\\":
                if self.text[self.at + 1 : self.at + 2].isdecimal():
                    raise InvalidPatternError("a reference in a class")
                parts.append(self.escaped_part(in_class=True))
                continue
            depth += (char == "[") - (char == "]")
            parts.append(char)
            self.at += 1
        return parse_class(parts)


_COMMENT = re.compile(r"\(\?#(?:\\.|[^)\\])*+\)", re.DOTALL)
_DIGITS = re.compile(r"[0-9]{1,4}")
_EDGE = re.compile("[a-z-]+")
_FIXED = {digits: re.compile(f"[0-9a-fA-F]{{{digits}}}") for digits in _HEX_DIGITS.values()}
_BRACED = re.compile(r"\{[0-9a-fA-F]{1,8}\}")
_PROPERTY = re.compile(r"\{([^}]*)\}|([^{])", re.DOTALL)
