"""RudderStack's gateway: its replies, and the events that it stores.

The checks run in this order, and the first that fails is the reply to the whole batch:

1. write key
2. body: compression, JSON
3. events: a JSON object with a user id or an anonymous id
4. rate limit
5. size of the body, and at least one event

Two things differ from the gateway: the rate limit is a sliding window instead of a leaky bucket, and de-duplication, an
option of RudderStack's server, is always on, so that a `messageId` is accepted once.

Source: https://github.com/rudderlabs/rudder-server (gateway/, f2655fbb of 2026-08-19): order of checks, texts, limits.
"""

import base64
import binascii
import hashlib
import uuid
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import attrs
import orjson

from asyncsdk.dev import go_json
from asyncsdk.dev.messages import (
    TEXT,
    BrokenBodyError,
    IncomingRequest,
    OversizedBodyError,
    RejectedRequestError,
    Reply,
    Route,
    gunzip,
    json_reply,
    mark_rejected,
)
from asyncsdk.dev.rate_limits import Window
from asyncsdk.dev.received_event import Json, ReceivedEvent

CALLS = ("identify", "track", "page", "screen", "group", "alias", "merge")
BODY_LIMIT = 4_096_000
"""Maximum size of a body after gunzip, in bytes."""

INVALID_JSON = "invalid json"
REJECTED = "rejected: "
NO_IDENTITY = "request neither has anonymousId nor userId"
NO_EVENT = "event is not a valid rudder event"
TOO_LARGE = "request size exceeds max limit"

_TEXTS = {
    404: "source is disabled",
    413: TOO_LARGE,
    429: "max requests limit reached",
    500: "tx error",
    503: "Service Unavailable",
    504: "gateway timeout",
}
_WITHOUT_IDENTITY = ("extract", "record")
# Letters and marks without a glyph, which the gateway removes. `str.isprintable` is False for all other invisible ones.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


@attrs.frozen
class RudderStackServer:
    """An imitated RudderStack data plane.

    Attributes:
        keys: The write keys that it accepts; None accepts any.
        disabled_keys: Write keys of disabled sources.
        rate_limit: Maximum events of one write key in `rate_window` seconds; None is no limit.
        rate_window: Length of that window, in seconds.
        windows: The window that ingested events are charged to; none without a limit.
    """

    keys: Collection[str] | None = attrs.field(default=None, repr=False)
    disabled_keys: Collection[str] = attrs.field(default=(), repr=False)
    rate_limit: int | None = None
    rate_window: float = 60.0
    windows: Sequence[Window] = attrs.field(init=False, repr=False)
    name: str = attrs.field(default="rudderstack", init=False)

    @windows.default
    def _windows(self) -> Sequence[Window]:
        return () if self.rate_limit is None else (Window(self.rate_window),)

    def route(self, method: str, path: str) -> Route | None:
        """Return the endpoint of a path; None if the gateway does not have that path."""
        allowed, route = self._endpoint(path)
        if route is None or method == allowed:
            return route
        return Route(lambda _: Reply(405, headers={"Allow": allowed}), may_fail=False)

    def error_reply(self, status: int) -> Reply:
        """Build the gateway's error reply of a status."""
        return _error(status, _TEXTS.get(status, f"status {status}"))

    def _endpoint(self, path: str) -> tuple[str, Route | None]:
        if path == "/v1/batch":
            return "POST", Route(partial(self._ingest, call=None))
        if path == "/beacon/v1/batch":
            return "POST", Route(partial(self._ingest, call=None, beacon=True))
        if path.removeprefix("/v1/") in CALLS:
            return "POST", Route(partial(self._ingest, call=path.removeprefix("/v1/")))
        if path == "/health":
            return "GET", Route(_health, may_fail=False)
        return "", None

    def _ingest(self, request: IncomingRequest, call: str | None, *, beacon: bool = False) -> Reply:
        # Filled step by step: an error reply has what was read before the check that failed.
        plain, value, events, key = b"", None, list[ReceivedEvent](), ""
        try:
            key = self._write_key(request, beacon=beacon)
            plain = _plain_body(request)
            value = _parse(plain)
            events += received_events(_messages(value, call), request)
            check_events(events)
            self._check_rate(key, len(events), request.now)
            _check_size(len(plain), len(events))
        except RejectedRequestError as error:
            mark_rejected(events, error)
            reply = _error(error.status, str(error))
        else:
            reply = Reply(200, b"ok", {"Content-Type": TEXT})
        return attrs.evolve(
            reply,
            events=events,
            json=value,
            plain_size=len(plain) or len(request.body),
            usage={key: len(events)},
        )

    def _write_key(self, request: IncomingRequest, *, beacon: bool) -> str:
        key = request.query.get("writeKey", "") if beacon else _basic_user(request.headers.get("authorization", ""))
        if not key:
            raise RejectedRequestError(401, f"failed to read writekey from {'query params' if beacon else 'header'}")
        # A disabled key need not be in `keys`.
        if key in self.disabled_keys:
            raise RejectedRequestError(404, _TEXTS[404])
        if self.keys is not None and key not in self.keys:
            raise RejectedRequestError(401, "invalid write key")
        return key

    def _check_rate(self, key: str, count: int, now: float) -> None:
        for window in self.windows:
            if self.rate_limit is not None and window.used(key, now) + count > self.rate_limit:
                raise RejectedRequestError(429, _TEXTS[429])


