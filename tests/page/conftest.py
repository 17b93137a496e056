"""One Chromium for the session, a dev server and a tab for each test.

The tests of this folder run on the session's event loop, because the browser lives there.
"""

import inspect
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from asyncsdk.dev import DevServer
from page.rules import RULES
from page.tab import Tab

CHROMIUM = next(filter(None, (os.environ.get("CHROMIUM"), *map(shutil.which, ("chromium", "chromium-browser")))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.process)
            if inspect.iscoroutinefunction(getattr(item, "obj", None)):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium, or name it in the variable CHROMIUM")
    playwright_api = pytest.importorskip("playwright.async_api", reason="needs the package playwright")
    async with playwright_api.async_playwright() as playwright:
        # The sandbox does not work as root, and everything that is opened is ours.
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path) -> AsyncIterator[DevServer]:
    file = tmp_path / "ruleset.json"
    file.write_bytes(RULES)
    async with DevServer(ruleset=file) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@pytest_asyncio.fixture(loop_scope="session")
async def open_tab(browser: Any, server: DevServer) -> AsyncIterator[Callable[..., Any]]:
    """Open an address of the server in a new tab. Errors in the page fail the test at its end."""
    contexts, errors = [], list[str]()

    async def open_tab(path: str = "/", *, width: int = 1280, theme: str = "light", at: DevServer = server) -> Tab:
        context = await browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: _is_error(message) and errors.append(message.text))
        await page.goto(at.url + path)
        return Tab(page, at, errors)

    yield open_tab
    for context in contexts:
        await context.close()
    assert not errors


def _is_error(message: Any) -> bool:
    # The browser itself reports each refused request; the page shows what the server said about it.
    return bool(message.type == "error" and "Failed to load resource" not in message.text)
