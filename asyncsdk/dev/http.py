"""The border to aiohttp: read requests into pure values, and end them properly or otherwise (`Fault.end`)."""

import socket
import struct
import time

from aiohttp import web

from asyncsdk.dev.faults import End
from asyncsdk.dev.history import ReceivedRequest
from asyncsdk.dev.messages import MAX_BODY, IncomingRequest, Reply

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST instead of FIN
_MISSING_BYTES = 100


async def read_body(request: web.Request, max_bytes: int = MAX_BODY) -> bytes | None:
    """Return the body as sent, which may be compressed; None if it is larger than `max_bytes`."""
    body = bytearray()
    # A body that is too large is still read to its end, so that the client can read the reply.
    async for chunk in request.content.iter_any():
        if len(body) <= max_bytes:
            body += chunk
    return bytes(body) if len(body) <= max_bytes else None


def received_request(request: web.Request, number: int, vendor: str) -> ReceivedRequest:
    """Build the record of a request from its head."""
    headers = [(key.decode("latin-1"), value.decode("latin-1")) for key, value in request.raw_headers]
    return ReceivedRequest(number, vendor, request.method, request.path_qs, headers, time.time())


def incoming_request(request: web.Request, body: bytes, now: float) -> IncomingRequest:
    """Build the value that vendors see of a request."""
    return IncomingRequest(
        method=request.method,
        path=request.path,
        query={key: request.query.getone(key) for key in request.query},
        headers={key.lower(): request.headers.getone(key) for key in request.headers},
        body=body,
        peer=request.remote or "",
        now=now,
    )


def response_of(reply: Reply) -> web.Response:
    """Convert a vendor's reply to aiohttp's response."""
    return web.Response(status=reply.status, body=reply.body, headers=reply.headers)


async def finish(request: web.Request, end: End, reply: Reply) -> web.StreamResponse:
    """Send the reply, or end the connection in the way of a fault."""
    if end == "answer":
        return response_of(reply)
    if end == "truncate":
        await _truncate(request, reply)
    elif end in ("refuse", "reset"):
        _reset(request)
    _close(request)
    return web.Response()  # aiohttp wants one; its connection is closed


async def _truncate(request: web.Request, reply: Reply) -> None:
    """Send a reply whose `Content-Length` is larger than its body."""
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_length = len(reply.body) + _MISSING_BYTES
    await response.prepare(request)
    await response.write(reply.body)


def _reset(request: web.Request) -> None:
    """Close the connection with a TCP reset."""
    if request.transport is not None:
        sock: socket.socket = request.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        request.transport.abort()


def _close(request: web.Request) -> None:
    """Close the connection without a reply."""
    if request.transport is not None:
        request.transport.close()
