"""Defaults for the properties and the context of events: of the client, of a request, of the event."""

import contextvars
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from helpers import ADA, amplitude, rudderstack, statsig
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk import (
    Alias,
    Client,
    ConfigurationError,
    Event,
    Group,
    IdentifyEvent,
    InvalidEventError,
    LogEvent,
    Page,
    RawEvent,
    Screen,
    Track,
)
from asyncsdk._model.event_defaults import EventDefaults, fill
from asyncsdk.dev import DevServer

RAW = {"event_type": "x", "user_id": "ada-lovelace"}


async def sent(server: DevServer, client: Client, *events: Event) -> list[dict[str, Any]]:
    """Return what RudderStack got for events."""
    async with client:
        for event in events:
            client.put_nowait(event)
        await client.flush()
    return [event.body for event in server.accepted("rudderstack")]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Track(ADA, "x"), {"app": "shop"}),
        (Track(ADA, "x", {"sku": "A"}), {"app": "shop", "sku": "A"}),
        (Track(ADA, "x", {"app": "mine"}), {"app": "mine"}),
        (Track(ADA, "x", {"app": None}), {"app": None}),
        (Page(ADA, "x", {"sku": "A"}), {"app": "shop", "sku": "A"}),
        (Screen(ADA, "x"), {"app": "shop"}),
        (LogEvent(ADA, "x", 5, {"sku": "A"}), {"app": "shop", "sku": "A", "value": 5}),
        (RawEvent(RAW), {"app": "shop"}),
        (RawEvent({**RAW, "event_properties": {"app": "mine"}}), {"app": "mine"}),
        (IdentifyEvent(ADA, {"plan": "pro"}), None),
        (Group(ADA, "acme"), None),
        (Alias("old", ADA), None),
    ],
)
async def test_events_get_the_client_s_properties(server: DevServer, event: Event, expected: Any) -> None:
    [body] = await sent(server, Client(rudderstack(server), properties={"app": "shop"}), event)

    assert body.get("properties") == expected


@pytest.mark.parametrize(
    "event", [Track(ADA, "x"), IdentifyEvent(ADA, {}), Group(ADA, "a"), Alias("b", ADA), Page(ADA)]
)
async def test_all_events_get_the_client_s_context(server: DevServer, event: Event) -> None:
    event = attrs.evolve(event, context={"app": {"name": "mine"}})
    defaults = {"app": {"name": "shop", "version": 1}, "region": "eu"}

    [body] = await sent(server, Client(rudderstack(server), context=defaults), event)

    assert {key: body["context"][key] for key in ("app", "region")} == {"app": {"name": "mine"}, "region": "eu"}


async def test_a_context_wins_over_the_fields_of_the_user(server: DevServer) -> None:
    client = Client(rudderstack(server), context={"locale": "nl"})

    [body] = await sent(server, client, Track({"userID": "ada-lovelace", "locale": "en"}, "x"))

    assert body["context"]["locale"] == "nl"


async def test_all_vendors_get_properties(server: DevServer) -> None:
    async with Client(statsig(server), amplitude(server), properties={"app": "shop"}) as client:
        await client.track(ADA, "x")
        await client.flush()

    assert server.accepted("amplitude")[0].body["event_properties"] == {"app": "shop"}
    assert server.accepted("statsig")[0].body["metadata"]["app"] == "shop"


async def test_groups_of_amplitude_have_no_properties(server: DevServer) -> None:
    async with Client(amplitude(server), properties={"app": "shop"}) as client:
        await client.log_event({**RAW, "event_type": "$identify", "user_properties": {"$set": {"a": 1}}})
        await client.flush()

    assert "event_properties" not in server.accepted("amplitude")[0].body


async def test_a_function_is_called_for_each_event_where_the_verb_is(server: DevServer) -> None:
    request_id: contextvars.ContextVar[int] = contextvars.ContextVar("request_id", default=0)

    async with Client(rudderstack(server), properties=lambda: {"request": request_id.get()}) as client:
        await client.track(ADA, "x")
        request_id.set(7)
        await client.track(ADA, "x")
        await client.flush()

    assert [event.body["properties"] for event in server.accepted("rudderstack")] == [{"request": 0}, {"request": 7}]


@pytest.mark.parametrize("function", [lambda: 1 / 0, lambda: 5, lambda: [("a", 1)]])
async def test_a_function_that_fails_adds_nothing(
    server: DevServer, caplog: pytest.LogCaptureFixture, function: Any
) -> None:
    client = Client(rudderstack(server), properties=function, context={"region": "eu"})

    bodies = await sent(server, client, Track(ADA, "x"), Track(ADA, "x"))

    assert [("properties" in body, body["context"]["region"]) for body in bodies] == [(False, "eu")] * 2
    [error] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert error.startswith("a function given to properties failed (logged once for each kind of error)")


async def test_a_function_may_return_none(server: DevServer) -> None:
    [body] = await sent(server, Client(rudderstack(server), properties=lambda: None), Track(ADA, "x"))

    assert "properties" not in body


