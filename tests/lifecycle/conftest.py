"""A dev server in this process, and real servers in processes of their own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path

import pytest

from asyncsdk.dev import DevServer
from lifecycle.servers import Running, Server, running

Run = Callable[..., AbstractAsyncContextManager[Running]]


def rules(*, is_open: bool) -> dict[str, object]:
    """Make rules with one gate."""
    return {"has_updates": True, "feature_gates": {"open": {"enabled": True, "defaultValue": is_open, "rules": []}}}


@pytest.fixture
async def vendors() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=rules(is_open=True), keep=100_000) as server:
        yield server


@pytest.fixture
def run(vendors: DevServer, tmp_path: Path) -> Run:
    """Run a server, whose shop's events go to the dev server."""
    numbers = count(1)

    def start(server: Server, **environ: str) -> AbstractAsyncContextManager[Running]:
        return running(server, tmp_path / f"{next(numbers)}.log", VENDORS=vendors.url, **environ)

    return start
