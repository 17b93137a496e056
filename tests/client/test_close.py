"""Closing with 1,000 queued events, in time, with failing vendors and good ones."""

import asyncio
import time

import pytest
from helpers import amplitude, rudderstack, statsig

from asyncsdk import Client, ConfigurationError, Limits
from asyncsdk.dev import DevServer, Fault

TIMEOUT = 2.0
# Allowance in seconds for a busy machine; benchmarks/close.py measures how late it is on an idle one.
ALLOWANCE = 3.0


async def _close_with_a_thousand(server: DevServer, timeout: float = TIMEOUT) -> float:
    limits = Limits(linger=60)
    client = Client(rudderstack(server, limits), amplitude(server, limits), statsig(server, limits))
    await client.start()
    for n in range(1000):
        await client.track(f"user-{n}", "a", {"n": n})

    began = time.monotonic()
    report = await client.aclose(timeout=timeout)
    took = time.monotonic() - began

    for counts in report.destinations.values():
        assert counts.accepted == 1000
        assert counts.pending == 0
        assert counts.delivered + counts.abandoned == 1000
    return took


@pytest.mark.parametrize("fault", [Fault(end="hang"), Fault(500), Fault(end="refuse")], ids=str)
async def test_close_keeps_its_deadline_and_accounts_for_everything(server: DevServer, fault: Fault) -> None:
    server.fault(None, fault)

    assert await _close_with_a_thousand(server) <= TIMEOUT + ALLOWANCE


async def test_close_keeps_its_deadline_when_no_vendor_listens() -> None:
    server = DevServer()
    async with server:
        pass

    assert await _close_with_a_thousand(server) <= TIMEOUT + ALLOWANCE


async def test_close_delivers_to_a_vendor_that_recovers_in_time(server: DevServer) -> None:
    server.fault("rudderstack", Fault(503))
    client = Client(rudderstack(server, Limits(linger=0, retry_initial=0.02)))
    await client.start()
    await client.track("ada", "a")
    await server.requested("rudderstack", 8)  # without closing, the next wait would be seconds long
    asyncio.get_running_loop().call_later(0.5, server.clear_faults)
    report = await client.aclose(timeout=10)

    assert report.destinations["RudderStack"].delivered == 1


async def test_leaving_the_block_uses_the_clients_close_timeout(server: DevServer) -> None:
    server.fault(None, Fault(end="hang"))
    async with Client(rudderstack(server), close_timeout=0.3) as client:
        await client.track("ada", "a")
        began = time.monotonic()

    assert time.monotonic() - began <= 0.3 + ALLOWANCE


def test_a_close_timeout_that_is_not_a_number_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="number of seconds"):
        Client(close_timeout="5")  # type: ignore[arg-type] # that is the test


async def test_close_delivers_a_thousand_events_when_the_vendors_work(server: DevServer) -> None:
    await _close_with_a_thousand(server, timeout=30)

    assert server.total("rudderstack") == server.total("amplitude") == server.total("statsig") == 1000
