"""The law of conservation: under any faults, each event has one outcome, is ingested at most once, and in order."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from helpers import amplitude, quick, rudderstack, statsig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncsdk import Client, Receipt
from asyncsdk.dev import DevServer, Fault

VENDORS = ("rudderstack", "amplitude", "statsig")
USERS = ("user-0", "user-1", "user-2")

named = st.fixed_dictionaries(
    {},
    optional={
        "events_with_invalid_fields": st.fixed_dictionaries({"time": st.lists(st.integers(-1, 6), max_size=3)}),
        "events_with_invalid_id_lengths": st.fixed_dictionaries({"user_id": st.lists(st.integers(0, 6), max_size=2)}),
        "silenced_events": st.lists(st.integers(0, 6), max_size=2),
        "exceeded_daily_quota_users": st.dictionaries(st.sampled_from(USERS), st.just(5), max_size=1),
        "missing_field": st.just("events"),
    },
)
steps = st.one_of(
    st.none(),
    st.sampled_from([204, 400, 403, 408, 413, 418, 429, 500, 503, 301, 401, 404]).map(Fault),
    st.sampled_from(["refuse", "reset", "close", "truncate"]).map(lambda end: Fault(end=end)),
    st.builds(lambda ingest: Fault(end="hang", ingest=ingest), st.booleans()),
    st.just(Fault.lost_reply()),
    st.just(Fault.garbage()),
    st.builds(lambda body: Fault(400, body={"code": 400, "error": "x", **body}), named),
    st.builds(lambda status, body: Fault(status, body=body), st.integers(200, 599), st.binary(max_size=20)),
)
scripts = st.fixed_dictionaries({vendor: st.lists(steps, max_size=8) for vendor in VENDORS})
events = st.lists(st.sampled_from(USERS), min_size=1, max_size=25)


async def run(script: dict[str, list[Fault | None]], users: list[str], limits: dict[str, Any]) -> None:
    async with DevServer() as server:
        for vendor, faults in script.items():
            server.script(vendor, *faults)
        limit = quick(linger=0, retry_initial=0.001, retry_max=0.002, probe_interval=0.002, timeout=0.05, **limits)
        client = Client(rudderstack(server, limit), amplitude(server, limit), statsig(server, limit, message_ids=True))
        async with client:
            receipts = [await client.track(user, f"event {n}", {"n": n}) for n, user in enumerate(users)]
            await client.flush(timeout=4)
            report = await client.aclose(timeout=0.3)

        for counts in report.destinations.values():
            assert counts.accepted == len(users)
            assert counts.pending == 0
        await assert_each_event_has_one_outcome(receipts, report.destinations)
        for vendor in VENDORS:
            assert_ingested_once_and_in_order(server, vendor, users)


async def assert_each_event_has_one_outcome(receipts: list[Receipt], reports: Any) -> None:
    deliveries = [await receipt for receipt in receipts]
    for name, counts in reports.items():
        statuses = Counter(delivery[name].status for delivery in deliveries)
        assert statuses["delivered"] == counts.delivered
        assert statuses["rejected"] == sum(counts.rejected.values())
        assert statuses["dropped"] == sum(counts.dropped.values())
        assert statuses["abandoned"] == counts.abandoned
        assert statuses.total() == counts.accepted


def assert_ingested_once_and_in_order(server: DevServer, vendor: str, users: list[str]) -> None:
    accepted = server.accepted(vendor)
    names = [event.name for event in accepted]
    assert len(names) == len(set(names))
    for user in set(users):
        mine = [int(event.name.split()[1]) for event in accepted if event.user == user]
        assert mine == sorted(mine)


@pytest.mark.timeout(90)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(scripts, events, st.fixed_dictionaries({"max_events": st.integers(1, 8), "max_in_flight": st.integers(1, 4)}))
def test_every_event_has_one_outcome_and_order_is_kept(
    script: dict[str, list[Fault | None]], users: list[str], limits: dict[str, Any]
) -> None:
    asyncio.run(run(script, users, limits))
