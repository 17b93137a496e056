"""Fixtures that every test may use."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

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
