"""Cancel at every turn of the loop in every public coroutine: nothing leaks, the client closes, counts add up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from helpers import ADA, amplitude, quick, rudderstack

from asyncsdk import Client, Next, Payload
from asyncsdk.dev import DevServer, Fault

Use = Callable[[Client], Awaitable[Any]]
MAX_TURNS = 200


async def _slow_middleware(payload: Payload, next: Next) -> None:
    await asyncio.sleep(0)
    await next(payload)
    await asyncio.sleep(0)


async def _await_receipt(client: Client) -> None:
    await (await client.track(ADA, "awaited"))


async def _enter_and_leave(client: Client) -> None:
    async with client:
        await client.track(ADA, "inside")


async def _wait_for_room(client: Client) -> None:
    for n in range(4):
        await client.track(ADA, f"crowded {n}")


USES: dict[str, Use] = {
    "start": lambda client: client.start(),
    "aclose": lambda client: client.aclose(timeout=0.3),
    "flush": lambda client: client.flush(timeout=1),
    "track": lambda client: client.track(ADA, "tracked"),
    "identify": lambda client: client.identify(ADA, {"plan": "Free"}),
    "log_event": lambda client: client.log_event({"event_type": "a", "user_id": "user-1"}),
    "awaiting a receipt": _await_receipt,
    "async with": _enter_and_leave,
    "waiting for room": _wait_for_room,
}


async def _cancelled_after(turns: int, use: Use, server: DevServer) -> bool:
    """Cancel `use` after so many turns of the loop; say whether it was still running."""
    server.script("rudderstack", 503, Fault(end="reset"))
    limits = quick(max_queued_events=2, linger=0)
    client = Client(rudderstack(server, limits, overflow="wait"), amplitude(server, limits))
    client.add_middleware(_slow_middleware)
    if use is not USES["start"] and use is not USES["async with"]:
        await client.start()
        await client.track(ADA, "before")
    task = asyncio.ensure_future(use(client))
    for _ in range(turns):
        await asyncio.sleep(0)
    running = not task.done()
    task.cancel()
    await asyncio.wait([task])

    report = await client.aclose(timeout=0.3)

    for counts in report.destinations.values():
        assert counts.pending == 0
    assert len({counts.accepted for counts in report.destinations.values()}) == 1
    assert client.health().state == "closed"
    return running


def _ours() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("asyncsdk")}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", USES)
async def test_cancelling_anywhere_leaves_nothing_behind(server: DevServer, name: str) -> None:
    for turns in range(MAX_TURNS):
        if not await _cancelled_after(turns, USES[name], server):
            break
        assert _ours() == set()
        server.clear_faults()
    await asyncio.sleep(0)

    assert _ours() == set()
