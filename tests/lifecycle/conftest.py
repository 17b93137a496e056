"""A dev server in this process, and real servers as child processes."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path

import pytest

from asyncsdk.dev import DevServer
from lifecycle.rulesets import rules
from lifecycle.servers import Run, Running, Server, running


@pytest.fixture
async def vendors() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=rules(is_open=True), keep=100_000) as server:
        yield server


@pytest.fixture
def run(vendors: DevServer, tmp_path: Path) -> Run:
    """Start a server whose shop sends its events to the dev server."""
    numbers = count(1)

    def start(server: Server, **environ: str) -> AbstractAsyncContextManager[Running]:
        return running(server, tmp_path / f"{next(numbers)}.log", VENDORS=vendors.url, **environ)

    return start
