"""The call behind the page's "Try it": one event, sent with asyncsdk itself."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asyncsdk.dev import DevServer, Fault
from asyncsdk.dev.control import verbs
from asyncsdk.dev.control.router import Router
from dev.control import call

USER = {"user_id": "ada-lovelace"}


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer() as server:
        yield server


async def send(server: DevServer, verb: str = "track", status: int = 200, **body: Any) -> Any:
    return await call(server, f"verbs/{verb}", {"user": USER, "name": "Order", **body}, status=status)


async def test_the_outcome_at_each_vendor_is_returned(server: DevServer) -> None:
    sent = await send(server, properties={"sku": "teapot"})
    assert {vendor: one["status"] for vendor, one in sent["vendors"].items()} == dict.fromkeys(
        ("statsig", "rudderstack", "amplitude"), "delivered"
    )
    assert {event.id for event in server.events} == {sent["id"]}
    assert "track 'Order'" in sent["explain"]


@pytest.mark.parametrize("verb", verbs.VERBS)
async def test_every_verb_can_be_sent(verb: str, server: DevServer) -> None:
    await send(server, verb, to=["rudderstack"], properties=None if verb == "alias" else {"plan": "pro"})
    assert [event.user for event in server.accepted("rudderstack")] == ["ada-lovelace"]


async def test_log_event_has_a_value(server: DevServer) -> None:
    await send(server, "log_event", value=3, to=["statsig"])
    [event] = server.accepted("statsig")
    assert event.body["value"] == 3


async def test_only_the_chosen_vendors_get_it(server: DevServer) -> None:
    sent = await send(server, to=["amplitude"])
    assert {event.vendor for event in server.events} == {"amplitude"}
    assert sent["vendors"]["statsig"]["status"] == "skipped"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"to": ["segment"]}, "to is a list of statsig, rudderstack, amplitude"),
        ({"to": [{}]}, "to is a list of"),
        ({"user": 3}, "a user is an object"),
        ({"user": {}}, "id"),
        ({"name": ""}, "name"),
        ({"properties": []}, "properties has to be an object"),
    ],
)
async def test_a_mistake_is_named(body: dict[str, Any], error: str, server: DevServer) -> None:
    answer = await send(server, status=400, **body)
    assert error in answer["error"]
    assert server.events == []


async def test_an_unknown_verb_is_named(server: DevServer) -> None:
    answer = await send(server, "shout", status=404)
    assert "verb is one of track, identify" in answer["error"]
    await send(server, "log_event", status=400, value=[])


async def test_an_outcome_that_takes_long_is_pending(server: DevServer) -> None:
    server.fault("amplitude", Fault(end="hang"))
    server._site = type(server._site)(server._site.guard, Router(verbs.routes(lambda: server.url, patience=0.2)))
    sent = await send(server)
    assert sent["vendors"]["rudderstack"]["status"] == "delivered"
    assert sent["vendors"]["amplitude"]["status"] == "pending"
