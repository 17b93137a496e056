"""Forced stops: the counts that were logged before are true, and with a spool nothing is lost."""

import signal
from pathlib import Path

import pytest

from asyncsdk.dev import DevServer, Fault
from lifecycle.accounts import VENDORS, assert_all_arrived, assert_claims_hold, claimed
from lifecycle.servers import SERVERS, UVICORN, Run, Server

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

KILLERS = {
    name: SERVERS[name].with_options("--graceful-timeout", "1")
    for name in ("gunicorn", "gunicorn --preload", "gunicorn -k asgi")
}


@pytest.mark.parametrize("server", KILLERS.values(), ids=KILLERS)
async def test_a_worker_that_its_server_kills_has_sent_all(server: Server, vendors: DevServer, run: Run) -> None:
    async with run(server, DRAIN="1") as shop:
        sold = await shop.sell_everywhere()
        async with shop.listening() as stream:
            shop.send_signal()
            await shop.ended()

    bought = [event.id for event in vendors.accepted("rudderstack") if event.name == "Bought"]
    assert sorted(bought) == sorted(sale.id for sale in sold)
    assert f"asyncsdk {stream.worker} SIGTERM: flushed in" in shop.log
    assert f"asyncsdk {stream.worker} closed in" not in shop.log


async def test_before_a_kill_the_log_counts_unsent_events(vendors: DevServer, run: Run) -> None:
    vendors.fault("rudderstack", Fault(end="hang"))
    async with run(UVICORN, DRAIN="1") as shop:
        sold = await shop.sell_everywhere()
        shop.send_signal()
        unsent = int(await shop.logged(r"SIGTERM: sending (\d+) unsent events"))
        await vendors.received("amplitude", len(sold))
        await vendors.received("statsig", 2 * len(sold))
        shop.send_signal_to_all(signal.SIGKILL)

    assert unsent - len(vendors.accepted()) == len(sold)
    assert not vendors.accepted("rudderstack")


@pytest.mark.parametrize("server", [UVICORN, SERVERS["aiohttp"]], ids=["uvicorn", "aiohttp"])
async def test_events_abandoned_by_a_close_are_counted(server: Server, vendors: DevServer, run: Run) -> None:
    vendors.fault("rudderstack", Fault(end="hang"))
    async with run(server, CLOSE_TIMEOUT="1") as shop:
        sold = await shop.sell_everywhere()
        shop.send_signal()
        await shop.ended()

    claims = claimed(shop.log)
    assert_claims_hold(claims, vendors)
    assert claims["RudderStack", "accepted"] == claims["RudderStack", "abandoned"] == len(sold)
    assert claims["Amplitude", "delivered"] == len(sold)


async def test_events_abandoned_by_ctrl_c_twice_are_counted(vendors: DevServer, run: Run) -> None:
    async with run(UVICORN) as shop:
        sold = await shop.sell_everywhere()
        async with shop.listening() as stream:
            streamed = await stream.read(3)
            shop.send_signal(signal.SIGINT)
            await shop.logged("(Waiting for connections to close)")
            shop.send_signal(signal.SIGINT)
            await shop.ended()

    claims = claimed(shop.log)
    assert_claims_hold(claims, vendors)
    assert claims["RudderStack", "accepted"] >= len(sold) + len(streamed)
    assert claims["RudderStack", "accepted"] == claims["RudderStack", "delivered"] + claims["RudderStack", "abandoned"]


async def test_with_a_spool_a_kill_loses_nothing(vendors: DevServer, run: Run, tmp_path: Path) -> None:
    for vendor in VENDORS.values():
        vendors.fault(vendor, Fault(503))
    async with run(UVICORN, SPOOL=str(tmp_path / "spool")) as shop:
        sold = await shop.sell_everywhere()
        shop.send_signal()
        await shop.logged("(Waiting for application shutdown)")
        shop.send_signal_to_all(signal.SIGKILL)
        await shop.ended()
    assert not vendors.accepted()

    vendors.clear_faults()
    async with run(UVICORN, SPOOL=str(tmp_path / "spool")) as shop:
        sold.append(await shop.sell())
        shop.send_signal()
        await shop.ended()
    assert_all_arrived(vendors, sold)
