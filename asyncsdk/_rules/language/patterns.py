"""Regular expressions of rules, bounded: no pattern may hold the event loop, whatever text it meets.

Statsig matches in linear time; Python backtracks. A pattern is therefore weighed when it is prepared. What is repeated
without bound and may itself match in several ways (`(a+)+`, `(a|ab)*`, `(a{1,3})*`) may take exponential time: it is
refused, and nothing matches it. k unbounded repeats in a row take about n^k steps, times the ways that choices and
bounded repeats leave (`(a|b)?` leaves three): only texts short enough for two million steps are tried, longer ones do
not match. Two unbounded repeats allow 2,000 characters, three allow 229.
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
_MANY = 12
# More are as bad.
_TOO_MANY, _MAX_REPEATS = _MAX_STEPS + 1, 50

_PIECE = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\((?:\?(?:P?<[A-Za-z_]\w*>|[a-zA-Z-]*:|[=!]|<[=!]))?)"
    r"|(?P<close>\))|(?P<repeat>[*+?]|\{[0-9]*,?[0-9]*\})[?+]?|(?P<bar>\|)|(?P<end>\$)|(?P<plain>.)",
    re.DOTALL,
)
_RUST = {r"\z": r"\Z", "$": r"\Z"}
_FLAGS = re.compile(r"\(\?[a-zA-Z]+\)")


@attrs.define(eq=False, repr=False)
class _Group:
    """A group under way, or a single piece.

    Attributes:
        ways: In how many ways the alternative at hand may match, unbounded repeats aside.
        others: In how many those before it may.
        repeats: How many unbounded repeats there are, each repetition counted.
    """

    ways: int = 1
    others: int = 0
    repeats: int = 0

    def take(self, piece: "_Group") -> None:
        """Let a piece follow."""
        self.ways = min(self.ways * piece.ways, _TOO_MANY)
        self.repeats = min(self.repeats + piece.repeats, _MAX_REPEATS)

    def repeated(self, times: range) -> "_Group":
        """Repeat it, as often as one of `times`."""
        return _Group(sum(self.ways**often for often in times), 0, self.repeats * (times.stop - 1))


def compile_pattern(target: object) -> Matcher | None:
    """Compile a pattern; None for one that is invalid, refused, or no text."""
    if not isinstance(target, str) or len(target) > _MAX_PATTERN:
        return None
    flags = "".join(_FLAGS.findall(target)[:1])
    weighed = _weigh(target)
    if weighed is None:
        return None
    pattern, whole = weighed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            find = re.compile(target if "m" in flags else pattern).search
    except (re.error, OverflowError, RecursionError):
        return None
    longest = _longest(whole.repeats + (0 if pattern.startswith("^") else 1), whole.ways)
    return lambda text: len(text) <= longest and find(text) is not None


def _longest(power: int, ways: int) -> int:
    """Give the longest text whose w n^k / k! steps are few enough; -1 when none is short enough."""
    steps = _MAX_STEPS // ways
    if power == 0 or steps == 0:
        return _MAX_CHARACTERS if steps else -1
    return min(_MAX_CHARACTERS, int((steps * factorial(power)) ** (1 / power)))


def _weigh(target: str) -> tuple[str, _Group] | None:
    """Give a pattern in Python's spelling, and how it may match; None when it may take exponential time."""
    groups, last, written = [_Group()], _Group(), []
    for piece in _PIECE.finditer(target):
        kind, text = piece.lastgroup, piece[0]
        written.append(_RUST.get(text, text.replace("(?<", "(?P<") if _is_named(text) else text))
        if kind == "repeat":
            times = _times(piece["repeat"])
            if times is None and (last.repeats or last.ways > 1):
                return None
            last = _Group(repeats=1) if times is None else last.repeated(times)
            continue
        groups[-1].take(last)
        last = _Group()
        if kind == "open":
            groups.append(_Group())
        elif kind == "close":
            last = _closed(groups)
        elif kind == "bar":
            groups[-1].others, groups[-1].ways = groups[-1].others + groups[-1].ways, 1
    groups[-1].take(last)
    return "".join(written), _closed([_Group(), *groups])


def _closed(groups: list[_Group]) -> _Group:
    """End the innermost group; one that was never begun is what Python will refuse."""
    group = groups.pop() if len(groups) > 1 else _Group()
    return _Group(min(group.ways + group.others, _TOO_MANY), 0, group.repeats)


def _is_named(text: str) -> bool:
    return text.startswith("(?<") and text[3:4] not in ("=", "!")


def _times(repeat: str) -> range | None:
    """Say how often a quantifier repeats; None when there is no bound, or it might as well be none."""
    if repeat in "*+?":
        return range(2) if repeat == "?" else None
    low, comma, high = repeat.strip("{}").partition(",")
    most = int((high if comma else low) or 0)
    return None if most > _MANY or (comma and not high) else range(int(low or 0), most + 1)
