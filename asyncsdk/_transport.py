"""The only module that opens connections: a request in, a response out.

`send` and `fetch` never raise for network errors: the result is then a response without a status, whose `error` names
the cause. Redirects are not followed: aiohttp would send the key to another host, and turn the POST into a GET without
a body, whose 200 looks like a delivery. The environment's proxies are used only if `HttpSettings` says so.
"""

import asyncio
import errno
import socket
import ssl
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from asyncsdk import _dev_identity
from asyncsdk._decompression import CANNOT_DECOMPRESS, Plain, UnreadableError, decompressor_for
from asyncsdk._model.http import HttpSettings
from asyncsdk._model.reports import RequestInfo, Watch
from asyncsdk._threads import in_thread, release_with_loop
from asyncsdk._version import __version__
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Limits, Request, Response

MAX_ANSWER_BYTES = 1_000_000
MAX_FETCHED_BYTES = 32 * 1024 * 1024
_USER_AGENT = f"asyncsdk/{__version__}"
# aiohttp warns if a body of this size is passed as bytes, and reads a file object in pieces.
_LARGE_BODY = 1024 * 1024
# Compressing 1 KB takes 5 us with zlib and 1 us with isal: a larger body would block the loop for about a millisecond,
# and is compressed in a thread.
_INLINE_ZLIB, _INLINE_ISAL = 128 * 1024, 1024 * 1024
# Seconds that an address is used before its name is looked up again: a name may move without a failure.
_ADDRESS_TTL = 10
# Maximum seconds to wait for the name server if there is an earlier answer to fall back on.
_MAX_LOOKUP = 2.0
# Statuses by which a server refuses what another at the same name may take: the next attempt is not sent to it again.
_TRY_ANOTHER_SERVER = frozenset({401, 404, *range(300, 400), *range(500, 600)} - {304})

# Maximum seconds for an answer that is passed on while it arrives.
_MAX_STREAM = 600.0
_SUCCESS, _PROXY_AUTHENTICATION = 2, 407
_NO_HEADERS: Mapping[str, str] = {}

_Read = Callable[[aiohttp.ClientResponse, str], Awaitable[bytes]]
"""Reads an answer whose body has this content coding."""
Receive = Callable[[Response, AsyncIterator[bytes]], Awaitable[None]]
"""Takes an answer without its body, and the pieces of the body."""


# The `error` of a response, by the first type that matches; anything else is "connection lost".
_TROUBLE: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    (aiohttp.ConnectionTimeoutError, "no connection in time"),  # unlike after "timeout", nothing was sent
    (TimeoutError, "timeout"),
    ((ssl.SSLCertVerificationError, aiohttp.ServerFingerprintMismatch), "certificate"),
    (ssl.SSLError, "TLS error"),
    (aiohttp.ClientConnectorDNSError, "name not found"),
    (ValueError, "request"),
)
# The same for a connection that was not made, by its error number; any other is "no connection".
_NO_CONNECTION = {
    errno.ECONNREFUSED: "connection refused",
    errno.ETIMEDOUT: "no connection in time",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no route to the host",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
}


