"""Amplitude: its HTTP V2 and batch event upload protocols.

Sources: Amplitude's pages on the HTTP V2, Batch Event Upload and Identify APIs (fields, limits, answers),
and the published `@amplitude/analytics-node` 1.5.73, `@amplitude/node` 1.10.2 and `amplitude-analytics`
1.3.0 (what is really sent; `events_with_invalid_id_lengths`, which no page has), read 2026-11.

What an event becomes, where a vendor's page leaves it open:

* Ids: `device_id` is the user's, else their `anonymous_id`. An event whose `user_id` Amplitude would refuse
  is refused here; a device id that it would refuse is left out if there is a `user_id` (Amplitude refuses
  the whole request for it). RudderStack's `context` is not read.
* Revenue: if `properties` have a number as `revenue`, it and `price`, `quantity`, `currency`, `product_id`
  and `revenue_type` are lifted to the top level, where Amplitude counts them. A `price` alone is not (a
  product that was only viewed earns nothing), as in RudderStack's own Amplitude destination. Unlike there
  the properties keep them, as in Segment's: charts made on either go on working.
* `page` and `screen`: `category` and `name` are also event properties, unless `properties` have their own.
* `group`: with traits it sets the group's properties (`$groupidentify`), without any it puts the user in the
  group (`$identify` with `groups`): Amplitude has a call for each.
* `integrations={"Amplitude": {...}}`: the object's fields replace those of the event.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Literal

import attrs
import orjson

from asyncsdk._model.amplitude import Identify, IngestionMetadata, Plan, Revenue
from asyncsdk._model.encoding import to_json
from asyncsdk._model.events import (
    Event,
    Group,
    IdentifyEvent,
    LogEvent,
    Page,
    RawEvent,
    Screen,
    Track,
)
from asyncsdk._model.events import time_ms as moment
from asyncsdk._model.users import User, text_id
from asyncsdk._version import __version__
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._amplitude_answers import judge
from asyncsdk.vendors._base import Limits, Overflow, Refusal, Request, Response, Verdict
from asyncsdk.vendors._settings import check_key, check_overflow, check_url
from asyncsdk.vendors._times import iso

HTTP_V2, BATCH = "/2/httpapi", "/batch"
HOSTS = {"US": "https://api2.amplitude.com", "EU": "https://api.eu.amplitude.com"}
# Amplitude takes 1 MB, on /batch 20 MB; the rest is for the frame.
LARGEST_EVENT = {HTTP_V2: 990_000, BATCH: 19_990_000}
MOST_EVENTS = 2000
LEAST_ID = 5
GZIP_FROM = 2048
# From the page "Device ID and User ID minimum length": refused whatever their length may be.
REFUSED_IDS = frozenset(
    ("anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "{}", "lmy47d", "0", "-1")
)
_LIBRARY = f"asyncsdk/{__version__}"
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_TOO_SHORT = Refusal("rejected", "id too short")
_REFUSED = Refusal("rejected", "id refused by Amplitude")
_NO_ID = Refusal("rejected", "no id")
_NO_SUCH_CALL = Refusal("skipped", "no such call")
_OPT_OUT = Refusal("skipped", "opt-out")
_TOO_LARGE = Refusal("rejected", "too large")

Message = dict[str, Any]


def _check_least_id(_: object, __: object, length: Any) -> None:
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 1):
        msg = "`min_id_length` must be a whole number above 0"
        raise ConfigurationError(msg)


def _check_zone(_: object, __: object, zone: Any) -> None:
    if str(zone) not in HOSTS:
        msg = "`zone` must be 'US' or 'EU'"
        raise ConfigurationError(msg)


@attrs.frozen
class Amplitude:
    """Events to Amplitude.

    Attributes:
        api_key: The project's API key.
        zone: Where the project lives, `US` or `EU`.
        url: Where to send instead, such as a proxy's address; wins over `zone`, and keeps its query.
        use_batch: Use the batch endpoint: bigger requests and higher rates, but up to 15 minutes until they
            show.
        min_id_length: Least length of ids; None leaves it to Amplitude, which wants 5.
        plan: The tracking plan, for events that do not name their own.
        ingestion_metadata: Which tool the events come through, for events that do not say it themselves.
        opt_out: Send nothing; events are counted as skipped.
        group_type: The kind of group of `group` calls that name none.
        gzip: Compress bodies from 2 KiB on; None: to Amplitude's own addresses only, since proxies stumble
            over it.
        name: What reports and `integrations` call it.
        overflow: What a full queue does: `drop`, `wait` or `raise`.
        limits: Of requests, memory and time. Amplitude takes 2,000 events and 1 MB (batch: 20 MB) a request.

    Raises:
        ConfigurationError: A setting cannot work.
    """

    api_key: str = attrs.field(repr=False, validator=check_key)
    zone: Literal["US", "EU"] = attrs.field(default="US", kw_only=True, validator=_check_zone)
    url: str | None = attrs.field(default=None, kw_only=True, validator=attrs.validators.optional(check_url))
    use_batch: bool = attrs.field(default=False, kw_only=True)
    min_id_length: int | None = attrs.field(default=None, kw_only=True, validator=_check_least_id)
    plan: Plan | None = attrs.field(default=None, kw_only=True)
    ingestion_metadata: IngestionMetadata | None = attrs.field(default=None, kw_only=True)
    opt_out: bool = attrs.field(default=False, kw_only=True)
    group_type: str = attrs.field(default="group", kw_only=True, validator=check_key)
    gzip: bool | None = attrs.field(default=None, kw_only=True)
    name: str = attrs.field(default="Amplitude", kw_only=True, validator=check_key)
    overflow: Overflow = attrs.field(default="drop", kw_only=True, validator=check_overflow)
    limits: Limits = attrs.field(factory=Limits, kw_only=True)
    # Made once of the settings above.
    canonical_path: str = attrs.field(init=False, repr=False, eq=False)
    _address: str = attrs.field(init=False, repr=False, eq=False)
    _largest: int = attrs.field(init=False, repr=False, eq=False)
    _least_id: int = attrs.field(init=False, repr=False, eq=False)
    _defaults: dict[str, dict[str, str]] = attrs.field(init=False, repr=False, eq=False)

    @canonical_path.default
    def _find_path(self) -> str:
        # Defaults come before validators: nothing here may trip over a setting that is refused a moment later.
        path = BATCH if self.use_batch else str(self.url).split("?", 1)[0].rstrip("/")
        return BATCH if path.endswith(BATCH) else HTTP_V2

    @_address.default
    def _find_address(self) -> str:
        return self.url or HOSTS.get(str(self.zone), "") + self.canonical_path

    @_largest.default
    def _find_largest(self) -> int:
        return LARGEST_EVENT[self.canonical_path]

    @_least_id.default
    def _find_least_id(self) -> int:
        return LEAST_ID if self.min_id_length is None else self.min_id_length

    @_defaults.default
    def _find_defaults(self) -> dict[str, dict[str, str]]:
        given = {"plan": self.plan, "ingestion_metadata": self.ingestion_metadata}
        return {name: value.fields() for name, value in given.items() if value is not None}

    def __attrs_post_init__(self) -> None:
        """Check the limits against Amplitude's own."""
        if self.limits.events > MOST_EVENTS or self.limits.bytes > self._largest:
            msg = f"Amplitude takes {MOST_EVENTS} events and {self._largest} bytes a request on {self.canonical_path}"
            raise ConfigurationError(msg)

    forwards: ClassVar[bool] = False

    def encode(self, event: Event, message_id: str, time_ms: int) -> bytes | Refusal:
        """Make Amplitude's event, but for its closing brace."""
        fill = _MESSAGES.get(type(event))
        if self.opt_out or fill is None:
            return _OPT_OUT if self.opt_out else _NO_SUCH_CALL
        message: Message = {
            "time": time_ms if event.timestamp is None else moment(event.timestamp),
            "insert_id": message_id,
        }
        _add_user(message, event.user)
        fill(self, message, event)
        if event.integrations is not None and isinstance(own := event.integrations.get(self.name), Mapping):
            message.update(own)
        if self._defaults:
            self._add_defaults(message)
        message["library"] = _LIBRARY
        refusal = self._settle_ids(message)
        if refusal is not None:
            return refusal
        # A slice is a copy of the exact size: the encoder's own buffer is several times larger.
        chunk = to_json(message)[:-1]
        return chunk if len(chunk) <= self._largest else _TOO_LARGE

    def frame(self, chunks: Sequence[bytes], now_ms: int) -> Request:
        """Put the events into one body, with this attempt's time: an older one would shift the events."""
        rest: Message = {"client_upload_time": iso(now_ms)}
        if self.min_id_length is not None:
            rest["options"] = {"min_id_length": self.min_id_length}
        key = orjson.dumps(self.api_key)
        body = b'{"api_key":%b,"events":[%b}],%b' % (key, b"},".join(chunks), orjson.dumps(rest)[1:])
        compress = self.url in (None, *_OWN_ADDRESSES) if self.gzip is None else self.gzip
        return Request(self._address, self.canonical_path, _HEADERS, body, GZIP_FROM if compress else None)

    def judge(self, response: Response, chunks: Sequence[bytes]) -> Verdict:
        """Go by the answer's own `code`, and by the events, users and devices that it names."""
        return judge(response, chunks, throttled_for=15.0 if self.canonical_path == BATCH else 30.0)

    def _settle_ids(self, message: Message) -> Refusal | None:
        """Make the ids text, and leave out or refuse what Amplitude would refuse."""
        user_id = text_id(message.get("user_id"), "user_id")
        if user_id is None:
            message.pop("user_id", None)
        else:
            message["user_id"] = user_id
        if "device_id" in message:
            device_id = text_id(message.pop("device_id"), "device_id")
            if device_id is not None and (user_id is None or self._fault(device_id) is None):
                message["device_id"] = device_id
        known = user_id or message.get("device_id")
        return _NO_ID if known is None else self._fault(known)

    def _fault(self, value: str) -> Refusal | None:
        if len(value) < self._least_id:
            return _TOO_SHORT
        # A device id of zeros is what a phone gives that was told not to.
        return _REFUSED if value in REFUSED_IDS or (value[0] in "0-" and not value.strip("0-")) else None

    def _add_defaults(self, message: Message) -> None:
        """Fill in the plan and the ingestion metadata, key by key; the event's own win."""
        for name, fields in self._defaults.items():
            own = message.get(name)
            message[name] = fields | dict(own) if isinstance(own, Mapping) else fields if own is None else own


