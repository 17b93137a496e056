"""What each operator of a condition means. To add one, add a row to `OPERATORS`.

`prepare` runs once, when a ruleset is compiled; `test` runs per lookup. Neither raises, whatever it is given.
The matrix these rows were checked against is statsig-python-core 0.24.0's.
"""

from collections.abc import Callable
from typing import Any

import attrs

from asyncsdk._rules.language import patterns
from asyncsdk._rules.language.values import as_instant, as_integer, as_list, as_number, as_object, as_text

_DAY_MS = 86_400_000
_SECONDS_BELOW = 10**10
_MAX_VERDICTS = 2_000

Test = Callable[[Any, Any], bool]


@attrs.frozen(eq=False, repr=False)
class Operator:
    """One operator.

    Attributes:
        prepare: Turns a rule's target, any JSON value, into what `test` wants.
        test: Compares a user's value (None when it is missing) with a prepared target.
    """

    prepare: Callable[[Any], Any]
    test: Test


def _negation(of: Operator) -> Operator:
    test = of.test
    return Operator(of.prepare, lambda value, target: not test(value, target))


# Numbers: both sides must have a number view; they are compared as doubles, also where those are less exact.


def _numeric(compare: Callable[[float, float], bool]) -> Operator:
    def test(value: object, target: float | None) -> bool:
        left = value if value.__class__ is float else as_number(value)
        return left is not None and target is not None and compare(left, target)

    return Operator(as_number, test)


# Versions: cut at the first "-", compared part by part, a missing part is 0.

_Version = tuple[int | None, ...]


class _Verdicts(dict[str, bool]):
    """What comparing with one target version gave, by the user's version; forgotten when they become many."""

    def __init__(self, target: _Version, accepted: tuple[int, ...]) -> None:
        super().__init__()
        self._target, self._accepted = target, accepted

    def __missing__(self, value: str) -> bool:
        if len(self) >= _MAX_VERDICTS:
            self.clear()
        found = self[value] = _order(_version(value), self._target) in self._accepted
        return found


def _version(value: str) -> _Version:
    return tuple(map(_part, value.partition("-")[0].split(".")))


def _part(part: str) -> int | None:
    stripped = part.strip()
    if len(stripped) < 40 and stripped.isascii() and stripped.removeprefix("+").isdecimal():
        return int(stripped)
    return None


def _order(left: _Version, right: _Version) -> int | None:
    """Give -1, 0 or 1, or None when a part before the first difference is no number."""
    if None not in left and None not in right and len(left) == len(right):
        return (left > right) - (left < right)
    for place in range(max(len(left), len(right))):
        one = left[place] if place < len(left) else 0
        other = right[place] if place < len(right) else 0
        if one is None or other is None:
            return None
        if one != other:
            return 1 if one > other else -1
    return 0


def _versions(*accepted: int) -> Operator:
    def prepare(target: object) -> _Verdicts | None:
        return _Verdicts(_version(target), accepted) if isinstance(target, str) else None

    def test(value: object, target: _Verdicts | None) -> bool:
        left = value if value.__class__ is str else as_text(value)
        return left is not None and target is not None and target[left]

    return Operator(prepare, test)


# Text: a missing value is "", and case does not count unless the operator says so.


def _elements(target: object) -> list[str] | None:
    """Give a target list as text; of elements that differ only in case, the last counts."""
    elements = as_list(target)
    if elements is None:
        return None
    texts = [element if isinstance(element, str) else _json(element) for element in elements]
    return list({element.lower(): element for element in texts}.values())


def _json(element: object) -> str:
    return (as_text([element]) or "[null]")[1:-1]


def _lowered_set(target: object) -> frozenset[str]:
    keys = as_object(target)
    if keys is not None:
        return frozenset(keys)
    return frozenset(element.lower() for element in _elements(target) or ())


def _exact_set(target: object) -> frozenset[str]:
    return frozenset(_elements(target) or ())


def _lowered(target: object) -> tuple[str, ...]:
    return tuple(element.lower() for element in _elements(target) or ())


def _is_among(value: object, target: frozenset[str]) -> bool:
    if value.__class__ is str:
        return value.lower() in target
    return (as_text(value) or "").lower() in target


def _is_exactly_among(value: object, target: frozenset[str]) -> bool:
    return (as_text(value) or "") in target


def _starts(value: object, target: tuple[str, ...]) -> bool:
    if value.__class__ is str:
        return value.lower().startswith(target)
    return (as_text(value) or "").lower().startswith(target)


def _ends(value: object, target: tuple[str, ...]) -> bool:
    if value.__class__ is str:
        return value.lower().endswith(target)
    return (as_text(value) or "").lower().endswith(target)


def _contains(value: object, target: tuple[str, ...]) -> bool:
    haystack = (value if value.__class__ is str else as_text(value) or "").lower()
    for needle in target:  # noqa: SIM110 -- any() with a generator takes twice as long
        if needle in haystack:
            return True
    return False


