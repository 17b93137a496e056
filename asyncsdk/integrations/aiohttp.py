"""asyncsdk in aiohttp.web: `setup(app, client)`, and then `get_flags(request)` in any handler."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from aiohttp import hdrs, web

from asyncsdk import Client, ConfigurationError, Flags, User
from asyncsdk.integrations._context import CURRENT, carry_flags
from asyncsdk.integrations._identity import CurrentRequest, Identity, Reading, RequestContext, Seen, UserOf, is_sticky

__all__ = ["CLIENT", "get_client", "get_flags", "from_header", "run_client", "setup", "get_user"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CLIENT = web.AppKey("asyncsdk.client", Client)
"""Where an application keeps its client: `app[CLIENT]`."""

# `RequestKey` is aiohttp 3.14's, which warns about the text that was usual before.
_CONTEXT: str = getattr(web, "RequestKey", lambda name, _: name)("asyncsdk.request", RequestContext)


def setup(
    app: web.Application,
    client: Client,
    *,
    user: UserOf[web.Request] | None = None,
    trusted_proxies: int = 0,
    anonymous_cookie: str | None = None,
) -> None:
    """Start and close `client` with `app`, and give each request its `Flags`.

    Args:
        app: The application; its middlewares that come later see the request's flags.
        client: Not started yet.
        user: Says who makes a request: a User or an id, or None for nobody who is known. A plain function is called
            when the request first asks for its flags, an `async` one before the handler. What a User leaves out of
            `ip`, `user_agent`, `locale` and `anonymous_id` is filled in.
        trusted_proxies: How many proxies stand before the application, each of which adds to `X-Forwarded-For`.
            With 0 that header, which anybody may send, is ignored.
        anonymous_cookie: Name of a cookie by which visitors are known again (`User.anonymous_id`); None sets none.

    Raises:
        ConfigurationError: One of the last two cannot be; or the application has a client.
    """
    if CLIENT in app:
        msg = "this application has a client: call setup once, with one Client(...) for all destinations"
        raise ConfigurationError(msg)
    identity, keeps_groups = Identity(user, _READING, trusted_proxies, anonymous_cookie), is_sticky(client)
    tells_first = identity.is_async or keeps_groups
    app[CLIENT] = client.add_middleware(carry_flags)
    app.cleanup_ctx.append(run_client)

    @web.middleware
    async def bind_flags(request: web.Request, handler: Handler) -> web.StreamResponse:
        # Each request has a context of its own (aiohttp runs it as a task), so nothing is to be put back.
        request[_CONTEXT] = context = RequestContext(client, identity)
        if tells_first:
            await context.tell_first(request, is_sticky=keeps_groups)
        CURRENT.set(CurrentRequest(context, request))
        return await handler(request)

    async def keep_visitor(request: web.Request, response: web.StreamResponse) -> None:
        context: RequestContext[web.Request] | None = request.get(_CONTEXT)
        user = None if context is None else context.known_user
        cookie = identity.set_cookie(request, user, secure=request.secure)
        if cookie is not None:
            response.headers.add("Set-Cookie", cookie)

    app.middlewares.append(bind_flags)
    if anonymous_cookie is not None:
        app.on_response_prepare.append(keep_visitor)


def from_header(name: str) -> Callable[[web.Request], str | None]:
    """Make a `user=` function that takes the user's id from a header.

    For applications behind a proxy that signs users in, and sets or removes that header of every request: anybody else
    may send what they like.
    """
    return lambda request: request.headers.get(name)


async def run_client(app: web.Application) -> AsyncIterator[None]:
    """Run `app[CLIENT]` for as long as the application: an entry of `app.cleanup_ctx`, which `setup` makes."""
    async with app[CLIENT]:
        yield


def get_client(request: web.Request) -> Client:
    """Give the application's client, from sub-applications too."""
    return request.config_dict[CLIENT]


def get_flags(request: web.Request) -> Flags:
    """Give the request's lookups, which need no `await`: one user, one version of the rules, each name asked once.

    Raises:
        ConfigurationError: There was no `setup(app, client)`.
    """
    try:
        context: RequestContext[web.Request] = request[_CONTEXT]  # `get` would be a call more
    except KeyError:
        msg = "this request has no flags: call asyncsdk.integrations.aiohttp.setup(app, client) when making the app"
        raise ConfigurationError(msg) from None
    return context.flags_of(request)


def get_user(request: web.Request) -> User:
    """Give the request's user, as its flags see it."""
    return get_flags(request).user


def _see(request: web.Request) -> Seen:
    headers = request.headers
    return request.remote or None, headers.get(hdrs.USER_AGENT), headers.get(hdrs.ACCEPT_LANGUAGE)


def _forwarded(request: web.Request) -> Sequence[str]:
    return request.headers.getall(hdrs.X_FORWARDED_FOR, ())


def _cookie(request: web.Request, name: str) -> str | None:
    return request.cookies.get(name)


_READING = Reading(_see, _forwarded, _cookie)
