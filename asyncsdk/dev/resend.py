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
class Said:
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


def said_of(event: ReceivedEvent, now_ms: int) -> Said:
    """Return what a stored event says.

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
    return Said(verb, event.user, event.name, fields, now_ms, event.id or str(uuid.uuid4()), body.get("value"))


def request_for(vendor: str, said: Said, now: float) -> IncomingRequest | None:
    """Return the request that carries an event to a vendor; None if the vendor has no such call.

    Args:
        vendor: The vendor.
        said: The event.
        now: The current time, in seconds since the epoch.
    """
    build = {"rudderstack": _rudderstack, "amplitude": _amplitude, "statsig": _statsig}[vendor]
    made = build(said)
    if made is None:
        return None
    path, body, headers = made
    headers = {"content-type": "application/json", "user-agent": "asyncsdk-dev", **headers}
    return IncomingRequest("POST", path, {}, headers, orjson.dumps(body), now=now)


_Made = tuple[str, Json, Mapping[str, str]] | None


def _rudderstack(said: Said) -> _Made:
    body: dict[str, Json] = {
        "type": "track" if said.verb == "log_event" else said.verb,
        "userId": said.user,
        "messageId": said.id,
    }
    if said.verb in ("track", "log_event"):
        body |= {"event": said.name, "properties": said.properties}
    elif said.verb in ("page", "screen"):
        body |= {"name": said.name, "properties": said.properties}
    elif said.verb == "alias":
        body |= {"previousId": said.name}
    else:
        body |= {"traits": said.properties} | ({"groupId": said.name} if said.verb == "group" else {})
    return "/v1/batch", {"batch": [body]}, {"authorization": f"Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}"}


def _amplitude(said: Said) -> _Made:
    event: dict[str, Json] = {"user_id": said.user, "insert_id": said.id, "time": said.time_ms}
    if said.verb == "alias":
        return None
    if said.verb == "identify":
        event |= {"event_type": "$identify", "user_properties": {"$set": said.properties}}
    elif said.verb == "group":
        event |= {"event_type": "$groupidentify", "groups": {"group": said.name}}
        event |= {"group_properties": {"$set": said.properties}}
    else:
        event |= {"event_type": _title(said), "event_properties": said.properties}
    return "/2/httpapi", {"api_key": KEY, "events": [event]}, {}


def _statsig(said: Said) -> _Made:
    if said.verb in ("identify", "group", "alias"):
        return None
    name = {"page": "page_view", "screen": "screen_view"}.get(said.verb, said.name)
    event = {"eventName": name, "user": {"userID": said.user}, "time": said.time_ms, "metadata": said.properties}
    value = {} if said.value is None else {"value": said.value}
    return "/v1/log_event", {"events": [event | value]}, {"statsig-api-key": KEY}


def _title(said: Said) -> str:
    word = {"page": "Page", "screen": "Screen"}.get(said.verb)
    return said.name if word is None else f"Viewed {said.name} {word}"


def _amplitude_verb(event: ReceivedEvent, body: Mapping[str, Json]) -> tuple[str, Json]:
    kinds = (("identify", "identify", "user_properties"), ("group identify", "group", "group_properties"))
    for kind, verb, field in kinds:
        if event.kind == kind:
            operations = body.get(field)
            return verb, operations.get("$set") if isinstance(operations, dict) else None
    return "track", body.get("event_properties")
