"""Fixtures that every test may use."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from asyncsdk.dev import DevServer

# CI looks at the same examples each time: a new one is found by hand, and then kept as a test.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
# A shell starts what runs in its background deaf to Ctrl-C, and the programs that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of recorded vendor behaviour, when this machine has it."""
    folder = os.environ.get("ASYNCSDK_VECTORS")
    if not folder:
        pytest.skip("ASYNCSDK_VECTORS names no folder of recorded vectors")
    return Path(folder)


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    """A dev server that answers as the vendors do."""
    async with DevServer(keep=100_000) as server:
        yield server
