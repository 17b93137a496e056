"""A spool at its limit: what fills it pays, and the other destinations lose nothing."""

from contextlib import suppress
from pathlib import Path

import pytest
from helpers import ADA, amplitude, quick, rudderstack, statsig
from stores.disk import FULL, OK, watched

from asyncsdk import Client, QueueFullError, Track
from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import SqliteSpool
from asyncsdk.stores.sqlite.settings import WhenFull
from client.spool.clients import leave_events, names, open_client

POLICIES: tuple[WhenFull, ...] = ("drop_newest", "drop_oldest", "reject")
TEXT = {"text": "x" * 20_000}
DOWN = quick(max_queued_events=20, retry_initial=5, retry_max=5)


def small(folder: Path, when_full: WhenFull = "drop_newest", max_bytes: int = 1_000_000) -> SqliteSpool:
    return SqliteSpool(folder / "spool", keep_free=0, max_bytes=max_bytes, when_full=when_full)


async def track_many(client: Client, events: int, server: DevServer | None = None, *healthy: str) -> None:
    """Track events; vendors that are healthy keep up, however slow the machine is."""
    totals = {vendor: server.total(vendor) for vendor in healthy} if server is not None else {}
    for number in range(events):
        with suppress(QueueFullError):
            await client.track(ADA, str(number), TEXT)
        for vendor, before in totals.items():
            await server.received(vendor, before + number + 1, within=20)  # type: ignore[union-attr]


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_vendor_that_is_down_costs_the_others_nothing(
    tmp_path: Path, server: DevServer, policy: WhenFull
) -> None:
    server.fault("amplitude", Fault(503))
    vendors = rudderstack(server, quick()), amplitude(server, DOWN), statsig(server, quick())
    async with open_client(tmp_path, *vendors, spool=small(tmp_path, policy)) as client:
        await track_many(client, 120, server, "rudderstack", "statsig")
        counts = (await client.aclose(timeout=0)).destinations

    assert counts["Amplitude"].dropped["spool full"] > 40
    assert counts["RudderStack"].dropped == counts["Statsig"].dropped == {}
    assert names(server, "rudderstack") == [str(number) for number in range(120)]


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_destination_has_room_on_disk_while_another_fills_the_spool(
    tmp_path: Path, server: DevServer, policy: WhenFull
) -> None:
    server.fault("amplitude", Fault(503))
    vendors = rudderstack(server, quick(linger=0)), amplitude(server, DOWN)
    async with open_client(tmp_path, *vendors, spool=small(tmp_path, policy)) as client:
        await track_many(client, 80, server, "rudderstack")
        server.fault("rudderstack", Fault(503))
        await track_many(client, 5)
        report = await client.aclose(timeout=0)

    assert report.destinations["RudderStack"].spooled == 5
    assert report.destinations["RudderStack"].lost == 0


async def test_a_destination_whose_lane_has_room_goes_on_in_memory_if_the_disk_is_full(
    tmp_path: Path, server: DevServer
) -> None:
    spool = SqliteSpool(tmp_path / "spool", keep_free=10**18)
    async with open_client(tmp_path, amplitude(server), spool=spool) as client:
        delivery = (await (await client.track(ADA, "a")))["Amplitude"]
        health = client.health()

    assert delivery.status == "delivered"
    assert health.spool is not None
    assert health.spool.state == "full"


@pytest.mark.parametrize("policy", POLICIES)
async def test_the_living_go_on_in_memory_beside_a_dead_one_that_filled_the_disk(
    tmp_path: Path, server: DevServer, policy: WhenFull
) -> None:
    server.fault("amplitude", Fault(503))
    vendors = rudderstack(server, quick()), amplitude(server, DOWN), statsig(server, quick())
    spool = small(tmp_path, policy, max_bytes=100_000_000)
    with watched() as disk:
        async with open_client(tmp_path, *vendors, spool=spool) as client:
            await track_many(client, 40, server, "rudderstack", "statsig")
            disk.refuse = lambda kind, path: FULL if kind == "write" else OK
            await track_many(client, 80, server, "rudderstack", "statsig")
            health = client.health().spool
            counts = (await client.aclose(timeout=0)).destinations

    assert health is not None
    assert (health.state, health.last_error) == ("degraded", "disk full")
    assert counts["Amplitude"].spooled == 40
    assert counts["RudderStack"].lost == counts["Statsig"].lost == 0


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_group_larger_than_what_is_left_is_stored_in_part(
    tmp_path: Path, server: DevServer, policy: WhenFull
) -> None:
    server.fault(None, Fault(503))
    limits = quick(max_queued_events=5)
    async with open_client(tmp_path, amplitude(server, limits), spool=small(tmp_path, policy)) as client:
        receipts = [client.put_nowait(Track(ADA, str(number), TEXT)) for number in range(100)]
        with suppress(QueueFullError):
            await client.track(ADA, "last")
        report = await client.aclose(timeout=0)

    counts = report.destinations["Amplitude"]
    assert len(receipts) + 1 == counts.accepted == counts.spooled + counts.abandoned + counts.dropped["spool full"]
    assert 30 < counts.spooled < 60


async def test_a_full_spool_that_rejects_names_who_does_not_get_the_event(tmp_path: Path, server: DevServer) -> None:
    server.fault("amplitude", Fault(503))
    vendors = rudderstack(server, quick()), amplitude(server, quick(max_queued_events=5))
    async with open_client(tmp_path, *vendors, spool=small(tmp_path, "reject")) as client:
        with pytest.raises(QueueFullError, match=r"full: the event is dropped for Amplitude; it goes to RudderStack"):
            for number in range(100):
                await client.track(ADA, str(number), TEXT)
        await client.aclose(timeout=0)


async def test_the_oldest_events_of_an_earlier_process_are_dropped_for_new_ones(
    tmp_path: Path, server: DevServer
) -> None:
    await leave_events(tmp_path, server, *(str(number) for number in range(45)), text="x" * 20_000)
    server.fault("amplitude", Fault(503))
    vendors = rudderstack(server), amplitude(server, quick(max_queued_events=5))
    async with open_client(tmp_path, *vendors, spool=small(tmp_path, "drop_oldest")) as client:
        await server.received("rudderstack", 45)
        await track_many(client, 40)
        server.clear_faults()
        report = await client.flush(timeout=10)
        await server.received("amplitude", 1)

    counts = report.destinations["Amplitude"]
    assert report.destinations["RudderStack"].dropped == {}
    assert counts.delivered + counts.dropped["spool full"] == counts.accepted
