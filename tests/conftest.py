"""Fixtures that every test may use."""

import fcntl
import gc
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dev.vendor_sdks import NODE_PACKAGES
from hypothesis import HealthCheck, settings

from asyncsdk.dev import DevServer

# An example has no deadline of its own, and the first ones no second for all, which a busy machine would miss: the
# test's timeout bounds all of them.
PATIENT: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("here", **PATIENT)
# CI looks at the same examples each time, so fewer do: a new one is found by hand, and then kept as a test.
settings.register_profile("ci", derandomize=True, max_examples=50, **PATIENT)
settings.load_profile("ci" if os.environ.get("CI") else "here")
# A shell starts what runs in its background deaf to Ctrl-C, and the programs that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(120))  # a hundred examples, under coverage on a busy machine


def pytest_collection_finish() -> None:
    # What was collected stays: without this, each full collection of garbage looks at millions of objects.
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder of the vendors' npm packages, which are installed on first use."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs node and npm")
    folder = Path(os.environ.get("ASYNCSDK_NODE_MODULES") or Path.home() / ".cache" / "asyncsdk-tests")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of pytest-xdist ask at the same time
        if not all((folder / "node_modules" / package).is_dir() for package in NODE_PACKAGES):
            install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder]
            if subprocess.run([*install, *NODE_PACKAGES], check=False, stdout=subprocess.DEVNULL).returncode:
                pytest.skip("npm could not install the vendors' packages")
    return folder
