"""A dev server, and an HTTP client."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from asyncsdk.dev import DevServer


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http
