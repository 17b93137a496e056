"""Several event loops in a process, each with its own client."""

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import chain

import pytest
import uvloop

from asyncsdk import Client, Limits, RudderStack, WrongEventLoopError
from asyncsdk.dev import DevServer

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
loops = pytest.mark.parametrize("make_loop", LOOPS.values(), ids=LOOPS)


def make_client(vendors: DevServer) -> Client:
    return Client(RudderStack("key", vendors.url, limits=Limits(linger=60)))


@loops
async def test_threads_with_a_loop_and_a_client_each_deliver_all(
    make_loop: Callable[[], asyncio.AbstractEventLoop], vendors: DevServer
) -> None:
    async def sell() -> list[str]:
        async with make_client(vendors) as client:
            receipts = [await client.track(f"customer-{number}", "Bought") for number in range(100)]
        return [receipt.event_id for receipt in receipts]

    def work() -> list[str]:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run(sell())

    sold = await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))

    assert Counter(event.id for event in vendors.accepted()) == Counter(chain(*sold))
    assert not vendors.total("rudderstack", "duplicate")


@loops
async def test_one_client_on_two_loops_raises_and_continues(
    make_loop: Callable[[], asyncio.AbstractEventLoop], vendors: DevServer
) -> None:
    async with make_client(vendors) as client:

        async def track() -> None:
            with pytest.raises(WrongEventLoopError, match="another event loop"):
                await client.track("ada.lovelace", "Elsewhere")

        def work() -> None:
            with asyncio.Runner(loop_factory=make_loop) as runner:
                runner.run(track())

        await asyncio.to_thread(work)
        await client.track("ada.lovelace", "Here")

    assert [event.name for event in vendors.accepted()] == ["Here"]
