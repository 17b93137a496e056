"""A spool that is full, damaged or deleted, or cannot be written or read: events are counted, and delivery goes on."""

import asyncio
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, amplitude, quick

from asyncsdk import QueueFullError, Track
from asyncsdk._model.receipts import Record
from asyncsdk._model.spooling import SpoolError
from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import SqliteSpool
from client.spool.clients import databases, leave_events, names, open_client


@pytest.mark.parametrize("policy", ["drop_newest", "reject"])
async def test_a_full_spool_refuses_what_memory_has_no_room_for(tmp_path: Path, server: DevServer, policy: Any) -> None:
    server.fault(None, Fault(503))
    spool = SqliteSpool(tmp_path / "spool", keep_free=10**18, when_full=policy)
    destination = amplitude(server, quick(max_queued_events=1))
    async with open_client(tmp_path, destination, spool=spool, close_timeout=0.1) as client:
        await client.track(ADA, "in memory")
        if policy == "reject":
            with pytest.raises(QueueFullError, match="spool is full"):
                await client.track(ADA, "a")
        else:
            assert (await (await client.track(ADA, "a")))["Amplitude"].reason == "spool full"
        health = client.health()

    assert health.spool is not None
    assert health.spool.state == "full"
    assert health.destinations["Amplitude"].counts.dropped == {"spool full": 1}


async def test_a_spool_that_drops_the_oldest_counts_them(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    spool = SqliteSpool(tmp_path / "spool", keep_free=0, when_full="drop_oldest", max_bytes=1_000_000)
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=5)), spool=spool) as client:
        deliveries = []
        client._lanes[0].ledger.on_settled += (lambda delivery, count: deliveries.append((delivery.reason, count)),)
        receipts = [await client.track(ADA, str(number), {"text": "x" * 20_000}) for number in range(150)]
        server.clear_faults()
        report = await client.flush(timeout=10)
        reasons = [(await receipt)["Amplitude"].reason for receipt in receipts]

    counts = report.destinations["Amplitude"]
    assert counts.dropped["spool full"] > 50
    assert counts.delivered + counts.dropped["spool full"] == counts.accepted == 150
    assert reasons.count("spool full") == deliveries.count(("spool full", 1)) == counts.dropped["spool full"]
    assert names(server, "amplitude") == sorted(names(server, "amplitude"), key=int)


async def test_a_spool_that_cannot_be_written_logs_an_error_and_delivers(
    tmp_path: Path, server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=5))) as client:
        for number in range(3):
            await client.track(ADA, str(number))
        health = client.health().spool
        report = await client.flush()

    assert health is not None
    assert (health.state, health.last_error) == ("degraded", "File exists")
    assert report.destinations["Amplitude"].delivered == 3
    assert [r.levelname for r in caplog.records if "write failed" in r.getMessage()] == ["ERROR"]


async def test_a_spool_that_can_be_written_again_is_used_again(
    tmp_path: Path, server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    async with open_client(tmp_path, amplitude(server)) as client:
        await client.track(ADA, "a")
        await client.track(ADA, "b")
        (tmp_path / "spool").unlink()
        assert client._spooler is not None
        client._spooler._retry_at = 0.0
        await client.track(ADA, "c")
        health = client.health().spool

        assert health is not None
        assert health.state == "ok"
    assert f"spool: write failed in {tmp_path / 'spool'} (File exists)" in caplog.text
    assert "spool: recovered after 2 failures" in caplog.text
    assert names(server, "amplitude") == ["a", "b", "c"]


async def test_a_deleted_folder_is_detected_and_created_again(
    tmp_path: Path, server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asyncsdk")
    server.fault(None, Fault(503))
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=4))) as client:
        for name in "abcdef":
            await client.track(ADA, name)
        shutil.rmtree(tmp_path / "spool")
        await client.track(ADA, "g")
        missed = client.health().spool
        await client.track(ADA, "h")
        again = client.health().spool
        files = databases(tmp_path)
        server.clear_faults()
        await client.flush()

    assert missed is not None
    assert again is not None
    assert (missed.state, missed.last_error, again.state) == ("degraded", "its file was deleted", "ok")
    assert [r.levelname for r in caplog.records if "its file was deleted" in r.getMessage()] == ["DEBUG"]
    assert len(files) == 1
    assert names(server, "amplitude") == list("abcdefgh")


