"""Behaviour that only the integration of Starlette has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from asyncsdk import Client, ConfigurationError, Track
from asyncsdk.dev import DevServer
from asyncsdk.integrations import current_flags
from asyncsdk.integrations.starlette import FlagsMiddleware, client_of, get_client, get_flags, lifespan
from integrations.asgi import serving

FLAGS = Middleware(FlagsMiddleware)


def state(sdk: Client) -> dict[str, Any]:
    """Return the state that `lifespan` sets."""
    return {"asyncsdk.client": sdk, "asyncsdk.sticky": False}


async def ask(app: Starlette, *paths: str) -> list[Any]:
    """Serve an application, and return the responses of its pages to one browser."""
    async with serving(app) as url, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        return [await (await session.get(url + path)).json() for path in paths]


async def gate(request: Request) -> Response:
    flags = get_flags(request)
    return JSONResponse([flags.user.user_id, flags.check_gate("hers"), current_flags() is flags])


async def login(request: Request) -> Response:
    request.session["user_id"] = "ada.lovelace"
    return JSONResponse("welcome")


# --- lifespans ------------------------------------------------------------------------------------------------


async def test_an_own_lifespan_runs_inside_the_clients(sdk: Client, vendors: DevServer) -> None:
    @asynccontextmanager
    async def mine(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        assert sdk.health().state == "running"
        yield {"shop": "Tea & Co"}
        sdk.put_nowait(Track("ada.lovelace", "Shop Closed"))

    async def page(request: Request) -> Response:
        return JSONResponse([request.state.shop, get_client(request) is sdk])

    assert await ask(Starlette(routes=[Route("/", page)], lifespan=lifespan(sdk, mine)), "/") == [["Tea & Co", True]]
    assert [event.name for event in vendors.accepted("rudderstack")] == ["Shop Closed"]


async def test_an_application_has_one_client(sdk: Client) -> None:
    app = Starlette(lifespan=lifespan(sdk, lifespan(Client())))

    with pytest.raises(ConfigurationError, match="two clients"):
        async with app.router.lifespan_context(app):
            pass

    assert sdk.health().state == "closed"


def test_the_middleware_is_added_once() -> None:
    app = Starlette(middleware=[FLAGS, Middleware(SessionMiddleware, secret_key="s"), FLAGS])

    with pytest.raises(ConfigurationError, match="add it once"):
        app.build_middleware_stack()


async def test_an_own_lifespan_can_get_the_client() -> None:
    found: list[tuple[Client, str]] = []

    @asynccontextmanager
    async def mine(app: Starlette) -> AsyncIterator[None]:
        found.append((client_of(app), client_of(app).health().state))
        yield

    made = [Client(), Client()]
    app = Starlette(lifespan=lifespan(iter(made).__next__, mine))
    await ask(app)
    await ask(app)

    assert found == [(sdk, "running") for sdk in made]


def test_an_application_without_a_client_has_none() -> None:
    with pytest.raises(ConfigurationError, match="needs lifespan=lifespan"):
        client_of(Starlette())


async def test_another_application_has_the_client_in_its_lifespan_state(sdk: Client) -> None:
    async with lifespan(sdk)(object()) as lifespan_state:
        assert sdk in (lifespan_state or {}).values()


async def test_an_own_lifespan_may_have_no_state(sdk: Client) -> None:
    @asynccontextmanager
    async def mine(app: Starlette) -> AsyncIterator[None]:
        yield

    app = Starlette(routes=[Route("/", gate)], lifespan=lifespan(sdk, mine), middleware=[FLAGS])

    assert await ask(app, "/") == [[None, False, True]]


async def test_an_application_that_is_started_twice_makes_two_clients() -> None:
    made: list[Client] = []

    def make() -> Client:
        made.append(Client())
        return made[-1]

    app = Starlette(routes=[Route("/", gate)], lifespan=lifespan(make), middleware=[FLAGS])

    assert await ask(app, "/") == await ask(app, "/") == [[None, False, True]]
    assert [sdk.health().state for sdk in made] == ["closed", "closed"]


# --- the middleware -------------------------------------------------------------------------------------------


async def test_the_signed_in_user_is_in_the_session(sdk: Client, caplog: pytest.LogCaptureFixture) -> None:
    sessions = Middleware(SessionMiddleware, secret_key="of-a-test")
    app = Starlette(
        routes=[Route("/", gate), Route("/login", login)], lifespan=lifespan(sdk), middleware=[sessions, FLAGS]
    )

    assert await ask(app, "/", "/login", "/") == [[None, False, True], "welcome", ["ada.lovelace", True, True]]
    assert "SessionMiddleware" not in caplog.text


@pytest.mark.parametrize(("settings", "lines"), [({}, 1), ({"user": None}, 0), ({"user": lambda _: "ada"}, 0)])
async def test_missing_sessions_are_logged_once(
    sdk: Client, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], lines: int
) -> None:
    middleware = [Middleware(FlagsMiddleware, **settings)]
    app = Starlette(routes=[Route("/", gate)], lifespan=lifespan(sdk), middleware=middleware)

    await ask(app, "/", "/")

    assert caplog.text.count("put SessionMiddleware before FlagsMiddleware") == lines


async def test_code_in_another_task_has_the_flags_too(sdk: Client) -> None:
    """`BaseHTTPMiddleware` runs the rest of the application in another task."""

    class Outer(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            with pytest.raises(ConfigurationError):
                current_flags()
            return await call_next(request)  # type: ignore[no-any-return] # of the framework

    class Inner(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            assert current_flags() is get_flags(request)
            return await call_next(request)  # type: ignore[no-any-return] # of the framework

    app = Starlette(
        routes=[Route("/", gate)], lifespan=lifespan(sdk), middleware=[Middleware(Outer), FLAGS, Middleware(Inner)]
    )

    assert await ask(app, "/") == [[None, False, True]]


async def test_a_mounted_application_has_the_flags_too(sdk: Client) -> None:
    inner = Starlette(routes=[Route("/page", gate)])
    app = Starlette(routes=[Mount("/sub", inner)], lifespan=lifespan(sdk), middleware=[FLAGS])

    assert await ask(app, "/sub/page") == [[None, False, True]]


async def test_nested_middleware_restores_the_outer_flags(sdk: Client) -> None:
    """A mounted application may have the middleware, too, and a server may handle several requests in one task."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert current_flags().user.user_id == "inner"

    def named(name: str, app: Any) -> FlagsMiddleware:
        return FlagsMiddleware(app, user=lambda connection: name)

    async def outer_app(scope: Any, receive: Any, send: Any) -> None:
        await named("inner", app)(scope, receive, send)
        assert current_flags().user.user_id == "outer"

    scope = {"type": "http", "headers": [], "state": state(sdk)}
    await named("outer", outer_app)(scope, None, None)  # type: ignore[arg-type] # neither is used

    with pytest.raises(ConfigurationError):
        current_flags()


