"""Regular expressions of rules, bounded: no pattern may hold the event loop, whatever text it meets.

Statsig matches in linear time; Python backtracks. A pattern is therefore weighed when it is prepared. A repeat
inside a repeat (`(a+)+`) or a choice inside one (`(a|ab)*`) may take exponential time: it is refused, and nothing
matches it. k unbounded repeats in a row take about n^k steps: only texts short enough for two million steps are
tried, longer ones do not match. Two such repeats allow 2,000 characters, three allow 229.
"""

import re
import warnings
from collections.abc import Callable
from math import factorial

import attrs

Search = Callable[[str], bool]

_MOST_STEPS = 2_000_000
_MOST_CHARACTERS = 100_000
_LONGEST_PATTERN = 2_000
_MANY = 12

_PIECE = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\((?:\?(?:P?<[A-Za-z_]\w*>|[a-zA-Z-]*:|[=!]|<[=!]))?)"
    r"|(?P<close>\))|(?P<repeat>[*+?]|\{[0-9]*,?[0-9]*\})[?+]?|(?P<bar>\|)|(?P<end>\$)|(?P<plain>.)",
    re.DOTALL,
)
_RUST = {r"\z": r"\Z", "$": r"\Z"}
_FLAGS = re.compile(r"\(\?[a-zA-Z]+\)")


@attrs.define
class _Group:
    """A group under way: whether it holds an unbounded repeat, or a choice."""

    repeats: bool = False
    chooses: bool = False


def search(target: object) -> Search | None:
    """Compile a pattern; None for one that is invalid, refused, or no text."""
    if not isinstance(target, str) or len(target) > _LONGEST_PATTERN:
        return None
    flags = "".join(_FLAGS.findall(target)[:1])
    weighed = _weigh(target)
    if weighed is None:
        return None
    pattern, repeats = weighed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            find = re.compile(target if "m" in flags else pattern).search
    except (re.error, OverflowError, RecursionError):
        return None
    longest = _longest(repeats + (0 if pattern.startswith("^") else 1))
    return lambda text: len(text) <= longest and find(text) is not None


def _longest(power: int) -> int:
    """Give the longest text whose n^k / k! steps are few enough."""
    if power <= 1:
        return _MOST_CHARACTERS
    return int((_MOST_STEPS * factorial(power)) ** (1 / power))


def _weigh(target: str) -> tuple[str, int] | None:
    """Give a pattern in Python's spelling and its unbounded repeats; None when it may take exponential time."""
    groups, last = [_Group()], _Group()
    total, written = 0, []
    for piece in _PIECE.finditer(target):
        kind, text = piece.lastgroup, piece[0]
        written.append(_RUST.get(text, text.replace("(?<", "(?P<") if _is_named(text) else text))
        if kind == "open":
            groups.append(_Group())
        elif kind == "close":
            last = groups.pop() if len(groups) > 1 else _Group()
            groups[-1].repeats |= last.repeats
            groups[-1].chooses |= last.chooses
        elif kind == "bar":
            groups[-1].chooses = True
        elif kind == "repeat" and _is_unbounded(piece["repeat"]):
            if last.repeats or last.chooses:
                return None
            total += 1
            groups[-1].repeats = True
        if kind != "close":
            last = _Group()
    return "".join(written), total


def _is_named(text: str) -> bool:
    return text.startswith("(?<") and text[3:4] not in ("=", "!")


def _is_unbounded(repeat: str) -> bool:
    """Say whether a quantifier repeats without bound, or so often that it might as well."""
    if repeat in "*+":
        return True
    low, comma, high = repeat.strip("{}").partition(",")
    most = high if comma else low
    return repeat != "?" and ((bool(comma) and not high) or int(most or 0) > _MANY)
