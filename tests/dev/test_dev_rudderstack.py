"""Replies of the imitated RudderStack gateway, and the events that it stores."""

import base64
import gzip
from typing import Any

import orjson
import pytest

from asyncsdk.dev.messages import MAX_BODY, IncomingRequest, Reply
from asyncsdk.dev.rudderstack import BODY_LIMIT, CALLS, RudderStackServer, clean, identity

BASIC = {"authorization": "Basic " + base64.b64encode(b"key:").decode()}
GZIP = {**BASIC, "content-encoding": "gzip"}
ADA = {"type": "track", "event": "Order", "userId": "ada", "messageId": "m-1"}


def post(
    body: Any,
    path: str = "/v1/batch",
    headers: dict[str, str] = BASIC,
    plane: RudderStackServer = RudderStackServer(),  # noqa: B008 -- it has no state
    **rest: Any,
) -> Reply:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    route = plane.route("POST", path)
    assert route is not None
    return route.handle(IncomingRequest("POST", path, headers=headers, body=raw, **rest))


def batch(*events: Any) -> dict[str, Any]:
    return {"batch": events}


def verdicts(reply: Reply) -> list[str]:
    return [event.verdict for event in reply.events]


def test_a_good_batch_gets_ok() -> None:
    reply = post(batch(ADA))

    assert (reply.status, reply.body) == (200, b"ok")
    assert verdicts(reply) == ["accepted"]
    assert reply.json == {"batch": [ADA]}
    assert reply.plain_size == len(orjson.dumps(batch(ADA)))


def test_an_event_is_stored_with_what_the_gateway_adds() -> None:
    event = post(batch(ADA), now=1_700_000_000.5, peer="10.0.0.9").events[0]

    assert (
        event.stored
        == {
            **ADA,
            "receivedAt": "2023-11-14T22:13:20.500Z",
            "request_ip": "10.0.0.9",
            "rudderId": "7158bb7b-44c1-4dd9-870c-881b9720a741",
        }
        or event.stored["rudderId"]
    )
    assert event.body == ADA
    assert (event.id, event.user, event.kind, event.name) == ("m-1", "ada", "track", "Order")


