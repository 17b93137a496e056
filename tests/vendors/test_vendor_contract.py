"""The contract that every destination satisfies; a new one is found and tested without being listed."""

import copy
import sys
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.amplitude import Identify
from asyncsdk._model.events import Event, IdentifyEvent, Track
from asyncsdk._model.exposures import ExposedVariant
from asyncsdk.errors import ConfigurationError, InvalidEventError
from asyncsdk.vendors._base import Limits, Refusal, Response, TakesExposures
from asyncsdk.vendors.statsig import Statsig
from vendors.sample_events import ADA, EVENTS, KEY, MESSAGE_ID, NOW_MS, destination_classes, event, framed, make
from vendors.strategies import events, json_values

DESTINATIONS = [make(kind) for kind in destination_classes()]
SPECIAL = {"Amplitude": {"use_batch": True, "min_id_length": 1}, "Statsig": {"message_ids": True}}
DESTINATIONS += [make(type(one), **SPECIAL[one.name]) for one in DESTINATIONS if one.name in SPECIAL]

every_destination = pytest.mark.parametrize("destination", DESTINATIONS, ids=lambda one: one.name)
any_destination = st.sampled_from(DESTINATIONS)


def test_the_three_vendors_are_found() -> None:
    assert {one.name for one in DESTINATIONS} >= {"Amplitude", "RudderStack", "Statsig"}


@every_destination
@pytest.mark.parametrize("given_event", EVENTS, ids=lambda one: type(one).__name__)
def test_every_kind_of_event_becomes_json_or_a_reason(destination: Any, given_event: Event) -> None:
    made = destination.encode(given_event, MESSAGE_ID, NOW_MS)

    if isinstance(made, Refusal):
        assert made.reason
    else:
        assert isinstance(orjson.loads(made + b"}"), dict)


@every_destination
def test_an_exposure_names_the_variant_and_the_user(destination: Any) -> None:
    if isinstance(destination, TakesExposures):
        assert destination.exposures == "none"  # the default
        chunk = destination.encode(
            destination.exposure_event(ADA, ExposedVariant("button", "Test", "rule-1")), MESSAGE_ID, NOW_MS
        )  # type: ignore[attr-defined] # it is a destination
        assert all(word in chunk for word in (b'"button"', b'"Test"', str(ADA.user_id).encode()))
    else:
        assert isinstance(destination, Statsig)  # which has its own format of exposures


@every_destination
def test_a_chunk_keeps_no_larger_buffer_alive(destination: Any) -> None:
    chunk = destination.encode(Track(ADA, "Item Viewed"), MESSAGE_ID, NOW_MS)

    assert sys.getsizeof(chunk) == sys.getsizeof(b"") + len(chunk)


@given(any_destination, st.lists(events, min_size=1, max_size=6))
def test_a_request_carries_the_events_in_order(destination: Any, given_events: list[Event]) -> None:
    made = [destination.encode(one, MESSAGE_ID, NOW_MS) for one in given_events]
    chunks = [chunk for chunk in made if isinstance(chunk, bytes)] or [b'{"a":1']

    for chunk, carried in zip(chunks, framed(destination, chunks), strict=True):
        assert carried.items() >= orjson.loads(chunk + b"}").items()


@given(any_destination, events)
def test_an_event_is_never_changed(destination: Any, given_event: Event) -> None:
    before = copy.deepcopy(given_event)

    destination.encode(given_event, MESSAGE_ID, NOW_MS)

    assert given_event == before


@every_destination
def test_later_changes_to_an_event_s_values_are_not_sent(destination: Any) -> None:
    given_properties = {"tags": ["a"]}
    chunk = destination.encode(Track(ADA, "Item Viewed", given_properties), MESSAGE_ID, NOW_MS)
    before = bytes(chunk)

    given_properties["tags"].append("b")

    assert chunk == before


@every_destination
def test_later_changes_to_a_builder_s_values_are_not_sent(destination: Any) -> None:
    tags = ["a"]
    identify = Identify().set("tags", tags)
    tags.append("later")

    made = destination.encode(IdentifyEvent(ADA, identify), MESSAGE_ID, NOW_MS)

    assert isinstance(made, Refusal) or b"later" not in made


@every_destination
def test_values_of_other_types_are_encoded_as_documented(destination: Any) -> None:
    odd = {"set": {1}, "big": 2**70, "nan": float("nan"), "surrogate": "a\ud800", 7: "key", "bytes": b"abc"}

    text = str(event(destination, Track(ADA, "Item Viewed", odd)))

    for part in (
        "'set': [1]",
        f"'big': '{2**70}'",
        "'nan': None",
        "'surrogate': 'a\ufffd'",
        "'7': 'key'",
        "'bytes': 'abc'",
    ):
        assert part in text


