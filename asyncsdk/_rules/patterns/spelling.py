"""Write a parsed pattern in the syntax of an engine: RE2's, or that of Python's `re`.

Classes are written as ranges of characters, flags are resolved, and groups capture only if there are references. What
remains is the little syntax that both engines read alike.
"""

from collections.abc import Callable, Mapping
from itertools import product
from math import prod
from typing import Any

import attrs

from asyncsdk._rules.patterns.charsets import Class, Property
from asyncsdk._rules.patterns.errors import UnsupportedPatternError
from asyncsdk._rules.patterns.syntax import (
    Assertion,
    Backreference,
    Chars,
    Choice,
    Group,
    Look,
    Node,
    Repeat,
    Sequenced,
    walk,
)
from asyncsdk._rules.patterns.universe import Boundaries, Universe, ascii_universe

_MAX_REPEAT = 1000
"""RE2's limit for one quantifier."""
_MAX_LENGTH = 200_000
_MAX_ALTERNATIVES = 50
"""Of one lookbehind."""
_COMMON = {"line start": "(?m:^)", "line end": "(?m:$)", "start": r"\A", "anywhere": "(?:)"}
_RE2_ASSERTIONS = {**_COMMON, "end": r"\z", "word": r"\b", "not word": r"\B"}


@attrs.define(eq=False, repr=False)
class Alphabet:
    """The classes of a pattern in a universe, each evaluated once.

    Attributes:
        universe: All characters.
        is_ascii: Whether texts are ASCII only.
    """

    universe: Universe
    is_ascii: bool
    _known: dict[object, int] = attrs.Factory(dict)

    def members(self, chars: Chars) -> int:
        """Return the characters that a part of a pattern takes."""
        return self._class(chars.members, folds=chars.folds)

    def word(self) -> int:
        """Return the characters of words."""
        return self._class(_WORD, folds=False)

    def all_members(self) -> set[int]:
        """Return all classes that were evaluated so far."""
        return {*self._known.values()}

    def _class(self, members: Class, *, folds: bool) -> int:
        # Keyed by repr, so that equal classes, mostly literals and properties, are evaluated once.
        key = (repr(members), folds)
        found = self._known.get(key)
        if found is None:
            found = members.members(self.universe, folds=folds)
            found = self._known[key] = found & ((1 << 128) - 1) if self.is_ascii else found
        return found


_WORD = Property("perl w", negative=False)


def alphabet_of(node: Node, re2: Any, *, is_ascii: bool) -> Alphabet:
    """Return the alphabet of a pattern.

    Args:
        node: The pattern.
        re2: The module `re2`, which knows scripts; None without it.
        is_ascii: Whether texts are ASCII only.

    Raises:
        UnsupportedPatternError: It names a property that is unknown here.
    """
    if is_ascii:
        return Alphabet(ascii_universe(re2), is_ascii)
    boundaries = Boundaries(re2)
    _evaluate_all(node, Alphabet(boundaries, is_ascii))
    alphabet = Alphabet(boundaries.partition(), is_ascii)
    _evaluate_all(node, alphabet)
    return alphabet


def _evaluate_all(node: Node, alphabet: Alphabet) -> None:
    for one in walk(node):
        if isinstance(one, Chars):
            alphabet.members(one)
        elif isinstance(one, Assertion) and one.kind not in _COMMON and one.kind != "end":
            alphabet.word()


def spell_re2(node: Node, alphabet: Alphabet) -> str:
    """Write a pattern in RE2's syntax.

    Raises:
        UnsupportedPatternError: It has lookarounds, references or atomic groups, or words beyond ASCII.
    """
    hard = next((one for one in walk(node) if isinstance(one, (Look, Backreference)) or _is_atomic(one)), None)
    if hard is not None:
        raise UnsupportedPatternError("it has lookarounds, references or possessive repeats")
    assertions = _RE2_ASSERTIONS if alphabet.is_ascii else {**_COMMON, "end": r"\z"}
    return _Speller(alphabet, assertions, r"\x{%x}", r"[^\x00-\x{10FFFF}]").spell(node)


def _is_atomic(node: Node) -> bool:
    return isinstance(node, Group) and node.atomic


def spell_python(node: Node, alphabet: Alphabet, letters_of: Callable[[int], str] | None = None) -> str:
    """Write a pattern in the syntax of Python's `re`.

    Args:
        node: The pattern.
        alphabet: Its classes.
        letters_of: Returns the letters of a class, if the pattern is one for letters (`letters.py`).
    """
    speller = _Speller(alphabet, {}, "\\U%08x", "(?!)", letters_of)
    if any(isinstance(one, Assertion) and one.kind not in _COMMON and one.kind != "end" for one in walk(node)):
        word = speller.spell_members(alphabet.word())
    else:
        word = ""
    start, end = f"(?<!{word})", f"(?!{word})"
    boundary = f"(?:{start}(?={word})|(?<={word}){end})"
    speller.assertions = {
        **_COMMON,
        "end": r"\Z",
        "word": boundary,
        "not word": f"(?!{boundary})",
        "word start": f"{start}(?={word})",
        "word end": f"(?<={word}){end}",
        "half start": start,
        "half end": end,
    }
    speller.captures = any(isinstance(one, Backreference) for one in walk(node))
    return speller.spell(node)


def _takes_any(node: Repeat) -> bool:
    return any(isinstance(one, (Chars, Backreference)) for one in walk(node))