INVALID_JSON = (400, "invalid json")
NO_EVENT = (400, "event is not a valid rudder event")
NO_IDENTITY = (400, "request neither has anonymousId nor userId")
EMPTY = (400, "empty batch payload")
UNREAD = (500, "failed to read body from request")
NO_KEY = (401, "failed to read writekey from header")


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (batch(ADA), {}, NO_KEY),
        (batch(ADA), {"authorization": "Bearer key"}, NO_KEY),
        (batch(ADA), {"authorization": "Basic Og=="}, NO_KEY),
        (batch(ADA), {"authorization": "Basic !!"}, NO_KEY),
        (batch(ADA), {"authorization": "Basic /w=="}, NO_KEY),
        (b"", BASIC, INVALID_JSON),
        (b"", GZIP, INVALID_JSON),
        (b"{'a': 1}", BASIC, INVALID_JSON),
        (b'{"batch":[{"userId":"u","a":NaN}]}', BASIC, INVALID_JSON),
        (b'{"batch":[{"userId":"u","a":1e400}]}', BASIC, INVALID_JSON),
        (b'{"batch":[{"userId":"u","a":%s1%s}]}' % (b"[" * 5000, b"]" * 5000), BASIC, INVALID_JSON),
        (b'\xef\xbb\xbf{"batch":[{"userId":"u"}]}', BASIC, INVALID_JSON),
        (gzip.compress(orjson.dumps(batch(ADA)), mtime=0), BASIC | {"content-encoding": "GZIP"}, INVALID_JSON),
        (batch(ADA), GZIP, UNREAD),
        (gzip.compress(orjson.dumps(batch(ADA)), mtime=0)[:-5], GZIP, UNREAD),
        (gzip.compress(orjson.dumps(batch(ADA)), mtime=0) + b"x", GZIP, UNREAD),
        (gzip.compress(bytes(MAX_BODY + 1), 1), GZIP, (413, "request size exceeds max limit")),
        ([ADA], BASIC, EMPTY),
        ({}, BASIC, EMPTY),
        (batch(), BASIC, EMPTY),
        (batch(ADA, "x"), BASIC, NO_EVENT),
        ({"batch": 3}, BASIC, NO_EVENT),
        (batch({"type": "group", "groupId": "g"}), BASIC, NO_IDENTITY),
        (batch({"userId": "\u200b \u3164", "anonymousId": None}), BASIC, NO_IDENTITY),
    ],
)
def test_a_bad_request_is_rejected_in_the_gateways_words(
    body: Any, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    reply = post(body, headers=headers)

    assert (reply.status, reply.body.decode()) == (expected[0], expected[1] + "\n")
    assert reply.headers == {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
    }


@pytest.mark.parametrize(
    "event",
    [
        {"anonymousId": "a"},
        {"userId": 0},
        {"userId": False},
        {"userId": {}},
        {"type": "record"},
        {"userId": "u", "type": 7, "event": 8},
    ],
)
def test_the_gateway_stores_strange_events(event: dict[str, Any]) -> None:
    assert post(batch(event)).status == 200


def test_one_bad_event_rejects_the_batch_and_is_named() -> None:
    reply = post(batch(ADA, {"type": "track"}, 7))

    assert reply.body == b"request neither has anonymousId nor userId\n"
    assert verdicts(reply) == [
        "rejected: came with an event that was",
        "rejected: request neither has anonymousId nor userId",
        "rejected: event is not a valid rudder event",
    ]


def test_a_single_object_is_a_batch() -> None:
    assert [event.id for event in post({"batch": ADA}).events] == ["m-1"]


def test_the_body_may_be_gzipped_in_several_members() -> None:
    raw = orjson.dumps(batch(ADA))

    reply = post(gzip.compress(raw[:9], mtime=0) + gzip.compress(raw[9:], mtime=0), headers=GZIP)

    assert reply.status == 200
    assert reply.plain_size == len(raw)


def test_the_body_size_is_limited() -> None:
    event = {"userId": "u", "pad": ""}
    room = BODY_LIMIT - len(orjson.dumps(batch(event)))

    assert post(batch(event | {"pad": "x" * room})).status == 200
    assert post(batch(event | {"pad": "x" * (room + 1)})).status == 413


@pytest.mark.parametrize("call", CALLS)
def test_a_single_call_gets_the_type_of_its_path(call: str) -> None:
    event = post(ADA | {"type": "other"}, f"/v1/{call}").events[0]

    assert (event.kind, event.stored["type"]) == (call, call)


@pytest.mark.parametrize(("body", "text"), [([ADA], NO_EVENT[1]), ("x", NO_IDENTITY[1]), (batch(ADA), NO_IDENTITY[1])])
def test_a_single_call_accepts_one_event_only(body: Any, text: str) -> None:
    assert post(body, "/v1/track").body.decode() == text + "\n"


def test_a_beacon_has_its_key_in_the_query() -> None:
    assert post(batch(ADA), "/beacon/v1/batch", {}, query={"writeKey": "k"}).status == 200
    assert post(batch(ADA), "/beacon/v1/batch").body == b"failed to read writekey from query params\n"


@pytest.mark.parametrize(("key", "status"), [("key", 200), ("key ", 401), ("off", 404)])
def test_only_known_keys_of_enabled_sources_are_accepted(key: str, status: int) -> None:
    plane = RudderStackServer(keys={"key", "off"}, disabled_keys={"off"})

    reply = post(batch(ADA), headers={"authorization": "basic " + base64.b64encode(key.encode()).decode()}, plane=plane)

    assert reply.status == status


@pytest.mark.parametrize("message_id", [None, 42, "", " \u200b\t"])
def test_a_message_id_that_is_not_text_is_replaced(message_id: Any) -> None:
    first, second = post(batch(*[ADA | {"messageId": message_id}] * 2)).events

    assert len(first.id) == 36
    assert first.id != second.id
    assert first.key != second.key


def test_invisible_characters_are_removed_from_a_message_id() -> None:
    assert post(batch(ADA | {"messageId": "\x00 a\tb\u00a0c d\u034f "})).events[0].id == "abc d"


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"event": "e"}, "e"), ({"name": "n"}, "n"), ({"groupId": "g"}, "g"), ({"event": 1}, "")],
)
def test_an_event_has_the_name_of_its_subject(fields: dict[str, Any], name: str) -> None:
    assert post(batch({"userId": "u", **fields})).events[0].name == name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (" u ", "u"),
        (7, "7"),
        (1.5, "1.5"),
        (2.0, "2"),
        (1e21, "1000000000000000000000"),
        ({"b": [], "a": 1}, '{"a":1,"b":[]}'),
    ],
)
def test_an_id_of_any_type_has_a_text(value: Any, text: str) -> None:
    assert identity(value) == text


