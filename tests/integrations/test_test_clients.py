"""Test clients that run no server, and so copy no state of the lifespan into requests, find the client as well."""

from typing import Annotated, Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from asyncsdk import Client, ConfigurationError, Flags
from asyncsdk.dev import DevServer
from asyncsdk.integrations import fastapi, starlette
from asyncsdk.stores import MemoryAssignments
from integrations.serving import client_of

HEADERS = {"X-User": "ada.lovelace"}


def make_app(sdk: Client, **settings: Any) -> FastAPI:
    app = FastAPI(lifespan=fastapi.lifespan(sdk))
    app.add_middleware(fastapi.FlagsMiddleware, user=fastapi.from_header("X-User"), **settings)

    @app.get("/")
    async def page(
        flags: Annotated[Flags, Depends(fastapi.get_flags)], client: Annotated[Client, Depends(fastapi.get_client)]
    ) -> list[Any]:
        return [flags.user.user_id, flags.check_gate("hers"), client is sdk]

    return app


async def ask(app: Any, path: str = "/") -> Any:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=HEADERS) as http:
        return (await http.get(path)).json()


async def test_httpx_under_a_lifespan_that_has_run(sdk: Client) -> None:
    app = make_app(sdk)

    async with LifespanManager(app):
        assert await ask(app) == ["ada.lovelace", True, True]


async def test_httpx_with_the_state_of_the_lifespan(sdk: Client) -> None:
    async with LifespanManager(make_app(sdk)) as manager:
        assert await ask(manager.app) == ["ada.lovelace", True, True]


async def test_httpx_without_a_lifespan_says_that_there_is_no_client(sdk: Client) -> None:
    with pytest.raises(ConfigurationError, match="the test\\) has to run that"):
        await ask(make_app(sdk))


async def test_a_mounted_application_finds_the_client_of_its_parent(sdk: Client) -> None:
    async def page(request: Request) -> Response:
        flags = starlette.get_flags(request)
        return JSONResponse([flags.check_gate("hers"), starlette.get_client(request) is sdk])

    inner = Starlette(routes=[Route("/page", page)])
    app = Starlette(routes=[Mount("/shop", inner)], lifespan=starlette.lifespan(sdk))
    app.add_middleware(starlette.FlagsMiddleware, user=starlette.from_header("X-User"))

    async with LifespanManager(app):
        assert await ask(app, "/shop/page") == [True, True]


async def test_without_the_middleware_the_client_is_in_the_application(sdk: Client) -> None:
    async def page(request: Request) -> Response:
        return JSONResponse(starlette.get_client(request) is sdk)

    app = Starlette(routes=[Route("/", page)], lifespan=starlette.lifespan(sdk))

    async with LifespanManager(app):
        assert await ask(app) is True


async def test_a_state_of_another_kind_is_no_client() -> None:
    app = Starlette(routes=[Route("/", starlette.get_client)])
    app.state.asyncsdk_client = "not a client"

    with pytest.raises(ConfigurationError, match="there is no client"):
        await ask(app)


async def test_assignments_are_loaded_for_a_client_in_the_application(vendors: DevServer) -> None:
    store = MemoryAssignments()
    sdk = client_of(vendors, assignments=store)
    app = make_app(sdk)

    async with LifespanManager(app):
        assert await ask(app) == await ask(app) == ["ada.lovelace", True, True]
        assert sdk.health().assignments is not None


def test_fastapi_s_test_client_beside_a_server_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {"feature_gates": {"hers": {"enabled": True, "defaultValue": True}}}
    with DevServer(ruleset=rules) as vendors:
        app = make_app(client_of(vendors))
        with TestClient(app, headers=HEADERS) as browser:
            assert browser.get("/").json()[:2] == ["ada.lovelace", True]
        vendors.wait_received("statsig")
