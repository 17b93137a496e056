"""Replies of the imitated Statsig, and its verdict on each event."""

import gzip
from typing import Any

import orjson
import pytest

from asyncsdk.dev.messages import MAX_BODY, IncomingRequest, Reply
from asyncsdk.dev.statsig import EVENT_ID, StatsigServer

KEY = {"statsig-api-key": "secret-1"}
ADA = {"eventName": "add_to_cart", "time": 1, "user": {"userID": "ada"}, "metadata": {"sku": "A"}}


def post(
    body: Any,
    path: str = "/v1/log_event",
    headers: dict[str, str] = KEY,
    server: StatsigServer = StatsigServer(),  # noqa: B008 -- it has no state
) -> Reply:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    route = server.route("POST", path)
    assert route is not None
    return route.handle(IncomingRequest("POST", path, headers=headers, body=raw))


def log(*events: Any) -> dict[str, Any]:
    return {"events": events, "statsigMetadata": {"sdkType": "x"}}


@pytest.mark.parametrize("path", ["/v1/log_event", "/v1/rgstr"])
def test_events_are_accepted(path: str) -> None:
    reply = post(log(ADA), path)

    assert (reply.status, orjson.loads(reply.body)) == (202, {"success": True})
    assert [event.verdict for event in reply.events] == ["accepted"]


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (ADA, ("ada", "event", "add_to_cart")),
        (ADA | {"user": {"customIDs": {"companyID": "c"}}}, ("c", "event", "add_to_cart")),
        (ADA | {"user": {}}, ("", "event", "add_to_cart")),
        (
            ADA | {"eventName": "statsig::gate_exposure", "metadata": {"gate": "g"}},
            ("ada", "gate_exposure", "g"),
        ),
        (
            ADA | {"eventName": "statsig::layer_exposure", "metadata": {"config": "l"}},
            ("ada", "layer_exposure", "l"),
        ),
        (
            ADA | {"eventName": "statsig::diagnostics", "metadata": None},
            ("ada", "diagnostics", "statsig::diagnostics"),
        ),
    ],
)
def test_an_event_shows_what_it_is(event: dict[str, Any], shown: tuple[str, str, str]) -> None:
    (found,) = post(log(event)).events

    assert (found.user, found.kind, found.name) == shown


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (3, "not an object"),
        ({}, "eventName is not a string"),
        (ADA | {"eventName": ""}, "eventName is not a string"),
        (ADA | {"time": "1"}, "time is not an integer"),
        (ADA | {"time": True}, "time is not an integer"),
        (ADA | {"user": None}, "user is not an object"),
    ],
)
def test_a_bad_event_gets_202_but_is_not_accepted(event: Any, reason: str) -> None:
    reply = post(log(event, ADA))

    assert reply.status == 202
    assert [found.verdict for found in reply.events] == [f"rejected: {reason}", "accepted"]


def test_diagnostics_need_no_user() -> None:
    (found,) = post(log({"eventName": "statsig::diagnostics", "time": 1})).events

    assert found.verdict == "accepted"


def test_only_an_event_with_an_id_has_duplicates() -> None:
    named, nameless = post(log(ADA | {"metadata": {EVENT_ID: "e-1"}}, ADA)).events

    assert (named.id, named.key) == ("e-1", ("statsig", "e-1"))
    assert (nameless.id, nameless.key) == ("", None)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (log(ADA), {}, 401),
        (b"", KEY, 400),
        ([], KEY, 400),
        ({"events": {}}, KEY, 400),
        (gzip.compress(orjson.dumps(log(ADA))), KEY | {"content-encoding": "gzip"}, 202),
        (log(ADA), KEY | {"content-encoding": "gzip"}, 400),
        (gzip.compress(bytes(MAX_BODY + 1), 1), KEY | {"content-encoding": "gzip"}, 413),
        (log(ADA), KEY | {"content-encoding": "lzma"}, 415),
    ],
)
def test_a_request_gets_a_reply(body: Any, headers: dict[str, str], status: int) -> None:
    reply = post(body, headers=headers)

    assert reply.status == status
    assert orjson.loads(reply.body)["success"] == (status == 202)


def test_only_known_keys_are_accepted() -> None:
    server = StatsigServer(keys={"secret-1"})

    assert post(log(ADA), server=server).status == 202
    assert post(log(ADA), headers={"statsig-api-key": "secret-2"}, server=server).status == 401


def test_an_exception_report_of_an_sdk_is_accepted() -> None:
    route = StatsigServer().route("POST", "/v1/sdk_exception")

    assert route is not None
    assert not route.may_fail
    assert route.handle(IncomingRequest("POST", "/v1/sdk_exception", headers=KEY)).status == 202
    assert route.handle(IncomingRequest("POST", "/v1/sdk_exception")).status == 401


def test_other_methods_and_paths_are_rejected() -> None:
    route = StatsigServer().route("GET", "/v1/rgstr")

    assert route is not None
    assert route.handle(IncomingRequest("GET", "/v1/rgstr")).status == 405
    assert StatsigServer().route("POST", "/v1/initialize") is None
