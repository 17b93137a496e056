"""How requests leave the machine: proxies, TLS, headers and sessions of the user's own, for events and rules alike."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
import trustme
from aiohttp import web
from helpers import ADA, quick, ruleset

from asyncsdk import Client, ConfigurationError, HttpSettings, RudderStack, Rules, Statsig
from asyncsdk.dev import DevServer


@attrs.define
class Proxy:
    """A forward proxy that counts what goes through it: CONNECTs by target, and plain requests by URL."""

    connects: list[str] = attrs.Factory(list)
    plain: list[str] = attrs.Factory(list)
    credentials: list[str | None] = attrs.Factory(list)
    refuses: bool = False
    route: str | None = None  # where every CONNECT really goes
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, *_ = head.decode().split(" ")
        found = [line for line in head.decode().split("\r\n") if line.lower().startswith("proxy-authorization:")]
        self.credentials.append(found[0].partition("Basic ")[2] if found else None)
        (self.connects if method == "CONNECT" else self.plain).append(target)
        if self.refuses:
            writer.write(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        else:
            await self._pass_on(method, target, head, reader, writer)
        await writer.drain()

    async def _pass_on(self, method: str, target: str, head: bytes, *ends: Any) -> None:
        reader, writer = ends
        host, _, port = (self.route or target.removeprefix("http://").partition("/")[0]).rpartition(":")
        there, away = await asyncio.open_connection(host, int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:  # one request per connection
            path = "/" + target.removeprefix("http://").partition("/")[2]
            away.write(head.replace(target.encode(), path.encode(), 1)[:-2] + b"Connection: close\r\n\r\n")
        async with _closing(away):
            sending = asyncio.create_task(_pump(reader, away))
            try:
                await _pump(there, writer)
            finally:
                sending.cancel()
                await asyncio.wait([sending])


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while part := await source.read(65536):
        sink.write(part)
        await sink.drain()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    proxy, tasks = Proxy(), set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        async with _closing(writer):
            await proxy.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield proxy
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def tls_vendor(authority: trustme.CA, *, wants_client: bool = False) -> AsyncIterator[tuple[str, list[Any]]]:
    """Serve RudderStack's endpoint over TLS with a private authority; yield its URL and the requests."""
    requests: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append((request.path, dict(request.headers), request.transport.get_extra_info("peercert")))
        await request.read()
        return web.Response(text="OK")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
    await site.start()
    yield f"https://localhost:{runner.addresses[0][1]}", requests
    await runner.cleanup()


async def delivered(*destinations: Any, http: HttpSettings | None = None) -> int:
    async with Client(*destinations, http=http) as client:
        await client.track(ADA, "a")
        report = await client.flush(timeout=3)
    return sum(counts.delivered for counts in report.destinations.values())


async def failure(client: Client) -> None:
    while not client.health().destinations["RudderStack"].last_error:
        await asyncio.sleep(0.01)


def ca_file(authority: trustme.CA, folder: Path) -> str:
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


async def test_events_and_rules_go_through_the_proxy(server: DevServer, proxy: Proxy) -> None:
    server.set_ruleset(ruleset())
    rules = Rules(specs_url=f"{server.url}/v2/download_config_specs")
    statsig = Statsig("secret-key", log_event_url=f"{server.url}/v1/log_event", rules=rules, limits=quick())
    rudderstack = RudderStack("key", server.url, limits=quick())

    assert await delivered(statsig, rudderstack, http=HttpSettings(proxy=proxy.url)) == 2
    paths = {url.removeprefix(server.url).partition("?")[0] for url in proxy.plain}
    assert any("download_config_specs" in path for path in paths)
    assert {"/v1/batch", "/v1/log_event"} <= paths


async def test_the_proxy_resolves_the_name_and_is_given_its_credentials(
    proxy: Proxy, authority: trustme.CA, tmp_path: Path
) -> None:
    async with tls_vendor(authority) as (url, requests):
        proxy.route = url.removeprefix("https://")
        with_user = proxy.url.replace("http://", "http://user:pass%20word@")
        http = HttpSettings(proxy=with_user, ca_file=ca_file(authority, tmp_path))
        port = url.rpartition(":")[2]

        assert await delivered(RudderStack("key", f"https://localhost:{port}", limits=quick()), http=http) == 1

    assert proxy.connects[0] == f"localhost:{port}"
    assert base64.b64decode(proxy.credentials[0] or "") == b"user:pass word"
    assert "Proxy-Authorization" not in requests[0][1]


