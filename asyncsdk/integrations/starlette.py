"""asyncsdk in Starlette: `lifespan(client)`, `FlagsMiddleware`, and then `get_flags(request)` in any endpoint."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from asyncsdk import Client, ConfigurationError, Flags, User, UserLike
from asyncsdk.integrations._context import CURRENT, carry_flags
from asyncsdk.integrations._identity import (
    CurrentRequest,
    Identity,
    Reading,
    RequestContext,
    Seen,
    UserOf,
    is_sticky,
)

__all__ = [
    "FlagsMiddleware",
    "get_client",
    "client_of",
    "get_flags",
    "from_header",
    "lifespan",
    "session_user",
    "get_user",
]

logger = logging.getLogger("asyncsdk")

App = TypeVar("App")

_CLIENT, _STICKY = "asyncsdk.client", "asyncsdk.sticky"  # in the lifespan's state
_CONTEXT = "asyncsdk.request"  # in a request's scope
_REQUESTS = ("http", "websocket")
_MAX_LAYERS = 50  # of middleware that are looked through
_STARTS = ("http.response.start", "websocket.accept")


def lifespan(client: Client | Callable[[], Client], inner: Lifespan[App] | None = None) -> Lifespan[App]:
    """Make a lifespan that starts and closes a client with the application.

    Args:
        client: Not started yet, or a function that makes one: for an application that is started more than once, as
            tests do.
        inner: Your own lifespan. It runs within the client's, which closes last, and its state is kept; the client is
            `client_of(app)`.

    Starting raises ConfigurationError where `inner` is such a lifespan, too.
    """

    @asynccontextmanager
    async def run(app: App) -> AsyncIterator[Mapping[str, Any]]:
        async with client if isinstance(client, Client) else client() as running:
            running.add_middleware(carry_flags)
            if isinstance(app, Starlette):
                app.state.asyncsdk_client = running
            state = {_CLIENT: running, _STICKY: is_sticky(running)}
            if inner is None:
                yield state
                return
            async with inner(app) as own:
                if own and _CLIENT in own:
                    msg = "this application has two clients: use lifespan(client) once, with all destinations"
                    raise ConfigurationError(msg)
                yield {**(own or {}), **state}

    return run


def session_user(connection: HTTPConnection) -> UserLike | None:
    """Say that the user is `session["user_id"]`, where there is Starlette's `SessionMiddleware`."""
    return connection.session.get("user_id") if "session" in connection.scope else None


def from_header(name: str) -> Callable[[HTTPConnection], str | None]:
    """Make a `user=` function that takes the user's id from a header.

    For applications behind a proxy that signs users in, and sets or removes that header of every request: anybody else
    may send what they like.
    """
    return lambda connection: connection.headers.get(name)


def _has_flags(app: object) -> bool:
    """Say whether an application has our middleware, as far as it tells: most keeps what comes next in `app`."""
    for _ in range(_MAX_LAYERS):
        if isinstance(app, FlagsMiddleware):
            return True
        app = getattr(app, "app", None)
    return False


