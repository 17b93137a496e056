"""The only module that opens connections: a request in, a response out.

`send` and `fetch` never raise for trouble on the network: that becomes a response without a status, whose `error` names
the trouble. Redirects are not followed: aiohttp would send the key to another host, and turn the POST into a GET
without a body, whose 200 looks like a delivery. Proxies and credentials of the environment are not used.
"""

import asyncio
import socket
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from io import BytesIO

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from asyncsdk._model.reports import RequestInfo, Watch
from asyncsdk._threads import in_thread
from asyncsdk._version import __version__
from asyncsdk.vendors._base import Limits, Request, Response

MAX_ANSWER_BYTES = 1_000_000
MAX_FETCHED_BYTES = 32 * 1024 * 1024
_USER_AGENT = f"asyncsdk/{__version__}"
# aiohttp warns if a body of this size is passed as bytes, and reads a file object in pieces.
_LARGE_BODY = 1024 * 1024
# Decompressing this many bytes takes about 0.2 ms: the loop gets a turn in between.
_PIECE = 96 * 1024
_CODINGS = ("identity", "gzip", "deflate")
_CANNOT_DECOMPRESS = "answer cannot be unpacked"
# Compressing 1 KB takes 5 us with zlib and 1 us with isal: a larger body would block the loop for about a millisecond,
# and is compressed in a thread.
_INLINE_ZLIB, _INLINE_ISAL = 128 * 1024, 1024 * 1024

_Read = Callable[[aiohttp.ClientResponse], Awaitable[bytes]]


class _UnreadableError(Exception):
    """Raised for an answer that cannot be read; the message is the `error` of the response."""


# The `error` of a response, by the first type that matches; anything else is "connection lost".
_TROUBLE: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    (aiohttp.ConnectionTimeoutError, "no connection in time"),  # unlike after "timeout", nothing was sent
    (TimeoutError, "timeout"),
    ((aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch), "certificate"),
    (aiohttp.ClientConnectorDNSError, "name not found"),
    (aiohttp.ClientConnectorError, "connection refused"),
    (ValueError, "request"),
)


class Transport:
    """HTTP for one destination, with its own connections, so that a dead vendor uses up none of the others'."""

    def __init__(
        self, limits: Limits, dev_server: str | None = None, name: str = "", watches: Sequence[Watch] = ()
    ) -> None:
        """Store the settings; no connection is opened before the first request.

        Args:
            limits: The destination's: `max_in_flight` connections, `timeout` seconds per request.
            dev_server: Base URL that every request goes to instead, with the vendor's own path; None sends to the
                vendor.
            name: The destination's name, for `watches`.
            watches: Called around each request; they must not raise.
        """
        self._limits = limits
        self._name = name
        self._watches = watches
        self._dev_server = dev_server.rstrip("/") if dev_server else None
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request, *, uncompressed: bool = False) -> Response:
        """Send `request`, and read at most a megabyte of the answer.

        Args:
            request: Its body is compressed from `gzip_from` bytes on.
            uncompressed: Never compress.
        """
        headers = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity", **request.headers}
        body = request.body
        if not uncompressed and request.gzip_from is not None and len(body) >= request.gzip_from:
            headers["Content-Encoding"] = "gzip"
            body = await _compress(body)
        return await self._watched(request, body, headers, _read_start)

    async def fetch(self, request: Request, max_bytes: int = MAX_FETCHED_BYTES) -> Response:
        """Send `request` and read the whole answer, decompressed, without blocking the loop.

        Args:
            request: The request.
            max_bytes: Maximum size of the decompressed answer; a larger one is an error, and so is one that is cut off.
        """
        headers = {"User-Agent": _USER_AGENT, **request.headers}
        return await self._watched(request, request.body, headers, lambda answer: _read_whole(answer, max_bytes))

    async def _watched(self, request: Request, body: bytes, headers: Mapping[str, str], read: _Read) -> Response:
        """Send a request between the calls of `watches`."""
        url = self._dev_server + request.canonical_path if self._dev_server else request.url
        if not self._watches:
            return await self._ask(request.method, url, body, headers, read)
        shown = url.partition("?")[0]
        shown = shown.replace(request.secret, "REDACTED") if request.secret else shown
        info = RequestInfo(self._name, request.purpose, request.method, shown, request.events, len(body))
        ends = [watch(info) for watch in self._watches]
        try:
            response = await self._ask(request.method, url, body, headers, read)
        except asyncio.CancelledError:
            info.error = "cancelled"
            raise
        else:
            info.status, info.error = response.status, response.error
            return response
        finally:
            for end in reversed(ends):
                if end is not None:
                    end()

    async def _ask(self, method: str, url: str, body: bytes, headers: Mapping[str, str], read: _Read) -> Response:
        data = (body or None) if len(body) < _LARGE_BODY else BytesIO(body)
        try:
            async with self._open().request(method, url, data=data, headers=headers, allow_redirects=False) as answer:
                return Response(answer.status, _headers(answer), await read(answer))
        except (aiohttp.ClientError, OSError, ValueError, _UnreadableError) as error:
            return Response(0, error=_name(error))

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = self._limits
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=limits.max_in_flight, resolver=_Resolver(), ttl_dns_cache=300),
                timeout=aiohttp.ClientTimeout(total=limits.timeout, sock_connect=min(3.0, limits.timeout)),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def _name(error: Exception) -> str:
    if isinstance(error, _UnreadableError):
        return str(error)
    return next((name for kinds, name in _TROUBLE if isinstance(error, kinds)), "connection lost")


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


