"""The sources of a user's values; no user can break a lookup."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsdk._model.users import User
from asyncsdk._rules.language.operators import OPERATORS
from rules.rulesets import PUBLIC, condition, field, gate, loaded, loaded_gates, make_context, rule, ruleset


def field_equals(name: str | None, user: User, target: Any = "x", **options: Any) -> bool:
    """Whether a condition on the field `name` finds the value `target`."""
    rules = loaded(
        ruleset({"g": gate(rule("r", [condition("user_field", "eq", target, name)]))}), make_context(**options)
    )
    return rules.gate(user, "g").value is True


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("userID", User("x")),
        ("USERID", User("x")),
        ("email", User("1", email="x")),
        ("appVersion", User("1", app_version="x")),
        ("userAgent", User("1", user_agent="x")),
        ("email", User("1", email="", custom={"email": "x"})),
        ("Plan", User("1", custom={"Plan": "x", "plan": "y"})),
        ("Plan", User("1", custom={"plan": "x"})),
        ("plan", User("1", private_attributes={"plan": "x"})),
        ("Plan", User("1", custom={"other": 1}, private_attributes={"plan": "x"})),
        ("user_id", User("x")),
        ("app_version", User("1", app_version="x")),
        ("user_id", User("1", custom={"user_id": "x"})),
    ],
)
def test_the_first_place_with_a_field_wins(name: str, user: User) -> None:
    assert field_equals(name, user)


@pytest.mark.parametrize(
    ("name", "user", "target"),
    [
        ("email", User("1", email=""), None),
        ("plan", User("1", custom={"plan": None}, private_attributes={"plan": "x"}), None),
        (None, User("1"), None),
        ("user_id", User(None), ""),
        ("userID", User(5), "5"),
        ("userID", User(0), "0"),
        ("ip_address", User("1", ip="1.2.3.4"), None),
    ],
)
def test_missing_values_and_numbers(name: str | None, user: User, target: Any) -> None:
    assert field_equals(name, user, target)


@pytest.mark.parametrize(("kind", "name"), [("ip_based", "country"), ("ua_based", "os_name")])
def test_a_stored_null_counts_as_a_value(kind: str, name: str) -> None:
    agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
    rules = loaded(ruleset({"g": gate(rule("r", [condition(kind, "eq", None, name)]))}))
    user = User("1", ip="1.2.3.4", user_agent=agent, custom={name: None})

    assert rules.gate(user, "g").value is True
    assert rules.gate(User("1", ip="1.2.3.4", user_agent=agent), "g").value is False


def test_global_custom_fields_come_after_the_users_own() -> None:
    common = {"plan": "x"}

    assert field_equals("plan", User("1"), global_custom=common)
    assert not field_equals("plan", User("1", custom={"plan": "own"}), global_custom=common)
    assert field_equals("plan", User("1", private_attributes={"plan": "private"}), global_custom=common)


@pytest.mark.parametrize(
    ("id_type", "user", "expected"),
    [
        ("userID", User(None), ""),
        ("userid", User("x"), "x"),
        ("companyID", User("1", custom_ids={"companyID": "x"}), "x"),
        ("companyID", User("1", custom_ids={"companyid": 5}), "5"),
        ("companyID", User("1", custom_ids={"other": 5}), None),
        ("companyID", User("1"), None),
    ],
)
def test_a_condition_selects_the_unit_id(id_type: str, user: User, expected: str | None) -> None:
    rules = loaded_gates(g=gate(rule("r", [condition("unit_id", "eq", expected, idType=id_type)])))

    assert rules.gate(user, "g").value is True


class Hostile:
    """Raises on every attribute and on conversion to text."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError

    def __bool__(self) -> bool:
        return True


cycle: list[Any] = []
cycle.append(cycle)
odd = st.sampled_from(
    [Hostile(), object(), {1, 2}, b"x", cycle, "\ud800", 10**5000, float("nan"), ("a", {"b": cycle}), -(2**70)]
)
values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | odd | st.lists(odd, max_size=2)
fields = values | st.dictionaries(
    st.sampled_from(["plan", "email", "companyID", "tier"]) | st.text(), values, max_size=3
)
OPERANDS = (None, "a", 5, True, [], ["a", 5], {"a": 1})
EVERYTHING = loaded_gates(
    **{
        f"{kind}:{operator}:{place}": gate(
            rule("r", [condition(kind, operator, target, name, idType=id_type)], share=50, idType=id_type)
        )
        for operator in OPERATORS
        for place, target in enumerate(OPERANDS)
        for kind, name, id_type in (
            ("user_field", "email", "userID"),
            ("user_field", "plan", "companyID"),
            ("environment_field", "tier", "userID"),
            ("unit_id", None, "companyID"),
            ("ua_based", "os_name", "userID"),
            ("ip_based", "country", "userID"),
        )
    }
)
NAMES = list(EVERYTHING.names("feature_gates"))


@settings(max_examples=60, deadline=None)
@given(st.lists(fields, min_size=11, max_size=11))
def test_no_user_breaks_a_lookup(given_values: list[Any]) -> None:
    names = [
        "email",
        "ip",
        "user_agent",
        "country",
        "locale",
        "app_version",
        "custom",
        "custom_ids",
        "private_attributes",
        "statsig_environment",
    ]
    user = User(given_values[0], **dict(zip(names, given_values[1:], strict=True)))

    for name in NAMES:
        assert EVERYTHING.gate(user, name).value in (True, False)


def test_a_value_without_a_json_form_is_invalid_where_a_condition_needs_it() -> None:
    rules = loaded_gates(plan=gate(rule("r", [field("plan", "any", ["x"])])), open=gate(rule("r", [PUBLIC])))
    user = User("1", custom={"plan": object()})

    assert (rules.gate(user, "plan").outcome, rules.gate(user, "open").value) == ("InvalidUser", True)


class OddText(str):
    """Text whose class raises wherever Python lets it."""

    __slots__ = ()

    def _raise(self, *_: object) -> Any:
        raise RuntimeError

    __bool__ = __eq__ = __hash__ = __len__ = __str__ = __format__ = lower = encode = _raise  # type: ignore[assignment]


@pytest.mark.parametrize("name", ["userID", "email", "ip", "country", "locale", "appVersion", "userAgent", "user_id"])
@pytest.mark.parametrize("copies", [False, True])
def test_text_of_a_subclass_counts_as_its_text(name: str, copies: bool) -> None:
    attribute = re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name).replace("_i_d", "_id")
    user = User(**{attribute: OddText("x")})

    assert field_equals(name, user.with_defaults(ip="192.0.2.1") if copies else user)


@pytest.mark.parametrize("copies", [False, True])
def test_a_visitors_id_is_derived_when_a_rule_reads_it(copies: bool) -> None:
    rules = loaded_gates(g=gate(rule("r", [condition("unit_id", "eq", "a-1", idType="stableID")])))
    user = User("u").with_defaults(anonymous_id="a-1") if copies else User("u", anonymous_id="a-1")

    assert rules.gate(user, "g").value is True
    assert rules.gate(User("u", anonymous_id="a-2"), "g").value is False


def test_fields_may_be_any_mapping() -> None:
    from types import MappingProxyType

    assert field_equals("plan", User("1", custom=MappingProxyType({"plan": "x"})))
    assert not field_equals("plan", User("1", custom=["plan"]))  # type: ignore[arg-type]
