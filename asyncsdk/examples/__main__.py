"""Run an example shop against a local dev server instead of vendors: `python -m asyncsdk.examples fastapi_shop`.

Nothing leaves this machine. The shops on Starlette and FastAPI need uvicorn.
"""

import argparse
import asyncio
import importlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from asyncsdk import Amplitude, Client, RudderStack, Rules, Statsig, redact
from asyncsdk.dev import DevServer
from asyncsdk.dev.addresses import check_port, listening_failed

SHOPS = sorted(path.stem for path in Path(__file__).parent.glob("*_shop.py"))


async def run_shop(name: str, port: int) -> None:
    """Serve a shop until cancelled, then print the events that the vendors received.

    Args:
        name: Name of the shop's module.
        port: Port to listen on; 0 picks a free one.
    """
    shop = importlib.import_module(f"asyncsdk.examples.{name}")
    async with DevServer(ruleset=shop.RULESET) as vendors:
        try:
            async with serving(shop.create_app(make_client(vendors.url)), port) as url:
                print(f"Open: {url}/ and {url}/products/lamp. Ctrl-C closes.", flush=True)
                await asyncio.Event().wait()
        finally:
            received = Counter(f"{event.vendor}: {event.kind} {event.name}" for event in vendors.accepted())
            print(*(f"{count:4} {what}" for what, count in sorted(received.items())), sep="\n")


def make_client(url: str) -> Client:
    """Build a client whose vendors are all at `url`."""
    rules = Rules(specs_url=f"{url}/v2/download_config_specs", poll_interval=1)
    return Client(
        RudderStack("any-key", url),
        Amplitude("any-key", url=f"{url}/2/httpapi"),
        Statsig("secret-any", rules=rules, log_event_url=f"{url}/v1/log_event"),
        on_invalid="report",
    ).add_middleware(redact("card", "email"))


@asynccontextmanager
async def serving(app: Any, port: int) -> AsyncIterator[str]:
    """Serve an application of any of the frameworks on loopback, and yield its URL; port 0 picks a free one."""
    if not isinstance(app, web.Application):
        from asyncsdk.examples._uvicorn import serving_asgi  # noqa: PLC0415 -- the shop on aiohttp needs no uvicorn

        async with serving_asgi(app, port) as url:
            yield url
        return
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield "http://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


def _port(text: str) -> int:
    """Return a port given on the command line."""
    try:
        return check_port(int(text))
    except ValueError:
        msg = f"{text} is not a port: 0 to 65535"
        raise argparse.ArgumentTypeError(msg) from None


def main(arguments: Sequence[str]) -> None:
    """Run the shop that is named on the command line."""
    parser = argparse.ArgumentParser("python -m asyncsdk.examples", description=__doc__)
    parser.add_argument("shop", choices=SHOPS)
    parser.add_argument("--port", type=_port, default=8080, help="0 picks a free one (default: 8080)")
    options = parser.parse_args(arguments)
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(run_shop(options.shop, options.port))
    except ModuleNotFoundError as error:
        framework = options.shop.removesuffix("_shop")
        parser.exit(1, f"{options.shop} needs {error.name}: pip install 'asyncsdk[{framework}]' uvicorn\n")
    except OSError as error:
        parser.exit(1, f"{listening_failed('127.0.0.1', options.port, error).strerror}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
