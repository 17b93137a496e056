"""Behaviour that only the integration of aiohttp.web has."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from asyncsdk import Client, ConfigurationError, Track
from asyncsdk.dev import DevServer
from asyncsdk.integrations.aiohttp import CLIENT, get_client, get_flags, run_client, setup


async def test_without_setup_the_error_names_it() -> None:
    async def page(request: web.Request) -> web.Response:
        with pytest.raises(ConfigurationError, match=r"setup\(app, client\)"):
            get_flags(request)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", page)
    async with TestClient(TestServer(app)) as http:
        assert (await http.get("/")).status == 200


def test_an_application_is_set_up_once(sdk: Client) -> None:
    app = web.Application()
    setup(app, sdk)

    with pytest.raises(ConfigurationError, match="call setup once"):
        setup(app, Client())

    assert app[CLIENT] is sdk


async def test_a_sub_application_has_the_client_and_the_flags_too(sdk: Client) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.json_response([get_client(request) is sdk, get_flags(request).check_gate("open")])

    app, sub = web.Application(), web.Application()
    setup(app, sdk)
    sub.router.add_get("/page", page)
    app.add_subapp("/sub/", sub)
    async with TestClient(TestServer(app)) as http:
        assert await (await http.get("/sub/page")).json() == [True, True]


async def test_events_of_the_applications_own_cleanup_are_delivered(sdk: Client, vendors: DevServer) -> None:
    async def stock(app: web.Application) -> AsyncIterator[None]:
        yield
        app[CLIENT].put_nowait(Track("ada.lovelace", "Shop Closed"))

    app = web.Application()
    setup(app, sdk)
    app.cleanup_ctx.append(stock)
    async with TestClient(TestServer(app)):
        pass

    assert [event.name for event in vendors.accepted("rudderstack")] == ["Shop Closed"]


async def test_the_client_may_be_run_alone(sdk: Client) -> None:
    app = web.Application()
    app[CLIENT] = sdk
    app.cleanup_ctx.append(run_client)

    async with TestClient(TestServer(app)):
        assert sdk.health().state == "running"
    assert sdk.health().state == "closed"


async def test_an_error_page_sets_the_cookie_too(sdk: Client) -> None:
    async def page(request: web.Request) -> web.Response:
        get_flags(request)
        raise web.HTTPNotFound

    app = web.Application()
    setup(app, sdk, anonymous_cookie="visitor")
    app.router.add_get("/", page)
    async with TestClient(TestServer(app)) as http:
        response = await http.get("/")

    assert (response.status, "visitor" in response.cookies) == (404, True)
