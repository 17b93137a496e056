"""Compile one condition to an expression of generated code.

A condition has a user's side (`conditions.source_of` fetches the value), an operator and a target. In general the code
is `T(value, V)`: the operator's test, given the fetched value and the target as the operator prepared it. For example

    {"type": "user_field", "field": "email", "operator": "any", "targetValue": ["a@b.c"]}
    T1((u._email or F0(u)), V2)

reads a non-empty email straight from the user, and calls the fetcher `F0`, which knows all the other places, only if
there is none: that saves a call for the most common fields. Two kinds of conditions skip the operator as well:

1. **Buckets** (`user_bucket`): `B0(u) < P1` or `B0(u) in V1`, a comparison of ints without a call of the test.
2. **ID lists**: `V1(value)` asks the list itself, because lists change while a ruleset is in use.

Conditions on gates and experiments are not compiled here but in `rules`: they need the linker.
"""

from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import Any

from asyncsdk._rules.compiler.codegen import ConditionCode, int_if_whole
from asyncsdk._rules.language.buckets import id_list_key
from asyncsdk._rules.language.conditions import ConditionSource, source_of
from asyncsdk._rules.language.operators import OPERATORS, Operator, target_of
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import Condition
from asyncsdk._rules.language.values import as_number, as_text

_BUCKETS = 1000
_SYMBOLS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_MEMBERSHIPS = {"any": "in", "none": "not in"}
# Relative costs, by which a rule's conditions are sorted: reading an attribute, calling a fetcher, hashing,
# matching a pattern.
_ATTRIBUTE_COST, _FETCHER_COST, _HASH_COST, _PATTERN_COST = 1, 2, 3, 4
ALWAYS = "True"
ID_LIST_OPERATORS = {"in_segment_list": "", "not_in_segment_list": "not "}


def compile_condition(
    condition: Condition, shared_context: SharedContext, name: str = ""
) -> tuple[ConditionCode | None, bool]:
    """Compile a condition that depends on no other gate or experiment.

    Args:
        condition: The condition.
        shared_context: What is the same for all users.
        name: The spec that has the condition, for reports, such as `gate new_page`.

    Returns:
        The code, None if the condition's type or operator is unknown; and whether it depends on nothing but the user.
    """
    source, operator = source_of(condition, shared_context), OPERATORS.get(condition.operator or "")
    if source is None or operator is None:
        return None, True
    if condition.type == "user_bucket":
        code = _bucket_code(condition, source)
        if code is not None:
            return code, True
    if condition.operator in ID_LIST_OPERATORS:
        return _id_list_code(condition, source, shared_context), False
    target = prepare_target(operator, condition, shared_context, name)
    constants = (("F", source.fetch), ("T", operator.test), ("V", target))
    value, cost = _value_template(source)
    # Last, because an unsupported pattern ends the evaluation: where another condition fails, it does not matter.
    cost = _PATTERN_COST if _is_pattern(condition, target) else cost
    return ConditionCode(f"{{1}}({value}, {{2}})", constants, cost), source.is_steady


def prepare_target(operator: Operator, condition: Condition, shared_context: SharedContext, name: str) -> Any:
    """Return a condition's target as its operator takes it. What is wrong with a pattern is reported under `name`."""
    target = target_of(operator, condition)
    if not _is_pattern(condition, target):
        return target
    return target.reporting_to(partial(shared_context.report_pattern, name))


def _is_pattern(condition: Condition, target: object) -> bool:
    """Return whether a prepared target is a `Matcher`, whose module is not imported before the first pattern."""
    return condition.operator == "str_matches" and target is not None


def _value_template(source: ConditionSource) -> tuple[str, int]:
    """Return an expression of the user's value, in which `{0}` is the fetcher, and its relative cost."""
    if source.attribute is None:
        return "{0}(u)", _FETCHER_COST
    return f"(u.{source.attribute} or {{0}}(u))", _ATTRIBUTE_COST


def _id_list_code(condition: Condition, source: ConditionSource, shared_context: SharedContext) -> ConditionCode:
    """Compile a test of an ID list. It needs no operator: the list's test converts units to text by itself."""
    contains = id_list_test(condition.target, shared_context.id_lists)
    negation, (value, _) = ID_LIST_OPERATORS[condition.operator or ""], _value_template(source)
    return ConditionCode(f"{negation}{{1}}({value})", (("F", source.fetch), ("V", contains)), _HASH_COST)


def _bucket_code(condition: Condition, source: ConditionSource) -> ConditionCode | None:
    """Compile a bucket condition to a comparison of ints; None if the operator or the target allows none.

    Hashing takes most of the time; this saves the call of the operator's test and its conversions.
    """
    # 1. lt, lte, gt, gte with a number. Every bucket is below 1,000, so a group of all users needs no hash.
    symbol, amount = _SYMBOLS.get(condition.operator or ""), as_number(condition.target)
    if symbol is not None and amount is not None:
        if symbol == "<" and amount >= _BUCKETS:
            return ConditionCode(ALWAYS)
        constants = (("B", source.fetch), ("P", int_if_whole(amount)))
        return ConditionCode(f"{{0}}(u) {symbol} {{1}}", constants, _HASH_COST)
    # 2. any, none with a list. Operators compare texts, so that "007" is not a bucket and left out.
    word = _MEMBERSHIPS.get(condition.operator or "")
    if word is None or not isinstance(condition.target, (list, dict)):
        return None
    texts = target_of(OPERATORS["any"], condition)
    buckets = frozenset(int(bucket) for bucket in _BUCKET_TEXTS if bucket in texts)
    return ConditionCode(f"{{0}}(u) {word} {{1}}", (("B", source.fetch), ("V", buckets)), _HASH_COST)


_BUCKET_TEXTS = frozenset(map(str, range(_BUCKETS)))


def id_list_test(name: Any, id_lists: Mapping[str, Container[bytes]]) -> Callable[[object], bool]:
    """Return the test whether a unit id is on an ID list.

    The list is looked up for each test, because a refresh may replace or extend it. A list that is absent is empty.
    """
    if not isinstance(name, str):
        return lambda _: False

    def contains(value: object) -> bool:
        entries = id_lists.get(name)
        unit = value if value.__class__ is str else as_text(value)
        return entries is not None and unit is not None and id_list_key(unit) in entries

    return contains
