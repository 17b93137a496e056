"""Statsig's event log: encodes events and judges responses.

Sources: statsig-python-core 0.24.0 and statsig 0.72.1 (Python), statsig-node 6 (body, headers, users, statuses that are
not retried), and https://docs.statsig.com/api-reference/events/log-custom-events, read 2026-11.

Decisions where they leave a choice:

* `track`: Statsig's `value` is the property `value`, otherwise `revenue`, if it is text or a number; the other
  properties are the `metadata`.
* `page` and `screen`: `value` is the name; `metadata` has `name`, `category` and the properties, which override these.
* Device: a user's `device_id`, otherwise their `anonymous_id`, is Statsig's `stableID`, unless `custom_ids` has one
  (`prepare` of `_model/users.py`, for rules as well).
* `integrations={"Statsig": {...}}`: the object's fields replace those of the event.

There are three ways to encode, from the fastest to the most general:

1. `encode_exposure`, for exposures, joins parts that were encoded before: the exposure, the user and the time.
2. `encode`, for a `track` with plain properties, encodes name and properties and joins them with the encoded user.
3. `encode_any` builds a dictionary of any event.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

from asyncsdk._model.amplitude import Revenue
from asyncsdk._model.bundles import SEPARATOR, count_events
from asyncsdk._model.encoding import to_json
from asyncsdk._model.events import Event, LogEvent, Page, RawEvent, Screen, Track, to_epoch_ms
from asyncsdk._model.exposures import Exposure, SharedUserFields
from asyncsdk._model.user_view import ids_of, prepare, wire_custom
from asyncsdk._model.users import User
from asyncsdk._version import __version__
from asyncsdk.errors import InvalidEventError
from asyncsdk.vendors._answers import judge_by_status
from asyncsdk.vendors._base import Refusal, Request, Response, Verdict
from asyncsdk.vendors._framing import frame_body
from asyncsdk.vendors.statsig.headers import SDK_TYPE, common_headers

PATH = "/v1/log_event"
GZIP_FROM = 1024
EVENT_ID = "asyncsdk_event_id"
# As often as statsig-python-core retries a batch before it drops it. Here the batch is then halved.
MAX_REFUSAL_RETRIES = 5
_NO_SUCH_CALL = Refusal("skipped", "no such call")

Message = dict[str, Any]
# Errors after which the request may or may not have been accepted.
_MAY_HAVE_ARRIVED = frozenset({"timeout", "connection lost"})
# Identifies exposures among chunks: custom events start with `{"time":`.
_EXPOSURE_START = b'{"eventName":"'
_EXPOSURE = _EXPOSURE_START + b'%b","value":null,"metadata":%b,"secondaryExposures":%b,"user":'
_EXPOSURE_END = b',"time":%d,"statsigMetadata":%b'


def encode(event: Event, time_ms: int, shared: SharedUserFields) -> bytes | Refusal:
    """Encode an event as a chunk.

    Args:
        event: A validated event.
        time_ms: Time at which the client accepted it, in milliseconds since 1970; the event's `timestamp` overrides it.
        shared: Fields of every user.

    Returns:
        The chunk, or why Statsig is not sent the event.

    Raises:
        InvalidEventError: A value in the event has no JSON form.
    """
    if type(event) is Track:
        name, properties = event.name, event.properties
        if type(name) is str and properties is not None and "value" not in properties and "revenue" not in properties:
            # The most common event, at two thirds of the cost of a dictionary of all its parts.
            start = _start(time_ms if event.timestamp is None else to_epoch_ms(event.timestamp))
            fields = to_json({"eventName": name, "metadata": properties})[1:-1]
            return b"".join((start, fields, b',"user":', _encode_user(event.user, shared)))
    return encode_any(event, time_ms, shared, None, None)


# Events of one burst share their millisecond, and a cache hit is cheaper than formatting.
@lru_cache(maxsize=2)
def _start(time_ms: int) -> bytes:
    return b'{"time":%d,' % time_ms


def encode_any(
    event: Event, time_ms: int, shared: SharedUserFields, overrides: object, message_id: str | None
) -> bytes | Refusal:
    """Encode any event as a chunk, with overrides and an id.

    Args:
        event: As for `encode`.
        time_ms: As for `encode`.
        shared: As for `encode`.
        overrides: The value for Statsig in `integrations`. If it is an object, its fields replace those of the event.
        message_id: Id to add to the metadata; None adds none.

    Returns:
        As `encode`.

    Raises:
        InvalidEventError: A value in the event has no JSON form.
    """
    fill = _MESSAGES.get(type(event))
    if fill is None:
        return _NO_SUCH_CALL
    message: Message = {"time": time_ms if event.timestamp is None else to_epoch_ms(event.timestamp)}
    refusal = fill(message, event)
    if refusal is not None:
        return refusal
    message["user"] = orjson.Fragment(_encode_user(event.user, shared))
    if overrides is not None and isinstance(overrides, Mapping):
        message.update(overrides)
    if message_id is not None:
        metadata = message.get("metadata")
        message["metadata"] = {**(metadata if isinstance(metadata, Mapping) else {}), EVENT_ID: message_id}
    # The slice copies to the exact size: the encoder's own buffer is several times larger.
    return to_json(message)[:-1]


def frame(chunks: Sequence[bytes], now_ms: int, url: str, secret_key: str, session_id: str) -> Request:
    """Build the request that carries a batch."""
    metadata = {"sdkType": SDK_TYPE, "sdkVersion": __version__, "sessionID": session_id}
    events = count_events(chunks)
    headers = {
        "Content-Type": "application/json",
        **common_headers(secret_key, session_id, now_ms),
        "STATSIG-EVENT-COUNT": str(events),
    }
    body = frame_body(b'{"events":[', chunks, SEPARATOR, b'}],"statsigMetadata":%b}' % orjson.dumps(metadata))
    return Request(url, PATH, headers, body, GZIP_FROM, events=events)


def judge(response: Response, chunks: Sequence[bytes], *, at_most_once: bool = False) -> Verdict:
    """Return what a response means for each chunk. A 2xx with an empty or malformed body is a success.

    Args:
        response: Any response.
        chunks: The chunks of the request.
        at_most_once: Reject custom events that may have arrived instead of sending them again. Exposures are sent
            again in any case, since copies of them do not count.
    """
    count = len(chunks)
    if at_most_once and response.error in _MAY_HAVE_ARRIVED:
        custom = [position for position, chunk in enumerate(chunks) if not chunk.startswith(_EXPOSURE_START)]
        exposures = sorted(set(range(count)).difference(custom))
        reject = dict.fromkeys(custom, f"may have arrived: {response.error}")
        return Verdict(reject=reject, retry=exposures, backoff=True, reason=response.error)
    if 200 <= response.status < 300 and _is_unsuccessful(response.body):
        return Verdict(halve=True, halve_after=MAX_REFUSAL_RETRIES, reason="success: false")
    return judge_by_status(response, count)


def _is_unsuccessful(body: bytes) -> bool:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(answer, dict) and answer.get("success") is False


def encode_exposure(exposed: Exposure, user: User, end: bytes) -> bytes:
    """Encode an exposure as a chunk.

    Args:
        exposed: The gate, config, experiment or layer parameter that the user was shown.
        user: The user.
        end: The result of `encode_exposure_end`, shared by all exposures of one millisecond.

    Raises:
        InvalidEventError: The user has no JSON form.
    """
    if not exposed.start:
        exposed.start = _EXPOSURE % (exposed.event_name.encode(), exposed.metadata, exposed.secondary)
    return b"".join((exposed.start, _encode_user(user, exposed.shared_user_fields), end))


def encode_exposure_end(time_ms: int, sampling: Mapping[str, Any]) -> bytes:
    """Return the encoded end of an exposure: its time, in milliseconds since 1970, and sampling metadata."""
    return _EXPOSURE_END % (time_ms, orjson.dumps(sampling) if sampling else b"{}")


def _encode_user(user: User, shared: SharedUserFields) -> bytes:
    """Return a user as Statsig's JSON, without private attributes; cached on the user."""
    cached = user._encoded
    if cached is None or cached[0] is not shared:
        # The slice copies to the exact size, see above.
        text = to_json(user_fields(user, shared), "user")[:-1] + b"}"
        cached = user._encoded = (shared, text)
    return cached[1]


