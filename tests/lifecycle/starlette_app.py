"""The shop in Starlette."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from asyncsdk.integrations.starlette import FlagsMiddleware, from_header, get_client, get_flags, lifespan
from lifecycle import shop


def endpoint(page: Callable[..., Awaitable[Any]]) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def handle(request: Request) -> JSONResponse:
        return JSONResponse(await page(get_client(request), get_flags(request)))

    return handle


async def listen(request: Request) -> StreamingResponse:
    return StreamingResponse(shop.listen(get_flags(request)), headers=shop.stream_headers())


app = Starlette(
    routes=[Route("/listen", listen), *(Route(f"/{name}", endpoint(page)) for name, page in shop.PAGES.items())],
    lifespan=lifespan(shop.make_client()),
    middleware=[Middleware(FlagsMiddleware, user=from_header("X-User"))],
)