@every_destination
def test_a_value_without_a_json_form_is_refused_with_its_path(destination: Any) -> None:
    with pytest.raises(
        InvalidEventError, match=r"`event\['\w+'\]\['cart'\]\[1\]` is an object, which has no form in JSON"
    ):
        destination.encode(Track(ADA, "Item Viewed", {"cart": [1, object()]}), MESSAGE_ID, NOW_MS)


@every_destination
def test_private_attributes_are_never_sent(destination: Any) -> None:
    user = attrs.evolve(ADA, private_attributes={"diagnosis": "hidden"})

    for given_event in EVENTS:
        made = destination.encode(attrs.evolve(given_event, user=user), MESSAGE_ID, NOW_MS)
        assert isinstance(made, Refusal) or (b"hidden" not in made and b"diagnosis" not in made)


@every_destination
def test_email_and_custom_fields_are_sent_to_statsig_only(destination: Any) -> None:
    user = attrs.evolve(ADA, email="a@hidden.com", custom={"plan": "hidden"}, custom_ids={"companyID": "hidden"})

    text = str(event(destination, Track(user, "Item Viewed")))

    assert text.count("hidden") == (3 if type(destination).__name__ == "Statsig" else 0)


@every_destination
def test_a_key_is_in_no_repr(destination: Any) -> None:
    request = destination.frame([b'{"a":1'], NOW_MS)

    assert KEY not in repr(destination) + repr(request) + request.url


@every_destination
def test_each_attempt_carries_its_own_time(destination: Any) -> None:
    first, second = (destination.frame([b'{"a":1'], NOW_MS + later) for later in (0, 1))

    assert (first.body, first.headers) != (second.body, second.headers)


