"""How Amplitude's responses are judged."""

from typing import Any

import orjson
import pytest

from asyncsdk.vendors._base import Response, Verdict
from asyncsdk.vendors.amplitude import Amplitude

AMPLITUDE = Amplitude("k")
IDS = [
    ("alpha", "device-1"),
    ("alpha", "device-1"),
    ("beta", "device-2"),
    ("beta", "device-2"),
    ("gamma", None),
    (None, "device-5"),
]
CHUNKS = [orjson.dumps({"user_id": user, "device_id": device})[:-1] for user, device in IDS]


def judge(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Verdict:
    text = body if isinstance(body, bytes) else orjson.dumps(body)
    return AMPLITUDE.judge(Response(status, headers or {}, text), CHUNKS)


def test_invalid_events_are_rejected_and_the_others_resent_at_once() -> None:
    body = {
        "code": 400,
        "events_with_invalid_fields": {"time": [1, 2]},
        "events_with_missing_fields": {"event_type": [2]},
        "events_with_invalid_id_lengths": {"user_id": [5]},
    }

    assert judge(400, body) == Verdict(
        resend=[0, 3, 4],
        reject={1: "invalid field", 2: "missing field", 5: "id too short (min_id_length)"},
        pause=[],
        reason="status 400",
    )


@pytest.mark.parametrize(
    "body", [{"silenced_events": [0, 1]}, {"silenced_devices": ["device-1"]}, {"silenced_devices": {"device-1": 1}}]
)
def test_events_of_a_silenced_device_are_rejected(body: dict[str, Any]) -> None:
    verdict = judge(400, body)

    assert verdict.reject == {0: "silenced", 1: "silenced"}
    assert verdict.resend == [2, 3, 4, 5]


@pytest.mark.parametrize(
    "body",
    [
        {"throttled_users": {"beta": 31}},
        {"throttled_devices": {"device-2": 31}},
        {"throttled_events": [2, 3]},
        {"throttled_events": [3, 2], "throttled_users": {"beta": 31}, "throttled_devices": {}},
    ],
)
def test_only_the_throttled_user_or_device_pauses(body: dict[str, Any]) -> None:
    assert judge(429, body) == Verdict(resend=[0, 1, 4, 5], pause=[2, 3], pause_for=30.0, reason="status 429")


def test_the_batch_endpoint_has_a_shorter_pause() -> None:
    answer = Response(429, {}, b'{"throttled_events":[0]}')

    assert Amplitude("k", use_batch=True).judge(answer, CHUNKS).pause_for == 15.0


def test_a_retry_after_sets_the_pause() -> None:
    assert judge(429, {"throttled_events": [0]}, {"retry-after": "60"}).pause_for == 60.0


@pytest.mark.parametrize(
    "body",
    [
        {"exceeded_daily_quota_users": {"alpha": 500_200}},
        {"exceeded_daily_quota_devices": {"device-1": 500_900}},
        {"exceeded_daily_quota_users": {"alpha": 500_200}, "throttled_events": [0, 1]},
    ],
)
def test_events_of_a_user_or_device_over_its_daily_quota_are_rejected(body: dict[str, Any]) -> None:
    verdict = judge(429, body)

    assert verdict.reject == {0: "daily quota", 1: "daily quota"}
    assert (verdict.pause, verdict.resend) == ([], [2, 3, 4, 5])


@pytest.mark.parametrize(("headers", "wait"), [({}, 30.0), ({"retry-after": "3"}, 3.0), ({"retry-after": "0"}, 30.0)])
@pytest.mark.parametrize("body", [b"slow down", {"eps_threshold": 1000}, {"throttled_users": {"nobody": 1}}])
def test_a_429_without_names_retries_the_whole_batch(body: Any, headers: dict[str, str], wait: float) -> None:
    assert judge(429, body, headers) == Verdict(retry=range(6), retry_after=wait, reason="status 429")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", {"error": "Invalid JSON request body"}, {"events_with_invalid_fields": {"time": [99, -1]}}]
)
def test_a_400_without_names_halves_the_batch(body: Any) -> None:
    assert judge(400, body) == Verdict(halve=True, reason="status 400")


@pytest.mark.parametrize("error", ["Invalid API key", "Invalid API key: 0123"])
def test_a_wrong_key_halts_the_destination(error: str) -> None:
    assert judge(400, {"code": 400, "error": error}) == Verdict(halt=True, reason="invalid API key")


def test_a_request_that_lost_a_field_is_not_sent_again() -> None:
    verdict = judge(400, {"code": 400, "missing_field": "events", "events_with_missing_fields": {"event_type": [3]}})

    assert verdict == Verdict(reject=dict.fromkeys(range(6), "request incomplete"), reason="status 400")


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (200, 400, Verdict(halve=True, reason="status 400")),
        (502, 200, Verdict()),
        (200, 222, Verdict()),
        (200, 500, Verdict(retry=range(6), reason="status 500")),
        (200, True, Verdict()),
        (200, "400", Verdict()),
        (200, 7, Verdict()),
        (503, 10**9, Verdict(retry=range(6), reason="status 503")),
    ],
)
def test_a_code_in_the_body_overrides_the_status_if_it_is_one(status: int, code: object, verdict: Verdict) -> None:
    assert judge(status, {"code": code}) == verdict


@pytest.mark.parametrize("status", [301, 302, 308, 401, 404])
def test_a_status_that_a_person_must_correct_halts_the_destination(status: int) -> None:
    assert judge(status) == Verdict(halt=True, reason=f"status {status}")


@pytest.mark.parametrize(
    "field",
    [
        "events_with_invalid_fields", "silenced_events", "silenced_devices", "throttled_events", "throttled_users",
        "exceeded_daily_quota_devices",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [None, 1, "x", [None, "1", 1.0, True, [1], {}], {"a": None, "b": "c"}])
def test_malformed_values_in_a_response_name_no_event(field: str, value: object) -> None:
    assert judge(400, {field: value}) == Verdict(halve=True, reason="status 400")


def test_an_event_that_is_both_invalid_and_throttled_is_rejected() -> None:
    verdict = judge(429, {"exceeded_daily_quota_users": {"alpha": 1}, "throttled_events": [0, 1, 2]})

    assert (set(verdict.reject), verdict.pause, verdict.resend) == ({0, 1}, [2], [3, 4, 5])