class Transport:
    """HTTP for one destination, with its own connections, so that a dead vendor cannot use up those of others."""

    def __init__(
        self,
        limits: Limits,
        dev_server: str | None = None,
        name: str = "",
        watches: Sequence[Watch] = (),
        http: HttpSettings | None = None,
    ) -> None:
        """Store the settings; no connection is opened before the first request.

        Args:
            limits: The destination's: `max_in_flight` connections, `timeout` seconds per request.
            dev_server: Base URL that every request goes to instead, with the vendor's own path; None sends to the
                vendor.
            name: The destination's name, for `watches`.
            watches: Called around each request; they must not raise.
            http: Proxy, TLS, headers or the user's session; not applied to a dev server.

        Raises:
            ConfigurationError: A file of `http` cannot be read.
        """
        self._http = HttpSettings() if http is None else http
        if dev_server:
            self._http = HttpSettings(headers=_dev_identity.headers())
        self._tls = tls_context(self._http)
        self._limits = limits
        self._name = name
        self._watches = watches
        self._dev_server = dev_server.rstrip("/") if dev_server else None
        self._session: aiohttp.ClientSession | None = None
        # The user's session or connector; a function that returns one is called once.
        self._given: Any = None
        # Requests in flight by session: the current one, and those that wait for their last requests to end.
        self._users: Counter[aiohttp.ClientSession] = Counter()
        self._resolver = _Resolver()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def send(self, request: Request, *, uncompressed: bool = False) -> Response:
        """Send `request`, and read at most a megabyte of the answer.

        Args:
            request: Its body is compressed from `gzip_from` bytes on.
            uncompressed: Never compress.
        """
        headers = self._headers(request, {"Accept-Encoding": "identity"})
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
        headers = self._headers(request)
        return await self._watched(
            request, request.body, headers, lambda answer, coding: _read_whole(answer, coding, max_bytes)
        )

    async def stream(self, request: Request, receive: Receive, max_bytes: int) -> Response:
        """Send `request`, and pass on a successful answer of any size while it arrives; return it without a body.

        Args:
            request: The request. Its time is bounded by `_MAX_STREAM` in all, and by `timeout` without a byte.
            receive: Called with the answer, still without a body, and the pieces of the body, decompressed. An answer
                that is too large or cut off ends the pieces with an error, which it must not catch.
            max_bytes: Maximum size of the body.
        """

        async def read(answer: aiohttp.ClientResponse, coding: str) -> bytes:
            if answer.status // 100 != _SUCCESS:
                return await _read_start(answer, coding)
            await receive(Response(answer.status, _headers(answer)), _pieces(answer, coding, max_bytes))
            return b""

        limits = self._limits
        timeout = aiohttp.ClientTimeout(_MAX_STREAM, sock_connect=min(3.0, limits.timeout), sock_read=limits.timeout)
        headers = self._headers(request)
        return await self._watched(request, request.body, headers, read, timeout)

    def _headers(self, request: Request, defaults: Mapping[str, str] = _NO_HEADERS) -> dict[str, str]:
        """Add the user's headers to those of the vendor's protocol, which take precedence; case does not matter."""
        protocol = {**defaults, **request.headers}
        taken = {name.lower() for name in protocol}
        own = _NO_HEADERS if request.is_foreign else self._http.headers
        mine = {name: value for name, value in own.items() if name.lower() not in taken}
        agent = {} if any(name.lower() == "user-agent" for name in mine) else {"User-Agent": _USER_AGENT}
        return {**agent, **mine, **protocol}

    async def _watched(
        self,
        request: Request,
        body: bytes,
        headers: Mapping[str, str],
        read: _Read,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> Response:
        """Send a request between the calls of `watches`; without a timeout, that of the session applies."""
        url = self._dev_server + request.canonical_path if self._dev_server else request.url
        if not self._watches:
            return await self._ask(request.method, url, body, headers, read, timeout=timeout)
        shown = request.redact(url)
        info = RequestInfo(self._name, request.purpose, request.method, shown, request.events, len(body))
        ends = [watch(info) for watch in tuple(self._watches)]
        try:
            response = await self._ask(request.method, url, body, headers, read, timeout=timeout)
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

    async def _ask(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        read: _Read,
        *,
        timeout: aiohttp.ClientTimeout | None,
    ) -> Response:
        data = (body or None) if len(body) < _LARGE_BODY else BytesIO(body)
        try:
            session = self._open()
        except Exception as error:  # noqa: BLE001 -- a function of the user's may raise anything
            return self._own_failure(error, url)
        self._users[session] += 1
        more: dict[str, Any] = {} if self._tls is None else {"ssl": self._tls}
        try:
            async with session.request(
                method,
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                timeout=timeout or self._timeout,
                proxy=self._http.proxy,
                **more,
            ) as answer:
                # The user's session may have decompressed the body.
                coding = "identity" if session.auto_decompress else answer.headers.get("Content-Encoding", "identity")
                response = Response(
                    answer.status, _headers(answer), await read(answer, coding), host=answer.url.authority
                )
            if answer.status == _PROXY_AUTHENTICATION:  # a vendor never asks for this
                response = Response(0, error=f"proxy: status {answer.status}", host=urlsplit(url).netloc)
        except UnreadableError as error:
            response = Response(0, error=str(error), host=urlsplit(url).netloc)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            response = Response(0, error=_name(error), detail=_detail(error), host=urlsplit(url).netloc)
        except Exception as error:
            # 1. Ours: a bug. 2. The user's: it was closed, or belongs to another loop.
            if self._given is None:
                raise
            response = self._own_failure(error, url, session)
        finally:
            self._users[session] -= 1
            await self._close_if_unused(session)
        if response.error or response.status in _TRY_ANOTHER_SERVER:
            await self._retire(session)
        return response

    def _own_failure(self, error: Exception, url: str, session: Any = None) -> Response:
        """Return the outcome of a request that the user's own session or connector could not make: try again."""
        name = "connector" if self._http.session is None else "session"
        fault = f"raised {type(error).__name__}"
        if getattr(session, "closed", False):
            fault = "is closed"
        elif getattr(session, "_loop", self.loop) is not self.loop:
            fault = "belongs to another event loop"
        return Response(0, error=f"the `{name}` of HttpSettings {fault}", host=urlsplit(url).netloc)

    @property
    def _timeout(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=self._limits.timeout, sock_connect=min(3.0, self._limits.timeout))

    async def aclose(self) -> None:
        """Close the connections, except the user's session or connector."""
        self._session = None
        while self._users:
            await self._close(self._users.popitem()[0])

    def abandon(self) -> None:
        """Close the connections after their loop: aiohttp, asyncio and the sockets would each warn otherwise."""
        sessions = [] if self._http.session is not None or self._given is not None else list(self._users)
        for connector in [session.connector for session in sessions if session.connector is not None]:
            # aiohttp has no public list of them.
            pool = [connection for some in connector._conns.values() for connection, _ in some]  # noqa: SLF001
            pool += connector._acquired  # noqa: SLF001
            with suppress(StopIteration, RuntimeError):
                next(iter(connector.close().__await__()))  # as far as it comes without a loop
            for connection in pool:
                _close_after_loop(connection.transport)

    async def _retire(self, session: aiohttp.ClientSession) -> None:
        """Let requests in flight finish on a session, but send no new ones: the name may have a new address."""
        if session is self._session:
            self._session = None
            if isinstance(session.connector, aiohttp.TCPConnector) and self._given is not None:
                session.connector.clear_dns_cache()
        await self._close_if_unused(session)

    async def _close_if_unused(self, session: aiohttp.ClientSession) -> None:
        if session is not self._session and session in self._users and not self._users[session]:
            del self._users[session]
            await self._close(session)

    async def _close(self, session: aiohttp.ClientSession) -> None:
        if self._http.session is None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self.loop = asyncio.get_running_loop()
            release_with_loop(self)
            self._given = self._take_given()
            if self._http.session is not None:
                self._session = self._given
                return self._session
            limit = self._limits.max_in_flight
            self._session = aiohttp.ClientSession(
                connector=self._given
                or aiohttp.TCPConnector(limit=limit, resolver=self._resolver, ttl_dns_cache=_ADDRESS_TTL),
                connector_owner=self._given is None,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=self._http.trust_env,
            )
        return self._session

    def _take_given(self) -> Any:
        """Return the user's session or connector; None if there is none. A session that was closed is asked for again.

        Raises:
            TypeError: Their function returned something else.
        """
        given = self._http.session or self._http.connector
        if given is None or (
            self._given is not None and not (callable(given) and getattr(self._given, "closed", False))
        ):
            return self._given
        found = given() if callable(given) else given
        if not hasattr(found, "request" if self._http.session is not None else "connect"):
            raise TypeError
        return found


def tls_context(http: HttpSettings) -> ssl.SSLContext | None:
    """Return the TLS context of some settings; None if they set none.

    Raises:
        ConfigurationError: A file cannot be read, or holds something else.
    """
    if http.ssl is not None or not (http.ca_file or http.client_cert):
        if http.ssl is not None and not isinstance(http.ssl, ssl.SSLContext):
            msg = f"`ssl` of HttpSettings must be an ssl.SSLContext, not {type(http.ssl).__name__}"
            raise ConfigurationError(msg)
        return http.ssl
    try:
        context = ssl.create_default_context(cafile=http.ca_file)
        if http.client_cert is not None:
            context.load_cert_chain(http.client_cert, http.client_key)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        names = "`ca_file`" if http.client_cert is None else "`ca_file`, `client_cert` or `client_key`"
        msg = f"{names} of HttpSettings cannot be loaded: {error}"
        raise ConfigurationError(msg) from error
    return context


def _close_after_loop(transport: Any) -> None:
    """Close a connection whose loop is closed, which asyncio itself cannot: it needs a turn of the loop."""
    with suppress(Exception):
        transport.abort()
    # Under TLS, the transport of the socket is another one.
    transport = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    with suppress(Exception):
        transport._call_connection_lost(None)  # noqa: SLF001 -- what that turn of the loop would call


def _name(error: Exception) -> str:
    """Return what went wrong in a few words, naming the proxy if that is what failed."""
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"proxy {error.host}:{error.port}: {_NO_CONNECTION.get(error.errno or 0, 'no connection')}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"proxy: status {error.status}"
    cause = _tls_error(error) or error
    for kinds, name in _TROUBLE:
        if isinstance(cause, kinds):
            return name
    if isinstance(error, aiohttp.ClientConnectorError):
        return _NO_CONNECTION.get(error.errno or 0, "no connection")
    return "connection lost"


def _detail(error: Exception) -> str:
    """Return what OpenSSL says about a TLS error, such as `certificate has expired`; otherwise ""."""
    tls = _tls_error(error)
    if isinstance(tls, aiohttp.ClientConnectorCertificateError):
        return str(getattr(tls.certificate_error, "verify_message", ""))
    tls = tls.os_error if isinstance(tls, aiohttp.ClientConnectorError) else tls
    return str(getattr(tls, "reason", None) or "").replace("_", " ").lower()


def _tls_error(error: Exception) -> BaseException | None:
    """Return the TLS error behind an error: aiohttp hides that of an open connection in one of its own."""
    return next((e for e in (error, error.__cause__, error.__context__) if isinstance(e, ssl.SSLError)), None)


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


async def _read_start(answer: aiohttp.ClientResponse, coding: str) -> bytes:
    """Read and decompress the start of the body. If it is cut off, return what arrived: the status decides."""
    start = bytearray()
    decompressor = decompressor_for(coding) or Plain()
    with suppress(aiohttp.ClientError, TimeoutError, OSError, UnreadableError):
        async for part in answer.content.iter_any():
            for piece in decompressor.pieces(part):
                start += piece
                if len(start) >= MAX_ANSWER_BYTES:
                    answer.close()
                    return bytes(start[:MAX_ANSWER_BYTES])
    return bytes(start)


async def _read_whole(answer: aiohttp.ClientResponse, coding: str, max_bytes: int) -> bytes:
    """Read and decompress a body, yielding to the loop in between."""
    whole = BytesIO()  # returns its value without a copy, which would block the loop for 20 MB
    async for piece in _pieces(answer, coding, max_bytes):
        whole.write(piece)
    return whole.getvalue()


async def _pieces(answer: aiohttp.ClientResponse, coding: str, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield a body piece by piece, decompressed, and yield to the loop in between.

    Raises:
        UnreadableError: The body is larger than `max_bytes`, compressed or not, or it is cut off.
    """
    decompressor = decompressor_for(coding)
    if decompressor is None:
        raise UnreadableError(CANNOT_DECOMPRESS)
    received = size = 0
    async for part in answer.content.iter_any():
        received += len(part)
        for piece in decompressor.pieces(part):
            size += len(piece)
            if max(received, size) > max_bytes:
                answer.close()
                msg = "answer too large"
                raise UnreadableError(msg)
            yield piece
            await asyncio.sleep(0)
    if not decompressor.is_complete:
        msg = "connection lost"
        raise UnreadableError(msg)


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
        last = self._last.get((host, family))
        try:
            async with asyncio.timeout(None if last is None else _MAX_LOOKUP):
                found = await in_thread(lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
        except OSError:  # a `TimeoutError` is one, too
            if last is not None:
                return last
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
