"""The ten minutes of the page "The workbench": its app, its command, a gate flipped in the page, a rate limit, an assertion."""

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

PAGE = Path(__file__).parents[2] / ".docs" / "pages" / "workbench" / "README.md"

pytestmark = pytest.mark.timeout(120)


@pytest_asyncio.fixture(loop_scope="session")
async def app(tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    """The addresses of the dev server and of the app that it started."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "app.py").write_text(block)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [
        "-m",
        "asyncsdk",
        "dev",
        "--port",
        "0",
        "--",
        sys.executable,
        "-m",
        "uvicorn",
        "app:app",
        "--port",
        str(port),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": f"{PAGE.parents[3]}{os.pathsep}{tmp_path}"},
    )  # fmt: skip
    assert process.stderr is not None
    url = ""
    async for line in process.stderr:
        url = url or line.decode().split()[-1].rstrip("/")
        if b"Uvicorn running" in line:
            break
    draining = asyncio.create_task(process.stderr.read())
    yield SimpleNamespace(url=url, app=f"http://127.0.0.1:{port}")
    process.terminate()
    await process.wait()
    await draining


async def ask(http: aiohttp.ClientSession, app: SimpleNamespace) -> Any:
    async with http.get(f"{app.app}/checkout", headers={"X-User": "ada-lovelace"}) as response:
        return await response.json()


async def test_a_gate_is_flipped_and_a_rate_limit_survived(
    http: aiohttp.ClientSession, app: SimpleNamespace, open_tab: Callable[..., Any]
) -> None:
    assert await ask(http, app) == "old"
    tab = await open_tab("/rules", at=app)
    await tab.click("Make this gate")
    percentage = tab.page.locator("#pct-new_checkout")
    await percentage.fill("100")
    await percentage.press("Enter")
    async with asyncio.timeout(5):  # a second where nothing else runs
        while await ask(http, app) != "new":
            await asyncio.sleep(0.02)

    await tab.page.goto(app.url + "/live")
    await tab.see("Checkout Viewed", ".space")
    await tab.see("open", ".space")
    await tab.page.goto(app.url + "/faults")
    await tab.click("Rate limit")
    await tab.click("Start")
    await ask(http, app)
    lost = {"vendor": "amplitude", "name": "Checkout Viewed", "is": "lost", "within": 30}
    assert (await check(http, app, lost))[0] == 200
    assert (await check(http, app, lost | {"is": "retried", "within": 30}))[0] == 200

    wrong = {"name": "Checkout Viewed", "properties": {"new": "yes"}}
    status, answer = await check(http, app, wrong)
    assert (status, answer["misses"][0]["fields"]) == (417, [{"field": "new", "expected": "yes", "got": True}])
    await tab.page.close()


async def check(http: aiohttp.ClientSession, app: SimpleNamespace, expected: dict[str, Any]) -> tuple[int, Any]:
    async with http.post(f"{app.url}/__dev/assert", json=expected) as response:
        return response.status, await response.json()
