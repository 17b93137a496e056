"""Starting, stopping, and the requests and events that the server keeps."""

import asyncio
import gzip
import time

import aiohttp
import pytest

from asyncsdk.dev import AmplitudeServer, DevServer, Fault
from asyncsdk.dev.messages import MAX_BODY
from asyncsdk.errors import AsyncSDKError, ConfigurationError

KEY = {"api_key": "key"}


def event(name: str, user: str = "ada-1") -> dict[str, str]:
    return {"event_type": "Order", "user_id": user, "insert_id": name}


async def send(http: aiohttp.ClientSession, server: DevServer, *names: str) -> int:
    events = [event(name) for name in names]
    async with http.post(f"{server.url}/2/httpapi", json=KEY | {"events": events}) as response:
        return response.status


async def test_each_vendor_has_its_endpoints(server: DevServer, http: aiohttp.ClientSession) -> None:
    async with http.post(
        f"{server.url}/beacon/v1/batch?writeKey=k", json={"batch": [{"userId": "u", "messageId": "m"}]}
    ) as response:
        assert (response.status, await response.text()) == (200, "ok")
    async with http.post(
        f"{server.url}/v1/log_event",
        json={"events": [{"eventName": "e", "time": 1, "user": {}}]},
        headers={"STATSIG-API-KEY": "secret-1"},
    ) as response:
        assert response.status == 202
    assert await send(http, server, "a") == 200

    assert [found.vendor for found in server.accepted()] == ["rudderstack", "statsig", "amplitude"]
    assert [found.name for found in server.accepted("statsig")] == ["e"]


