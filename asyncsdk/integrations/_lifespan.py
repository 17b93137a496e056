"""Starting and closing a client within an ASGI server's lifespan, around any ASGI application.

The client starts before the application does, and closes after it, but before the server is told that the shutdown is
complete: a server may end the process at that message. For an application that does not know the protocol, such as
Django's, the messages of the lifespan are answered here.
"""

import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from asyncsdk import Client

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# After these the application is down, and the server may end the process.
_LAST_MESSAGES = ("lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed")


async def run_lifespan(client: Client, app: App, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Run the lifespan of an application within that of a client.

    Args:
        client: The client, not started yet.
        app: The ASGI application.
        scope: The lifespan's scope.
        receive: Receives messages from the server.
        send: Sends messages to the server.
    """
    received: list[Message] = []
    sent: list[Message] = []

    async def receive_and_note() -> Message:
        received.append(await receive())
        return received[-1]

    async def send_after_close(message: Message) -> None:
        sent.append(message)
        if message["type"] in _LAST_MESSAGES:
            await client.aclose()
        await send(message)

    try:
        await client.start()
    except Exception:
        await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})
        raise
    try:
        try:
            await app(scope, receive_and_note, send_after_close)
        except Exception:
            if sent:
                raise
        if not sent:  # the application does not know lifespans
            if not received:
                await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send_after_close({"type": "lifespan.shutdown.complete"})
    finally:
        await client.aclose()
