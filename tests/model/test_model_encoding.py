"""Encoding of a caller's values as JSON."""

import enum
import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.encoding import MAX_LEVELS, to_json
from asyncsdk.errors import InvalidEventError


class Point(NamedTuple):
    x: int
    y: int


class Text(str):
    """A kind of text."""

    __slots__ = ()


class Number(float):
    """A kind of number, as numpy's are."""


class Count(int):
    """A kind of whole number."""


class RowId(UUID):
    """A kind of UUID, as asyncpg's are."""


class Plan(enum.Enum):
    FREE = "free"
    PRECIOUS = 2**70


class Tier(enum.StrEnum):
    GOLD = "gold"


@dataclass
class Box:
    width: int
    price: Decimal


class FarAway(tzinfo):
    """A time zone class that orjson does not know."""

    def __repr__(self) -> str:
        return "FarAway()"

    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, _: datetime | None) -> None:
        return None


WRITTEN_AS: list[tuple[Any, Any]] = [
    (math.nan, None),
    (math.inf, None),
    (-math.inf, None),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
    (datetime.fromisoformat("2026-01-02T03:04:05.000678"), "2026-01-02T03:04:05.000678Z"),
    (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-5))), "2026-01-02T00:00:00-05:00"),
    (datetime(2026, 1, 2, tzinfo=FarAway()), "2026-01-02T00:00:00+01:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(3, 4, 5), "03:04:05"),
    (time(3, 4, 5, tzinfo=UTC), "03:04:05+00:00"),
    (timedelta(minutes=1, milliseconds=500), 60.5),
    (Decimal("19.95"), 19.95),
    (Decimal("NaN"), None),
    (Decimal("sNaN"), None),
    (Decimal("-Infinity"), None),
    (Decimal("1e400"), None),
    (Fraction(1, 4), 0.25),
    (Number(1.5), 1.5),
    (Count(7), 7),
    (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (RowId(int=5), "00000000-0000-0000-0000-000000000005"),
    (PurePosixPath("/a/b"), "/a/b"),
    (Text("abc"), "abc"),
    (Plan.FREE, "free"),
    (Plan.PRECIOUS, str(2**70)),
    (Tier.GOLD, "gold"),
    (Box(2, Decimal("1.5")), {"width": 2, "price": 1.5}),
    (Box(2**70, Decimal(1)), {"width": str(2**70), "price": 1.0}),
    (Point(1, 2), [1, 2]),
    ((1, "a"), [1, "a"]),
    ({"b", "a"}, ["a", "b"]),
    (frozenset({2, "1"}), ["1", 2]),
    (deque([1, 2]), [1, 2]),
    (range(3), [0, 1, 2]),
    (OrderedDict(a=1), {"a": 1}),
    (MappingProxyType({"a": {1}}), {"a": [1]}),
    (b"caf\xc3\xa9", "café"),
    (bytearray(b"abc"), "abc"),
    (2**64 - 1, 2**64 - 1),
    (-(2**63), -(2**63)),
    (2**64, "18446744073709551616"),
    (-(2**63) - 1, "-9223372036854775809"),
    ("a\ud800b", "a\ufffdb"),
    ("\ud83d\ude00", "😀"),
    ({1: "a", None: "c", 1.5: "d"}, {"1": "a", "null": "c", "1.5": "d"}),
    ({False: 0, 2**70: 1, math.inf: 2, Count(7): 3, Number(2.5): 4}, {
        "false": 0, "1180591620717411303424": 1, "null": 2, "7": 3, "2.5": 4,
    }),
    ({"\ud800": 1}, {"\ufffd": 1}),
    ({Tier.GOLD: 1}, {"gold": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "written"), WRITTEN_AS, ids=ascii)
def test_a_value_is_encoded_as_documented(value: object, written: object) -> None:
    assert orjson.loads(to_json({"value": value})) == {"value": written}


@pytest.mark.parametrize(("value", "written"), WRITTEN_AS, ids=ascii)
def test_a_value_is_encoded_the_same_beside_one_that_needs_the_second_pass(value: object, written: object) -> None:
    assert orjson.loads(to_json({"value": [value], "odd": 2**70})) == {"value": [written], "odd": str(2**70)}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "`event['a'][1]` is an object, which has no form in JSON: convert it first"),
        (1j, "`event['a'][1]` is a complex, which has no form in JSON: convert it first"),
        (b"\xff", "`event['a'][1]` is a bytes, which has no form in JSON: convert it first"),
        (lambda: 1, "`event['a'][1]` is a function, which has no form in JSON: convert it first"),
        ({(1, 2): 3}, "a key of `event['a'][1]` is a tuple: keys are text"),
        ({UUID(int=1): 3}, "a key of `event['a'][1]` is a UUID: keys are text"),
        (10**5000, "a number in `event['a'][1]` has more digits than Python converts"),
        ({10**5000: 1}, "a number in `event['a'][1]` has more digits than Python converts"),
        ({"deep": {object()}}, "`event['a'][1]['deep'][0]` is an object, which has no form in JSON: convert it first"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_a_value_without_a_json_form_is_refused_with_its_path(value: object, message: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        to_json({"a": [1, value]})

    assert str(caught.value) == message


def test_a_refusal_never_shows_the_value() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "my password"

    with pytest.raises(InvalidEventError) as caught:
        to_json({"a": Odd()})

    assert "password" not in str(caught.value)


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("bottom", [1, 2**70])
def test_the_maximum_number_of_levels_is_encoded(bottom: int) -> None:
    value = [nested(MAX_LEVELS - 1), bottom]

    assert to_json(value).startswith(b"[[[[")


def test_more_levels_are_refused() -> None:
    with pytest.raises(InvalidEventError, match=r"`event` has a cycle, or more than 254 levels"):
        to_json(nested(MAX_LEVELS + 1))


def test_a_cycle_is_refused_at_once_however_often_it_branches() -> None:
    value: dict[str, Any] = {}
    value.update(a=value, b=value, c=[value, value])

    with pytest.raises(InvalidEventError, match=r"`traits` has a cycle"):
        to_json(value, "traits")


def test_a_value_is_not_changed() -> None:
    value = {"a": {1, 2}, "b": {3: [b"x", 2**70]}}

    to_json(value)

    assert value == {"a": {1, 2}, "b": {3: [b"x", 2**70]}}


scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
json_values = st.recursive(
    scalars | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(json_values)
def test_json_values_survive_encoding_and_decoding(value: Any) -> None:
    assert orjson.loads(to_json(value)) == value


@given(st.dictionaries(st.text(), st.sampled_from([value for value, _ in WRITTEN_AS]) | json_values))
def test_documented_values_in_any_combination_become_json(value: Any) -> None:
    assert isinstance(orjson.loads(to_json(value)), dict)
