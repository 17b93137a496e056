"""Does a healthy vendor lose events to tasks that only track, and how late is the loop meanwhile?

20,000 events are tracked by 1 to 1,000 tasks in a loop, with default limits, to a sink in another process that answers
at once. A ticker of 5 ms measures how late the event loop is.
"""

import asyncio
import logging
import time
from typing import Literal, get_args

from _measure import EVENT, SIZES, parser, show
from sink import sink

from asyncsdk import Client, QueueFullError, RudderStack

EVENTS = 20_000
TASKS = (1, 10, 100, 1_000)
Overflow = Literal["drop", "wait", "raise"]


async def tick(late: list[float]) -> None:
    """Wake up every 5 ms, and record the lateness in milliseconds."""
    while True:
        due = time.perf_counter() + 0.005
        await asyncio.sleep(0.005)
        late.append((time.perf_counter() - due) * 1000)


async def measure(url: str, tasks: int, overflow: Overflow, events: int) -> list[object]:
    """Track with so many tasks; return a row of the table."""
    refused = 0

    async def work() -> None:
        nonlocal refused
        for number in range(events // tasks):
            try:
                await client.track(f"user-{number}", EVENT, SIZES["300 B"])
            except QueueFullError:
                refused += 1

    async with Client(RudderStack("key", url, overflow=overflow)) as client:
        late: list[float] = []
        ticker = asyncio.create_task(tick(late))
        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(tasks)))
        took = time.perf_counter() - began
        ticker.cancel()
        counts = (await client.flush(timeout=30)).destinations["RudderStack"]
    late.sort()
    dropped = sum(counts.dropped.values()) + refused
    return [tasks, overflow, counts.delivered, dropped, late[int(len(late) * 0.99) - 1], late[-1], took]


def main() -> None:
    """Measure and print."""
    options = parser(__doc__).parse_args()
    logging.disable(logging.CRITICAL)
    events = EVENTS // 10 if options.quick else EVENTS
    with sink() as url:
        rows = [
            asyncio.run(measure(url, tasks, overflow, events)) for tasks in TASKS for overflow in get_args(Overflow)
        ]
    columns = ["tasks", "overflow", "delivered", "dropped", "ticker p99, ms", "ticker worst, ms", "tracked in, s"]
    show(f"{events:,} events", columns, rows, as_json=options.json)


if __name__ == "__main__":
    main()
