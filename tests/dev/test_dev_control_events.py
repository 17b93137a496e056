"""The control API: health, the events with their search, one event, requests, the stream."""

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from asyncsdk.dev import DevServer, Fault

ORDER = {"type": "track", "event": "Order", "userId": "ada-1", "messageId": "m-1", "properties": {"sku": "pot"}}


async def send(http: aiohttp.ClientSession, server: DevServer, *events: dict[str, Any], **headers: str) -> None:
    headers.setdefault("Authorization", "Basic d3JpdGUta2V5LTEyMzQ6")
    async with http.post(f"{server.url}/v1/batch", json={"batch": list(events)}, headers=headers) as response:
        await response.read()


async def get(http: aiohttp.ClientSession, server: DevServer, path: str, status: int = 200, **options: Any) -> Any:
    async with http.request(options.pop("method", "GET"), f"{server.url}/__dev/{path}", **options) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def test_health_says_what_is_kept(server: DevServer, http: aiohttp.ClientSession) -> None:
    health = await get(http, server, "health?wait=10")

    assert (health["url"], health["events"], health["keep"]) == (server.url, 0, 10_000)
    assert "10,000 events, lost when the server ends" in health["kept"]


async def test_each_server_has_a_run_id_of_its_own(server: DevServer, http: aiohttp.ClientSession) -> None:
    async with DevServer() as other:
        assert (await get(http, server, "health"))["run_id"] != (await get(http, other, "health"))["run_id"]


async def test_events_are_rows_without_a_body(server: DevServer, http: aiohttp.ClientSession) -> None:
    await send(http, server, ORDER)

    found = await get(http, server, "events")

    (row,) = found["events"]
    assert row.pop("at") > 1e12
    assert row.pop("client").startswith("Python 3")
    assert row == {
        "seq": 1, "vendor": "rudderstack", "type": "track", "kind": "track", "name": "Order", "user": "ada-1",
        "verdict": "accepted", "reason": "", "blamed": True, "attempt": 1, "size": 94, "id": "m-1", "request": 1,
        "run": "", "exposure": False, "sees": None, "failures": [], "local": False,
    }  # fmt: skip
    assert (found["last_seq"], found["kept"], found["errors"]) == (1, 1, [])


async def test_a_search_limits_the_events(server: DevServer, http: aiohttp.ClientSession) -> None:
    await send(http, server, *(ORDER | {"messageId": str(n), "userId": f"u{n % 2}"} for n in range(6)))

    found = await get(http, server, "events", params={"q": "user:u1 name:order vendr:x", "limit": "2"})
    older = await get(http, server, "events", params={"q": "user:u1", "before": "4"})
    newer = await get(http, server, "events", params={"after": "5"})

    assert [row["id"] for row in found["events"]] == ["3", "5"]
    assert found["errors"] == [{"at": 19, "text": "vendr:x", "error": 'There is no "vendr:". Did you mean "vendor:"?'}]
    assert [row["id"] for row in older["events"]] == ["1"]
    assert [row["seq"] for row in newer["events"]] == [6]


async def test_events_are_exported_with_their_bodies(server: DevServer, http: aiohttp.ClientSession) -> None:
    await send(http, server, ORDER, ORDER | {"messageId": "m-2"})

    async with http.get(f"{server.url}/__dev/events?q=id:m-2", headers={"Accept": "application/x-ndjson"}) as response:
        (line,) = (await response.read()).splitlines()

    assert orjson.loads(line)["body"]["messageId"] == "m-2"


async def test_a_search_deletes_events(server: DevServer, http: aiohttp.ClientSession) -> None:
    await send(http, server, ORDER, ORDER | {"messageId": "m-2", "userId": "bob"})

    assert await get(http, server, "events", method="DELETE", params={"q": "user:bob"}) == {"deleted": 1}
    assert [event.user for event in server.events] == ["ada-1"]
    refused = await get(http, server, "events", 400, method="DELETE", params={"q": "usr:ada-1"})
    assert "user:" in refused["error"]
    assert len(server.events) == 1


