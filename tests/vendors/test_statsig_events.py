"""The events and requests sent to Statsig, and how its responses are judged."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import orjson
import pytest

from asyncsdk._model.amplitude import Revenue
from asyncsdk._model.events import Alias, Group, IdentifyEvent, LogEvent, Page, Screen, Track, raw_event
from asyncsdk._model.exposures import Exposure
from asyncsdk._model.user_view import own_value
from asyncsdk._model.users import User
from asyncsdk._version import __version__
from asyncsdk.errors import ConfigurationError, InvalidEventError
from asyncsdk.vendors._base import Refusal, Response, Verdict
from asyncsdk.vendors.statsig import Statsig, events
from vendors.sample_events import MESSAGE_ID, NOW_MS, event

STATSIG = Statsig("secret-key", session_id="session-1")
BOB = User("bob-7")


# --- events -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "value", "metadata"),
    [
        (None, None, None),
        ({}, None, {}),
        ({"sku": "A"}, None, {"sku": "A"}),
        ({"value": 3, "sku": "A"}, 3, {"sku": "A"}),
        ({"value": "big"}, "big", {}),
        ({"revenue": 19.95, "sku": "A"}, 19.95, {"sku": "A"}),
        ({"revenue": 19.95, "value": 3}, 3, {"revenue": 19.95}),
        ({"revenue": Decimal("1.5")}, 1.5, {}),
        ({"value": {"a": 1}, "revenue": 2}, 2, {"value": {"a": 1}}),
        ({"value": True, "revenue": None}, None, {"value": True, "revenue": None}),
    ],
)
def test_track_lifts_its_value_and_keeps_the_rest(properties: Any, value: Any, metadata: Any) -> None:
    sent = event(STATSIG, Track(BOB, "Item Viewed", properties))

    assert (sent["eventName"], sent.get("value"), sent.get("metadata")) == ("Item Viewed", value, metadata)
    assert sent["time"] == NOW_MS


def test_the_caller_s_properties_are_not_changed() -> None:
    properties = {"value": 3}

    event(STATSIG, Track(BOB, "x", properties))

    assert properties == {"value": 3}


def test_a_revenue_builder_has_the_total_as_value() -> None:
    sent = event(STATSIG, Track(BOB, Revenue(2.5, 4, product_id="p"), {"coupon": "x"}))

    assert (sent["eventName"], sent["value"]) == ("revenue_amount", 10.0)
    assert sent["metadata"] == {"coupon": "x", "price": 2.5, "quantity": 4, "product_id": "p"}


@pytest.mark.parametrize(
    ("given", "name", "value", "metadata"),
    [
        (Page(BOB), "page_view", None, {}),
        (Page(BOB, "Pizza", {"url": "u"}, category="Food"), "page_view", "Pizza", {"name": "Pizza", "category": "Food", "url": "u"}),
        (Page(BOB, "Pizza", {"name": "own", "value": 3}), "page_view", "Pizza", {"name": "own", "value": 3}),
        (Screen(BOB, "Home"), "screen_view", "Home", {"name": "Home"}),
    ],
    ids=str,
)  # fmt: skip
def test_pages_and_screens_are_views(given: Any, name: str, value: Any, metadata: Any) -> None:
    sent = event(STATSIG, given)

    assert (sent["eventName"], sent.get("value"), sent["metadata"]) == (name, value, metadata)


@pytest.mark.parametrize(
    ("value", "metadata"), [(None, None), (19.99, {"sku": "A"}), ("text", None), (0, {"value": "own", "n": None})]
)
def test_an_event_in_statsig_s_form_is_sent_as_given(value: Any, metadata: Any) -> None:
    sent = event(STATSIG, LogEvent(BOB, "  spaced  ", value, metadata))

    assert (sent["eventName"], sent.get("value"), sent.get("metadata")) == ("  spaced  ", value, metadata)
    assert {"value", "metadata"} - sent.keys() == {
        name for name, given in (("value", value), ("metadata", metadata)) if given is None
    }


def test_an_event_in_amplitude_s_form_has_its_properties_and_time() -> None:
    sent = event(STATSIG, raw_event({"event_type": "e", "user_id": 7, "event_properties": {"value": 1}, "time": 5}))

    assert (sent["eventName"], sent["metadata"], sent["time"]) == ("e", {"value": 1}, 5)
    assert sent["user"] == {"userID": "7"}


@pytest.mark.parametrize(
    "given",
    [
        IdentifyEvent(BOB, {"plan": "pro"}),
        Group(BOB, "g"),
        Alias("old", BOB),
        raw_event({"event_type": "$identify", "user_id": "bob-7"}),
        raw_event({"event_type": "$groupidentify", "user_id": "bob-7"}),
    ],
    ids=lambda given: type(given).__name__,
)
def test_statsig_has_no_call_for_identify_group_and_alias(given: Any) -> None:
    assert STATSIG.encode(given, MESSAGE_ID, NOW_MS) == Refusal("skipped", "no such call")


def levels_taken(destination: Statsig) -> list[int]:
    """Return the maximum depth of properties."""
    taken: list[int] = []
    deep: Any = 1
    for level in range(1, 260):
        deep = {"a": deep}
        with suppress(InvalidEventError):
            destination.encode(Track("ada", "a", deep), "m", 1)
            taken.append(level)
    return taken


def test_the_maximum_depth_does_not_depend_on_other_properties() -> None:
    plain, with_ids = (levels_taken(Statsig("secret-key", rules=None, message_ids=ids)) for ids in (False, True))

    assert plain == with_ids == list(range(1, 254))


def test_an_event_s_timestamp_overrides_the_time_of_acceptance() -> None:
    then = datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)

    assert event(STATSIG, Track(BOB, "x", timestamp=then))["time"] == 7000
    assert event(STATSIG, Track(BOB, "x", {"a": 1}, timestamp=then))["time"] == 7000


def test_fields_under_the_destination_s_name_replace_the_event_s() -> None:
    given = Track(BOB, "x", {"a": 1}, integrations={"Statsig": {"value": 7}, "All": False})

    assert event(STATSIG, given)["value"] == 7
    assert "value" not in event(STATSIG, attrs.evolve(given, integrations={"Statsig": True}))


@pytest.mark.parametrize(
    ("properties", "metadata"),
    [(None, {"asyncsdk_event_id": MESSAGE_ID}), ({"a": 1}, {"a": 1, "asyncsdk_event_id": MESSAGE_ID})],
)
def test_an_event_can_carry_its_id(properties: Any, metadata: Any) -> None:
    assert event(Statsig("secret-key", message_ids=True), Track(BOB, "x", properties))["metadata"] == metadata


# --- the user -----------------------------------------------------------------------------------------------------


def sent_user(user: User, **settings: Any) -> Any:
    return event(Statsig("secret-key", **settings), Track(user, "x"))["user"]


def test_a_user_has_statsig_s_names() -> None:
    user = User(
        "a_user", email="a@statsig.com", ip="1.0.0.0", user_agent="Mozilla/5.0", country="NL", locale="en_US",
        app_version="1.3", custom={"level": 9, "n": None}, custom_ids={"companyID": "123", "num": 5},
        private_attributes={"never": "sent"}, statsig_environment={"tier": "staging"},
    )  # fmt: skip

    assert sent_user(user, environment="production") == {
        "userID": "a_user", "email": "a@statsig.com", "ip": "1.0.0.0", "userAgent": "Mozilla/5.0", "country": "NL",
        "locale": "en_US", "appVersion": "1.3", "custom": {"level": 9, "n": None},
        "customIDs": {"companyID": "123", "num": "5"}, "statsigEnvironment": {"tier": "staging"},
    }  # fmt: skip


def test_the_environment_is_the_client_s_if_the_user_has_none() -> None:
    assert sent_user(BOB, environment="production") == {"userID": "bob-7", "statsigEnvironment": {"tier": "production"}}
    assert sent_user(BOB) == {"userID": "bob-7"}


@pytest.mark.parametrize(
    ("user", "custom_ids"),
    [
        (User("u", device_id="d", anonymous_id="a"), {"stableID": "d"}),
        (User(anonymous_id=7), {"stableID": "7"}),
        (User(device_id="d", custom_ids={"companyID": 5}), {"companyID": "5", "stableID": "d"}),
        (User(device_id="d", custom_ids={"stableID": "own"}), {"stableID": "own"}),
        (User(device_id="d", custom_ids={"stableid": "own"}), {"stableid": "own"}),
        (User("u", device_id=" "), None),
        (User("u", custom_ids={}), None),
    ],
    ids=str,
)
def test_the_device_is_the_stable_id_unless_another_is_given(user: User, custom_ids: Any) -> None:
    assert sent_user(user).get("customIDs") == custom_ids


def test_a_field_is_sent_as_rules_have_read_it() -> None:
    tags = ["a"]
    user = User("u", custom={"tags": tags, "plan": "pro"})

    assert own_value(user, ("tags",), user._custom) == ["a"]
    tags.append("b")

    assert sent_user(user)["custom"] == {"tags": ["a"], "plan": "pro"}


def test_two_destinations_encode_the_same_user_separately() -> None:
    tiers = [sent_user(BOB, environment=tier)["statsigEnvironment"]["tier"] for tier in ("a", "b", "a")]

    assert tiers == ["a", "b", "a"]


def test_a_user_s_value_without_a_json_form_is_refused_with_its_path() -> None:
    with pytest.raises(InvalidEventError, match=r"`user\.custom\['a'\]` is an object"):
        STATSIG.encode(Track(User("u", custom={"a": object()}), "x"), MESSAGE_ID, NOW_MS)


def test_events_equal_those_of_statsig_python_core(vectors: Path) -> None:
    requests = json.loads((vectors / "statsig" / "wire_core.json").read_bytes())
    bodies = [request["body"] for request in requests if request["path"].endswith("/log_event")]
    custom = [one for body in bodies for one in body["events"] if not one["eventName"].startswith("statsig::")]

    for theirs in custom:
        who = theirs["user"]
        user = User(
            who["userID"], email=who["email"], ip=who["ip"], user_agent=who["userAgent"], locale=who["locale"],
            app_version=who["appVersion"], custom=who["custom"], custom_ids=who["customIDs"],
        )  # fmt: skip
        destination = Statsig("secret-key", environment=who["statsigEnvironment"]["tier"])
        chunk = destination.encode(
            LogEvent(user, theirs["eventName"], theirs["value"], theirs["metadata"]), MESSAGE_ID, theirs["time"]
        )
        assert isinstance(chunk, bytes)
        # statsig-python-core sends missing fields as null, and an id that is a number as one; ours are text.
        expected = {name: value for name, value in theirs.items() if value is not None}
        expected["user"] = {**who, "customIDs": {name: str(unit) for name, unit in who["customIDs"].items()}}
        assert orjson.loads(chunk + b"}") == expected
    assert len(custom) == 4


# --- requests and responses ---------------------------------------------------------------------------------------


def test_a_request_has_the_key_the_time_and_the_client() -> None:
    request = STATSIG.frame([b'{"a":1', b'{"b":2'], NOW_MS)

    assert request.headers == {
        "Content-Type": "application/json",
        "STATSIG-API-KEY": "secret-key",
        "STATSIG-CLIENT-TIME": str(NOW_MS),
        "STATSIG-SERVER-SESSION-ID": "session-1",
        "STATSIG-SDK-TYPE": "asyncsdk",
        "STATSIG-SDK-VERSION": __version__,
        "STATSIG-EVENT-COUNT": "2",
    }
    assert orjson.loads(request.body) == {
        "events": [{"a": 1}, {"b": 2}],
        "statsigMetadata": {"sdkType": "asyncsdk", "sdkVersion": __version__, "sessionID": "session-1"},
    }
    assert (request.url, request.canonical_path) == ("https://statsigapi.net/v1/log_event", "/v1/log_event")
    assert request.gzip_from == 1024


def test_events_can_be_sent_to_another_address() -> None:
    destination = Statsig("secret-key", log_event_url="http://proxy/log?a=b")

    assert destination.frame([b"{"], 0).url == "http://proxy/log?a=b"


def test_each_client_has_its_own_session() -> None:
    first, second = Statsig("secret-key").session_id, Statsig("secret-key").session_id

    assert UUID(first) != UUID(second)


@pytest.mark.parametrize("key", ["client-key", "SECRET-key", "", None, 7])
def test_only_a_server_secret_key_is_accepted_and_never_shown(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="starts with 'secret-'") as caught:
        Statsig(key)

    assert not key or str(key) not in str(caught.value)


def test_a_2xx_with_success_false_is_retried_and_then_halved() -> None:
    verdict = STATSIG.judge(Response(202, {}, b'{"success":false,"error":"x"}'), [b"{"] * 3)

    assert verdict == Verdict(halve=True, halve_after=5, reason="success: false")


@pytest.mark.parametrize("body", [b"", b"ok", b'{"success":true}', b'{"success":null}', b"[false]", b"{}"])
def test_any_other_2xx_is_a_success(body: bytes) -> None:
    assert STATSIG.judge(Response(202, {}, body), [b"{"]) == Verdict()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (400, Verdict(halve=True, reason="status 400")),
        (401, Verdict(halt=True, reason="status 401")),
        (403, Verdict(halve=True, halve_after=3, reason="status 403")),
        (413, Verdict(halve=True, too_large=True, reason="status 413")),
        (429, Verdict(retry=range(2), reason="status 429")),
        (522, Verdict(retry=range(2), reason="status 522")),
    ],
)
def test_the_event_log_s_statuses_are_judged_as_documented(status: int, verdict: Verdict) -> None:
    assert STATSIG.judge(Response(status, {}, b'{"success":false}'), [b"{"] * 2) == verdict


EXPOSURE = events.encode_exposure(
    Exposure("statsig::gate_exposure", b"{}", b"[]"), User("ada"), events.encode_exposure_end(1, {})
)
CUSTOM = b'{"time":1,"eventName":"bought","user":{}'


@pytest.mark.parametrize("error", ["timeout", "connection lost"])
def test_events_that_may_have_arrived_are_rejected_with_drop(error: str) -> None:
    verdict = Statsig("secret-key", on_lost_reply="drop").judge(Response(0, error=error), [CUSTOM, EXPOSURE, CUSTOM])

    assert verdict.reject == dict.fromkeys([0, 2], f"may have arrived: {error}")
    assert (list(verdict.retry), verdict.backoff) == ([1], True)


@pytest.mark.parametrize(
    "answer", [Response(0, error="connection refused"), Response(503), Response(0, error="name not found")]
)
def test_events_that_cannot_have_arrived_are_sent_again(answer: Response) -> None:
    verdict = Statsig("secret-key", on_lost_reply="drop").judge(answer, [CUSTOM, EXPOSURE])

    assert (list(verdict.retry), verdict.reject) == ([0, 1], {})


def test_events_that_may_have_arrived_are_retried_by_default() -> None:
    verdict = Statsig("secret-key").judge(Response(0, error="timeout"), [CUSTOM, EXPOSURE])

    assert list(verdict.retry) == [0, 1]


def test_another_value_of_on_lost_reply_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="on_lost_reply"):
        Statsig("secret-key", on_lost_reply="maybe")  # type: ignore[arg-type]
