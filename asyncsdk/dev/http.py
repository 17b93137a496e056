"""Between aiohttp and the pure values: reading requests, and ending them in unusual ways."""

import socket
import struct
import time

from aiohttp import web

from asyncsdk.dev.faults import End
from asyncsdk.dev.history import ReceivedRequest
from asyncsdk.dev.messages import MAX_BODY, IncomingRequest, Reply

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_MISSING_BYTES = 100


async def read_body(http: web.Request) -> bytes | None:
    """Read the body as it is on the wire; None if there is more than `MAX_BODY` of it."""
    body = bytearray()
    async for chunk in http.content.iter_any():
        if len(body) <= MAX_BODY:
            body += chunk
    return bytes(body) if len(body) <= MAX_BODY else None


def head_of(http: web.Request, number: int, vendor: str) -> ReceivedRequest:
    """Note a request whose head has arrived."""
    headers = [(key.decode("latin-1"), value.decode("latin-1")) for key, value in http.raw_headers]
    return ReceivedRequest(number, vendor, http.method, http.path_qs, headers, time.time())


def request_of(http: web.Request, body: bytes, now: float) -> IncomingRequest:
    """Take from an aiohttp request what a vendor looks at."""
    return IncomingRequest(
        method=http.method,
        path=http.path,
        query={key: http.query.getone(key) for key in http.query},
        headers={key.lower(): http.headers.getone(key) for key in http.headers},
        body=body,
        peer=http.remote or "",
        now=now,
    )


def respond(answer: Reply) -> web.Response:
    """Turn a vendor's answer into aiohttp's."""
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


async def end(http: web.Request, how: End, answer: Reply) -> web.StreamResponse:
    """Answer, or end the connection in another way (`Fault.end`)."""
    if how == "answer":
        return respond(answer)
    if how == "truncate":
        await _truncate(http, answer)
    elif how in ("refuse", "reset"):
        _reset(http)
    _close(http)
    return web.Response()


async def _truncate(http: web.Request, answer: Reply) -> None:
    """Send an answer that announces more bytes than it has."""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.body) + _MISSING_BYTES
    await response.prepare(http)
    await response.write(answer.body)


def _reset(http: web.Request) -> None:
    """End the connection with a TCP reset."""
    if http.transport is not None:
        sock: socket.socket = http.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        http.transport.abort()


def _close(http: web.Request) -> None:
    """End the connection without another word."""
    if http.transport is not None:
        http.transport.close()