async def test_the_error_names_what_is_missing(sdk: Client) -> None:
    without_lifespan, without_middleware = {"type": "http"}, {"type": "http", "state": state(sdk)}

    with pytest.raises(ConfigurationError, match=r"lifespan=lifespan\(client\)"):
        get_flags(Request(without_lifespan))
    with pytest.raises(ConfigurationError, match="FlagsMiddleware"):
        get_flags(Request(without_middleware))


async def test_without_a_lifespan_requests_pass_through() -> None:
    served: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        served.append(scope)

    for scope in ({"type": "http"}, {"type": "lifespan"}, {"type": "something.else"}):
        await FlagsMiddleware(app)(scope, None, None)  # type: ignore[arg-type] # neither is used

    assert served == [{"type": "http"}, {"type": "lifespan"}, {"type": "something.else"}]


async def test_a_server_without_addresses_is_served(sdk: Client) -> None:
    """As with uvicorn on a Unix socket."""
    addresses: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        addresses.append(get_flags(Request(scope)).user.ip)

    for address in (None, ("", 0), ("192.0.2.1", 80)):
        scope = {"type": "http", "headers": [], "client": address, "state": state(sdk)}
        await FlagsMiddleware(app)(scope, None, None)  # type: ignore[arg-type] # neither is used

    assert addresses == [None, None, "192.0.2.1"]
