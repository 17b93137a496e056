"""The page of codegen: its commands and its service run as printed."""

import asyncio
import json
import re
import shlex
import sys
from pathlib import Path

import aiohttp
import pytest
from cli.codegen.projects import PLAN

from asyncsdk.cli import main
from asyncsdk.dev import DevServer
from asyncsdk.examples.__main__ import serving
from readme.pages import CODEGEN, Names, blocks, run

ITEM = {"name": "Teapot", "price": 15.95}
RULES = {
    "feature_gates": {"new_checkout": {"enabled": True, "defaultValue": True}},
    "dynamic_configs": {"prices": {"enabled": True, "defaultValue": ITEM}},
}
COMMANDS = re.findall(r"^    asyncsdk (codegen .+?)(?:  +#.*)?$", CODEGEN.read_text(), re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: DevServer) -> Path:
    """A folder with rules and a plan, which is also those of the server."""
    server.set_ruleset(RULES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "app_flags", raising=False)
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    return tmp_path


async def test_its_commands_run_one_after_the_other(project: Path, server: DevServer) -> None:
    commands = [command.replace("http://127.0.0.1:4010", server.url) for command in COMMANDS]

    codes = [await asyncio.to_thread(main, shlex.split(command)) for command in commands]

    assert codes == [0] * 5


async def test_its_service_serves(project: Path, server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    main(["codegen", "rules.json", "--plan", "plan.json", "-o", "app_flags.py"])
    names: Names = {}
    await run(blocks(CODEGEN)[0], names)
    user = {"X-User": "ada-lovelace"}

    async with (
        serving(names["app"], 0) as url,
        aiohttp.ClientSession(url, headers=user) as browser,
        browser.get("/price") as answer,
    ):
        price = await answer.json()

    monkeypatch.delitem(sys.modules, "app_flags", raising=False)
    assert price == ITEM["price"]
    assert "Order Completed" in [event.name for event in server.accepted("statsig")]
