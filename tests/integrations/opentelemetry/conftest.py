"""Telemetry that is kept in memory, and a dev server without rules."""

from collections.abc import AsyncIterator, Iterator

import pytest

from asyncsdk.dev import DevServer
from integrations.opentelemetry.telemetry import Telemetry


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    telemetry.close()


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(keep=100_000) as server:
        yield server
