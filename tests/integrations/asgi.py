"""Serve an ASGI application with uvicorn on the running event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free loopback port, and yield its URL."""
    # With `proxy_headers` uvicorn would apply X-Forwarded-For itself, which is what the tests test.
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", ws="websockets-sansio", proxy_headers=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(_run(server, listening))
        while not server.started and not running.done():
            await asyncio.sleep(0.005)
        if running.done():
            msg = "the application did not start: see uvicorn's log"
            raise RuntimeError(msg)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


async def _run(server: uvicorn.Server, listening: socket.socket) -> None:
    with contextlib.suppress(SystemExit):  # uvicorn exits the process if the application does not start
        await server.serve(sockets=[listening])