async def test_layers_win_in_the_order_in_which_they_are_added(server: DevServer) -> None:
    client = Client(rudderstack(server), properties={"a": 0, "b": 0, "c": 0})
    client.add_event_defaults({"b": 1, "c": 1}).add_event_defaults(lambda: {"c": 2}, {"region": "eu"})

    [body] = await sent(server, client, Track(ADA, "x", {"d": 3}))

    assert body["properties"] == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert body["context"]["region"] == "eu"


async def test_flags_have_defaults_of_their_own(server: DevServer) -> None:
    async with Client(rudderstack(server), properties={"a": 0, "b": 0}, context={"x": 0}) as client:
        flags = client.bind(ADA, properties={"b": 1, "c": 1}, context={"y": 1})
        flags.track("x", {"c": 2})
        client.bind(ADA, context={"x": 2}).track("x")
        await client.flush()

    first, second = (event.body for event in server.accepted("rudderstack"))
    assert (first["properties"], first["context"]["x"], first["context"]["y"]) == ({"a": 0, "b": 1, "c": 2}, 0, 1)
    assert (second["properties"], second["context"]["x"]) == ({"a": 0, "b": 0}, 2)


@pytest.mark.parametrize("wrong", [{"properties": 5}, {"context": [1]}])
async def test_wrong_defaults_of_flags_are_an_invalid_event(wrong: Any) -> None:
    async with Client(on_invalid="report") as client:
        [name] = wrong
        assert client.bind(ADA, **wrong).track("x").error.startswith(f"`{name}` must be an object (a mapping)")
        assert client.bind(None, **wrong).track("x").error  # type: ignore[arg-type]


async def test_middleware_sees_them(server: DevServer) -> None:
    from asyncsdk import redact

    client = Client(rudderstack(server), properties={"app": "shop"}).add_middleware(redact("app"))

    [body] = await sent(server, client, Track(ADA, "x"))

    assert body["properties"]["app"] != "shop"


async def test_an_async_middleware_sees_them(server: DevServer) -> None:
    async def forward(payload: Any, proceed: Any) -> None:
        await proceed(payload)

    async with Client(rudderstack(server), properties={"app": "shop"}).add_middleware(forward) as client:
        receipt = await client.track(ADA, "x")

    assert receipt.event.properties == {"app": "shop"}  # type: ignore[union-attr]


async def test_the_caller_s_event_and_mapping_are_not_changed(server: DevServer) -> None:
    mine, event = {"app": {"name": "shop"}}, Track(ADA, "x", {"sku": "A"})
    client = Client(rudderstack(server), properties=mine)
    mine["app"]["name"] = "other"

    [body] = await sent(server, client, event)

    assert body["properties"]["app"] == {"name": "shop"}
    assert event.properties == {"sku": "A"}


@pytest.mark.parametrize("wrong", [5, "x", [("a", 1)], {"a": object()}, dict])
@pytest.mark.parametrize("name", ["properties", "context"])
def test_wrong_defaults_of_a_client_raise(name: str, wrong: Any) -> None:
    if wrong is dict:

        async def wrong() -> dict[str, Any]:
            return {}

    with pytest.raises(ConfigurationError, match=f"`{name}"):
        Client(**{name: wrong})
    with pytest.raises(ConfigurationError, match=f"`{name}"):
        Client().add_event_defaults(**{name: wrong})


async def test_the_same_functions_are_added_once_and_can_be_removed(server: DevServer) -> None:
    calls: list[int] = []

    def properties() -> Mapping[str, Any]:
        calls.append(1)
        return {"app": "shop"}

    client = Client(rudderstack(server)).add_event_defaults(properties).add_event_defaults(properties)
    await sent(server, client, Track(ADA, "x"))
    assert len(calls) == 1

    assert not client.off((properties, None))._admission.defaults  # type: ignore[arg-type]


async def test_properties_that_cannot_be_read_are_refused_as_ever(server: DevServer) -> None:
    class Hostile(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise OSError("no")

        __iter__ = __len__ = __getitem__  # type: ignore[assignment]

    async with Client(rudderstack(server), properties={"app": "shop"}) as client:
        with pytest.raises(InvalidEventError):
            await client.track(ADA, "x", Hostile())


VALUES = st.dictionaries(st.sampled_from("abcd"), st.integers(), max_size=4)


@given(st.lists(VALUES, max_size=3), VALUES | st.none(), st.sampled_from([Track, Page, Screen]))
def test_the_last_layer_with_a_key_wins(layers: list[dict[str, int]], own: dict[str, int] | None, kind: Any) -> None:
    expected: dict[str, int] = {}
    for values in [*layers, own or {}]:
        expected |= values

    filled = fill(kind(ADA, "x", own), tuple(EventDefaults(one, one) for one in layers))

    assert dict(filled.properties or {}) == expected
    assert dict(filled.context or {}) == {key: value for values in layers for key, value in values.items()}
