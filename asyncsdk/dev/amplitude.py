"""Amplitude's HTTP V2 and batch APIs: what they answer and what they ingest.

Source: https://amplitude.com/docs/apis/analytics/http-v2 and .../batch-event-upload, read 2026-11-20, and
answers of the live servers quoted in Amplitude-Kotlin #105 and Amplitude-TypeScript #81 (an id that is too
short refuses the request even beside a good one). A request is ingested whole or not at all. Where events
have faults of several kinds, the answer names one kind, so that a client meets the next one in the next
round.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

import attrs
import orjson

from asyncsdk.dev.exchange import (
    Answer,
    BrokenBodyError,
    Json,
    OversizedBodyError,
    ReceivedEvent,
    RefusedError,
    Request,
    Route,
    gunzip,
    json_answer,
    refuse_all,
)
from asyncsdk.dev.rates import Window

EVENT_LIMIT = 2000
BODY_LIMITS = {"/2/httpapi": 1_000_000, "/batch": 20_000_000}
"""Most bytes of a body after gunzip, by path."""
DEPTH_LIMIT = 40
MIN_ID_LENGTH = 5
DAY = 86_400.0

INVALID_JSON = "Invalid JSON request body"
_TEXTS = {403: "Forbidden", 405: "Method not allowed", 413: "Payload too large"}
_REFUSED_IDS = frozenset(
    ["anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "", "{}", "lmy47d", "0", "-1"]
)
_ALL_ZERO = re.compile(r"[0-]+")

Check = Callable[[Json], bool]
Indices = dict[str, list[int]]


def is_integer(value: Json) -> bool:
    """Tell an integer from a boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Json) -> bool:
    """Accept integers and floats."""
    return is_integer(value) or isinstance(value, float)


def is_text(value: Json) -> bool:
    """Accept strings."""
    return isinstance(value, str)


def is_id(value: Json) -> bool:
    """Accept strings that Amplitude takes for the id of somebody."""
    return isinstance(value, str) and value not in _REFUSED_IDS and not _ALL_ZERO.fullmatch(value)


def is_properties(value: Json) -> bool:
    """Accept objects that are not too deep."""
    return isinstance(value, dict) and not _deeper_than(value, DEPTH_LIMIT)


_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(["user_id", "device_id"], is_id),
    **dict.fromkeys(["event_type", "insert_id", "platform", "os_name", "os_version", "app_version"], is_text),
    **dict.fromkeys(["device_brand", "device_manufacturer", "device_model", "carrier"], is_text),
    **dict.fromkeys(["country", "region", "city", "dma", "language", "ip", "library", "currency"], is_text),
    **dict.fromkeys(
        ["productId", "revenueType", "idfa", "idfv", "adid", "android_id", "partner_id"], is_text
    ),
    **dict.fromkeys(["time", "session_id", "event_id", "quantity"], is_integer),
    **dict.fromkeys(["price", "revenue", "location_lat", "location_lng"], is_number),
    **dict.fromkeys(["event_properties", "user_properties", "group_properties", "groups"], is_properties),
    **dict.fromkeys(["plan", "ingestion_metadata"], is_properties),
}
_KINDS = {"$identify": "identify", "$groupidentify": "group identify"}


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
        return Route(self._ingest) if method == "POST" else Route(lambda _: self.refusal(405), ingest=False)

    def refusal(self, status: int) -> Answer:
        """Word an answer of `status` as Amplitude would."""
        return _error(status, _TEXTS.get(status, f"status {status}"), {})

    def _ingest(self, request: Request) -> Answer:
        plain, value, events, usage = request.body, None, list[ReceivedEvent](), Counter[str]()
        try:
            plain = _plain_body(request)
            value = _parse(request, plain)
            self._check_envelope(value)
            events += [_event(event, value["api_key"]) for event in value["events"]]
            _check_events(value)
            self._check_silenced(events)
            usage = self._charge(events, request.now)
        except RefusedError as error:
            refuse_all(events, str(error))
            answer = _error(error.status, str(error), error.details)
        else:
            answer = _ok(len(events), len(plain), request.now)
        return attrs.evolve(answer, events=events, json=value, plain_size=len(plain), usage=usage)

    def _check_envelope(self, value: dict[str, Json]) -> None:
        for field in ("api_key", "events"):
            if not value.get(field):
                raise RefusedError(400, "Request missing required field", {"missing_field": field})
        if self.keys is not None and value["api_key"] not in self.keys:
            raise RefusedError(400, f"Invalid API key: {value['api_key']}")
        if not isinstance(value["events"], list):
            raise RefusedError(400, "Invalid event JSON")
        if len(value["events"]) > EVENT_LIMIT:
            raise RefusedError(413, _TEXTS[413])

    def _check_silenced(self, events: Sequence[ReceivedEvent]) -> None:
        silenced = [
            n for n, event in enumerate(events) if event.body.get("device_id") in self.silenced_devices
        ]
        if silenced:
            for index in silenced:
                events[index].verdict = "rejected: silenced"
            devices = dict.fromkeys(events[index].body["device_id"] for index in silenced)
            raise RefusedError(
                400,
                "Events silenced for device_id",
                {"silenced_devices": list(devices), "silenced_events": silenced},
            )

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
        if throttled or exceeded:
            indices = [
                n for n, both in enumerate(owners) if any(o in throttled or o in exceeded for o in both)
            ]
            raise RefusedError(
                429,
                "Too many requests for some devices and users",
                {
                    "eps_threshold": self.eps_threshold or 0,
                    "throttled_devices": _of("device:", throttled),
                    "throttled_users": _of("user:", throttled),
                    "exceeded_daily_quota_devices": _of("device:", exceeded),
                    "exceeded_daily_quota_users": _of("user:", exceeded),
                    "throttled_events": indices,
                },
            )
        return usage

    def _over_eps(self, usage: Counter[str], now: float) -> dict[str, int]:
        if self.eps_threshold is None:
            return {}
        rates = {who: (self._seconds.used(who, now) + n) / self.eps_window for who, n in usage.items()}
        return {who: math.ceil(rate) for who, rate in rates.items() if rate > self.eps_threshold}

    def _over_quota(self, usage: Counter[str], now: float) -> dict[str, int]:
        if self.daily_quota is None:
            return {}
        totals = {who: self._day.used(who, now) + n for who, n in usage.items()}
        return {who: total for who, total in totals.items() if total > self.daily_quota}


