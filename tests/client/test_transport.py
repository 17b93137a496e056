"""Requests over real sockets: what goes out, and what trouble is called."""

import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import AsyncIterator

import pytest
import trustme
from aiohttp import web
from helpers import ADA, quick, rudderstack

from asyncsdk import Client, ConfigurationError
from asyncsdk._transport import MAX_ANSWER_BYTES, Transport, _Resolver, _zlib_gzip, in_thread
from asyncsdk.dev import DevServer, Fault
from asyncsdk.vendors._base import Limits, Request


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport(Limits(timeout=2.0))
    yield transport
    await transport.aclose()


def request(url: str, body: bytes = b"{}", gzip_from: int | None = None) -> Request:
    return Request(f"{url}/v1/batch", "/v1/batch", {"Authorization": "Basic azo="}, body, gzip_from)


async def test_small_bodies_go_plain_and_large_ones_compressed(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "small")
        await client.flush()
        await client.track(ADA, "large", {"text": "x" * 5000})

    small, large = server.requests
    assert small.header("content-encoding") is None
    assert large.header("content-encoding") == "gzip"
    assert large.wire_size < large.plain_size / 10


async def test_a_big_body_is_compressed_in_a_thread_that_ends(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(max_bytes=3_000_000))) as client:
        for n in range(30):
            await client.track(ADA, "big", {"text": f"{n}" * 50_000})
        await client.flush()
        await _all_threads_end()

        assert server.total("rudderstack") == 30


async def test_a_large_plain_body_is_sent_too(server: DevServer) -> None:
    async with Client(rudderstack(server, gzip=False)) as client:
        await client.track(ADA, "large", {"text": "x" * 2_000_000})

    assert server.total("rudderstack") == 1


def test_both_compressors_write_gzip() -> None:
    from asyncsdk._transport import _compressor

    fastest, inline = _compressor()

    assert inline >= 64 * 1024
    assert gzip.decompress(_zlib_gzip(b"abc" * 100)) == gzip.decompress(fastest(b"abc" * 100)) == b"abc" * 100


