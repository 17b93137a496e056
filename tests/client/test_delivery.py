"""How each answer and each network fault affects events."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import attrs
import orjson
import pytest
from helpers import ADA, amplitude, quick, rudderstack, statsig

from asyncsdk import Alias, Client, InvalidEventError, RudderStack, Track, User
from asyncsdk._model.events import Event
from asyncsdk.dev import DevServer, Fault, ReceivedRequest
from asyncsdk.vendors._base import Refusal, Request, Response, Verdict


def names(server: DevServer, vendor: str) -> list[str]:
    return [event.name for event in server.accepted(vendor)]


def has_user(*users: str) -> Any:
    """Return a function that matches requests with an event of one of these users."""

    def matches(request: ReceivedRequest) -> bool:
        text = orjson.dumps(request.json)
        return any(f'"{user}"'.encode() in text for user in users)

    return matches


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_transient_status_is_retried(server: DevServer, status: int) -> None:
    server.script("rudderstack", status, status)
    async with Client(rudderstack(server)) as client:
        receipt = await client.track(ADA, "a")

        delivery = (await receipt)["RudderStack"]

    assert (delivery.status, delivery.code, delivery.attempts) == ("delivered", 200, 3)
    assert len({event.id for event in server.events}) == 1


async def test_a_new_event_is_sent_while_half_of_a_batch_hangs(server: DevServer) -> None:
    server.script("rudderstack", 400, None, Fault(end="hang"))
    async with Client(rudderstack(server, quick(linger=60)), close_timeout=0.5) as client:
        for number in range(4):
            await client.track(f"user-{number}", "old")
        flush = asyncio.create_task(client.flush(0.2))
        async with asyncio.timeout(5):
            while len(server.requests) < 3:
                await asyncio.sleep(0)
            await flush
            await client.track(ADA, "new")
            client._lanes[0].linger = 0.0
            while "new" not in names(server, "rudderstack"):
                await asyncio.sleep(0)


@pytest.mark.parametrize("end", ["refuse", "reset", "close"])
async def test_a_broken_connection_is_retried(server: DevServer, end: Any) -> None:
    server.script("amplitude", Fault(end=end))
    async with Client(amplitude(server)) as client:
        delivery = (await (await client.track(ADA, "a")))["Amplitude"]

    assert (delivery.status, delivery.attempts) == ("delivered", 2)


async def test_a_hanging_request_is_retried_after_the_timeout(server: DevServer) -> None:
    server.script("amplitude", Fault(end="hang"))
    async with Client(amplitude(server, quick(timeout=0.1))) as client:
        delivery = (await (await client.track(ADA, "a")))["Amplitude"]

    assert (delivery.status, delivery.attempts) == ("delivered", 2)


async def test_an_event_with_a_lost_reply_is_sent_again_under_the_same_id(server: DevServer) -> None:
    server.script("amplitude", Fault.lost_reply())
    async with Client(amplitude(server)) as client:
        await (await client.track(ADA, "a"))

    assert [event.verdict for event in server.events] == ["accepted", "duplicate"]


async def test_a_truncated_answer_counts_by_its_status(server: DevServer) -> None:
    server.script("rudderstack", Fault(end="truncate"))
    async with Client(rudderstack(server)) as client:
        delivery = (await (await client.track(ADA, "a")))["RudderStack"]

    assert (delivery.status, delivery.attempts) == ("delivered", 1)


async def test_a_200_with_garbage_counts_as_delivered(server: DevServer) -> None:
    server.script("amplitude", Fault.garbage())
    async with Client(amplitude(server)) as client:
        delivery = (await (await client.track(ADA, "a")))["Amplitude"]

    assert (delivery.status, delivery.attempts) == ("delivered", 1)


async def test_retry_after_is_respected(server: DevServer) -> None:
    server.script("rudderstack", Fault(503, retry_after=1))
    async with Client(rudderstack(server)) as client:
        receipt = await client.track(ADA, "a")
        await server.requested("rudderstack")
        await asyncio.sleep(0)
        flushed = await client.flush(timeout=0.2)

        assert not flushed.complete
        assert len(server.requests) == 1
        assert 0.5 < client.health().destinations["RudderStack"].retry_in <= 1.2
        assert (await receipt)["RudderStack"].status == "delivered"


async def test_flush_wakes_a_lane_that_waits_for_a_retry(server: DevServer) -> None:
    server.script("rudderstack", 503)
    async with Client(rudderstack(server, quick(retry_initial=50.0, retry_max=60.0))) as client:
        await client.track(ADA, "a")
        await server.requested("rudderstack")
        while client.health().destinations["RudderStack"].state == "ok":
            await asyncio.sleep(0)

        report = await client.flush(timeout=5)

    assert report.complete


async def test_a_refused_event_is_isolated_from_its_batch(server: DevServer) -> None:
    server.fault("rudderstack", Fault(400, when=has_user("poison")))
    async with Client(rudderstack(server)) as client:
        receipts = [await client.track(user, "a") for user in ("u-1", "u-2", "poison", "u-3", "u-4")]
        deliveries = [(await receipt)["RudderStack"] for receipt in receipts]

    assert [delivery.status for delivery in deliveries] == [
        "delivered",
        "delivered",
        "rejected",
        "delivered",
        "delivered",
    ]
    assert deliveries[2].code == 400


async def test_a_batch_that_is_too_large_is_split(server: DevServer) -> None:
    server.fault("rudderstack", Fault(413, when=lambda request: len(request.json["batch"]) > 2))
    async with Client(rudderstack(server)) as client:
        for n in range(8):
            await client.track(f"user-{n}", f"event {n}")
        report = await client.flush()

    assert report.destinations["RudderStack"].delivered == 8


async def test_requests_shrink_after_a_413_and_grow_back(server: DevServer) -> None:
    server.script("rudderstack", 413)
    async with Client(rudderstack(server, quick(max_bytes=4000, max_in_flight=1))) as client:
        for n in range(8):
            await client.track(f"user-{n}", "a", {"text": "x" * 100})
        await client.flush()
        for n in range(60):
            await client.track(f"user-{n}", "a", {"text": "x" * 100})
        await client.flush()

    sizes = [len(request.json["batch"]) for request in server.requests]
    assert sizes[:3] == [8, 4, 4]
    assert sizes[3] < max(sizes[3:])


async def test_a_forbidden_batch_is_retried_and_then_bisected(server: DevServer) -> None:
    server.fault("amplitude", Fault(403, when=has_user("poison")))
    async with Client(amplitude(server)) as client:
        good, bad = await client.track("user-1", "a"), await client.track("poison", "a")
        deliveries = (await good)["Amplitude"], (await bad)["Amplitude"]

    assert [delivery.status for delivery in deliveries] == ["delivered", "rejected"]
    assert deliveries[1].attempts > 3


async def test_only_events_that_amplitude_names_are_rejected(server: DevServer) -> None:
    server.script(
        "amplitude", Fault(400, body={"code": 400, "error": "x", "events_with_invalid_fields": {"time": [1]}})
    )
    async with Client(amplitude(server)) as client:
        receipts = [await client.track(f"user-{n}", f"event {n}") for n in range(3)]
        deliveries = [(await receipt)["Amplitude"] for receipt in receipts]

    assert [delivery.status for delivery in deliveries] == ["delivered", "rejected", "delivered"]
    assert [delivery.attempts for delivery in deliveries] == [2, 1, 2]


async def test_a_throttled_user_does_not_delay_others(server: DevServer) -> None:
    body = {"code": 429, "error": "x", "eps_threshold": 30, "throttled_users": {"user-1": 31}}
    server.script("amplitude", Fault(429, body=body))
    async with Client(amplitude(server)) as client:
        throttled = [await client.track("user-1", "first"), await client.track("user-1", "second")]
        other = await client.track("user-2", "a")

        assert (await other)["Amplitude"].status == "delivered"
        await client.track("user-1", "third")
        await (await client.track("user-2", "b"))
        assert names(server, "amplitude") == ["a", "b"]
        assert throttled[0].deliveries["Amplitude"] is None
        assert client.health().destinations["Amplitude"].queued_events == 3
        report = await client.aclose(timeout=0.2)

    assert report.destinations["Amplitude"].abandoned == 3


@attrs.frozen
class PausingRudderStack(RudderStack):
    """Pauses user-1 on a 429, as Amplitude does; Amplitude itself takes no aliases."""

    def judge(self, response: Response, chunks: Sequence[bytes]) -> Verdict:
        verdict = super().judge(response, chunks)
        if response.status != 429:
            return verdict
        paused = [n for n, chunk in enumerate(chunks) if b'"userId":"user-1"' in chunk]
        rest = [n for n in range(len(chunks)) if n not in paused]
        return attrs.evolve(verdict, retry=(), resend=rest, pause=paused, pause_for=0.05)


async def test_a_pause_ends_and_order_is_kept(server: DevServer) -> None:
    server.script("rudderstack", 429)
    async with Client(PausingRudderStack("write-key", server.url, limits=quick())) as client:
        for n in range(4):
            await client.track(f"user-{n % 2 + 1}", f"event {n}")
        assert (await client.flush()).complete

    assert names(server, "rudderstack") == ["event 1", "event 3", "event 0", "event 2"]


@pytest.mark.parametrize("status", [301, 302, 307, 401, 404])
async def test_a_configuration_error_halts_and_loses_nothing(
    server: DevServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.script("rudderstack", *[Fault(status, headers={"Location": server.url + "/elsewhere"})] * 7)
    async with Client(rudderstack(server)) as client:
        receipt = await client.track(ADA, "a")
        await server.requested("rudderstack", 6)

        assert client.health().destinations["RudderStack"].state == "halted"
        assert (await receipt)["RudderStack"].status == "delivered"
        assert client.health().destinations["RudderStack"].state == "ok"

    assert f"halted: status {status} from {server.url.removeprefix('http://')}" in caplog.text
    assert [r.levelno for r in caplog.records if r.name == "asyncsdk.delivery"].count(logging.ERROR) == 1
    assert all(request.path == "/v1/batch" for request in server.requests)


async def test_an_invalid_amplitude_key_halts(server: DevServer) -> None:
    server.script("amplitude", Fault(400, body={"code": 400, "error": "Invalid API key: x"}))
    async with Client(amplitude(server)) as client:
        delivery = (await (await client.track(ADA, "a")))["Amplitude"]

    assert (delivery.status, delivery.attempts) == ("delivered", 2)


async def test_an_event_past_its_deadline_is_dropped_and_reported(server: DevServer) -> None:
    server.fault("rudderstack", Fault(503))
    async with Client(rudderstack(server, quick(deadline=0.2))) as client:
        delivery = (await (await client.track(ADA, "a")))["RudderStack"]

        assert (delivery.status, delivery.reason, delivery.code) == ("dropped", "deadline", 503)
        assert client.health().destinations["RudderStack"].counts.dropped == {"deadline": 1}


async def test_users_linked_to_a_paused_user_by_aliases_wait_too(server: DevServer) -> None:
    server.script("rudderstack", 429)
    async with Client(PausingRudderStack("write-key", server.url, limits=quick())) as client:
        client.put_nowait(Track("user-1", "before"))
        client.put_nowait(Alias("user-1", "user-2"))
        client.put_nowait(Alias("user-2", "user-3"))
        client.put_nowait(Track("user-3", "after"))
        assert (await client.flush()).complete

    assert names(server, "rudderstack") == [
        "before",
        "user-1",
        "user-2",
        "after",
    ]  # an alias is named by its earlier id


async def test_the_deadline_runs_while_a_user_is_paused(server: DevServer) -> None:
    body = {"code": 429, "error": "x", "throttled_users": {"user-1": 31}}
    server.script("amplitude", Fault(429, body=body))
    async with Client(amplitude(server, quick(deadline=1.0))) as client:
        paused = await client.track("user-1", "a")
        await (await client.track("user-2", "a"))

        assert (await paused)["Amplitude"].reason == "deadline"
        later = await client.track("user-1", "b")
        assert (await later)["Amplitude"].status == "delivered"


async def test_a_failing_vendor_does_not_delay_another(server: DevServer) -> None:
    server.fault("rudderstack", Fault(end="hang"))
    async with Client(rudderstack(server), amplitude(server), statsig(server)) as client:
        receipt = await client.track(ADA, "a")
        await server.received("amplitude", 1)
        await server.received("statsig", 1)

        assert receipt.deliveries["RudderStack"] is None
        await client.aclose(timeout=0.1)


async def test_order_per_user_survives_retries(server: DevServer) -> None:
    for _ in range(10):
        server.script("amplitude", 503, None, Fault(end="reset"), None, None, 500)
    async with Client(amplitude(server, quick(max_events=7))) as client:
        for n in range(300):
            await client.track(f"user-{n % 5}", "a", {"n": n})
        assert (await client.flush(timeout=10)).complete

    for user in range(5):
        sent = [e.body["event_properties"]["n"] for e in server.accepted("amplitude") if e.user == f"user-{user}"]
        assert sent == list(range(user, 300, 5))


async def test_an_alias_keeps_the_order_of_both_users(server: DevServer) -> None:
    server.script("rudderstack", Fault(delay=0.05), 503)
    async with Client(rudderstack(server, quick(max_events=1))) as client:
        await client.track("old-id", "before")
        await client.track("new-id", "other")
        await client.alias("old-id", User("new-id"))
        await client.track("new-id", "after")
        await client.track("old-id", "later")
        assert (await client.flush()).complete

    order = [event.name or event.kind for event in server.accepted("rudderstack")]
    kinds = [event.kind for event in server.accepted("rudderstack")]
    alias = kinds.index("alias")
    assert order.index("before") < alias
    assert order.index("other") < alias
    assert alias < order.index("after")
    assert alias < order.index("later")


async def test_a_codec_that_raises_drops_only_its_batch(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    @attrs.frozen
    class Broken(RudderStack):
        """Raises for one event."""

        def frame(self, chunks: Sequence[bytes], now_ms: int) -> Request:
            if any(b"poison" in chunk for chunk in chunks):
                raise RuntimeError
            return super().frame(chunks, now_ms)

    async with Client(Broken("write-key", server.url, limits=quick(max_events=1))) as client:
        bad, good = await client.track("u-1", "poison"), await client.track("u-2", "fine")

        assert (await bad)["RudderStack"].reason == "crash"
        assert (await good)["RudderStack"].status == "delivered"
        assert client.health().destinations["RudderStack"].last_error == "crash: RuntimeError"
    assert "1 events dropped" in caplog.text


async def test_a_codec_that_cannot_encode_raises_at_the_call(server: DevServer) -> None:
    @attrs.frozen
    class Picky(RudderStack):
        """Rejects every event."""

        def encode(self, event: Event, message_id: str, time_ms: int) -> bytes | Refusal:
            raise InvalidEventError("no")

    async with Client(Picky("write-key", server.url)) as client:
        with pytest.raises(InvalidEventError):
            await client.track(ADA, "a")

        assert client.health().destinations["RudderStack"].counts.accepted == 0


async def test_an_unreadable_compressed_body_is_sent_plain(server: DevServer) -> None:
    server.fault(
        "rudderstack",
        Fault(
            500,
            body="failed to read body from request",
            when=lambda request: request.header("content-encoding") == "gzip",
        ),
    )
    async with Client(rudderstack(server)) as client:
        delivery = (await (await client.track(ADA, "a", {"text": "x" * 5000})))["RudderStack"]

    assert (delivery.status, delivery.attempts) == ("delivered", 2)


async def test_a_worker_that_crashes_is_restarted(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(rudderstack(server))
    lane = client._lanes[0]
    lane._next_sweep = None  # type: ignore[assignment] # breaks the worker's first look
    async with client:
        receipt = await client.track(ADA, "a")
        while not client.health().crashes:
            await asyncio.sleep(0)
        lane._next_sweep = 0.0

        assert (await receipt)["RudderStack"].status == "delivered"
    assert "failed and is started again" in caplog.text
