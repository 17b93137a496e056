"""Middleware: the user's functions between an event verb and the queues."""

import asyncio
from typing import Any

import attrs
import pytest
from helpers import ADA, rudderstack

from asyncsdk import (
    Client,
    ConfigurationError,
    Event,
    Identify,
    InvalidEventError,
    Middleware,
    Next,
    Payload,
    Revenue,
    Track,
    map_events,
    redact,
    sample,
)
from asyncsdk.dev import DevServer


def bodies(server: DevServer) -> list[dict[str, Any]]:
    return [event.body for event in server.accepted("rudderstack")]


async def test_middleware_runs_in_order_and_nested(server: DevServer) -> None:
    seen: list[str] = []

    async def first(payload: Payload, next: Next) -> None:
        seen.append("first in")
        await next(payload)
        seen.append("first out")

    def second(payload: Payload, next: Next) -> None:
        seen.append("second in")
        next(payload)
        seen.append("second out")

    async def third(payload: Payload, next: Next) -> None:
        await asyncio.sleep(0)
        seen.append("third")
        await next(payload)

    client = Client(rudderstack(server))
    client.add_middleware(first).add_event_middleware(second).add_middleware(third)
    async with client:
        await client.track(ADA, "a")

    assert sorted(seen) == sorted(["first in", "second in", "third", "second out", "first out"])
    assert seen[:2] == ["first in", "second in"]
    assert server.total("rudderstack") == 1


async def test_an_event_that_is_not_passed_on_is_dropped_and_counted(server: DevServer) -> None:
    client = Client(rudderstack(server)).add_middleware(lambda payload, next: None)
    async with client:
        delivery = (await (await client.track(ADA, "a")))["RudderStack"]

        assert (delivery.status, delivery.reason) == ("dropped", "middleware")
        assert client.health().destinations["RudderStack"].counts.accepted == 1


async def test_a_replaced_payload_is_sent(server: DevServer) -> None:
    def rename(payload: Payload, next: Next) -> None:
        next(Payload(attrs.evolve(payload.event, name="renamed"), payload.extra))

    async with Client(rudderstack(server)).add_middleware(rename) as client:
        receipt = await client.track(ADA, "a", {"k": 1})
        await receipt

    assert [body["event"] for body in bodies(server)] == ["renamed"]
    assert "middleware changed name" in receipt.explain()


async def test_middleware_sees_extra_which_is_never_sent(server: DevServer) -> None:
    seen: list[Any] = []

    def inspect(payload: Payload, next: Next) -> None:
        seen.append(payload.extra["tenant"])
        next(payload)

    async with Client(rudderstack(server)).add_middleware(inspect) as client:
        await client.track(ADA, "a", extra={"tenant": "t-1"})

    assert seen == ["t-1"]
    assert "t-1" not in str(bodies(server))


async def test_the_id_is_stamped_before_middleware(server: DevServer) -> None:
    seen: list[str | None] = []

    def inspect(payload: Payload, next: Next) -> None:
        seen.append(payload.event.message_id)
        next(payload)

    async with Client(rudderstack(server)).add_middleware(inspect) as client:
        receipt = await client.track(ADA, "a")

    assert seen == [receipt.event_id] == [bodies(server)[0]["messageId"]]