def _plain_body(request: Request) -> bytes:
    plain = request.body
    try:
        if request.headers.get("content-encoding", "").lower() == "gzip":
            plain = gunzip(plain)
    except BrokenBodyError as error:
        raise RefusedError(400, INVALID_JSON) from error
    except OversizedBodyError as error:
        raise RefusedError(413, _TEXTS[413]) from error
    if len(plain) > BODY_LIMITS[request.path]:
        raise RefusedError(413, _TEXTS[413])
    return plain


def _parse(request: Request, plain: bytes) -> dict[str, Json]:
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


def _event(event: Json, api_key: Json) -> ReceivedEvent:
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


def _check_events(value: dict[str, Json]) -> None:
    """Look for the faults Amplitude names.

    Raises:
        RefusedError: Some events have one.
    """
    events: list[Json] = value["events"]
    if not all(isinstance(event, dict) for event in events):
        raise RefusedError(400, "Invalid event JSON")
    options = value.get("options")
    shortest = options.get("min_id_length", MIN_ID_LENGTH) if isinstance(options, dict) else MIN_ID_LENGTH
    for details, text, find in (
        ("events_with_missing_fields", "Request missing required field", _missing),
        ("events_with_invalid_fields", "Invalid field values on some events", _invalid),
        (
            "events_with_invalid_id_lengths",
            "Invalid id length for user_id or device_id",
            partial(_short, shortest),
        ),
    ):
        faults = _by_field(events, find)
        if faults:
            raise RefusedError(400, text, {details: faults})


def _by_field(events: Sequence[dict[str, Json]], find: Callable[[dict[str, Json]], Iterable[str]]) -> Indices:
    faults: Indices = {}
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
        if value is not None and field in _CHECKS and not _CHECKS[field](value):
            yield field


def _short(shortest: int, event: dict[str, Json]) -> Iterable[str]:
    for field in ("user_id", "device_id"):
        if event.get(field) is not None and len(event[field]) < shortest:
            yield field


def _owners(event: dict[str, Json]) -> list[str]:
    return [f"{kind}:{event[f'{kind}_id']}" for kind in ("user", "device") if event.get(f"{kind}_id")]


def _of(prefix: str, counts: dict[str, int]) -> dict[str, int]:
    return {who.removeprefix(prefix): count for who, count in counts.items() if who.startswith(prefix)}


def _deeper_than(value: Json, levels: int) -> bool:
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            child
            for parent in layer
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not layer:
            return False
    return True


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _ok(count: int, size: int, now: float) -> Answer:
    return json_answer(
        200,
        {
            "code": 200,
            "events_ingested": count,
            "payload_size_bytes": size,
            "server_upload_time": int(now * 1000),
        },
    )


def _error(status: int, text: str, details: Mapping[str, Json]) -> Answer:
    return json_answer(status, {"code": status, "error": text, **details})
