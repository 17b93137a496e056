"""Statsig's event log: its replies, and the verdict on each event.

Statsig replies 202 even if events are invalid, so the verdict `rejected` is the only sign of an invalid event. Rules
are served by `statsig_rules.py`.

Source: statsig-python-core 0.24.0 and https://docs.statsig.com/api-reference/events/log-custom-events, read 2026-11-20.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import attrs
import orjson

from asyncsdk.dev import content_coding
from asyncsdk.dev.messages import (
    BrokenBodyError,
    IncomingRequest,
    OversizedBodyError,
    RejectedRequestError,
    Reply,
    Route,
    UnsupportedCodingError,
    json_reply,
)
from asyncsdk.dev.rate_limits import Window
from asyncsdk.dev.received_event import Json, ReceivedEvent

EVENT_ID = "asyncsdk_event_id"
"""Key of an event's id in its `metadata`. The dev server detects duplicates by it; Statsig itself detects none."""

_INTERNAL = "statsig::"
# Internal events that SDKs send without a user.
_USERLESS = (f"{_INTERNAL}diagnostics", f"{_INTERNAL}non_exposed_checks")


@attrs.frozen
class StatsigServer:
    """A simulated Statsig.

    Attributes:
        keys: The server secret keys that it accepts; None accepts any.
    """

    keys: Collection[str] | None = attrs.field(default=None, repr=False)
    windows: Sequence[Window] = attrs.field(default=(), init=False, repr=False)
    name: str = attrs.field(default="statsig", init=False)

    def route(self, method: str, path: str) -> Route | None:
        """Return the endpoint of a path; None if the event log does not have that path."""
        handle = _POST.get(path)
        if handle is None:
            return None
        if method != "POST":
            return Route(lambda _: self.error_reply(405), may_fail=False)
        # Faults are for events: reports of SDK exceptions always succeed.
        return Route(lambda request: handle(self, request), may_fail=handle is _log_event)

    def error_reply(self, status: int) -> Reply:
        """Build Statsig's error reply for a status."""
        return statsig_error(status, f"status {status}")

    def check_key(self, request: IncomingRequest, body: Json = None) -> None:
        """Check the key of a request: in its header, in the query as `k`, or in the body's `statsigMetadata`.

        Raises:
            RejectedRequestError: The request has no key, or one that is not accepted.
        """
        key = request.headers.get("statsig-api-key") or request.query.get("k") or _key_in(body)
        if not key or (self.keys is not None and key not in self.keys):
            raise RejectedRequestError(401, "Invalid SDK Key")


def _log_event(server: StatsigServer, request: IncomingRequest) -> Reply:
    value, plain = None, request.body
    try:
        if not _may_have_key_in_body(request):
            server.check_key(request)
        plain = _plain_body(request)
        value = _parse(plain)
        server.check_key(request, value)
        events = [_event(event) for event in value["events"]]
    except RejectedRequestError as error:
        return attrs.evolve(statsig_error(error.status, str(error)), json=value, plain_size=len(plain))
    return attrs.evolve(json_reply(202, {"success": True}), events=events, json=value, plain_size=len(plain))


def _may_have_key_in_body(request: IncomingRequest) -> bool:
    return not (request.headers.get("statsig-api-key") or request.query.get("k")) and bool(request.body)


def _key_in(body: Json) -> str:
    """Return the key that a body has as `sdkKey`, by itself or in `statsigMetadata`; `""` if it has none."""
    if not isinstance(body, dict):
        return ""
    metadata = body.get("statsigMetadata")
    found = body.get("sdkKey") or (metadata.get("sdkKey") if isinstance(metadata, dict) else None)
    return found if isinstance(found, str) else ""


def _sdk_exception(server: StatsigServer, request: IncomingRequest) -> Reply:
    try:
        server.check_key(request)
    except RejectedRequestError as error:
        return statsig_error(error.status, str(error))
    return json_reply(202, {"success": True})


_POST: Mapping[str, Callable[[StatsigServer, IncomingRequest], Reply]] = {
    "/v1/log_event": _log_event,
    "/v1/rgstr": _log_event,
    "/v1/sdk_exception": _sdk_exception,
}


def _event(event: Json) -> ReceivedEvent:
    if not isinstance(event, dict):
        return ReceivedEvent("statsig", "", "", "", "", event, None, verdict="rejected: not an object")
    name = event.get("eventName")
    name = name if isinstance(name, str) else ""
    metadata = event.get("metadata")
    event_id = metadata.get(EVENT_ID) if isinstance(metadata, dict) else None
    fault = _fault(event)
    return ReceivedEvent(
        vendor="statsig",
        id=str(event_id or ""),
        user=_user(event.get("user")),
        kind=name.removeprefix(_INTERNAL) if name.startswith(_INTERNAL) else "event",
        name=_name(name, metadata),
        body=event,
        stored=event,
        key=("statsig", event_id) if isinstance(event_id, str) else None,
        verdict=f"rejected: {fault}" if fault else "accepted",
    )


def _fault(event: dict[str, Json]) -> str:
    name = event.get("eventName")
    if not isinstance(name, str) or not name:
        return "eventName is not a string"
    if not isinstance(event.get("time"), int) or isinstance(event["time"], bool):
        return "time is not an integer"
    if not isinstance(event.get("user"), dict) and name not in _USERLESS:
        return "user is not an object"
    return ""


def _name(name: str, metadata: Json) -> str:
    """Return the name of an event; for an exposure, that of its gate, config or layer."""
    if not name.startswith(_INTERNAL) or not isinstance(metadata, dict):
        return name
    return str(metadata.get("gate") or metadata.get("config") or name)


def _user(user: Json) -> str:
    if not isinstance(user, dict):
        return ""
    # The user id, else the first custom id.
    custom = user.get("customIDs")
    ids = [user.get("userID"), *(custom.values() if isinstance(custom, dict) else ())]
    return next((str(value) for value in ids if value not in (None, "")), "")


def _plain_body(request: IncomingRequest) -> bytes:
    try:
        return content_coding.decode(request.body, request.headers.get("content-encoding", ""), request.query)
    except UnsupportedCodingError as error:
        raise RejectedRequestError(415, f"Unsupported Content-Encoding: {error}") from error
    except BrokenBodyError as error:
        raise RejectedRequestError(400, "Invalid request body") from error
    except OversizedBodyError as error:
        raise RejectedRequestError(413, "Payload Too Large") from error


def _parse(plain: bytes) -> dict[str, Json]:
    try:
        value = orjson.loads(plain)
    except orjson.JSONDecodeError as error:
        raise RejectedRequestError(400, "Invalid request body") from error
    if not isinstance(value, dict) or not isinstance(value.get("events"), list):
        raise RejectedRequestError(400, "Invalid request body")
    return value


def statsig_error(status: int, text: str) -> Reply:
    """Build an error reply in Statsig's format."""
    return json_reply(status, {"success": False, "error": text})
