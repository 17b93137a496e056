"""Replies of the imitated Amplitude, and the events that it ingests."""

import gzip
from typing import Any

import orjson
import pytest

from asyncsdk.dev.amplitude import AmplitudeServer
from asyncsdk.dev.messages import MAX_BODY, IncomingRequest, Reply

JSON = {"content-type": "application/json; charset=UTF-8"}
ADA = {"event_type": "Order", "user_id": "ada-1", "insert_id": "i-1"}
BOB = {"event_type": "Order", "device_id": "bob-1", "insert_id": "i-1"}


def post(
    body: Any,
    path: str = "/2/httpapi",
    api: AmplitudeServer = AmplitudeServer(),  # noqa: B008 -- without limits it has no state
    headers: dict[str, str] = JSON,
    now: float = 0.0,
) -> Reply:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    route = api.route("POST", path)
    assert route is not None
    return route.handle(IncomingRequest("POST", path, headers=headers, body=raw, now=now))


def upload(*events: Any, **rest: Any) -> dict[str, Any]:
    return {"api_key": "key", "events": events, **rest}


def decoded_body(reply: Reply) -> dict[str, Any]:
    assert reply.headers == {"Content-Type": "application/json"}
    decoded: dict[str, Any] = orjson.loads(reply.body)
    assert decoded["code"] == reply.status
    return decoded


def test_a_good_upload_is_counted() -> None:
    body = upload(ADA, BOB, client_upload_time="2026-11-20T20:16:11.414Z")

    reply = post(body, now=1_700_000_000.5)

    assert decoded_body(reply) == {
        "code": 200,
        "events_ingested": 2,
        "payload_size_bytes": len(orjson.dumps(body)),
        "server_upload_time": 1_700_000_000_500,
    }
    assert [event.verdict for event in reply.events] == ["accepted", "accepted"]


def test_an_event_shows_what_it_is() -> None:
    events = post(upload(ADA, BOB, ADA | {"event_type": "$identify"}, ADA | {"event_type": "$groupidentify"})).events

    assert [(event.id, event.user, event.kind) for event in events] == [
        ("i-1", "ada-1", "event"),
        ("i-1", "bob-1", "event"),
        ("i-1", "ada-1", "identify"),
        ("i-1", "ada-1", "group identify"),
    ]
    assert (events[0].name, events[0].body, events[0].stored) == ("Order", ADA, ADA)


INVALID_JSON = {"error": "Invalid JSON request body"}
TOO_LARGE = {"code": 413, "error": "Payload too large"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {"error": "Missing request body"}),
        (b"{", INVALID_JSON),
        (b"[]", INVALID_JSON),
        (b'{"api_key":"k","events":[{"event_type":"a","user_id":"ada-1","price":NaN}]}', INVALID_JSON),
        ({"events": [ADA]}, {"error": "Request missing required field", "missing_field": "api_key"}),
        ({"api_key": "k"}, {"error": "Request missing required field", "missing_field": "events"}),
        (upload(), {"error": "Request missing required field", "missing_field": "events"}),
        ({"api_key": "k", "events": "x"}, {"error": "Invalid event JSON"}),
        (upload(ADA, 3), {"error": "Invalid event JSON"}),
        (upload(*[ADA] * 2001), TOO_LARGE),
        (b" " * 1_000_001, TOO_LARGE),
    ],
)
def test_a_bad_upload_is_rejected_in_amplitudes_words(body: Any, expected: dict[str, Any]) -> None:
    assert decoded_body(post(body)) == {"code": 400} | expected


def test_the_content_type_must_be_json() -> None:
    assert decoded_body(post(upload(ADA), headers={"content-type": "text/plain"}))["error"] == INVALID_JSON["error"]


def test_the_batch_path_accepts_larger_bodies() -> None:
    pad = [ADA | {"event_properties": {"pad": "x" * 1000}}] * 1500

    assert post(upload(*pad), "/2/httpapi").status == 413
    assert post(upload(*pad), "/batch").status == 200


@pytest.mark.parametrize(
    ("event", "details"),
    [
        ({"event_type": ""}, {"events_with_missing_fields": {"event_type": [1]}}),
        ({"user_id": None}, {"events_with_missing_fields": {"user_id": [1], "device_id": [1]}}),
        ({"user_id": 12345}, {"events_with_invalid_fields": {"user_id": [1]}}),
        ({"user_id": "anonymous"}, {"events_with_invalid_fields": {"user_id": [1]}}),
        ({"device_id": "00000000-0000"}, {"events_with_invalid_fields": {"device_id": [1]}}),
        ({"time": "2026-11-20"}, {"events_with_invalid_fields": {"time": [1]}}),
        ({"time": True}, {"events_with_invalid_fields": {"time": [1]}}),
        ({"event_type": 3}, {"events_with_invalid_fields": {"event_type": [1]}}),
        ({"price": "3", "quantity": 1.5}, {"events_with_invalid_fields": {"price": [1], "quantity": [1]}}),
        ({"event_properties": []}, {"events_with_invalid_fields": {"event_properties": [1]}}),
        ({"user_id": "ada"}, {"events_with_invalid_id_lengths": {"user_id": [1]}}),
        ({"device_id": "d"}, {"events_with_invalid_id_lengths": {"device_id": [1]}}),
    ],
)
def test_a_bad_event_rejects_the_upload_and_is_named(event: dict[str, Any], details: dict[str, Any]) -> None:
    reply = post(upload(ADA, ADA | event))

    assert reply.status == 400
    assert {key: value for key, value in decoded_body(reply).items() if key not in ("code", "error")} == details
    assert reply.events[0].verdict == "rejected: came with an event that was"
    assert reply.events[1].verdict.startswith("rejected: ")


