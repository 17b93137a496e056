"""The files of the page, and the data at its addresses."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from asyncsdk.dev import DevServer
from asyncsdk.dev.control.page import page_file


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A server of a folder with a page, beside a file that is not part of it."""
    folder = tmp_path / "page"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<p>ä</p>")
    (folder / "js" / "app.js").write_text("1")
    (folder / "notes.txt").write_text("not served")
    (tmp_path / "secret.js").write_text("secret")

    async def handle(request: web.Request) -> web.Response:
        return page_file(request, folder) or web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


@pytest.mark.parametrize("path", ["", "live", "rules", "try", "who?user=ada"])
async def test_each_view_is_the_page(http: aiohttp.ClientSession, url: str, path: str) -> None:
    async with http.get(url + path) as response:
        assert (response.status, response.content_type, await response.text()) == (200, "text/html", "<p>ä</p>")
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        tag = response.headers["ETag"]
    async with http.get(url + path, headers={"If-None-Match": tag}) as response:
        assert response.status == 304


async def test_files_of_the_folder_are_served(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(f"{url}js/app.js") as response:
        assert (response.content_type, await response.read()) == ("text/javascript", b"1")


@pytest.mark.parametrize("path", ["notes.txt", "js", "js/none.js", "..%2Fsecret.js", "js/..%2F..%2Fsecret.js"])
async def test_nothing_else_is_served(http: aiohttp.ClientSession, url: str, path: str) -> None:
    async with http.get(url + path) as response:
        assert response.status == 404
    async with http.post(f"{url}js/app.js") as response:
        assert response.status == 404


async def test_a_file_that_is_deleted_is_not_served(http: aiohttp.ClientSession, url: str, tmp_path: Path) -> None:
    async with http.get(f"{url}js/app.js") as response:
        assert response.status == 200
    (tmp_path / "page" / "js" / "app.js").unlink()
    async with http.get(f"{url}js/app.js") as response:
        assert response.status == 404


async def test_a_views_address_with_json_has_its_data(server: DevServer, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{server.url}/live.json?q=is:lost") as response:
        assert (response.status, (await response.json())["events"]) == (200, [])

    assert server.requests == []
