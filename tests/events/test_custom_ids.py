"""Events of a user with custom ids only: Statsig takes them, the other vendors skip them."""

from typing import Any

import pytest
from helpers import amplitude, quick, rudderstack, statsig, statsig_with_rules
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk import (
    Alias,
    Client,
    DestinationReport,
    Group,
    IdentifyEvent,
    InvalidEventError,
    LogEvent,
    Page,
    Screen,
    Track,
    User,
    sample,
)
from asyncsdk._model.events import Event, RawEvent, validate_event
from asyncsdk._model.user_ids import own_id
from asyncsdk.dev import DevServer, Fault

ACME = User(custom_ids={"companyID": "acme"})
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)  # others are no ids
OF_STATSIG: list[Event] = [
    Track(ACME, "x"),
    Track(ACME, "x", {"revenue": 2}),
    Page(ACME, "x"),
    Screen(ACME),
    LogEvent(ACME, "x", 3),
    RawEvent({"event_type": "x"}, user=ACME),
]


@pytest.mark.parametrize(
    "event", [*OF_STATSIG, IdentifyEvent(ACME), Group(ACME, "g")], ids=lambda one: type(one).__name__
)
async def test_only_statsig_gets_the_event_of_a_user_with_custom_ids_only(server: DevServer, event: Event) -> None:
    async with Client(statsig(server), rudderstack(server), amplitude(server)) as client:
        report = await client.put_nowait(event)

    takes = "delivered" if event in OF_STATSIG else "skipped"
    assert [(one.status, one.reason) for one in report.values()] == [
        (takes, "" if event in OF_STATSIG else "no such call"),
        ("skipped", "no id"),
        ("skipped", "no id"),
    ]


async def test_statsig_reads_the_custom_ids_of_such_an_event(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        await client.log_event(ACME, "order", 5)

    assert [event.body["user"] for event in server.accepted("statsig")] == [{"customIDs": {"companyID": "acme"}}]


def test_alias_still_needs_a_user_id() -> None:
    with pytest.raises(InvalidEventError, match="user_id"):
        validate_event(Alias("old", ACME))


@pytest.mark.parametrize("ids", [{}, {"companyID": None}, {"companyID": "  "}, {"companyID": ""}, None])
def test_custom_ids_that_are_all_blank_are_none(ids: Any) -> None:
    with pytest.raises(InvalidEventError, match="custom_ids"):
        validate_event(Track(User(custom_ids=ids), "x"))


@given(st.dictionaries(st.text(), st.text().filter(str.isalnum) | st.integers() | NUMBERS, min_size=1))
def test_such_a_user_has_one_ordering_key_in_whatever_order_the_ids_are(ids: dict[str, Any]) -> None:
    turned = dict(reversed(ids.items()))
    key = validate_event(Track(User(custom_ids=ids), "x"))

    assert key
    assert validate_event(Track(User(custom_ids=turned), "x")) == key
    assert own_id(User(custom_ids=ids)) is None


@given(st.sampled_from(["user_id", "device_id", "anonymous_id"]), st.text().filter(str.isalnum))
def test_an_id_of_the_user_comes_before_custom_ids(field: str, value: str) -> None:
    assert validate_event(Track(User(**{field: value}, custom_ids={"companyID": "acme"}), "x")) == value


async def test_events_of_such_a_user_arrive_in_order(server: DevServer) -> None:
    server.script("statsig", Fault(status=500), Fault(status=500))
    async with Client(statsig(server, quick(max_events=1, max_in_flight=4))) as client:
        for number in range(20):
            await client.log_event(ACME, f"event {number}")

    assert [event.body["eventName"] for event in server.accepted("statsig")] == [
        f"event {number}" for number in range(20)
    ]


async def test_sample_distinguishes_users_with_custom_ids_only(server: DevServer) -> None:
    async with Client(statsig(server)).add_middleware(sample(0.5)) as client:
        for number in range(100):
            await client.track(User(custom_ids={"companyID": f"c{number}"}), "x")

    assert 25 < len(server.accepted("statsig")) < 75


async def test_exposures_of_such_a_user_go_to_statsig_only(server: DevServer) -> None:
    vendors = [statsig_with_rules(server), rudderstack(server, exposures="all"), amplitude(server, exposures="all")]
    async with Client(*vendors) as client:
        await client.check_gate(ACME, "open")
        await client.flush()

        counts = [lane.counts.exposures for lane in client.health().destinations.values()]

    assert counts == [DestinationReport(accepted=1, delivered=1), None, None]
