"""Implement the operators of conditions. To add one, add a row to `OPERATORS`.

`prepare` runs once, when a ruleset is compiled; `test` runs for each lookup. Neither raises, for any arguments.
Each operator was compared with statsig-python-core 0.24.0 over a matrix of values and targets.

A test that begins with `value.__class__ is str` skips a call of `as_text` for the usual case.
"""

from collections.abc import Callable, Generator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import attrs

from asyncsdk._rules.language.specs import Condition, TooLargeError
from asyncsdk._rules.language.values import as_instant, as_integer, as_list, as_number, as_object, as_text
from asyncsdk._rules.language.versions import VersionResults, parse_version

_DAY_MS = 86_400_000
# Times below this are in seconds, others in milliseconds: as seconds it is the year 2286, as milliseconds April 1970.
_SECONDS_LIMIT = 10**10

Test = Callable[[Any, Any], bool]


@attrs.frozen(eq=False, repr=False)
class Operator:
    """One operator.

    Attributes:
        prepare: Converts a condition's target, any JSON value, to the form that `test` takes.
        test: Compares a user's value (None if missing) with a prepared target.
    """

    prepare: Callable[[Any], Any]
    test: Test


def _negation(operator: Operator) -> Operator:
    test = operator.test
    return Operator(operator.prepare, lambda value, target: not test(value, target))


# Numbers: both sides must be numbers. They are compared as doubles, even where those are less exact than ints.


def _numeric(compare: Callable[[float, float], bool]) -> Operator:
    def test(value: object, target: float | None) -> bool:
        left = value if value.__class__ is float else as_number(value)
        return left is not None and target is not None and compare(left, target)

    return Operator(as_number, test)


# Versions: the target must be text, and the user's value is converted to it. See `versions`.


def _versions(*accepted: int) -> Operator:
    def prepare(target: object) -> VersionResults | None:
        return VersionResults(parse_version(target), accepted) if isinstance(target, str) else None

    def test(value: object, target: VersionResults | None) -> bool:
        left = value if value.__class__ is str else as_text(value)
        return left is not None and target is not None and target[left]

    return Operator(prepare, test)


# Text: a missing value is "", but matches no pattern. Case is ignored, except by patterns and "case_sensitive".


def _elements(target: object) -> list[str] | None:
    """Return the elements of a target list as text; of elements that differ only in case, the last one."""
    elements = as_list(target)
    if elements is None:
        return None
    texts = [element if isinstance(element, str) else _json(element) for element in elements]
    return list({element.lower(): element for element in texts}.values())


def _json(element: object) -> str:
    """Return an element of a list as compact JSON."""
    return (as_text([element]) or "[null]")[1:-1]


def _lowered_set(target: object) -> frozenset[str]:
    # An object counts as the list of its keys, exactly as they are written.
    keys = as_object(target)
    if keys is not None:
        return frozenset(keys)
    return frozenset(element.lower() for element in _elements(target) or ())


def _exact_set(target: object) -> frozenset[str]:
    return frozenset(_elements(target) or ())


def _lowered(target: object) -> tuple[str, ...]:
    return tuple(element.lower() for element in _elements(target) or ())


def _is_in_lowered_set(value: object, target: AbstractSet[str]) -> bool:
    if value.__class__ is str:
        return value.lower() in target
    return (as_text(value) or "").lower() in target


def _is_in_exact_set(value: object, target: AbstractSet[str]) -> bool:
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


def _compile_pattern(target: object) -> Callable[[str], bool] | None:
    from asyncsdk._rules.patterns.matcher import compile_pattern  # noqa: PLC0415 -- see `load_patterns`

    return compile_pattern(target)


def _matches(value: object, target: Callable[[str], bool] | None) -> bool:
    subject = as_text(value)
    return subject is not None and target is not None and target(subject)


# Equality: the type of the target decides how it is compared; a prepared target is itself the test.


def _equality(target: object) -> Callable[[object], bool]:
    if isinstance(target, bool):
        return lambda value: value is target
    if isinstance(target, (int, float)):
        return _same_number(as_number(target))
    if isinstance(target, str):
        return lambda value: as_text(value) == target
    elements, keys = as_list(target), as_object(target)
    if elements is not None:
        return _same_elements(elements)
    if keys is not None:
        wanted = {key: as_text(item) for key, item in keys.items()}
        return lambda value: _text_by_key(value) == wanted
    return lambda value: value is None


def _same_elements(target: Sequence[object]) -> Callable[[object], bool]:
    """Return the test for a list; of the target's elements that differ only in case, the last one counts."""
    texts = (element if isinstance(element, str) else _json(element) for element in target)
    wanted = {text.lower(): (position, text) for position, text in enumerate(texts)}.values()

    def test(value: object) -> bool:
        found = _texts(value)
        if found is None or len(found) != len(wanted):
            return False
        return all(position < len(found) and found[position] == text for position, text in wanted)

    return test