_OWN_ADDRESSES = tuple(host + path for host in HOSTS.values() for path in (HTTP_V2, BATCH))


def _add_user(message: Message, user: User) -> None:
    if user.user_id is not None:
        message["user_id"] = user.user_id
    if user.device_id is not None:
        message["device_id"] = user.device_id
    elif user.anonymous_id is not None:
        message["device_id"] = user.anonymous_id
    if user.ip is not None:
        message["ip"] = user.ip
    if user.user_agent is not None:
        message["user_agent"] = user.user_agent
    if user.locale is not None:
        message["language"] = user.locale


def _identify(_: Amplitude, message: Message, event: IdentifyEvent) -> None:
    message["event_type"] = "$identify"
    message["user_properties"] = _operations(event.traits)


def _operations(traits: Mapping[str, Any] | Identify | None) -> Mapping[str, Any]:
    if isinstance(traits, Identify):
        return traits.user_properties
    return {"$set": traits} if traits else {}


def _track(_: Amplitude, message: Message, event: Track) -> None:
    name, properties = event.name, event.properties
    if isinstance(name, Revenue):
        message["event_type"] = name.event_type
        message["event_properties"] = {**(properties or {}), **name.event_properties}
        return
    message["event_type"] = name
    if properties is not None:
        message["event_properties"] = properties
        if "revenue" in properties:
            _lift_revenue(message, properties)


