"""What does a spool cost the caller, and how fast does it drain? Events of 1 KB, one destination.

Admission: 1 to 1,000 tasks that track and wait until it is on disk, one after another each. The vendor refuses
connections, so nothing is delivered meanwhile. The disk decides: the table begins with what one fsync takes there.
Drain: what an earlier process left, read, delivered to a sink in another process, and acknowledged.

    python benchmarks/spool.py --folder /var/tmp
"""

import argparse
import asyncio
import logging
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from _measure import EVENT, LARGE, show
from sink import received, sink
from stall import tick

from asyncsdk import Client, Limits, RudderStack
from asyncsdk.stores import SqliteSpool

REFUSING = "http://127.0.0.1:9"
WIDE = Limits(events=500, queued_events=10_000_000, queued_bytes=10**11, linger=60, retry_first=60)


@contextmanager
def folder(inside: str) -> Iterator[Path]:
    """Make a folder for a while."""
    place = Path(tempfile.mkdtemp(dir=inside))
    try:
        yield place
    finally:
        shutil.rmtree(place)


def fsync_ms(inside: str) -> float:
    """Say what an fsync of one page takes, in milliseconds: the middle of 50."""
    with tempfile.TemporaryFile(dir=inside) as file:
        times = []
        for number in range(50):
            os.pwrite(file.fileno(), bytes(16_384), number * 16_384)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


async def admit(spool: SqliteSpool, awaiters: int, events: int) -> list[object]:
    """Let tasks track and wait; give events a second, latencies and the loop's lateness in milliseconds."""
    client = Client(RudderStack("key", REFUSING, limits=WIDE), spool=spool)
    await client.start()
    waits: list[float] = []

    async def track(number: int) -> None:
        for _ in range(events // awaiters):
            began = time.perf_counter()
            await client.track(f"user-{number}", EVENT, LARGE)
            waits.append((time.perf_counter() - began) * 1000)

    await client.track("user-warm", EVENT, LARGE)
    late: list[float] = [0.0]
    ticker = asyncio.create_task(tick(late))
    began = time.perf_counter()
    await asyncio.gather(*(track(number) for number in range(awaiters)))
    took = time.perf_counter() - began
    ticker.cancel()
    report = await client.aclose(timeout=0)
    assert report.destinations["RudderStack"].spooled == len(waits) + 1, report
    waits.sort()
    late.sort()
    return [
        awaiters,
        len(waits) / took,
        waits[len(waits) // 2],
        waits[int(len(waits) * 0.99)],
        late[int(len(late) * 0.99)],
        late[-1],
    ]


async def fill(spool: SqliteSpool, events: int) -> None:
    """Leave events behind, as a process would that is killed."""
    client = Client(RudderStack("key", REFUSING, limits=WIDE), spool=spool)
    await client.start()
    for start in range(0, events, 2000):
        many = range(start, min(events, start + 2000))
        await asyncio.gather(*(client.track(f"user-{n % 1000}", EVENT, LARGE) for n in many))
    await client.aclose(timeout=0)


async def drain(spool: SqliteSpool, events: int, url: str) -> tuple[float, float]:
    """Deliver what was left; give the seconds to the first delivery, and to the last."""
    first: list[float] = []
    limits = Limits(events=500, linger=0)
    client = Client(
        RudderStack("key", url, limits=limits),
        spool=spool,
        on_delivery=lambda *_: first or first.append(time.perf_counter()),
    )
    began = time.perf_counter()
    await client.start()
    while client.health().destinations["RudderStack"].counts.delivered < events:  # noqa: ASYNC110 -- it is asked, as by a user
        await asyncio.sleep(0.005)
    took = time.perf_counter() - began
    await client.aclose()
    return first[0] - began, took


def disk(place: Path) -> int:
    """Count the bytes of a folder's databases and their logs."""
    return sum(path.stat().st_size for path in place.iterdir() if path.suffix != ".ballast")


def encoded_bytes(place: Path) -> int:
    """Count the bytes of the blocks in a folder."""
    [path] = place.glob("*.db")
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT sum(length(body)) FROM block").fetchone()[0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--quick", action="store_true", help="few events: to see that it runs, not to measure")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="on which disk")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    pace = fsync_ms(options.folder)
    rows = []
    for awaiters in (1, 10, 100, 1000):
        events = max(awaiters, (200 if options.quick else 2000) * min(awaiters, 50))
        with folder(options.folder) as place:
            rows.append(asyncio.run(admit(SqliteSpool(place, keep_free=0, max_bytes=10**11), awaiters, events)))
    columns = ["waiting tasks", "events/s", "p50 ms", "p99 ms", "ticker late, p99 ms", "worst ms"]
    show(f"Accepted by a spool whose disk takes {pace:.2f} ms for an fsync", columns, rows, as_json=options.json)

    rows = []
    for events in (10_000,) if options.quick else (10_000, 100_000, 1_000_000):
        with folder(options.folder) as place, sink() as url:
            spool = SqliteSpool(place, keep_free=0, max_bytes=10**11)
            asyncio.run(fill(spool, events))
            ratio = disk(place) / encoded_bytes(place)
            first, took = asyncio.run(drain(spool, events, url))
            assert received(url) >= events
            rows.append([events, first * 1000, took, events / took, ratio, disk(place)])
    columns = ["events left", "first delivery, ms", "all delivered, s", "events/s", "disk/encoded", "bytes after"]
    show("Drained by the next process", columns, rows, as_json=options.json)


if __name__ == "__main__":
    main()