def test_visible_text_is_kept() -> None:
    assert clean(" ü β \U0001f600 ") == "ü β \U0001f600"


def test_the_address_and_the_time_may_be_given() -> None:
    given = {"request_ip": "9.9.9.9", "receivedAt": "2020-01-01T00:00:00Z"}

    assert post(batch(ADA | given)).events[0].stored.items() >= given.items()
    assert (
        post(batch(ADA), headers=BASIC | {"x-forwarded-for": "1.1.1.1, 2.2.2.2"}).events[0].stored["request_ip"]
        == "1.1.1.1"
    )


def test_invalid_unicode_is_replaced() -> None:
    names = [
        event.name
        for event in post(b'{"batch":[{"userId":"u","event":"a\\ud800b"},{"userId":"u","event":"\xff"}]}').events
    ]

    assert names == ["a\ufffdb", "\ufffd"]


def test_numbers_are_64_bit_floats() -> None:
    event = post(
        b'{"batch":[{"userId":12345678901234567890,"a":9007199254740993,"b":-12,"c":1234567890123456,"c":2}]}'
    ).events[0]

    assert event.user == "12345678901234567000"
    assert [event.stored[key] for key in "abc"] == [9007199254740992, -12, 1234567890123456]


def test_a_limit_counts_events_of_a_key() -> None:
    plane = RudderStackServer(rate_limit=3, rate_window=60)
    plane.windows[0].charge(post(batch(ADA, ADA), plane=plane).usage, now=0.0)

    assert post(batch(ADA), plane=plane).status == 200
    assert post(batch(ADA, ADA), plane=plane).status == 429
    assert post(batch(ADA, ADA), plane=plane, now=130.0).status == 200


def test_an_error_reply_has_the_gateways_words() -> None:
    assert RudderStackServer().error_reply(503).body == b"Service Unavailable\n"
    assert RudderStackServer().error_reply(418).body == b"status 418\n"


def test_the_gateway_reports_its_health() -> None:
    route = RudderStackServer().route("GET", "/health")

    assert route is not None
    assert not route.may_fail
    assert orjson.loads(route.handle(IncomingRequest("GET", "/health")).body)["server"] == "UP"


def test_another_method_is_not_allowed() -> None:
    route = RudderStackServer().route("GET", "/v1/batch")

    assert route is not None
    assert route.handle(IncomingRequest("GET", "/v1/batch")) == Reply(405, headers={"Allow": "POST"})


@pytest.mark.parametrize("path", ["/v1/batch/", "/v1/", "/v1/import", "/"])
def test_other_paths_are_not_the_gateways(path: str) -> None:
    assert RudderStackServer().route("POST", path) is None


def test_a_server_shows_no_keys() -> None:
    assert "secret" not in repr(RudderStackServer(keys={"secret"}))
