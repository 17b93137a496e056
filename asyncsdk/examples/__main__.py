"""Run a shop with a local server in the vendors' place: `python -m asyncsdk.examples fastapi_shop`.

Nothing leaves this machine. The shops on Starlette and FastAPI need uvicorn.
"""

import argparse
import asyncio
import importlib
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from aiohttp import web

from asyncsdk import Amplitude, Client, RudderStack, Rules, Statsig, redact
from asyncsdk.dev import DevServer

SHOPS = sorted(path.stem for path in Path(__file__).parent.glob("*_shop.py"))


async def play(name: str, port: int) -> None:
    """Keep a shop open until this is cancelled, then say what the vendors have got."""
    shop = importlib.import_module(f"asyncsdk.examples.{name}")
    async with DevServer(ruleset=shop.RULESET) as vendors:
        try:
            async with serving(shop.create_app(make_client(vendors.url)), port) as url:
                print(f"Open: {url}/ and {url}/products/lamp. Ctrl-C closes.", flush=True)
                await asyncio.Event().wait()
        finally:
            got = Counter(f"{event.vendor}: {event.kind} {event.name}" for event in vendors.accepted())
            print(*(f"{count:4} {what}" for what, count in sorted(got.items())), sep="\n")


def make_client(url: str) -> Client:
    """Make a client whose vendors are all at `url`."""
    rules = Rules(specs_url=f"{url}/v2/download_config_specs", poll_interval=1)
    return Client(
        RudderStack("any-key", url),
        Amplitude("any-key", url=f"{url}/2/httpapi"),
        Statsig("secret-any", rules=rules, log_event_url=f"{url}/v1/log_event"),
    ).add_middleware(redact("card", "email"))


@asynccontextmanager
async def serving(app: Any, port: int) -> AsyncIterator[str]:
    """Serve an application of any of the frameworks on this machine; gives its address. Port 0 takes a free one."""
    if not isinstance(app, web.Application):
        async with _serving_asgi(app, port) as url:
            yield url
        return
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield "http://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


class _Server(uvicorn.Server):
    """uvicorn, which leaves signals to the main program."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _serving_asgi(app: Any, port: int) -> AsyncIterator[str]:
    server = _Server(uvicorn.Config(app, lifespan="on", log_level="warning"))
    with socket.create_server(("127.0.0.1", port)) as listening:
        running = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 -- uvicorn has no other way to tell
            await asyncio.sleep(0.01)
        try:
            yield "http://{}:{}".format(*listening.getsockname())
        finally:
            server.should_exit = True
            await running


def main(arguments: Sequence[str]) -> None:
    """Run the shop that the command line names."""
    parser = argparse.ArgumentParser("python -m asyncsdk.examples", description=__doc__)
    parser.add_argument("shop", choices=SHOPS)
    parser.add_argument("--port", type=int, default=8080)
    told = parser.parse_args(arguments)
    with suppress(KeyboardInterrupt):
        asyncio.run(play(told.shop, told.port))


if __name__ == "__main__":
    main(sys.argv[1:])
