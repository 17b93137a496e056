"""How much memory does a queued event take beyond its bytes, and an idle client beyond `import aiohttp`?

Resident memory, each case in a process of its own.
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from _measure import EVENT, SIZES, arguments, show
from _peers import PEERS

REFUSING = "http://127.0.0.1:9"
EVENTS = 100_000


def resident() -> int:
    """Return the resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def queued_by_us(events: int) -> tuple[int, int]:
    """Queue events with asyncsdk; return the growth in memory and the size of the encoded events, in bytes."""
    from asyncsdk import Client, Limits, RudderStack, Track  # noqa: PLC0415 -- only in the process that measures it

    limits = Limits(max_queued_events=events + 1, max_queued_bytes=10**12)
    client = Client(RudderStack("key", REFUSING, limits=limits))
    await client.start()
    await client.track("user-warm", EVENT, SIZES["1 KB"])
    before = resident()
    for number in range(events):
        client.put_nowait(Track(f"user-{number}", EVENT, SIZES["1 KB"]))  # `track` would let the loop send meanwhile
    grown = resident() - before
    [health] = client.health().destinations.values()
    assert health.queued_events == events + 1
    await client.aclose(timeout=0)
    return grown, health.queued_bytes


def queued_by_peer(name: str, events: int) -> tuple[int, int]:
    """Queue events with another SDK whose consumers do not run; return the growth in memory, and 0."""
    put = PEERS[name](REFUSING, paused=True).put
    put("user-warm", EVENT, dict(SIZES["1 KB"]))
    before = resident()
    for number in range(events):
        put(f"user-{number}", EVENT, dict(SIZES["1 KB"]))
    return resident() - before, 0


async def at_rest() -> tuple[int, int]:
    """Start a client, and return the growth in memory, and 0."""
    import aiohttp  # noqa: F401, PLC0415 -- the baseline

    before = resident()
    from asyncsdk import Amplitude, Client, RudderStack, Statsig  # noqa: PLC0415 -- what is measured

    async with Client(RudderStack("key", REFUSING), Amplitude("api-key"), Statsig("secret-key")):
        await asyncio.sleep(0.2)
        return resident() - before, 0


def in_a_process(*case: str) -> tuple[int, int]:
    """Run one case in a process of its own."""
    command = [sys.executable, __file__, "--run", *case]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 -- ourselves
    grown, payload = json.loads(printed)
    return grown, payload


def run(case: str, events: int) -> tuple[int, int]:
    """Run one case in this process."""
    logging.disable(logging.CRITICAL)
    if case == "rest":
        return asyncio.run(at_rest())
    return asyncio.run(queued_by_us(events)) if case == "asyncsdk" else queued_by_peer(case, events)


def main() -> None:
    """Measure, and print the table."""
    options = arguments(__doc__)
    events, rounds = (10_000, 1) if options.quick else (EVENTS, 3)
    rows: list[tuple[object, ...]] = []
    payload = 0
    for name in ("asyncsdk", "rudder", "segment", "amplitude", "posthog"):
        grown, own = min(in_a_process(name, str(events)) for _ in range(rounds))
        payload = payload or own
        rows.append(
            (f"{name}, {events:,} events of 1 KB", grown / 1e6, round((grown - payload) / events), grown / payload)
        )
    rest, _ = min(in_a_process("rest", "0") for _ in range(rounds))
    rows.append(("asyncsdk, idle, beyond aiohttp", rest / 1e6, "", ""))
    columns = ("resident memory", "MB", "bytes per event beyond our encoded ones", "ratio to those")
    show(f"Memory ({payload / events:,.0f} encoded bytes an event)", columns, rows, as_json=options.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(run(sys.argv[2], int(sys.argv[3]))), flush=True)
        os._exit(0)  # other SDKs would wait for the consumers that do not run
    main()
