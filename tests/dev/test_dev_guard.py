"""Which requests of browsers the dev server refuses."""

import aiohttp
import pytest

from asyncsdk.dev import DevServer
from asyncsdk.dev.guard import Guard

ORIGIN = "https://app.test"
HOST = "127.0.0.1:4010"


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("127.0.0.1:4010", True), ("localhost:4010", True), ("[::1]:4010", True), ("192.168.0.7:4010", True),
        ("app.localhost", True), ("dev", True), ("app.test", True), (None, True), ("attacker.example:4010", False),
        ("127.0.0.1.nip.io", False), ("", False), ("[", False),
    ],
)  # fmt: skip
def test_a_host_is_an_address_or_a_local_name(host: str | None, is_allowed: bool) -> None:
    fault = Guard("127.0.0.1", [ORIGIN]).fault(host, None, is_control=False)

    assert (not fault) is is_allowed


@pytest.mark.parametrize(
    ("origin", "vendor", "control"),
    [
        (None, True, True), (f"http://{HOST}", True, True), ("http://localhost:3000", True, False),
        ("https://app.localhost", True, False), ("http://[::1]:1", True, False), (ORIGIN, True, True),
        ("https://evil.example", False, False), ("null", False, False), ("http://192.168.0.7", False, False),
        ("http://[", False, False),
    ],
)  # fmt: skip
def test_an_origin_may_use_a_part_of_the_server(origin: str | None, vendor: bool, control: bool) -> None:
    guard = Guard("127.0.0.1", [ORIGIN])

    assert (not guard.fault(HOST, origin, is_control=False)) is vendor
    assert (not guard.fault(HOST, origin, is_control=True)) is control


async def test_a_foreign_page_can_neither_send_events_nor_reset(server: DevServer, http: aiohttp.ClientSession) -> None:
    for path in ("/2/httpapi", "/__dev/reset"):
        async with http.post(server.url + path, json={}, headers={"Origin": "https://evil.example"}) as response:
            assert response.status == 403
            assert "--allow-origin" in (await response.json())["error"]

    assert server.requests == []


async def test_a_page_of_this_machine_reads_the_vendors_reply(server: DevServer, http: aiohttp.ClientSession) -> None:
    page = {"Origin": "http://localhost:3000"}
    async with http.options(
        f"{server.url}/2/httpapi", headers=page | {"Access-Control-Request-Headers": "x-a"}
    ) as asked:
        assert (asked.status, asked.headers["Access-Control-Allow-Headers"]) == (204, "x-a")
    async with http.post(f"{server.url}/2/httpapi", json={}, headers=page) as response:
        assert response.headers["Access-Control-Allow-Origin"] == page["Origin"]
    async with http.get(f"{server.url}/__dev/health", headers={"Origin": server.url}) as response:
        assert (response.status, "Access-Control-Allow-Origin" in response.headers) == (200, False)


async def test_an_allowed_page_may_use_the_control_api(http: aiohttp.ClientSession) -> None:
    server = DevServer(allow_origins=[ORIGIN])
    async with server, http.get(f"{server.url}/__dev/health", headers={"Origin": ORIGIN}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
