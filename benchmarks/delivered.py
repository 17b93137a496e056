"""How many events a second reach a vendor, and at what CPU cost? The vendor, a sink in another process, counts them.

Each run has a process of its own. Floor: distinct prebuilt dicts, encoded one by one by orjson and
posted with aiohttp, without validation, queue or retry.
"""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from itertools import cycle, islice
from typing import Any
from uuid import uuid4

import attrs
from _measure import EVENT, SIZES, Clock, Sample, arguments, show, summary, variants
from _peers import PEERS
from sink import received, sink

VARIANTS = {size: variants(size) for size in SIZES}
USERS = [f"user-{number}" for number in range(50_000)]
SLOW = 8  # other SDKs get one event in this many: they take longer


@attrs.frozen
class Case:
    """What is sent, and how it is sent.

    Attributes:
        size: Size of an event, a key of `SIZES`.
        gzip: The compressor, `zlib` or `isal`; empty for none.
        latency_ms: Latency of the vendor, in milliseconds.
        peers: The other SDKs that run this case.
        limits: Limits of asyncsdk that differ from the defaults.
    """

    size: str
    gzip: str = ""
    latency_ms: int = 0
    peers: tuple[str, ...] = ()
    limits: dict[str, int] = attrs.field(factory=dict)


CASES = {
    "1 KB plain": Case("1 KB", peers=("rudder", "segment", "amplitude", "posthog")),
    "1 KB gzip, zlib": Case("1 KB", "zlib", peers=("rudder", "segment", "posthog", "core")),
    "1 KB gzip, isal": Case("1 KB", "isal"),
    "300 B gzip, zlib": Case("300 B", "zlib", peers=("rudder", "core")),
    "300 B gzip, isal": Case("300 B", "isal"),
    "1 KB plain, 50 ms latency*": Case(
        "1 KB",
        latency_ms=50,
        peers=("rudder", "amplitude"),
        limits={"max_in_flight": 16, "max_events": 400, "max_queued_events": 20_000},
    ),
}
Deliver = Callable[[int], Awaitable[None]]


