"""How long does delivery block the event loop? The worst lateness of a 1 ms ticker, and that of the ticker alone.

20,000 queued events are drained to a sink in another process, and a body of 5 MB is compressed; the ticker's own
lateness (other processes, the kernel) is measured in a run of the same length.
"""

import asyncio
import logging
import statistics
import time
from collections.abc import Awaitable, Callable

import attrs
from _measure import EVENT, SIZES, arguments, show
from _peers import PEERS
from sink import received, sink

from asyncsdk import Amplitude, Client, Limits, RudderStack, Track

EVENTS = 20_000
BIG = Limits(max_events=2000, max_bytes=15_000_000, max_queued_bytes=10**8)
WIDE = Limits(max_queued_events=EVENTS, max_queued_bytes=10**8)


@attrs.frozen
class Pair:
    """The ticker's worst lateness, alone and beside a load, and the duration of the load, in milliseconds."""

    alone: float
    beside: float
    took: float


async def tick(worst: list[float]) -> None:
    """Wake up every millisecond, and record the lateness."""
    while True:
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        worst.append((time.perf_counter() - due) * 1000)


async def lateness(load: Awaitable[object]) -> tuple[float, float]:
    """Return the worst lateness while `load` runs, and the duration of `load`, in milliseconds."""
    worst: list[float] = [0.0]
    ticker = asyncio.create_task(tick(worst))  # it first runs when the load does
    began = time.perf_counter()
    await load
    took = time.perf_counter() - began
    await asyncio.sleep(0.002)  # a stall at the very end shows in the next tick
    ticker.cancel()
    return max(worst), took * 1000


async def ours(client: Client, events: int, properties: dict[str, object]) -> Pair:
    """Queue events while the loop is blocked, then deliver them."""
    async with client:
        await client.track("user-warm", EVENT, properties)
        await client.flush()
        for number in range(events):
            client.put_nowait(Track(f"user-{number}", EVENT, properties))  # `track` would let the loop send meanwhile
        beside, took = await lateness(client.flush(60))
    report = await client.aclose()
    assert all(counts.delivered == events + 1 for counts in report.destinations.values()), report
    alone, _ = await lateness(asyncio.sleep(took / 1000))
    return Pair(alone, beside, took)


async def theirs(name: str, url: str) -> Pair:
    """Queue events with another SDK, whose threads send them."""
    peer = PEERS[name](url, gzip=True)
    peer.put("user-warm", EVENT, {})
    for number in range(EVENTS):
        peer.put(f"user-{number}", EVENT, dict(SIZES["1 KB"]))
    beside, took = await lateness(asyncio.to_thread(peer.drain))
    alone, _ = await lateness(asyncio.sleep(min(took / 1000, 1)))
    return Pair(alone, beside, took)


def drain(url: str) -> Awaitable[Pair]:
    """Drain 20,000 events of 1 KB, compressed."""
    return ours(Client(RudderStack("key", url, limits=WIDE)), EVENTS, SIZES["1 KB"])


def big(url: str) -> Awaitable[Pair]:
    """Send one body of 5 MB, compressed."""
    properties: dict[str, object] = {
        f"{name} {part}": value for part in range(3) for name, value in SIZES["1 KB"].items()
    }
    amplitude = Amplitude("key", url=f"{url}/batch", gzip=True, limits=BIG)
    return ours(Client(amplitude), 1999, properties)  # one more would leave at once, before the flush


def main() -> None:
    """Measure, and print the table."""
    options = arguments(__doc__)
    logging.disable(logging.CRITICAL)
    rounds = 1 if options.quick else 9
    cases: dict[str, tuple[Callable[[str], Awaitable[Pair]], int]] = {
        "asyncsdk, 20,000 events": (drain, rounds),
        "asyncsdk, one body of 5 MB": (big, rounds),
        "rudder, the rest of 20,000 events": (lambda url: theirs("rudder", url), 1),
    }
    rows = []
    for name, (case, times) in cases.items():
        with sink() as url:
            pairs = [asyncio.run(case(url)) for _ in range(times)]  # type: ignore[arg-type] # all are coroutines
            assert received(url) >= 1999 * times
        beside, alone = [pair.beside for pair in pairs], [pair.alone for pair in pairs]
        excess = statistics.median(b - a for a, b in zip(alone, beside, strict=True))
        took = statistics.median(pair.took for pair in pairs)
        rows.append((name, min(beside), statistics.median(beside), statistics.median(alone), excess, took))
    columns = ("worst lateness, ms", "least", "median", "ticker alone", "excess, median", "took")
    show("Loop stall", columns, rows, as_json=options.json)


if __name__ == "__main__":
    main()
