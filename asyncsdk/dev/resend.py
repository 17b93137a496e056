"""Events in the form of a vendor: those that a person sends from the page, and stored ones of another vendor. Pure.

It shares no code with the codecs of `asyncsdk.vendors`; what it writes is what the vendors' pages document.
"""

import base64
import uuid
from collections.abc import Mapping

import attrs
import orjson

from asyncsdk.dev.messages import IncomingRequest
from asyncsdk.dev.received_event import Json, ReceivedEvent

KEY = "resent-key"
VERBS = ("track", "identify", "page", "screen", "group", "alias", "log_event")


@attrs.frozen
class PlainEvent:
    """One event, independent of vendors.

    Attributes:
        verb: One of `VERBS`.
        user: The user id.
        name: Name of the event, page or group; the previous id of an alias.
        properties: Its properties or traits.
        time_ms: Its time, in milliseconds since 1970.
        id: Its id.
        value: The value of a `log_event`.
    """

    verb: str
    user: str
    name: str = ""
    properties: Mapping[str, Json] = attrs.field(factory=dict)
    time_ms: int = 0
    id: str = attrs.field(factory=lambda: str(uuid.uuid4()))
    value: Json = None


def plain_event(event: ReceivedEvent, now_ms: int) -> PlainEvent:
    """Return a stored event, without what is special to its vendor.

    Args:
        event: The event.
        now_ms: Time to send it with, in milliseconds since 1970.
    """
    body: Mapping[str, Json] = event.body if isinstance(event.body, dict) else {}
    verb, properties = event.kind, body.get("properties")
    if event.vendor == "amplitude":
        verb, properties = _amplitude_verb(event, body)
    elif event.vendor == "statsig":
        verb, properties = "log_event", body.get("metadata")
    elif verb in ("identify", "group"):
        properties = body.get("traits")
    verb = verb if verb in VERBS else "track"
    fields = properties if isinstance(properties, dict) else {}
    return PlainEvent(verb, event.user, event.name, fields, now_ms, event.id or str(uuid.uuid4()), body.get("value"))


def request_for(vendor: str, event: PlainEvent, now: float) -> IncomingRequest | None:
    """Return the request that carries an event to a vendor; None if the vendor has no such call.

    Args:
        vendor: The vendor.
        event: The event.
        now: The current time, in seconds since the epoch.
    """
    build = {"rudderstack": _rudderstack, "amplitude": _amplitude, "statsig": _statsig}[vendor]
    made = build(event)
    if made is None:
        return None
    path, body, headers = made
    headers = {"content-type": "application/json", "user-agent": "asyncsdk-dev", **headers}
    return IncomingRequest("POST", path, {}, headers, orjson.dumps(body), now=now)


_Made = tuple[str, Json, Mapping[str, str]] | None


def _rudderstack(event: PlainEvent) -> _Made:
    body: dict[str, Json] = {
        "type": "track" if event.verb == "log_event" else event.verb,
        "userId": event.user,
        "messageId": event.id,
    }
    if event.verb in ("track", "log_event"):
        body |= {"event": event.name, "properties": event.properties}
    elif event.verb in ("page", "screen"):
        body |= {"name": event.name, "properties": event.properties}
    elif event.verb == "alias":
        body |= {"previousId": event.name}
    else:
        body |= {"traits": event.properties} | ({"groupId": event.name} if event.verb == "group" else {})
    return "/v1/batch", {"batch": [body]}, {"authorization": f"Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}"}


def _amplitude(event: PlainEvent) -> _Made:
    body: dict[str, Json] = {"user_id": event.user, "insert_id": event.id, "time": event.time_ms}
    if event.verb == "alias":
        return None
    if event.verb == "identify":
        body |= {"event_type": "$identify", "user_properties": {"$set": event.properties}}
    elif event.verb == "group":
        body |= {"event_type": "$groupidentify", "groups": {"group": event.name}}
        body |= {"group_properties": {"$set": event.properties}}
    else:
        body |= {"event_type": _title(event), "event_properties": event.properties}
    return "/2/httpapi", {"api_key": KEY, "events": [body]}, {}


def _statsig(event: PlainEvent) -> _Made:
    if event.verb in ("identify", "group", "alias"):
        return None
    name = {"page": "page_view", "screen": "screen_view"}.get(event.verb, event.name)
    body = {"eventName": name, "user": {"userID": event.user}, "time": event.time_ms, "metadata": event.properties}
    value = {} if event.value is None else {"value": event.value}
    return "/v1/log_event", {"events": [body | value]}, {"statsig-api-key": KEY}


def _title(event: PlainEvent) -> str:
    word = {"page": "Page", "screen": "Screen"}.get(event.verb)
    return event.name if word is None else f"Viewed {event.name} {word}"


def _amplitude_verb(event: ReceivedEvent, body: Mapping[str, Json]) -> tuple[str, Json]:
    kinds = (("identify", "identify", "user_properties"), ("group identify", "group", "group_properties"))
    for kind, verb, field in kinds:
        if event.kind == kind:
            operations = body.get(field)
            return verb, operations.get("$set") if isinstance(operations, dict) else None
    return "track", body.get("event_properties")
