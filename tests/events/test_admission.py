"""Admission: what raises at the call, what waits, what is dropped, and which destinations get an event."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import ADA, amplitude, quick, rudderstack, statsig

from asyncsdk import (
    Alias,
    Client,
    ClientClosedError,
    Identify,
    IdentifyEvent,
    InvalidEventError,
    LogEvent,
    QueueFullError,
    Receipt,
    Revenue,
    Track,
    User,
    WrongEventLoopError,
)
from asyncsdk.dev import DevServer, Fault

MISTAKES: dict[str, tuple[Callable[[Client], Any], str]] = {
    "no id": (lambda c: c.track(User(email="a@b.c"), "a"), "user_id"),
    "blank id": (lambda c: c.track("  ", "a"), "user_id"),
    "invisible id": (lambda c: c.track("\u200b", "a"), "user_id"),
    "id of another type": (lambda c: c.track(1.5, "a"), "user"),
    "boolean id": (lambda c: c.track(True, "a"), "user"),
    "no event name": (lambda c: c.track(ADA, ""), "event"),
    "name of another type": (lambda c: c.track(ADA, 5), "event"),
    "properties that are not an object": (lambda c: c.track(ADA, "a", [1]), "properties"),
    "traits that are not an object": (lambda c: c.identify(ADA, "x"), "traits"),
    "page name of another type": (lambda c: c.page(ADA, 5), "name"),
    "category of another type": (lambda c: c.screen(ADA, "a", category=5), "category"),
    "no group": (lambda c: c.group(ADA, ""), "group_id"),
    "no earlier id": (lambda c: c.alias("", ADA), "previous_id"),
    "alias of an anonymous user": (lambda c: c.alias("old", User(anonymous_id="x")), "user_id"),
    "value of another type": (lambda c: c.log_event(ADA, "a", []), "value"),
    "metadata that is not an object": (lambda c: c.log_event(ADA, "a", 1, 2), "metadata"),
    "no event type": (lambda c: c.log_event({"user_id": "u"}), "event_type"),
    "time as text": (lambda c: c.log_event({"user_id": "u", "event_type": "a", "time": "now"}), "time"),
    "neither a user nor an object": (lambda c: c.log_event(5), "event"),
    "context that is not an object": (lambda c: c.track(ADA, "a", context=5), "context"),
    "integrations that are not an object": (lambda c: c.track(ADA, "a", integrations=True), "integrations"),
    "an integration that is text": (lambda c: c.track(ADA, "a", integrations={"All": "true"}), "All"),
    "timestamp as text": (lambda c: c.track(ADA, "a", timestamp="2026-01-01"), "timestamp"),
    "blank message id": (lambda c: c.track(ADA, "a", message_id=" "), "message_id"),
    "a value that JSON cannot represent": (lambda c: c.track(ADA, "a", {"x": {"y": object()}}), r"\['x'\]\['y'\]"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_mistake_raises_at_the_call_and_enqueues_nothing(server: DevServer, mistake: str) -> None:
    make, field = MISTAKES[mistake]
    async with Client(rudderstack(server), amplitude(server)) as client:
        with pytest.raises(InvalidEventError, match=field):
            await make(client)

        assert client.health().destinations["RudderStack"].counts.accepted == 0


async def test_put_nowait_takes_an_event(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        with pytest.raises(InvalidEventError, match="an event is"):
            client.put_nowait({"event": "a"})  # type: ignore[arg-type] # the mistake under test


async def test_every_verb_reaches_the_vendors_that_support_it(server: DevServer) -> None:
    async with Client(rudderstack(server), amplitude(server), statsig(server)) as client:
        await client.identify(ADA, {"plan": "Free"})
        await client.track(ADA, "Item Viewed", {"revenue": 19.95})
        await client.track(ADA, Revenue(3.99, quantity=2))
        await client.page(ADA, "Pizza", {"url": "https://dominos.com"}, category="Food")
        await client.screen(ADA, "Home")
        await client.group(ADA, "1", {"name": "Company"})
        await client.alias("old_id", ADA)
        await client.log_event(ADA, "add_to_cart", 19.99, {"sku": "A"})
        await client.log_event({"event_type": "Node.js Event", "user_id": "datamonster@gmail.com"})
        report = await client.flush()

    assert [event.kind for event in server.accepted("rudderstack")] == [
        "identify", "track", "track", "page", "screen", "group", "alias", "track", "track",
    ]  # fmt: skip
    assert [event.name for event in server.accepted("amplitude")] == [
        "$identify", "Item Viewed", "revenue_amount", "Viewed Food Pizza Page", "Viewed Home Screen", "$groupidentify",
        "add_to_cart", "Node.js Event",
    ]  # fmt: skip
    assert [event.name for event in server.accepted("statsig")] == [
        "Item Viewed", "revenue_amount", "page_view", "screen_view", "add_to_cart", "Node.js Event",
    ]  # fmt: skip
    assert report.destinations["Amplitude"].skipped == {"no such call": 1}
    assert report.destinations["Statsig"].skipped == {"no such call": 3}


async def test_put_nowait_takes_every_class_of_event(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        client.put_nowait(Track(ADA, "a"))
        client.put_nowait(IdentifyEvent(ADA, Identify().set("plan", "Free")))
        client.put_nowait(LogEvent(ADA, "b", 5))
        client.put_nowait(Alias("old", ADA))
        await client.flush()

    assert server.total("rudderstack") == 4


async def test_changes_that_the_caller_makes_later_are_not_sent(server: DevServer) -> None:
    properties = {"list": [1]}
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "a", properties)
        properties["list"].append(2)
        properties["more"] = [3]
        await client.flush()

    assert server.accepted("rudderstack")[0].body["properties"] == {"list": [1]}


async def test_integrations_select_destinations(server: DevServer) -> None:
    async with Client(rudderstack(server), amplitude(server), statsig(server)) as client:
        receipt = await client.track(ADA, "a", integrations={"All": False, "Amplitude": True})
        deliveries = await receipt

    assert {name: delivery.status for name, delivery in deliveries.items()} == {
        "RudderStack": "skipped",
        "Amplitude": "delivered",
        "Statsig": "skipped",
    }
    assert deliveries["Statsig"].reason == "integrations"


async def test_integrations_switch_one_off_or_give_it_fields(server: DevServer) -> None:
    async with Client(rudderstack(server), amplitude(server)) as client:
        await client.track(ADA, "a", integrations={"RudderStack": False, "Amplitude": {"session_id": 1}})
        await client.flush()

    assert server.total("rudderstack") == 0
    assert server.accepted("amplitude")[0].body["session_id"] == 1


async def test_unknown_integrations_are_rudderstacks_own_destinations(server: DevServer) -> None:
    async with Client(rudderstack(server), amplitude(server)) as client:
        await client.track(ADA, "a", integrations={"All": False, "Google Analytics": True})
        await client.flush()

    assert server.accepted("rudderstack")[0].body["integrations"] == {"All": False, "Google Analytics": True}
    assert server.total("amplitude") == 0


async def test_a_full_queue_drops_the_incoming_event_and_counts_it(server: DevServer) -> None:
    server.fault("rudderstack", Fault(end="hang"))
    async with Client(rudderstack(server, quick(max_queued_events=2)), amplitude(server)) as client:
        receipts = [await client.track(ADA, "a") for _ in range(3)]

        assert receipts[2].deliveries["RudderStack"].reason == "queue full"  # type: ignore[union-attr] # it is final
        assert client.health().destinations["RudderStack"].counts.dropped == {"queue full": 1}
        await client.aclose(timeout=0.1)


async def test_a_queue_can_be_full_by_bytes(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(max_queued_bytes=1000, linger=60))) as client:
        await client.track(ADA, "a", {"text": "x" * 400})
        await client.track(ADA, "b", {"text": "x" * 400})

        assert client.health().destinations["RudderStack"].counts.dropped == {"queue full": 1}


async def test_a_full_queue_may_raise_and_then_no_destination_gets_the_event(server: DevServer) -> None:
    full = rudderstack(server, quick(max_queued_events=1, linger=60), overflow="raise")
    async with Client(full, amplitude(server)) as client:
        await client.track(ADA, "a")
        with pytest.raises(QueueFullError, match="RudderStack is full: 1 events"):
            await client.track(ADA, "b")

        assert client.health().destinations["Amplitude"].counts.accepted == 1


async def test_a_full_queue_may_make_the_caller_wait(server: DevServer) -> None:
    server.script("rudderstack", Fault(delay=0.1))
    async with Client(rudderstack(server, quick(max_queued_events=1), overflow="wait")) as client:
        for n in range(5):
            await client.track(ADA, f"event {n}")
        await client.flush()

    assert [event.name for event in server.accepted("rudderstack")] == [f"event {n}" for n in range(5)]


async def test_callers_that_wait_for_room_get_it_in_order(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(max_queued_events=1, max_events=1), overflow="wait")) as client:
        waiting = [asyncio.create_task(client.track(f"user-{n}", f"event {n}")) for n in range(10)]
        await asyncio.gather(*waiting)
        await client.flush()

    assert [event.name for event in server.accepted("rudderstack")] == [f"event {n}" for n in range(10)]


async def test_put_nowait_raises_where_it_would_have_to_wait(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(max_queued_events=1, linger=60), overflow="wait")) as client:
        client.put_nowait(Track(ADA, "a"))
        with pytest.raises(QueueFullError):
            client.put_nowait(Track(ADA, "b"))


async def test_closing_ends_a_wait_for_room(server: DevServer) -> None:
    server.fault("rudderstack", Fault(end="hang"))
    client = Client(rudderstack(server, quick(max_queued_events=1), overflow="wait"))
    await client.start()
    await client.track(ADA, "a")
    waiting = [asyncio.create_task(client.track(ADA, name)) for name in ("b", "c", "d")]
    await asyncio.sleep(0)

    report = await client.aclose(timeout=0.15)

    for task in waiting:
        with pytest.raises(ClientClosedError):
            await task
    assert report.destinations["RudderStack"].accepted == 1


async def test_a_cancelled_waiter_passes_its_turn_on(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(max_queued_events=1, linger=60), overflow="wait")) as client:
        await client.track(ADA, "a")
        first, second = (asyncio.create_task(client.track(ADA, name)) for name in ("b", "c"))
        await asyncio.sleep(0)
        ledger = client._lanes[0].ledger
        ledger.wake_room_waiter()  # gives `first` its turn, which is cancelled before it uses it
        first.cancel()
        await asyncio.wait([first])
        flush = asyncio.create_task(client.flush())
        await second
        await flush
        await client.flush()

    assert [event.name for event in server.accepted("rudderstack")] == ["a", "c"]


async def test_other_threads_put_events_too(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:

        def work() -> None:
            for n in range(50):
                client.put_nowait(Track(f"user-{threading.get_ident()}", "a", {"n": n}))

        await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
        report = await client.flush()

    assert report.destinations["RudderStack"].delivered == 200


async def test_a_mistake_in_another_thread_raises_there(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        with pytest.raises(InvalidEventError):
            await asyncio.to_thread(client.put_nowait, Track(ADA, ""))


async def test_a_full_queue_drops_events_of_another_thread(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(max_queued_events=1, linger=60), overflow="raise")) as client:
        await client.track(ADA, "a")
        receipt = await asyncio.to_thread(client.put_nowait, Track(ADA, "b"))

        assert (await receipt)["RudderStack"].reason == "queue full"


async def test_threads_cannot_queue_events_without_bound_for_a_blocked_loop(server: DevServer) -> None:
    refused: list[QueueFullError] = []

    def work() -> None:
        for _ in range(10_000):
            client.put_nowait(Track(ADA, "a"))
        try:
            client.put_nowait(Track(ADA, "a"))
        except QueueFullError as error:
            refused.append(error)

    async with Client(rudderstack(server)) as client:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()  # this blocks the loop
        report = await client.flush(timeout=40)

    assert "held" in str(refused[0])
    assert report.destinations["RudderStack"].delivered == 10_000


async def test_an_event_of_another_thread_is_counted_when_the_client_closes(server: DevServer) -> None:
    client = Client(rudderstack(server), amplitude(server))
    await client.start()
    receipts: list[Receipt] = []
    event = Track(ADA, "a", integrations={"Amplitude": False})
    thread = threading.Thread(target=lambda: receipts.append(client.put_nowait(event)))
    thread.start()
    thread.join()
    client._life.close_intake()
    deliveries = await receipts[0]
    client._life.cancel()

    assert deliveries["RudderStack"].reason == "closed"
    assert deliveries["Amplitude"].reason == "integrations"


def test_put_nowait_of_a_thread_raises_when_the_loop_is_closed() -> None:
    async def run() -> Client:
        client = Client()
        await client.start()
        await client.aclose()
        return client

    client = asyncio.run(run())
    client._life.state = "running"  # as in a thread that looked just before the client was closed

    with pytest.raises(ClientClosedError, match="loop is closed"):
        client.put_nowait(Track(ADA, "a"))
    client._life.state = "closed"


async def test_a_receipt_can_only_be_awaited_on_its_own_loop(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(linger=60))) as client:
        receipt = await client.track(ADA, "a")

        async def on_another_loop() -> None:
            await receipt

        with pytest.raises(WrongEventLoopError):
            await asyncio.to_thread(asyncio.run, on_another_loop())


async def test_default_converts_types_of_ones_own_for_every_destination(server: DevServer) -> None:
    class Money:
        cents = 1995

    def default(value: object) -> object:
        if isinstance(value, Money):
            return value.cents / 100
        raise TypeError

    async with Client(rudderstack(server), amplitude(server), statsig(server), default=default) as client:
        await client.track(ADA, "a", {"price": Money()})
        with pytest.raises(InvalidEventError, match=r"`properties\['x'\]`"):
            await client.track(ADA, "a", {"x": object()})

    assert [str(event.body).count("19.95") for event in server.events] == [1, 1, 1]
