"""Closing a client with a spool: what is left is on disk and counted, in time, and no thread is left."""

import asyncio
import threading
from pathlib import Path

import pytest
from helpers import ADA, amplitude, quick

from asyncsdk import Client, ClientClosedError, Track
from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import SqliteSpool
from client.spool.clients import open_client


async def test_closing_counts_what_is_on_disk(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=5))) as client:
        receipts = [await client.track(ADA, str(number)) for number in range(40)]
        client.put_nowait(Track(ADA, "last"))
        report = await client.aclose(timeout=0)

    counts = report.destinations["Amplitude"]
    assert (counts.accepted, counts.spooled, counts.abandoned, counts.pending) == (41, 41, 0, 0)
    assert counts.lost == 0
    assert {(await receipt)["Amplitude"].status for receipt in receipts} == {"spooled"}


async def test_closing_ends_early_when_nothing_can_be_sent_in_time(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(429, retry_after=60))
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=3))) as client:
        for number in range(10):
            await client.track(ADA, str(number))
        await server.requested("amplitude")
        report = await client.aclose(timeout=10)

    assert report.seconds < 5
    assert report.destinations["Amplitude"].spooled == 10


async def begin_blocked_commit(client: Client) -> threading.Event:
    """Track an event whose commit waits for the returned event to be set."""
    unblock = threading.Event()
    assert client._spooler is not None
    commit = client._spooler._files.commit
    client._spooler._files.commit = lambda *what: unblock.wait(5) and commit(*what)  # type: ignore[method-assign]
    client.put_nowait(Track(ADA, "a"))
    await asyncio.sleep(0)
    return unblock


async def test_closing_waits_for_the_commit_under_way(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    async with open_client(tmp_path, amplitude(server)) as client:
        unblock = await begin_blocked_commit(client)
        asyncio.get_running_loop().call_later(0.05, unblock.set)
        report = await client.aclose(timeout=0)

    assert report.destinations["Amplitude"].spooled == 1


async def test_closing_a_cancelled_client_before_its_last_commit_is_done_is_not_complete(
    tmp_path: Path, server: DevServer
) -> None:
    async with open_client(tmp_path, amplitude(server)) as client:
        unblock = await begin_blocked_commit(client)
        client._life.cancel()
        while client._life.state != "closed":
            await asyncio.sleep(0)
        early = await client.aclose()
        unblock.set()

    assert not early.complete


async def test_no_caller_hangs_when_the_client_is_cancelled(tmp_path: Path, server: DevServer) -> None:
    client = Client(amplitude(server), spool=SqliteSpool(tmp_path / "spool", keep_free=0))
    await client.start()
    await client.track(ADA, "a")
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "asyncsdk"]
    with pytest.warns(ResourceWarning):
        task.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(ClientClosedError):
                while True:
                    await client.track(ADA, "a")
            await asyncio.wait([task])
            await asyncio.sleep(0)
    counts = (await client.aclose()).destinations["Amplitude"]
    assert counts.accepted == counts.delivered + counts.spooled > 0
    assert counts.pending == 0


async def test_the_thread_starts_with_the_first_event_and_ends_with_the_client(
    tmp_path: Path, server: DevServer
) -> None:
    before = threading.active_count()
    async with open_client(tmp_path, amplitude(server)) as client:
        assert threading.active_count() == before
        await client.track(ADA, "a")
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
