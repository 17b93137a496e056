"""asyncsdk in Starlette: `lifespan(client)` and `FlagsMiddleware`, then `get_flags(request)` in any endpoint.

Other ASGI frameworks use `FlagsMiddleware(app, client=client)`, which needs no `lifespan`.

A request's client is the first that there is of

1. the middleware's `client=`;
2. the lifespan's state, which the server copies into each request's scope;
3. `app.state`, where `lifespan(client)` keeps it for test clients and servers that do not copy the state.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from asyncsdk import Client, ConfigurationError, Flags, User, UserLike
from asyncsdk.integrations._context import CURRENT_REQUEST, EventDefaultsOf, attach_defaults, attach_once
from asyncsdk.integrations._extras import needs_extra
from asyncsdk.integrations._identity import (
    ClientInfo,
    CurrentRequest,
    Identity,
    RequestContext,
    RequestReader,
    UserOf,
    is_sticky,
)
from asyncsdk.integrations._lifespan import run_lifespan

with needs_extra("starlette"):
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection
    from starlette.types import Lifespan, Message, Receive, Scope, Send

__all__ = [
    "FlagsMiddleware",
    "client_of",
    "from_header",
    "get_client",
    "get_flags",
    "get_user",
    "lifespan",
    "session_user",
]

logger = logging.getLogger("asyncsdk")

App = TypeVar("App")

_CLIENT, _STICKY = "asyncsdk.client", "asyncsdk.sticky"  # keys of the lifespan's state
_CONTEXT = "asyncsdk.request"  # key of a request's scope
_REQUESTS = ("http", "websocket")
_MAX_LAYERS = 50  # of middleware that `_has_flags` looks through
_APP_STATE = "asyncsdk_client"  # attribute of an application's state
# Each framework has types of its own for scope and messages.
AnyASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
_STARTS = ("http.response.start", "websocket.accept")


def lifespan(client: Client | Callable[[], Client], inner: Lifespan[App] | None = None) -> Lifespan[App]:
    """Build a lifespan that starts and closes a client with the application.

    Args:
        client: A client that is not started yet; or a function that returns one, for applications that are started more
            than once, as in tests.
        inner: Your own lifespan. It runs inside the client's, which therefore closes last, and its state is kept. It
            gets the client by `client_of(app)`. None: no other lifespan.

    Returns:
        A lifespan for `Starlette(lifespan=...)` or `FastAPI(lifespan=...)`. Starting it raises `ConfigurationError` if
        `inner` has a client as well.
    """

    @asynccontextmanager
    async def run(app: App) -> AsyncIterator[Mapping[str, Any]]:
        async with client if isinstance(client, Client) else client() as running:
            attach_once(running)
            if isinstance(app, Starlette):
                setattr(app.state, _APP_STATE, running)
            state = {_CLIENT: running, _STICKY: is_sticky(running)}
            if inner is None:
                yield state
                return
            async with inner(app) as inner_state:
                if inner_state and _CLIENT in inner_state:
                    msg = "this application has two clients: use lifespan(client) once, with all destinations"
                    raise ConfigurationError(msg)
                yield {**(inner_state or {}), **state}

    return run


def session_user(connection: HTTPConnection) -> UserLike | None:
    """Return `session["user_id"]` of Starlette's `SessionMiddleware`: the default `user=` function.

    Args:
        connection: The request or websocket.

    Returns:
        The user's id; None if there is no session, or the user is not signed in.
    """
    return connection.session.get("user_id") if "session" in connection.scope else None


def from_header(name: str) -> Callable[[HTTPConnection], str | None]:
    """Build a `user=` function that takes the user's id from a header.

    Use it only behind a proxy that signs users in, and sets or removes that header on every request: otherwise any
    client can pretend to be any user.

    Args:
        name: Name of the header.

    Returns:
        A function for the `user` argument of `FlagsMiddleware`.
    """
    return lambda connection: connection.headers.get(name)


def _has_flags(app: object) -> bool:
    """Return whether an application is wrapped in our middleware, as far as middlewares show what they wrap.

    Nearly all of them keep the wrapped application in the attribute `app`.
    """
    for _ in range(_MAX_LAYERS):
        if isinstance(app, FlagsMiddleware):
            return True
        app = getattr(app, "app", None)
    return False


class FlagsMiddleware:
    """ASGI middleware that gives each request and each websocket its `Flags`.

    Args:
        app: The application to wrap.
        client: For frameworks other than Starlette and FastAPI: a client that is not started yet, or a function that
            returns one. The middleware starts and closes it in the lifespan of the server. None takes the client of
            `lifespan(client)`.
        user: Function that returns the user of a request: a `User`, an id, or None for an anonymous user. A plain
            function is called when the request first asks for its flags, an `async` one before the endpoint. `ip`,
            `user_agent`, `locale` and `anonymous_id` are filled in from the request unless the user has them. None: all
            users are anonymous.
        trusted_proxies: Number of proxies in front of the application, each of which appends to `X-Forwarded-For`. With
            0 that header is ignored, since any client can send it; leave it at 0 if the server reads the header, as
            uvicorn may.
        anonymous_cookie: Name of a cookie that identifies returning visitors (`User.anonymous_id`); None sets none.
        secure_cookie: Whether browsers send that cookie over HTTPS only (`Secure`). None: if the request came over
            HTTPS, or the cookie's name begins with `__Host-` or `__Secure-`. Set True behind a proxy that ends TLS.
        event_properties: Function that returns properties for each event of a request: a mapping or None. They win over
            those of `Client(properties=...)`, and an event's own win over them. It is called in the verb. None: none.
        event_context: The same for RudderStack's `context`.

    Raises:
        ConfigurationError: The application has this middleware already, or `trusted_proxies` or `anonymous_cookie` is
            invalid.
    """

    def __init__(
        self,
        app: AnyASGIApp,
        *,
        client: Client | Callable[[], Client] | None = None,
        user: UserOf[HTTPConnection] | None = session_user,
        trusted_proxies: int = 0,
        anonymous_cookie: str | None = None,
        secure_cookie: bool | None = None,
        event_properties: EventDefaultsOf[HTTPConnection] = None,
        event_context: EventDefaultsOf[HTTPConnection] = None,
    ) -> None:
        if _has_flags(app):
            msg = "this application has FlagsMiddleware already: add it once"
            raise ConfigurationError(msg)
        self.app = app
        self._make_client = client
        self._client = attach_once(client) if isinstance(client, Client) else None
        self._known: tuple[Client | None, bool] = None, False  # the last client found, and whether it is sticky
        settings = trusted_proxies, anonymous_cookie, secure_cookie, event_properties, event_context
        self._identity = Identity(user, _READER, *settings)
        self._with_defaults: Client | None = None  # the last client that knows the defaults of a request's events
        self._should_check_session = user is session_user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection.

        Args:
            scope: The connection's scope. Lifespans, and applications without `lifespan(client)`, pass through.
            receive: Receives messages from the server.
            send: Sends messages to the server.
        """
        client, must_load = self._find_client(scope) if scope["type"] in _REQUESTS else (None, False)
        if client is None:
            if scope["type"] == "lifespan" and self._make_client is not None:
                await run_lifespan(self._new_client(self._make_client), self.app, scope, receive, send)
            else:
                await self.app(scope, receive, send)
            return
        if self._should_check_session:
            self._check_session(scope)
        if self._identity.has_defaults and self._with_defaults is not client:
            attach_defaults(client)
            self._with_defaults = client
        connection = HTTPConnection(scope)
        scope[_CONTEXT] = context = RequestContext(client, self._identity)
        if must_load or self._identity.is_async:
            await context.resolve_async(connection, is_sticky=must_load)
        # Restored afterwards: a mounted application may have its own middleware, and a server may handle the requests
        # of a connection one after another in one task.
        outer = CURRENT_REQUEST.get()
        CURRENT_REQUEST.set(CurrentRequest(context, connection))
        try:
            sender = send if self._identity.cookie is None else self._with_cookie(connection, send)
            await self.app(scope, receive, sender)
        finally:
            CURRENT_REQUEST.set(outer)

    def _new_client(self, made: Client | Callable[[], Client]) -> Client:
        self._client = client = made if isinstance(made, Client) else attach_once(made())
        return client

    def _find_client(self, scope: Scope) -> tuple[Client | None, bool]:
        """Return a request's client, and whether assignments of its user have to be loaded."""
        state = scope.get("state")
        if self._client is None and state is not None and _CLIENT in state:
            return state[_CLIENT], state[_STICKY]
        client = self._client or _client_of_app(scope)
        if client is not self._known[0]:
            self._known = client, client is not None and is_sticky(client)
        return self._known

    def _check_session(self, scope: Scope) -> None:
        """Warn if the first request has no session: the default `user=` function would never find a user."""
        self._should_check_session = False
        if "session" not in scope:
            logger.warning(
                "requests have no session, so every user is anonymous: "
                "put SessionMiddleware before FlagsMiddleware, or pass a function as `user=`"
            )

    def _with_cookie(self, connection: HTTPConnection, send: Send) -> Send:
        """Return a `send` that adds the cookie of a new visitor to the response."""

        async def send_with_cookie(message: Message) -> None:
            if message["type"] in _STARTS:
                is_secure = connection.scope.get("scheme") in ("https", "wss")
                user = connection.scope[_CONTEXT].resolved_user
                cookie = self._identity.set_cookie(connection, user, secure=is_secure)
                if cookie is not None:
                    message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.encode())]
            await send(message)

        return send_with_cookie


