"""A client in dev mode reports itself to the dev server: receipts, health, names; and it follows edits at once."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from helpers import amplitude, rudderstack, statsig

from asyncsdk import Amplitude, Client, RudderStack, Rules, Statsig, Track, map_events, redact
from asyncsdk.dev import DevServer
from dev.control import call, small_ruleset


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=small_ruleset()) as server:
        monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
        monkeypatch.setenv("ASYNCSDK_DEV_NAME", "shop")
        monkeypatch.setenv("ASYNCSDK_DEV_RUN", "run-1")
        yield server


def all_vendors() -> Client:
    return Client(Statsig("secret-k", rules=Rules()), RudderStack("w", "https://x.test"), Amplitude("a"))


async def until(server: DevServer, path: str, is_there: Any) -> Any:
    async with asyncio.timeout(20), aiohttp.ClientSession(server.url) as http:
        while True:
            async with http.get(f"/__dev/{path}") as response:
                if is_there(found := await response.json()):
                    return found
            await asyncio.sleep(0.02)


async def test_one_row_holds_all_vendors_and_the_receipt(server: DevServer) -> None:
    async with all_vendors() as client:
        receipt = await client.track("ada-1", "Order", {"sku": "pot"})
        await receipt

    found = await call(server, f"events/{receipt.event_id}")

    assert {row["vendor"] for row in found["events"]} == {"statsig", "rudderstack", "amplitude"}
    assert {(row["type"], row["client"], row["run"]) for row in found["events"]} == {("track", "shop", "run-1")}
    story = found["story"]
    assert (story["verb"], story["user"], story["explain"]) == ("track", "ada-1", receipt.explain())
    assert {name: one["status"] for name, one in story["vendors"].items()} == {
        "Statsig": "delivered", "RudderStack": "delivered", "Amplitude": "delivered",
    }  # fmt: skip


async def test_paths_of_changes_are_reported_but_no_value_from_before(server: DevServer) -> None:
    async with all_vendors().add_middleware(redact("email", "sku")) as client:
        receipt = await client.track("ada-1", "Order", {"sku": "secret-pot", "email": "ada@example.com"})

    story = (await call(server, f"events/{receipt.event_id}"))["story"]

    assert story["changed"] == ["properties['sku']", "properties['email']"]
    assert "secret-pot" not in str(story)
    assert "ada@example.com" not in str(await call(server, "snapshot"))


async def test_an_event_that_middleware_drops_reports_no_user(server: DevServer) -> None:
    async with all_vendors().add_middleware(map_events(lambda event: None)) as client:
        receipt = await client.track("ada@example.com", "Order")

    story = (await call(server, f"events/{receipt.event_id}"))["story"]

    assert story["user"] == ""
    assert {one["status"] for one in story["vendors"].values()} == {"dropped"}


async def test_an_event_refused_by_the_client_is_seen(server: DevServer) -> None:
    async with Client(Amplitude("a")) as client:
        await client.track("bob", "Order")

    (row,) = (await call(server, "events?q=is:rejected"))["events"]
    assert (row["vendor"], row["user"], row["name"], row["local"]) == ("amplitude", "bob", "Order", True)


async def test_events_of_put_nowait_and_async_middleware_have_receipts(server: DevServer) -> None:
    async def slow(payload: Any, next_: Any) -> Any:
        await asyncio.sleep(0)
        return await next_(payload)

    async with all_vendors() as client:
        first = client.put_nowait(Track("ada-1", "One"))
        second = await client.add_middleware(slow).track("ada-1", "Two")

    for receipt in (first, second):
        assert (await call(server, f"events/{receipt.event_id}"))["story"]["verb"] == "track"


async def test_health_and_names_are_reported(server: DevServer) -> None:
    async with all_vendors() as client:
        for _ in range(3):
            await client.check_gate("ada", "sale")
        await client.get_layer("ada", "page")
        await client.check_gate("ada", "dark_mode")
        found = await until(server, "names", lambda found: found["unknown"])
        clients = (await call(server, "clients"))["clients"]

    assert [(one["name"], one["count"], one["by"]) for one in found["unknown"]] == [("dark_mode", 1, "shop")]
    counts = {one["name"]: one["count"] for one in found["names"]}
    assert (counts["sale"], counts["page"], counts["prices"]) == (3, 1, 0)
    assert (clients[0]["name"], clients[0]["run"], clients[0]["health"]["state"]) == ("shop", "run-1", "running")
    assert set(clients[0]["health"]["destinations"]) == {"Statsig", "RudderStack", "Amplitude"}


async def test_a_running_app_follows_an_edit_within_a_second(server: DevServer) -> None:
    async with all_vendors() as client:
        await call(server, "ruleset/sale", {"percentage": {"value": 100}}, method="PATCH")
        async with asyncio.timeout(1):
            while not await client.check_gate("ada", "sale"):
                await asyncio.sleep(0.01)


async def test_a_server_that_is_gone_does_not_matter(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    async with all_vendors() as client:
        await server.stop()
        receipt = await client.track("ada-1", "Order")
        await asyncio.sleep(0.4)
        await server.start()
        await receipt
        await until(server, "clients", lambda found: found["clients"])

    assert (await call(server, f"events/{receipt.event_id}"))["story"]["verb"] == "track"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_text_that_has_no_utf8_is_reported_too(server: DevServer) -> None:
    async with all_vendors() as client:
        receipt = await client.track("ada\ud800-1", "Order")
        await client.check_gate("ada", "dark\ud800")

    assert (await call(server, f"events/{receipt.event_id}"))["story"]["user"] == "ada\ufffd-1"
    assert [one["name"] for one in (await call(server, "names"))["unknown"]] == ["dark\ufffd"]


async def test_what_waits_for_a_server_is_bounded(server: DevServer) -> None:
    async with all_vendors().add_middleware(map_events(lambda event: None)) as client:
        await server.stop()
        receipts = [client.put_nowait(Track("ada-1", "Order")) for _ in range(2_001)]
        for number in range(1_001):
            await client.check_gate("ada", f"gate-{number}")
        await asyncio.sleep(0.3)
        await server.start()
        await until(server, f"events/{receipts[-1].event_id}", lambda found: "story" in found)
        names = {one["name"] for one in (await call(server, "names"))["unknown"]}

    assert ("gate-999" in names, "gate-1000" in names) == (True, False)
    await call(server, f"events/{receipts[0].event_id}", status=404)
    assert (await call(server, f"events/{receipts[1].event_id}"))["story"]


async def test_without_a_dev_server_nothing_is_observed(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASYNCSDK_DEV_SERVER")
    async with Client(rudderstack(server), amplitude(server), statsig(server)) as client:
        assert "prepare" not in vars(client._admission)
        await client.track("ada-1", "Order")

    assert (await call(server, "clients"))["clients"] == []
    assert not [event for event in server.events if event.vendor == "statsig" and event.id]
