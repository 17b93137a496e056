"""The shop in aiohttp.web, which has its own server."""

import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from asyncsdk.integrations.aiohttp import from_header, get_client, get_flags, setup
from lifecycle import shop


def handler(page: Callable[..., Awaitable[Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return web.json_response(await page(get_client(request), get_flags(request)))

    return handle


async def listen(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers=shop.stream_headers())
    await response.prepare(request)
    async for message in shop.listen(get_flags(request)):
        await response.write(message)
    return response


app = web.Application()
setup(app, shop.make_client(), user=from_header("X-User"))
app.add_routes([web.get("/listen", listen), *(web.get(f"/{name}", handler(page)) for name, page in shop.PAGES.items())])

if __name__ == "__main__":
    timeout = float(os.environ.get("SHUTDOWN_TIMEOUT", "60"))  # 60 s is aiohttp's default
    web.run_app(app, sock=socket.create_server(("127.0.0.1", 0)), access_log=None, shutdown_timeout=timeout)
