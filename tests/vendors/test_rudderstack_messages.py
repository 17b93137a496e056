"""The messages and requests sent to RudderStack, and how its responses are judged."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.events import (
    Alias,
    Event,
    Group,
    IdentifyEvent,
    LogEvent,
    Page,
    Screen,
    Track,
    raw_event,
    validate_event,
)
from asyncsdk._model.users import User
from asyncsdk._version import __version__
from asyncsdk.errors import InvalidEventError
from asyncsdk.vendors._base import Refusal, Response, Verdict
from asyncsdk.vendors.rudderstack import RudderStack
from vendors.sample_events import ADA, EVENTS, MESSAGE_ID, NOW, NOW_MS, event, framed

RUDDERSTACK = RudderStack("write-key", "https://plane.example.com")
LIBRARY = {"name": "asyncsdk", "version": __version__}


# --- against the Node package ---------------------------------------------------------------------------------------

# Fields that differ from `@rudderstack/rudder-sdk-node` 3.0.13 on purpose.
NOT_COMPARED = {
    "originalTimestamp": "each has its own",
    "sentAt": "each has its own; ours is put in at every attempt",
    "messageId": "each has its own, unless the caller gave one",
    "_metadata": "tells the version of Node",
    "integrations": "ours is always there: the server takes an absent one for the same",
}
GOLDENS = Path(__file__).parent / "goldens" / "rudderstack.json"


def user(fields: dict[str, Any]) -> User:
    return User(fields.get("userId"), anonymous_id=fields.get("anonymousId"))


VERBS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "identify": lambda given: IdentifyEvent(user(given), given.get("traits")),
    "track": lambda given: Track(user(given), given["event"], given.get("properties")),
    "page": lambda given: Page(user(given), given.get("name"), given.get("properties"), category=given.get("category")),
    "screen": lambda given: Screen(
        user(given), given.get("name"), given.get("properties"), category=given.get("category")
    ),
    "group": lambda given: Group(user(given), given["groupId"], given.get("traits")),
    "alias": lambda given: Alias(given["previousId"], user(given)),
}


def ours(call: str, given: dict[str, Any]) -> Event:
    timestamp = given.get("timestamp")
    return attrs.evolve(
        VERBS[call](given),
        context=given.get("context"),
        integrations=given.get("integrations"),
        timestamp=datetime.fromisoformat(timestamp) if timestamp else None,
    )


def comparable(message: dict[str, Any]) -> dict[str, Any]:
    context = {name: value for name, value in message["context"].items() if name != "library"}
    kept = {name: value for name, value in message.items() if name not in NOT_COMPARED}
    return kept | {"context": context}


@pytest.mark.parametrize(
    "row", json.loads(GOLDENS.read_bytes())["rows"], ids=lambda row: json.dumps(row["fields"])[:60]
)
def test_a_call_sends_what_the_node_package_sends(row: dict[str, Any]) -> None:
    theirs = comparable(row["message"])
    if isinstance(theirs.get("groupId"), int):
        theirs["groupId"] = str(theirs["groupId"])  # ids are text here, also those the Node package forgets

    assert comparable(event(RUDDERSTACK, ours(row["call"], row["fields"]))) == theirs


# What a call of ours can be given; the Node package lets fields of other calls and null through.
GIVEN = {
    "identify": {"traits"},
    "track": {"event", "properties"},
    "page": {"name", "category", "properties"},
    "screen": {"name", "category", "properties"},
    "group": {"groupId", "traits"},
    "alias": {"previousId"},
}
EVERYWHERE = {"userId", "anonymousId", "context", "integrations"}


def test_recorded_calls_send_what_the_node_package_sent(vectors: Path) -> None:
    lines = (vectors / "rudderstack" / "node_3.0.13_calls.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if "queued" in row and isinstance(row["input"], dict)]
    compared = 0
    for call, given, theirs in ((row["method"], row["input"], row["queued"]) for row in rows):
        strange = given.keys() - GIVEN[call] - EVERYWHERE or '"$' in json.dumps(given) or None in given.values()
        made = None if strange else accepted(call, given)
        if made is not None:
            texts = {name: str(theirs[name]) for name in ("groupId", "previousId") if name in theirs}
            assert comparable(event(RUDDERSTACK, made)) == comparable(theirs | texts), given
            compared += 1
    assert compared > 30


def accepted(call: str, given: dict[str, Any]) -> Event | None:
    """Create an event, or return None where this package is stricter: see tests/model."""
    made = ours(call, given)
    try:
        validate_event(made)
    except InvalidEventError:
        return None
    return made


# --- the schema -----------------------------------------------------------------------------------------------------

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
OBJECTS = ("properties", "traits", "context", "integrations")
TEXTS = ("userId", "anonymousId", "groupId", "previousId", "messageId", "event", "name", "category")
NEEDED = {"track": ["event"], "group": ["groupId"], "alias": ["userId", "previousId"]}


def faults(message: dict[str, Any]) -> Iterator[str]:
    """Yield what RudderStack's server or transformer would refuse."""
    if message["type"] not in ("identify", "track", "page", "screen", "group", "alias"):
        yield "type"
    if not (message.get("userId") or message.get("anonymousId")):
        yield "nobody"
    yield from (name for name in TEXTS if name in message and not isinstance(message[name], str))
    yield from (name for name in OBJECTS if name in message and not isinstance(message[name], dict))
    yield from (name for name in NEEDED.get(message["type"], []) if not message.get(name))
    times = ("originalTimestamp", "sentAt", *(["timestamp"] if "timestamp" in message else []))
    yield from (name for name in times if not TIME.fullmatch(message[name]))
    if message["channel"] != "server" or not message["messageId"]:
        yield "envelope"
    if not isinstance(message["integrations"].get("All", True), bool):
        yield "integrations"
    if message["context"]["library"] != LIBRARY:
        yield "library"
    if None in message.values():
        yield "null"


