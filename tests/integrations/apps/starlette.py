"""The pages in Starlette."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asyncsdk import Client
from asyncsdk.integrations.starlette import FlagsMiddleware, get_client, get_flags, get_user, lifespan
from integrations.asgi import serving
from integrations.pages import PAGES, Given, Page, socket, stream

__all__ = ["make_app", "serving"]

ASKS: dict[str, Callable[[Request], Any]] = {"client": get_client, "flags": get_flags, "user": get_user}


def endpoint(page: Page, given: Given) -> Callable[[Request], Awaitable[Response]]:
    names = inspect.signature(page).parameters

    async def handle(request: Request) -> Response:
        arguments = {name: ASKS[name](request) if name in ASKS else given[name] for name in names}
        return JSONResponse(await page(**arguments))

    return handle


async def websocket(connection: WebSocket) -> None:
    flags = get_flags(connection)
    await connection.accept()
    async for message in connection.iter_text():
        await connection.send_text(socket(flags, message))


def make_app(sdk: Client, given: Given, **options: Any) -> Starlette:
    async def streaming(request: Request) -> Response:
        return StreamingResponse(stream(get_flags(request), given["meeting"]))

    return Starlette(
        routes=[
            *(Route(f"/{name}", endpoint(page, given)) for name, page in PAGES.items()),
            Route("/stream", streaming),
            WebSocketRoute("/socket", websocket),
        ],
        lifespan=lifespan(sdk),
        middleware=[Middleware(FlagsMiddleware, **options)],
    )