async def test_the_environments_proxy_is_used_only_if_asked_and_no_proxy_is_obeyed(
    server: DevServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    destination = RudderStack("key", server.url, limits=quick())

    assert await delivered(destination) == 1
    assert proxy.plain == []
    assert await delivered(destination, http=HttpSettings(trust_env=True)) == 1
    assert len(proxy.plain) == 1
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert await delivered(destination, http=HttpSettings(trust_env=True)) == 1
    assert len(proxy.plain) == 1


async def test_a_destinations_own_settings_replace_those_of_the_client(server: DevServer, proxy: Proxy) -> None:
    direct = RudderStack("key", server.url, limits=quick(), http=HttpSettings())

    assert await delivered(direct, http=HttpSettings(proxy=proxy.url)) == 1
    assert proxy.plain == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_refuses_costs_no_event_and_is_named(server: DevServer, proxy: Proxy, scheme: str) -> None:
    proxy.refuses = True
    url = server.url.replace("http", scheme)
    async with Client(RudderStack("key", url, limits=quick()), http=HttpSettings(proxy=proxy.url)) as client:
        await client.track(ADA, "a")
        await failure(client)
        health = client.health().destinations["RudderStack"]
        proxy.refuses = False

        assert health.queued_events == 1
        assert health.last_error == "proxy: status 407"
        await client.aclose(timeout=0)


async def test_a_proxy_that_is_gone_is_named_without_its_password(server: DevServer) -> None:
    http = HttpSettings(proxy="http://user:secret@127.0.0.1:9")
    async with Client(RudderStack("key", server.url, limits=quick()), http=http) as client:
        await client.track(ADA, "a")
        await failure(client)

        assert client.health().destinations["RudderStack"].last_error == "proxy 127.0.0.1:9: connection refused"
        await client.aclose(timeout=0)


async def test_a_private_authority_and_a_client_certificate_are_used(authority: trustme.CA, tmp_path: Path) -> None:
    mine = authority.issue_cert("client.example")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    http = HttpSettings(
        ca_file=ca_file(authority, tmp_path),
        client_cert=str(tmp_path / "cert.pem"),
        client_key=str(tmp_path / "key.pem"),
    )
    async with tls_vendor(authority, wants_client=True) as (url, requests):
        assert await delivered(RudderStack("key", url, limits=quick()), http=http) == 1

    assert requests[0][2] is not None


async def test_a_context_of_ones_own_is_used(authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with tls_vendor(authority) as (url, _):
        assert await delivered(RudderStack("key", url, limits=quick()), http=HttpSettings(ssl=context)) == 1


async def test_headers_are_added_and_those_of_the_protocol_stay(authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    headers = {"X-Gateway": "token", "authorization": "mine", "User-Agent": "shop/1"}
    async with tls_vendor(authority) as (url, requests):
        await delivered(RudderStack("key", url, limits=quick()), http=HttpSettings(ssl=context, headers=headers))

    sent = requests[0][1]
    assert (sent["X-Gateway"], sent["User-Agent"]) == ("token", "shop/1")
    assert sent["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("as_function", [True, False])
async def test_a_session_of_ones_own_is_used_and_never_closed(server: DevServer, *, as_function: bool) -> None:
    async with aiohttp.ClientSession(headers={"X-Mine": "1"}) as session:
        http = HttpSettings(session=(lambda: session) if as_function else session)
        server.set_ruleset(ruleset())
        rules = Rules(specs_url=f"{server.url}/v2/download_config_specs")
        statsig = Statsig("secret-key", log_event_url=f"{server.url}/v1/log_event", rules=rules, limits=quick())

        assert await delivered(statsig, http=http) == 1
        assert not session.closed

    assert [dict(request.headers).get("X-Mine") for request in server.requests] == ["1", "1"]


async def test_a_connector_of_ones_own_is_used_and_never_closed(server: DevServer) -> None:
    connector = aiohttp.TCPConnector()
    destination = RudderStack("key", server.url, limits=quick())

    assert await delivered(destination, http=HttpSettings(connector=lambda: connector)) == 1
    assert not connector.closed
    await connector.close()


async def test_a_function_for_a_connector_is_called_once_even_after_failures(server: DevServer) -> None:
    made: list[aiohttp.TCPConnector] = []

    def make() -> aiohttp.TCPConnector:
        made.append(aiohttp.TCPConnector())
        return made[-1]

    server.script("rudderstack", 503, 503)

    assert await delivered(RudderStack("key", server.url, limits=quick()), http=HttpSettings(connector=make)) == 1
    assert len(made) == 1
    await made[0].close()


async def test_a_dev_server_is_reached_directly(
    server: DevServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    destination = RudderStack("key", "https://plane.example.com", limits=quick())

    assert await delivered(destination, http=HttpSettings(proxy=proxy.url)) == 1
    assert proxy.connects == []


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"proxy": "proxy:3128"}, "URL of an HTTP proxy"),
    ({"proxy": "socks5://proxy:1080"}, "aiohttp-socks"),
    ({"proxy": 3128}, "URL of an HTTP proxy"),
    *(
        ({"proxy": f"http://{address}"}, "URL of an HTTP proxy")
        for address in ("p:99999", "p:x", "p:0", "p :1", "p\n:1", "us er@p:1", "p..q:1", "")
    ),
    ({"headers": {"A b": "c"}}, "'A b', which is not the name of a header"),
    ({"headers": {"": "c"}}, "not the name of a header"),
    ({"trust_env": 1}, "`trust_env` of HttpSettings must be True or False, not int"),
    ({"headers": {"A": "b\nC: d"}}, "single line of text"),
    ({"headers": [("A", "b")]}, "map names to values"),
    ({"ssl": ssl.create_default_context(), "ca_file": "ca.pem"}, "not both"),
    ({"client_key": "key.pem"}, "needs its `client_cert`"),
    ({"session": 1, "connector": 1}, "not both"),
]


@pytest.mark.parametrize(("settings", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        HttpSettings(**settings)


@pytest.mark.parametrize(
    ("http", "message"),
    [
        (HttpSettings(ca_file="/nowhere/ca.pem"), "`ca_file` of HttpSettings cannot be loaded"),
        (HttpSettings(client_cert=__file__), "`client_cert`"),
        (HttpSettings(ssl=True), "ssl.SSLContext, not bool"),
        ("http://proxy:3128", "HttpSettings"),
    ],
    ids=str,
)
def test_files_are_checked_when_the_client_is_made(http: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Client(RudderStack("key", "https://plane.example.com"), http=http)


def test_no_repr_shows_a_secret() -> None:
    shown = repr(HttpSettings(proxy="http://user:secret@proxy:3128", headers={"X-Token": "secret"}))

    assert "secret" not in shown
    assert "http://proxy:3128" in shown


def test_a_destinations_settings_are_checked_by_it() -> None:
    with pytest.raises(ConfigurationError, match=r"`http` must be HttpSettings\(...\), not str"):
        RudderStack("key", "https://plane.example.com", http="http://proxy:3128")  # type: ignore[arg-type]