async def test_without_isal_zlib_compresses(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from asyncsdk._transport import _compressor

    monkeypatch.setitem(sys.modules, "isal", None)
    _compressor.cache_clear()

    assert _compressor()[0] is _zlib_gzip
    _compressor.cache_clear()


async def test_requests_tell_who_sends_them(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "a")

    headers = server.requests[0]
    assert str(headers.header("user-agent")).startswith("asyncsdk/")
    assert headers.header("accept-encoding") == "identity"
    assert headers.header("cookie") is None


async def test_redirects_are_not_followed(server: DevServer, transport: Transport) -> None:
    server.script("rudderstack", Fault.redirect("/v1/track"))

    response = await transport.send(request(server.url))

    assert response.status == 302
    assert len(server.requests) == 1


async def test_a_refused_connection_has_a_name(transport: Transport) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        assert (await transport.send(request(url))).error == "connection refused"


async def test_an_unknown_host_has_a_name(transport: Transport) -> None:
    assert (await transport.send(request("http://no-such-host.invalid"))).error == "name not found"


async def test_a_lost_connection_has_a_name(server: DevServer, transport: Transport) -> None:
    server.script("rudderstack", Fault(end="close"))

    assert (await transport.send(request(server.url))).error == "connection lost"


async def test_a_slow_answer_times_out(server: DevServer) -> None:
    server.fault("rudderstack", Fault(end="hang"))
    transport = Transport(Limits(timeout=0.1))

    assert (await transport.send(request(server.url))).error == "timeout"

    await transport.aclose()


@pytest.mark.parametrize("url", ["http://a..b", "http://127.0.0.1:port"])
async def test_an_address_that_nothing_can_be_sent_to_has_a_name(transport: Transport, url: str) -> None:
    assert (await transport.send(request(url))).error == "request"


async def test_a_header_that_cannot_be_sent_has_the_same_name(transport: Transport, server: DevServer) -> None:
    broken = Request(f"{server.url}/v1/log_event", "/", {"STATSIG-API-KEY": "secret-a\r\nX-Evil: 1"}, b"{}")

    assert (await transport.send(broken)).error == "request"


async def test_an_untrusted_certificate_has_a_name(transport: Transport) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    runner = web.AppRunner(web.Application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()

    response = await transport.send(request(f"https://127.0.0.1:{runner.addresses[0][1]}"))
    await runner.cleanup()

    assert response.error == "certificate"


async def test_of_an_endless_answer_only_the_start_is_read(transport: Transport) -> None:
    async def endless(http: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(http)
        with pytest.raises((ConnectionError, asyncio.CancelledError)):
            while True:
                await answer.write(b"x" * 65536)
        return answer

    app = web.Application()
    app.router.add_post("/v1/batch", endless)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    response = await transport.send(request(f"http://127.0.0.1:{runner.addresses[0][1]}"))
    await runner.cleanup()

    assert (response.status, len(response.body)) == (200, MAX_ANSWER_BYTES)


async def test_a_name_is_looked_up_in_a_thread_that_ends() -> None:
    resolver = _Resolver()

    results = await resolver.resolve("localhost", 80)

    assert results[0]["host"] == "127.0.0.1"
    await _all_threads_end()
    await resolver.close()


async def test_the_last_answer_serves_while_the_name_server_has_none() -> None:
    resolver = _Resolver()
    known = await resolver.resolve("localhost", 80)
    resolver._last["gone.invalid", socket.AF_INET] = known

    assert await resolver.resolve("gone.invalid", 80) == known
    with pytest.raises(OSError):  # noqa: PT011 -- any kind of it
        await resolver.resolve("never.invalid", 80)


async def test_work_that_fails_in_a_thread_fails_here() -> None:
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 -- it has no words
        await in_thread(fail)


async def test_work_that_nobody_waits_for_any_more_ends_quietly() -> None:
    go_on = threading.Event()
    task = asyncio.create_task(in_thread(go_on.wait))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    go_on.set()
    await _all_threads_end()

    assert task.cancelled()


async def test_the_dev_server_of_the_environment_takes_everything(
    server: DevServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from asyncsdk import Amplitude, RudderStack, Statsig

    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    client = Client(
        Statsig("secret-key"), RudderStack("key", "https://plane.example.com/prefix"), Amplitude("key", zone="EU")
    )
    async with client:
        await client.track(ADA, "a")

    assert len(server.accepted()) == 3
    assert [r.levelname for r in caplog.records if "ASYNCSDK_DEV_SERVER" in r.getMessage()] == ["WARNING"]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://collector.example.com", "collector.example.com is not this machine"),
        ("https://127.0.0.1:4010", "its scheme is https"),
        ("127.0.0.1:4010", "its scheme is"),
        ("http://user:secret@127.0.0.1:4010", "it has a user or password"),
        ("http://127.0.0.1:4010\n", "control character"),
        ("http://127.0.0.1:40100", "Port out of range"),
        ("http://127.0.0.1:port", "Port could not be cast"),
        ("http://127.0.0.1:0", "port 0"),
        ("http://[::1:4010", "Invalid IPv6"),
        ("http://127.0.0.1:4010?a=b", "query"),
    ],
)
async def test_the_address_of_a_dev_server_is_checked(monkeypatch: pytest.MonkeyPatch, url: str, fault: str) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", url.replace("40100", "401000"))

    with pytest.raises(ConfigurationError, match=f"this machine.*{fault}") as caught:
        await Client().start()
    assert "secret" not in str(caught.value)


async def test_a_transport_that_was_never_used_closes() -> None:
    await Transport(Limits()).aclose()


async def _all_threads_end() -> None:
    """Wait for short-lived threads; one that stays runs into the test's time-out."""
    while threading.active_count() > 1:
        await asyncio.sleep(0)
