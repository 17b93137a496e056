"""A tab of the browser at the dev server's page, and what its tests do with it."""

import asyncio
from typing import Any

from asyncsdk.dev import DevServer


class Tab:
    """One tab."""

    def __init__(self, page: Any, server: DevServer, errors: list[str]) -> None:
        self.page = page
        self.server = server
        self.errors = errors

    async def see(self, text: str, inside: str = "body") -> Any:
        """Wait until a visible element contains a text, and return the innermost one."""
        found = self.page.locator(inside).get_by_text(text).locator("visible=true").first
        await found.wait_for()
        return found

    async def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name).locator("visible=true").first

    async def click(self, name: str, role: str = "button") -> None:
        await self.page.get_by_role(role, name=name).locator("visible=true").first.click()

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.page.keyboard.press(key)

    async def rows(self) -> list[str]:
        """Names of the rows in Live that are drawn, from the top."""
        return await self.page.evaluate(
            """() => [...document.querySelectorAll('.space .r')].filter((r) => !r.hidden)
                .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map((r) => r.querySelector('.nm').textContent)"""
        )

    async def wait(self, condition: str, within: float = 10) -> None:
        """Wait until a JavaScript expression is true. (The page's policy forbids Playwright's own way.)"""
        async with asyncio.timeout(within):
            while not await self.page.evaluate(condition):
                await asyncio.sleep(0.03)

    async def wait_view(self) -> None:
        """Wait until a view is drawn."""
        await self.wait("!!document.querySelector('main h1') && document.getElementById('banner').hidden")

    async def wait_rows(self, *names: str, within: float = 10) -> None:
        """Wait until the drawn rows have these names."""
        rows: list[str] = []
        try:
            async with asyncio.timeout(within):
                while (rows := await self.rows()) != list(names):
                    await asyncio.sleep(0.03)
        except TimeoutError:
            msg = f"the rows are {rows}, not {list(names)}"
            raise AssertionError(msg) from None

    @property
    def path(self) -> str:
        return str(self.page.url).removeprefix(self.server.url)

    async def is_sideways(self) -> bool:
        """Return whether the document is wider than the window."""
        return bool(await self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))
