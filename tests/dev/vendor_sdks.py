"""Run the vendors' published SDKs."""

import asyncio
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from asyncsdk.dev import DevServer

NODE_PACKAGES = (
    "@amplitude/analytics-node",
    "@rudderstack/rudder-sdk-node",
    "@statsig/js-client",
    "@statsig/statsig-node-core",
    "statsig-node",
)


async def run(server: DevServer, *command: str, folder: Path | None = None) -> bytes:
    """Run a vendor's SDK in a child process that can only reach the dev server, and return its output."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=os.environ | {"HTTPS_PROXY": server.url, "NO_PROXY": "127.0.0.1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output


async def run_python(server: DevServer, module: str, program: str, *arguments: str) -> bytes:
    if find_spec(module) is None:
        pytest.skip(f"needs the package of {module}, an extra of [dev]")
    return await run(server, sys.executable, "-c", program, server.url, *arguments)
