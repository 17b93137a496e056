"""A spool and fork: a client that is built before it and started after it, as with gunicorn's `--preload`."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from asyncsdk.dev import DevServer

SCRIPT = """
import asyncio, os, sys
from asyncsdk import Client, RudderStack
from asyncsdk.dev import DevServer

client = Client(RudderStack("key", sys.argv[2]), spool=sys.argv[1])
child = os.fork()

async def work():
    async with client:
        receipt = await client.track("ada", "child" if child == 0 else "parent")
        assert (await receipt)["RudderStack"].status == "delivered"

asyncio.run(work())
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(0)
"""


@pytest.mark.process
async def test_parent_and_child_have_a_file_each(tmp_path: Path) -> None:
    async with DevServer() as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", SCRIPT, tmp_path / "spool", server.url, stderr=subprocess.PIPE
        )
        _, errors = await process.communicate()

        assert (process.returncode, errors) == (0, b"")
        assert {event.name for event in server.accepted("rudderstack")} == {"parent", "child"}
    assert list((tmp_path / "spool").iterdir()) == []
