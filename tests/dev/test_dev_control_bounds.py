"""The control API at its bounds: bodies that are too large, many names, long lists, streams with nothing to say."""

import asyncio
import sqlite3
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from asyncsdk.dev import DevServer
from asyncsdk.dev.control.asked import AskedNames
from asyncsdk.dev.control.calls import MAX_JSON
from dev.control import call, small_ruleset
from dev.test_dev_control_events import ORDER, messages, send


@pytest.mark.parametrize(("method", "path"), [("POST", "assert"), ("PUT", "ruleset")])
async def test_a_body_that_is_too_large_is_refused(
    server: DevServer, http: aiohttp.ClientSession, method: str, path: str
) -> None:
    body = BytesIO(b" " * (MAX_JSON + 1))
    async with http.request(method, f"{server.url}/__dev/{path}", data=body) as response:
        answer = await response.json()

    assert (response.status, answer) == (413, {"error": "the body is larger than 33,554,432 bytes"})


def test_names_beyond_the_first_thousands_are_not_counted() -> None:
    asked = AskedNames()
    for number in range(5_001):
        asked.record(f"name-{number}", "gate", 1, "shop")
    asked.record("name-0", "gate", 1, "shop")

    assert (asked.get("name-0").count, asked.get("name-5000").count) == (2, 0)


async def test_a_search_goes_through_hundreds_of_events(server: DevServer, http: aiohttp.ClientSession) -> None:
    await send(http, server, *(ORDER | {"messageId": str(n)} for n in range(450)))

    assert [row["id"] for row in (await call(server, "events?q=id:7"))["events"]] == [
        "7",
        *(str(n) for n in range(70, 80)),
    ]


async def test_what_a_user_was_shown_later_is_not_around_an_event(
    server: DevServer, http: aiohttp.ClientSession
) -> None:
    await send(http, server, ORDER)
    shown = {
        "eventName": "statsig::gate_exposure",
        "time": 1,
        "user": {"userID": "ada-1"},
        "metadata": {"gate": "sale"},
    }
    async with http.post(f"{server.url}/v1/log_event?k=client-1", json={"events": [shown]}) as response:
        assert response.status == 202

    assert [row["seq"] for row in (await call(server, "users/ada-1/around?seq=1"))["events"]] == [1]
    assert [row["seq"] for row in (await call(server, "users/ada-1/around?seq=3"))["events"]] == [1, 2]


async def test_a_name_is_also_a_parameter(server: DevServer) -> None:
    server.set_ruleset(small_ruleset())

    assert await call(server, "ruleset?name=sale&kind=gate") == await call(server, "ruleset/sale")
    await call(server, "ruleset?name=sale&kind=layer", status=404)


async def test_an_assertion_looks_into_lists(server: DevServer, http: aiohttp.ClientSession) -> None:
    products = [{"sku": "pot", "price": 3}, {"sku": "cup", "price": 4}]
    await send(http, server, ORDER | {"properties": {"products": products}})

    assert (await call(server, "assert", {"properties": {"price": 4}}))["count"] == 1
    failed = await call(server, "assert", {"is": "rejected", "properties": {"sku": "tray", "price": 4}}, status=417)
    assert failed["misses"][0]["fields"] == [
        {"field": "is", "expected": "rejected", "got": "accepted"}, {"field": "sku", "expected": "tray", "got": "pot"},
    ]  # fmt: skip


async def test_events_that_a_stream_does_not_show_send_nothing(server: DevServer, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{server.url}/__dev/events/stream?q=user:bob") as response:
        await messages(response, "summary")
        await send(http, server, ORDER)
        _, summary = await messages(response, "summary")
        await send(http, server, ORDER | {"userId": "bob", "messageId": "m-2"})
        number, _ = await messages(response, "events")

    assert (summary["total"], number) == (1, "2")


async def test_what_is_kept_is_in_the_file_while_the_server_runs(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    path = tmp_path / "events.db"
    async with DevServer(keep_file=path) as server, asyncio.timeout(20):
        await send(http, server, ORDER)
        while not _kept(path):
            await asyncio.sleep(0.02)


def _kept(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        (count,) = database.execute("SELECT count(*) FROM events").fetchone()
        return int(count)


@pytest.mark.parametrize("turns", range(6))
async def test_a_start_that_is_cancelled_leaves_nothing_behind(turns: int) -> None:
    server = DevServer()
    start = asyncio.create_task(server.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    start.cancel()
    with suppress(asyncio.CancelledError):
        await start
    await server.stop()
    async with server:
        assert (await call(server, "health"))["status"] == "ok"
