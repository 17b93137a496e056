"""The pages in each framework on a real server, and a dev server that receives their events."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from asyncsdk import Client
from asyncsdk.dev import DevServer
from asyncsdk.integrations.aiohttp import from_header
from integrations.pages import Given
from integrations.serving import FRAMEWORKS, RULES, Browser, Serve, client_of


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"integrations.apps.{request.param}")


@pytest.fixture
async def vendors() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=RULES, keep=100_000) as server:
        yield server


@pytest.fixture
def sdk(vendors: DevServer) -> Client:
    return client_of(vendors)


@pytest.fixture
def given() -> Given:
    """Arguments of pages that do not come from the framework."""
    return {"meeting": asyncio.Barrier(2), "tasks": []}


@pytest.fixture
def serve(framework: ModuleType, sdk: Client, given: Given) -> Serve:
    """Serve the pages; leaving the context stops the server."""

    @asynccontextmanager
    async def serving(client: Client = sdk, **options: Any) -> AsyncIterator[Browser]:
        # aiohttp's `from_header` serves all frameworks here: it reads only `request.headers`.
        app = framework.make_app(client, given, **{"user": from_header("X-User")} | options)
        jar = aiohttp.DummyCookieJar()
        async with framework.serving(app) as url, aiohttp.ClientSession(cookie_jar=jar) as session:
            yield Browser(url, session)

    return serving
