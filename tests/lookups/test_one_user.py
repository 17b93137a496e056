"""One view of a user: what the wire says, rules, the bootstrap response, sticky keys and exposures see."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules.rulesets import Json, condition, gate, loaded, loaded_gates, make_context, rule, ruleset

from asyncsdk import Rules, User
from asyncsdk._model.events import Track
from asyncsdk._model.exposures import shared_user_fields
from asyncsdk._model.user_view import exposure_unit, own_value, prepare
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.language.conditions import field_fetcher, unit_id_fetcher
from asyncsdk._rules.language.values import as_text
from asyncsdk._rules.sticky import storage_keys
from asyncsdk.vendors.statsig.events import encode

BIG = 800356270543470622
SHARED = make_context()
RULES = loaded_gates(g=gate(rule("r", [condition("public")])))


class Color(Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


def sent(user: User) -> Json:
    """The user in an event for Statsig."""
    chunk = encode(Track(user, "x", {}), 0, shared_user_fields(None, b""))
    assert isinstance(chunk, bytes)
    found: Json = orjson.loads(chunk + b"}")["user"]
    return found


def bootstrapped(user: User) -> Json:
    found: Json = orjson.loads(client_response(client_view(RULES, hash="none"), user, {}))
    return found


ids = st.uuids() | st.integers() | st.integers(2**53, 2**80) | st.sampled_from(["\udcff", Text("x"), "é"])
ids |= st.text().filter(str.isalnum)


@given(ids)
def test_a_user_id_is_one_text_everywhere(unit: Any) -> None:
    user = User(unit)

    body, wire = bootstrapped(user), sent(user)
    texts = {
        unit_id_fetcher("userID")(user),
        field_fetcher("userID", SHARED)(user),
        wire["userID"],
        user.unit_id("userID"),
    }
    texts |= {body["user"]["userID"], body["evaluated_keys"]["userID"], *storage_keys(user)}

    assert {text.removesuffix(":userID") for text in texts} == {wire["userID"]}
    assert exposure_unit(user) == wire["userID"]


@pytest.mark.parametrize("field", ["anonymous_id", "device_id", "custom_ids"])
@given(unit=ids)
def test_the_id_of_a_visitor_is_one_stable_id_everywhere(field: str, unit: Any) -> None:
    user = User(**{field: {"stableID": unit} if field == "custom_ids" else unit})

    body, wire = bootstrapped(user), sent(user)
    texts = {unit_id_fetcher("stableID")(user), wire["customIDs"]["stableID"], user.unit_id("stableID")}
    texts |= {body["user"]["customIDs"]["stableID"], body["evaluated_keys"]["customIDs"]["stableID"]}

    assert {*texts, *(key.removesuffix(":stableID") for key in storage_keys(user))} == {wire["customIDs"]["stableID"]}
    assert exposure_unit(user)[1:] == (("stableID", wire["customIDs"]["stableID"]),)


plain = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text() | st.sampled_from(["\ud800"])
scalars = (
    plain | st.uuids() | st.datetimes(timezones=st.none() | st.just(UTC)) | st.dates() | st.decimals(allow_nan=False)
)
scalars |= st.sampled_from([Color.RED, Text("x")])
values = (
    scalars
    | st.lists(plain, max_size=2)
    | st.dictionaries(st.text(max_size=2), plain, max_size=2)
    | st.sets(st.integers())
)


@pytest.mark.parametrize("where", ["custom", "private_attributes"])
@given(value=values)
def test_a_value_is_what_the_wire_says_to_rules_and_to_the_browser(where: str, value: Any) -> None:
    wire = sent(User("u", custom={"x": value}))["custom"]["x"]
    user = User("u", **{where: {"x": value}})

    prepare(user)
    seen = field_fetcher("x", SHARED)(user)

    assert (seen, as_text(seen)) == (wire, as_text(wire))
    if where == "custom":
        assert bootstrapped(user)["user"]["custom"]["x"] == wire


@pytest.mark.parametrize("field", ["email", "ip", "user_agent", "country", "locale", "app_version"])
@given(value=st.text(min_size=1) | st.sampled_from(["a\udcff", "\udcff", Text("x")]))
def test_a_text_is_what_the_wire_says(field: str, value: str) -> None:
    name = {"user_agent": "userAgent", "app_version": "appVersion"}.get(field, field)
    user = User("u", **{field: value})
    wire = sent(user)[name]

    assert field_fetcher(name, SHARED)(user) == wire == bootstrapped(user)["user"][name]


@given(st.dictionaries(st.integers() | st.booleans() | st.none() | st.text(), st.integers(0, 9), max_size=3))
def test_names_are_what_the_wire_says(fields: dict[Any, int]) -> None:
    user = User("u", custom=fields)
    wire: Mapping[str, Any] = sent(User("u", custom=fields)).get("custom", {})

    prepare(user)

    assert {name: field_fetcher(name, SHARED)(user) for name in wire} == wire


@pytest.mark.parametrize(
    "value",
    [datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), datetime(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5)],  # noqa: DTZ001 -- UTC
)
def test_a_datetime_is_compared_with_times(value: datetime) -> None:
    rules = loaded_gates(
        **{
            name: gate(rule("r", [condition("user_field", name, "2026-02-01T00:00:00Z", "since")]))
            for name in ("before", "after")
        }
    )
    user = User("u", custom={"since": value})

    assert [rules.gate(user, name).value for name in ("before", "after")] == [True, False]


def test_a_time_of_numpy_and_one_of_all_users_are_compared_with_times_too() -> None:
    numpy = pytest.importorskip("numpy")
    conditions = [condition("user_field", "before", "2026-02-01T00:00:00Z", name) for name in ("since", "until")]
    shared = Rules(global_custom={"until": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)}).global_custom
    rules = loaded(ruleset({"g": gate(rule("r", conditions))}), make_context(global_custom=shared))

    assert rules.gate(User("u", custom={"since": numpy.datetime64("2026-01-02T03:04:05.678")}), "g").value
    assert shared == {"until": "2026-01-02T03:04:05.678901Z"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 1, 2), "2026-01-02"),
        (Decimal("2.50"), "2.5"),
        (Color.RED, "red"),
        (BIG**2, str(BIG**2)),
    ],
)
def test_rules_target_values_that_json_has_as_text_or_numbers(value: Any, text: str) -> None:
    rules = loaded_gates(g=gate(rule("r", [condition("user_field", "any", [text], "x")])))

    assert rules.gate(User("u", custom={"x": value}), "g").value


def test_a_set_is_a_list_to_rules() -> None:
    rules = loaded_gates(g=gate(rule("r", [condition("user_field", "array_contains_any", ["b"], "tags")])))

    assert rules.gate(User("u", custom={"tags": {"a", "b"}}), "g").value


@pytest.mark.parametrize("kind", [int, lambda n: UUID(int=n), lambda n: BIG + n])
@pytest.mark.parametrize("field", ["user_id", "anonymous_id", "device_id", "companyID"])
def test_ids_are_spread_over_buckets_as_their_texts_are(kind: Any, field: str) -> None:
    id_type = {"user_id": "userID", "companyID": "companyID"}.get(field, "stableID")
    rules = loaded_gates(g=gate(rule("r", [condition("public")], share=50, idType=id_type)))

    def passes(unit: Any) -> bool:
        user = User(custom_ids={field: unit}) if field == "companyID" else User(**{field: unit})
        return bool(rules.gate(user, "g").value)

    units = [kind(n) for n in range(200)]
    assert [passes(unit) for unit in units] == [passes(str(unit)) for unit in units]
    assert 60 < sum(passes(unit) for unit in units) < 140


def test_whole_numbers_of_numpy_are_ids() -> None:
    numpy = pytest.importorskip("numpy")

    assert User(numpy.int64(BIG)).unit_id("userID") == str(BIG)


def test_a_stable_id_of_custom_ids_comes_before_the_visitors() -> None:
    assert User(device_id="d", anonymous_id="a", custom_ids={"stableID": "own"}).unit_id("stableID") == "own"
    assert User(device_id="d", anonymous_id="a", custom_ids={"stableID": None}).unit_id("stableID") == "d"  # type: ignore[dict-item]
    assert User(device_id=" ", anonymous_id="a").unit_id("stableID") == "a"


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf")])
def test_an_id_that_is_null_in_json_is_no_id(missing: Any) -> None:
    user = User("u", device_id="d", custom_ids={"companyID": missing, "stableID": missing})

    assert (user.unit_id("companyID"), user.unit_id("stableID")) == (None, "d")
    assert sent(user)["customIDs"] == bootstrapped(user)["user"]["customIDs"] == {"stableID": "d"}


def test_a_missing_time_of_pandas_is_null_to_rules() -> None:
    pandas = pytest.importorskip("pandas")
    user = User("u", custom={"x": pandas.NaT})
    prepare(user)

    assert field_fetcher("x", SHARED)(user) is sent(user)["custom"]["x"] is None


class RowId(UUID):
    """A kind of UUID, as asyncpg's are."""


