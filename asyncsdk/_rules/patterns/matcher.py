"""Compile a pattern to a function that returns whether a text matches, in bounded time, as Statsig's package does.

Statsig's engine is Rust's `regex`, which never backtracks. Here there are two:

* **RE2**, if the package `google-re2` is installed (the extra `re2`): linear time for any pattern, but it knows neither
  lookarounds nor references, and its words are ASCII.
* **Python's `re`**, which backtracks: only if the steps can be bounded (`steps.py`), and for texts of a length that
  keeps them below two million. If the bound is linear, it is preferred to RE2, since a call of RE2 takes four times as
  long.

A pattern or text that neither can handle is reported and raises `UnsupportedPatternError`, so the evaluation's outcome
is `Unsupported`. A pattern that Statsig's package refuses too is reported and matches nothing, as in that package.

Each pattern is compiled up to twice, when needed: for ASCII texts, with classes of 128 characters, and for all others.
"""

import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import attrs

from asyncsdk._rules.patterns.errors import InvalidPatternError, UnsupportedPatternError
from asyncsdk._rules.patterns.letters import Letters
from asyncsdk._rules.patterns.spelling import Alphabet, alphabet_of, spell_python, spell_re2
from asyncsdk._rules.patterns.steps import MAX_STEPS, bound, is_anchored, longest
from asyncsdk._rules.patterns.syntax import Backreference, Chars, Group, Look, Node, Repeat, Sequenced, parse, walk
from asyncsdk._rules.patterns.universe import Partition

_MAX_PATTERN = 10_000
# Instructions of RE2's program times bytes of text; each takes about a nanosecond if RE2's cache does not help.
_MAX_RE2_WORK = 100_000_000

Report = Callable[[str, str, bool], object]
"""Called with a pattern, what is wrong with it, and whether it is unsupported, not just invalid."""
_UNSUPPORTED = True
_Engine = Callable[[str], bool]


@cache
def load_re2() -> Any:
    """Return the module `re2`; None if it is not installed."""
    try:
        import re2  # noqa: PLC0415 -- an extra, and only for rulesets with patterns
    except ImportError:
        return None
    # Another package (pyre2) has a module of the same name, but without `Options`.
    return re2 if hasattr(re2, "Options") else None


@attrs.frozen
class _Unmatchable:
    """The engine of a pattern that none can handle.

    Attributes:
        fault: Why not.
    """

    fault: str

    def __call__(self, _: str) -> bool:
        raise UnsupportedPatternError(self.fault)


@attrs.define(eq=False, repr=False)
class Matcher:
    """A pattern, compiled; call it with a text.

    Attributes:
        pattern: The pattern as written.
        fault: What is wrong with it; "" if nothing is.
        report: Called with each fault.
    """

    pattern: str
    fault: str = ""
    report: Report = lambda _pattern, _fault, _unsupported: None
    _node: Node | None = None
    _re2: Any = None
    _engines: dict[bool, _Engine] = attrs.Factory(dict)

    def __call__(self, text: str) -> bool:
        """Return whether a text matches.

        Raises:
            UnsupportedPatternError: No engine here can tell.
        """
        is_ascii = text.isascii()
        try:
            engine = self._engines.get(is_ascii) or self._engine(is_ascii=is_ascii)
            return engine(text)
        except UnsupportedPatternError as error:
            self.report(self.pattern, str(error), _UNSUPPORTED)
            raise

    def reporting_to(self, report: Report) -> "Matcher":
        """Report faults from now on, and at once if there is one already."""
        self.report = report
        if self._node is None:
            report(self.pattern, self.fault, self._engines == {})
            return self
        engine = self._engine(is_ascii=True)
        if isinstance(engine, _Unmatchable):
            report(self.pattern, engine.fault, _UNSUPPORTED)
        return self

    def _engine(self, *, is_ascii: bool) -> _Engine:
        found = self._engines.get(is_ascii)
        if found is None:
            if self._node is None:
                raise UnsupportedPatternError(self.fault)
            try:
                found = _build(self._node, self._re2, is_ascii=is_ascii)
            except UnsupportedPatternError as error:
                found = _Unmatchable(str(error))  # kept: an analysis may take 0.1 s
            self._engines[is_ascii] = found
        return found


