"""uvicorn, in this process and on this loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free port of this machine; gives its URL."""
    # `proxy_headers` would let uvicorn read X-Forwarded-For, which the tests want to see read here.
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", ws="websockets-sansio", proxy_headers=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(_run(server, listening))
        while not server.started and not running.done():
            await asyncio.sleep(0.005)
        if running.done():
            msg = "the application did not start: uvicorn has logged why"
            raise RuntimeError(msg)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


async def _run(server: uvicorn.Server, listening: socket.socket) -> None:
    with contextlib.suppress(SystemExit):  # an application that does not start ends the process
        await server.serve(sockets=[listening])
