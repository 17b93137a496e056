"""Amplitude's HTTP V2 and batch APIs: what they answer and what they ingest.

Source: https://amplitude.com/docs/apis/analytics/http-v2 and .../batch-event-upload, read 2026-11-20. A
request is ingested whole or not at all.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import attrs
import orjson

from asyncsdk.dev.amplitude_events import check_events, judge
from asyncsdk.dev.messages import (
    BrokenBodyError,
    IncomingRequest,
    Json,
    OversizedBodyError,
    ReceivedEvent,
    RefusedError,
    Reply,
    Route,
    gunzip,
    json_answer,
    refuse_all,
)
from asyncsdk.dev.rate_limits import Window

EVENT_LIMIT = 2000
BODY_LIMITS = {"/2/httpapi": 1_000_000, "/batch": 20_000_000}
"""Most bytes of a body after gunzip, by path."""
DAY = 86_400.0

INVALID_JSON = "Invalid JSON request body"
TOO_LARGE = "Payload too large"
THROTTLED = "Too many requests for some devices and users"
SILENCED = "Events silenced for device_id"

_TEXTS = {403: "Forbidden", 405: "Method not allowed", 413: TOO_LARGE, 429: THROTTLED}


@attrs.frozen
class AmplitudeServer:
    """An imitated Amplitude.

    Attributes:
        keys: The API keys it knows; None: any.
        eps_threshold: Most events per second of one user or device, over `eps_window`; None: no limit.
        eps_window: In seconds.
        daily_quota: Most events of one user or device in 24 hours; None: no limit.
        silenced_devices: Device ids whose events are refused.
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
        """What ingested events are charged to; nothing while no limit is set."""
        return () if self.eps_threshold is self.daily_quota is None else (self._seconds, self._day)

    def route(self, method: str, path: str) -> Route | None:
        """Find the endpoint; None if the path is another vendor's."""
        if path not in BODY_LIMITS:
            return None
        return Route(self._ingest) if method == "POST" else Route(lambda _: self.refusal(405), may_fail=False)

    def refusal(self, status: int) -> Reply:
        """Word an answer of `status` as Amplitude would."""
        return _error(status, _TEXTS.get(status, f"status {status}"), {})

    def _ingest(self, request: IncomingRequest) -> Reply:
        plain, value, events, usage = request.body, None, list[ReceivedEvent](), Counter[str]()
        try:
            plain = _plain_body(request)
            value = _parse(request, plain)
            self._check_envelope(value)
            events += [judge(event, value["api_key"]) for event in value["events"]]
            check_events(value["events"], value.get("options"))
            self._check_silenced(events)
            usage = self._charge(events, request.now)
        except RefusedError as error:
            refuse_all(events, error)
            answer = _error(error.status, str(error), error.details)
        else:
            answer = _ok(len(events), len(plain), request.now)
        return attrs.evolve(answer, events=events, json=value, plain_size=len(plain), usage=usage)

    def _check_envelope(self, value: dict[str, Json]) -> None:
        for field in ("api_key", "events"):
            if not value.get(field):
                raise RefusedError(400, "Request missing required field", {"missing_field": field})
        key = value["api_key"]
        if not isinstance(key, str) or (self.keys is not None and key not in self.keys):
            raise RefusedError(400, f"Invalid API key: {key}")
        if not isinstance(value["events"], list):
            raise RefusedError(400, "Invalid event JSON")
        if len(value["events"]) > EVENT_LIMIT:
            raise RefusedError(413, TOO_LARGE)

    def _check_silenced(self, events: Sequence[ReceivedEvent]) -> None:
        devices = {n: event.body.get("device_id") for n, event in enumerate(events)}
        silenced = {n: device for n, device in devices.items() if device in self.silenced_devices}
        if silenced:
            details = {
                "silenced_devices": list(dict.fromkeys(silenced.values())),
                "silenced_events": list(silenced),
            }
            raise RefusedError(400, SILENCED, details, dict.fromkeys(silenced, SILENCED))

    def _charge(self, events: Sequence[ReceivedEvent], now: float) -> Counter[str]:
        """Count the events of each user and device.

        Raises:
            RefusedError: Somebody has too many.
        """
        if not self.windows:
            return Counter()
        owners = [_owners(event.body) for event in events]
        usage = Counter(owner for both in owners for owner in both)
        throttled, exceeded = self._over_eps(usage, now), self._over_quota(usage, now)
        guilty = throttled.keys() | exceeded.keys()
        if guilty:
            indices = [n for n, both in enumerate(owners) if not guilty.isdisjoint(both)]
            details = {
                "eps_threshold": self.eps_threshold or 0,
                "throttled_devices": _of("device:", throttled),
                "throttled_users": _of("user:", throttled),
                "exceeded_daily_quota_devices": _of("device:", exceeded),
                "exceeded_daily_quota_users": _of("user:", exceeded),
                "throttled_events": indices,
            }
            raise RefusedError(429, THROTTLED, details, dict.fromkeys(indices, THROTTLED))
        return usage

    def _over_eps(self, usage: Mapping[str, int], now: float) -> dict[str, int]:
        if self.eps_threshold is None:
            return {}
        rates = {who: (self._seconds.used(who, now) + n) / self.eps_window for who, n in usage.items()}
        return {who: math.ceil(rate) for who, rate in rates.items() if rate > self.eps_threshold}

    def _over_quota(self, usage: Mapping[str, int], now: float) -> dict[str, int]:
        if self.daily_quota is None:
            return {}
        totals = {who: self._day.used(who, now) + n for who, n in usage.items()}
        return {who: total for who, total in totals.items() if total > self.daily_quota}


def _plain_body(request: IncomingRequest) -> bytes:
    plain = request.body
    try:
        if request.headers.get("content-encoding", "").lower() == "gzip":
            plain = gunzip(plain)
    except BrokenBodyError as error:
        raise RefusedError(400, INVALID_JSON) from error
    except OversizedBodyError as error:
        raise RefusedError(413, TOO_LARGE) from error
    if len(plain) > BODY_LIMITS[request.path]:
        raise RefusedError(413, TOO_LARGE)
    return plain


def _parse(request: IncomingRequest, plain: bytes) -> dict[str, Json]:
    if not plain:
        raise RefusedError(400, "Missing request body")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(400, INVALID_JSON)
    try:
        value = orjson.loads(plain)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, INVALID_JSON) from error
    if not isinstance(value, dict):
        raise RefusedError(400, INVALID_JSON)
    return value


def _owners(event: dict[str, Json]) -> list[str]:
    return [f"{kind}:{event[f'{kind}_id']}" for kind in ("user", "device") if event.get(f"{kind}_id")]


def _of(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    return {who.removeprefix(prefix): count for who, count in counts.items() if who.startswith(prefix)}


def _ok(count: int, size: int, now: float) -> Reply:
    sizes = {"events_ingested": count, "payload_size_bytes": size}
    return json_answer(200, {"code": 200, **sizes, "server_upload_time": int(now * 1000)})


def _error(status: int, text: str, details: Mapping[str, Json]) -> Reply:
    return json_answer(status, {"code": status, "error": text, **details})
