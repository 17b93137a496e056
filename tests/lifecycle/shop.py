"""What the applications of this folder share: a client as the environment describes it, and what their pages do."""

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
    """Make a client whose queues are emptied by closing and by signals; by time only if `LINGER` says so."""
    setting = os.environ.get
    url, limits = os.environ["VENDORS"], Limits(events=1000, linger=float(setting("LINGER", "60")))
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
    """Read a gate, and sell something."""
    is_open = flags.check_gate("open")
    receipt = await client.track(flags.user, "Bought", {"price": 5})
    time.sleep(0.002)  # a worker that is busy leaves the next connection to the others
    return {"id": receipt.event_id, "worker": os.getpid(), "open": is_open}


def stream_headers() -> dict[str, str]:
    """Say who streams."""
    return {"Content-Type": "text/event-stream", "X-Worker": str(os.getpid())}


async def listen(flags: Flags) -> AsyncIterator[bytes]:
    """Tell for ever: each server-sent event is the id of an event that was tracked for it."""
    while True:
        yield f"data: {flags.track('Told').event_id}\n\n".encode()
        await asyncio.sleep(0.05)


async def fork(client: Client, flags: Flags) -> list[int]:
    """Try to track in a forked child, which ends with 42 if it is told that it cannot."""
    child = os.fork()
    if not child:
        try:
            client.put_nowait(Track(flags.user, "Forked"))
        except ForkedProcessError:
            os._exit(42)
        os._exit(1)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


async def spawn(client: Client, flags: Flags) -> list[int]:
    """Start other programs, in both ways."""
    process = await asyncio.create_subprocess_exec("true")
    return [await process.wait(), subprocess.run(["true"], check=False).returncode]


PAGES = {"buy": buy, "fork": fork, "spawn": spawn}
