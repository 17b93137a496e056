"""The only module that opens a connection for events: a request in, a response out, whatever happens.

Redirects are not followed: aiohttp would send the key to another host, and turn the POST into a GET without a body
whose 200 looks like a delivery. Proxies and credentials of the environment are not picked up.
"""

import asyncio
import socket
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from asyncsdk._version import __version__
from asyncsdk.vendors._base import Limits, Request, Response

MOST_ANSWER_BYTES = 1_000_000
_USER_AGENT = f"asyncsdk/{__version__}"
# Compressing 1 KB takes 5 us with zlib and 1 us with isal; above this it would hold the loop for over a millisecond.
_LARGE = 1024 * 1024
_INLINE_ZLIB, _INLINE_ISAL = 128 * 1024, 1024 * 1024

T = TypeVar("T")


class Transport:
    """HTTP for one destination: its own connections, so that a dead vendor takes none from the others."""

    def __init__(self, limits: Limits, dev_server: str | None = None) -> None:
        """Remember the settings; nothing is opened before the first request.

        Args:
            limits: Of the destination.
            dev_server: Send everything to the vendor's own path on this base URL instead.
        """
        self._limits = limits
        self._dev_server = dev_server.rstrip("/") if dev_server else None
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request, *, plain: bool = False) -> Response:
        """Post `request`; trouble on the way is a response without a status, never an exception."""
        url = self._dev_server + request.canonical_path if self._dev_server else request.url
        headers = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity", **request.headers}
        body = request.body
        if not plain and request.gzip_from is not None and len(body) >= request.gzip_from:
            headers["Content-Encoding"] = "gzip"
            body = await _compress(body)
        # aiohttp warns of large bodies as bytes, and reads a file object in pieces.
        data = body if len(body) < _LARGE else BytesIO(body)
        try:
            async with self._open().post(url, data=data, headers=headers, allow_redirects=False) as answer:
                return Response(answer.status, _headers(answer), await _read(answer))
        except TimeoutError:
            return Response(0, error="timeout")
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch):
            return Response(0, error="certificate")
        except aiohttp.ClientConnectorDNSError:
            return Response(0, error="name not found")
        except aiohttp.ClientConnectorError:
            return Response(0, error="refused")
        except (aiohttp.ClientError, OSError):
            return Response(0, error="connection lost")

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = self._limits
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=limits.in_flight, resolver=_Resolver(), ttl_dns_cache=300),
                timeout=aiohttp.ClientTimeout(total=limits.timeout, sock_connect=min(3.0, limits.timeout)),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """Read the start of the body. One that breaks off is what came of it: the status is known, and decides."""
    parts: list[bytes] = []
    size = 0
    with suppress(aiohttp.ClientError, TimeoutError):
        async for part in answer.content.iter_any():
            parts.append(part)
            size += len(part)
            if size >= MOST_ANSWER_BYTES:
                answer.close()
                break
    return b"".join(parts)[:MOST_ANSWER_BYTES]


async def _compress(body: bytes) -> bytes:
    compress, inline = _compressor()
    return compress(body) if len(body) <= inline else await in_thread(lambda: compress(body))


@cache
def _compressor() -> tuple[Callable[[bytes], bytes], int]:
    """Pick the fastest gzip there is, and the size up to which it may run on the loop."""
    try:
        from isal import igzip  # noqa: PLC0415 -- an extra, loaded when the first body is compressed
    except ImportError:
        return _zlib_gzip, _INLINE_ZLIB
    return lambda body: bytes(igzip.compress(body, 1)), _INLINE_ISAL


def _zlib_gzip(body: bytes) -> bytes:
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
    return squeeze.compress(body) + squeeze.flush()


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own, which ends with it.

    The loop's default executor would do, but `asyncio.run` waits for that one's threads at exit, and a name
    server that does not answer would hold the whole process.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type] # there is a result when there is no error
        else:
            future.set_exception(error)

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001 -- carried over to the awaiting task
            error = raised
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="asyncsdk-work", daemon=True).start()
    return await future


class _Resolver(AbstractResolver):
    """Look names up in short-lived threads, and fall back on the last answer when the name server has none."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], list[ResolveResult]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give the addresses of `host`."""
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