@pytest.mark.parametrize("kind", destination_classes(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "settings",
    [
        {"overflow": "drop-oldest"},
        {"name": " "},
        *(
            {"url": url}
            for url in ("vendor.example.com", "ftp://vendor", "https://", "http://u:p@vendor", "http://[x", 7)
        ),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(kind: type, settings: dict[str, Any]) -> None:
    fields = attrs.fields_dict(kind)
    given_settings = {next(name for name in fields if name.endswith(key)): value for key, value in settings.items()}

    with pytest.raises(ConfigurationError, match=f"`{next(iter(given_settings))}` ?"):
        make(kind, **given_settings)


@pytest.mark.parametrize("kind", destination_classes(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("key", ["", "  ", None, 7])
def test_a_key_that_cannot_work_is_refused(kind: type, key: Any) -> None:
    field = next(field.name for field in attrs.fields(kind) if field.name.endswith("_key"))

    with pytest.raises(ConfigurationError, match=f"{kind.__name__} needs a "):
        make(kind, **{field: key})


@pytest.mark.parametrize("kind", destination_classes(), ids=lambda kind: kind.__name__)
def test_optional_settings_are_keyword_only(kind: type) -> None:
    optional = [field for field in attrs.fields(kind) if field.init and field.default is not attrs.NOTHING]

    assert all(field.kw_only for field in optional)


@pytest.mark.parametrize("kind", destination_classes(), ids=lambda kind: kind.__name__)
def test_settings_can_be_evolved(kind: type) -> None:
    destination = make(kind, limits=Limits(max_events=7), name="Second")

    evolved = attrs.evolve(destination, overflow="wait")

    assert (evolved.name, evolved.limits.max_events, evolved.overflow) == ("Second", 7, "wait")


# --- responses ----------------------------------------------------------------------------------------------------

CHUNKS = [
    b'{"user_id":"user-a","device_id":"device-1"',
    b'{"user_id":"user-b"',
    b'{"device_id":"device-1"',
    b"not JSON",
]
known_ids = st.sampled_from(["user-a", "user-b", "device-1", "nobody"])
positions = st.lists(st.integers(-2, 6) | json_values, max_size=5)
by_field = st.dictionaries(st.text(), positions | json_values, max_size=3)
by_id = st.dictionaries(known_ids, st.integers(0, 600_000), max_size=3) | st.lists(known_ids | json_values, max_size=3)
amplitude_answers = st.fixed_dictionaries(
    {},
    optional={
        "code": st.integers(-1, 700) | json_values,
        "error": st.sampled_from(["Invalid API key: k", "Request missing required field"]) | json_values,
        "missing_field": st.none() | json_values,
        "events_with_invalid_fields": by_field | json_values,
        "events_with_missing_fields": by_field,
        "events_with_invalid_id_lengths": by_field,
        "silenced_events": positions | json_values,
        "silenced_devices": by_id | json_values,
        "throttled_events": positions,
        "throttled_users": by_id,
        "throttled_devices": by_id,
        "exceeded_daily_quota_users": by_id,
        "exceeded_daily_quota_devices": by_id,
        "success": json_values,
    },
)
bodies = st.binary(max_size=40) | (amplitude_answers | json_values).map(orjson.dumps)
dates = st.sampled_from(
    ["Fri, 20 Nov 2026 20:16:11 GMT", "Fri, 20 Nov 2026 20:16:41 -0000", "Mon, 01 Jan 99999999999 00:00:00 GMT", "x"]
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "date"]), st.text(max_size=9) | st.integers().map(str) | dates
)
responses = st.builds(Response, st.sampled_from([0, 200, 400, 413, 429]) | st.integers(0, 999), headers, bodies)


@given(any_destination, responses)
def test_any_response_gives_each_event_at_most_one_outcome(destination: Any, response: Response) -> None:
    verdict = destination.judge(response, CHUNKS)

    named = [*verdict.retry, *verdict.resend, *verdict.reject, *verdict.pause]
    assert len(named) == len(set(named))
    assert set(named) <= set(range(len(CHUNKS)))
    if verdict.halve or verdict.halt:
        assert named == []


@given(any_destination, responses)
def test_a_response_that_names_events_leaves_out_no_event(destination: Any, response: Response) -> None:
    verdict = destination.judge(response, CHUNKS)

    named = {*verdict.retry, *verdict.resend, *verdict.reject, *verdict.pause}
    assert len(named) in (0, len(CHUNKS))
    assert not verdict.resend or verdict.reject or verdict.pause


@given(any_destination, responses)
def test_a_verdict_has_pauses_in_range_and_a_reason_for_failures(destination: Any, response: Response) -> None:
    verdict = destination.judge(response, CHUNKS)

    assert verdict.retry_after is None or 0 <= verdict.retry_after <= 3600
    assert 0 <= verdict.pause_for <= 3600
    assert bool(verdict.pause) == (verdict.pause_for > 0)
    trouble = verdict.retry or verdict.resend or verdict.reject or verdict.pause or verdict.halve or verdict.halt
    assert bool(trouble) == bool(verdict.reason)


@every_destination
@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("body", [b"", b"ok", b"{}", b"accepted", b"[1]", b'"code"'])
def test_a_success_delivers_everything_regardless_of_the_body(destination: Any, status: int, body: bytes) -> None:
    verdict = destination.judge(Response(status, {}, body), CHUNKS)

    assert verdict == type(verdict)()


PAGES = [
    ({"content-type": "text/html"}, b"<html><title>Sign in</title>"),
    ({"content-type": "Text/HTML; charset=utf-8"}, b"Please sign in"),
    ({"content-type": "application/xhtml+xml"}, b""),
    ({"content-type": "application/json"}, b" \r\n<!DOCTYPE html>"),
    ({}, b"\xef\xbb\xbf<html>"),
    ({"content-type": "text/plain"}, "\n<html>".encode("utf-16")),
    ({}, "<html>".encode("utf-16-be")),
]


@every_destination
@pytest.mark.parametrize(("headers", "body"), PAGES)
@pytest.mark.parametrize("status", [200, 202, 299])
def test_a_page_is_not_the_vendors_answer(destination: Any, headers: Any, body: bytes, status: int) -> None:
    verdict = destination.judge(Response(status, headers, body), CHUNKS)

    assert (verdict.halt, verdict.reason) == (True, "an HTML page instead of an answer")


@every_destination
@pytest.mark.parametrize("body", [b"OK", b"ok\n", b'{"success":true}', b"[]"])
def test_an_answer_of_the_wrong_type_stays_an_answer(destination: Any, body: bytes) -> None:
    assert not destination.judge(Response(200, {"content-type": "text/html"}, body), CHUNKS).halt


@every_destination
def test_a_vendor_s_text_is_in_no_reason(destination: Any) -> None:
    body = b'{"code":400,"error":"ada@example.com","missing_field":"ada@example.com"}'

    verdict = destination.judge(Response(400, {}, body), CHUNKS)

    assert "ada@" not in verdict.reason + str(verdict.reject)
