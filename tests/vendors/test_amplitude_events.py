"""The events and requests sent to Amplitude."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import numpy as np
import orjson
import pytest

from asyncsdk._model.amplitude import Identify, IngestionMetadata, Plan, Revenue
from asyncsdk._model.events import Alias, Group, IdentifyEvent, LogEvent, Page, Screen, Track, raw_event
from asyncsdk._model.users import User
from asyncsdk._version import __version__
from asyncsdk.errors import ConfigurationError, InvalidEventError
from asyncsdk.vendors._base import Limits, Refusal
from asyncsdk.vendors.amplitude import Amplitude
from vendors.sample_events import ADA, MESSAGE_ID, NOW, NOW_MS, event

AMPLITUDE = Amplitude("api-key")


def refused(destination: Amplitude, user: User) -> object:
    return destination.encode(Track(user, "Item Viewed"), MESSAGE_ID, NOW_MS)


# --- common fields ------------------------------------------------------------------------------------------------


def test_an_event_has_ids_time_and_fields_of_the_user() -> None:
    assert event(AMPLITUDE, Track(ADA, "Item Viewed")) == {
        "event_type": "Item Viewed",
        "user_id": "ada-1815",
        "device_id": "device-1",
        "time": NOW_MS,
        "insert_id": MESSAGE_ID,
        "ip": "10.0.0.1",
        "user_agent": "curl/8",
        "language": "en-GB",
        "library": f"asyncsdk/{__version__}",
    }


def test_an_event_s_timestamp_overrides_the_time_of_acceptance() -> None:
    sent = event(AMPLITUDE, Track(ADA, "x", timestamp=datetime(2026, 1, 1, tzinfo=UTC)))

    assert sent["time"] == 1_767_225_600_000


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        (User("ada-1815"), {"user_id": "ada-1815"}),
        (User(123456), {"user_id": "123456"}),
        (User("ada-1815", anonymous_id="visitor"), {"user_id": "ada-1815", "device_id": "visitor"}),
        (User("ada-1815", anonymous_id="visitor", device_id="device"), {"user_id": "ada-1815", "device_id": "device"}),
        (User(anonymous_id=1234567), {"device_id": "1234567"}),
        (User(" ", device_id="device"), {"device_id": "device"}),
        (User("ada-1815", device_id=" "), {"user_id": "ada-1815"}),
        (User("ada-1815", device_id="d-1"), {"user_id": "ada-1815"}),
        (User("ada-1815", device_id="00000000-0000-0000-0000-000000000000"), {"user_id": "ada-1815"}),
        (User("ada-1815", device_id="unknown"), {"user_id": "ada-1815"}),
        (User("00001"), {"user_id": "00001"}),
    ],
    ids=str,
)
def test_ids_are_text_and_a_device_id_that_amplitude_refuses_is_left_out(user: User, ids: dict[str, str]) -> None:
    sent = event(AMPLITUDE, Track(user, "x"))

    assert {name: value for name, value in sent.items() if name.endswith("_id") and name != "insert_id"} == ids


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (User("ada"), "id too short (min_id_length)"),
        (User(1234), "id too short (min_id_length)"),
        (User("ada", device_id="device-1"), "id too short (min_id_length)"),
        (User(device_id="d-1"), "id too short (min_id_length)"),
        (User("anonymous"), "id refused by Amplitude"),
        (User("undefined", device_id="device-1"), "id refused by Amplitude"),
        (User("lmy47d"), "id refused by Amplitude"),
        (User(anonymous_id="00000000-0000-0000-0000-000000000000"), "id refused by Amplitude"),
        (User("000000"), "id refused by Amplitude"),
    ],
    ids=str,
)
def test_an_id_that_amplitude_would_refuse_is_refused_here(user: User, reason: str) -> None:
    assert refused(AMPLITUDE, user) == Refusal("rejected", reason)


@pytest.mark.parametrize(
    "user_id",
    ["anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "{}", "lmy47d", "0", "-1", "000-000"],
)
def test_reserved_ids_are_refused_at_any_minimum_length(user_id: str) -> None:
    destination = Amplitude("k", min_id_length=1)

    assert refused(destination, User(user_id)) == Refusal("rejected", "id refused by Amplitude")


def test_the_minimum_length_of_ids_is_a_setting() -> None:
    relaxed, strict = Amplitude("k", min_id_length=1), Amplitude("k", min_id_length=9)

    assert event(relaxed, Track(User("7"), "x"))["user_id"] == "7"
    assert refused(relaxed, User("0")) == Refusal("rejected", "id refused by Amplitude")
    assert refused(strict, ADA) == Refusal("rejected", "id too short (min_id_length)")


def test_an_opt_out_skips_everything() -> None:
    assert refused(Amplitude("k", opt_out=True), ADA) == Refusal("skipped", "opt-out")


def test_fields_under_the_destination_s_name_are_added_to_the_event() -> None:
    second = Amplitude("k", name="Second")
    given = Track(ADA, "x", integrations={"All": True, "Amplitude": {"session_id": 1}, "Second": {"platform": "Web"}})

    assert event(AMPLITUDE, given)["session_id"] == 1
    assert "session_id" not in event(second, given)
    assert event(second, given)["platform"] == "Web"


def test_true_in_integrations_adds_no_fields() -> None:
    assert event(AMPLITUDE, Track(ADA, "x", integrations={"Amplitude": True})) == event(AMPLITUDE, Track(ADA, "x"))


def test_ids_among_those_fields_are_validated_too() -> None:
    given = Track(ADA, "x", integrations={"Amplitude": {"user_id": 7}})

    assert AMPLITUDE.encode(given, MESSAGE_ID, NOW_MS) == Refusal("rejected", "id too short (min_id_length)")


def test_an_event_without_a_remaining_id_is_refused() -> None:
    given = Track(User("ada-1815"), "x", integrations={"Amplitude": {"user_id": None}})

    assert AMPLITUDE.encode(given, MESSAGE_ID, NOW_MS) == Refusal("rejected", "no id")


def test_the_plan_and_the_metadata_of_an_event_replace_those_of_the_client() -> None:
    destination = Amplitude("k", plan=Plan("main", version="1"), ingestion_metadata=IngestionMetadata("ampli", "2"))
    fields = {"event_type": "e", "user_id": "ada-1815", "plan": {"version": "9", "source": "web"}}

    sent = event(destination, raw_event(fields))

    assert sent["plan"] == {"version": "9", "source": "web"}
    assert sent["ingestion_metadata"] == {"source_name": "ampli", "source_version": "2"}
    assert event(destination, raw_event(fields | {"plan": {}}))["plan"] == {}
    assert event(destination, raw_event(fields | {"plan": None}))["plan"] == {"branch": "main", "version": "1"}
    own = {"Amplitude": {"ingestion_metadata": {"source_name": "mine"}}}
    assert event(destination, Track(ADA, "x", integrations=own))["ingestion_metadata"] == {"source_name": "mine"}


def test_an_event_larger_than_a_request_is_refused() -> None:
    given = Track(ADA, "x", {"text": "x" * 1_000_000})

    assert AMPLITUDE.encode(given, MESSAGE_ID, NOW_MS) == Refusal("rejected", "too large")
    assert isinstance(Amplitude("k", use_batch=True).encode(given, MESSAGE_ID, NOW_MS), bytes)


# --- verbs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("traits", "user_properties"),
    [
        (None, {}),
        ({}, {}),
        ({"plan": "pro"}, {"$set": {"plan": "pro"}}),
        (Identify(), {}),
        (Identify().add("visits", 1).unset("trial"), {"$add": {"visits": 1}, "$unset": {"trial": "-"}}),
    ],
)
def test_identify_sets_traits_or_does_what_the_operations_say(traits: Any, user_properties: dict[str, Any]) -> None:
    sent = event(AMPLITUDE, IdentifyEvent(ADA, traits))

    assert (sent["event_type"], sent["user_properties"]) == ("$identify", user_properties)


def test_track_has_its_name_and_properties() -> None:
    sent = event(AMPLITUDE, Track(ADA, "Item Viewed", {"a": {"b": [1]}}))

    assert (sent["event_type"], sent["event_properties"]) == ("Item Viewed", {"a": {"b": [1]}})


def test_revenue_in_properties_is_lifted_and_stays() -> None:
    properties = {
        "revenue": 9.98, "price": 4.99, "quantity": 2, "currency": "EUR", "product_id": "p", "revenue_type": "sale",
    }  # fmt: skip

    sent = event(AMPLITUDE, Track(ADA, "Order Completed", properties))

    assert sent["event_properties"] == properties
    assert sent.items() >= {
        "revenue": 9.98, "price": 4.99, "quantity": 2, "currency": "EUR", "productId": "p", "revenueType": "sale",
    }.items()  # fmt: skip


def test_revenue_may_have_amplitude_s_own_names_and_be_decimal() -> None:
    sent = event(AMPLITUDE, Track(ADA, "x", {"revenue": Decimal("1.5"), "productId": "p", "revenueType": "sale"}))

    assert sent.items() >= {"revenue": 1.5, "productId": "p", "revenueType": "sale"}.items()


@pytest.mark.parametrize(
    "properties", [{"price": 4.99, "quantity": 2}, {"revenue": "19.95", "price": 1}, {"revenue": True, "price": 1}]
)
def test_without_a_number_as_revenue_nothing_was_earned(properties: dict[str, Any]) -> None:
    sent = event(AMPLITUDE, Track(ADA, "Product Viewed", properties))

    assert not sent.keys() & {"revenue", "price", "quantity"}


def test_a_revenue_field_of_a_type_that_amplitude_refuses_stays_a_property() -> None:
    sent = event(AMPLITUDE, Track(ADA, "x", {"revenue": 1, "price": "1", "quantity": 1.5, "currency": 978}))

    assert sent["revenue"] == 1
    assert not sent.keys() & {"price", "quantity", "currency"}


def test_a_revenue_builder_becomes_amplitude_s_revenue_event() -> None:
    sent = event(AMPLITUDE, Track(ADA, Revenue(4.99, 3, product_id="p"), {"coupon": "x", "$price": 1}))

    assert sent["event_type"] == "revenue_amount"
    assert sent["event_properties"] == {"coupon": "x", "$price": 4.99, "$quantity": 3, "$productId": "p"}


@pytest.mark.parametrize(
    ("given", "event_type", "properties"),
    [
        (Page(ADA, "Pizza", {"url": "u"}, category="Food"), "Viewed Food Pizza Page", {"url": "u", "category": "Food", "name": "Pizza"}),
        (Page(ADA, "Pizza"), "Viewed Pizza Page", {"name": "Pizza"}),
        (Page(ADA, category="Food"), "Viewed Food Page", {"category": "Food"}),
        (Page(ADA), "Viewed Page", None),
        (Page(ADA, "Pizza", {"name": "own"}), "Viewed Pizza Page", {"name": "own"}),
        (Screen(ADA, "Home"), "Viewed Home Screen", {"name": "Home"}),
        (Screen(ADA), "Viewed Screen", None),
    ],
    ids=str,
)  # fmt: skip
def test_a_page_or_screen_is_named_as_amplitude_users_know_it(given: Any, event_type: str, properties: Any) -> None:
    sent = event(AMPLITUDE, given)

    assert (sent["event_type"], sent.get("event_properties")) == (event_type, properties)


def test_a_group_with_traits_sets_them() -> None:
    sent = event(AMPLITUDE, Group(ADA, 7, {"name": "Company"}))

    assert (sent["event_type"], sent["groups"]) == ("$groupidentify", {"group": "7"})
    assert sent["group_properties"] == {"$set": {"name": "Company"}}


def test_a_group_may_have_operations_and_a_type() -> None:
    sent = event(AMPLITUDE, Group(ADA, "acme", Identify().add("seats", 1), group_type="org"))

    assert (sent["groups"], sent["group_properties"]) == ({"org": "acme"}, {"$add": {"seats": 1}})


@pytest.mark.parametrize("traits", [None, {}, Identify()])
def test_without_traits_the_user_joins_the_group(traits: Any) -> None:
    sent = event(Amplitude("k", group_type="org"), Group(ADA, "acme", traits))

    assert (sent["event_type"], sent["groups"]) == ("$identify", {"org": "acme"})
    assert sent["user_properties"] == {"$set": {"org": "acme"}}


def test_amplitude_has_no_alias() -> None:
    assert AMPLITUDE.encode(Alias("old", ADA), MESSAGE_ID, NOW_MS) == Refusal("skipped", "no such call")


@pytest.mark.parametrize(
    ("value", "metadata", "properties"),
    [
        (None, None, None),
        (19.99, None, {"value": 19.99}),
        (19.99, {"sku": "A"}, {"value": 19.99, "sku": "A"}),
        (None, {"sku": "A"}, {"sku": "A"}),
        (1, {"value": "own"}, {"value": "own"}),
    ],
)
def test_an_event_in_statsig_s_form_keeps_its_value(value: Any, metadata: Any, properties: Any) -> None:
    sent = event(AMPLITUDE, LogEvent(ADA, "add_to_cart", value, metadata))

    assert (sent["event_type"], sent.get("event_properties")) == ("add_to_cart", properties)


def test_an_event_in_amplitude_s_form_is_sent_as_given() -> None:
    fields = {
        "event_type": "e", "user_id": "ada-1815", "device_id": "device-1", "time": 0, "insert_id": "own", "event_id": 7,
        "$skip_user_properties_sync": True, "new_field": [1], "groups": {"org": ["a", "b"]}, "price": "text",
    }  # fmt: skip

    assert event(AMPLITUDE, raw_event(fields)) == fields | {"library": f"asyncsdk/{__version__}"}


def test_missing_fields_of_such_an_event_are_added() -> None:
    sent = event(AMPLITUDE, raw_event({"event_type": "e", "user_id": 123456, "time": None, "device_id": None}))

    assert sent == {
        "event_type": "e",
        "user_id": "123456",
        "time": NOW_MS,
        "insert_id": MESSAGE_ID,
        "library": f"asyncsdk/{__version__}",
    }


def test_an_id_replaced_by_middleware_is_sent() -> None:
    given = raw_event({"event_type": "e", "user_id": "ada@example.com"})

    sent = event(AMPLITUDE, attrs.evolve(given, fields={"event_type": "e", "user_id": "hashed"}))

    assert sent["user_id"] == "hashed"


# --- requests -----------------------------------------------------------------------------------------------------


def body(destination: Amplitude) -> Any:
    return orjson.loads(destination.frame([b'{"a":1'], NOW_MS).body)


def test_a_request_has_the_key_the_events_and_this_attempt_s_time() -> None:
    assert body(Amplitude('k"ey')) == {"api_key": 'k"ey', "events": [{"a": 1}], "client_upload_time": NOW}


def test_the_minimum_length_of_ids_is_sent_only_if_set() -> None:
    assert body(Amplitude("k", min_id_length=3))["options"] == {"min_id_length": 3}


def test_the_headers_are_those_of_json() -> None:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}

    assert AMPLITUDE.frame([b"{"], 0).headers == headers


@pytest.mark.parametrize(
    ("settings", "url", "path"),
    [
        ({}, "https://api2.amplitude.com/2/httpapi", "/2/httpapi"),
        ({"zone": "EU"}, "https://api.eu.amplitude.com/2/httpapi", "/2/httpapi"),
        ({"use_batch": True}, "https://api2.amplitude.com/batch", "/batch"),
        ({"zone": "EU", "use_batch": True}, "https://api.eu.amplitude.com/batch", "/batch"),
        ({"url": "http://proxy/x?a=b", "zone": "EU"}, "http://proxy/x?a=b", "/2/httpapi"),
        ({"url": "http://proxy/batch/?a=b"}, "http://proxy/batch/?a=b", "/batch"),
        ({"url": "http://proxy/x", "use_batch": True}, "http://proxy/x", "/batch"),
    ],
)
def test_a_url_overrides_the_zone(settings: dict[str, Any], url: str, path: str) -> None:
    request = Amplitude("k", **settings).frame([b"{"], 0)

    assert (request.url, request.canonical_path) == (url, path)


@pytest.mark.parametrize(
    ("settings", "gzip_from"),
    [
        ({}, 2048),
        ({"zone": "EU", "use_batch": True}, 2048),
        ({"url": "https://api.eu.amplitude.com/2/httpapi"}, 2048),
        ({"url": "http://proxy/"}, None),
        ({"url": "http://proxy/", "gzip": True}, 2048),
        ({"gzip": False}, None),
    ],
)
def test_bodies_are_compressed_for_amplitude_but_not_for_a_proxy(
    settings: dict[str, Any], gzip_from: int | None
) -> None:
    assert Amplitude("k", **settings).frame([b"{"], 0).gzip_from == gzip_from


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"zone": "NL"}, "`zone` must be 'US' or 'EU'"),
        ({"zone": ["EU"]}, "`zone` must be 'US' or 'EU'"),
        ({"min_id_length": 0}, "`min_id_length` must be a whole number above 0"),
        ({"min_id_length": "5"}, "`min_id_length` must be a whole number above 0"),
        ({"min_id_length": True}, "`min_id_length` must be a whole number above 0"),
        ({"group_type": ""}, "Amplitude needs a `group_type` that is text and not blank"),
        ({"limits": Limits(max_events=2001)}, "Amplitude takes 2000 events and 990000 bytes a request on /2/httpapi"),
        (
            {"limits": Limits(max_bytes=1_000_000)},
            "Amplitude takes 2000 events and 990000 bytes a request on /2/httpapi",
        ),
        (
            {"limits": Limits(max_bytes=20_000_000), "use_batch": True},
            "Amplitude takes 2000 events and 19990000 bytes a request on /batch",
        ),
    ],
)
def test_a_setting_that_amplitude_would_refuse_is_refused_here(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Amplitude("k", **settings)

    assert str(caught.value) == message


@pytest.mark.parametrize("price", [np.int64(5), np.float32(5), Fraction(10, 2)])
def test_an_amount_may_be_a_number_of_another_library(price: Any) -> None:
    revenue = Revenue(price, quantity=np.int64(2))  # type: ignore[arg-type] # not an int to type checkers

    assert (float(revenue.amount), type(revenue.quantity)) == (10.0, int)
    assert Identify().add("x", price).user_properties == {"$add": {"x": 5}}


@pytest.mark.parametrize("price", [10**400, Decimal("sNaN"), Decimal("1e999"), np.timedelta64(5, "s"), True])
def test_an_amount_that_no_vendor_can_read_is_an_invalid_event(price: Any) -> None:
    with pytest.raises(InvalidEventError, match="`price` must be a finite number"):
        Revenue(price)
