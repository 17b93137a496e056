"""Events as objects: through each way into a client."""

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from helpers import ADA, rudderstack, statsig, statsig_with_rules

from asyncsdk import Client, InvalidEventError, LogEvent, Receipt, Revenue, Track, redact
from asyncsdk.dev import DevServer


@attrs.frozen
class OrderCompleted:
    sku: str
    revenue: float = 19.95


ORDER = OrderCompleted("A")
Put = Callable[[Client], Any]

WAYS: dict[str, Put] = {
    "track": lambda client: client.track(ADA, ORDER),
    "log_event": lambda client: client.log_event(ADA, ORDER),
    "put_nowait": lambda client: client.put_nowait(Track(ADA, ORDER)),
    "LogEvent": lambda client: client.put_nowait(LogEvent(ADA, ORDER)),
    "bind": lambda client: client.bind(ADA).track(ORDER),
    "thread": lambda client: asyncio.to_thread(client.put_nowait, Track(ADA, ORDER)),
}


async def _arrived(server: DevServer, put: Put, *middleware: Any) -> dict[str, Any]:
    async with Client(rudderstack(server)) as client:
        for one in middleware:
            client.add_middleware(one)
        receipt = put(client)
        receipt = receipt if isinstance(receipt, Receipt) else await receipt
        assert receipt.explain().split("  id")[0].endswith("'Order Completed'")
    [event] = server.accepted("rudderstack")
    assert event.name == "Order Completed"
    properties: dict[str, Any] = event.body["properties"]
    return properties


@pytest.mark.parametrize("way", WAYS)
async def test_an_object_is_its_name_and_properties(server: DevServer, way: str) -> None:
    assert await _arrived(server, WAYS[way]) == {"sku": "A", "revenue": 19.95}


async def test_properties_beside_an_object_are_added_to_its_own(server: DevServer) -> None:
    sent = await _arrived(server, lambda client: client.track(ADA, ORDER, {"sku": "B", "page": 2}))

    assert sent == {"sku": "B", "revenue": 19.95, "page": 2}


async def test_a_second_object_may_be_the_properties(server: DevServer) -> None:
    sent = await _arrived(server, lambda client: client.track(ADA, ORDER, OrderCompleted("B", 1)))

    assert sent == {"sku": "B", "revenue": 1}


async def test_middleware_sees_a_name_and_a_mapping(server: DevServer) -> None:
    sent = await _arrived(server, lambda client: client.track(ADA, ORDER), redact("sku"))

    assert sent == {"sku": "[redacted]", "revenue": 19.95}


@attrs.frozen
class Checkout:
    feature_flags: str = "mine"


async def test_an_object_of_bound_flags_carries_them_unless_it_has_its_own(server: DevServer) -> None:
    async with Client(statsig_with_rules(), rudderstack(server), close_timeout=0.5) as client:
        flags = client.bind(ADA)
        flags.check_gate("open")
        receipts = [flags.track(event) for event in (ORDER, Checkout(), Revenue(4.99))]

    sent = [receipt.event.properties for receipt in receipts if isinstance(receipt.event, Track)]
    opened = {"feature_flags": {"open": True}}
    assert sent == [opened | {"sku": "A", "revenue": 19.95}, {"feature_flags": "mine"}, opened]


async def test_statsig_gets_the_value_of_an_object_s_revenue(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        await client.track(ADA, ORDER)

    [event] = server.accepted("statsig")
    assert (event.name, event.body["value"]) == ("Order Completed", 19.95)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (OrderCompleted, "`event` is the class OrderCompleted: pass an instance of it"),
        ({"sku": "A"}, "must be a name that is not empty, a Revenue, or an instance of a dataclass"),
        (ADA, "must be a name that is not empty, a Revenue, or an instance of a dataclass"),
        ("", "must be a name that is not empty, a Revenue, .*; it is empty"),
        (None, "must be a name that is not empty, a Revenue, .*, not None"),
    ],
)
async def test_anything_else_raises_at_the_call(server: DevServer, event: Any, message: str) -> None:
    async with Client(rudderstack(server)) as client:
        with pytest.raises(InvalidEventError, match=message):
            await client.track(ADA, event)
