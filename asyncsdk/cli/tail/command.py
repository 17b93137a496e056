"""Show events as they arrive at a dev server, in the terminal.

  asyncsdk tail
  asyncsdk tail 'vendor:amplitude is:rejected'
  asyncsdk tail -f json | jq .name

Follows the server at --url, ASYNCSDK_DEV_SERVER, or http://127.0.0.1:4010; if
there is none at the last, it starts one for as long as it runs. After a lost
connection it goes on where it was. The query is that of the page: words,
vendor:, type:, name:, user:, is:, attempt:, size:, after:, prop:; a leading -
negates (after `--`, as in: asyncsdk tail -- '-type:page').

Exit code: 0 after --count events, 130 after Ctrl-C, 2 for bad input.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

import aiohttp

from asyncsdk.cli._rich_tables import is_terminal
from asyncsdk.cli._terminal import fail
from asyncsdk.cli.dev.command import PORT
from asyncsdk.cli.tail.follow import FollowError, follow
from asyncsdk.cli.tail.formats import FORMATS, Row, human
from asyncsdk.dev import DevServer
from asyncsdk.errors import AsyncSDKError

SUMMARY = "show events as they arrive at a dev server"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("query", nargs="*", metavar="QUERY", help="which events; all without it")
    parser.add_argument("-f", "--format", choices=(*FORMATS,), default="human", help="form of a line (default: human)")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as -f json")
    parser.add_argument("--url", metavar="URL", help="address of the server")
    parser.add_argument("--since", type=int, metavar="SEQ", help="start after this event; 0 starts with all kept ones")
    parser.add_argument("--count", type=int, metavar="N", help="end after so many events")


def run(arguments: argparse.Namespace) -> int:
    """Follow a server until Ctrl-C, and return the exit code."""
    if arguments.count is not None and arguments.count < 1:
        return fail("tail", "--count is at least 1")
    if arguments.since is not None and arguments.since < 0:
        return fail("tail", "--since is the number of an event, at least 0")
    given = arguments.url or os.environ.get("ASYNCSDK_DEV_SERVER", "").strip()
    try:
        asyncio.run(_tail(given.rstrip("/"), arguments))
    except (FollowError, AsyncSDKError, aiohttp.InvalidURL) as error:
        return fail("tail", str(error))
    return 0


async def _tail(given: str, arguments: argparse.Namespace) -> None:
    async with serve(given) as url:
        rows = follow(url, " ".join(arguments.query), arguments.since, _note)
        async with contextlib.aclosing(rows):
            await _print(rows, arguments)


async def _print(rows: AsyncIterator[Row], arguments: argparse.Namespace) -> None:
    color = is_terminal(sys.stdout, os.environ) and "NO_COLOR" not in os.environ
    shown = 0
    async for row in rows:
        line = human(row, color=color) if arguments.format == "human" else FORMATS[arguments.format](row)
        print(line, flush=True)
        shown += 1
        if shown == arguments.count:
            return


@contextlib.asynccontextmanager
async def serve(given: str, port: int = PORT) -> AsyncIterator[str]:
    """Yield the address of the server to follow; start one if none is named and none runs at the port."""
    default = f"http://127.0.0.1:{port}"
    if given or await _runs(default):
        yield given or default
        return
    async with DevServer(port=port) as server:
        _note(f"started a dev server; in another shell: export ASYNCSDK_DEV_SERVER={server.url}")
        yield server.url


async def _runs(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"{url}/__dev/health"):
            return True
    except aiohttp.ClientError:
        return False


def _note(text: str) -> None:
    print(f"asyncsdk tail: {text}", file=sys.stderr, flush=True)
