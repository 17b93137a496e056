"""The small application in each framework, on a real server, and a dev server that its events go to."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest

from asyncsdk import Amplitude, Client, Limits, RudderStack, Rules, Statsig
from asyncsdk.dev import DevServer
from asyncsdk.integrations.aiohttp import from_header
from asyncsdk.stores import AssignmentStore
from integrations.pages import Given

FRAMEWORKS = sorted(path.stem for path in (Path(__file__).parent / "apps").glob("[!_]*.py"))


def rule(value: object, condition: str, **more: object) -> dict[str, object]:
    return {
        "id": f"r-{value}",
        "name": "r",
        "passPercentage": 100,
        "conditions": [condition],
        "returnValue": value,
    } | more


RULES = {
    "has_updates": True,
    "time": 1000,
    "condition_map": {
        "everybody": {"type": "public"},
        "ada.lovelace": {"type": "user_field", "operator": "any", "targetValue": ["ada.lovelace"], "field": "userID"},
    },
    "feature_gates": {
        "open": {"enabled": True, "defaultValue": False, "rules": [rule(True, "everybody")]},
        "half": {"enabled": True, "defaultValue": False, "rules": [rule(True, "everybody", passPercentage=50)]},
        "hers": {"enabled": True, "defaultValue": False, "rules": [rule(True, "ada.lovelace")]},
    },
    "dynamic_configs": {
        "button": {
            "entity": "experiment",
            "enabled": True,
            "isActive": True,
            "defaultValue": {},
            "rules": [rule({"color": "green"}, "everybody", groupName="Test", isExperimentGroup=True)],
        },
    },
}


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"integrations.apps.{request.param}")


@pytest.fixture
async def vendors() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=RULES, keep=100_000) as server:
        yield server


def client_of(vendors: DevServer, assignments: AssignmentStore | None = None, **options: Any) -> Client:
    """Make a client, not started: an application does that. It sends little by itself, so that closing has to."""
    limits, url = Limits(linger=60, max_queued_events=100_000), vendors.url
    rules = Rules(specs_url=f"{url}/v2/download_config_specs", assignments=assignments)
    return Client(
        RudderStack("key", url, limits=limits),
        Amplitude("key", url=f"{url}/2/httpapi", limits=limits),
        Statsig("secret-key", log_event_url=f"{url}/v1/log_event", rules=rules, limits=limits),
        **options,
    )


@pytest.fixture
def sdk(vendors: DevServer) -> Client:
    return client_of(vendors)


@pytest.fixture
def given() -> Given:
    """What pages ask for beside what the frameworks give."""
    return {"meeting": asyncio.Barrier(2), "tasks": []}


Serve = Callable[..., AbstractAsyncContextManager["Browser"]]


class Browser:
    """Asks a server for pages, as nobody in particular or as a user."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def get(self, page: str, user: str | None = None, **headers: str) -> Any:
        """Give what a page answers."""
        async with self.ask(page, user, **headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    def ask(self, page: str, user: str | None = None, **headers: str) -> Any:
        """Give the whole response, as a context."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._session.get(f"{self.url}/{page}", headers=given | ({"X-User": user} if user else {}))

    def socket(self, user: str, **options: Any) -> Any:
        """Open the websocket, as a context."""
        return self._session.ws_connect(f"{self.url}/socket", headers={"X-User": user}, **options)


@pytest.fixture
def serve(framework: ModuleType, sdk: Client, given: Given) -> Serve:
    """Serve the pages; leaving the context stops the server."""

    @asynccontextmanager
    async def serving(client: Client = sdk, **options: Any) -> AsyncIterator[Browser]:
        # All frameworks' requests have `headers`, and no more is asked of them here.
        app = framework.make_app(client, given, **{"user": from_header("X-User")} | options)
        jar = aiohttp.DummyCookieJar()
        async with framework.serving(app) as url, aiohttp.ClientSession(cookie_jar=jar) as session:
            yield Browser(url, session)

    return serving


async def ask_in_turn(url: str, page: str, users: Iterable[str]) -> list[object]:
    """Ask for a page as one user after the other, over one connection and with little effort; give the answers."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    answers: list[object] = []
    for user in users:
        writer.write(f"GET /{page} HTTP/1.1\r\nHost: localhost\r\nX-User: {user}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answers.append(orjson.loads(await reader.readexactly(length)))
    writer.close()
    await writer.wait_closed()
    return answers
