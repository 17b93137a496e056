"""Ending a connection that is closed already."""

import aiohttp
from aiohttp import web

from asyncsdk.dev.http import finish
from asyncsdk.dev.messages import Reply


async def test_a_closed_connection_can_be_ended() -> None:
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

    await finish(requests[0], "reset", Reply(200))

    assert requests[0].transport is None
