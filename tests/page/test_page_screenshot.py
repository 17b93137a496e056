"""The screenshot of README and site: a small shop, one bad minute at RudderStack.

`UPDATE_SCREENSHOTS=1 pytest -m process tests/page/test_page_screenshot.py` takes it anew.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from helpers import amplitude, quick, rudderstack

from asyncsdk import Client, Rules, Statsig, User
from asyncsdk.dev import DevServer
from page.events import to_amplitude, to_rudderstack

SCREENSHOT = Path(__file__).parents[2] / ".docs" / "pages" / "workbench" / "live.png"
MAX_BYTES = 150_000
ID = "0fd02d30-8f26-4e1d-ab52-8005dba7eb67"
NAMES = {"ada.lovelace": "NL", "grace.hopper": "US", "alan.turing": "GB", "katherine.johnson": "US"}
USERS = [User(name, country=country, email=f"{name}@example.com") for name, country in NAMES.items()]


async def run_shop(server: DevServer, http: aiohttp.ClientSession) -> None:
    """Let four visitors look around, look up gates, and buy; RudderStack fails once, and Amplitude refuses one event."""
    rules = Rules(specs_url=f"{server.url}/v2/download_config_specs")
    statsig = Statsig(
        "secret-key", rules=rules, log_event_url=f"{server.url}/v1/log_event", message_ids=True, limits=quick()
    )
    server.script("rudderstack", None, 503)
    async with Client(statsig, rudderstack(server), amplitude(server)) as client:
        for user in USERS:
            await client.page(user, "Home", {"products": 4})
            await client.check_gate(user, "new_checkout")
            await client.get_experiment(user, "button")
            await client.flush()
        for user in USERS[:3]:
            await client.track(user, "Product Viewed", {"sku": "teapot", "price": 19.95})
        await client.flush()
        for user in USERS[:2]:
            await client.track(user, "Order Completed", {"sku": "teapot", "revenue": 19.95, "currency": "EUR"})

    gift = {"userId": "ada.lovelace", "event": "Gift Wrapped", "properties": {"sku": "teapot", "paper": "blue"}}
    await to_rudderstack(http, server, {"messageId": ID, **gift})
    wrong = {
        "user_id": "ada.lovelace",
        "event_type": "Gift Wrapped",
        "price": "free",
        "event_properties": gift["properties"],
    }
    await to_amplitude(http, server, {"insert_id": ID, **wrong})


async def test_the_screenshot_of_the_readme_shows_a_story(
    server: DevServer, http: aiohttp.ClientSession, open_tab: Callable[..., Any], tmp_path: Path
) -> None:
    await run_shop(server, http)
    tab = await open_tab("/live")
    await tab.see("Gift Wrapped", ".space")
    await tab.press("f")
    await tab.see('"teapot"', "#p-body")
    await tab.page.set_viewport_size({"width": 1080, "height": 540})
    file = SCREENSHOT if os.environ.get("UPDATE_SCREENSHOTS") else tmp_path / "live.png"
    await tab.page.screenshot(path=file)
    assert file.stat().st_size < MAX_BYTES


def test_the_screenshot_in_the_documentation_is_small() -> None:
    assert SCREENSHOT.stat().st_size < MAX_BYTES
