"""Connections that fail: which address the next one goes to, and what trouble with TLS is called."""

import asyncio
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp.connector
import pytest
import trustme
from aiohttp import web
from helpers import ADA, amplitude, quick, ruleset

from asyncsdk import Client, RudderStack, Rules, Statsig
from asyncsdk._transport import Transport
from asyncsdk.dev import DevServer, Fault
from asyncsdk.vendors._base import Limits, Request

DEAD = "127.0.0.2"  # loopback, where nothing listens
real_getaddrinfo = socket.getaddrinfo


class NameServer:
    """Answers for `vendor.localhost` with an address that a test may change; counts the questions."""

    def __init__(self) -> None:
        self.address = "127.0.0.1"
        self.questions = 0
        self.on_question: Callable[[], object] = lambda: None

    def getaddrinfo(self, host: str, port: int, *more: Any) -> Any:
        if host != "vendor.localhost":
            return real_getaddrinfo(host, port, *more)
        self.questions += 1
        self.on_question()
        return real_getaddrinfo(self.address, port, *more)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    return server


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport(Limits(timeout=2.0))
    yield transport
    await transport.aclose()


def at_name(server: DevServer) -> str:
    return f"http://vendor.localhost:{server.url.rpartition(':')[2]}"


def request(url: str) -> Request:
    return Request(f"{url}/v1/batch", "/v1/batch", {}, b"{}")


async def test_events_follow_a_name_that_moves_away_from_a_dead_address(server: DevServer, names: NameServer) -> None:
    names.address = DEAD
    names.on_question = lambda: setattr(names, "address", "127.0.0.1") if names.questions > 1 else None
    async with Client(RudderStack("key", at_name(server), limits=quick())) as client:
        delivery = (await (await client.track(ADA, "a")))["RudderStack"]

    assert (delivery.status, delivery.attempts) == ("delivered", 2)


async def test_rules_follow_a_name_that_moves_away_from_a_dead_address(server: DevServer, names: NameServer) -> None:
    server.set_ruleset(ruleset())
    names.address = DEAD
    names.on_question = lambda: setattr(names, "address", "127.0.0.1") if names.questions > 1 else None
    rules = Rules(specs_url=f"{at_name(server)}/v2/download_config_specs")
    async with Client(Statsig("secret-key", rules=rules, log_event_url=f"{server.url}/v1/log_event")) as client:
        assert client.health().rules.names  # type: ignore[union-attr] # Statsig has rules


@pytest.mark.parametrize("fault", [Fault(end="reset"), Fault(end="close"), Fault(end="hang")])
async def test_any_lost_connection_makes_the_next_request_look_the_name_up(
    server: DevServer, names: NameServer, fault: Fault
) -> None:
    transport = Transport(Limits(timeout=0.2))
    server.script("rudderstack", fault)
    await transport.send(request(at_name(server)))
    await transport.send(request(at_name(server)))
    await transport.aclose()

    assert names.questions == 2


async def test_a_name_is_looked_up_again_after_ten_seconds(
    server: DevServer, names: NameServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    await transport.send(request(at_name(server)))
    later = asyncio.get_running_loop().time() + 16  # the open connection has ended by then, too
    monkeypatch.setattr(aiohttp.connector, "monotonic", lambda: later)

    await transport.send(request(at_name(server)))
    assert names.questions == 2


@asynccontextmanager
async def serving(handler: Any, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/batch", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def ok(_: web.Request) -> web.Response:
    return web.Response()


@pytest.mark.parametrize("status", [302, 401, 404, 503])
async def test_after_a_refusal_the_next_request_takes_another_connection(transport: Transport, status: int) -> None:
    peers = []

    async def refuse(http: web.Request) -> web.Response:
        peers.append(http.transport.get_extra_info("peername"))  # type: ignore[union-attr] # it is connected
        return web.Response(status=status)

    async with serving(refuse) as address:
        await transport.send(request(f"http://{address}"))
        await transport.send(request(f"http://{address}"))

    assert len(set(peers)) == 2


async def test_tls_to_a_server_without_it_is_called_a_tls_error(server: DevServer, transport: Transport) -> None:
    response = await transport.send(request(server.url.replace("http://", "https://")))

    assert (response.error, response.detail) == ("TLS error", "wrong version number")


async def test_a_certificate_that_is_refused_comes_with_the_reason(transport: Transport) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with serving(ok, context) as address:
        response = await transport.send(request(f"https://{address}"))

    assert response.error == "certificate"
    assert response.detail == "unable to get local issuer certificate"


async def test_a_gzipped_error_body_is_read(server: DevServer) -> None:
    body = {"code": 400, "error": "x", "events_with_invalid_fields": {"time": [0]}}
    zipped = gzip.compress(json.dumps(body).encode())
    server.script("amplitude", Fault(400, body=zipped, headers={"Content-Encoding": "gzip"}))
    async with Client(amplitude(server)) as client:
        delivery = (await (await client.track(ADA, "a")))["Amplitude"]

    assert (delivery.status, delivery.reason) == ("rejected", "invalid field")


async def test_the_repr_of_a_request_has_no_key() -> None:
    statsig = Statsig("secret-0123456789", rules=Rules(id_lists=True))
    requests = [statsig.build_rules_request(0, "", 0), statsig.build_manifest_request(0)]
    requests.append(RudderStack("write-key", "http://a").frame([b"{"], 0))

    assert not any("secret-0123456789" in repr(one) or "write-key" in repr(one) for one in requests)
