"""Follow the stream of a dev server, over lost connections."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import aiohttp
import orjson

from asyncsdk.cli.tail.formats import Row
from asyncsdk.cli.tail.sse import Message, Parser

_WAITS = (0.2, 0.5, 1.0, 2.0)
"""Seconds before each attempt to connect again; the last one repeats."""
_CONNECT = 5.0
_SILENCE = 30.0
"""Seconds after which a silent connection counts as lost: the server sends a summary each second."""


class FollowError(Exception):
    """Raised if the server cannot be followed; the text says why."""


async def follow(
    url: str, query: str, since: int | None, notify: Callable[[str], object], waits: tuple[float, ...] = _WAITS
) -> AsyncGenerator[Row, None]:
    """Yield events as they arrive, each once, also those that arrive while the connection is lost.

    Args:
        url: Address of the server.
        query: Which events.
        since: Number of the event to start after; None starts with what arrives from now on.
        notify: Called with a line when the connection is lost, and when it is back.
        waits: Seconds before each attempt to connect again; the last one repeats.

    Raises:
        FollowError: There is no dev server at the address, or it refuses the query.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        newest = await _check(http, url, query)
        last, run_id, failures = newest if since is None else since, "", 0
        while True:
            is_restarted = False
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                async for message in _messages(http, url, query, last):
                    if failures:
                        failures = 0
                        notify("connected again")
                    if message.event == "events":
                        last = int(message.id)
                        for row in orjson.loads(message.data):
                            yield row
                    elif message.event == "hello":
                        run = orjson.loads(message.data)["run_id"]
                        is_restarted = run_id not in ("", run)
                        run_id = run
                        if is_restarted:
                            break
            if is_restarted:
                last = 0  # the numbers of a server that was restarted begin again
                continue
            if not failures:
                notify("the connection is lost; trying again")
            await asyncio.sleep(waits[min(failures, len(waits) - 1)])
            failures += 1


async def _check(http: aiohttp.ClientSession, url: str, query: str) -> int:
    """Return the number of the newest event, after checking the server and the query."""
    try:
        async with http.get(f"{url}/__dev/events", params={"q": query, "limit": "0"}) as response:
            found = await response.json()
            errors, newest = found["errors"], int(found["last_seq"])
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
        msg = f"there is no dev server at {url}; start one with asyncsdk dev"
        raise FollowError(msg) from error
    if errors:
        raise FollowError(errors[0]["error"])
    return newest


async def _messages(http: aiohttp.ClientSession, url: str, query: str, last: int) -> AsyncGenerator[Message, None]:
    parser, headers = Parser(), {"Last-Event-ID": str(last)}
    async with http.get(f"{url}/__dev/events/stream", params={"q": query}, headers=headers) as response:
        response.raise_for_status()
        async for piece in response.content.iter_any():
            for message in parser.feed(piece):
                yield message