def received_events(messages: Sequence[Json], request: IncomingRequest) -> list[ReceivedEvent]:
    """Build the record of each message, with the verdict on it alone."""
    now = datetime.fromtimestamp(request.now, UTC)
    received_at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    address = request.headers.get("x-forwarded-for", request.peer).split(",")[0].strip()
    return [_event(message, received_at, address) for message in messages]


def check_events(events: Sequence[ReceivedEvent]) -> None:
    """Reject the request if any of its events is invalid; the reply has the reason of the first.

    Raises:
        RejectedRequestError: At least one event is invalid.
    """
    invalid = {index: event.verdict for index, event in enumerate(events) if event.verdict != "accepted"}
    if invalid:
        blamed = {index: verdict.removeprefix(REJECTED) for index, verdict in invalid.items()}
        raise RejectedRequestError(400, next(iter(blamed.values())), blamed=blamed)


def rudder_id(user: str, anonymous: str) -> str:
    """Return the `rudderId` that the gateway derives from the cleaned ids."""
    digest = hashlib.md5(f"{user}:{anonymous}".encode(), usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest, version=4))


def clean(text: str) -> str:
    """Remove invisible characters, then leading and trailing spaces."""
    if text.isascii() and text.isprintable():
        return text.strip(" ")
    return "".join(char for char in text if char.isprintable() and char not in _BLANK).strip(" ")


def identity(value: Json) -> str:
    """Return a `userId` or `anonymousId` of any JSON type as text; `""` means that there is none.

    Raises:
        RejectedRequestError: It is nested deeper than about 250 levels.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        # In full, without an exponent.
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    try:
        # Go's encoder sorts keys.
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError as error:
        raise RejectedRequestError(400, INVALID_JSON) from error


def _event(message: Json, received_at: str, address: str) -> ReceivedEvent:
    if not isinstance(message, dict):
        return ReceivedEvent("rudderstack", "", "", "", "", message, None, verdict=REJECTED + NO_EVENT)
    user, anonymous = identity(message.get("userId")), identity(message.get("anonymousId"))
    kind = message.get("type")
    sent_id = message.get("messageId")
    message_id = (clean(sent_id) if isinstance(sent_id, str) else "") or str(uuid.uuid4())
    # A message may have its own time and address, but not its own `rudderId`.
    stored = {"receivedAt": received_at, "request_ip": address, **message}
    stored |= {"messageId": message_id, "rudderId": rudder_id(user, anonymous)}
    has_identity = user or anonymous or kind in _WITHOUT_IDENTITY
    return ReceivedEvent(
        vendor="rudderstack",
        id=message_id,
        user=user or anonymous,
        kind=kind if isinstance(kind, str) else "",
        name=_name(message),
        body=message,
        stored=stored,
        key=("rudderstack", message_id),
        verdict="accepted" if has_identity else REJECTED + NO_IDENTITY,
    )


def _name(message: dict[str, Json]) -> str:
    for field in ("event", "name", "groupId", "previousId"):
        if isinstance(name := message.get(field), str):
            return name
    return ""


def _messages(value: Json, call: str | None) -> Sequence[Json]:
    if call is not None:
        # The endpoints of single calls accept one object: a list is one message, and an invalid one.
        if isinstance(value, list):
            return [value]
        return [{**(value if isinstance(value, dict) else {}), "type": call}]
    batch = value.get("batch") if isinstance(value, dict) else None
    if batch is None:
        return ()
    return batch if isinstance(batch, list) else [batch]


def _basic_user(authorization: str) -> str:
    # The user of basic authentication is the write key; the password is empty.
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _plain_body(request: IncomingRequest) -> bytes:
    if not request.body or request.headers.get("content-encoding") != "gzip":
        return request.body
    try:
        return gunzip(request.body)
    except BrokenBodyError as error:
        raise RejectedRequestError(500, "failed to read body from request") from error
    except OversizedBodyError as error:
        raise RejectedRequestError(413, TOO_LARGE) from error


def _parse(plain: bytes) -> Json:
    try:
        return go_json.loads(plain)
    except BrokenBodyError as error:
        raise RejectedRequestError(400, INVALID_JSON) from error


def _check_size(size: int, count: int) -> None:
    if size > BODY_LIMIT:
        raise RejectedRequestError(413, TOO_LARGE)
    if not count:
        raise RejectedRequestError(400, "empty batch payload")


def _health(_: IncomingRequest) -> Reply:
    return json_reply(200, {"appType": "GATEWAY", "server": "UP", "db": "UP", "acceptingEvents": "TRUE"})


def _error(status: int, text: str) -> Reply:
    return Reply(status, f"{text}\n".encode(), {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"})