class FlagsMiddleware:
    """Gives each request and each websocket its `Flags`; the client is that of `lifespan`.

    Args:
        app: What comes next.
        user: Says who makes a request: a User or an id, or None for nobody who is known. A plain function is called
            when the request first asks for its flags, an `async` one before the endpoint. What a User leaves out of
            `ip`, `user_agent`, `locale` and `anonymous_id` is filled in.
        trusted_proxies: How many proxies stand before the application, each of which adds to `X-Forwarded-For`.
            With 0 that header, which anybody may send, is ignored: right where the server reads it, as uvicorn may.
        anonymous_cookie: Name of a cookie by which visitors are known again (`User.anonymous_id`); None sets none.

    Raises:
        ConfigurationError: One of the last two cannot be; or the application has this middleware already.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        user: UserOf[HTTPConnection] | None = session_user,
        trusted_proxies: int = 0,
        anonymous_cookie: str | None = None,
    ) -> None:
        if _has_flags(app):
            msg = "this application has FlagsMiddleware already: add it once"
            raise ConfigurationError(msg)
        self.app = app
        self._identity = Identity(user, _READING, trusted_proxies, anonymous_cookie)
        self._wants_session = user is session_user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        state = scope.get("state") if scope["type"] in _REQUESTS else None
        if state is None or _CLIENT not in state:
            await self.app(scope, receive, send)
            return
        if self._wants_session:
            self._check_session(scope)
        connection, is_sticky = HTTPConnection(scope), state[_STICKY]
        scope[_CONTEXT] = context = RequestContext(state[_CLIENT], self._identity)
        if is_sticky or self._identity.is_async:
            await context.tell_first(connection, is_sticky=is_sticky)
        outer = CURRENT.get()
        CURRENT.set(CurrentRequest(context, connection))
        try:
            await self.app(scope, receive, send if self._identity.cookie is None else self._keep(connection, send))
        finally:
            CURRENT.set(outer)

    def _check_session(self, scope: Scope) -> None:
        """Look at the first request: without a session, nobody would ever be known."""
        self._wants_session = False
        if "session" not in scope:
            logger.warning(
                "no request has a session, so everybody is anonymous: "
                "put SessionMiddleware before FlagsMiddleware, or say who makes a request by `user=`"
            )

    def _keep(self, connection: HTTPConnection, send: Send) -> Send:
        """Let the response set a new visitor's cookie."""

        async def send_with_cookie(message: Message) -> None:
            if message["type"] in _STARTS:
                is_secure = connection.scope.get("scheme") in ("https", "wss")
                user = connection.scope[_CONTEXT].known_user
                cookie = self._identity.set_cookie(connection, user, secure=is_secure)
                if cookie is not None:
                    message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.encode())]
            await send(message)

        return send_with_cookie


def get_client(request: HTTPConnection) -> Client:
    """Give the application's client.

    Raises:
        ConfigurationError: There is no `lifespan(client)`, or the server did not run it.
    """
    return _there(request.scope.get("state", {}).get(_CLIENT))


def client_of(app: Starlette) -> Client:
    """Give the application's client where there is no request, as in a lifespan of your own.

    Raises:
        ConfigurationError: There is no `lifespan(client)`, or the server did not run it.
    """
    return _there(getattr(app.state, "asyncsdk_client", None))


def _there(found: Client | None) -> Client:
    if found is None:
        msg = "there is no client: the application needs lifespan=lifespan(client), and the server has to run that"
        raise ConfigurationError(msg)
    return found


def get_flags(request: HTTPConnection) -> Flags:
    """Give the request's lookups, which need no `await`: one user, one version of the rules, each name asked once.

    Raises:
        ConfigurationError: There is no `FlagsMiddleware`, or no `lifespan(client)`.
    """
    context: RequestContext[HTTPConnection] | None = request.scope.get(_CONTEXT)
    if context is None:
        get_client(request)
        msg = "this request has no flags: the application needs the middleware FlagsMiddleware"
        raise ConfigurationError(msg)
    return context.flags_of(request)


def get_user(request: HTTPConnection) -> User:
    """Give the request's user, as its flags see it."""
    return get_flags(request).user


def _see(connection: HTTPConnection) -> Seen:
    address, headers = connection.scope.get("client"), dict(connection.scope["headers"])
    # Of bytes, in lower case: once, where `connection.headers` would look through all each time.
    agent, languages = headers.get(b"user-agent"), headers.get(b"accept-language")
    return address[0] or None if address else None, _text(agent), _text(languages)


def _forwarded(connection: HTTPConnection) -> Sequence[str]:
    return connection.headers.getlist("x-forwarded-for")


def _cookie(connection: HTTPConnection, name: str) -> str | None:
    return connection.cookies.get(name)


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


_READING = Reading(_see, _forwarded, _cookie)
