"""An open stream of server-sent events keeps most servers from stopping, but does not delay delivery."""

import signal
from collections.abc import Iterable

import pytest

from asyncsdk.dev import DevServer
from lifecycle.accounts import VENDORS, assert_claims_hold, claimed
from lifecycle.servers import HYPERCORN, HYPERCORN_2, SERVERS, UVICORN, Run, Sale, Server, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

SIGNALLED = {name: server for name, server in SERVERS.items() if server is not HYPERCORN}


async def all_arrive(vendors: DevServer, sold: Iterable[Sale], streamed: Iterable[str] = ()) -> None:
    """Wait until every event has arrived, and assert that there are no duplicates."""
    ids = {*(sale.id for sale in sold), *streamed}
    for vendor in ("rudderstack", "amplitude"):
        await until(lambda vendor=vendor: {event.id for event in vendors.accepted(vendor)} >= ids)
        assert not vendors.total(vendor, "duplicate")


@pytest.mark.parametrize("server", SIGNALLED.values(), ids=SIGNALLED)
async def test_an_open_stream_does_not_delay_delivery(server: Server, vendors: DevServer, run: Run) -> None:
    async with run(server, DRAIN="1") as shop:
        sold = await shop.sell_everywhere()
        async with shop.listening() as stream:
            streamed = await stream.read(3)
            shop.send_signal()
            await all_arrive(vendors, sold, streamed)
            await shop.logged(rf"asyncsdk {stream.worker} (SIGTERM: flushed in)")
            later = await stream.read(3)
            await all_arrive(vendors, sold, later)
            shop.send_signal_to_all(signal.SIGKILL)

    claims = claimed(shop.log, f"asyncsdk {stream.worker} SIGTERM: flushed in")
    here = sum(sale.worker == stream.worker for sale in sold)
    for destination, vendor in VENDORS.items():
        there = sum(event.name == "Streamed" for event in vendors.accepted(vendor))
        assert here + len(streamed) <= claims[destination, "delivered"] <= here + there


CLOSING = {
    "uvicorn --timeout-graceful-shutdown": UVICORN.with_options("--timeout-graceful-shutdown", "1"),
    "aiohttp with shutdown_timeout": SERVERS["aiohttp"],
}


@pytest.mark.parametrize("server", CLOSING.values(), ids=CLOSING)
async def test_a_server_that_closes_streams_loses_nothing(server: Server, vendors: DevServer, run: Run) -> None:
    async with run(server, SHUTDOWN_TIMEOUT="1") as shop:
        sold = await shop.sell_everywhere()
        async with shop.listening() as stream:
            streamed = await stream.read(3)
            shop.send_signal()
            await shop.ended()

    await all_arrive(vendors, sold, streamed)
    assert_claims_hold(claimed(shop.log), vendors)


async def test_a_worker_without_a_signal_sends_after_the_linger(vendors: DevServer, run: Run) -> None:
    async with run(HYPERCORN, DRAIN="1", LINGER="0.2") as shop:
        sold = await shop.sell_everywhere()
        async with shop.listening() as stream:
            shop.send_signal()
            streamed = await stream.read(3)
            await all_arrive(vendors, sold, streamed)
            shop.send_signal_to_all(signal.SIGKILL)


async def test_a_signal_to_all_processes_reaches_every_worker(vendors: DevServer, run: Run) -> None:
    async with run(HYPERCORN_2, DRAIN="1") as shop:
        sold = await shop.sell_everywhere()
        async with shop.listening():
            shop.send_signal_to_all()
            await shop.ended()

    await all_arrive(vendors, sold)
