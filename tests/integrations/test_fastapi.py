"""Behaviour that only the integration of FastAPI has."""

import threading
from typing import Annotated, Any

import aiohttp
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI

from asyncsdk import Client, Flags, Track, User
from asyncsdk.dev import DevServer
from asyncsdk.integrations import current_flags
from asyncsdk.integrations.fastapi import FlagsMiddleware, from_header, get_client, get_flags, get_user, lifespan
from integrations.asgi import serving


@pytest.fixture
def app(sdk: Client) -> FastAPI:
    app = FastAPI(lifespan=lifespan(sdk))
    app.add_middleware(FlagsMiddleware, user=from_header("X-User"))
    return app


async def ask(app: FastAPI, path: str = "/") -> Any:
    async with serving(app) as url, aiohttp.ClientSession() as session:
        return await (await session.get(url + path, headers={"X-User": "ada.lovelace"})).json()


async def test_a_handler_gets_its_dependencies(app: FastAPI, sdk: Client) -> None:
    @app.get("/")
    async def page(
        client: Annotated[Client, Depends(get_client)],
        flags: Annotated[Flags, Depends(get_flags)],
        user: Annotated[User, Depends(get_user)],
    ) -> list[Any]:
        return [client is sdk, flags.check_gate("hers"), user.user_id]

    assert await ask(app) == [True, True, "ada.lovelace"]


async def test_a_plain_function_gets_its_dependencies_in_a_thread(app: FastAPI, vendors: DevServer) -> None:
    @app.get("/")
    def page(flags: Annotated[Flags, Depends(get_flags)], client: Annotated[Client, Depends(get_client)]) -> list[Any]:
        assert threading.current_thread() is not threading.main_thread()
        is_hers = flags.check_gate("hers")
        flags.track("Seen")
        client.put_nowait(Track("ada.lovelace", "Bought"))
        return [is_hers, current_flags() is flags]

    assert await ask(app) == [True, True]
    events = {event.name: event.body["properties"] for event in vendors.accepted("rudderstack")}
    assert events == {name: {"feature_flags": {"hers": True}} for name in ("Seen", "Bought")}
    assert [e.name for e in vendors.accepted("statsig") if e.kind == "gate_exposure"] == ["hers"]


async def test_a_background_task_belongs_to_its_request(app: FastAPI, vendors: DevServer) -> None:
    @app.get("/")
    async def page(flags: Annotated[Flags, Depends(get_flags)], tasks: BackgroundTasks) -> bool:
        tasks.add_task(lambda: current_flags().track("Later"))
        return flags.check_gate("hers")

    assert await ask(app) is True
    [event] = vendors.accepted("rudderstack")
    assert (event.user, event.body["properties"]) == ("ada.lovelace", {"feature_flags": {"hers": True}})


async def test_dependencies_may_be_overridden(app: FastAPI) -> None:
    @app.get("/")
    async def page(flags: Annotated[Flags, Depends(get_flags)]) -> bool:
        return flags.check_gate("anything")

    app.dependency_overrides[get_flags] = lambda: Client().override_gate("anything", True).bind("any-user")

    assert await ask(app) is True


async def test_the_openapi_schema_does_not_contain_them(app: FastAPI) -> None:
    @app.get("/")
    async def page(flags: Annotated[Flags, Depends(get_flags)], user: Annotated[User, Depends(get_user)]) -> bool:
        return flags.check_gate("hers")

    assert "parameters" not in (await ask(app, "/openapi.json"))["paths"]["/"]["get"]