def compile_pattern(target: object, *, re2: Any = ...) -> Matcher | None:
    """Compile a pattern.

    Args:
        target: The pattern, in the syntax of Rust's `fancy-regex`.
        re2: The module `re2`; None does without it. By default, it is used if installed.

    Returns:
        The compiled pattern; None for a target that is not text, which nothing matches.
    """
    if not isinstance(target, str):
        return None
    re2 = load_re2() if re2 is ... else re2
    try:
        if len(target) > _MAX_PATTERN:
            return Matcher(target, f"it has more than {_MAX_PATTERN} characters")
        return Matcher(target, node=parse(target), re2=re2)
    except UnsupportedPatternError as error:
        return Matcher(target, str(error))
    except InvalidPatternError as error:
        matches_nothing: dict[bool, _Engine] = dict.fromkeys((True, False), lambda _: False)
        return Matcher(target, f"it is invalid: {error}", engines=matches_nothing)


def _build(node: Node, re2: Any, *, is_ascii: bool) -> _Engine:
    """Return the function that matches texts, by whichever engine can handle the pattern.

    Raises:
        UnsupportedPatternError: None can.
    """
    alphabet = alphabet_of(node, re2, is_ascii=is_ascii)
    in_re2: _Engine | None = None
    if re2 is not None:
        with suppress(UnsupportedPatternError):
            in_re2 = _build_re2(spell_re2(node, alphabet), re2)
    try:
        return _build_python(_shortened(node), alphabet, in_re2)
    except UnsupportedPatternError:
        if in_re2 is None:
            raise
        return in_re2


def _build_python(node: Node, alphabet: Alphabet, in_re2: _Engine | None) -> _Engine:
    """Return the function that matches texts of bounded length by `re`, and longer ones by RE2, if it can."""
    ways, loops = bound(node, alphabet, anchored=is_anchored(node))
    if in_re2 is not None and loops > 1:
        return in_re2
    limit, universe = longest(ways, loops), alphabet.universe
    # A reference compares characters, so such a pattern is not one for letters.
    letters: Letters | None = None
    if isinstance(universe, Partition) and not any(isinstance(one, Backreference) for one in walk(node)):
        letters = Letters(alphabet, universe)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search = re.compile(spell_python(node, alphabet, None if letters is None else letters.of)).search
    except (re.error, OverflowError, RecursionError) as error:
        raise UnsupportedPatternError(f"Python's engine refuses it: {error}") from None

    def matches(text: str) -> bool:
        if len(text) > limit:
            if in_re2 is not None:
                return in_re2(text)
            raise UnsupportedPatternError(f"a text of {len(text)} characters might take more than {MAX_STEPS} steps")
        if not alphabet.is_ascii:
            text = _replaced(text)
        return search(text if letters is None else text.translate(letters)) is not None

    return matches


def _build_re2(spelled: str, re2: Any) -> _Engine:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        compiled = re2.compile(spelled.encode(), options)
    except re2.error as error:
        raise UnsupportedPatternError(f"RE2 refuses it: {error}") from None
    search, limit = compiled.search, _MAX_RE2_WORK // max(1, compiled.programsize)

    def matches(text: str) -> bool:
        encoded = text.encode(errors="replace")
        if len(encoded) > limit:
            raise UnsupportedPatternError(f"a text of {len(encoded)} bytes is too long for so large a pattern")
        return search(encoded) is not None

    return matches


def _replaced(text: str) -> str:
    """Return a text whose lone surrogates are replaced, as `encode` does."""
    return text.encode(errors="replace").decode()


def _shortened(node: Node) -> Node:
    """Return a pattern that matches the same texts, with fewer loops: `.*a.*` matches where `a` does."""
    if any(isinstance(one, (Look, Backreference)) or (isinstance(one, Group) and one.atomic) for one in walk(node)):
        return node
    if not isinstance(node, Sequenced):
        return _without_loop(node)
    parts = list(node.children)
    while len(parts) > 1 and _without_loop(parts[0]) is not parts[0]:
        first = _without_loop(parts[0])
        parts[:1] = [] if first is EMPTY_LOOP else [first]
    while len(parts) > 1 and _without_loop(parts[-1]) is not parts[-1]:
        last = _without_loop(parts[-1])
        parts[-1:] = [] if last is EMPTY_LOOP else [last]
    return Sequenced(parts)


EMPTY_LOOP = Node()


def _without_loop(node: Node) -> Node:
    if not (isinstance(node, Repeat) and isinstance(node.child, Chars) and node.high is None):
        return node
    return EMPTY_LOOP if node.low == 0 else Repeat(node.child, node.low, node.low, node.greedy)
