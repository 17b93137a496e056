"""What does a spool cost the caller, and how fast does it drain? Events of 1 KB, one destination.

Admission: 1 to 1,000 tasks each track one event after another, and wait until it is on disk. The vendor refuses
connections, so nothing is delivered meanwhile. The result depends on the disk: the table has the time of one fsync, and
the time of `sqlite3` alone for as many events. With a C compiler, 100 tasks are also measured on simulated slower
disks, on which each fsync takes 2 or 10 ms longer.
Drain: the events of an earlier process are read and acknowledged, then delivered to a sink in another process.

    python benchmarks/spool.py --folder /var/tmp
"""

import argparse
import asyncio
import json
import logging
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import run

from _measure import EVENT, LARGE, show
from sink import received, sink
from stall import tick

from asyncsdk import Client, Limits, RudderStack
from asyncsdk._model.spooling import Settled
from asyncsdk.stores import SqliteSpool
from asyncsdk.stores.sqlite.database import Database
from asyncsdk.stores.sqlite.rows import NewRow

REFUSING = "http://127.0.0.1:9"
PATIENT = Limits(max_events=500, linger=60, retry_initial=60)
# The size of one event on disk.
EVENT_BYTES = 1_120
SLOWER_MS = (2, 10)
SLOW_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int late(const char *name, int file) {
    usleep(1000 * atoi(getenv("SLOWER_MS")));
    return ((int (*)(int)) dlsym(RTLD_NEXT, name))(file);
}
int fsync(int file) { return late("fsync", file); }
int fdatasync(int file) { return late("fdatasync", file); }
"""


@contextmanager
def folder(inside: str) -> Iterator[Path]:
    """Create a temporary folder."""
    place = Path(tempfile.mkdtemp(dir=inside))
    try:
        yield place
    finally:
        shutil.rmtree(place)


def fsync_ms(inside: str) -> float:
    """Return the median time of 50 fsyncs of one page, in milliseconds."""
    with tempfile.TemporaryFile(dir=inside) as file:
        times = []
        for number in range(50):
            os.pwrite(file.fileno(), bytes(16_384), number * 16_384)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def bare_ms(inside: str, group: int, commits: int) -> list[float]:
    """Commit groups of events with `sqlite3` alone; return the median and 99th percentile, in milliseconds."""
    times = []
    with folder(inside) as place:
        database = Database(place / "bare.db", "create")
        body = os.urandom(min(group, 230) * EVENT_BYTES)  # a block is a quarter of a megabyte at most
        rows = [NewRow("RudderStack", group, body)] * -(-group // 230)
        for _ in range(commits):
            began = time.perf_counter()
            database.insert(rows)
            times.append((time.perf_counter() - began) * 1000)
            database.checkpoint_if_due()
        database.close()
    times.sort()
    return [times[len(times) // 2], times[int(len(times) * 0.99)]]


async def admit(spool: SqliteSpool, awaiters: int, events: int) -> list[object]:
    """Let tasks track and wait; return events a second, then latencies and the loop's lateness, in milliseconds."""
    client = Client(RudderStack("key", REFUSING, limits=PATIENT), spool=spool)
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


def admitted(inside: str, awaiters: int, *, quick: bool) -> list[object]:
    """Measure one row of the first table."""
    events = max(awaiters, (200 if quick else 2000) * min(awaiters, 50))
    with folder(inside) as place:
        return asyncio.run(admit(SqliteSpool(place, keep_free=0, max_bytes=10**11), awaiters, events))