def _matches(value: object, target: patterns.Matcher | None) -> bool:
    subject = as_text(value)
    return subject is not None and target is not None and target(subject)


# Equality goes by the target's type, which is decided when it is prepared.


def _equality(target: object) -> Callable[[object], bool]:
    if isinstance(target, bool):
        return lambda value: value is target
    if isinstance(target, (int, float)):
        return _same_number(as_number(target))
    if isinstance(target, str):
        return lambda value: as_text(value) == target
    elements, keys = as_list(target), as_object(target)
    if elements is not None:
        texts = [element if isinstance(element, str) else _json(element) for element in elements]
        return lambda value: _texts(value) == texts
    if keys is not None:
        wanted = {key: as_text(item) for key, item in keys.items()}
        return lambda value: _text_by_key(value) == wanted
    return lambda value: value is None


def _same_number(target: float | None) -> Callable[[object], bool]:
    return lambda value: target is not None and as_number(value) == target


def _texts(value: object) -> list[str | None] | None:
    elements = as_list(value)
    return None if elements is None else [as_text(element) for element in elements]


def _text_by_key(value: object) -> dict[str, str | None] | None:
    keys = as_object(value)
    return None if keys is None else {key: as_text(item) for key, item in keys.items()}


# Time: milliseconds; the user's side may be in seconds.


def _target_instant(target: object) -> int | None:
    found = as_instant(target, bounded=False)
    if found is None:
        amount = as_number(target)
        found = int(amount) if amount is not None and abs(amount) < float("inf") else None
    return found


def _moment(value: object) -> int | None:
    found = as_instant(value)
    if found is None:
        found = as_integer(value)
    return found * 1000 if found is not None and abs(found) < _SECONDS_BELOW else found


def _temporal(compare: Callable[[int, int], bool]) -> Operator:
    def test(value: object, target: int | None) -> bool:
        left = _moment(value)
        return left is not None and target is not None and compare(left, target)

    return Operator(_target_instant, test)


def _day(time_ms: int) -> int:
    return time_ms // _DAY_MS if time_ms >= 0 else -(-time_ms // _DAY_MS)


# Lists: both sides must be lists, else every one of these is false.


def _lists(compare: Callable[[set[str], frozenset[str]], bool]) -> Operator:
    def test(value: object, target: frozenset[str] | None) -> bool:
        elements = as_list(value)
        if elements is None or target is None:
            return False
        return compare({as_text(element) or "" for element in elements}, target)

    return Operator(lambda target: None if as_list(target) is None else _exact_set(target), test)


def _in_no_list(_: str) -> bool:
    return False


def _in_list(value: object, members: Callable[[str], bool]) -> bool:
    subject = as_text(value)
    return subject is not None and members(subject)


_ANY = Operator(_lowered_set, _is_among)
_ANY_CASE_SENSITIVE = Operator(_exact_set, _is_exactly_among)
_CONTAINS = Operator(_lowered, _contains)
_EQUAL = Operator(_equality, lambda value, target: target(value))
_IN_LIST = Operator(lambda _: _in_no_list, _in_list)

OPERATORS: dict[str, Operator] = {
    "gt": _numeric(lambda left, right: left > right),
    "gte": _numeric(lambda left, right: left >= right),
    "lt": _numeric(lambda left, right: left < right),
    "lte": _numeric(lambda left, right: left <= right),
    "version_gt": _versions(1),
    "version_gte": _versions(0, 1),
    "version_lt": _versions(-1),
    "version_lte": _versions(-1, 0),
    "version_eq": _versions(0),
    "version_neq": _versions(-1, 1),
    "any": _ANY,
    "none": _negation(_ANY),
    "any_case_sensitive": _ANY_CASE_SENSITIVE,
    "none_case_sensitive": _negation(_ANY_CASE_SENSITIVE),
    "str_starts_with_any": Operator(_lowered, _starts),
    "str_ends_with_any": Operator(_lowered, _ends),
    "str_contains_any": _CONTAINS,
    "str_contains_none": _negation(_CONTAINS),
    "str_matches": Operator(patterns.compile_pattern, _matches),
    "eq": _EQUAL,
    "neq": _negation(_EQUAL),
    "before": _temporal(lambda left, right: left < right),
    "after": _temporal(lambda left, right: left > right),
    "on": _temporal(lambda left, right: _day(left) == _day(right)),
    "in_segment_list": _IN_LIST,
    "not_in_segment_list": _negation(_IN_LIST),
    "array_contains_any": _lists(lambda value, target: not target.isdisjoint(value)),
    "array_contains_none": _lists(lambda value, target: target.isdisjoint(value)),
    "array_contains_all": _lists(lambda value, target: target <= value),
    "not_array_contains_all": _lists(lambda value, target: not target <= value),
}
