"""Orderly stops by SIGTERM: nothing is lost, and the counts in the last line of the log are true."""

import pytest

from asyncsdk.dev import DevServer, Fault
from lifecycle.accounts import assert_all_arrived, assert_claims_hold, claimed
from lifecycle.servers import HYPERCORN_2, SERVERS, UVICORN_2, UVICORN_WORKER, Run, Server

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
async def test_an_orderly_stop_loses_nothing(server: Server, vendors: DevServer, run: Run) -> None:
    async with run(server) as shop:
        sold = await shop.sell_everywhere()
        assert len(vendors.accepted("rudderstack")) < len(sold)  # events are still queued
        shop.send_signal()
        await shop.ended()

    assert_all_arrived(vendors, sold)
    assert_claims_hold(claimed(shop.log), vendors)


async def test_a_worker_that_is_terminated_while_closing_closes_first(vendors: DevServer, run: Run) -> None:
    vendors.script("rudderstack", None, Fault(delay=1))
    async with run(HYPERCORN_2, DRAIN="1") as shop:
        sold = await shop.sell_everywhere()
        shop.send_signal()
        await shop.ended()

    assert_all_arrived(vendors, sold)
    assert_claims_hold(claimed(shop.log), vendors)


RECYCLING = {
    "uvicorn": UVICORN_2.with_options("--limit-max-requests", "9"),
    "gunicorn": UVICORN_WORKER.with_options("--max-requests", "9"),
}


@pytest.mark.parametrize("server", RECYCLING.values(), ids=RECYCLING)
async def test_a_worker_that_is_replaced_loses_nothing(server: Server, vendors: DevServer, run: Run) -> None:
    async with run(server) as shop:
        sold = await shop.sell_until(lambda sales: len({sale.worker for sale in sales}) > server.workers)
        shop.send_signal()
        await shop.ended()

    assert_all_arrived(vendors, sold)
    assert_claims_hold(claimed(shop.log), vendors)