class HasScope(Protocol):
    """A request of any ASGI framework: Starlette's, FastAPI's, Litestar's, Quart's or Django's."""

    @property
    def scope(self) -> Mapping[str, Any]:
        """The scope of the ASGI connection."""
        ...


def get_client(request: HasScope) -> Client:
    """Return the application's client.

    Args:
        request: Any request or websocket of the application.

    Raises:
        ConfigurationError: The application has no `lifespan(client)`, or the server did not run it; and no
            `FlagsMiddleware(app, client=client)`.
    """
    scope = request.scope
    if _CONTEXT in scope:
        context: RequestContext[HTTPConnection] = scope[_CONTEXT]
        return context.client
    return _required((scope.get("state") or {}).get(_CLIENT) or _client_of_app(scope))


def client_of(app: Starlette) -> Client:
    """Return the application's client where there is no request, as in a lifespan of your own.

    Args:
        app: The application.

    Raises:
        ConfigurationError: The application has no `lifespan(client)`, or the server did not run it.
    """
    return _required(getattr(app.state, _APP_STATE, None))


def _client_of_app(scope: Mapping[str, Any]) -> Client | None:
    """Return the client that `lifespan` keeps in the application's state; None if there is none."""
    client = getattr(getattr(scope.get("app"), "state", None), _APP_STATE, None)
    return client if isinstance(client, Client) else None


