"""Workers that are killed while their spool is full: of one vendor that is down, or of a destination that was removed."""

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Collection
from pathlib import Path

import pytest
from stores.spools import Process, block

from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import inspection
from torture.oracle import VENDORS, WORKER
from torture.worker import make_client

pytestmark = [pytest.mark.torture, pytest.mark.process]

MAX_BYTES = 6_000_000
KILLS = 5


async def kill_workers(server: DevServer, folder: Path) -> set[str]:
    """Start workers with a small spool, kill one after the other, and return what they have promised."""
    promised = set[bytes]()
    for number in range(KILLS):
        arguments = [str(WORKER), f"w{number}", server.url, str(folder), "4", str(MAX_BYTES)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
        assert process.stdout is not None
        promised.add((await process.stdout.readline()).strip())
        await asyncio.sleep(1 + number / 10)
        process.kill()
        promised.update((await process.stdout.read()).split(b"\n")[:-1])  # the last line may be incomplete
        await process.wait()
    return {line.decode() for line in promised}


async def missing_after_drain(
    server: DevServer, folder: Path, promised: Collection[str], vendors: Collection[str]
) -> dict[str, int]:
    """Let a last client deliver what is left, and count what is missing at each vendor."""
    async with make_client(server.url, str(folder), MAX_BYTES) as client:
        for _ in range(600):
            arrived = {vendor: {event.name for event in server.accepted(vendor)} for vendor in vendors}
            missing = {vendor: len(set(promised) - arrived[vendor]) for vendor in vendors}
            if not any(missing.values()):
                break
            await asyncio.sleep(0.1)
        await client.aclose(timeout=0)
    return missing


def fill(folder: Path, *destinations: str) -> None:
    """Leave as many events for the first destination as fit, of an ended process that had all of them."""
    process = Process(folder, max_bytes=MAX_BYTES)
    process.adopt(*destinations)
    for number in range(30):
        new = block(f"old-{number}", destination=destinations[0], size=250_000)
        process.files.commit([new], {}, (), int(time.time() * 1000))
    process.kill()


@pytest.mark.timeout(300)
async def test_a_vendor_that_is_down_at_max_bytes_costs_the_others_no_promised_event(tmp_path: Path) -> None:
    fill(tmp_path, "Amplitude", "RudderStack", "Statsig")
    async with DevServer(keep=1_000_000, keep_bytes=10**9) as server:
        server.fault("amplitude", Fault(503))
        promised = await kill_workers(server, tmp_path / "spool")
        missing = await missing_after_drain(server, tmp_path / "spool", promised, ("rudderstack", "statsig"))

    assert len(promised) > 100
    assert missing == {"rudderstack": 0, "statsig": 0}


@pytest.mark.timeout(300)
async def test_a_removed_destination_that_fills_the_spool_costs_the_others_no_promised_event(tmp_path: Path) -> None:
    fill(tmp_path, "Removed")
    before = waiting(tmp_path / "spool", "Removed")
    async with DevServer(keep=1_000_000, keep_bytes=10**9) as server:
        promised = await kill_workers(server, tmp_path / "spool")
        missing = await missing_after_drain(server, tmp_path / "spool", promised, VENDORS)

    assert len(promised) > 100
    assert missing == dict.fromkeys(VENDORS, 0)
    assert waiting(tmp_path / "spool", "Removed") == before > 20


def waiting(folder: Path, destination: str) -> int:
    return sum(file.waiting.get(destination, 0) for file in inspection.list_files(folder))
