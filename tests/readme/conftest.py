"""A dev server, set in the environment as users do; and logging as it was."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from asyncsdk.dev import DevServer


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DevServer]:
    async with DevServer() as server:
        monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
        yield server


@pytest.fixture(autouse=True)
def same_logging() -> Iterator[None]:
    """Undo what pages and frameworks configure: Litestar's root logger shows INFO, for one."""
    loggers = [logging.getLogger(name) for name in ("", "asyncsdk")]
    before = [(logger.level, logger.handlers[:], logger.propagate) for logger in loggers]
    yield
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:], logger.propagate = handlers, propagate