async def test_an_event_has_all_its_arrivals(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", Fault(503), None)
    await send(http, server, ORDER)
    await send(http, server, ORDER)

    found = await get(http, server, "events/m-1")

    assert [(row["verdict"], row["attempt"]) for row in found["events"]] == [("lost", 1), ("accepted", 2)]
    assert await get(http, server, "events/2/body") == ORDER
    assert len((await get(http, server, "events/2"))["events"]) == 2
    assert "forgotten" in (await get(http, server, "events/nothing", 404))["error"]
    assert "forgotten" in (await get(http, server, "events/77/body", 404))["error"]


async def test_a_request_shows_its_keys_as_last_four(server: DevServer, http: aiohttp.ClientSession) -> None:
    await send(http, server, ORDER)
    async with http.post(f"{server.url}/2/httpapi", json={"api_key": "amp-secret-9876", "events": []}) as response:
        await response.read()

    found = await get(http, server, "requests/1")
    amplitude = await get(http, server, "requests/2")

    assert orjson.loads(found["body"]) == {"batch": [ORDER]}
    assert dict(found["headers"])["Authorization"].startswith("Basic …")
    assert (found["answer"]["status"], found["answer"]["body"], found["events"]) == (200, "ok", 1)
    assert orjson.loads(amplitude["body"])["api_key"] == "…9876"
    assert [line["n"] for line in (await get(http, server, "requests"))["requests"]] == [1, 2]
    await get(http, server, "requests/3", 404)


async def test_keys_in_addresses_are_shortened_too(server: DevServer, http: aiohttp.ClientSession) -> None:
    for path in (
        "/v2/download_config_specs/secret-12345.json?sinceTime=1",
        "/v1/rgstr?k=client-12345&st=js",
        "/x?k=short",
    ):
        async with http.get(server.url + path) as response:
            await response.read()

    assert [line["path"] for line in (await get(http, server, "requests"))["requests"]] == [
        "/v2/download_config_specs/…2345.json?sinceTime=1", "/v1/rgstr?k=…2345&st=js", "/x?k=…",
    ]  # fmt: skip


async def test_around_an_event_is_what_its_user_saw_and_did(server: DevServer, http: aiohttp.ClientSession) -> None:
    shown = {"eventName": "statsig::gate_exposure", "time": 1, "user": {"userID": "ada-1"}}
    for value in ("false", "true"):
        metadata = {"gate": "sale", "gateValue": value, "ruleID": "r"}
        body = {"events": [shown | {"metadata": metadata}]}
        async with http.post(f"{server.url}/v1/log_event", json=body, headers={"statsig-api-key": "k"}) as response:
            assert response.status == 202
    await send(http, server, *(ORDER | {"messageId": str(n)} for n in range(12)))

    found = (await get(http, server, "users/ada-1/around?seq=10"))["events"]

    assert found[0]["sees"] == {"what": "gate", "value": "open", "rule": "r"}
    assert [row["seq"] for row in found] == [2, 5, 6, 7, 8, 9, 10, 11, 12, 13]


async def test_the_summary_counts_and_has_rates(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", None, 503)
    await send(http, server, ORDER)
    await send(http, server, ORDER | {"messageId": "m-2"})

    found = await get(http, server, "events/summary")

    assert (found["vendors"], found["verdicts"]) == ({"rudderstack": 2}, {"accepted": 1, "lost": 1})
    assert [sum(column) for column in zip(*found["seconds"], strict=True)] == [1, 1]
    assert [sum(column) for column in zip(*found["half_minutes"], strict=True)] == [1, 1]


async def messages(response: aiohttp.ClientResponse, kind: str) -> tuple[str, Any]:
    """Read the stream up to the next message of a kind; return its id and its data."""
    while True:
        lines = [line async for line in _until_blank(response)]
        fields = dict(line.partition(": ")[::2] for line in lines)
        if fields.get("event") == kind:
            return fields.get("id", ""), orjson.loads(fields["data"])


async def _until_blank(response: aiohttp.ClientResponse) -> Any:
    while line := (await response.content.readline()).decode().rstrip("\n"):
        yield line


async def test_the_stream_sends_rows_as_they_arrive(server: DevServer, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{server.url}/__dev/events/stream") as response:
        _, hello = await messages(response, "hello")
        await send(http, server, ORDER)
        number, rows = await messages(response, "events")
        _, summary = await messages(response, "summary")

    assert (number, [row["name"] for row in rows]) == ("1", ["Order"])
    assert hello == {"run_id": (await get(http, server, "health"))["run_id"]}
    assert summary["last_seq"] == 1


async def test_the_stream_goes_on_after_the_last_event_id(server: DevServer, http: aiohttp.ClientSession) -> None:
    await send(http, server, *(ORDER | {"messageId": str(n)} for n in range(700)))

    async with http.get(f"{server.url}/__dev/events/stream", headers={"Last-Event-ID": "2"}) as response:
        first = await messages(response, "events")
        second = await messages(response, "events")

    assert [row["seq"] for row in first[1] + second[1]] == list(range(3, 701))
    assert (first[0], second[0]) == ("502", "700")


async def test_the_stream_can_be_filtered_and_says_what_changed(server: DevServer, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{server.url}/__dev/events/stream?q=user:bob&since=0") as response:
        await messages(response, "hello")
        await send(http, server, ORDER, ORDER | {"userId": "bob", "messageId": "m-2"})
        _, rows = await messages(response, "events")
        await get(http, server, "reset", method="POST")
        _, changed = await messages(response, "changed")

    assert ([row["user"] for row in rows], changed) == (["bob"], ["events"])


async def test_a_server_that_stops_ends_its_streams(http: aiohttp.ClientSession) -> None:
    async with DevServer() as server:
        response = await http.get(f"{server.url}/__dev/events/stream")
        await messages(response, "hello")
    async with asyncio.timeout(5):
        await response.read()


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ("GET nothing", 404, "there is no /__dev/nothing"),
        ("PUT health", 405, "this address takes GET"),
        ("GET events?limit=many", 400, "limit is a whole number"),
        ("GET health?wait=soon", 400, "wait is a number of seconds"),
        ("GET health?wait=inf", 400, "wait is a number of seconds"),
    ],
)
async def test_a_mistaken_call_is_told(
    server: DevServer, http: aiohttp.ClientSession, call: str, status: int, words: str
) -> None:
    method, path = call.split()
    assert words in (await get(http, server, path, status, method=method))["error"]