async def _read_start(answer: aiohttp.ClientResponse) -> bytes:
    """Read the start of the body. If it is cut off, return what arrived: the status is known, and decides."""
    parts: list[bytes] = []
    size = 0
    with suppress(aiohttp.ClientError, TimeoutError):
        async for part in answer.content.iter_any():
            parts.append(part)
            size += len(part)
            if size >= MAX_ANSWER_BYTES:
                answer.close()
                break
    return b"".join(parts)[:MAX_ANSWER_BYTES]


async def _read_whole(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read and decompress a body piece by piece, yielding to the loop in between."""
    coding = answer.headers.get("Content-Encoding", "identity").lower()
    whole = BytesIO()  # returns its value without a copy, which would block the loop for 20 MB
    if coding not in _CODINGS:
        raise _UnreadableError(_CANNOT_DECOMPRESS)
    decompressor: _Plain | _Decompressor = _Plain() if coding == "identity" else _Decompressor(coding)
    async for part in answer.content.iter_any():
        for piece in decompressor.pieces(part):
            if whole.tell() + len(piece) > max_bytes:
                answer.close()
                msg = "answer too large"
                raise _UnreadableError(msg)
            whole.write(piece)
            await asyncio.sleep(0)
    if not decompressor.is_complete:
        msg = "connection lost"
        raise _UnreadableError(msg)
    return whole.getvalue()


class _Plain:
    """Passes an uncompressed body through."""

    is_complete = True

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """Yield `part` unchanged."""
        yield part


class _Decompressor:
    """Decompresses gzip and deflate, the latter with its zlib header or, as some servers send it, without."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._state = zlib.decompressobj(47)  # 32 + 15: detects a gzip or zlib header
        self._begun = False

    @property
    def is_complete(self) -> bool:
        """Whether the end of the stream was seen, or the body is empty."""
        return self._state.eof or not self._begun

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """Decompress `part`, at most `_PIECE` bytes at a time."""
        if part and not self._begun:
            self._begun = True
            if self._coding == "deflate" and part[0] & 15 != zlib.DEFLATED:
                self._state = zlib.decompressobj(-15)
        try:
            piece = self._state.decompress(part, _PIECE)
            yield piece
            while len(piece) == _PIECE:  # zlib may hold more output, even if `part` is used up
                piece = self._state.decompress(self._state.unconsumed_tail, _PIECE)
                yield piece
        except zlib.error as error:
            raise _UnreadableError(_CANNOT_DECOMPRESS) from error


async def _compress(body: bytes) -> bytes:
    compress, inline = _compressor()
    return compress(body) if len(body) <= inline else await in_thread(lambda: compress(body))


@cache
def _compressor() -> tuple[Callable[[bytes], bytes], int]:
    """Return the fastest gzip function available, and the maximum size it may compress on the loop."""
    try:
        from isal import igzip  # noqa: PLC0415 -- an extra, loaded when the first body is compressed
    except ImportError:
        return _zlib_gzip, _INLINE_ZLIB
    return lambda body: bytes(igzip.compress(body, 1)), _INLINE_ISAL


def _zlib_gzip(body: bytes) -> bytes:
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
    return squeeze.compress(body) + squeeze.flush()


class _Resolver(AbstractResolver):
    """Resolves names in short-lived threads, and falls back on the last answer if the name server has none."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], list[ResolveResult]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`."""
        try:
            found = await in_thread(lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
        except OSError:
            if (host, family) in self._last:
                return self._last[host, family]
            raise
        results = [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, proto, _, address in found
        ]
        self._last[host, family] = results
        return results

    async def close(self) -> None:
        """Nothing to close."""