async def test_a_request_of_an_unknown_path_is_kept_too(server: DevServer, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{server.url}/nowhere?a=1") as response:
        assert (response.status, await response.text()) == (404, "404 page not found\n")

    assert [(r.vendor, r.method, r.path, r.status) for r in server.requests] == [("", "GET", "/nowhere?a=1", 404)]


async def test_a_request_is_kept_as_sent(server: DevServer, http: aiohttp.ClientSession) -> None:
    body = gzip.compress(b'{"api_key":"key","events":[{"event_type":"e","user_id":"ada-1"}]}')
    headers = {"X-First": "1", "Content-Type": "application/json", "Content-Encoding": "gzip"}

    async with http.post(f"{server.url}/2/httpapi", data=body, headers=headers) as response:
        assert response.status == 200

    (request,) = server.requests
    assert (request.number, request.vendor, request.status, request.events) == (1, "amplitude", 200, 1)
    assert (request.wire_size, request.plain_size) == (len(body), len(gzip.decompress(body)))
    assert request.json["events"] == [{"event_type": "e", "user_id": "ada-1"}]
    assert (request.header("x-first"), request.header("x-other")) == ("1", None)
    assert [name for name, _ in request.headers][:2] == ["Host", "X-First"]
    assert abs(request.at - time.time()) < 60


async def test_a_duplicate_is_answered_but_not_accepted(server: DevServer, http: aiohttp.ClientSession) -> None:
    assert [await send(http, server, *names) for names in ("aa", "ab", "a")] == [200, 200, 200]

    assert [found.id for found in server.accepted("amplitude")] == ["a", "b"]
    assert [found.attempt for found in server.events if found.id == "a"] == [1, 2, 3, 4]
    assert (server.total("amplitude"), server.total("amplitude", "duplicate")) == (2, 3)


async def test_an_event_that_was_rejected_first_is_not_a_duplicate(http: aiohttp.ClientSession) -> None:
    async with DevServer(vendors=[AmplitudeServer(keys={"other"})]) as strict:
        assert await send(http, strict, "a") == 400
    async with DevServer() as server:
        async with http.post(
            f"{server.url}/2/httpapi", json=KEY | {"events": [event("a"), {"event_type": "x"}]}
        ) as response:
            assert response.status == 400
        await send(http, server, "a")

        assert [found.verdict.partition(":")[0] for found in server.events] == [
            "rejected",
            "rejected",
            "accepted",
        ]
        assert server.total("amplitude", "rejected") == 2


async def test_waiting_ends_when_the_events_have_arrived(server: DevServer, http: aiohttp.ClientSession) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(server.received("amplitude", 3))
        tasks.create_task(send(http, server, "a", "b"))
        tasks.create_task(send(http, server, "c"))

    assert {found.id for found in waiting.result()} == {"a", "b", "c"}


async def test_a_timeout_names_what_arrived(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("amplitude", 503, Fault(end="close"))
    await send(http, server, "a")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await send(http, server, "a")

    with pytest.raises(TimeoutError, match=r"not 1 events accepted .* \{'lost': 2\}, last replies \[503, 'close'\]"):
        await server.received("amplitude", within=0.01)
    with pytest.raises(TimeoutError, match="not 3 requests by amplitude"):
        await server.requested("amplitude", 3, within=0.01)
    assert len(await server.requested("amplitude", 2)) == 2


async def test_the_oldest_are_forgotten_but_still_counted(http: aiohttp.ClientSession) -> None:
    async with DevServer(keep=2) as server:
        for name in "abcd":
            await send(http, server, name)

        assert [found.id for found in server.events] == ["c", "d"]
        assert [request.number for request in server.requests] == [3, 4]
        assert server.total("amplitude") == 4


async def test_big_requests_are_forgotten_sooner(http: aiohttp.ClientSession) -> None:
    async with DevServer(keep_bytes=150) as server:
        for name in "abc":
            await send(http, server, name)

        assert [found.id for found in server.events] == ["c"]
        assert [request.number for request in server.requests] == [3]


async def test_a_reset_forgets_everything(http: aiohttp.ClientSession) -> None:
    async with DevServer(vendors=[AmplitudeServer(daily_quota=1)]) as server:
        server.script("amplitude", None, 503)
        await send(http, server, "a")
        server.reset()

        assert (server.events, server.requests, server.total("amplitude")) == ([], [], 0)
        assert await send(http, server, "a") == 200
        assert (server.events[0].verdict, server.requests[0].number) == ("accepted", 1)


async def test_a_body_beyond_all_limits_is_rejected(server: DevServer, http: aiohttp.ClientSession) -> None:
    async def pieces():  # noqa: ANN202 -- bytes, for aiohttp
        for _ in range(MAX_BODY // 2**20 + 1):
            yield bytes(2**20)

    async with http.post(f"{server.url}/batch", data=pieces()) as response:
        assert response.status == 413
    assert server.requests[0].wire_size == 0


async def test_it_stops_quickly_while_requests_hang(http: aiohttp.ClientSession) -> None:
    before = asyncio.all_tasks()
    async with DevServer() as server:
        server.script("amplitude", None, Fault(end="hang"), Fault(delay=60))
        await send(http, server, "a")
        hanging = [asyncio.create_task(send(http, server, name)) for name in "bc"]
        await server.requested("amplitude", 3)
        stopping = time.monotonic()

    assert time.monotonic() - stopping < 0.5
    outcomes = await asyncio.gather(*hanging, return_exceptions=True)
    assert isinstance(outcomes[0], aiohttp.ClientError)
    assert asyncio.all_tasks() == before


async def test_a_client_that_disconnects_leaves_nothing(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    before = asyncio.all_tasks()
    server.script("amplitude", Fault(end="hang"), Fault(end="hang"))
    port = int(server.url.rpartition(":")[2])
    head = b"POST /batch HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    for body in (b"{", b"{" * 9):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        await writer.drain()
        if len(body) == 9:
            await server.requested("amplitude")
        writer.close()
        await writer.wait_closed()

    await server.stop()

    assert asyncio.all_tasks() == before
    assert not caplog.records


async def test_it_starts_again_on_the_same_port(server: DevServer, http: aiohttp.ClientSession) -> None:
    url = server.url
    await send(http, server, "a")
    await server.stop()
    await server.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await send(http, server, "b")

    await server.start()

    assert server.url == url
    assert await send(http, server, "b") == 200
    assert server.total("amplitude") == 2


async def test_it_starts_once(server: DevServer) -> None:
    with pytest.raises(AsyncSDKError, match="running already"):
        await server.start()


async def test_a_port_in_use_raises_and_leaves_nothing(server: DevServer) -> None:
    before = asyncio.all_tasks()
    second = DevServer(port=int(server.url.rpartition(":")[2]))

    with pytest.raises(OSError, match="in use"):
        await second.start()

    assert asyncio.all_tasks() == before


def test_it_has_no_address_before_it_starts() -> None:
    with pytest.raises(AsyncSDKError, match="before it is started"):
        _ = DevServer().url


def test_an_unknown_vendor_raises() -> None:
    with pytest.raises(ConfigurationError, match="not 'ampltude'"):
        DevServer().accepted("ampltude")


def test_a_vendor_is_given_once() -> None:
    with pytest.raises(ConfigurationError, match="once"):
        DevServer(vendors=[AmplitudeServer(), AmplitudeServer()])


async def test_it_stops_soon_while_a_body_is_half_sent(caplog: pytest.LogCaptureFixture) -> None:
    before = asyncio.all_tasks()
    async with DevServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        whole = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
        half = b"POST /batch HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        writer.write(whole + half)
        await reader.readuntil(b"page not found")
        stopping = time.monotonic()

    assert time.monotonic() - stopping < 1.0
    writer.close()
    assert asyncio.all_tasks() == before
    assert not caplog.records
