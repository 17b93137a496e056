"""A loop that is closed under a client with open connections: one warning, which is ours."""

import asyncio
import gc
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from helpers import ADA, quick

from asyncsdk import Client, HttpSettings, RudderStack, Rules, Statsig, WrongEventLoopError


class Vendor(BaseHTTPRequestHandler):
    """Takes everything, and keeps connections open."""

    protocol_version = "HTTP/1.1"
    timeout = 5

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(params=["http", "https"])
def vendor(request: pytest.FixtureRequest) -> Iterator[tuple[str, HttpSettings | None]]:
    """The URL of a vendor, and the settings with which it is trusted."""
    server, http = ThreadingHTTPServer(("localhost", 0), Vendor), None
    server.daemon_threads = False  # so that closing it waits for the threads of its connections
    if request.param == "https":
        authority, context, trusting = (
            trustme.CA(),
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
            ssl.create_default_context(),
        )
        authority.issue_cert("localhost").configure_cert(context)
        authority.configure_trust(trusting)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        http = HttpSettings(ssl=trusting)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"{request.param}://localhost:{server.server_port}", http
    server.shutdown()
    thread.join()
    server.server_close()


def warnings_of_a_closed_loop(create: Callable[[], Client], recwarn: pytest.WarningsRecorder) -> list[str]:
    async def forget() -> None:
        client = create()
        await client.start()
        await client.track(ADA, "a")
        await client.flush(timeout=0.3)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(forget())
    loop.close()
    gc.collect()
    return [str(warning.message) for warning in recwarn]


@pytest.mark.filterwarnings("always")
def test_connections_that_are_open_bring_no_warnings_of_others(
    vendor: tuple[str, HttpSettings | None], caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    url, http = vendor
    with socket.create_server(("127.0.0.1", 0)) as silent:  # where requests stay in flight
        nowhere = f"http://127.0.0.1:{silent.getsockname()[1]}"
        statsig = Statsig("secret-key", log_event_url=nowhere, rules=Rules(specs_url=nowhere), limits=quick())

        def client() -> Client:
            return Client(statsig, RudderStack("key", url, limits=quick()), http=http, start_timeout=0.05)

        [message] = warnings_of_a_closed_loop(client, recwarn)

    assert "a Client was not closed, 1 unsent event is lost" in message
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_another_loop_is_told_that_the_clients_loop_is_closed(recwarn: pytest.WarningsRecorder) -> None:
    client, loop = Client(RudderStack("key", "http://127.0.0.1:9")), asyncio.new_event_loop()
    loop.run_until_complete(client.start())
    loop.close()

    with pytest.raises(WrongEventLoopError, match="event loop is closed"):
        asyncio.run(client.track(ADA, "a"))
    del client
    gc.collect()
    assert len(recwarn) == 1
