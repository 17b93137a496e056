"""Serve an ASGI application with uvicorn on the running event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the main program handles signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving_asgi(app: Any, port: int) -> AsyncIterator[str]:
    """Serve an application on loopback, and yield its URL; port 0 picks a free one."""
    server = _Server(uvicorn.Config(app, lifespan="on", log_level="warning"))
    with socket.create_server(("127.0.0.1", port)) as listening:
        running = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield "http://{}:{}".format(*listening.getsockname())
        finally:
            server.should_exit = True
            await running
