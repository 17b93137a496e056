"""A condition as a step of generated source: what it compares, prepared as far as can be."""

from collections.abc import Callable, Container, Mapping
from typing import Any

from asyncsdk._rules.compiler.codegen import ConditionCode, int_if_whole
from asyncsdk._rules.language.buckets import id_list_entry
from asyncsdk._rules.language.conditions import ConditionSource, source_of
from asyncsdk._rules.language.operators import OPERATORS
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import Condition
from asyncsdk._rules.language.values import as_number, as_text

_BUCKETS = 1000
_SYMBOLS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_MEMBERSHIPS = {"any": "in", "none": "not in"}
ALWAYS = "True"
ID_LIST_OPERATORS = {"in_segment_list": "", "not_in_segment_list": "not "}


def compile_condition(condition: Condition, shared_context: SharedContext) -> tuple[ConditionCode | None, bool]:
    """Turn a condition into an expression.

    Returns:
        The test, None when its type or operator is unknown; and whether it depends on nothing but the user.
    """
    source, operator = source_of(condition, shared_context), OPERATORS.get(condition.operator or "")
    if source is None or operator is None:
        return None, True
    if condition.type == "user_bucket":
        test = _of_bucket(condition, source)
        if test is not None:
            return test, True
    if condition.operator in ID_LIST_OPERATORS:
        return _of_list(condition, source, shared_context), False
    constants = (("F", source.fetch), ("T", operator.test), ("V", operator.prepare(condition.target)))
    value, price = _value(source)
    return ConditionCode(f"{{1}}({value}, {{2}})", constants, price), source.is_steady


def _value(source: ConditionSource) -> tuple[str, int]:
    """Write the user's side, `{0}` being what fetches it; and say how dear it is."""
    return ("{0}(u)", 2) if source.attribute is None else (f"(u.{source.attribute} or {{0}}(u))", 1)


def _of_list(condition: Condition, source: ConditionSource, shared_context: SharedContext) -> ConditionCode:
    """Look into an ID list without the operator between, which makes texts of units as `id_list_test` does."""
    contains = id_list_test(condition.target, shared_context.id_lists)
    negation, (value, _) = ID_LIST_OPERATORS[condition.operator or ""], _value(source)
    return ConditionCode(f"{negation}{{1}}({value})", (("F", source.fetch), ("V", contains)), price=3)


def _of_bucket(condition: Condition, source: ConditionSource) -> ConditionCode | None:
    """Compare a bucket in place where the target is a number or a list: hashing is dear, the rest need not be."""
    symbol, amount = _SYMBOLS.get(condition.operator or ""), as_number(condition.target)
    if symbol is not None and amount is not None:
        if symbol == "<" and amount >= _BUCKETS:
            return ConditionCode(ALWAYS)
        return ConditionCode(f"{{0}}(u) {symbol} {{1}}", (("B", source.fetch), ("P", int_if_whole(amount))), price=3)
    word = _MEMBERSHIPS.get(condition.operator or "")
    if word is None or not isinstance(condition.target, (list, dict)):
        return None
    texts: frozenset[str] = OPERATORS["any"].prepare(condition.target)
    buckets = frozenset(int(element) for element in texts if element in _BUCKET_TEXTS)
    return ConditionCode(f"{{0}}(u) {word} {{1}}", (("B", source.fetch), ("V", buckets)), price=3)


_BUCKET_TEXTS = frozenset(map(str, range(_BUCKETS)))


def id_list_test(name: Any, id_lists: Mapping[str, Container[str]]) -> Callable[[object], bool]:
    """Make the test whether a unit id is on an ID list; the list is looked up each time, for it may grow."""
    if not isinstance(name, str):
        return lambda _: False

    def contains(value: object) -> bool:
        entries = id_lists.get(name)
        unit = value if value.__class__ is str else as_text(value)
        return entries is not None and unit is not None and id_list_entry(unit) in entries

    return contains
