"""How the history keeps events: as bytes that read like the objects they came from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk.dev.control.bench import Rates, Receipts
from asyncsdk.dev.control.rows import Row, failures, sees
from asyncsdk.dev.history import History, ReceivedRequest
from asyncsdk.dev.received_event import ReceivedEvent

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
DEEP: list[Any] = []
for _ in range(400):
    DEEP = [DEEP]


def event(body: Any, stored: Any = None, **more: Any) -> ReceivedEvent:
    return ReceivedEvent("rudderstack", "m", "ada", "track", "Order", body, stored, **more)


@given(JSON, JSON, st.booleans())
def test_a_packed_event_has_the_same_body(body: Any, stored: Any, is_extended: bool) -> None:
    if is_extended and isinstance(body, dict):
        stored = {**body, "rudderId": 1, "messageId": "m"}
    one = event(body, stored)

    one.pack()
    one.pack()

    assert (one.body, one.stored) == (body, stored)
    assert repr(body) in repr(one)


@pytest.mark.parametrize("body", [DEEP, {"a": DEEP}])
def test_a_body_that_is_too_deep_to_be_written_is_kept_as_it_is(body: Any) -> None:
    one = event(body, body)
    one.pack()

    assert (one.body, one.stored, one.json) == (body, body, b"")
    assert one.memory(1000) > 8000


def test_a_body_that_is_stored_as_sent_is_kept_once() -> None:
    body = {"a": "x" * 1000}
    one = event(body, body)
    one.pack()

    assert one.stored == body
    assert one.memory(0) < 2000


def test_the_history_stays_within_its_memory() -> None:
    history = History(keep=10**6, keep_bytes=100_000)
    for _ in range(300):
        request = ReceivedRequest(history.next_number(), "v", "POST", "/", [("a", "b")] * 9, 0.0, plain_size=5000)
        history.record(request, [event({"n": "x" * 100}) for _ in range(7)])

    assert 90_000 < history.used_bytes <= 100_000
    assert history.events.oldest().request <= history.requests.oldest().number + 1
    assert history.find_event(history.last_seq).request == 300
    assert history.find_event(1) is None
    history.delete(lambda _: True)
    assert history.used_bytes == sum(request.memory for request in history.requests)


def test_one_large_request_keeps_only_its_last_events() -> None:
    history = History(keep=100, keep_bytes=5_000)
    request = ReceivedRequest(history.next_number(), "v", "POST", "/", [], 0.0)

    history.record(request, [event({"n": "x" * 500}) for _ in range(20)])

    assert [one.seq for one in history.events] == [18, 19, 20]


def test_an_event_that_its_client_refused_has_no_request() -> None:
    history = History(keep=2, keep_bytes=10)
    for _ in range(3):
        history.record_local(event(None, verdict="rejected: too short"))

    assert [(one.seq, one.request, Row(one, {}).json()["local"]) for one in history.events] == [(3, 0, True)]
    assert history.event_counts == {}


@pytest.mark.parametrize(
    ("kind", "body", "name"),
    [
        ("identify", {"traits": {"plan": "Pro", "age": 3}}, "plan, age"),
        ("identify", {"context": {"traits": {"email": "e"}}}, "email"),
        ("identify", {"user_properties": {"$set": {"plan": 1}, "$unset": "x"}}, "plan"),
        ("group identify", {"group_properties": {"$set": {"size": 1}}}, "size"),
        ("identify", {}, "Order"),
        ("identify", [], "Order"),
        ("track", {}, "Order"),
    ],
)
def test_a_row_has_a_name(kind: str, body: Any, name: str) -> None:
    one = event(body)
    one.kind = kind

    assert Row(one, {}).name == name


@pytest.mark.parametrize(
    ("kind", "metadata", "seen"),
    [
        (
            "gate_exposure",
            {"gate": "g", "gateValue": True, "ruleID": "r"},
            {"what": "gate", "value": "open", "rule": "r"},
        ),
        ("gate_exposure", {"gate": "g"}, {"what": "gate", "value": "closed", "rule": ""}),
        ("config_exposure", {"config": "c", "ruleID": "r"}, {"what": "config", "value": "r", "rule": "r"}),
        ("layer_exposure", {"parameterName": "p"}, {"what": "layer", "value": ".p", "rule": ""}),
        ("config_exposure", None, {"what": "config", "value": "", "rule": ""}),
    ],
)
def test_an_exposure_says_what_was_seen(kind: str, metadata: Any, seen: Any) -> None:
    one = event({"metadata": metadata})
    one.kind = kind

    assert sees(one) == seen


def test_a_receipt_says_where_an_event_never_arrived() -> None:
    vendors = {
        "Amplitude": {"status": "rejected", "reason": "id too short", "attempts": 0},
        "Statsig": {"status": "delivered", "reason": "", "attempts": 1},
        "RudderStack": {"status": "pending", "reason": "", "attempts": 0},
    }

    assert failures({"vendors": vendors}) == [["amplitude", "rejected", "id too short"]]


def test_receipts_are_bounded_by_their_size() -> None:
    receipts = Receipts(max_bytes=60)
    for number in range(9):
        receipts.put(str(number), {"text": "x" * 10})
    receipts.put("8", {"text": "new"})

    assert (receipts.get("0"), receipts.get("8"), receipts.get("")) == ({}, {"text": "new"}, {})


def test_rates_reach_back_half_an_hour() -> None:
    rates = Rates()
    for second in range(4000):
        one = event(None, verdict="accepted" if second % 2 else "lost: x")
        one.at = float(second)
        rates.count(one)
    found = rates.last(3999.9)

    assert found["seconds"][-2:] == [[0, 1], [1, 0]]
    assert found["half_minutes"][0] == [15, 15]
    assert len(found["half_minutes"]) == len(found["seconds"]) == 60