def test_one_kind_of_fault_is_named_at_a_time() -> None:
    assert decoded_body(post(upload(ADA | {"time": "x"}, {"user_id": "ada-1"}, ADA | {"user_id": "a"}))) == {
        "code": 400,
        "error": "Request missing required field",
        "events_with_missing_fields": {"event_type": [1]},
    }


@pytest.mark.parametrize(
    ("options", "status"),
    [({"min_id_length": 1}, 200), ({}, 400), ({"min_id_length": "1"}, 400), (None, 400)],
)
def test_the_client_may_allow_shorter_ids(options: Any, status: int) -> None:
    assert post(upload(ADA | {"user_id": "a"}, options=options)).status == status


@pytest.mark.parametrize(("levels", "status"), [(40, 200), (41, 400), (60, 400)])
def test_properties_may_have_forty_levels(levels: int, status: int) -> None:
    properties: Any = 1
    for _ in range(levels):
        properties = {"a": properties, "b": []} if levels % 2 else {"a": properties}

    assert post(upload(ADA | {"event_properties": properties})).status == status


def test_lists_are_levels_too() -> None:
    assert post(upload(ADA | {"event_properties": {"a": [[{"b": [1]}]]}})).status == 200


def test_numbers_may_be_of_either_kind() -> None:
    assert post(upload(ADA | {"price": 3, "revenue": 2.5, "time": 1, "unknown": "kept"})).status == 200


def test_only_known_keys_are_accepted() -> None:
    api = AmplitudeServer(keys={"key"})

    assert post(upload(ADA), api=api).status == 200
    assert decoded_body(post(upload(ADA, api_key="nope"), api=api))["error"] == "Invalid API key: nope"


def test_the_body_may_be_gzipped() -> None:
    zipped = JSON | {"content-encoding": "gzip"}
    raw = orjson.dumps(upload(ADA))

    assert decoded_body(post(gzip.compress(raw), headers=zipped))["payload_size_bytes"] == len(raw)
    assert decoded_body(post(raw, headers=zipped))["error"] == INVALID_JSON["error"]
    assert decoded_body(post(gzip.compress(bytes(MAX_BODY + 1), 1), headers=zipped)) == TOO_LARGE


def test_a_duplicate_has_the_key_of_its_device() -> None:
    keys = [
        event.key
        for event in post(upload(ADA, ADA | {"device_id": "dev-1"}, BOB, ADA, {**ADA, "insert_id": None})).events
    ]

    assert keys[0] == keys[3]
    assert len(set(keys[:3])) == 3
    assert keys[4] is None


def test_silenced_devices_are_named() -> None:
    reply = post(upload(ADA, BOB, BOB), api=AmplitudeServer(silenced_devices={"bob-1"}))

    assert decoded_body(reply) == {
        "code": 400,
        "error": "Events silenced for device_id",
        "silenced_devices": ["bob-1"],
        "silenced_events": [1, 2],
    }


def test_too_many_events_a_second_are_throttled() -> None:
    api = AmplitudeServer(eps_threshold=1, eps_window=2)
    for window in api.windows:
        window.charge(post(upload(ADA, BOB), api=api).usage, now=0.0)

    reply = post(upload(BOB, ADA, ADA | {"device_id": "dev-1"}), api=api)

    assert decoded_body(reply) == {
        "code": 429,
        "error": "Too many requests for some devices and users",
        "eps_threshold": 1,
        "throttled_devices": {},
        "throttled_users": {"ada-1": 2},
        "exceeded_daily_quota_devices": {},
        "exceeded_daily_quota_users": {},
        "throttled_events": [1, 2],
    }
    assert post(upload(ADA, ADA), api=api, now=4.0).status == 200


def test_too_many_events_a_day_are_throttled() -> None:
    api = AmplitudeServer(daily_quota=2)

    reply = decoded_body(post(upload(BOB, BOB, BOB, ADA), api=api))

    assert reply["exceeded_daily_quota_devices"] == {"bob-1": 3}
    assert reply["throttled_events"] == [0, 1, 2]
    assert post(upload(BOB, BOB), api=api).usage == {"device:bob-1": 2}


def test_a_server_without_limits_counts_nothing() -> None:
    assert AmplitudeServer().windows == ()


def test_other_methods_and_paths_are_rejected() -> None:
    route = AmplitudeServer().route("GET", "/batch")

    assert route is not None
    assert decoded_body(route.handle(IncomingRequest("GET", "/batch")))["code"] == 405
    assert AmplitudeServer().route("POST", "/") is None


def test_an_error_reply_has_amplitudes_words() -> None:
    assert decoded_body(AmplitudeServer().error_reply(403)) == {"code": 403, "error": "Forbidden"}
    assert decoded_body(AmplitudeServer().error_reply(502)) == {"code": 502, "error": "status 502"}
