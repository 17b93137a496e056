"""The part that the shop's applications share: a client configured by the environment, and the pages."""

import asyncio
import logging
import os
import subprocess
import time
from collections.abc import AsyncIterator
from typing import Any

from asyncsdk import Amplitude, Client, Flags, ForkedProcessError, Limits, RudderStack, Rules, Statsig, Track

logging.basicConfig(level=logging.INFO, format="%(name)s %(process)d %(message)s")


def make_client() -> Client:
    """Build a client that delivers on close and on signals; after a linger only if `LINGER` sets a short one."""
    setting, url = os.environ.get, os.environ["VENDORS"]
    limits = Limits(max_events=1000, linger=float(setting("LINGER", "60")))
    return Client(
        RudderStack("key", url, limits=limits),
        Amplitude("key", url=f"{url}/2/httpapi", limits=limits),
        Statsig(
            "secret-key",
            log_event_url=f"{url}/v1/log_event",
            rules=Rules(specs_url=f"{url}/v2/download_config_specs", poll_interval=1),
            limits=limits,
        ),
        drain_on_sigterm="DRAIN" in os.environ,
        spool=setting("SPOOL"),
        close_timeout=float(setting("CLOSE_TIMEOUT", "5")),
    )


async def buy(client: Client, flags: Flags) -> dict[str, Any]:
    """Check a gate and track a sale."""
    is_open = flags.check_gate("open")
    receipt = await client.track(flags.user, "Bought", {"price": 5})
    time.sleep(0.002)  # a busy worker leaves the next connection to the others
    return {"id": receipt.event_id, "worker": os.getpid(), "open": is_open}


def stream_headers() -> dict[str, str]:
    """Return headers that name the streaming process."""
    return {"Content-Type": "text/event-stream", "X-Worker": str(os.getpid())}


async def listen(flags: Flags) -> AsyncIterator[bytes]:
    """Stream server-sent events without end; each carries the id of an event that was tracked for it."""
    while True:
        yield f"data: {flags.track('Streamed').event_id}\n\n".encode()
        await asyncio.sleep(0.05)


async def fork(client: Client, flags: Flags) -> list[int]:
    """Try to track in a forked child, which exits with 42 if that raises `ForkedProcessError`."""
    child = os.fork()
    if not child:
        try:
            client.put_nowait(Track(flags.user, "Forked"))
        except ForkedProcessError:
            os._exit(42)
        os._exit(1)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


async def spawn(client: Client, flags: Flags) -> list[int]:
    """Start a program through asyncio and another through `subprocess`."""
    process = await asyncio.create_subprocess_exec("true")
    return [await process.wait(), subprocess.run(["true"], check=False).returncode]


PAGES = {"buy": buy, "fork": fork, "spawn": spawn}