def test_a_kind_of_uuid_is_its_text() -> None:
    user = User(RowId(int=1), custom={"x": RowId(int=1)})

    assert (user.unit_id("userID"), field_fetcher("x", SHARED)(user)) == (str(UUID(int=1)), str(UUID(int=1)))
    assert sent(user) == {"userID": str(UUID(int=1)), "custom": {"x": str(UUID(int=1))}}


def test_a_custom_field_of_all_users_that_is_none_is_empty_text() -> None:
    rules = loaded(
        ruleset({"g": gate(rule("r", [condition("user_field", "eq", "", "x")]))}),
        make_context(global_custom={"x": None}),
    )
    body = orjson.loads(client_response(client_view(rules, hash="none"), User("u"), {}))

    assert (rules.gate(User("u"), "g").value, body["user"]["custom"]) == (True, {"x": ""})
    assert Rules(global_custom={"x": None}).global_custom == {"x": ""}


@pytest.mark.parametrize("custom", [{}, None])
def test_the_response_has_custom_fields_if_the_user_has(custom: Any) -> None:
    assert ("custom" in bootstrapped(User("u", custom=custom))["user"]) is (custom is not None)


def test_a_list_that_changes_after_the_event_is_not_seen_by_rules() -> None:
    tags = ["a"]
    rules = loaded_gates(g=gate(rule("r", [condition("user_field", "array_contains_any", ["b"], "tags")])))
    user = User("u", custom={"tags": tags}, private_attributes={"tags": ["p"]})

    before = sent(user)
    tags.append("b")

    assert not rules.gate(user, "g").value
    assert sent(user) == before == {"userID": "u", "custom": {"tags": ["a"]}}
    assert bootstrapped(user)["user"]["custom"] == {"tags": ["a"]}


@pytest.mark.parametrize("reads", [bootstrapped, sent], ids=["bootstrap", "event"])
def test_a_mapping_that_changes_after_the_event_is_read_as_it_was_sent(reads: Any) -> None:
    custom: dict[str, Any] = {"plan": "pro", 7: 1.5, "note": "\ud800"}
    rules = loaded_gates(g=gate(rule("r", [condition("user_field", "any", ["pro"], "plan")])))
    user = User("u", custom=custom)

    before = sent(user)
    custom.update(plan="free", late=1)
    encode(Track(user, "x", {}), 0, shared_user_fields("staging", b""))  # encodes the user again

    assert reads(user) == reads(User("u", custom={"plan": "pro", "7": 1.5, "note": "\ufffd"}))
    assert (rules.gate(user, "g").value, sent(user)) == (True, before)


def test_private_and_custom_values_of_one_name_are_kept_apart() -> None:
    custom, private = ["c"], ["p"]
    user = User("u", custom={"x": custom}, private_attributes={"x": private})
    prepare(user)

    def read() -> list[Any]:
        return [own_value(user, ("x",), fields) for fields in (user._custom, user._private_attributes)]

    before = read()
    custom.append("late")
    private.append("late")

    assert read() == before == [["c"], ["p"]]