def events(size: str, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the user id and properties of each event; the events of one user are far apart."""
    return islice(zip(cycle(USERS), cycle(VARIANTS[size]), strict=False), count)


async def ours(case: Case, url: str) -> Deliver:
    """Track with asyncsdk, which waits while 10,000 events are queued."""
    from asyncsdk import Client, Limits, RudderStack  # noqa: PLC0415 -- only in the process that measures it

    rudderstack = RudderStack("key", url, gzip=bool(case.gzip), overflow="wait", limits=Limits(**case.limits))
    client = Client(rudderstack)
    await client.start()

    async def deliver(count: int) -> None:
        for user_id, properties in events(case.size, count):
            await client.track(user_id, EVENT, properties)
        report = await client.flush(60)
        assert report.complete, report

    return deliver


async def floor(case: Case, url: str) -> Deliver:
    """Post prebuilt events over four connections."""
    import aiohttp  # noqa: PLC0415 -- only in the process that measures it
    import orjson  # noqa: PLC0415 -- only in the process that measures it

    from asyncsdk._transport import _compressor  # noqa: PLC0415 -- the floor compresses as asyncsdk does

    compress, _ = _compressor()
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=case.limits.get("max_in_flight", 4)))
    size = case.limits.get("max_events", 100)
    prebuilt = [
        {
            "type": "track",
            "channel": "server",
            "messageId": str(uuid4()),
            "originalTimestamp": "2026-11-20T20:16:11.414Z",
            "integrations": {"All": True},
            "userId": user_id,
            "context": {"library": {"name": "asyncsdk", "version": "1"}},
            "event": EVENT,
            "properties": properties,
        }
        for user_id, properties in events(case.size, 50 * size)
    ]

    async def post(batches: Iterator[int]) -> None:
        for number in batches:
            start = number % 50 * size
            chunks = [bytes(memoryview(orjson.dumps(one))) for one in prebuilt[start : start + size]]
            body, headers = b'{"batch":[%b]}' % b",".join(chunks), {"Content-Type": "application/json"}
            if case.gzip:
                body, headers["Content-Encoding"] = compress(body), "gzip"
            async with session.post(f"{url}/v1/batch", data=body, headers=headers) as answer:
                await answer.read()

    async def deliver(count: int) -> None:
        batches = iter(range(count // size))
        await asyncio.gather(*(post(batches) for _ in range(case.limits.get("max_in_flight", 4))))

    return deliver


async def theirs(name: str, case: Case, url: str) -> Deliver:
    """Put events from this thread, and wait for their delivery."""
    peer = PEERS[name](url, gzip=bool(case.gzip))

    async def deliver(count: int) -> None:
        for user_id, properties in events(case.size, count):
            peer.put(user_id, EVENT, dict(properties))
        peer.drain()

    return deliver


async def run(who: str, case: Case, url: str, count: int) -> Sample:
    """Warm up, then time the delivery of `count` events."""
    logging.disable(logging.CRITICAL)
    if case.gzip == "zlib":
        sys.modules["isal"] = None  # type: ignore[assignment] # as if it were not installed
    makers = {"asyncsdk": ours, "floor": floor}
    deliver = await (makers[who](case, url) if who in makers else theirs(who, case, url))
    if who != "amplitude":  # it cannot be drained twice
        await deliver(2000)
    clock = Clock()
    await deliver(count)
    return clock.stop(count)


def in_a_process(who: str, name: str, count: int) -> tuple[Sample, float]:
    """Run one case in a process of its own with a sink of its own; also return the share of events that arrived."""
    with sink(CASES[name].latency_ms) as url:
        command = [sys.executable, __file__, "--run", who, name, url, str(count)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 -- ourselves
        arrived = received(url) / (count + (0 if who == "amplitude" else 2000))
    assert arrived == 1 or who in PEERS, f"{who}, {name}: {arrived:.0%} arrived"
    sample = Sample(**json.loads(printed))
    return Sample(sample.wall / arrived, sample.cpu / arrived), arrived


def main() -> None:
    """Measure, and print the table."""
    options = arguments(__doc__)
    rounds, most = (1, 8000) if options.quick else (5, 96_000)
    rows = []
    for name, case in CASES.items():
        if case.gzip == "isal" and find_spec("isal") is None:
            continue
        counts = {"asyncsdk": most, "floor": most} | dict.fromkeys(case.peers, most // SLOW)
        samples: dict[str, list[Sample]] = {who: [] for who in counts}
        least = dict.fromkeys(counts, 1.0)
        for _ in range(rounds):
            for who, count in counts.items():
                sample, arrived = in_a_process(who, name, count)
                samples[who].append(sample)
                least[who] = min(least[who], arrived)
        timings = {who: summary(taken) for who, taken in samples.items()}
        for who, timing in timings.items():
            to_rudder = timings["rudder"].best / timing.best if "rudder" in timings else ""
            rows.append(
                (
                    name,
                    who,
                    round(1e9 / timing.best),
                    round(1e9 / timing.median),
                    timing.cpu / 1e4,
                    to_rudder,
                    timings["floor"].best / timing.best,
                    f"{least[who]:.0%}",
                )
            )
    columns = (
        "delivered",
        "who",
        "events/s",
        "median",
        "CPU s per 100k",
        "times rudder",
        "part of the floor",
        "arrived",
    )
    show("Delivered to a sink in another process", columns, rows, as_json=options.json)
    if not options.json:
        print("\n\\* with 16 requests of 400 events in flight, if that can be set; otherwise 4 of 100.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(
            json.dumps(attrs.asdict(asyncio.run(run(sys.argv[2], CASES[sys.argv[3]], sys.argv[4], int(sys.argv[5])))))
        )
    else:
        main()
