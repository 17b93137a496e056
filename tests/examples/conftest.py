"""The aiohttp shop on loopback, and a dev server that receives its events."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from asyncsdk import Amplitude, Client, Limits, RudderStack, Rules, Statsig
from asyncsdk.dev import DevServer
from asyncsdk.examples import aiohttp_shop


@pytest.fixture
async def vendors() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=aiohttp_shop.RULESET) as server:
        server.set_id_list("regulars", ["grace.hopper"])
        yield server


@pytest.fixture
def client(vendors: DevServer) -> Client:
    limits, url = Limits(linger=0), vendors.url
    specs, lists = f"{url}/v2/download_config_specs", f"{url}/v1/get_id_lists"
    rules = Rules(specs_url=specs, poll_interval=1, id_lists=True, id_lists_url=lists)
    return aiohttp_shop.make_client(
        [
            RudderStack("key", url, limits=limits),
            Amplitude("key", url=f"{url}/2/httpapi", limits=limits),
            Statsig("secret-key", log_event_url=f"{url}/v1/log_event", rules=rules, limits=limits),
        ]
    )


@pytest.fixture
async def http(client: Client) -> AsyncIterator[TestClient]:
    server = TestServer(aiohttp_shop.create_app(client, consent_timeout=0.3))
    async with TestClient(server, headers={"X-User": "ada.lovelace"}) as http:
        yield http
