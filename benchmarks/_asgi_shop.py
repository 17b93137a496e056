"""The application of `_shop.py` in Starlette or FastAPI, under uvicorn; `_frameworks.py` runs it in a process.

python benchmarks/_asgi_shop.py "fastapi: get_flags(request)" http://127.0.0.1:9 rules.json     # prints its port
"""

import asyncio
import gc
import logging
import os
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import attrs
import orjson
import uvicorn
from _measure import EVENT, SMALL
from _shop import GATES, USER, Place, core_client, make_client
from aiohttp import web
from fastapi import Depends, FastAPI
from memory import resident
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from asyncsdk import Client, Flags, User
from asyncsdk.integrations import fastapi
from asyncsdk.integrations.starlette import FlagsMiddleware, get_flags, lifespan

Drain = Callable[[], Awaitable[object]]


@attrs.frozen
class Shop:
    """One form of the application: its handler, its lifespan, its middleware, and what delivers its events."""

    handle: Callable[..., Awaitable[Response]]
    lifespan: Any = None
    middleware: tuple[Middleware, ...] = ()
    drain: Drain = partial(asyncio.sleep, 0)


def respond(answers: list[bool]) -> Response:
    """Return the response for the values of the gates."""
    return Response(orjson.dumps({"gates": answers}), media_type="application/json")


def user_of(connection: HTTPConnection) -> User:
    """Return the user of a request."""
    return User(connection.headers["X-User"], **USER)


def only_started(client: Client) -> Any:
    """Return a lifespan that starts the client, and does nothing more."""

    @asynccontextmanager
    async def run(_: object) -> AsyncIterator[dict[str, object]]:
        async with client:
            yield {}

    return run


def none(_: Place) -> Shop:
    """Use no SDK: the floor."""

    async def handle(request: Request) -> Response:
        return respond([bool(request.headers["X-User"])] * len(GATES))

    return Shop(handle)


async def _nothing(_: HTTPConnection) -> int:
    return 1


def empty_depends(_: Place) -> Shop:
    """Use no SDK, and a dependency that does nothing: FastAPI's own cost."""

    async def handle(request: Request, _: Annotated[int, Depends(_nothing)]) -> Response:
        return respond([bool(request.headers["X-User"])] * len(GATES))

    return Shop(handle)


def awaited(place: Place) -> Shop:
    """Use asyncsdk, awaited in the handler."""
    client = make_client(place)

    async def handle(request: Request) -> Response:
        user = User(request.headers["X-User"], **USER)
        answers = [await client.check_gate(user, gate) for gate in GATES]
        await client.track(user, EVENT, dict(SMALL))
        return respond(answers)

    return Shop(handle, only_started(client), drain=partial(client.flush, 60))


def by_hand(place: Place) -> Shop:
    """Build by hand what the integration sends."""
    client = make_client(place)

    async def handle(request: Request) -> Response:
        headers = request.headers
        language = headers["Accept-Language"].partition(",")[0]
        address = request.client.host if request.client else None
        user = User(headers["X-User"], ip=address, user_agent=headers["User-Agent"], locale=language, **USER)
        return answer_with(client.bind(user))

    return Shop(handle, only_started(client), drain=partial(client.flush, 60))


def answer_with(flags: Flags) -> Response:
    """Check the gates, track the event, and respond."""
    answers = [flags.check_gate(gate) for gate in GATES]
    flags.track(EVENT, dict(SMALL))
    return respond(answers)


def integrated(place: Place) -> Shop:
    """Use the integration: `get_flags(request)`."""
    client = make_client(place)

    async def handle(request: Request) -> Response:
        return answer_with(get_flags(request))

    return Shop(handle, lifespan(client), (Middleware(FlagsMiddleware, user=user_of),), partial(client.flush, 60))


def depends(place: Place) -> Shop:
    """Use the integration: `Depends(get_flags)`."""
    client = make_client(place)

    async def handle(flags: Annotated[Flags, Depends(fastapi.get_flags)]) -> Response:
        return answer_with(flags)

    return Shop(handle, lifespan(client), (Middleware(FlagsMiddleware, user=user_of),), partial(client.flush, 60))


def core(place: Place) -> Shop:
    """Use statsig-python-core (Rust)."""
    import statsig_python_core as package  # noqa: PLC0415 -- only in the process that measures it

    client = core_client(place)
    texts = {key: str(value) for key, value in SMALL.items()}  # it takes no others

    async def handle(request: Request) -> Response:
        user = package.StatsigUser(request.headers["X-User"], **USER)
        answers = [client.check_gate(user, gate) for gate in GATES]
        client.log_event(user, EVENT, metadata=dict(texts))
        return respond(answers)

    return Shop(handle)


FORMS: Mapping[str, Callable[[Place], Shop]] = {
    "none": none,
    "awaited": awaited,
    "by hand": by_hand,
    "get_flags(request)": integrated,
    "empty Depends": empty_depends,
    "Depends(get_flags)": depends,
    "core": core,
}


def application(name: str, place: Place) -> Starlette:
    """Return the application with a form, such as `starlette: none`."""
    framework, _, form = name.partition(": ")
    shop = FORMS[form](place)

    async def usage(_: Request) -> Response:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return Response(orjson.dumps({"cpu": used.ru_utime + used.ru_stime, "resident": resident()}))

    async def drained(_: Request) -> Response:
        await shop.drain()
        return Response(b"{}")

    own = [Route("/usage", usage), Route("/drain", drained)]
    if framework == "fastapi":
        app = FastAPI(lifespan=shop.lifespan, middleware=list(shop.middleware), routes=own)
        app.get("/", response_model=None)(shop.handle)
        return app
    routes = [Route("/", shop.handle), *own]
    return Starlette(routes=routes, lifespan=shop.lifespan, middleware=list(shop.middleware))


async def serve(name: str, url: str, rules: Path) -> None:
    """Serve on a free port, print it, and run until stdin is closed."""
    app = application(name, Place(web.Application(), url, rules))
    config = uvicorn.Config(app, "127.0.0.1", 0, log_level="critical", access_log=False)
    config.timeout_keep_alive = 600  # under callgrind, five seconds are short
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    serving.cancel()
    os._exit(0)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    if "--counted" in sys.argv:  # as in `_shop.py`
        gc.disable()
    asyncio.run(serve(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
