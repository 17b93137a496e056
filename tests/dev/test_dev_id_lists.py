"""ID lists: the manifest, and the parts of files that are sent."""

import aiohttp
import orjson
import pytest

from asyncsdk.dev import DevServer, Fault
from asyncsdk.dev.id_lists import ServedIdList, entry, serve

TEXT = b"+AAAAAAAA\n+BBBBBBBB\n"


def test_a_list_holds_units_hashed() -> None:
    assert entry("regular_user_id") == "7/rrkvF6"


def test_a_list_grows_by_lines() -> None:
    found = ServedIdList("regulars", 1).with_lines(["ada", "bob"], []).with_lines(["cyd"], ["ada"])

    marks = [line[:1] for line in found.text.decode().splitlines()]
    assert marks == ["+", "+", "+", "-"]
    assert found.entries == {entry("bob"), entry("cyd")}


@pytest.mark.parametrize(
    ("wanted", "status", "part", "content_range"),
    [
        ("", 200, TEXT, None),
        ("bytes=0-", 206, TEXT, "bytes 0-19/20"),
        ("bytes=10-", 206, TEXT[10:], "bytes 10-19/20"),
        ("10-", 206, TEXT[10:], "bytes 10-19/20"),
        ("bytes=2-4", 206, TEXT[2:5], "bytes 2-4/20"),
        ("bytes=-3", 206, TEXT[-3:], "bytes 17-19/20"),
        ("bytes=-99", 206, TEXT, "bytes 0-19/20"),
        ("bytes=15-99", 206, TEXT[15:], "bytes 15-19/20"),
        ("bytes=20-", 416, b"", "bytes */20"),
        ("bytes=5-2", 416, b"", "bytes */20"),
        ("bytes=-0", 416, b"", "bytes */20"),
        ("bytes=-", 200, TEXT, None),
        ("bytes=0-1,5-6", 200, TEXT, None),
        ("lines=3-", 200, TEXT, None),
        ("bytes=" + "9" * 5000 + "-", 200, TEXT, None),
    ],
)
def test_the_requested_part_is_sent(wanted: str, status: int, part: bytes, content_range: str | None) -> None:
    reply = serve(TEXT, wanted)

    assert (reply.status, reply.body) == (status, part)
    assert reply.headers.get("Content-Range") == content_range


def test_an_empty_file_is_sent_whole() -> None:
    assert serve(b"", "bytes=0-").status == 200


async def listed(http: aiohttp.ClientSession, server: DevServer) -> dict[str, dict[str, object]]:
    async with http.post(f"{server.url}/v1/get_id_lists/secret-1.json") as response:
        return orjson.loads(await response.read())


async def download(http: aiohttp.ClientSession, url: object, start: int) -> tuple[int, bytes]:
    async with http.get(str(url), headers={"Range": f"bytes={start}-"}) as response:
        return response.status, await response.read()


async def test_appended_lines_can_be_requested_alone(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.set_id_list("früh dran", ["ada"])
    first = (await listed(http, server))["früh dran"]
    server.append_id_list("früh dran", ["bob"])
    second = (await listed(http, server))["früh dran"]

    assert (first["size"], second["size"]) == (10, 20)
    assert {key: first[key] for key in ("fileID", "creationTime", "url")} == {
        key: second[key] for key in ("fileID", "creationTime", "url")
    }
    assert await download(http, second["url"], 10) == (206, f"+{entry('bob')}\n".encode())
    assert await download(http, second["url"], 20) == (416, b"")
    async with http.get(f"{second['url']}?range=10-") as response:
        assert await response.read() == f"+{entry('bob')}\n".encode()


async def test_a_replaced_list_is_another_file(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.set_id_list("regulars", ["ada", "bob"])
    first = (await listed(http, server))["regulars"]
    server.set_id_list("regulars", ["bob"])
    second = (await listed(http, server))["regulars"]

    assert first["fileID"] != second["fileID"]
    assert int(str(first["creationTime"])) < int(str(second["creationTime"]))
    assert (await download(http, first["url"], 0))[0] == 404
    assert await download(http, second["url"], 0) == (206, f"+{entry('bob')}\n".encode())


async def test_a_list_can_be_withdrawn(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.set_id_list("regulars", ["ada"])
    server.set_id_list("regulars", None)
    server.set_id_list("strangers", None)

    assert await listed(http, server) == {}
    with pytest.raises(KeyError):
        server.append_id_list("regulars", ["ada"])


async def test_faults_can_be_for_one_file_only(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.set_id_list("regulars", ["ada"])
    page = Fault(200, body="<html>", when=lambda request: "id_list_file" in request.path)
    server.fault("statsig-rules", page)

    found = (await listed(http, server))["regulars"]

    assert await download(http, found["url"], 0) == (200, b"<html>")
