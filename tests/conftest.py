"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of recorded vendor behaviour, when this machine has it."""
    folder = os.environ.get("ASYNCSDK_VECTORS")
    if not folder:
        pytest.skip("ASYNCSDK_VECTORS names no folder of recorded vectors")
    return Path(folder)
