"""A dev server, set in the environment as users do."""

from collections.abc import AsyncIterator

import pytest

from asyncsdk.dev import DevServer


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DevServer]:
    async with DevServer() as server:
        monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
        yield server