def on_slower_disks(inside: str, *, quick: bool) -> list[list[object]]:
    """Measure 100 tasks with slower fsyncs; return no rows without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return []
    rows = []
    with folder(inside) as place:
        library = place / "slow.so"
        run([compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=SLOW_SYNC.encode(), check=True)  # noqa: S603
        for ms in SLOWER_MS:
            command = [sys.executable, __file__, "--folder", inside, "--only", "100", *(["--quick"] if quick else [])]
            slow = {**os.environ, "LD_PRELOAD": str(library), "SLOWER_MS": str(ms)}
            done = run(command, env=slow, check=True, capture_output=True)  # noqa: S603 -- ourselves
            rows.append([f"100, +{ms} ms", *json.loads(done.stdout)[1:]])
    return rows


def read_and_acknowledge(spool: SqliteSpool) -> float:
    """Take over the events of an earlier process, read and acknowledge them; return events a second."""
    files, events = spool.open(), 0
    began = time.perf_counter()
    [found] = files.adopt(["RudderStack"])
    after = 0
    while blocks := files.read(found.file, "RudderStack", after, 256 * 1024):
        events += sum(len(stored.block.records) for stored in blocks)
        after = blocks[-1].row
        files.commit((), {found.file: Settled([stored.row for stored in blocks])}, (), 0)
        files.tidy()
    took = time.perf_counter() - began
    files.close()
    return events / took


async def fill(spool: SqliteSpool, events: int) -> None:
    """Leave events on disk, as a killed process would."""
    client = Client(RudderStack("key", REFUSING, limits=PATIENT), spool=spool)
    await client.start()
    for start in range(0, events, 2000):
        many = range(start, min(events, start + 2000))
        await asyncio.gather(*(client.track(f"user-{n % 1000}", EVENT, LARGE) for n in many))
    await client.aclose(timeout=0)


async def drain(spool: SqliteSpool, events: int, url: str) -> tuple[float, float]:
    """Deliver the events on disk; return the seconds until the first and the last delivery."""
    first: list[float] = []
    limits = Limits(max_events=500, linger=0)
    client = Client(
        RudderStack("key", url, limits=limits),
        spool=spool,
        on_delivery=lambda *_: first or first.append(time.perf_counter()),
    )
    began = time.perf_counter()
    await client.start()
    while client.health().destinations["RudderStack"].counts.delivered < events:  # noqa: ASYNC110 -- polled, as users do
        await asyncio.sleep(0.005)
    took = time.perf_counter() - began
    await client.aclose()
    return first[0] - began, took


def disk(place: Path) -> int:
    """Return the bytes of a folder's databases and their logs."""
    return sum(path.stat().st_size for path in place.iterdir() if path.suffix != ".ballast")


def encoded_bytes(place: Path) -> int:
    """Return the bytes of the blocks in a folder."""
    [path] = place.glob("*.db")
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT sum(length(body)) FROM block").fetchone()[0])


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--quick", action="store_true", help="few events: checks that the benchmark runs, measures nothing"
    )
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="a folder on the disk to measure")
    parser.add_argument("--only", type=int, help="measure this number of tasks only; print the row as JSON")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if options.only:
        print(json.dumps(admitted(options.folder, options.only, quick=options.quick)))
        return
    pace, inside = fsync_ms(options.folder), options.folder
    rows: list[list[object]] = []
    for awaiters in (1, 10, 100, 1000):
        bare = bare_ms(inside, awaiters, 50 if options.quick else 500)
        rows.append([*admitted(inside, awaiters, quick=options.quick), *bare])
    rows += [[*row, "", ""] for row in on_slower_disks(inside, quick=options.quick)]
    columns = ["waiting tasks", "events/s", "p50 ms", "p99 ms", "ticker late, p99", "worst", "bare p50", "bare p99"]
    show(f"Accepted by a spool whose disk takes {pace:.2f} ms for an fsync", columns, rows, as_json=options.json)

    rows = []
    for events in (10_000,) if options.quick else (10_000, 100_000, 1_000_000):
        with folder(inside) as place, folder(inside) as other, sink() as url:
            spool = SqliteSpool(place, keep_free=0, max_bytes=10**11)
            asyncio.run(fill(spool, events))
            shutil.copytree(place, other, dirs_exist_ok=True)
            ratio = disk(place) / encoded_bytes(place)
            read = read_and_acknowledge(SqliteSpool(other))
            first, took = asyncio.run(drain(spool, events, url))
            assert received(url) >= events
            rows.append([events, read, first * 1000, took, events / took, ratio, disk(place)])
    columns = ["events left", "read, acknowledged/s", "first delivery, ms", "all delivered, s", "delivered/s"]
    show("Drained by the next process", [*columns, "disk/encoded", "bytes after"], rows, as_json=options.json)


if __name__ == "__main__":
    main()