def user_fields(user: User, shared: SharedUserFields) -> Message:  # noqa: C901, PLR0912 -- a flat list of fields
    """Return the fields that Statsig receives of a user, under its names.

    Raises:
        InvalidEventError: The user has no form on the wire.
    """
    if not (user._view.is_ready or prepare(user)):
        raise InvalidEventError(user._view.fault)
    # Written out, since a loop over a table of fields is 3x slower, and a user is encoded for most events.
    fields: Message = {}
    if user._email is not None:
        fields["email"] = user._email
    if user._ip is not None:
        fields["ip"] = user._ip
    if user._user_agent is not None:
        fields["userAgent"] = user._user_agent
    if user._country is not None:
        fields["country"] = user._country
    if user._locale is not None:
        fields["locale"] = user._locale
    if user._app_version is not None:
        fields["appVersion"] = user._app_version
    custom = None if user._custom is None else wire_custom(user, copies=bool(shared.custom))
    if shared.custom:
        fields["custom"] = {**orjson.loads(shared.custom), **(custom or {})}
    elif custom is not None:
        fields["custom"] = custom
    if user._statsig_environment is not None:
        fields["statsigEnvironment"] = user._statsig_environment
    elif shared.tier is not None:
        fields["statsigEnvironment"] = {"tier": shared.tier}
    if user._user_id:
        fields["userID"] = user._user_id
    ids = ids_of(user)
    if ids is not None:
        fields["customIDs"] = ids
    return fields