@pytest.mark.parametrize("given", EVENTS, ids=lambda one: type(one).__name__)
def test_every_message_is_acceptable_to_the_server(given: Event) -> None:
    given = attrs.evolve(given, timestamp=datetime(2026, 1, 1, tzinfo=UTC))
    chunk = RUDDERSTACK.encode(given, MESSAGE_ID, NOW_MS)

    if isinstance(chunk, bytes):
        assert list(faults(framed(RUDDERSTACK, [chunk])[0])) == []


# --- our own rules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "ids"),
    [
        (User("u"), {"userId": "u"}),
        (User(7), {"userId": "7"}),
        (User("u", anonymous_id=8, device_id="d"), {"userId": "u", "anonymousId": "8"}),
        (User("u", device_id="d"), {"userId": "u"}),
        (User(device_id="d"), {"anonymousId": "d"}),
        (User(" ", anonymous_id="\u200b", device_id="d"), {"anonymousId": "d"}),
        (User(anonymous_id="a", device_id="d"), {"anonymousId": "a"}),
        (User("u", anonymous_id=" "), {"userId": "u"}),
    ],
    ids=str,
)
def test_ids_are_text_and_a_device_id_replaces_a_missing_anonymous_id(who: User, ids: dict[str, str]) -> None:
    sent = event(RUDDERSTACK, Track(who, "x"))

    assert {name: sent[name] for name in ("userId", "anonymousId") if name in sent} == ids


def test_the_caller_s_context_overrides_the_user_s_but_not_the_library() -> None:
    sent = event(
        RUDDERSTACK, Track(ADA, "x", context={"ip": "9.9.9.9", "library": {"name": "other"}, "page": {"a": 1}})
    )

    assert sent["context"] == {
        "ip": "9.9.9.9", "userAgent": "curl/8", "locale": "en-GB", "page": {"a": 1}, "library": LIBRARY,
    }  # fmt: skip


def test_the_caller_s_context_is_not_changed() -> None:
    context = {"page": {"a": 1}}

    event(RUDDERSTACK, IdentifyEvent(ADA, {"plan": "pro"}, context=context))

    assert context == {"page": {"a": 1}}


def test_a_timestamp_is_sent_beside_the_time_of_the_call() -> None:
    sent = event(RUDDERSTACK, Track(ADA, "x", timestamp=datetime(2026, 1, 1, 0, 0, 0, 999_999, UTC)))

    assert (sent["originalTimestamp"], sent["timestamp"]) == (NOW, "2026-01-01T00:00:00.999Z")


@pytest.mark.parametrize("verb", [IdentifyEvent, lambda who, traits: Group(who, "g", traits)])
def test_only_the_set_values_of_operations_are_sent(verb: Any) -> None:
    sent = event(RUDDERSTACK, verb(ADA, Identify().set("a", 1).set_once("b", 2).add("c", 3)))

    assert sent["traits"] == {"a": 1, "b": 2}


def test_a_revenue_builder_becomes_a_track_with_e_commerce_names() -> None:
    sent = event(RUDDERSTACK, Track(ADA, Revenue(2.5, 4, product_id="p"), {"coupon": "x"}))

    assert (sent["type"], sent["event"]) == ("track", "revenue_amount")
    assert sent["properties"] == {"coupon": "x", "price": 2.5, "quantity": 4, "product_id": "p", "revenue": 10.0}