@pytest.mark.parametrize("is_async", [True, False])
async def test_middleware_that_raises_drops_only_its_own_event(
    server: DevServer, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    def fail(payload: Payload, next: Next) -> Any:
        if getattr(payload.event, "name", "") == "bad":
            raise ValueError
        return next(payload)

    async def fail_later(payload: Payload, next: Next) -> None:
        await next(payload)
        fail(payload, lambda payload: None)  # type: ignore[arg-type,return-value] # only the raise matters

    async with Client(rudderstack(server)).add_middleware(fail_later if is_async else fail) as client:
        bad, good = await client.track(ADA, "bad"), await client.track(ADA, "good")
        without_waiting = client.put_nowait(Track(ADA, "bad"))

        assert (await bad)["RudderStack"].reason == "middleware error"
        assert (await good)["RudderStack"].status == "delivered"
        assert (await without_waiting)["RudderStack"].reason == "middleware error"
    assert "a middleware failed" in caplog.text


async def test_an_event_that_middleware_made_invalid_is_dropped(server: DevServer) -> None:
    def invalidate(payload: Payload, next: Next) -> None:
        next(Payload(attrs.evolve(payload.event, name=""), payload.extra))

    async with Client(rudderstack(server)).add_middleware(invalidate) as client:
        assert (await (await client.track(ADA, "a")))["RudderStack"].reason == "middleware error"


async def test_an_invalid_event_raises_at_the_call_with_middleware_too(server: DevServer) -> None:
    async with Client(rudderstack(server)).add_middleware(redact("password")) as client:
        with pytest.raises(InvalidEventError, match="odd"):
            await client.track(ADA, "a", {"odd": object()})

        assert client.health().destinations["RudderStack"].counts.accepted == 0


async def test_a_second_next_is_an_error(server: DevServer) -> None:
    def twice(payload: Payload, next: Next) -> None:
        next(payload)
        next(payload)

    async with Client(rudderstack(server)).add_middleware(twice) as client:
        assert (await (await client.track(ADA, "a")))["RudderStack"].reason == "middleware error"


async def test_put_nowait_drives_async_middleware_that_does_not_wait(server: DevServer) -> None:
    async def pass_on(payload: Payload, next: Next) -> None:
        await next(payload)

    async with Client(rudderstack(server)).add_middleware(pass_on) as client:
        client.put_nowait(Track(ADA, "a"))

    assert server.total("rudderstack") == 1


async def test_put_nowait_raises_when_middleware_waits(server: DevServer) -> None:
    async def wait(payload: Payload, next: Next) -> None:
        await asyncio.sleep(0)
        await next(payload)

    async with Client(rudderstack(server)).add_middleware(wait) as client:
        with pytest.raises(InvalidEventError, match="has to wait"):
            client.put_nowait(Track(ADA, "a"))

        assert client.health().destinations["RudderStack"].counts.accepted == 0


async def test_a_sync_middleware_may_come_before_an_async_one(server: DevServer) -> None:
    def pass_on(payload: Payload, next: Next) -> None:
        next(payload)

    async def wait(payload: Payload, next: Next) -> None:
        await asyncio.sleep(0)
        await next(payload)

    async with Client(rudderstack(server)).add_middleware(pass_on).add_middleware(wait) as client:
        await client.track(ADA, "a")

    assert server.total("rudderstack") == 1


async def test_a_sync_middleware_may_return_the_result_of_next(server: DevServer) -> None:
    def pass_on(payload: Payload, next: Next) -> Any:
        return next(payload)

    async def wait(payload: Payload, next: Next) -> None:
        await asyncio.sleep(0)
        await next(payload)

    client = Client(rudderstack(server)).add_middleware(pass_on).add_middleware(pass_on).add_middleware(wait)
    async with client:
        await client.track(ADA, "a")

    assert server.total("rudderstack") == 1


async def test_coroutines_left_over_by_a_failing_middleware_are_closed(server: DevServer) -> None:
    async def never_run(payload: Payload, next: Next) -> None:
        await next(payload)

    def fail_after(payload: Payload, next: Next) -> None:
        next(payload)
        raise ValueError

    async with Client(rudderstack(server)).add_middleware(fail_after).add_middleware(never_run) as client:
        assert (await (await client.track(ADA, "a")))["RudderStack"].reason == "middleware error"


async def test_middleware_may_track_events_itself(server: DevServer) -> None:
    client = Client(rudderstack(server))

    async def audit(payload: Payload, next: Next) -> None:
        if not payload.extra:
            await client.track(ADA, "audit", extra={"audit": True})
        await next(payload)

    async with client.add_middleware(audit):
        await client.track(ADA, "a")

    assert [body["event"] for body in bodies(server)] == ["audit", "a"]


def renamed(event: Event) -> Event | None:
    """Drop events named "secret", fail on those named "odd", and rename the rest."""
    if not isinstance(event, Track) or event.name == "odd":
        raise TypeError
    return None if event.name == "secret" else attrs.evolve(event, name=f"{event.name}!")


async def test_a_map_changes_events_and_drops_them(server: DevServer) -> None:
    async with Client(rudderstack(server)).add_middleware(map_events(renamed)) as client:
        receipts = [await client.track(ADA, name) for name in ("a", "secret", "odd")]
        deliveries = [(await receipt)["RudderStack"] for receipt in receipts]

    assert [(delivery.status, delivery.reason) for delivery in deliveries] == [
        ("delivered", ""),
        ("dropped", "middleware"),
        ("dropped", "middleware error"),
    ]
    assert [(body["event"], body["messageId"]) for body in bodies(server)] == [("a!", receipts[0].event_id)]
    assert "middleware changed name" in receipts[0].explain()


async def test_a_map_that_makes_an_event_invalid_drops_only_that_event(server: DevServer) -> None:
    broken = map_events(lambda event: Track(event.user, "b", {"k": object()}))

    async with Client(rudderstack(server)).add_middleware(broken) as client:
        assert (await (await client.track(ADA, "a")))["RudderStack"].reason == "middleware error"
        with pytest.raises(InvalidEventError):
            await client.track(ADA, "a", {"the caller's mistake": object()})


async def test_maps_run_in_order_with_other_middleware(server: DevServer) -> None:
    async def shout(payload: Payload, next: Next) -> None:
        assert isinstance(payload.event, Track)
        await next(Payload(attrs.evolve(payload.event, name=str(payload.event.name).upper()), payload.extra))

    keep = map_events(lambda event: event)
    client = Client(rudderstack(server)).add_middleware(map_events(renamed)).add_middleware(shout)
    async with client.add_middleware(keep).add_middleware(map_events(renamed)).add_middleware(keep):
        await client.track(ADA, "a")
        await client.track(ADA, "secret")

    assert [body["event"] for body in bodies(server)] == ["A!!"]


async def test_an_event_that_a_map_drops_reaches_no_other_map(server: DevServer) -> None:
    client = (
        Client(rudderstack(server)).add_middleware(map_events(lambda event: None)).add_middleware(map_events(renamed))
    )
    async with client:
        assert (await (await client.track(ADA, "odd")))["RudderStack"].reason == "middleware"


def test_map_events_takes_a_function() -> None:
    with pytest.raises(ConfigurationError, match="a function that is given an event"):
        map_events("drop")  # type: ignore[arg-type]


def test_add_middleware_takes_a_function() -> None:
    with pytest.raises(ConfigurationError, match="function"):
        Client().add_middleware("redact")  # type: ignore[arg-type] # the mistake under test


async def test_redact_replaces_values_at_any_depth(server: DevServer) -> None:
    async with Client(rudderstack(server)).add_middleware(redact("password", "iban")) as client:
        await client.track(ADA, "a", {"password": "secret", "accounts": [{"iban": "NL91", "name": "x"}]})
        await client.identify(ADA, Identify().set("iban", "NL91").set("plan", "Free"))

    assert bodies(server)[0]["properties"] == {
        "password": "[redacted]",
        "accounts": [{"iban": "[redacted]", "name": "x"}],
    }
    assert bodies(server)[1]["traits"] == {"iban": "[redacted]", "plan": "Free"}


async def test_redact_reaches_a_vendors_own_fields_and_a_revenue(server: DevServer) -> None:
    async with Client(rudderstack(server)).add_middleware(redact("iban")) as client:
        await client.track(ADA, Revenue(1, properties={"iban": "NL91"}), integrations={"Amplitude": {"iban": "NL91"}})

    assert "NL91" not in str(bodies(server))


def test_redact_takes_names() -> None:
    with pytest.raises(ConfigurationError, match="names of keys"):
        redact()


async def test_sample_keeps_or_drops_all_events_of_a_user(server: DevServer) -> None:
    async with Client(rudderstack(server)).add_middleware(sample(0.5)) as client:
        for n in range(100):
            await client.track(f"user-{n}", "first")
            await client.track(f"user-{n}", "second")

    users = {"first": set(), "second": set()}  # type: dict[str, set[str]]
    for event in server.accepted("rudderstack"):
        users[event.name].add(event.user)
    assert users["first"] == users["second"]
    assert 20 < len(users["first"]) < 80


@pytest.mark.parametrize(("rate", "kept"), [(0.0, 0), (1.0, 5)])
async def test_sample_can_keep_all_or_none(server: DevServer, rate: float, kept: int) -> None:
    async with Client(rudderstack(server)).add_middleware(sample(rate)) as client:
        for n in range(5):
            await client.track(f"user-{n}", "a")

    assert server.total("rudderstack") == kept


def test_sample_takes_a_rate_from_0_to_1() -> None:
    with pytest.raises(ConfigurationError, match="0 to 1"):
        sample(1.5)


def add_in_place(event: Any) -> None:
    event.properties["tags"].append("b")
    event.properties["total"] = 2


async def change_payload(payload: Payload, next: Next) -> None:
    add_in_place(payload.event)
    await next(payload)


def change_event(event: Event) -> Event:
    add_in_place(event)
    return event


@pytest.mark.parametrize("middleware", [change_payload, map_events(change_event)], ids=["payload", "map_events"])
async def test_a_change_in_place_is_sent_and_leaves_the_callers_objects_alone(
    server: DevServer, middleware: Middleware
) -> None:
    mine: dict[str, Any] = {"tags": ["a"]}
    async with Client(rudderstack(server)).add_middleware(middleware) as client:
        receipt = await client.track(ADA, "a", mine)
        sync = client.put_nowait(Track(ADA, "a", mine))
        await client.flush()

    assert mine == {"tags": ["a"]}
    assert [body["properties"] for body in bodies(server)] == [{"tags": ["a", "b"], "total": 2}] * 2
    assert "middleware changed properties['tags']" in receipt.explain()
    assert "middleware changed properties['total']" in sync.explain()


async def test_an_invalid_change_in_place_costs_the_event_and_raises_nothing(server: DevServer) -> None:
    async def spoil(payload: Payload, next: Next) -> None:
        payload.event.properties["x"] = object()  # type: ignore[union-attr,index]
        await next(payload)

    async with Client(rudderstack(server)).add_middleware(spoil) as client:
        receipt = await client.track(ADA, "a", {})

    assert (await receipt)["RudderStack"].reason == "middleware error"


def test_a_pipeline_shows_what_is_in_it() -> None:
    client = Client().add_middleware(map_events(lambda event: event)).add_middleware(sample(1.0))

    assert repr(client._admission.pipeline) == "<Pipeline 1 maps of 2 functions: no errors>"