async def test_events_of_a_deleted_folder_are_on_disk_again_after_close(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=2))) as client:
        for number in range(6):
            await client.track(ADA, str(number))
        shutil.rmtree(tmp_path / "spool")
        report = await client.aclose(timeout=0)
    server.clear_faults()
    async with open_client(tmp_path, amplitude(server)):
        await server.received("amplitude", 6)

    assert report.destinations["Amplitude"].spooled == 6
    assert names(server, "amplitude") == [str(number) for number in range(6)]


async def test_events_in_memory_do_not_overtake_those_on_disk(
    tmp_path: Path, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fault(None, Fault(503))
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=20))) as client:
        for number in range(25):
            await client.track(ADA, str(number))
        assert client._spooler is not None
        client._spooler._retry_at = float("inf")
        for number in range(25, 45):
            await client.track(ADA, str(number))
        server.clear_faults()
        report = await client.flush()
        counts = report.destinations["Amplitude"]

        assert names(server, "amplitude") == [str(n) for n in range(counts.delivered)]
        assert (counts.delivered, counts.dropped) == (40, {"queue full": 5})


async def test_events_in_memory_only_are_abandoned_at_close(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=10))) as client:
        for number in range(15):
            await client.track(ADA, str(number))
        assert client._spooler is not None
        client._spooler._retry_at = float("inf")
        await client.track(ADA, "15")
        await client.track(ADA, "16")
        closing = asyncio.create_task(client.aclose(timeout=0))
        await asyncio.sleep(0)
        client.put_nowait(Track(ADA, "17"))
        report = await closing
    counts = report.destinations["Amplitude"]

    assert (counts.accepted, counts.spooled, counts.abandoned, counts.pending) == (18, 15, 3, 0)


async def test_put_nowait_drops_events_when_the_disk_does_not_keep_up(tmp_path: Path, server: DevServer) -> None:
    large = {"lines": ["x" * 1000] * 900}
    async with open_client(tmp_path, amplitude(server)) as client:
        receipts = [client.put_nowait(Track(ADA, str(number), large)) for number in range(80)]  # 72 MB
        assert client._spooler is not None
        assert client._spooler._offer_exposures(0, [Record("", "", b"{", 0.0, exposures=1)]) is False
        deliveries = [receipt.deliveries["Amplitude"] for receipt in receipts]
        await client.aclose(timeout=0)

    dropped = [delivery.reason for delivery in deliveries if delivery is not None]
    assert 1 < len(dropped) < 40
    assert set(dropped) == {"queue full"}


class UnreadableSpool:
    """A spool that can be written, but not read until `is_well`."""

    def __init__(self, spool: SqliteSpool) -> None:
        self.rejects, self.max_age = spool.rejects, spool.max_age
        self.may_have_events, self._files = spool.may_have_events, spool.open()
        self.commit, self.tidy, self.close = self._files.commit, self._files.tidy, self._files.close
        self.is_well = False

    def open(self) -> "UnreadableSpool":
        return self

    def read(self, *where: Any) -> Any:
        if not self.is_well:
            raise SpoolError("no")
        return self._files.read(*where)

    def adopt(self, labels: Any) -> Any:
        if not self.is_well:
            raise SpoolError("no")
        return self._files.adopt(labels)


async def test_a_spool_that_cannot_be_read_is_tried_again(tmp_path: Path, server: DevServer) -> None:
    await leave_events(tmp_path, server, "before")
    server.fault(None, Fault(503))
    spool = UnreadableSpool(SqliteSpool(tmp_path / "spool", keep_free=0))
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=2)), spool=spool) as client:
        receipts = [await client.track(ADA, str(number)) for number in range(6)]
        server.clear_faults()
        await receipts[0]
        await asyncio.sleep(0.05)
        spool.is_well = True
        assert client._spooler is not None
        client._spooler.scan()
        await asyncio.gather(*receipts)
        await server.received("amplitude", 7)


async def test_damaged_blocks_are_counted_as_dropped(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=2))) as client:
        for number in range(6):
            await client.track(ADA, str(number))
        assert client._spooler is not None
        client._spooler._files.read = lambda *where: ()  # type: ignore[method-assign]
        server.clear_faults()
        report = await client.flush()

    counts = report.destinations["Amplitude"]
    assert counts.dropped == {"spool damaged": 6 - counts.delivered}
