"""A spool on a disk of 8 MB that is repeatedly filled to the last byte."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from disks import small_disk
from helpers import ADA, amplitude, quick, rudderstack

from asyncsdk import Client, QueueFullError
from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import SqliteSpool
from asyncsdk.stores.sqlite.settings import WhenFull

pytestmark = [pytest.mark.torture, pytest.mark.process]


@pytest.fixture(name="small_disk")
def small_disk_of_8_mb(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 8) as disk:
        if disk is None:
            pytest.skip("mounting a small disk is not permitted")
        yield disk


@pytest.mark.timeout(300)
@pytest.mark.parametrize("keep_free", [0, 1_500_000], ids=["to the last byte", "with some kept free"])
async def test_a_full_disk_is_drained_and_filled_again_twenty_times(small_disk: Path, keep_free: int) -> None:
    spool = SqliteSpool(small_disk / "spool", keep_free=keep_free)
    async with DevServer(keep=10) as server:
        client = Client(amplitude(server, quick(max_queued_events=500)), spool=spool)
        async with client:
            for _ in range(20):
                server.fault(None, Fault(503))
                states = set()
                for number in range(900):
                    await client.track(ADA, str(number), {"text": "x" * 20_000})
                    health = client.health().spool
                    assert health is not None
                    states.add(health.state)
                    if health.state != "ok" and number % 50 == 49:
                        break
                assert states & {"full", "degraded"}
                server.clear_faults()
                report = await client.flush(timeout=20)
                assert report.complete
                await asyncio.sleep(0.3)  # settlements are stored within 0.1 s
                assert client._spooler is not None
                client._spooler._retry_at = 0.0
            report = await client.aclose()

    counts = report.destinations["Amplitude"]
    assert counts.accepted == counts.delivered + sum(counts.dropped.values())
    assert counts.delivered > 20 * 200
    assert [path.name for path in (small_disk / "spool").iterdir()] == []


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "reject"])
async def test_one_dead_vendor_on_a_full_disk_costs_the_others_nothing(small_disk: Path, policy: WhenFull) -> None:
    spool = SqliteSpool(small_disk / "spool", keep_free=0, when_full=policy)
    down = quick(max_queued_events=20, retry_initial=5, retry_max=5)
    async with DevServer(keep=10) as server:
        server.fault("amplitude", Fault(503))
        async with Client(rudderstack(server, quick()), amplitude(server, down), spool=spool) as client:
            for number in range(900):
                with suppress(QueueFullError):
                    await client.track(ADA, str(number), {"text": "x" * 20_000})
            await server.received("rudderstack", 900)
            health = client.health().spool
            counts = (await client.aclose(timeout=0)).destinations

    assert health is not None
    assert health.state in ("degraded", "full")
    assert counts["RudderStack"].delivered == 900
    assert counts["Amplitude"].spooled > 100
