"""A hundred tasks that track as fast as they may, while one vendor stumbles: the healthy ones lose nothing."""

import asyncio

import pytest
from helpers import amplitude, quick, rudderstack, statsig

from asyncsdk import Client, User
from asyncsdk.dev import DevServer, Fault

pytestmark = [pytest.mark.torture]
TASKS, EVENTS = 100, 30_000


@pytest.mark.timeout(300)
async def test_a_vendor_that_stumbles_costs_the_healthy_ones_nothing(server: DevServer) -> None:
    limits = quick(linger=0.05, retry_initial=0.1, retry_max=1.0)

    async def track(task: int) -> None:
        for number in range(EVENTS // TASKS):  # another device each time: Amplitude throttles those that send much
            user = User(f"user-{task}-{number}", device_id=f"device-{task}-{number}")
            await client.track(user, "Item Viewed", {"step": number})

    async def stumble() -> None:
        while True:
            server.script("amplitude", 503, 503, Fault(delay=0.3))
            await asyncio.sleep(0.5)

    destinations = rudderstack(server, limits), amplitude(server, limits), statsig(server, limits)
    async with Client(*destinations, close_timeout=60) as client:
        stumbling = asyncio.create_task(stumble())
        await asyncio.gather(*map(track, range(TASKS)))
        stumbling.cancel()
        report = await client.flush(timeout=60)

    for name in ("RudderStack", "Statsig"):
        assert report.destinations[name].delivered == EVENTS, name
    counts = report.destinations["Amplitude"]
    assert counts.delivered + sum(counts.dropped.values()) == counts.accepted == EVENTS
