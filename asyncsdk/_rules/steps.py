"""A condition as a step of generated source: what it compares, prepared as far as can be."""

from collections.abc import Callable, Container, Mapping
from typing import Any

from asyncsdk._rules.buckets import list_entry
from asyncsdk._rules.codegen import Test
from asyncsdk._rules.conditions import SOURCES, Source
from asyncsdk._rules.operators import OPERATORS
from asyncsdk._rules.specs import Condition
from asyncsdk._rules.surroundings import Surroundings
from asyncsdk._rules.values import number

_BUCKETS = 1000
_SYMBOLS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_MEMBERSHIPS = {"any": "in", "none": "not in"}
ALWAYS = "True"
LIST_OPERATORS = frozenset({"in_segment_list", "not_in_segment_list"})


def step(condition: Condition, surroundings: Surroundings) -> tuple[Test | None, bool]:
    """Turn a condition into an expression.

    Returns:
        The test, None when its type or operator is unknown; and whether it depends on nothing but the user.
    """
    make_source, operator = SOURCES.get(condition.type or ""), OPERATORS.get(condition.operator or "")
    if make_source is None or operator is None:
        return None, True
    source = make_source(condition, surroundings)
    if condition.type == "user_bucket":
        test = _of_bucket(condition, source)
        if test is not None:
            return test, True
    target = operator.prepare(condition.target)
    is_steady = source.is_steady
    if condition.operator in LIST_OPERATORS:
        target, is_steady = members(condition.target, surroundings.id_lists), False
    constants = (("T", operator.test), ("V", target), ("F", source.fetch))
    if source.attribute is not None:
        return Test(f"{{0}}(u.{source.attribute} or {{2}}(u), {{1}})", constants), is_steady
    return Test("{0}({2}(u), {1})", constants, price=2), is_steady


def _of_bucket(condition: Condition, source: Source) -> Test | None:
    """Compare a bucket in place where the target is a number or a list: hashing is dear, the rest need not be."""
    symbol, amount = _SYMBOLS.get(condition.operator or ""), number(condition.target)
    if symbol is not None and amount is not None:
        if symbol == "<" and amount >= _BUCKETS:
            return Test(ALWAYS)
        return Test(f"{{0}}(u) {symbol} {amount!r}", (("B", source.fetch),), price=3) if abs(amount) < 1e300 else None
    word = _MEMBERSHIPS.get(condition.operator or "")
    if word is None or not isinstance(condition.target, (list, dict)):
        return None
    texts: frozenset[str] = OPERATORS["any"].prepare(condition.target)
    buckets = frozenset(int(element) for element in texts if element in _BUCKET_TEXTS)
    return Test(f"{{0}}(u) {word} {{1}}", (("B", source.fetch), ("V", buckets)), price=3)


_BUCKET_TEXTS = frozenset(map(str, range(_BUCKETS)))


def members(name: Any, id_lists: Mapping[str, Container[str]]) -> Callable[[str], bool]:
    """Make the test whether a unit id is on an ID list; the list is looked up each time, for it may grow."""

    def contains(unit: str) -> bool:
        entries = id_lists.get(name) if isinstance(name, str) else None
        return entries is not None and list_entry(unit) in entries

    return contains
