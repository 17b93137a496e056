"""How long does closing take with 1,000 queued events and a vendor in trouble, and what becomes of them?"""

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
PATIENCE = 20  # seconds, then a peer is killed


@contextmanager
def vendor(trouble: str) -> Iterator[str]:
    """Give the URL of a vendor in trouble."""
    if trouble == "refuses connections":
        yield "http://127.0.0.1:9"
    else:
        latency, status = (0, 500) if trouble == "answers 500" else (10**7, 200)
        with sink(latency, status) as url:
            yield url


async def ours(url: str) -> tuple[float, str]:
    """Close a client with queued events."""
    from asyncsdk import Client, RudderStack  # noqa: PLC0415 -- only where it is measured

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
    """Close a peer with queued events, the way its pages say."""
    peer = PEERS[name](url, gzip=name == "core")
    for number in range(EVENTS):
        peer.put(f"user-{number}", EVENT, {"sku": "A"})
    time.sleep(0.5)
    began = time.perf_counter()
    peer.close()
    return time.perf_counter() - began, "does not say"


def in_a_process(who: str, url: str) -> tuple[object, str]:
    """Run one case in a process of its own, until it has closed and ended."""
    command = [sys.executable, __file__, "--run", who, url]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)  # noqa: S603 -- ourselves
    except subprocess.TimeoutExpired:
        return f"over {PATIENCE}", "does not say"
    took, account = json.loads(done.stdout.splitlines()[-1])
    return float(took), str(account)


def run(who: str, url: str) -> tuple[float, str]:
    """Run one case here."""
    logging.disable(logging.CRITICAL)
    return asyncio.run(ours(url)) if who == "asyncsdk" else theirs(who, url)


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__)
    rows = []
    for trouble in ("refuses connections", "hangs", "answers 500"):
        for who in ("asyncsdk",) if options.quick else ("asyncsdk", *PEERS):
            with vendor(trouble) as url:
                rows.append((trouble, who, *in_a_process(who, url)))
    columns = ("the vendor", "who", "seconds to close", "the account of 1,000 events")
    show(f"Closing; ours is given {TIMEOUT:g} s", columns, rows, as_json=options.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(run(*sys.argv[2:])), flush=True)
    else:
        main()
