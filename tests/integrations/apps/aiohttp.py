"""The pages in aiohttp.web."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from asyncsdk import Client
from asyncsdk.integrations.aiohttp import get_client, get_flags, get_user, setup
from integrations.pages import PAGES, Given, Page, socket, stream

ASKS: dict[str, Callable[[web.Request], Any]] = {"client": get_client, "flags": get_flags, "user": get_user}


def handler(page: Page, given: Given) -> Callable[[web.Request], Awaitable[web.Response]]:
    names = inspect.signature(page).parameters

    async def handle(request: web.Request) -> web.Response:
        arguments = {name: ASKS[name](request) if name in ASKS else given[name] for name in names}
        return web.json_response(await page(**arguments))

    return handle


def make_app(sdk: Client, given: Given, **options: Any) -> web.Application:
    async def streaming(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        parts = stream(get_flags(request), given["meeting"])
        first = await anext(parts)
        await response.prepare(request)
        await response.write(first.encode())
        async for part in parts:
            await response.write(part.encode())
        return response

    async def websocket(request: web.Request) -> web.WebSocketResponse:
        flags = get_flags(request)
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            await response.send_str(socket(flags, message.data))
        return response

    app = web.Application()
    setup(app, sdk, **options)
    app.add_routes([web.get(f"/{name}", handler(page, given)) for name, page in PAGES.items()])
    app.add_routes([web.get("/stream", streaming), web.get("/socket", websocket)])
    return app


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()