@pytest.mark.parametrize(
    ("value", "metadata", "properties"),
    [(None, None, None), (1, None, {"value": 1}), (1, {"a": 2}, {"value": 1, "a": 2}), (None, {"a": 2}, {"a": 2})],
)
def test_an_event_in_statsig_s_form_becomes_a_track(value: Any, metadata: Any, properties: Any) -> None:
    sent = event(RUDDERSTACK, LogEvent(ADA, "add_to_cart", value, metadata))

    assert (sent["type"], sent["event"], sent.get("properties")) == ("track", "add_to_cart", properties)


def test_an_event_in_amplitude_s_form_becomes_a_track() -> None:
    sent = event(RUDDERSTACK, raw_event({"event_type": "e", "user_id": 7, "event_properties": {"a": 1}, "time": 1000}))

    assert (sent["type"], sent["event"], sent["userId"]) == ("track", "e", "7")
    assert (sent["properties"], sent["timestamp"]) == ({"a": 1}, "1970-01-01T00:00:01.000Z")


@pytest.mark.parametrize("name", ["$identify", "$groupidentify"])
def test_amplitude_s_own_calls_have_no_counterpart(name: str) -> None:
    given = raw_event({"event_type": name, "user_id": "u"})

    assert RUDDERSTACK.encode(given, MESSAGE_ID, NOW_MS) == Refusal("skipped", "no such call")


def test_an_event_larger_than_a_request_is_refused() -> None:
    given = Track(ADA, "x", {"text": "x" * 4_000_000})

    assert RUDDERSTACK.encode(given, MESSAGE_ID, NOW_MS) == Refusal("rejected", "too large")


# --- requests and responses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "full"),
    [
        ("https://plane.example.com", "https://plane.example.com/v1/batch"),
        ("https://plane.example.com/", "https://plane.example.com/v1/batch"),
        ("https://plane.example.com/v1/batch/", "https://plane.example.com/v1/batch"),
        ("http://proxy:8080/rudder/", "http://proxy:8080/rudder/v1/batch"),
    ],
)
def test_the_address_may_have_the_path_or_not(url: str, full: str) -> None:
    request = RudderStack("k", url).frame([b"{"], 0)

    assert (request.url, request.canonical_path) == (full, "/v1/batch")


def test_the_key_is_sent_as_a_user_without_password() -> None:
    request = RUDDERSTACK.frame([b"{"], 0)

    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"write-key:"
    assert request.headers["Content-Type"] == "application/json"


def test_every_event_and_the_batch_have_the_time_of_this_attempt() -> None:
    body = orjson.loads(RUDDERSTACK.frame([b'{"a":1', b'{"b":2'], NOW_MS).body)

    assert body == {"batch": [{"a": 1, "sentAt": NOW}, {"b": 2, "sentAt": NOW}], "sentAt": NOW}


@pytest.mark.parametrize(("gzip", "gzip_from"), [(True, 1024), (False, None)])
def test_compression_can_be_disabled(gzip: bool, gzip_from: int | None) -> None:
    assert RudderStack("k", "http://x", gzip=gzip).frame([b"{"], 0).gzip_from == gzip_from


def test_a_body_that_could_not_be_read_is_sent_again_uncompressed() -> None:
    verdict = RUDDERSTACK.judge(Response(500, {}, b"failed to read body from request\n"), [b"{"] * 2)

    assert verdict == Verdict(retry=range(2), uncompressed=True, reason="status 500: body unreadable")


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b"ok", Verdict()),
        (400, b"invalid json\n", Verdict(halve=True, reason="status 400")),
        (401, b"invalid write key\n", Verdict(halt=True, reason="status 401")),
        (404, b"source is disabled\n", Verdict(halt=True, reason="status 404")),
        (413, b"request size exceeds max limit\n", Verdict(halve=True, too_large=True, reason="status 413")),
        (429, b"max requests limit reached\n", Verdict(retry=range(2), reason="status 429")),
        (500, b"pq: too many connections\n", Verdict(retry=range(2), reason="status 500")),
        (504, b"gateway timeout\n", Verdict(retry=range(2), reason="status 504")),
    ],
)
def test_the_gateway_s_responses_are_judged_as_documented(status: int, body: bytes, verdict: Verdict) -> None:
    assert RUDDERSTACK.judge(Response(status, {}, body), [b"{"] * 2) == verdict
