"""Values, operators, hashes and countries of the ruleset language."""

from base64 import b64decode
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._rules.language.buckets import bucketer, djb2, id_list_key, sha256_name
from asyncsdk._rules.language.country import Countries
from asyncsdk._rules.language.operators import OPERATORS
from asyncsdk._rules.language.values import as_instant, as_integer, as_number, as_text

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    BIG = 10


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, "true"),
        (False, "false"),
        (9, "9"),
        (9.0, "9"),
        (-1, "-1"),
        (10.5, "10.5"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (2**53 + 1, "9007199254740992"),
        (10**400, None),
        ("a", "a"),
        (["a", 1, True], '["a",1,true]'),
        (("a",), '["a"]'),
        ([{1, 2}], None),
        ({}, None),
        ({1}, None),
        (Colour.RED, "red"),
        (Size.BIG, "10"),
    ],
)
def test_text_is_plain_decimals_and_compact_json(value: object, expected: str | None) -> None:
    assert as_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10", 10.0),
        ("+1e1", 10.0),
        (".5", 0.5),
        ("inf", float("inf")),
        (" 1", None),
        ("1_0", None),
        ("0x1", None),
        (True, None),
        (3, 3.0),
        (Size.BIG, 10.0),
        (None, None),
        (10**400, None),
        ([1], None),
    ],
)
def test_number_accepts_plain_literals_but_no_bools(value: object, expected: float | None) -> None:
    assert as_number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("10", 10), ("10.0", None), (10.0, 10), (10.5, None), (True, None), (2**70, None), (Size.BIG, 10), ({}, None)],
)
def test_integer_is_whole_and_fits_64_bits(value: object, expected: int | None) -> None:
    assert as_integer(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1688231400000", 1688231400000),
        ("2023-07-01T17:10:00Z", 1688231400000),
        ("2023-07-01 17:10:00", 1688231400000),
        ("2023-07-01t17:10:00z", 1688231400000),
        ("2023-07-01T17:10:00.000Z", None),
        ("2023-07-01T19:10:00+02:00", None),
        ("2023-07-01", None),
        ("2023-13-01T17:10:00Z", None),
        ("short", None),
        (1688231400000, None),
    ],
)
def test_a_users_instant_is_a_whole_number_or_a_short_date(value: object, expected: int | None) -> None:
    assert as_instant(value) == expected


def test_a_target_instant_may_be_longer() -> None:
    assert as_instant("2023-07-01T17:10:00.500Z", bounded=False) == 1688231400500
    assert as_instant("2023-07-01T19:10:00+02:00", bounded=False) == 1688231400000


CASES: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("gt", 10, [10.5, "11", 11], [10, "abc", None, True]),
    ("gte", "10", [10, "10"], [9, ["10"]]),
    ("lt", 9.5, [9, "-1"], [10, None]),
    ("lte", 10, [10], [10.5]),
    ("gt", "abc", [], [1, "abc"]),
    ("gt", 2**53, [2**53 + 2], [2**53 + 1, 2**53]),
    ("gte", 2**53 + 3, [2**53 + 3, 2**53 + 4], [2**53 + 2]),
    ("lt", 2**53 + 3, [2**53 + 2], [2**53 + 3, 2**53 + 4]),
    ("lte", 2**53 + 1, [2**53, 2**53 + 1], [2**53 + 2]),
    ("lt", 10**400, [], [1, 10**400, None]),
    ("version_gt", "1.2.3", ["1.2.4", "1.10", "2", "1.2.4-beta"], ["1.2.3", "1.2", "1.2.x", None, "v2"]),
    ("version_gte", "1.2", ["1.2.0", "1.2"], ["1.1.9"]),
    ("version_lt", "1.10", ["1.9", " 1.2 "], ["1.10.1", "1.x"]),
    ("version_lte", "1.2.3-beta", ["1.2.3"], ["1.2.4"]),
    ("version_eq", "1.2", ["1.2.0", "1.2-rc", 1.2], ["1.2.1", True]),
    ("version_neq", "1.2", ["1.3"], ["1.2", "a.b", "1.2.x", None]),
    ("version_eq", 1.2, [], ["1.2", 1.2]),
    ("version_lt", "a.b", [], ["1"]),
    ("any", ["a", "B", "", 2, None], ["A", "b", None, 2, "NULL"], ["c", 3, ["a"]]),
    ("any", {"abc": 1}, ["ABC"], ["b"]),
    ("any", "abc", [], ["abc"]),
    ("none", ["a"], [None, "b", []], ["A"]),
    ("any_case_sensitive", ["A", "a"], ["a"], ["A", None]),
    ("none_case_sensitive", ["a"], ["A"], ["a"]),
    ("str_starts_with_any", ["Ab"], ["abc", "ABC"], ["cab", None]),
    ("str_ends_with_any", ["bc"], ["aBC"], ["bcd"]),
    ("str_contains_any", ["b"], ["aBc", ["b"]], ["x", None]),
    ("str_contains_any", [""], [None], []),
    ("str_contains_none", ["b"], ["x", None], ["abc"]),
    ("str_matches", "^a.*z$", ["abcz"], ["xaz", None, "az\n"]),
    ("str_matches", "[", [], ["["]),
    ("str_matches", None, [], ["a"]),
    ("eq", "1", ["1", 1, 1.0], [True, None]),
    ("eq", 1, ["1", 1.0], [True, "a"]),
    ("eq", 2**53 + 1, [2**53, 2**53 + 1, float(2**53)], [2**53 + 2]),
    ("eq", 10**400, [], [1, 10**400, None]),
    ("eq", True, [True], ["true", 1]),
    ("eq", None, [None], ["", 0]),
    ("eq", ["a", 1], [["a", 1], ["a", "1"]], [["a"], "a"]),
    ("eq", {"a": 1}, [{"a": 1}, {"a": "1"}], [{"b": 1}, "a"]),
    ("neq", "a", ["b", None], ["a"]),
    ("before", 1688231400000, [1688231399, "2023-07-01T17:09:59Z", -1], [1688231400, None, "x", True]),
    ("after", "2023-07-01T17:10:00Z", [1688231401, "1688231400001"], [1688231400000]),
    ("on", 1688231400000, ["2023-07-01 00:00:00"], ["2023-07-02 00:00:00"]),
    ("on", -10, [1], [-86_400_000_000]),
    ("before", "soon", [], [1]),
    ("before", "inf", [], [1]),
    ("in_segment_list", "anything", [], ["a", None]),
    ("not_in_segment_list", "anything", ["a", None], []),
    ("array_contains_any", ["1", "2"], [[1], ["2", 3]], [["3"], "1", None]),
    ("array_contains_none", ["1"], [["2"], []], [["1"], "2"]),
    ("array_contains_all", ["1", "2"], [[1, 2, 3]], [["1"], None]),
    ("not_array_contains_all", ["1", "2"], [["1"], [None]], [[1, 2], "1"]),
    ("array_contains_any", "1", [], [["1"]]),
]


