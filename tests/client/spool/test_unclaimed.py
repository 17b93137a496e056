"""Events of a destination that was removed or renamed: they are reported, expire, and take no room from the others."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from helpers import ADA, amplitude, quick, rudderstack
from stores.spools import Process, block

from asyncsdk import Client
from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import SqliteSpool
from client.spool.clients import leave_events, names, open_client

HOUR = 3600.0


def unclaimed(client: Client) -> Mapping[str, int]:
    health = client.health().spool
    assert health is not None
    return health.unclaimed


async def scanned(client: Client) -> None:
    """Wait until a search for files of ended processes, and what it starts, have ended."""
    assert client._spooler is not None
    client._spooler.scan()
    await client.track(ADA, "scanned")
    await client.track(ADA, "scanned")


def leave_blocks(folder: Path, destination: str, *, blocks: int = 1, size: int = 0, age: float = 0.0) -> None:
    """Leave events of an ended process on disk."""
    process = Process(folder)
    now_ms = int((time.time() - age) * 1000)
    for number in range(blocks):
        process.files.commit([block(str(number), destination=destination, size=size)], {}, (), now_ms)
    process.kill()


async def test_events_of_a_removed_destination_are_reported_once(
    tmp_path: Path, server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    await leave_events(tmp_path, server, "a", "b", "c")
    async with open_client(tmp_path, rudderstack(server)) as client:
        await scanned(client)
        await scanned(client)
        found = unclaimed(client)

    warnings = [r.getMessage() for r in caplog.records if "not a destination of this client" in r.getMessage()]
    assert found == {"Amplitude": 3}
    assert len(warnings) == 1
    assert "3 events wait" in warnings[0]
    assert "'Amplitude'" in warnings[0]


async def test_events_of_a_renamed_destination_are_sent_when_it_has_its_name_again(
    tmp_path: Path, server: DevServer
) -> None:
    await leave_events(tmp_path, server, "a", "b")
    async with open_client(tmp_path, rudderstack(server), amplitude(server, name="Renamed")) as client:
        await scanned(client)
        assert unclaimed(client) == {"Amplitude": 2}
    async with open_client(tmp_path, amplitude(server)) as client:
        await server.received("amplitude", 4)
        await scanned(client)
        assert unclaimed(client) == {}

    assert [name for name in names(server, "amplitude") if name != "scanned"] == ["a", "b"]


async def test_events_of_a_removed_destination_take_no_room_from_the_others(tmp_path: Path, server: DevServer) -> None:
    leave_blocks(tmp_path, "Removed", blocks=60, size=20_000)
    server.fault(None, Fault(503))
    spool = SqliteSpool(tmp_path / "spool", keep_free=0, max_bytes=1_000_000)
    async with open_client(tmp_path, amplitude(server, quick(max_queued_events=5)), spool=spool) as client:
        await scanned(client)
        for number in range(35):
            await client.track(ADA, str(number), {"text": "x" * 20_000})
        found = unclaimed(client)
        report = await client.aclose(timeout=0)

    assert report.destinations["Amplitude"].lost == 0
    assert found == {"Removed": 60}


async def test_old_events_of_a_removed_destination_become_dead_letters(tmp_path: Path, server: DevServer) -> None:
    leave_blocks(tmp_path, "Removed", blocks=3, age=2 * HOUR)
    spool = SqliteSpool(tmp_path / "spool", keep_free=0, max_age=HOUR)
    async with open_client(tmp_path, amplitude(server), spool=spool) as client:
        await scanned(client)
        health = client.health().spool

    assert health is not None
    assert (health.dead_letters, dict(health.unclaimed)) == (3, {})
