"""asyncsdk in aiohttp.web: call `setup(app, client)`, then `get_flags(request)` in any handler."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from aiohttp import hdrs, web

from asyncsdk import Client, ConfigurationError, Flags, User
from asyncsdk.integrations._context import CURRENT_REQUEST, EventDefaultsOf, attach_defaults, attach_flags
from asyncsdk.integrations._identity import (
    ClientInfo,
    CurrentRequest,
    Identity,
    RequestContext,
    RequestReader,
    UserOf,
    is_sticky,
)

__all__ = ["CLIENT", "from_header", "get_client", "get_flags", "get_user", "run_client", "setup"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CLIENT = web.AppKey("asyncsdk.client", Client)
"""Key of the client in the application: `app[CLIENT]`."""

# aiohttp 3.14 has `RequestKey`, and warns about keys that are plain text, which older versions need.
_CONTEXT: str = getattr(web, "RequestKey", lambda name, _: name)("asyncsdk.request", RequestContext)


def setup(
    app: web.Application,
    client: Client,
    *,
    user: UserOf[web.Request] | None = None,
    trusted_proxies: int = 0,
    anonymous_cookie: str | None = None,
    secure_cookie: bool | None = None,
    event_properties: EventDefaultsOf[web.Request] = None,
    event_context: EventDefaultsOf[web.Request] = None,
) -> None:
    """Start and close the client with the application, and give each request its `Flags`.

    Args:
        app: The application. Middlewares that are added after this call can use the request's flags.
        client: A client that is not started yet.
        user: Function that returns the user of a request: a `User`, an id, or None for an anonymous user. A plain
            function is called when the request first asks for its flags, an `async` one before the handler. `ip`,
            `user_agent`, `locale` and `anonymous_id` are filled in if missing. None: all users are anonymous.
        trusted_proxies: Number of proxies in front of the application, each of which appends to `X-Forwarded-For`. With
            0 that header is ignored, since any client can send it.
        anonymous_cookie: Name of a cookie that identifies returning visitors (`User.anonymous_id`); None sets none.
        secure_cookie: Whether browsers send that cookie over HTTPS only (`Secure`). None: if the request came over
            HTTPS, or the cookie's name begins with `__Host-` or `__Secure-`. Set True behind a proxy that ends TLS.
        event_properties: Function that returns properties for each event of a request: a mapping or None. They win over
            those of `Client(properties=...)`, and an event's own win over them. It is called in the verb. None: none.
        event_context: The same for RudderStack's `context`.

    Raises:
        ConfigurationError: The application has a client already, or a setting is invalid.
    """
    if CLIENT in app:
        msg = "this application has a client: call setup once, with one Client(...) for all destinations"
        raise ConfigurationError(msg)
    settings = trusted_proxies, anonymous_cookie, secure_cookie, event_properties, event_context
    identity, keeps_groups = Identity(user, _READER, *settings), is_sticky(client)
    if identity.has_defaults:
        attach_defaults(client)
    must_await = identity.is_async or keeps_groups
    app[CLIENT] = client.add_middleware(attach_flags)
    app.cleanup_ctx.append(run_client)

    @web.middleware
    async def bind_flags(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[_CONTEXT] = context = RequestContext(client, identity)
        if must_await:
            await context.resolve_async(request, is_sticky=keeps_groups)
        CURRENT_REQUEST.set(CurrentRequest(context, request))  # not reset: aiohttp runs each request in its own context
        return await handler(request)

    async def set_visitor_cookie(request: web.Request, response: web.StreamResponse) -> None:
        context: RequestContext[web.Request] | None = request.get(_CONTEXT)
        known_user = None if context is None else context.resolved_user
        cookie = identity.set_cookie(request, known_user, secure=request.secure)
        if cookie is not None:
            response.headers.add("Set-Cookie", cookie)

    app.middlewares.append(bind_flags)
    if anonymous_cookie is not None:
        # A signal and not the middleware, since streams send their headers before the handler returns.
        app.on_response_prepare.append(set_visitor_cookie)


def from_header(name: str) -> Callable[[web.Request], str | None]:
    """Build a `user=` function that takes the user's id from a header.

    Use it only behind a proxy that signs users in, and sets or removes that header on every request: otherwise any
    client can pretend to be any user.

    Args:
        name: Name of the header.

    Returns:
        A function for the `user` argument of `setup`.
    """
    return lambda request: request.headers.get(name)


async def run_client(app: web.Application) -> AsyncIterator[None]:
    """Run `app[CLIENT]` as long as the application: an entry for `app.cleanup_ctx`, which `setup` adds.

    Args:
        app: The application, which has a client at `app[CLIENT]`.
    """
    async with app[CLIENT]:
        yield


def get_client(request: web.Request) -> Client:
    """Return the application's client; a sub-application has its parent's.

    Args:
        request: Any request of the application.

    Raises:
        KeyError: The application has no client: `setup(app, client)` was not called.
    """
    return request.config_dict[CLIENT]


def get_flags(request: web.Request) -> Flags:
    """Return the request's `Flags`: lookups without `await`, for one user and by one version of the rules.

    Args:
        request: The request that is being handled.

    Raises:
        ConfigurationError: `setup(app, client)` was not called.
    """
    try:
        context: RequestContext[web.Request] = request[_CONTEXT]  # saves a call over `request.get`
    except KeyError:
        msg = "this request has no flags: call asyncsdk.integrations.aiohttp.setup(app, client) when making the app"
        raise ConfigurationError(msg) from None
    return context.flags_of(request)


def get_user(request: web.Request) -> User:
    """Return the user of the request's flags.

    Args:
        request: The request that is being handled.

    Raises:
        ConfigurationError: `setup(app, client)` was not called.
    """
    return get_flags(request).user


def _client_info(request: web.Request) -> ClientInfo:
    headers = request.headers
    return request.remote or None, headers.get(hdrs.USER_AGENT), headers.get(hdrs.ACCEPT_LANGUAGE)


def _forwarded(request: web.Request) -> Sequence[str]:
    return request.headers.getall(hdrs.X_FORWARDED_FOR, ())


def _cookie(request: web.Request, name: str) -> str | None:
    return request.cookies.get(name)


_READER = RequestReader(_client_info, _forwarded, _cookie)
