"""What all views share: addresses, keys, theme, the connection, the menu of the server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from asyncsdk.dev import DevServer
from page.events import to_rudderstack

Open = Callable[..., Any]
Http = aiohttp.ClientSession
VIEWS = ["live", "who", "rules", "overrides", "faults", "clients", "try"]
PAGE = Path(__file__).parents[2] / "asyncsdk" / "dev" / "page"


def test_the_page_is_smaller_than_200_kb() -> None:
    assert sum(file.stat().st_size for file in PAGE.rglob("*") if file.is_file()) < 200_000


def test_the_page_loads_nothing_from_elsewhere() -> None:
    texts = [file.read_text() for file in PAGE.rglob("*") if file.suffix in (".js", ".css", ".html")]
    found = {word for text in texts for word in text.split() if "://" in word}
    assert all("127.0.0.1" in word or "www.w3.org" in word or "https?" in word for word in found)


@pytest.mark.parametrize("view", VIEWS)
async def test_each_view_has_its_data_as_json(view: str, http: Http, server: DevServer, open_tab: Open) -> None:
    tab = await open_tab(f"/{view}")
    await tab.wait_view()
    address = await tab.page.locator("#json").get_attribute("href")
    async with http.get(server.url + address) as response:
        assert response.status == 200
        assert isinstance(await response.json(), dict)


async def test_number_keys_and_history_go_through_the_views(open_tab: Open) -> None:
    tab = await open_tab("/")
    await tab.wait_view()
    for number, view in enumerate(VIEWS, 1):
        await tab.press(str(number))
        assert tab.path == f"/{view}"
    await tab.page.go_back()
    await tab.wait("document.title.startsWith('Clients')")


async def test_keys_do_nothing_while_text_is_typed(open_tab: Open) -> None:
    tab = await open_tab("/live")
    await tab.page.get_by_label("Search events").focus()
    await tab.press("3", "p", "Escape", "Escape")
    assert tab.path.startswith("/live")
    await tab.press("Escape", "3")
    assert tab.path == "/rules"


async def test_the_list_of_keys_opens_and_closes(open_tab: Open) -> None:
    tab = await open_tab("/live")
    await tab.wait_view()
    await tab.press("?")
    await tab.see("first failure", "dialog")
    await tab.press("Escape")
    await tab.wait("!document.querySelector('dialog')")


async def test_a_chosen_theme_stays(open_tab: Open) -> None:
    tab = await open_tab("/live", theme="light")
    await tab.wait_view()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await tab.page.evaluate(ground)
    await tab.press("t", "t")
    assert await tab.page.evaluate(ground) != light
    await tab.page.reload()
    assert await tab.page.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_a_lost_connection_is_told_and_tried_again(http: Http, server: DevServer, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"event": "Before", "messageId": "1"})
    tab = await open_tab("/live")
    await tab.wait_rows("Before")
    await server.stop()
    await tab.see("No connection to", "#banner")
    assert await tab.rows() == ["Before"]
    await server.start()
    await tab.click("Try now")
    await tab.wait("document.getElementById('banner').hidden")
    await to_rudderstack(http, server, {"event": "After", "messageId": "2"})
    await tab.wait_rows("After", "Before")


async def test_a_restarted_server_is_told_and_its_events_can_be_forgotten(
    http: Http, server: DevServer, open_tab: Open
) -> None:
    await to_rudderstack(http, server, {"event": "Before", "messageId": "1"})
    tab = await open_tab("/live")
    await tab.wait_rows("Before")
    port = int(server.url.rpartition(":")[2])
    await server.stop()
    await tab.see("No connection to", "#banner")
    async with DevServer(port=port) as another:
        await tab.click("Try now")
        await tab.see("The server was restarted", "#banner")
        await to_rudderstack(http, another, {"event": "After", "messageId": "2"})
        await tab.wait_rows("After", "Before")
        await tab.click("Forget them here")
        await tab.wait_rows("After")
        await tab.page.close()


async def test_a_restarted_server_that_keeps_its_events_shows_them_again(
    http: Http, tmp_path: Path, open_tab: Open
) -> None:
    async with DevServer(keep_file=tmp_path / "kept.db") as first:
        port = int(first.url.rpartition(":")[2])
        await to_rudderstack(http, first, {"event": "Before", "messageId": "1"}, {"event": "Other", "messageId": "2"})
        tab = await open_tab("/live", at=first)
        await tab.wait_rows("Other", "Before")
    await tab.see("No connection to", "#banner")
    async with DevServer(port=port, keep_file=tmp_path / "kept.db") as another:
        await tab.click("Try now")
        await tab.wait("document.getElementById('banner').hidden")
        await tab.wait_rows("Other", "Before")
        await to_rudderstack(http, another, {"event": "After", "messageId": "3"})
        await tab.wait_rows("After", "Other", "Before")
        await (await tab.see("Before", ".space")).click()
        await tab.click("Request", "tab")
        await tab.see("does not keep this request any more")
        await tab.page.close()


async def test_the_menu_deletes_all_events(http: Http, server: DevServer, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": "1"})
    tab = await open_tab("/live")
    await tab.wait_rows("Order")
    await tab.page.locator(".server summary").click()
    await tab.see("at most", ".facts")
    await tab.click("Delete all events")
    await tab.see("Nothing has arrived yet")
    assert server.events == []


async def test_events_are_exported_as_lines_of_json(http: Http, server: DevServer, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": "1"})
    tab = await open_tab("/live")
    await tab.page.locator(".server summary").click()
    async with tab.page.expect_download() as download:
        await tab.click("Export events (NDJSON)", "link")
    path = Path(await (await download.value).path())
    assert [json.loads(line)["name"] for line in _lines(path)] == ["Order"]


async def test_copying_works_off_a_secure_origin(open_tab: Open) -> None:
    tab = await open_tab("/live")
    await tab.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    await (await tab.button("Copy")).click()
    await tab.see("Copied")


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
