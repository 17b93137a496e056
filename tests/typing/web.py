"""The integrations with web frameworks as their users write them: never run, only type-checked (`tests/test_typing.py`)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, assert_type

import fastapi
from aiohttp import web
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from asyncsdk import Client, Flags, User
from asyncsdk.integrations import aiohttp as on_aiohttp
from asyncsdk.integrations import current_flags
from asyncsdk.integrations import fastapi as on_fastapi
from asyncsdk.integrations import starlette as on_starlette

sdk = Client()
assert_type(current_flags(), Flags)


# --- aiohttp ----------------------------------------------------------------------------------------------------------


async def load_user(request: web.Request) -> User | None:
    return User(request.cookies.get("who"))


async def aiohttp_handler(request: web.Request) -> web.Response:
    assert_type(on_aiohttp.get_client(request), Client)
    assert_type(on_aiohttp.get_flags(request), Flags)
    assert_type(on_aiohttp.get_user(request), User)
    assert_type(request.app[on_aiohttp.CLIENT], Client)
    return web.json_response(on_aiohttp.get_flags(request).get_config("prices").get_number("lamp", 39.0))


app = web.Application()
on_aiohttp.setup(app, sdk)
on_aiohttp.setup(app, sdk, user=load_user, trusted_proxies=1, anonymous_cookie="visitor")
on_aiohttp.setup(app, sdk, user=on_aiohttp.from_header("X-User"))
on_aiohttp.setup(app, sdk, user=lambda request: request.headers.get("X-User"))
app.cleanup_ctx.append(on_aiohttp.run_client)
on_aiohttp.setup(app, sdk, event_properties=lambda request: {"path": request.path}, event_context=lambda _: None)
on_aiohttp.setup(app, sdk, user=lambda request: request.no_such_thing)  # type: ignore[attr-defined]
on_aiohttp.setup(app, sdk, user=lambda request: 1.5)  # type: ignore[arg-type,return-value]


# --- Starlette --------------------------------------------------------------------------------------------------------


def user_of(connection: HTTPConnection) -> str | None:
    return connection.headers.get("X-User")


async def starlette_endpoint(request: Request) -> Response:
    assert_type(on_starlette.get_client(request), Client)
    assert_type(on_starlette.get_flags(request), Flags)
    assert_type(on_starlette.get_user(request), User)
    return JSONResponse(on_starlette.get_flags(request).check_gate("new_checkout"))


async def starlette_socket(socket: WebSocket) -> None:
    assert_type(on_starlette.get_flags(socket), Flags)


@asynccontextmanager
async def mine(app: Starlette) -> AsyncGenerator[dict[str, int], None]:
    yield {"stock": 100}


@asynccontextmanager
async def stateless(app: Starlette) -> AsyncGenerator[None, None]:
    assert_type(on_starlette.client_of(app), Client)
    yield


Starlette(
    lifespan=on_starlette.lifespan(sdk),
    middleware=[Middleware(on_starlette.FlagsMiddleware, user=user_of, trusted_proxies=1, anonymous_cookie="visitor")],
)
Starlette(lifespan=on_starlette.lifespan(sdk, mine), middleware=[Middleware(on_starlette.FlagsMiddleware)])
Starlette(lifespan=on_starlette.lifespan(lambda: Client(start_timeout=1), stateless))
Middleware(on_starlette.FlagsMiddleware, user=on_starlette.session_user)
Middleware(on_starlette.FlagsMiddleware, user=on_starlette.from_header("X-User"))
Middleware(on_starlette.FlagsMiddleware, proxies=1)  # type: ignore[call-arg]
on_starlette.lifespan("secret-...")  # type: ignore[arg-type]


# --- FastAPI ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def of_fastapi(app: fastapi.FastAPI) -> AsyncGenerator[None, None]:
    yield


api = fastapi.FastAPI(lifespan=on_fastapi.lifespan(sdk, of_fastapi))
api.add_middleware(on_fastapi.FlagsMiddleware, user=user_of)
ItsFlags = Annotated[Flags, fastapi.Depends(on_fastapi.get_flags)]


@api.get("/a")
async def fastapi_handler(
    flags: Annotated[Flags, fastapi.Depends(on_fastapi.get_flags)],
    client: Annotated[Client, fastapi.Depends(on_fastapi.get_client)],
    user: Annotated[User, fastapi.Depends(on_fastapi.get_user)],
) -> bool:
    assert_type(flags, Flags)
    assert_type(client, Client)
    assert_type(user, User)
    return await client.check_gate(user, "new_checkout")


@api.get("/b")
def plain_handler(flags: ItsFlags) -> float:
    return assert_type(flags.get_config("prices").get_number("lamp", 39.0), float)
