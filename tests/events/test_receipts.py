"""Receipts, `on_delivery`, health and reports: how an event's outcome is reported."""

import asyncio
from datetime import UTC, datetime

import pytest
from helpers import ADA, amplitude, quick, rudderstack, statsig

from asyncsdk import Client, Delivery, IdentifyEvent, Next, Payload, Revenue, Track
from asyncsdk.dev import DevServer, Fault


async def test_a_receipt_may_be_awaited_several_times_at_once(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        receipt = await client.track(ADA, "a")

        async def ask() -> dict[str, Delivery]:
            return await receipt

        first, second = await asyncio.gather(ask(), ask())

        assert first == second == await receipt == {"RudderStack": Delivery("RudderStack", "delivered", 200, "", 1)}


async def test_a_cancelled_wait_for_a_receipt_does_no_harm(server: DevServer) -> None:
    async with Client(rudderstack(server), amplitude(server)) as client:
        receipt = await client.track(ADA, "a")

        async def ask() -> None:
            await receipt

        task = asyncio.create_task(ask())
        await asyncio.sleep(0)
        task.cancel()

        assert (await receipt)["RudderStack"].status == "delivered"


async def test_explain_shows_everything_that_happened_to_an_event(server: DevServer) -> None:
    def enrich(payload: Payload, next: Next) -> None:
        event = payload.event
        assert isinstance(event, Track)
        next(
            Payload(Track(event.user, event.name, {**(event.properties or {}), "plan": "pro", "old": 2}), payload.extra)
        )

    server.script("rudderstack", 503)
    async with Client(rudderstack(server), amplitude(server), statsig(server)).add_middleware(enrich) as client:
        receipt = await client.track(ADA, "Item Viewed", {"old": 1}, integrations={"Statsig": False})
        assert "pending" in receipt.explain()
        await receipt

    text = receipt.explain()
    assert text.startswith(f"track 'Item Viewed'  id {receipt.event_id}  20")
    assert "middleware changed properties['plan']" in text
    assert "middleware changed properties['old']" in text
    assert "status 503" in text
    assert "delivered (200), attempt 2" in text
    assert "bytes" in text


async def test_explain_names_what_was_rejected_or_skipped(server: DevServer) -> None:
    async with Client(amplitude(server), statsig(server)) as client:
        receipt = await client.identify("ada", {"plan": "Free"})

    assert receipt.explain().splitlines()[1:] == [
        "  Amplitude: rejected: id too short (min_id_length)",
        "  Statsig: skipped: no such call",
    ]


async def test_explain_contains_no_values_of_properties(server: DevServer) -> None:
    def redacted(payload: Payload, next: Next) -> None:
        next(Payload(Track(ADA, "a", {"card": "none"}), payload.extra))

    async with Client(rudderstack(server)).add_middleware(redacted) as client:
        receipt = await client.track(ADA, "a", {"card": "4111-1111"})

    assert "4111" not in receipt.explain() + repr(receipt)


async def test_explain_shows_when_middleware_changed_the_kind_or_nothing(server: DevServer) -> None:
    def swap(payload: Payload, next: Next) -> None:
        is_track = isinstance(payload.event, Track)
        next(Payload(IdentifyEvent(ADA) if is_track else payload.event, payload.extra))

    async with Client(rudderstack(server)).add_middleware(swap) as client:
        swapped, same = await client.track(ADA, "a"), await client.page(ADA)

    assert "middleware changed track 'a' into identify" in swapped.explain()
    assert "middleware" not in same.explain()


async def test_explain_begins_with_the_verb_and_the_event_name(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        revenue = await client.track(ADA, Revenue(4.99))
        raw = await client.log_event({"event_type": "Signed Up", "user_id": "user-1"})

    assert revenue.explain().startswith("track 'revenue_amount'  id")
    assert raw.explain().startswith("log_event 'Signed Up'  id")


async def test_explain_shows_the_callers_own_id(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        receipt = await client.track(ADA, "a", timestamp=datetime(2026, 1, 1, tzinfo=UTC), message_id="my-id")

    assert "id my-id" in receipt.explain()
    assert server.accepted("rudderstack")[0].body["timestamp"] == "2026-01-01T00:00:00.000Z"


async def test_on_delivery_is_called_with_every_outcome(server: DevServer) -> None:
    outcomes: list[tuple[str, str, str]] = []
    client = Client(
        rudderstack(server),
        amplitude(server),
        on_delivery=lambda event_id, delivery: outcomes.append((event_id, delivery.destination, delivery.status)),
    )
    async with client:
        await client.track(ADA, "a", message_id="one")
        await client.alias("old", ADA, message_id="two")

    assert sorted(outcomes) == [
        ("one", "Amplitude", "delivered"),
        ("one", "RudderStack", "delivered"),
        ("two", "Amplitude", "skipped"),
        ("two", "RudderStack", "delivered"),
    ]


async def test_on_delivery_that_raises_does_no_harm(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event_id: str, delivery: Delivery) -> None:
        raise ValueError

    async with Client(rudderstack(server), on_delivery=fail) as client:
        for _ in range(3):
            await client.track(ADA, "a")

    assert server.total("rudderstack") == 3
    assert "on_delivery failed" in caplog.text


async def test_health_describes_each_destination(server: DevServer) -> None:
    server.script("rudderstack", Fault(503, retry_after=60))
    client = Client(rudderstack(server), amplitude(server))
    async with client:
        await client.track(ADA, "a")
        await server.requested("rudderstack")
        while client.health().destinations["RudderStack"].state == "ok":
            await asyncio.sleep(0)
        health = client.health()

        failing, healthy = health.destinations["RudderStack"], health.destinations["Amplitude"]
        assert (health.state, health.crashes) == ("running", 0)
        assert (failing.state, failing.queued_events, failing.last_error) == ("retrying", 1, "status 503")
        assert failing.queued_bytes > 100
        assert failing.retry_in > 50
        assert (healthy.state, healthy.retry_in) == ("ok", 0.0)
        await client.aclose(timeout=0.1)


async def test_a_report_reads_like_a_sentence(server: DevServer) -> None:
    server.fault("rudderstack", Fault(418))
    async with Client(rudderstack(server), amplitude(server, quick(linger=60))) as client:
        await client.track(ADA, "a")
        await client.alias("old", ADA)
        await server.requested("rudderstack")
        report = await client.flush()

    assert str(report) == (
        "RudderStack: accepted 2, delivered 0, rejected 2 (status 418 2); "
        "Amplitude: accepted 2, delivered 1, skipped 1 (no such call 1)"
    )
    assert report.destinations["RudderStack"].lost == 2
    assert str(await Client().aclose()) == "no destinations"