def _track(message: Message, event: Track) -> None:
    properties = event.properties
    if isinstance(event.name, Revenue):
        message["eventName"] = event.name.event_type
        properties = {**(properties or {}), **event.name.plain_properties()}
    else:
        message["eventName"] = event.name
    if properties is not None:
        message["metadata"] = properties
        if "value" in properties or "revenue" in properties:
            _lift_value(message, properties)


def _lift_value(message: Message, properties: Mapping[str, Any]) -> None:
    """Move the first property that is valid as Statsig's `value` there."""
    for field in ("value", "revenue"):
        value = properties.get(field)
        if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool):
            message["value"] = value
            message["metadata"] = {key: item for key, item in properties.items() if key != field}
            return


def _page(message: Message, event: Page | Screen) -> None:
    message["eventName"] = "page_view" if isinstance(event, Page) else "screen_view"
    known = {"name": event.name, "category": event.category}
    if event.name is not None:
        message["value"] = event.name
    message["metadata"] = {key: value for key, value in known.items() if value is not None} | dict(
        event.properties or {}
    )


def _log_event(message: Message, event: LogEvent) -> None:
    message["eventName"] = event.name
    if event.value is not None:
        message["value"] = event.value
    if event.metadata is not None:
        message["metadata"] = event.metadata


def _raw(message: Message, event: RawEvent) -> Refusal | None:
    if event.fields["event_type"] in ("$identify", "$groupidentify"):
        return _NO_SUCH_CALL
    message["eventName"] = event.fields["event_type"]
    if event.fields.get("event_properties") is not None:
        message["metadata"] = event.fields["event_properties"]
    if isinstance(time := event.fields.get("time"), int):
        message["time"] = time
    return None


# `IdentifyEvent`, `Group` and `Alias` are missing, since Statsig has no such calls.
_MESSAGES: Mapping[type, Callable[[Message, Any], Refusal | None]] = {
    Track: _track,
    Page: _page,
    Screen: _page,
    LogEvent: _log_event,
    RawEvent: _raw,
}