def _lift_revenue(message: Message, properties: Mapping[str, Any]) -> None:
    """Copy what was earned to where Amplitude counts it; what it would refuse there stays a property only."""
    if not isinstance(properties["revenue"], _NUMBERS) or isinstance(properties["revenue"], bool):
        return
    for source, field, kinds in _REVENUE_FIELDS:
        if source in properties:
            value = properties[source]
            if isinstance(value, kinds) and not isinstance(value, bool):
                message[field] = value


_NUMBERS = (int, float, Decimal)
_REVENUE_FIELDS: tuple[tuple[str, str, tuple[type, ...]], ...] = (
    ("revenue", "revenue", _NUMBERS),
    ("price", "price", _NUMBERS),
    ("quantity", "quantity", (int,)),
    ("currency", "currency", (str,)),
    ("product_id", "productId", (str,)),
    ("productId", "productId", (str,)),
    ("revenue_type", "revenueType", (str,)),
    ("revenueType", "revenueType", (str,)),
)


def _page(_: Amplitude, message: Message, event: Page | Screen) -> None:
    words = ("Viewed", event.category, event.name, type(event).__name__)
    message["event_type"] = " ".join(word for word in words if word)
    known = {"category": event.category, "name": event.name}
    properties = {name: value for name, value in known.items() if value is not None} | dict(event.properties or {})
    if properties:
        message["event_properties"] = properties


def _group(amplitude: Amplitude, message: Message, event: Group) -> None:
    kind = event.group_type or amplitude.group_type
    group = {kind: text_id(event.group_id, "group_id")}
    message["groups"] = group
    traits = event.traits
    if not traits or (isinstance(traits, Identify) and traits.is_empty):
        message["event_type"] = "$identify"
        message["user_properties"] = {"$set": group}
        return
    message["event_type"] = "$groupidentify"
    message["group_properties"] = traits.group_properties if isinstance(traits, Identify) else {"$set": traits}


def _log_event(_: Amplitude, message: Message, event: LogEvent) -> None:
    message["event_type"] = event.name
    if event.metadata is not None or event.value is not None:
        value = {} if event.value is None else {"value": event.value}
        message["event_properties"] = {**value, **(event.metadata or {})}


def _raw(_: Amplitude, message: Message, event: RawEvent) -> None:
    """Let the fields win that are given; None counts as not given."""
    message.update((name, value) for name, value in event.fields.items() if value is not None)


_MESSAGES: Mapping[type, Callable[[Amplitude, Message, Any], None]] = {
    IdentifyEvent: _identify,
    Track: _track,
    Page: _page,
    Screen: _page,
    Group: _group,
    LogEvent: _log_event,
    RawEvent: _raw,
}
