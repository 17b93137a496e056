"""A fake vendor with scripted responses, and refreshers with short intervals."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import chain
from typing import Any

import attrs
import orjson
from aiohttp import web

from asyncsdk import User
from asyncsdk._refresh import Refresher
from asyncsdk._transport import Transport
from asyncsdk.vendors._base import Limits
from asyncsdk.vendors.statsig import Rules, Statsig

ADA = User("ada")
KEY = "secret-key"
NOTHING_NEW = b'{"has_updates":false}'


def gate(name: str, *, passes: bool = True, conditions: tuple[str, ...] = ()) -> dict[str, Any]:
    rule = {
        "name": "rule",
        "id": "rule",
        "salt": "salt",
        "passPercentage": 100 if passes else 0,
        "conditions": list(conditions),
        "returnValue": True,
        "idType": "userID",
    }
    return {
        "name": name,
        "type": "feature_gate",
        "entity": "feature_gate",
        "salt": "salt",
        "enabled": True,
        "defaultValue": False,
        "idType": "userID",
        "rules": [rule],
    }


def rules(time: int = 1, *gates: dict[str, Any], **fields: Any) -> bytes:
    """Return a ruleset; by default with one gate, `gate`, that passes."""
    specs = {one["name"]: one for one in gates or (gate("gate"),)}
    body = {
        "has_updates": True,
        "time": time,
        "feature_gates": specs,
        "dynamic_configs": {},
        "layer_configs": {},
        "condition_map": {},
    }
    return orjson.dumps(body | fields)


@attrs.define
class Vendor:
    """Responds with what is scripted first, then always with `body`.

    Attributes:
        body: The ruleset.
        script: Responses to the next requests for rules: a body, or a status.
        manifest: The manifest of ID lists: a body, or a status.
        files: Files of ID lists by name: content, a status, or a whole response.
        requests: All requests received.
        bodies: The bodies of these requests.
        hold: If set, requests for rules wait for this event.
    """

    url: str = ""
    body: bytes = attrs.field(factory=rules)
    script: list[Any] = attrs.field(factory=list)
    manifest: Any = b"{}"
    files: dict[str, Any] = attrs.field(factory=dict)
    requests: list[web.Request] = attrs.field(factory=list)
    bodies: list[bytes] = attrs.field(factory=list)
    hold: asyncio.Event | None = None

    def requests_for(self, part: str) -> list[web.Request]:
        return [request for request in self.requests if part in request.path]

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(await request.read())
        if "get_id_lists" in request.path:
            return _response(self.manifest)
        if request.path.startswith("/list/"):
            return _response(self.file(request))
        if self.hold is not None:
            await self.hold.wait()
        return _response(self.script.pop(0) if self.script else self.body)

    def file(self, request: web.Request) -> Any:
        found = self.files.get(request.path.removeprefix("/list/"), 404)
        if not isinstance(found, bytes):
            return found
        start = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        return web.Response(status=206, body=found[start:])

    def list_of(self, name: str, content: bytes, generation: str = "1", created: int = 1) -> dict[str, Any]:
        self.files[name] = content
        return {
            name: {
                "name": name,
                "size": len(content),
                "url": f"{self.url}/list/{name}",
                "fileID": generation,
                "creationTime": created,
            }
        }


def _response(answer: Any) -> web.Response:
    if isinstance(answer, web.Response):
        return answer
    return web.Response(status=answer) if isinstance(answer, int) else web.Response(body=answer)


@asynccontextmanager
async def serving(vendor: Vendor) -> AsyncIterator[Vendor]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", vendor.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(vendor.url.rpartition(":")[2] or 0)).start()
    vendor.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield vendor
    finally:
        await runner.cleanup()


def statsig(vendor: Vendor | None = None, *, offline: bool = False, **settings: Any) -> Statsig:
    if vendor is not None:
        settings = {
            "specs_url": f"{vendor.url}/v2/download_config_specs",
            "id_lists_url": f"{vendor.url}/v1/get_id_lists",
        } | settings
    return Statsig(KEY, offline=offline, session_id="session-1", rules=Rules(**settings))


def make_refresher(source: Statsig, **settings: Any) -> Refresher:
    return Refresher(source, **{"poll_interval": 0.01, "watch_interval": 0.005} | settings)


@asynccontextmanager
async def running(refresher: Refresher, **limits: Any) -> AsyncIterator[Refresher]:
    """Run a refresher with a transport of its own for the duration of the block."""
    transport = Transport(Limits(**{"timeout": 2.0} | limits))
    task = asyncio.create_task(refresher.run(transport))
    try:
        yield refresher
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await transport.aclose()


async def until(state: Callable[[], object]) -> None:
    """Wait until `state()` is true; time out after 10 s."""
    async with asyncio.timeout(10):
        while not state():
            await asyncio.sleep(0)


def mutations(body: bytes, places: Iterator[int]) -> Iterator[bytes]:
    """Yield damaged copies of a body: truncated, with a byte changed, removed, or doubled."""
    for at in places:
        yield from chain(
            (body[:at],),
            (body[:at] + bytes([wrong]) + body[at + 1 :] for wrong in b'\x00"{}[],\\9\xff'),
            (body[:at] + body[at + 1 :], body[:at] + body[at : at + 1] + body[at:]),
        )
