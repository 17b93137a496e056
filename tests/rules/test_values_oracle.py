"""Values at the edge of what operators read, compared with statsig-python-core over a matrix."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncsdk._rules.language.country import Countries
from rules.oracle import Oracle, as_core
from rules.rulesets import condition, field, gate, loaded, make_context, rule, ruleset, user

pytestmark = pytest.mark.oracle

INSTANTS = [
    "2023-07-01T17:10:00Z", "2023-07-01T17:10:00.000Z", "2023-07-01T17:10:00+02:00", "2023-07-01t17:10:00z",
    "2023-07-01 17:10:00", "2023-7-1 1:01:01", "23-07-01 1:01:01", "23-07-01", "2023-07-01", "+2023-07-01 1:1:1",
    " 2023-07-01 1:1:1", "2023- 7- 1 1: 1: 1", "2023 -07-01 1:1:1", "2023-07-01 1:1:1 ", "2023-07-01\u30001:1:1",
    "2023-07-01\x1c1:1:1", "2023-07-01\u300001:01:01", "2023-07-0112:00:00", "2023-07-01 01:01:60", "2023-07-01 1:1:61",
    "2023-07-01T01:01:60Z", "2023-07-01T01:01:60.5Z", "0000-01-01 00:00:00", "0000-02-29T00:00:00Z", "-1-1-1 1:1:1",
    "+10000-01-01 00:00:00", "10000-01-01 00:00:00", "+262142-1-1 1:1:1", "+262143-1-1 1:1:1", "-262143-1-1 1:1:1",
    "-262144-1-1 1:1:1", "+000000000000000002023-1-1 1:1:1", "2023-07-01T01:01:01\u221202:00", "2023-07-01T01:01:01-12:60",
    "2023-07-01T01:01:01+24:00", "2023-07-01T01:01:01-23:59", "2023-07-01T1:01:01Z", "2023-02-29 1:1:1", "2024-02-29 1:1:1",
    "1900-01-01T00:00:00.9999Z", "2023-07-01T17:10:00.Z", "2023-07-01T17:10:00.1234567891Z", "2023-07-01T17:10Z",
    "2023-07-01T17:10:00+0200", "20230701", "1688231400", "1688231400000", "1e9", "+5", "\u0662\u0660\u0662\u0663-07-01 1:1:1",
]  # fmt: skip
INSTANT_CHARACTERS = st.text("0123456789-: TtZz+.\u2212\u3000", min_size=1, max_size=26)
LISTS = [[1e21], [1e16], [1e15], [1e-7], [1.5e300, -1e300], ["e+1", 1e22, '"e+'], [0.1], [None, True]]
VERSIONS = [
    f"{2**127 - 1}", f"{2**127}", f"1.{2**127}", "0" * 60 + "1", "1", "+1", "1 . 2", "\x1c1", "\u30001", "1..2", "", "1.2.x",
]  # fmt: skip
VERSION_OPERATORS = ["version_gt", "version_gte", "version_lt", "version_lte", "version_eq", "version_neq"]
OPERATORS = [
    *VERSION_OPERATORS, "gt", "gte", "lt", "lte", "any", "none", "any_case_sensitive", "none_case_sensitive", "eq", "neq",
    "str_starts_with_any", "str_ends_with_any", "str_contains_any", "str_contains_none", "str_matches", "before", "after",
    "array_contains_any", "array_contains_none",
]  # fmt: skip
TARGETS = [0, 1e15, "0", "", "^$", ".", None, [], [""], ["1"], "u", ["u"]]
ADDRESSES = [
    "+8.8.8.8", "8.8.8.-8", "8.-8.8.8", "-8.8.8.8", "++8.8.8.8", "8.8.8.256", "0.8.8.2056", " 8.8.8.8", "8.8.8", "08.8.8.8",
    "0" * 40 + "8.8.8.8", "24.48.-1.1", "0.0.0.-1",
]  # fmt: skip


def compare(conditions: list[Any], people: list[dict[str, Any]]) -> None:
    body = ruleset({f"g{number}": gate(rule("r", [one])) for number, one in enumerate(conditions)})
    oracle, rules = Oracle(body), loaded(body)
    try:
        for number, one in enumerate(conditions):
            for fields in people:
                found = rules.gate(user(fields), f"g{number}").value
                assert found is oracle.client.check_gate(as_core(fields), f"g{number}"), (one, fields)
    finally:
        oracle.close()


def with_values(values: list[Any]) -> list[dict[str, Any]]:
    return [{"userID": "u", "custom": {"s": value}} for value in values]


def test_dates_are_the_instants_of_the_vendors_package() -> None:
    near = [1688231400000, 1688231399999, 1688173261000, 1688173320000, -62167219200000, 253402300800000, 0]
    compare([field("s", how, at) for how in ("before", "after", "on") for at in near], with_values(INSTANTS))
    compare(
        [field("s", how, at) for how in ("before", "after", "on") for at in INSTANTS], with_values([*near, *INSTANTS])
    )


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(INSTANT_CHARACTERS, min_size=20, max_size=40), st.data())
def test_generated_dates_are_read_alike(texts: list[str], data: st.DataObject) -> None:
    mutated = [
        date[:at] + extra + date[at:] for date in INSTANTS for at in [data.draw(st.integers(0, 20))] for extra in " 0"
    ]
    texts = texts + mutated
    compare([field("s", "before", at) for at in texts], with_values([0, 1688231400000]))
    compare([field("s", how, 1688173261000) for how in ("before", "on")], with_values(texts))


def test_numbers_in_lists_are_written_alike() -> None:
    texts = [
        "[1e21]",
        "[1e+21]",
        "[1e16]",
        "[1e15]",
        "[1000000000000000.0]",
        "[1e-7]",
        "[1.5e300,-1e300]",
        '["e+1",1e22,"\\"e+"]',
    ]
    compare(
        [field("s", "eq", one) for one in texts] + [field("s", "any", LISTS[0])], with_values([*LISTS, "1e21", "1e+21"])
    )


def test_version_parts_have_127_bits() -> None:
    compare([field("s", how, target) for how in VERSION_OPERATORS for target in VERSIONS], with_values(VERSIONS))


def test_the_current_time_is_an_instant_only() -> None:
    compare([condition("current_time", how, target) for how in OPERATORS for target in TARGETS], [{"userID": "u"}])


@pytest.mark.parametrize("name", ["user_id", "userID", "userid", "app_version", "email"])
def test_a_user_without_id_has_the_id_that_the_vendor_sees(name: str) -> None:
    people: list[dict[str, Any]] = [{}, {"customIDs": {"c": "x"}}, {"userID": "u"}, {"custom": {"user_id": None}}]
    compare([field(name, how, target) for how in OPERATORS for target in TARGETS], people)


def test_parts_of_an_address_may_have_signs() -> None:
    known = ["US", "CA", "AU", "GB"]
    compare(
        [condition("ip_based", "any", [code], "country") for code in known],
        [{"userID": "u", "ip": ip} for ip in ADDRESSES],
    )
    assert Countries().find("8.8.8.-8") == "US"


def test_an_address_out_of_range_has_no_country() -> None:
    # The package panics.
    rules = loaded(ruleset({"g": gate(rule("r", [condition("ip_based", "eq", None, "country")]))}), make_context())

    assert all(rules.gate(user({"ip": ip}), "g").value for ip in ("300.1.1.1", "8.8.8.99999999999", "255.255.255.255"))


def test_a_whole_number_beyond_64_bits_is_exact_in_a_list() -> None:
    rules = loaded(ruleset({"g": gate(rule("r", [field("s", "eq", "[12345678901234567890]")]))}))

    assert rules.gate(user({"custom": {"s": [12345678901234567890]}}), "g").value is True
