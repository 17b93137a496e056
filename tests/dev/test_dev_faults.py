"""Each kind of fault, as a client sees it."""

import asyncio

import aiohttp
import orjson
import pytest

from asyncsdk.dev import DevServer, Fault, ReceivedRequest, RudderStackServer

BASIC = {"Authorization": "Basic azo="}


def batch(*ids: str) -> bytes:
    return orjson.dumps({"batch": [{"userId": "u", "type": "track", "messageId": name} for name in ids]})


async def send(http: aiohttp.ClientSession, server: DevServer, *ids: str) -> tuple[int, bytes]:
    async with http.post(f"{server.url}/v1/batch", data=batch(*ids), headers=BASIC, allow_redirects=False) as response:
        return response.status, await response.read()


def verdicts(server: DevServer) -> list[str]:
    return [event.verdict for event in server.events]


async def test_a_scripted_status_has_the_vendors_words(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", 503)

    assert await send(http, server, "a") == (503, b"Service Unavailable\n")
    assert await send(http, server, "a") == (200, b"ok")
    assert verdicts(server) == ["lost: status 503", "accepted"]
    assert [event.attempt for event in server.events] == [1, 2]
    assert [(request.status, request.fault) for request in server.requests] == [
        (503, "status 503"),
        (200, ""),
    ]


async def test_a_fault_may_bring_headers_and_a_body(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("statsig", Fault(429, retry_after=3, body={"success": False}, headers={"X-Proxy": "p"}))

    async with http.post(f"{server.url}/v1/log_event", json={"events": []}) as response:
        assert response.status == 429
        assert (response.headers["Retry-After"], response.headers["X-Proxy"]) == ("3", "p")
        assert await response.json() == {"success": False}


async def test_another_success_keeps_the_vendors_words(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("statsig", 200)

    async with http.post(
        f"{server.url}/v1/log_event", json={"events": []}, headers={"statsig-api-key": "k"}
    ) as response:
        assert (response.status, await response.json()) == (200, {"success": True})


async def test_a_reset_connection_has_lost_the_events(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", Fault(end="reset"))

    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await send(http, server, "a")

    assert verdicts(server) == ["lost: reset"]
    assert server.requests[0].status is None


async def test_a_lost_reply_has_not_lost_the_events(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", Fault.lost_reply())

    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await send(http, server, "a")
    await send(http, server, "a")

    assert verdicts(server) == ["accepted", "duplicate"]


async def test_a_refused_connection_is_reset_before_the_body_is_read(server: DevServer) -> None:
    server.script("rudderstack", Fault(end="refuse"))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))

    writer.write(b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    with pytest.raises(ConnectionResetError):
        await reader.read()

    writer.close()
    assert [(request.wire_size, request.fault) for request in server.requests] == [(0, "refuse")]


async def test_a_closed_connection_ends_without_a_reset(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", Fault(end="close"))

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await send(http, server, "a")

    assert verdicts(server) == ["lost: close"]


async def test_a_truncated_reply_lacks_its_end(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", Fault(end="truncate"))

    with pytest.raises(aiohttp.ClientPayloadError):
        await send(http, server, "a")

    assert verdicts(server) == ["accepted"]


async def test_garbage_is_sent_after_ingesting(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", Fault.garbage())

    status, body = await send(http, server, "a")

    assert status == 200
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)
    assert verdicts(server) == ["accepted"]


async def test_a_redirect_names_another_location(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", Fault.redirect("http://elsewhere/"))

    async with http.post(f"{server.url}/v1/batch", data=batch("a"), headers=BASIC, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "http://elsewhere/")

    assert verdicts(server) == ["lost: status 302"]


async def test_a_delayed_reply_is_sent_after_the_events_are_ingested(
    server: DevServer, http: aiohttp.ClientSession
) -> None:
    server.script("rudderstack", Fault(delay=0.02))

    response = asyncio.create_task(send(http, server, "a"))
    await server.received("rudderstack")

    assert not response.done()
    assert await response == (200, b"ok")
    assert server.requests[0].fault == "after 0.02 s"


async def test_a_hanging_request_is_not_answered(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", Fault(end="hang"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await send(http, server, "a")
    await server.requested("rudderstack")

    assert verdicts(server) == ["lost: hang"]
    assert (await send(http, server, "a"))[0] == 200


async def test_a_fault_may_ingest_or_not(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", Fault(504, ingest=True), Fault(200, ingest=False, body="ok"))

    await send(http, server, "a")
    await send(http, server, "b")

    assert verdicts(server) == ["accepted", "lost: status 200"]


async def test_a_faults_body_may_depend_on_the_request(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.script("rudderstack", Fault(400, body=lambda request: request.json["batch"][0]["messageId"]))

    assert await send(http, server, "a") == (400, b"a")


async def test_a_fault_may_choose_its_requests(server: DevServer, http: aiohttp.ClientSession) -> None:
    def holds_b(request: ReceivedRequest) -> bool:
        return any(event["messageId"] == "b" for event in request.json["batch"])

    server.script("rudderstack", Fault(400, when=holds_b))

    assert [(await send(http, server, *ids))[0] for ids in ("a", "ab", "b")] == [200, 400, 200]


async def test_a_script_precedes_a_standing_fault(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.fault("rudderstack", Fault(502), times=2)
    server.fault("amplitude", Fault(500))
    server.fault(None, Fault(503))
    server.script("rudderstack", None, 429)
    server.script(None, 504)

    statuses = [(await send(http, server, "a"))[0] for _ in range(6)]
    server.clear_faults()

    assert statuses == [200, 429, 504, 502, 502, 503]
    assert (await send(http, server, "a"))[0] == 200


async def test_a_standing_refusal_waits_for_the_script(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.fault("rudderstack", Fault(end="refuse"))
    server.script("rudderstack", 503)

    assert (await send(http, server, "a"))[0] == 503
    with pytest.raises(aiohttp.ClientOSError):
        await send(http, server, "a")


async def test_faults_are_for_events_only(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.fault(None, Fault(500))

    async with http.get(f"{server.url}/health") as response:
        assert response.status == 200


async def test_lost_events_do_not_count_against_a_limit() -> None:
    async with (
        DevServer(vendors=[RudderStackServer(rate_limit=1)]) as server,
        aiohttp.ClientSession() as http,
    ):
        server.script("rudderstack", 503)
        statuses = [(await send(http, server, name))[0] for name in "abc"]

    assert statuses == [503, 200, 429]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(503), "status 503"),
        (Fault(503, delay=2), "status 503 after 2 s"),
        (Fault(end="hang"), "hang"),
        (Fault(body="x"), "another reply"),
    ],
)
def test_a_fault_has_a_description(fault: Fault, words: str) -> None:
    assert str(fault) == words


def test_a_refusal_never_ingests() -> None:
    assert not Fault(end="refuse", ingest=True).ingests