def _alternatives(node: Node) -> list[Node]:
    """Return parts that together match what a part does; each has one width, if it has no unbounded repeats."""
    found = [node]
    if isinstance(node, Group):
        return _alternatives(node.child)
    if isinstance(node, Choice):
        found = [one for child in node.children for one in _alternatives(child)]
    elif isinstance(node, Sequenced):
        rows = [_alternatives(child) for child in node.children]
        if prod(map(len, rows)) <= _MAX_ALTERNATIVES:
            found = [Sequenced(parts) for parts in product(*rows)]
    elif isinstance(node, Repeat) and node.high is not None and node.high - node.low < _MAX_ALTERNATIVES:
        found = [Repeat(node.child, times, times, greedy=True) for times in range(node.low, node.high + 1)]
    return found if len(found) <= _MAX_ALTERNATIVES else [node]


@attrs.define(eq=False, repr=False)
class _Speller:
    """An engine's syntax.

    Attributes:
        alphabet: Evaluates classes.
        assertions: How each kind of assertion is written.
        code: The format of an escaped character, for its number.
        nothing: What to write for a class without members, which matches nothing.
        letters_of: Returns the letters of a class; None writes characters.
        captures: Whether groups capture their text.
    """

    alphabet: Alphabet
    assertions: Mapping[str, str]
    code: str
    nothing: str
    letters_of: Callable[[int], str] | None = None
    captures: bool = False
    _known: dict[int, str] = attrs.Factory(dict)

    def spell(self, node: Node) -> str:
        """Write one part, so that a quantifier after it applies to all of it."""
        write = _WRITERS.get(node.__class__)
        return "(?:)" if write is None else write(self, node)

    def spell_chars(self, node: Chars) -> str:
        return self.spell_members(self.alphabet.members(node))

    def spell_members(self, members: int) -> str:
        found = self._known.get(members)
        if found is None:
            found = self._known[members] = self._spell_class(members)
        return found

    def _spell_class(self, members: int) -> str:
        if self.letters_of is not None:
            letters = self.letters_of(members)
            return f"[{letters}]" if letters else self.nothing
        ranges = [*self.alphabet.universe.spans(members)]
        if len(ranges) == 1 and ranges[0][0] == ranges[0][1] and chr(ranges[0][0]).isalnum():
            return chr(ranges[0][0])
        written = (
            self._spell_code(low) if low == high else f"{self._spell_code(low)}-{self._spell_code(high)}"
            for low, high in ranges
        )
        return f"[{''.join(written)}]" if ranges else self.nothing

    def _spell_code(self, number: int) -> str:
        return chr(number) if chr(number).isalnum() else self.code % number

    def spell_assertion(self, node: Assertion) -> str:
        found = self.assertions.get(node.kind)
        if found is None:
            raise UnsupportedPatternError("it has a word boundary, and the text is not ASCII")
        return found

    def spell_sequence(self, node: Sequenced) -> str:
        return f"(?:{''.join(map(self.spell, node.children))})"

    def spell_choice(self, node: Choice) -> str:
        return f"(?:{'|'.join(map(self.spell, node.children))})"

    def spell_group(self, node: Group) -> str:
        opening = "(?>" if node.atomic else "(" if self.captures else "(?:"
        return f"{opening}{self.spell(node.child)})"

    def spell_look(self, node: Look) -> str:
        sign = f"(?{'' if node.ahead else '<'}{'!' if node.negative else '='}"
        # Python's lookbehinds have one width each: `(?<=ab|c)` is written as `(?:(?<=ab)|(?<=c))`.
        if not node.ahead and any(isinstance(one, Repeat) and not _takes_any(one) for one in walk(node)):
            raise UnsupportedPatternError("a lookbehind repeats what takes no character")
        is_hard = any(isinstance(one, (Look, Backreference)) or _is_atomic(one) for one in walk(node.child))
        children = [node.child] if node.ahead or is_hard or self.captures else _alternatives(node.child)
        looks = [f"{sign}{self.spell(child)})" for child in children]
        return "".join(looks) if node.negative else f"(?:{'|'.join(looks)})"

    def spell_backreference(self, node: Backreference) -> str:
        return f"(?:\\{node.number})"

    def spell_repeat(self, node: Repeat) -> str:
        child, lazy = f"(?:{self.spell(node.child)})", "" if node.greedy else "?"
        low, high = node.low, node.high
        if max(low, high or 0) <= _MAX_REPEAT:
            return f"(?:{child}{_quantifier(low, high)}{lazy})"
        # Only RE2 limits a quantifier: for it, a longer one is written as several.
        if self.captures or self.nothing == "(?!)":
            return f"(?:{child}{_quantifier(low, high)}{lazy})"
        if max(low, high or 0) * len(child) > _MAX_LENGTH * 100:
            raise UnsupportedPatternError("it repeats too often")
        fixed = [f"{child}{{{times}}}" for times in _pieces(low)]
        if high is None:
            return f"(?:{''.join(fixed)}{child}*{lazy})"
        return f"(?:{''.join(fixed)}{''.join(f'{child}{{0,{times}}}{lazy}' for times in _pieces(high - low))})"


def _quantifier(low: int, high: int | None) -> str:
    return f"{{{low},{'' if high is None else high}}}"


def _pieces(times: int) -> list[int]:
    return [_MAX_REPEAT] * (times // _MAX_REPEAT) + ([times % _MAX_REPEAT] if times % _MAX_REPEAT else [])


_WRITERS: dict[type[Node], Callable[..., str]] = {
    Chars: _Speller.spell_chars,
    Assertion: _Speller.spell_assertion,
    Sequenced: _Speller.spell_sequence,
    Choice: _Speller.spell_choice,
    Group: _Speller.spell_group,
    Look: _Speller.spell_look,
    Backreference: _Speller.spell_backreference,
    Repeat: _Speller.spell_repeat,
}
