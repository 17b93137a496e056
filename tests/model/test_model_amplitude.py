"""Amplitude's builders: this package's own rules; tests/vendors compares them with the published builders."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from asyncsdk._model.amplitude import MAX_KEYS, MAX_LEVELS, Identify, IngestionMetadata, Plan, Revenue
from asyncsdk.errors import ConfigurationError, InvalidEventError

A_VALUE = "text, a number, a boolean, an object or a list of these"
VALUE_OPERATIONS = ["set", "set_once", "append", "prepend", "pre_insert", "post_insert", "remove"]


def test_operations_chain_and_keep_their_order() -> None:
    identify = Identify().set("a", 1).add("b", 2).set("c", "x").unset("d")

    assert list(identify.user_properties.items()) == [
        ("$set", {"a": 1, "c": "x"}),
        ("$add", {"b": 2}),
        ("$unset", {"d": "-"}),
    ]


def test_a_property_can_be_used_only_once() -> None:
    assert Identify().set("a", 1).set("a", 2).add("a", 3).unset("a").user_properties == {"$set": {"a": 1}}


def test_clear_all_discards_other_operations() -> None:
    assert Identify().set("a", 1).clear_all().set("b", 2).user_properties == {"$clearAll": "-"}


def test_an_identify_is_empty_until_it_has_an_operation() -> None:
    assert Identify().is_empty
    assert not Identify().clear_all().is_empty
    assert not Identify().unset("a").is_empty


def test_vendors_without_operations_get_the_set_values() -> None:
    identify = Identify().set("a", 1).set_once("b", 2).add("c", 3).unset("d")

    assert identify.traits() == {"a": 1, "b": 2}
    assert Identify().clear_all().traits() == {}


def test_a_group_supports_six_operations() -> None:
    identify = Identify().set("a", 1).set_once("b", 1).add("c", 1).append("d", 1).prepend("e", 1).unset("f")

    identify.check_for_group()

    assert identify.group_properties == identify.user_properties


@pytest.mark.parametrize(
    ("identify", "names"),
    [
        (Identify().pre_insert("a", 1).post_insert("b", 1), r"\$postInsert, \$preInsert"),
        (Identify().set("a", 1).remove("b", 1), r"\$remove"),
        (Identify().clear_all(), r"\$clearAll"),
    ],
)
def test_operations_that_groups_do_not_support_are_refused(identify: Identify, names: str) -> None:
    with pytest.raises(InvalidEventError, match=f"groups have no {names}: only set, set_once"):
        identify.check_for_group()


@pytest.mark.parametrize("operation", VALUE_OPERATIONS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, f"`plan` must be {A_VALUE}, not None"),
        ([1, None], f"`plan[1]` must be {A_VALUE}, not None"),
        ([1, [2]], "`plan[1]` is a list in a list, which Amplitude does not take"),
        ({"a": [{"b": [[1]]}]}, "`plan['a'][0]['b'][0]` is a list in a list, which Amplitude does not take"),
        ({"a": float("nan")}, f"`plan['a']` must be {A_VALUE}, not None"),
        (object(), "`plan` is an object, which has no form in JSON: convert it first"),
        (dict.fromkeys(map(str, range(MAX_KEYS + 1)), 1), f"`plan` has more than {MAX_KEYS} keys"),
    ],
    ids=lambda part: part[:40] if isinstance(part, str) else "",
)
def test_a_value_that_amplitude_would_refuse_raises_with_its_property(
    operation: str, value: object, message: str
) -> None:
    identify = Identify()

    with pytest.raises(InvalidEventError) as caught:
        getattr(identify, operation)("plan", value)

    assert str(caught.value) == message
    assert identify.is_empty


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_values_may_be_as_deep_as_amplitude_allows() -> None:
    assert not Identify().set("a", nested(MAX_LEVELS)).set("b", [nested(MAX_LEVELS - 1)]).is_empty
    with pytest.raises(InvalidEventError, match="`a` has more than 40 levels"):
        Identify().set("a", nested(MAX_LEVELS + 1))


@pytest.mark.parametrize("value", ["12", True, None, [1]])
def test_only_a_number_can_be_added(value: Any) -> None:
    with pytest.raises(InvalidEventError, match=f"`visits` must be a number, not {value and type(value).__name__}"):
        Identify().add("visits", value)


def test_a_property_with_a_refused_value_can_be_used_again() -> None:
    identify = Identify()
    with pytest.raises(InvalidEventError):
        identify.set("a", None)

    assert identify.set("a", "good").user_properties == {"$set": {"a": "good"}}


@pytest.mark.parametrize("name", [None, 1, b"a"])
def test_a_name_that_is_not_text_is_refused(name: Any) -> None:
    with pytest.raises(InvalidEventError, match="a property's name must be text, not "):
        Identify().unset(name)


def test_values_are_copied_when_given() -> None:
    tags, address = ["a"], {"city": "Delft"}
    identify = Identify().set("tags", tags).append("address", address)

    tags.append("b")
    address.clear()

    assert identify.user_properties == {"$set": {"tags": ["a"]}, "$append": {"address": {"city": "Delft"}}}


def test_changing_a_builder_s_results_does_not_change_it() -> None:
    identify = Identify().set("a", 1)

    identify.user_properties["$set"]["b"] = 2
    identify.traits()["c"] = 3

    assert identify.user_properties == {"$set": {"a": 1}}


def test_properties_can_be_changed_in_a_copy_of_the_builder() -> None:
    identify = Identify().set("email", "a@b.c").set("plan", "pro").add("visits", 1)

    changed = identify.map_properties(
        lambda properties: {name: properties[name] for name in properties if name != "email"}
    )

    assert changed.user_properties == {"$set": {"plan": "pro"}, "$add": {"visits": 1}}
    assert identify.user_properties["$set"] == {"email": "a@b.c", "plan": "pro"}
    assert Identify().clear_all().map_properties(dict).user_properties == {"$clearAll": "-"}


def test_values_are_converted_to_their_json_form() -> None:
    identify = (
        Identify().set("since", datetime(2026, 1, 1, tzinfo=UTC)).set("id", UUID(int=1)).add("sum", Decimal("1.5"))
    )

    assert identify.user_properties == {
        "$set": {"since": "2026-01-01T00:00:00Z", "id": "00000000-0000-0000-0000-000000000001"},
        "$add": {"sum": 1.5},
    }


def test_revenue_has_amplitude_s_names_and_omits_none() -> None:
    assert Revenue(5).event_properties == {"$quantity": 1, "$price": 5}
    assert Revenue(5).event_type == "revenue_amount"


def test_revenue_fields_override_properties() -> None:
    revenue = Revenue(5, properties={"$price": 7, "quantity": 9, "coupon": "x"})

    assert revenue.event_properties == {"$price": 5, "$quantity": 1, "quantity": 9, "coupon": "x"}
    assert revenue.plain_properties() == {"$price": 7, "quantity": 1, "coupon": "x", "price": 5, "revenue": 5}


@pytest.mark.parametrize(
    ("revenue", "amount"),
    [
        (Revenue(2.5, 4), 10.0),
        (Revenue(2.5, 4, revenue=9), 9),
        (Revenue(-3, 2), -6),
        (Revenue(Decimal("0.1"), 3), Decimal("0.3")),
    ],
    ids=str,
)
def test_other_vendors_get_the_total(revenue: Revenue, amount: object) -> None:
    assert revenue.plain_properties()["revenue"] == revenue.amount == amount


def test_a_receipt_goes_to_amplitude_only_and_never_into_a_repr() -> None:
    revenue = Revenue(1, receipt="r-secret", receipt_sig="s-secret")

    assert revenue.event_properties.items() >= {"$receipt": "r-secret", "$receiptSig": "s-secret"}.items()
    assert "secret" not in repr(revenue)
    assert "secret" not in str(revenue.plain_properties())


def test_revenue_properties_are_copied_when_given() -> None:
    items = ["a"]
    revenue = Revenue(1, properties={"items": items})

    items.append("b")

    assert revenue.event_properties["items"] == ["a"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"price": "5"}, "`price` must be a finite number, not str"),
        ({"price": True}, "`price` must be a finite number, not bool"),
        ({"price": float("inf")}, "`price` must be a finite number; this float is not"),
        ({"price": 1, "revenue": Decimal("NaN")}, "`revenue` must be a finite number; this Decimal is not"),
        ({"price": 1, "quantity": 0}, "`quantity` must be a whole number above 0; this int is not"),
        ({"price": 1, "quantity": 2.5}, "`quantity` must be a whole number above 0; this float is not"),
        ({"price": 1, "quantity": True}, "`quantity` must be a whole number above 0, not bool"),
        ({"price": 1, "product_id": 7}, "`product_id` must be text; this int is not"),
        ({"price": 1, "currency": b"USD"}, "`currency` must be text, not bytes"),
        ({"price": 1, "properties": [1]}, "`properties` must be an object (a mapping), not list"),
        (
            {"price": 1, "properties": {"a": 1j}},
            "`properties['a']` is a complex, which has no form in JSON: convert it first",
        ),
    ],
)
def test_invalid_revenue_is_refused_with_the_reason(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        Revenue(**arguments)

    assert str(caught.value) == message


def test_a_plan_and_its_metadata_have_amplitude_s_names() -> None:
    assert Plan("main", "web", "1", "v-id").fields() == {
        "branch": "main", "source": "web", "version": "1", "versionId": "v-id",
    }  # fmt: skip
    assert IngestionMetadata(source_name="ampli").fields() == {"source_name": "ampli"}


def test_a_plan_that_is_not_text_raises_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="`version` of Plan must be text, not int"):
        Plan(version=1)  # type: ignore[arg-type]
