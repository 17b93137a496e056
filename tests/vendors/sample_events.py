"""Destinations and sample events for the vendors' tests."""

import inspect
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import attrs
import orjson

import asyncsdk.vendors
from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.events import Alias, Event, Group, IdentifyEvent, LogEvent, Page, RawEvent, Screen, Track
from asyncsdk._model.users import User
from asyncsdk.vendors._base import Destination, Refusal

KEY = "secret-key-of-nobody"
MESSAGE_ID = "5c1a1f6e-6f6c-4c1b-9a50-2b8a5d0f0e11"
NOW_MS = 1_795_205_771_414
NOW = "2026-11-20T20:16:11.414Z"

ADA = User(
    "ada-1815", ip="10.0.0.1", user_agent="curl/8", locale="en-GB", anonymous_id="visitor-1", device_id="device-1"
)


def destination_classes() -> list[type]:
    """Return every class in `asyncsdk.vendors` that is a destination, so that a new one is tested without being listed."""
    modules = [
        import_module(module.name) for module in pkgutil.walk_packages(asyncsdk.vendors.__path__, "asyncsdk.vendors.")
    ]
    found = {
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value) and value is not Destination and _is_destination(value)
    }
    return sorted(found, key=lambda kind: kind.__name__)


def _is_destination(kind: type) -> bool:
    return all(callable(getattr(kind, method, None)) for method in ("encode", "frame", "judge"))


def make(kind: type, **settings: Any) -> Any:
    """Create a destination of any class: parameters named like URLs get an address, other required ones a key."""
    needed = [field.name for field in attrs.fields(kind) if field.init and field.default is attrs.NOTHING]
    known = {name: "https://vendor.example.com" if name.endswith("url") else KEY for name in needed}
    return kind(**known | settings)


def event(destination: Destination, given: Event, **settings: Any) -> dict[str, Any]:
    """Encode an event and decode the JSON."""
    chunk = destination.encode(attrs.evolve(given, **settings), MESSAGE_ID, NOW_MS)
    assert not isinstance(chunk, Refusal), chunk
    decoded: dict[str, Any] = orjson.loads(chunk + b"}")
    return decoded


def framed(destination: Destination, chunks: list[bytes]) -> list[dict[str, Any]]:
    """Return the events in a request's body: the only list in it."""
    body: Mapping[str, Any] = orjson.loads(destination.frame(chunks, NOW_MS).body)
    lists = [value for value in body.values() if isinstance(value, list)]
    assert len(lists) == 1
    return list(lists[0])


EVENTS: list[Event] = [
    IdentifyEvent(ADA),
    IdentifyEvent(ADA, {"plan": "pro"}),
    IdentifyEvent(ADA, Identify().set("plan", "pro").add("visits", 1)),
    Track(ADA, "Item Viewed"),
    Track(ADA, "Item Viewed", {"revenue": 19.95, "shippingMethod": "Premium"}),
    Track(ADA, Revenue(4.99, 3)),
    Page(ADA),
    Page(ADA, "Pizza", {"url": "https://dominos.com"}, category="Food"),
    Screen(ADA, "Home"),
    Group(ADA, 1),
    Group(ADA, "1", {"name": "Company"}),
    Group(ADA, "1", Identify().set("name", "Company")),
    Alias("old", ADA),
    LogEvent(ADA, "add_to_cart", 19.99, {"sku": "A"}),
    RawEvent({"event_type": "Node.js Event", "user_id": "ada-1815", "location_lat": 37.77, "time": 1}, ADA),
    RawEvent({"event_type": "$identify", "user_id": "ada-1815", "user_properties": {"$set": {"a": 1}}}, ADA),
]
