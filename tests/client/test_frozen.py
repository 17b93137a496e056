"""A process that is frozen for a while, as on AWS Lambda: the loop does not run, and the time jumps."""

import asyncio
import time

from helpers import ADA, quick, rudderstack

from asyncsdk import Client
from asyncsdk.dev import DevServer, Fault

DEADLINE = 0.3


def freeze(seconds: float = 1.4) -> None:
    """Keep the loop from running, as a stopped process does."""
    time.sleep(seconds)


async def test_an_event_whose_deadline_passed_in_a_freeze_is_sent(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(linger=0.05, deadline=DEADLINE))) as client:
        await (await client.track(ADA, "first"))
        receipt = await client.track(ADA, "a")
        freeze()
        await client.flush()

        assert (await receipt)["RudderStack"].status == "delivered"


async def test_an_event_that_waits_for_a_retry_in_a_freeze_is_sent(server: DevServer) -> None:
    server.script("rudderstack", Fault(503, retry_after=1))
    async with Client(rudderstack(server, quick(deadline=DEADLINE))) as client:
        receipt = await client.track(ADA, "a")
        while client.health().destinations["RudderStack"].state != "retrying":
            await asyncio.sleep(0.01)
        freeze()

        assert (await receipt)["RudderStack"].status == "delivered"


async def test_after_a_freeze_the_deadline_holds_again(server: DevServer) -> None:
    server.fault("rudderstack", 503)
    async with Client(rudderstack(server, quick(deadline=DEADLINE))) as client:
        receipt = await client.track(ADA, "a")
        await server.requested("rudderstack")
        freeze()

        assert (await receipt)["RudderStack"].reason == "deadline"
