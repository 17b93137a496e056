"""Amplitude's checks of single events.

Source: https://amplitude.com/docs/apis/analytics/http-v2, read 2026-11-20, and replies of the live servers quoted in
Amplitude-Kotlin #105 and Amplitude-TypeScript #81: an id that is too short rejects the request even if the event's
other id is valid.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from asyncsdk.dev.messages import RejectedRequestError
from asyncsdk.dev.received_event import Json, ReceivedEvent

DEPTH_LIMIT = 40
MIN_ID_LENGTH = 5

_KINDS = {"$identify": "identify", "$groupidentify": "group identify"}
# Values that Amplitude does not accept as ids, since faulty clients send them for many users.
_REFUSED_IDS = frozenset(
    ["anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "", "{}", "lmy47d", "0", "-1"]
)
_ALL_ZERO = re.compile(r"[0-]+")


def received_event(event: Json, api_key: Json) -> ReceivedEvent:
    """Build the record of an event, which is accepted unless its request is rejected."""
    body = event if isinstance(event, dict) else {}
    user, device, insert_id = (_text(body.get(field)) for field in ("user_id", "device_id", "insert_id"))
    name = _text(body.get("event_type"))
    return ReceivedEvent(
        vendor="amplitude",
        id=insert_id,
        user=user or device,
        kind=_KINDS.get(name, "event"),
        name=name,
        body=event,
        stored=event,
        # Without a device id Amplitude derives one from the user id.
        key=("amplitude", str(api_key), device or f"user:{user}", insert_id) if insert_id else None,
    )


def check_events(events: Sequence[Json], options: Json) -> None:
    """Check all events of a request.

    If events have faults of several kinds, the reply names the first kind only, as Amplitude does: a client sees the
    next kind in the reply to its next request.

    Args:
        events: The events, of any JSON type.
        options: The request's `options`, which may have a `min_id_length`.

    Raises:
        RejectedRequestError: At least one event is invalid.
    """
    not_objects = [index for index, event in enumerate(events) if not isinstance(event, dict)]
    if not_objects:
        text = "Invalid event JSON"
        raise RejectedRequestError(400, text, blamed=dict.fromkeys(not_objects, text))
    for key, text, find in (
        ("events_with_missing_fields", "Request missing required field", _missing),
        ("events_with_invalid_fields", "Invalid field values on some events", _invalid),
        (
            "events_with_invalid_id_lengths",
            "Invalid id length for user_id or device_id",
            partial(_short_ids, _min_id_length(options)),
        ),
    ):
        faults = _by_field(events, find)
        if faults:
            blamed = {index: f"{text}: {field}" for field, indices in faults.items() for index in indices}
            raise RejectedRequestError(400, text, {key: faults}, blamed)


def is_text(value: Json) -> bool:
    """Return whether a value is a string."""
    return isinstance(value, str)


def is_integer(value: Json) -> bool:
    """Return whether a value is an integer, not a boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Json) -> bool:
    """Return whether a value is an integer or a float."""
    return is_integer(value) or isinstance(value, float)


def is_id(value: Json) -> bool:
    """Return whether a value is a string that Amplitude accepts as a user or device id."""
    return isinstance(value, str) and value not in _REFUSED_IDS and not _ALL_ZERO.fullmatch(value)


def is_properties(value: Json) -> bool:
    """Return whether a value is an object with at most `DEPTH_LIMIT` levels."""
    return isinstance(value, dict) and _depth(value) <= DEPTH_LIMIT


# Fields that are not listed are accepted with any value.
_CHECKS: Mapping[str, Callable[[Json], bool]] = {
    field: check
    for check, fields in (
        (is_id, "user_id device_id"),
        (is_text, "event_type insert_id platform os_name os_version app_version device_brand"),
        (is_text, "device_manufacturer device_model carrier country region city dma language ip library"),
        (is_text, "currency productId revenueType idfa idfv adid android_id partner_id"),
        (is_integer, "time session_id event_id quantity"),
        (is_number, "price revenue location_lat location_lng"),
        (is_properties, "event_properties user_properties group_properties groups plan ingestion_metadata"),
    )
    for field in fields.split()
}


def _by_field(
    events: Sequence[dict[str, Json]], find: Callable[[dict[str, Json]], Iterable[str]]
) -> dict[str, list[int]]:
    faults: dict[str, list[int]] = {}
    for index, event in enumerate(events):
        for field in find(event):
            faults.setdefault(field, []).append(index)
    return faults


def _missing(event: dict[str, Json]) -> Iterable[str]:
    if not event.get("event_type"):
        yield "event_type"
    if event.get("user_id") is None and event.get("device_id") is None:
        yield from ("user_id", "device_id")


def _invalid(event: dict[str, Json]) -> Iterable[str]:
    for field, value in event.items():
        # null counts as missing.
        if value is not None and field in _CHECKS and not _CHECKS[field](value):
            yield field


def _short_ids(min_length: int, event: dict[str, Json]) -> Iterable[str]:
    for field in ("user_id", "device_id"):
        if event.get(field) is not None and len(event[field]) < min_length:
            yield field


def _min_id_length(options: Json) -> int:
    length = options.get("min_id_length") if isinstance(options, dict) else None
    return length if isinstance(length, int) else MIN_ID_LENGTH


def _depth(value: Json) -> int:
    """Return the number of levels of objects and arrays, counting no further than `DEPTH_LIMIT` + 1."""
    # Level by level instead of recursively, and cut off: a body may be nested deeper than Python's stack allows.
    depth, layer = 0, [value]
    while layer and depth <= DEPTH_LIMIT:
        depth += 1
        inner = (child for parent in layer for child in _children(parent))
        layer = [child for child in inner if isinstance(child, dict | list)]
    return depth


def _children(parent: Json) -> Iterable[Json]:
    return parent.values() if isinstance(parent, dict) else parent


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
