"""A client with a spool: accepted events are on disk, and each reaches its vendor from there."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, amplitude, quick, rudderstack

from asyncsdk import Client, ConfigurationError, Delivery, Receipt, Track
from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import SqliteSpool
from client.spool.clients import databases, names, open_client


async def test_events_arrive_in_order_and_leave_nothing_behind(tmp_path: Path, server: DevServer) -> None:
    async with open_client(tmp_path, rudderstack(server), amplitude(server)) as client:
        for number in range(20):
            await client.track(ADA, str(number))
        report = await client.aclose()

    assert names(server, "rudderstack") == names(server, "amplitude") == [str(n) for n in range(20)]
    assert [(c.accepted, c.delivered) for c in report.destinations.values()] == [(20, 20)] * 2
    assert list((tmp_path / "spool").iterdir()) == []


async def test_an_awaited_event_is_on_disk(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(end="hang"))
    async with open_client(tmp_path, amplitude(server)) as client:
        await client.track(ADA, "Bought")

        files = [path.read_bytes() for path in (tmp_path / "spool").iterdir()]
        assert any(b'"event_type":"Bought"' in data for data in files)
        await client.aclose(timeout=0)


async def test_tasks_released_together_are_written_together(tmp_path: Path, server: DevServer) -> None:
    async def work() -> None:
        for _ in range(10):
            await client.track(ADA, "a")

    server.fault(None, Fault(end="hang"))
    async with open_client(tmp_path, amplitude(server)) as client:
        await asyncio.gather(*(work() for _ in range(100)))
        await client.aclose(timeout=0)

    [path] = databases(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*), sum(events) FROM block").fetchone() == (10, 1000)


async def test_put_nowait_is_on_disk_soon(tmp_path: Path, server: DevServer) -> None:
    async with open_client(tmp_path, amplitude(server)) as client:
        receipt = client.put_nowait(Track(ADA, "a"))
        await asyncio.to_thread(client.put_nowait, Track(ADA, "b"))
        report = await client.flush()

        assert (await receipt)["Amplitude"].status == "delivered"
    assert report.destinations["Amplitude"].delivered == 2


async def test_more_events_than_memory_holds_all_arrive_in_order(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    small = quick(max_queued_events=10, max_events=4)
    async with open_client(tmp_path, amplitude(server, small)) as client:
        receipts = [await client.track(ADA, str(number)) for number in range(100)]
        assert client.health().destinations["Amplitude"].queued_events <= 10
        spool = client.health().spool
        assert spool is not None
        assert spool.waiting >= 90
        server.clear_faults()
        report = await client.flush()

        assert names(server, "amplitude") == [str(n) for n in range(100)]
        assert report.complete
        assert {(await receipt)["Amplitude"].status for receipt in receipts} == {"delivered"}


async def test_discarded_receipts_lose_no_event(tmp_path: Path, server: DevServer) -> None:
    server.script(None, 503, 503)
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=5))) as client:
        await asyncio.gather(*(client.track(f"user-{n}", str(n)) for n in range(300)))
        report = await client.flush()

    assert report.destinations["Amplitude"].delivered == 300
    assert sorted(names(server, "amplitude"), key=int) == [str(n) for n in range(300)]


async def test_on_delivery_is_called_with_the_event_id(tmp_path: Path, server: DevServer) -> None:
    calls: list[tuple[str, Delivery]] = []
    async with open_client(tmp_path, amplitude(server), on_delivery=lambda *delivery: calls.append(delivery)) as client:
        receipt = await client.track(ADA, "a")
        await receipt

    assert [(event_id, delivery.status) for event_id, delivery in calls] == [(receipt.event_id, "delivered")]


async def test_an_event_without_destinations_is_not_written(tmp_path: Path, server: DevServer) -> None:
    async with open_client(tmp_path, amplitude(server)) as client:
        receipt = await client.track(ADA, "a", integrations={"All": False})

    assert (await receipt)["Amplitude"].status == "skipped"
    assert not (tmp_path / "spool").exists()


async def test_a_cancelled_caller_affects_neither_its_event_nor_others(tmp_path: Path, server: DevServer) -> None:
    async with open_client(tmp_path, amplitude(server)) as client:
        tasks = [asyncio.create_task(client.track(ADA, str(n))) for n in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        report = await client.flush()

    assert [isinstance(result, Receipt) for result in results] == [n != 3 for n in range(10)]
    counts = report.destinations["Amplitude"]
    assert counts.accepted == counts.delivered == 10


async def test_releasing_many_callers_does_not_block_the_loop(tmp_path: Path, server: DevServer) -> None:
    turn, turns = 0, Counter[int]()

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def track(client: Client, number: int) -> None:
        await client.track(ADA, str(number))
        turns[turn] += 1

    async with open_client(tmp_path, amplitude(server)) as client:
        counting = asyncio.create_task(count())
        await asyncio.gather(*(track(client, number) for number in range(1000)))
        counting.cancel()

    assert max(turns.values()) <= 100


async def test_the_deadline_of_a_destination_does_not_apply_with_a_spool(tmp_path: Path, server: DevServer) -> None:
    server.script(None, *[503] * 8)
    async with open_client(tmp_path, amplitude(server, quick(deadline=0.02))) as client:
        deliveries = await (await client.track(ADA, "a"))

    assert deliveries["Amplitude"].status == "delivered"
    assert deliveries["Amplitude"].attempts == 9


async def test_an_event_past_max_age_becomes_a_dead_letter(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    spool = SqliteSpool(tmp_path / "spool", keep_free=0, max_age=0.05)
    async with open_client(tmp_path, amplitude(server), spool=spool) as client:
        deliveries = await (await client.track(ADA, "a"))
        assert (deliveries["Amplitude"].status, deliveries["Amplitude"].reason) == ("dropped", "deadline")
    health = client.health().spool

    assert health is not None
    assert health.dead_letters == 1
    assert len(databases(tmp_path)) == 1


async def test_a_rejected_event_becomes_a_dead_letter(tmp_path: Path, server: DevServer) -> None:
    server.script("rudderstack", 400)
    async with open_client(tmp_path, rudderstack(server)) as client:
        deliveries = await (await client.track(ADA, "a"))
        assert deliveries["RudderStack"].status == "rejected"
    health = client.health().spool

    assert health is not None
    assert health.dead_letters == 1


@pytest.mark.parametrize("spool", ["", 7, SqliteSpool])
def test_an_invalid_spool_setting_is_rejected(spool: Any) -> None:
    with pytest.raises(ConfigurationError, match="spool"):
        Client(spool=spool)
