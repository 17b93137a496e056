"""What does one `track()` cost its caller, while nothing is sent? Floor: a dict, orjson, an exact copy, a deque."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import orjson
from _measure import EVENT, SIZES, Clock, Sample, arguments, interleave, show
from _peers import PEERS

from asyncsdk import Amplitude, Client, Destination, Limits, RudderStack, Statsig

REFUSING = "http://127.0.0.1:9"
CALLS = 1000
USERS = [f"user-{number % 1000}" for number in range(CALLS)]
LIMITS = Limits(max_events=2000, max_bytes=990_000, linger=60, max_queued_events=10_000_000, max_queued_bytes=10**12)
DESTINATIONS: tuple[Destination, ...] = (
    RudderStack("key", REFUSING, limits=LIMITS),
    Amplitude("key", url=REFUSING, limits=LIMITS),
    Statsig("secret-key", log_event_url=REFUSING, rules=None, limits=LIMITS),
)


def ours(count: int, properties: dict[str, Any]) -> Callable[[], Sample]:
    """Track on a running client whose vendor refuses connections, and close it before a batch is due."""

    async def run() -> Sample:
        client = Client(*DESTINATIONS[:count])
        await client.start()
        track = client.track
        clock = Clock()
        for user_id in USERS:
            await track(user_id, EVENT, properties)
        sample = clock.stop(CALLS)
        report = await client.aclose(timeout=0)
        assert [counts.accepted for counts in report.destinations.values()] == [CALLS] * count
        return sample

    return lambda: asyncio.run(run())


def theirs(name: str, properties: dict[str, Any]) -> Callable[[], Sample]:
    """Track with another SDK whose consumers do not run."""

    def run() -> Sample:
        put = PEERS[name](REFUSING, paused=True).put
        clock = Clock()
        for user_id in USERS:
            put(user_id, EVENT, dict(properties))  # some SDKs change it
        return clock.stop(CALLS)

    return run


def floor(properties: dict[str, Any]) -> Callable[[], Sample]:
    """Do the minimum that keeps an event: no validation, no counts, one id and time for all."""
    message_id, now = str(uuid4()), "2026-11-20T20:16:11.414Z"

    def run() -> Sample:
        queue: deque[bytes] = deque()
        clock = Clock()
        for user_id in USERS:
            message = {
                "type": "track",
                "channel": "server",
                "messageId": message_id,
                "originalTimestamp": now,
                "integrations": {"All": True},
                "userId": user_id,
                "context": {"library": {"name": "asyncsdk", "version": "1"}},
                "event": EVENT,
                "properties": properties,
            }
            queue.append(bytes(memoryview(orjson.dumps(message))))
        return clock.stop(CALLS)

    return run


def main() -> None:
    """Measure, and print the table."""
    options = arguments(__doc__)
    logging.disable(logging.CRITICAL)
    timings = {}
    for size, properties in SIZES.items():
        cases: dict[str, Callable[[], Sample]] = {
            "asyncsdk, one destination": ours(1, properties),
            "asyncsdk, three": ours(3, properties),
            **{name: theirs(name, properties) for name in ("rudder", "segment", "amplitude", "posthog")},
            "floor": floor(properties),
        }
        timings[size] = interleave(cases, 2 if options.quick else 15)
    rows = []
    for name in timings["1 KB"]:
        row: list[object] = [name]
        for timing in timings.values():
            mine = timing[name]
            row += [mine.best / 1000, mine.median / 1000, timing["rudder"].best / mine.best]
        rows.append([*row, timings["1 KB"][name].best / timings["1 KB"]["floor"].best])
    columns = ["us per call"]
    for size in SIZES:
        columns += [size, f"{size}, median", f"{size}, times faster than rudder"]
    show("One call", [*columns, "1 KB, ratio to the floor"], rows, as_json=options.json)


if __name__ == "__main__":
    main()
