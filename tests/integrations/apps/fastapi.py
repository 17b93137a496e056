"""The pages in FastAPI, which injects their arguments as dependencies."""

import inspect
from collections.abc import Awaitable, Callable
from inspect import Parameter
from typing import Annotated, Any

from fastapi import Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse

from asyncsdk import Client, Flags
from asyncsdk.integrations.fastapi import FlagsMiddleware, get_client, get_flags, get_user, lifespan
from integrations.asgi import serving
from integrations.pages import PAGES, Given, Page, socket, stream

__all__ = ["make_app", "serving"]

ASKS: dict[str, Callable[..., Any]] = {"client": get_client, "flags": get_flags, "user": get_user}


def handler(page: Page, given: Given) -> Callable[..., Awaitable[object]]:
    """Return a handler that declares the dependencies named by a page's parameters."""
    names = inspect.signature(page).parameters

    async def handle(**arguments: Any) -> object:
        return await page(**arguments, **{name: given[name] for name in names if name not in ASKS})

    handle.__signature__ = inspect.Signature(  # type: ignore[attr-defined] # FastAPI reads it
        [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[object, Depends(ASKS[name])])
            for name in names
            if name in ASKS
        ]
    )
    return handle


async def websocket(connection: WebSocket, flags: Annotated[Flags, Depends(get_flags)]) -> None:
    await connection.accept()
    async for message in connection.iter_text():
        await connection.send_text(socket(flags, message))


def make_app(sdk: Client, given: Given, **options: Any) -> FastAPI:
    async def streaming(flags: Annotated[Flags, Depends(get_flags)]) -> StreamingResponse:
        return StreamingResponse(stream(flags, given["meeting"]))

    app = FastAPI(lifespan=lifespan(sdk))
    app.add_middleware(FlagsMiddleware, **options)
    for name, page in PAGES.items():
        app.get(f"/{name}")(handler(page, given))
    app.get("/stream")(streaming)
    app.websocket("/socket")(websocket)
    return app