def _same_number(target: float | None) -> Callable[[object], bool]:
    return lambda value: target is not None and as_number(value) == target


def _texts(value: object) -> list[str | None] | None:
    elements = as_list(value)
    return None if elements is None else [as_text(element) for element in elements]


def _text_by_key(value: object) -> dict[str, str | None] | None:
    keys = as_object(value)
    return None if keys is None else {key: as_text(item) for key, item in keys.items()}


# Time: compared in milliseconds since 1970; the user's value may be in seconds.


def _target_instant(target: object) -> int | None:
    """Return a target in milliseconds; a number counts as milliseconds, even a small one."""
    found = as_instant(target, bounded=False)
    if found is None:
        amount = as_number(target)
        found = int(amount) if amount is not None and abs(amount) < float("inf") else None
    return found


def _user_instant(value: object) -> int | None:
    """Return a user's value in milliseconds; a small number counts as seconds."""
    found = as_instant(value)
    if found is None:
        found = as_integer(value)
    return found * 1000 if found is not None and abs(found) < _SECONDS_LIMIT else found


def _temporal(compare: Callable[[int, int], bool]) -> Operator:
    def test(value: object, target: int | None) -> bool:
        left = _user_instant(value)
        return left is not None and target is not None and compare(left, target)

    return Operator(_target_instant, test)


def _day(time_ms: int) -> int:
    """Return the day in UTC. Truncates towards 0, as Statsig's package does: 1969-12-31 counts as 1970-01-01."""
    return time_ms // _DAY_MS if time_ms >= 0 else -(-time_ms // _DAY_MS)


# Lists: both sides must be lists, or all four operators are false.


def _listed_set(target: object) -> frozenset[str] | None:
    return None if as_list(target) is None else _exact_set(target)


def _lists(compare: Callable[[set[str], AbstractSet[str]], bool]) -> Operator:
    def test(value: object, target: AbstractSet[str] | None) -> bool:
        elements = as_list(value)
        if elements is None or target is None:
            return False
        return compare({as_text(element) or "" for element in elements}, target)

    return Operator(_listed_set, test)


# ID lists: known to the compiler alone (`condition_code.id_list_test`), because they change while a ruleset is in use.
# What `prepare` returns has no members; a caller that has the list passes its test instead.


def _in_no_list(_: str) -> bool:
    return False


def _in_list(value: object, contains: Callable[[str], bool]) -> bool:
    unit = as_text(value)
    return unit is not None and contains(unit)


_ANY = Operator(_lowered_set, _is_in_lowered_set)
_ANY_CASE_SENSITIVE = Operator(_exact_set, _is_in_exact_set)
_CONTAINS = Operator(_lowered, _contains)
_EQUAL = Operator(_equality, lambda value, target: target(value))
_IN_LIST = Operator(lambda _: _in_no_list, _in_list)

_MAX_AT_ONCE = 1_000
"""Elements of a list that are prepared in one step."""
_MAX_COMPARED = 10_000
"""Elements of a list that a lookup has to compare one after the other."""


def target_of(operator: Operator, condition: Condition) -> Any:
    """Return a condition's target as its operator takes it."""
    return operator.prepare(condition.target) if condition.prepared is None else condition.prepared[0]


def prepare_in_steps(operator: Operator, target: Any) -> Generator[None, None, Any]:
    """Prepare a target of any length, as `operator.prepare` does, yielding between steps.

    Raises:
        TooLargeError: Its test would take long for each lookup.
    """
    elements, keys = as_list(target), as_object(target)
    if len(elements or keys or ()) <= _MAX_AT_ONCE:
        return operator.prepare(target)
    if operator.prepare not in (_lowered_set, _exact_set, _listed_set):
        if len(elements or keys or ()) > _MAX_COMPARED:
            msg = f"a condition compares more than {_MAX_COMPARED:,} values"
            raise TooLargeError(msg)
        return operator.prepare(target)
    if elements is None:
        return operator.prepare(None) if operator.prepare is not _lowered_set else (keys or {}).keys()
    spelling: dict[str, str] = {}
    for number, element in enumerate(elements, 1):
        text = element if isinstance(element, str) else _json(element)
        spelling[text.lower()] = text
        if number % _MAX_AT_ONCE == 0:
            yield
    if operator.prepare is _lowered_set:
        return spelling.keys()
    exact: dict[str, None] = {}
    for number, text in enumerate(spelling.values(), 1):
        exact[text] = None
        if number % _MAX_AT_ONCE == 0:
            yield
    return exact.keys()


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
    "str_matches": Operator(_compile_pattern, _matches),
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
