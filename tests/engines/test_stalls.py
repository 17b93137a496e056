"""A network between engine and server that stalls: nothing is lost, nothing hangs, and `health()` says so."""

import asyncio
import time

import pytest
from helpers import quick, rudderstack

from asyncsdk import Client
from asyncsdk.dev import DevServer
from asyncsdk.relay import Relay
from engines import shop
from engines.chaos import scenarios
from engines.chaos.proxy import MODES, Mode, StallingProxy
from engines.chaos.stage import AnyServer, running, setting

pytestmark = [pytest.mark.torture, pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TIMEOUT", "0.5")


async def test_nothing_is_lost_while_the_network_stalls(own_server: AnyServer) -> None:
    async with StallingProxy(own_server.port) as proxy, running(own_server, relays=2, port=proxy.port) as stage:
        await scenarios.stall(stage, proxy, len(MODES))

    assert stage.audit.is_ok, stage.audit


@pytest.mark.parametrize("mode", ["freeze", "half-open", "reset"])
async def test_client_and_relay_close_in_time_while_the_network_stalls(
    mode: Mode, own_server: AnyServer, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with StallingProxy(own_server.port) as proxy:
        monkeypatch.setenv("SHOP_ENGINE", setting(own_server, "chaos", proxy.port))
        relay = Relay(rudderstack(server, quick()), engine=shop.make_engine(), close_timeout=0.5)
        client = Client(rudderstack(server, quick()), engine=shop.make_engine(), close_timeout=0.5)
        async with client, relay:
            await client.track("ada", "1")
            await server.received("rudderstack")
            proxy.set(mode)
            await client.track("ada", "2")
            began = time.monotonic()
            await asyncio.gather(client.aclose(), relay.aclose())

    assert time.monotonic() - began < 8.0
