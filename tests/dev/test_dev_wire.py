"""Ending connections that have ended already."""

import aiohttp
from aiohttp import web

from asyncsdk.dev import wire


async def test_a_connection_that_is_gone_can_be_ended() -> None:
    requests = []

    async def handle(request: web.Request) -> web.Response:
        requests.append(request)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{runner.addresses[0][1]}/"):
        pass
    await runner.cleanup()

    wire.reset(requests[0])
    wire.close(requests[0])

    assert requests[0].transport is None
