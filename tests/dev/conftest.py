"""A dev server, an HTTP client, and the vendors' npm packages."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from asyncsdk.dev import DevServer
from dev.vendor_sdks import NODE_PACKAGES


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder of the vendors' npm packages, which are installed on first use."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs node and npm")
    folder = Path(os.environ.get("ASYNCSDK_NODE_MODULES") or Path.home() / ".cache" / "asyncsdk-tests")
    if not all((folder / "node_modules" / package).is_dir() for package in NODE_PACKAGES):
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, *NODE_PACKAGES]
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
            pytest.skip("npm could not install the vendors' packages")
    return folder