def _required(client: Client | None) -> Client:
    if client is None:
        msg = (
            "there is no client: the application needs lifespan=lifespan(client), and the server (or the test) has to "
            "run that; other frameworks need FlagsMiddleware(app, client=client)"
        )
        raise ConfigurationError(msg)
    return client


def get_flags(request: HasScope) -> Flags:
    """Return the request's `Flags`: lookups without `await`, for one user and by one version of the rules.

    Args:
        request: The request or websocket that is being handled.

    Raises:
        ConfigurationError: The application has no `FlagsMiddleware`, or no `lifespan(client)`.
    """
    context: RequestContext[HTTPConnection] | None = request.scope.get(_CONTEXT)
    if context is None:
        get_client(request)  # its error is the better one if the lifespan is missing, too
        msg = "this request has no flags: the application needs the middleware FlagsMiddleware"
        raise ConfigurationError(msg)
    return context.flags_of(request if isinstance(request, HTTPConnection) else HTTPConnection(dict(request.scope)))


def get_user(request: HasScope) -> User:
    """Return the user of the request's flags.

    Args:
        request: The request or websocket that is being handled.

    Raises:
        ConfigurationError: The application has no `FlagsMiddleware`, or no `lifespan(client)`.
    """
    return get_flags(request).user


def _client_info(connection: HTTPConnection) -> ClientInfo:
    address, headers = connection.scope.get("client"), dict(connection.scope["headers"])
    # The scope's names are bytes in lower case: one dict, where `connection.headers` searches the list each time.
    agent, languages = headers.get(b"user-agent"), headers.get(b"accept-language")
    return address[0] or None if address else None, _text(agent), _text(languages)


def _forwarded(connection: HTTPConnection) -> Sequence[str]:
    return connection.headers.getlist("x-forwarded-for")


def _cookie(connection: HTTPConnection, name: str) -> str | None:
    return connection.cookies.get(name)


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


_READER = RequestReader(_client_info, _forwarded, _cookie)
