"""What does a vendor that is down cost the others, once the spool is full? Three destinations, one of them down.

Tasks track events of 1 KB and wait for each, until several times `max_bytes` has come in. Two vendors accept
everything, in another process; the third refuses connections, and its lane is small, so that its events fill the spool.
A verb that raises `QueueFullError` is not called again for its event.

    python benchmarks/fairness.py --folder /var/tmp
"""

import argparse
import asyncio
import logging
import shutil
import tempfile
from pathlib import Path

from _measure import EVENT, LARGE, show
from sink import sink

from asyncsdk import Amplitude, Client, Limits, QueueFullError, RudderStack, Statsig
from asyncsdk.stores import SqliteSpool
from asyncsdk.stores.sqlite.settings import WhenFull

REFUSING = "http://127.0.0.1:9"
MAX_BYTES = 4_000_000
WHEN_FULL: tuple[WhenFull, ...] = ("drop_newest", "drop_oldest", "reject")
WELL = Limits(linger=0.02)
DOWN = Limits(max_queued_events=500, retry_initial=60)
TASKS = 20


async def measure(folder: Path, when_full: WhenFull, events: int, url: str) -> list[list[object]]:
    """Track events; return a row for each destination."""
    spool = SqliteSpool(folder, max_bytes=MAX_BYTES, when_full=when_full, keep_free=0)
    rudderstack = RudderStack("key", url, limits=WELL)
    amplitude = Amplitude("key", url=f"{REFUSING}/2/httpapi", limits=DOWN)
    statsig = Statsig("secret-key", rules=None, log_event_url=f"{url}/v1/log_event", limits=WELL)
    client = Client(rudderstack, amplitude, statsig, spool=spool)
    await client.start()
    raised = 0

    async def track(task: int) -> None:
        nonlocal raised
        for _ in range(events // TASKS):
            try:
                await client.track(f"user-{task}", EVENT, LARGE)
            except QueueFullError:
                raised += 1

    await asyncio.gather(*(track(task) for task in range(TASKS)))
    await client.flush(timeout=2)
    report = await client.aclose(timeout=0)
    return [
        [when_full, name, counts.accepted, counts.delivered, counts.spooled, sum(counts.dropped.values()), raised]
        for name, counts in report.destinations.items()
    ]


def main() -> None:
    """Measure each policy, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--quick", action="store_true", help="few events: checks that the benchmark runs, measures nothing"
    )
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="a folder on a local disk")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    rows: list[list[object]] = []
    for when_full in WHEN_FULL:
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        with sink() as url:
            rows += asyncio.run(measure(folder, when_full, 200 if options.quick else 12_000, url))
        shutil.rmtree(folder)
    columns = ["when_full", "destination", "accepted", "delivered", "on disk", "dropped", "raised"]
    show(f"A spool of {MAX_BYTES:,} bytes; Amplitude is down", columns, rows, as_json=options.json)


if __name__ == "__main__":
    main()
