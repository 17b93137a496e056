"""Amplitude's HTTP V2 and batch APIs: their replies, and the events that they ingest.

A request is ingested as a whole or not at all. The checks run in this order, and the first that fails is the reply:

1. body: compression, size, JSON
2. envelope: required fields, API key, number of events
3. events (`amplitude_events.py`)
4. silenced devices
5. rate limits: events per second and events per day, of each user and each device

Source: https://amplitude.com/docs/apis/analytics/http-v2 and .../batch-event-upload, read 2026-11-20.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import attrs
import orjson

from asyncsdk.dev.amplitude_events import check_events, received_event
from asyncsdk.dev.messages import (
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

EVENT_LIMIT = 2000
BODY_LIMITS = {"/2/httpapi": 1_000_000, "/batch": 20_000_000}
"""Maximum size of a body after gunzip, in bytes, by path."""
DAY = 86_400.0  # seconds

INVALID_JSON = "Invalid JSON request body"
TOO_LARGE = "Payload too large"
THROTTLED = "Too many requests for some devices and users"
SILENCED = "Events silenced for device_id"

_TEXTS = {403: "Forbidden", 405: "Method not allowed", 413: TOO_LARGE, 429: THROTTLED}


@attrs.frozen
class AmplitudeServer:
    """An imitated Amplitude.

    Attributes:
        keys: The API keys that it accepts; None accepts any.
        eps_threshold: Maximum events per second of one user or device, averaged over `eps_window`; None is no limit.
        eps_window: Length of that window, in seconds.
        daily_quota: Maximum events of one user or device in 24 hours; None is no limit.
        silenced_devices: Device ids whose events are rejected.
    """

    keys: Collection[str] | None = attrs.field(default=None, repr=False)
    eps_threshold: int | None = None
    eps_window: float = 30.0
    daily_quota: int | None = None
    silenced_devices: Collection[str] = ()
    name: str = attrs.field(default="amplitude", init=False)
    _seconds: Window = attrs.field(init=False, repr=False)
    _day: Window = attrs.field(factory=partial(Window, DAY), init=False, repr=False)

    @_seconds.default
    def _window_of_seconds(self) -> Window:
        return Window(self.eps_window)

    @property
    def windows(self) -> Sequence[Window]:
        """The windows that ingested events are charged to; none if no limit is set."""
        # Without a limit nothing is counted, so that memory does not grow with users.
        return () if self.eps_threshold is self.daily_quota is None else (self._seconds, self._day)

    def route(self, method: str, path: str) -> Route | None:
        """Return the endpoint of a path; None if Amplitude does not have that path."""
        if path not in BODY_LIMITS:
            return None
        return Route(self._ingest) if method == "POST" else Route(lambda _: self.error_reply(405), may_fail=False)

    def error_reply(self, status: int) -> Reply:
        """Build Amplitude's error reply of a status."""
        return _error(status, _TEXTS.get(status, f"status {status}"), {})

    def _ingest(self, request: IncomingRequest) -> Reply:
        # Filled step by step: an error reply has what was read before the check that failed.
        plain, value, events, usage = request.body, None, list[ReceivedEvent](), Counter[str]()
        try:
            plain = _plain_body(request)
            value = _parse(request, plain)
            self._check_envelope(value)
            events += [received_event(event, value["api_key"]) for event in value["events"]]
            check_events(value["events"], value.get("options"))
            self._check_silenced(events)
            usage = self._charge(events, request.now)
        except RejectedRequestError as error:
            mark_rejected(events, error)
            reply = _error(error.status, str(error), error.details)
        else:
            reply = _ok(len(events), len(plain), request.now)
        return attrs.evolve(reply, events=events, json=value, plain_size=len(plain), usage=usage)

    def _check_envelope(self, value: dict[str, Json]) -> None:
        for field in ("api_key", "events"):
            # Amplitude treats empty values as missing.
            if not value.get(field):
                raise RejectedRequestError(400, "Request missing required field", {"missing_field": field})
        key = value["api_key"]
        if not isinstance(key, str) or (self.keys is not None and key not in self.keys):
            raise RejectedRequestError(400, f"Invalid API key: {key}")
        if not isinstance(value["events"], list):
            raise RejectedRequestError(400, "Invalid event JSON")
        if len(value["events"]) > EVENT_LIMIT:
            raise RejectedRequestError(413, TOO_LARGE)

    def _check_silenced(self, events: Sequence[ReceivedEvent]) -> None:
        devices = {n: event.body.get("device_id") for n, event in enumerate(events)}
        silenced = {n: device for n, device in devices.items() if device in self.silenced_devices}
        if silenced:
            details = {
                "silenced_devices": list(dict.fromkeys(silenced.values())),
                "silenced_events": list(silenced),
            }
            raise RejectedRequestError(400, SILENCED, details, dict.fromkeys(silenced, SILENCED))

    def _charge(self, events: Sequence[ReceivedEvent], now: float) -> Counter[str]:
        """Count the request's events by user and device.

        Raises:
            RejectedRequestError: A user or a device exceeds a limit.
        """
        if not self.windows:
            return Counter()
        owners = [_owners(event.body) for event in events]
        usage = Counter(owner for event_owners in owners for owner in event_owners)
        # The request's own events count as well: it is rejected if it would exceed a limit.
        throttled, exceeded = self._over_eps(usage, now), self._over_quota(usage, now)
        exceeding = throttled.keys() | exceeded.keys()
        if exceeding:
            indices = [n for n, event_owners in enumerate(owners) if not exceeding.isdisjoint(event_owners)]
            details = {
                "eps_threshold": self.eps_threshold or 0,
                "throttled_devices": _of("device:", throttled),
                "throttled_users": _of("user:", throttled),
                "exceeded_daily_quota_devices": _of("device:", exceeded),
                "exceeded_daily_quota_users": _of("user:", exceeded),
                "throttled_events": indices,
            }
            raise RejectedRequestError(429, THROTTLED, details, dict.fromkeys(indices, THROTTLED))
        return usage

    def _over_eps(self, usage: Mapping[str, int], now: float) -> dict[str, int]:
        if self.eps_threshold is None:
            return {}
        rates = {owner: (self._seconds.used(owner, now) + n) / self.eps_window for owner, n in usage.items()}
        return {owner: math.ceil(rate) for owner, rate in rates.items() if rate > self.eps_threshold}

    def _over_quota(self, usage: Mapping[str, int], now: float) -> dict[str, int]:
        if self.daily_quota is None:
            return {}
        totals = {owner: self._day.used(owner, now) + n for owner, n in usage.items()}
        return {owner: total for owner, total in totals.items() if total > self.daily_quota}


