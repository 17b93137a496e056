"""How long does closing take with 1,000 queued events and a failing vendor, and what is the outcome of the events?"""

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from _measure import EVENT, SIZES, arguments, show
from _peers import PEERS
from sink import sink

EVENTS = 1000
TIMEOUT = 2.0
PATIENCE = 20  # seconds, after which the process is killed


@contextmanager
def vendor(trouble: str) -> Iterator[str]:
    """Run a failing vendor; yield its URL."""
    if trouble == "refuses connections":
        yield "http://127.0.0.1:9"
    else:
        latency, status = (0, 500) if trouble == "answers 500" else (10**7, 200)
        with sink(latency, status) as url:
            yield url


async def ours(url: str) -> tuple[float, str]:
    """Close asyncsdk with queued events."""
    from asyncsdk import Client, RudderStack  # noqa: PLC0415 -- only in the process that measures it

    client = Client(RudderStack("key", url))
    await client.start()
    for number in range(EVENTS):
        await client.track(f"user-{number}", EVENT, SIZES["1 KB"])
    await asyncio.sleep(0.5)
    began = time.perf_counter()
    report = await client.aclose(timeout=TIMEOUT)
    took = time.perf_counter() - began
    [counts] = report.destinations.values()
    assert (counts.accepted, counts.pending) == (EVENTS, 0)
    assert counts.delivered + counts.lost == EVENTS
    return took, str(counts)


def theirs(name: str, url: str) -> tuple[float, str]:
    """Close another SDK with queued events, as its documentation says."""
    peer = PEERS[name](url, gzip=name == "core")
    for number in range(EVENTS):
        peer.put(f"user-{number}", EVENT, {"sku": "A"})
    time.sleep(0.5)
    began = time.perf_counter()
    peer.close()
    return time.perf_counter() - began, "not reported"


def in_a_process(who: str, url: str) -> tuple[object, str]:
    """Run one case in a process of its own, and wait until it has exited."""
    command = [sys.executable, __file__, "--run", who, url]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)  # noqa: S603 -- ourselves
    except subprocess.TimeoutExpired:
        return f"over {PATIENCE}", "not reported"
    took, account = json.loads(done.stdout.splitlines()[-1])
    return float(took), str(account)


def run(who: str, url: str) -> tuple[float, str]:
    """Run one case in this process."""
    logging.disable(logging.CRITICAL)
    return asyncio.run(ours(url)) if who == "asyncsdk" else theirs(who, url)


def main() -> None:
    """Measure, and print the table."""
    options = arguments(__doc__)
    rows = []
    for trouble in ("refuses connections", "hangs", "answers 500"):
        for who in ("asyncsdk",) if options.quick else ("asyncsdk", *PEERS):
            with vendor(trouble) as url:
                rows.append((trouble, who, *in_a_process(who, url)))
    columns = ("the vendor", "who", "seconds to close", "reported outcome of 1,000 events")
    show(f"Closing; timeout of asyncsdk: {TIMEOUT:g} s", columns, rows, as_json=options.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(run(*sys.argv[2:])), flush=True)
    else:
        main()