@pytest.mark.parametrize(("name", "target", "holds", "fails"), CASES)
def test_an_operator_holds_and_fails_as_listed(name: str, target: Any, holds: list[Any], fails: list[Any]) -> None:
    operator = OPERATORS[name]
    prepared = operator.prepare(target)

    assert [value for value in holds if not operator.test(value, prepared)] == []
    assert [value for value in fails if operator.test(value, prepared)] == []


@pytest.mark.parametrize("target", ["inf", "-inf", "nan"])
@pytest.mark.parametrize("name", ["before", "after", "on"])
def test_a_target_that_is_not_an_instant_is_neither_before_nor_after(name: str, target: str) -> None:
    operator = OPERATORS[name]

    assert not operator.test(1, operator.prepare(target))


def test_an_instant_beyond_64_bits_is_valid_only_as_a_target() -> None:
    operator = OPERATORS["before"]

    assert operator.test(2**63 - 1, operator.prepare(2**63))
    assert not operator.test(2**63, operator.prepare(2**63 + 2**60))


def test_a_list_equals_a_target_without_doubles() -> None:
    equal = OPERATORS["eq"]
    target = equal.prepare(["b", "A", "a"])

    assert [equal.test(value, target) for value in (["b", "A"], ["b", "a"], ["b", "A", "a"])] == [False] * 3
    assert equal.test(["b", "a"], equal.prepare(["B", "b", "a"])) is False
    assert equal.test(["b", "A"], equal.prepare(["b", "A"])) is True


def test_every_operator_has_a_case() -> None:
    assert {name for name, *_ in CASES} == set(OPERATORS)


@given(st.sampled_from(sorted(OPERATORS)), json, json)
def test_no_value_or_target_breaks_an_operator(name: str, target: object, value: object) -> None:
    operator = OPERATORS[name]

    assert operator.test(value, operator.prepare(target)) in (True, False)


@pytest.mark.parametrize(("version", "is_equal"), [("0" * 40 + "7", True), ("7" * 40, False)])
def test_a_long_part_of_a_version_counts_without_its_leading_zeros(version: str, is_equal: bool) -> None:
    operator = OPERATORS["version_eq"]

    assert operator.test(version, operator.prepare("7")) is is_equal


def test_the_cache_of_versions_is_bounded() -> None:
    operator = OPERATORS["version_gt"]
    target = operator.prepare("1")

    assert all(operator.test(f"2.{number}", target) for number in range(5_000))
    assert len(target) <= 2_000


def test_hashes_equal_the_vendors() -> None:
    assert bucketer("spec_salt.rule_salt", 10_000)("user_a") == 5725
    assert bucketer("exp_salt", 1000)("user_a") == 829
    assert (djb2("secret-key"), djb2("a"), djb2("")) == (2842331586, 97, 0)
    assert (id_list_key("regular_user_id"), id_list_key("")) == (b64decode("7/rrkvF6"), b64decode("47DEQpj8"))
    assert sha256_name("") == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@given(st.text(st.characters(codec="utf-8"), max_size=90), st.text(st.characters(codec="utf-8")))
def test_a_salt_of_any_length_is_hashed_with_a_dot_before_the_unit(salt: str, unit: str) -> None:
    expected = int.from_bytes(sha256(f"{salt}.{unit}".encode()).digest()[:8], "big") % 1000

    assert bucketer(salt, 1000)(unit) == expected


def test_a_lone_surrogate_can_be_hashed() -> None:
    assert bucketer("s", 10)("\ud800") == bucketer("s", 10)("?")
    assert bucketer("s" * 70, 10)("\ud800") == bucketer("s" * 70, 10)("?")
    assert len(id_list_key("\ud800")) == 6


def test_an_address_has_a_country() -> None:
    countries = Countries()

    assert (countries.find("24.48.0.1"), countries.find("8.8.8.8")) == ("CA", "US")
    assert list(countries.load()) == []


@pytest.mark.parametrize("address", ["255.255.255.255", "0.0.0.0", "1.2.3", "::1", "a.b.c.d", "300.1.1.1", ""])  # noqa: S104
def test_an_impossible_address_has_no_country(address: str) -> None:
    assert Countries().find(address) is None