def _plain_body(request: IncomingRequest) -> bytes:
    plain = request.body
    # The limit applies to the decompressed body.
    try:
        if request.headers.get("content-encoding", "").lower() == "gzip":
            plain = gunzip(plain)
    except BrokenBodyError as error:
        raise RejectedRequestError(400, INVALID_JSON) from error
    except OversizedBodyError as error:
        raise RejectedRequestError(413, TOO_LARGE) from error
    if len(plain) > BODY_LIMITS[request.path]:
        raise RejectedRequestError(413, TOO_LARGE)
    return plain


def _parse(request: IncomingRequest, plain: bytes) -> dict[str, Json]:
    if not plain:
        raise RejectedRequestError(400, "Missing request body")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RejectedRequestError(400, INVALID_JSON)
    try:
        value = orjson.loads(plain)
    except orjson.JSONDecodeError as error:
        raise RejectedRequestError(400, INVALID_JSON) from error
    if not isinstance(value, dict):
        raise RejectedRequestError(400, INVALID_JSON)
    return value


def _owners(event: dict[str, Json]) -> list[str]:
    return [f"{kind}:{event[f'{kind}_id']}" for kind in ("user", "device") if event.get(f"{kind}_id")]


def _of(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    return {owner.removeprefix(prefix): count for owner, count in counts.items() if owner.startswith(prefix)}


def _ok(count: int, size: int, now: float) -> Reply:
    sizes = {"events_ingested": count, "payload_size_bytes": size}
    return json_reply(200, {"code": 200, **sizes, "server_upload_time": int(now * 1000)})


def _error(status: int, text: str, details: Mapping[str, Json]) -> Reply:
    return json_reply(status, {"code": status, "error": text, **details})
