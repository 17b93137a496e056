"""The Model Context Protocol of the dev server, with the official client library and by hand."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from asyncsdk.dev import DevServer
from dev.control import call, small_ruleset

EVENT = {"user_id": "ada-1", "event_type": "Order", "insert_id": "m1", "event_properties": {"sku": "A"}}


@pytest.fixture
async def shop() -> AsyncIterator[DevServer]:
    """A server with rules and an event of Amplitude."""
    async with DevServer(ruleset=small_ruleset()) as server, aiohttp.ClientSession() as http:
        body = {"api_key": "key-of-amplitude", "events": [EVENT]}
        async with http.post(f"{server.url}/2/httpapi", json=body) as response:
            assert response.status == 200
        yield server


async def rpc(server: DevServer, method: str, /, **parameters: Any) -> Any:
    answer = await call(server, "mcp", {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
    return answer.get("result") or answer.get("error")


async def tool(server: DevServer, name: str, /, **arguments: Any) -> Any:
    result = await rpc(server, "tools/call", name=name, arguments=arguments)
    return {**result["structuredContent"], "failed": result["isError"]}


# --- the official client --------------------------------------------------------------------------------------


async def test_the_official_client_lists_and_calls_the_tools(shop: DevServer) -> None:
    mcp = pytest.importorskip("mcp", reason="the official package of the protocol")

    async with mcp.Client(f"{shop.url}/__dev/mcp") as client:
        listed = [one.name for one in (await client.list_tools()).tools]
        found = await client.call_tool("search_events", {"query": "vendor:amplitude"})
        missed = await client.call_tool("assert", {"name": "Order", "properties": {"sku": "B"}})

    assert listed == ["search_events", "get_event", "list_gates", "explain", "override", "assert", "docs"]
    assert [one["name"] for one in found.structured_content["events"]] == ["Order"]
    assert missed.is_error
    assert missed.structured_content["misses"][0]["fields"] == [{"field": "sku", "expected": "B", "got": "A"}]


# --- the tools ------------------------------------------------------------------------------------------------


async def test_an_event_has_its_payload_and_its_receipt(shop: DevServer) -> None:
    found = await tool(shop, "get_event", id="m1")

    assert (found["events"][0]["verdict"], found["events"][0]["body"]["event_properties"]) == ("accepted", {"sku": "A"})
    assert found["receipt"] is None


@pytest.mark.parametrize("event_id", ["m2", "", "stream", "summary", "a/b"])
async def test_an_event_that_is_not_there_is_a_failed_call(shop: DevServer, event_id: str) -> None:
    assert await tool(shop, "get_event", id=event_id) == {
        "error": "there is no such event; it may be forgotten",
        "failed": True,
    }


async def test_gates_are_listed_by_kind(shop: DevServer) -> None:
    every = await tool(shop, "list_gates")
    gates = await tool(shop, "list_gates", kind="experiment")

    assert [one["name"] for one in gates["names"]] == ["button"]
    assert {one["kind"] for one in every["names"]} >= {"gate", "experiment", "config", "layer"}


async def test_a_decision_is_explained_before_and_after_an_override(shop: DevServer) -> None:
    before = await tool(shop, "explain", name="sale", user={"user_id": "u1", "country": "NL"})
    await tool(shop, "override", name="sale", value=False)
    during = await tool(shop, "explain", name="sale", user={"user_id": "u1", "country": "NL"})
    await tool(shop, "override", name="sale")
    after = await tool(shop, "explain", name="sale", user={"user_id": "u1", "country": "NL"})

    assert [one["value"] for one in (before, during, after)] == [True, False, True]
    assert before["tree"][0]["steps"][0]["text"] == 'country "NL" any ["NL"]'


async def test_an_override_of_one_user_is_removed_alone(shop: DevServer) -> None:
    await tool(shop, "override", name="sale", value=True, user="u1")
    await tool(shop, "override", name="sale", value=True, user="u2")

    assert (await tool(shop, "override", name="sale", user="u1"))["removed"] == 1


async def test_an_assertion_that_holds_returns_the_events(shop: DevServer) -> None:
    found = await tool(shop, "assert", query="user:ada-1", name="Order", count=1)

    assert (found["count"], found["failed"]) == (1, False)


async def test_docs_has_the_search_language(shop: DevServer) -> None:
    assert "vendor" in (await tool(shop, "docs"))["search_keys"]


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("explain", {"name": "sale"}, "explain needs 'user'"),
        ("docs", {"x": 1}, "docs has no 'x'; it has no arguments"),
        ("search_events", {"limit": "many"}, "limit has to be of type integer"),
        ("search_events", {"limit": True}, "limit has to be of type integer"),
        ("override", {"name": "sale", "value": 3}, "sale is a gate: its value is true or false"),
    ],
)
async def test_a_mistake_in_the_arguments_is_a_failed_call(
    shop: DevServer, name: str, arguments: dict[str, Any], problem: str
) -> None:
    assert await tool(shop, name, **arguments) == {"error": problem, "failed": True}


# --- the protocol ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "answered"), [("2025-03-26", "2025-03-26"), ("1999-01-01", "2025-11-25")])
async def test_initialize_agrees_on_a_version(shop: DevServer, asked: str, answered: str) -> None:
    result = await rpc(shop, "initialize", protocolVersion=asked, capabilities={}, clientInfo={"name": "x"})

    assert (result["protocolVersion"], result["serverInfo"]["name"]) == (answered, "asyncsdk-dev")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"3", -32600),
        (b'{"id": 1}', -32600),
        (b'{"id": 1, "method": "resources/list"}', -32601),
        (b'{"id": 1, "method": "tools/call", "params": {"name": "rm"}}', -32602),
        (b'{"id": 1, "method": "tools/call", "params": {"name": "docs", "arguments": [1]}}', -32602),
        (b'{"id": 1, "method": "tools/call", "params": {"name": []}}', -32602),
    ],
)
async def test_a_wrong_message_is_an_error_of_json_rpc(shop: DevServer, body: bytes, code: int) -> None:
    answer = await call(shop, "mcp", body)

    assert answer["error"]["code"] == code


@pytest.mark.parametrize("body", [b'{"method": "notifications/initialized"}', b'{"id": 1, "result": {}}', b"[]"])
async def test_what_needs_no_answer_gets_202(shop: DevServer, body: bytes) -> None:
    async with aiohttp.ClientSession() as http, http.post(f"{shop.url}/__dev/mcp", data=body) as response:
        assert (response.status, await response.read()) == (202, b"")


async def test_a_batch_is_answered_message_by_message(shop: DevServer) -> None:
    ping = {"jsonrpc": "2.0", "id": "a", "method": "ping"}

    answers = await call(shop, "mcp", [ping, {"method": "notifications/cancelled"}])

    assert answers == [{"jsonrpc": "2.0", "id": "a", "result": {}}]


async def test_there_is_no_stream_of_messages(shop: DevServer) -> None:
    assert (await call(shop, "mcp", method="GET", status=405))["error"] == "this address takes POST"


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}], ids=["origin", "host"]
)
async def test_foreign_pages_may_not_use_the_tools(shop: DevServer, headers: dict[str, str]) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{shop.url}/__dev/mcp", json=body, headers=headers) as response,
    ):
        assert response.status == 403
