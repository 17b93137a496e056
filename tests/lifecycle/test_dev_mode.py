"""Python's development mode (`python -X dev`) reports nothing."""

import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from asyncsdk.dev import DevServer
from lifecycle.accounts import assert_all_arrived
from lifecycle.servers import ROOT, SERVERS, Run

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

COMPLAINT = re.compile(r"Warning|never (?:awaited|retrieved)|was destroyed|Traceback|Exception ignored")
# asyncio reports steps from 0.1 s, which a loaded machine reaches with those that use 5 ms of its processor. Uvicorn
# imports the application in its own task.
SLOW = re.compile(r"Executing <(?!Task .* coro=<Server\.serve\(\)).*> took (?!0\.[0-4]).* seconds")


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn with uvloop", "hypercorn", "aiohttp"])
@pytest.mark.parametrize("spool", [False, True], ids=["", "spool"])
async def test_development_mode_warns_of_nothing(
    name: str, spool: bool, vendors: DevServer, run: Run, tmp_path: Path
) -> None:
    settings = {"DRAIN": "1"} | ({"SPOOL": str(tmp_path / "spool")} if spool else {})
    server = SERVERS[name]
    developing = attrs.evolve(server, command=("-X", "dev", *server.command))
    for _ in range(3):  # on a loaded machine any run may be slow; code that blocks the loop is slow in every run
        vendors.reset()
        async with run(developing, **settings) as shop:
            sold = await shop.sell_everywhere()
            shop.send_signal()
            await shop.ended()
        assert_all_arrived(vendors, sold)
        assert COMPLAINT.findall(shop.log) == [], shop.log
        if not SLOW.search(shop.log):
            return
    pytest.fail(shop.log)


def test_starting_imports_nothing() -> None:
    """An import of aiohttp would block the event loop for 0.1 s."""
    code = """if True:
        import asyncio, sys
        from asyncsdk import Amplitude, Client, RudderStack, Rules, Statsig
        nowhere = "http://127.0.0.1:9"
        rules = Rules(specs_url=nowhere + "/v2/download_config_specs")
        statsig = Statsig("secret-key", log_event_url=nowhere, rules=rules)
        client = Client(statsig, RudderStack("key", nowhere), Amplitude("key", url=nowhere), start_timeout=0.1)
        before = set(sys.modules)

        async def main():
            await client.start()
            await client.track("user-1", "a")
            await client.aclose(timeout=0)

        asyncio.run(main())
        print(sorted(set(sys.modules) - before))
    """
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"
