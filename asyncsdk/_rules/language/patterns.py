"""Compile the regular expressions of rules, bounded: no pattern may block the event loop, on any text.

Statsig's engine matches in linear time; Python's backtracks. Therefore the number of steps that a pattern may take is
estimated when it is prepared:

1. An unbounded repeat (`*`, `+`, `{2,}`) of something that itself matches in several ways, such as `(a+)+`, `(a|ab)*`
   or `(a{1,3})*`, may take exponential time. The pattern is rejected: nothing matches it.
2. Otherwise, a text of n characters takes about w n^k / k! steps. k is the number of unbounded repeats, plus one for
   a search that may start anywhere. w is the number of ways that alternatives and bounded repeats leave: `(a|b)?` has
   three. Texts that would take more than two million steps do not match.

Example: `^.*@.*$` has k = 2 and w = 1, so that it is tried on texts of up to 2,000 characters; with three unbounded
repeats the limit is 229.

The estimate reads a pattern piece by piece, with a stack of the groups that are open. A bounded repeat of more than 12
counts as unbounded, which is safe and keeps w small.
"""

import re
import warnings
from collections.abc import Callable
from math import factorial

import attrs

Matcher = Callable[[str], bool]

_MAX_STEPS = 2_000_000
_MAX_CHARACTERS = 100_000
_MAX_PATTERN = 2_000
_MAX_BOUNDED_REPEAT = 12
# Estimates stop here: from these values on every text is too long anyway, and they must not grow to huge ints.
_WAYS_LIMIT, _REPEATS_LIMIT = _MAX_STEPS + 1, 50

_PIECE = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\((?:\?(?:P?<[A-Za-z_]\w*>|[a-zA-Z-]*:|[=!]|<[=!]))?)"
    r"|(?P<close>\))|(?P<repeat>[*+?]|\{[0-9]*,?[0-9]*\})[?+]?|(?P<bar>\|)|(?P<end>\$)|(?P<plain>.)",
    re.DOTALL,
)
# Spellings that mean something else in Python, where `$` also matches before a final line break.
_RUST_TO_PYTHON = {r"\z": r"\Z", "$": r"\Z"}
_FLAGS = re.compile(r"\(\?[a-zA-Z]+\)")


@attrs.define(eq=False, repr=False)
class _Group:
    """An open group, or a single piece.

    Attributes:
        ways: The number of ways in which the current alternative may match, unbounded repeats aside.
        earlier_ways: The same, summed over the alternatives before it.
        repeats: The number of unbounded repeats, counting each repetition of a bounded repeat.
    """

    ways: int = 1
    earlier_ways: int = 0
    repeats: int = 0

    def append(self, piece: "_Group") -> None:
        """Add a piece to the current alternative."""
        self.ways = min(self.ways * piece.ways, _WAYS_LIMIT)
        self.repeats = min(self.repeats + piece.repeats, _REPEATS_LIMIT)

    def repeated(self, times: range) -> "_Group":
        """Return the group under a bounded repeat."""
        return _Group(sum(self.ways**count for count in times), 0, self.repeats * (times.stop - 1))


def compile_pattern(target: object) -> Matcher | None:
    """Compile a pattern to a function that returns whether a text matches.

    Args:
        target: The pattern, in the syntax of Rust's `regex`.

    Returns:
        The function; None for a pattern that is not text, too long, invalid or rejected.
    """
    if not isinstance(target, str) or len(target) > _MAX_PATTERN:
        return None
    flags = "".join(_FLAGS.findall(target)[:1])
    estimated = _estimate(target)
    if estimated is None:
        return None
    pattern, whole = estimated
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # In multi-line mode `$` matches at line ends in both engines, so that the pattern stays as it is.
            search = re.compile(target if "m" in flags else pattern).search
    except (re.error, OverflowError, RecursionError):
        return None
    max_length = _max_length(whole.repeats + (0 if pattern.startswith("^") else 1), whole.ways)
    return lambda text: len(text) <= max_length and search(text) is not None


def _max_length(power: int, ways: int) -> int:
    """Return the length n of the longest texts with w n^k / k! <= `_MAX_STEPS`; -1 if there is none.

    Args:
        power: k.
        ways: w.
    """
    steps = _MAX_STEPS // ways
    if power == 0 or steps == 0:
        return _MAX_CHARACTERS if steps else -1
    return min(_MAX_CHARACTERS, int((steps * factorial(power)) ** (1 / power)))


def _estimate(target: str) -> tuple[str, _Group] | None:
    """Return a pattern in Python's syntax, and its estimate; None if it may take exponential time."""
    groups, last, written = [_Group()], _Group(), []
    for piece in _PIECE.finditer(target):
        kind, text = piece.lastgroup, piece[0]
        written.append(_RUST_TO_PYTHON.get(text, text.replace("(?<", "(?P<") if _is_named_group(text) else text))
        # `last` is the piece before this one. It is appended only now, because a repeat changes it first.
        if kind == "repeat":
            times = _times(piece["repeat"])
            if times is None and (last.repeats or last.ways > 1):
                return None
            last = _Group(repeats=1) if times is None else last.repeated(times)
            continue
        groups[-1].append(last)
        last = _Group()
        if kind == "open":
            groups.append(_Group())
        elif kind == "close":
            last = _close(groups)
        elif kind == "bar":
            groups[-1].earlier_ways, groups[-1].ways = groups[-1].earlier_ways + groups[-1].ways, 1
    groups[-1].append(last)
    return "".join(written), _close([_Group(), *groups])


def _close(groups: list[_Group]) -> _Group:
    """Close the innermost group and return it as a piece; a `)` without a `(` is left to Python to reject."""
    group = groups.pop() if len(groups) > 1 else _Group()
    return _Group(min(group.ways + group.earlier_ways, _WAYS_LIMIT), 0, group.repeats)


def _is_named_group(text: str) -> bool:
    return text.startswith("(?<") and text[3:4] not in ("=", "!")


def _times(repeat: str) -> range | None:
    """Return how often a quantifier repeats; None if it is unbounded or counts as such."""
    if repeat in "*+?":
        return range(2) if repeat == "?" else None
    low, comma, high = repeat.strip("{}").partition(",")
    maximum = int((high if comma else low) or 0)
    return None if maximum > _MAX_BOUNDED_REPEAT or (comma and not high) else range(int(low or 0), maximum + 1)
