"""`FlagsMiddleware(app, client=...)` starts and closes the client in the lifespan of any ASGI server."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asyncsdk import Client, ClientClosedError, ConfigurationError
from asyncsdk.integrations._context import attach_flags
from asyncsdk.integrations.starlette import FlagsMiddleware

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}


class Server:
    """A server's side of a lifespan: what it sent, what it got, and in which state the client was then."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.messages = iter([STARTUP, SHUTDOWN])
        self.received = 0
        self.got: list[tuple[str, str]] = []

    async def receive(self) -> Message:
        self.received += 1
        return next(self.messages)

    async def send(self, message: Message) -> None:
        assert self.received <= len(self.got) + 1  # it answers one message before it asks for the next
        self.got.append((message["type"].removeprefix("lifespan."), self.client.health().state))

    async def run(self, app: Any) -> list[tuple[str, str]]:
        await app({"type": "lifespan", "state": {}}, self.receive, self.send)
        return self.got


WHOLE = [("startup.complete", "running"), ("shutdown.complete", "closed")]


async def with_lifespan(scope: Message, receive: Receive, send: Send) -> None:
    assert await receive() == STARTUP
    await send({"type": "lifespan.startup.complete"})
    assert await receive() == SHUTDOWN
    await send({"type": "lifespan.shutdown.complete"})


async def without_lifespan(scope: Message, receive: Receive, send: Send) -> None:
    msg = "Django can only handle ASGI/HTTP connections"
    raise ValueError(msg)


async def raising_later(scope: Message, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "http.request"


async def returning(scope: Message, receive: Receive, send: Send) -> None:
    pass


@pytest.mark.parametrize("app", [with_lifespan, without_lifespan, raising_later, returning])
async def test_the_client_runs_around_the_application(app: Any) -> None:
    server = Server(Client())

    assert await server.run(FlagsMiddleware(app, client=server.client)) == WHOLE
    assert server.received == 2


async def test_an_application_that_fails_while_running_closes_the_client() -> None:
    async def failing(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        raise ZeroDivisionError

    client = Client()
    with pytest.raises(ZeroDivisionError):
        await Server(client).run(FlagsMiddleware(failing, client=client))

    assert client.health().state == "closed"


async def test_an_application_that_fails_to_start_closes_the_client_first() -> None:
    async def failing(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    client = Client()

    assert await Server(client).run(FlagsMiddleware(failing, client=client)) == [("startup.failed", "closed")]


async def test_a_client_that_cannot_start_fails_the_startup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", "http://example.com")
    server = Server(Client())

    with pytest.raises(ConfigurationError, match="ASYNCSDK_DEV_SERVER"):
        await server.run(FlagsMiddleware(with_lifespan, client=server.client))

    assert [kind for kind, _ in server.got] == ["startup.failed"]


async def test_a_function_makes_a_client_for_each_start() -> None:
    made: list[Client] = []

    def make() -> Client:
        made.append(Client())
        return made[-1]

    app = FlagsMiddleware(with_lifespan, client=make)
    for _ in range(2):
        await Server(Client()).run(app)

    assert [client.health().state for client in made] == ["closed", "closed"]


async def test_a_client_that_was_closed_is_not_started_again() -> None:
    client = Client()
    app = FlagsMiddleware(with_lifespan, client=client)
    await Server(client).run(app)

    with pytest.raises(ClientClosedError, match="make another"):
        await Server(client).run(app)


def test_applications_that_share_a_client_attach_flags_once() -> None:
    client = Client()
    for _ in range(2):
        FlagsMiddleware(with_lifespan, client=client)

    assert client._admission.pipeline.functions == (attach_flags,)


async def test_without_a_client_the_lifespan_passes_through() -> None:
    assert await Server(Client()).run(FlagsMiddleware(with_lifespan)) == [
        ("startup.complete", "new"),
        ("shutdown.complete", "new"),
    ]
