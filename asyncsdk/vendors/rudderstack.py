"""RudderStack: the HTTP batch protocol.

Sources: rudder-server (the gateway's statuses, limits and rules for ids) and the published
`@rudderstack/rudder-sdk-node` 3.0.13 (field names, `channel`, traits in two places), both read 2026-08 to 2026-11.
`Experiment Viewed` is the event of Segment's "A/B Testing Events" spec, which RudderStack's own sources of experiments
follow, read 2026-11.

Intended differences from the Node SDK:

1. `context.library` and `User-Agent` name this package, and there is no `_metadata`.
2. The content type is JSON.
3. `integrations` is always present, and ids are always text.
4. `sentAt` is new on every attempt: the server computes an event's `timestamp` from the difference to its own clock.

Each event becomes one message: `_MESSAGES` has its type and the function that fills in the fields of that type.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.encoding import to_json
from asyncsdk._model.events import (
    Alias,
    Event,
    Group,
    IdentifyEvent,
    LogEvent,
    Page,
    RawEvent,
    Screen,
    Track,
    to_epoch_ms,
)
from asyncsdk._model.exposures import ExposedVariant
from asyncsdk._model.fragments import own_fragment
from asyncsdk._model.http import HttpSettings, check_http
from asyncsdk._model.user_view import prepare
from asyncsdk._model.users import User
from asyncsdk._model.values import Value
from asyncsdk._model.wire_values import text_id
from asyncsdk._version import __version__
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._answers import judge_by_status
from asyncsdk.vendors._base import ExposureScope, Limits, Overflow, Refusal, Request, Response, Verdict
from asyncsdk.vendors._framing import frame_body
from asyncsdk.vendors._settings import (
    check_bool,
    check_exposures,
    check_key,
    check_limits,
    check_name,
    check_overflow,
    check_url,
    strip_ends,
)
from asyncsdk.vendors._times import iso

PATH = "/v1/batch"
# The gateway accepts 4,096,000 bytes of decompressed body; the rest is left for the frame and `sentAt`.
MAX_EVENT = 4_000_000
_LIBRARY = own_fragment(orjson.dumps({"name": "asyncsdk", "version": __version__}))
# The `context` of an event without any other context, encoded once.
_BARE = own_fragment(orjson.dumps({"library": _LIBRARY}))
_EVERYWHERE = own_fragment(b'{"All":true}')
_TOO_LARGE = Refusal("rejected", "too large")
# The user has custom ids only, which only Statsig accepts.
_NO_ID = Refusal("skipped", "no id")

Message = dict[str, Any]


def _full_url(url: str) -> str:
    """Return a data plane's URL with `/v1/batch` appended if missing; a proxy's path before it is kept."""
    if not isinstance(url, str):
        return url
    url = strip_ends(url).rstrip("/")
    return url if url.endswith(PATH) else url + PATH


def _check_url(instance: object, attribute: "attrs.Attribute[Any]", url: str) -> None:
    check_url(instance, attribute, url)
    if "?" in url or url.removesuffix(PATH).endswith("/v1"):
        msg = (
            "`url` of RudderStack must be the data plane, 'https://plane.example.com' or "
            "'https://plane.example.com/v1/batch', without a query"
        )
        raise ConfigurationError(msg)


def _check_limits(instance: object, attribute: "attrs.Attribute[Any]", limits: Limits) -> None:
    check_limits(instance, attribute, limits)
    if limits.max_bytes > MAX_EVENT:
        msg = f"RudderStack takes {MAX_EVENT} bytes of events a request, so `max_bytes` of its Limits cannot be more"
        raise ConfigurationError(msg)


@attrs.frozen(eq=False, repr=False)
class RudderStack(Value):
    """A RudderStack data plane, as a destination of events.

    Attributes:
        write_key: The source's write key.
        url: The data plane's address, with or without `/v1/batch`; a path before that is kept.
        name: Name in reports and `integrations`.
        overflow: What a full queue does with a new event: `drop` it, make the caller `wait`, or `raise`
            `QueueFullError`.
        gzip: Whether to compress bodies of at least 1 KiB.
        exposures: Which exposures to send as `Experiment Viewed`: `none`; `experiments`, of users in a group of an
            active experiment; or `all`, including gates and configs.
        limits: Bounds on requests, memory and time. RudderStack accepts 4,000,000 bytes of events per request.
        http: Proxy, TLS and headers of its requests; None takes those of the client.

    Raises:
        ConfigurationError: A setting cannot work; the message names it.
    """

    write_key: str = attrs.field(repr=False, converter=strip_ends, validator=check_key)
    url: str = attrs.field(converter=_full_url, validator=_check_url)
    name: str = attrs.field(default="RudderStack", kw_only=True, validator=check_name)
    overflow: Overflow = attrs.field(default="drop", kw_only=True, validator=check_overflow)
    gzip: bool = attrs.field(default=True, kw_only=True, validator=check_bool)
    exposures: ExposureScope = attrs.field(default="none", kw_only=True, validator=check_exposures)
    limits: Limits = attrs.field(factory=Limits, kw_only=True, validator=_check_limits)
    http: HttpSettings | None = attrs.field(default=None, kw_only=True, validator=check_http)

    @property
    def forwards(self) -> bool:
        """Whether the vendor forwards events to destinations of its own: it does."""
        return True

    def encode(self, event: Event, message_id: str, time_ms: int) -> bytes | Refusal:
        """Encode an event as RudderStack's message, without its `sentAt` and closing brace."""
        kind, fill = _MESSAGES[type(event)]
        user = event.user
        message: Message = {
            "type": kind,
            "channel": "server",
            "messageId": message_id,
            "originalTimestamp": iso(time_ms),
            "integrations": _EVERYWHERE if event.integrations is None else event.integrations,
            "context": _context(user, event.context),
        }
        if not user._view.is_ready:
            prepare(user)  # an event's user has been, one of a test may not
        # A user id that is also the ordering key is not blank: this saves the call.
        user_id = user._user_id if user._user_id is user._ordering_key else text_id(user._user_id, "user_id")
        if user_id:
            message["userId"] = user_id
        # 1. An anonymous id is sent as it is. 2. Without any other id, the device id is sent as one.
        # 3. Without either, the event is skipped.
        if user._anonymous_id is not None or user_id is None:
            anonymous_id = text_id(user._anonymous_id, "anonymous_id")
            if anonymous_id or (user_id is None and (anonymous_id := text_id(user._device_id, "device_id"))):
                message["anonymousId"] = anonymous_id
            elif user_id is None:
                return _NO_ID
        if event.timestamp is not None:
            message["timestamp"] = iso(to_epoch_ms(event.timestamp))
        refusal = fill(message, event)
        if refusal is not None:
            return refusal
        # The slice copies to the exact size: the encoder's own buffer is several times larger.
        chunk = to_json(message)[:-1]
        return chunk if len(chunk) <= MAX_EVENT else _TOO_LARGE

    def exposure_event(self, user: User, exposed: ExposedVariant) -> Track:
        """Return `Experiment Viewed`, the event of the A/B testing spec that warehouses and tools understand."""
        properties = {
            "experiment_id": exposed.name,
            "experiment_name": exposed.name,
            "variation_id": exposed.variant_id,
            "variation_name": exposed.variant,
        }
        return Track(user, "Experiment Viewed", properties)

    def frame(self, chunks: Sequence[bytes], now_ms: int) -> Request:
        """Build the request that carries a batch, each message with `sentAt`, the time of this attempt."""
        # Each message lacks its closing brace: `sentAt` and the brace end it. The batch has a `sentAt` as well.
        sent_at = b',"sentAt":"%b"}' % iso(now_ms).encode()
        body = frame_body(b'{"batch":[', chunks, sent_at + b",", b"%b]%b" % (sent_at, sent_at))
        credentials = b64encode(f"{self.write_key}:".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
        return Request(self.url, PATH, headers, body, 1024 if self.gzip else None, events=len(chunks))

    def judge(self, response: Response, chunks: Sequence[bytes]) -> Verdict:
        """Judge by the status: the gateway accepts or refuses a request as a whole, and does not name events."""
        if response.status == 500 and b"failed to read body" in response.body:
            # The gateway failed to decompress the body; a proxy may have changed it.
            return Verdict(retry=range(len(chunks)), uncompressed=True, reason="status 500: body unreadable")
        return judge_by_status(response, len(chunks))


def _context(user: User, given: Mapping[str, Any] | None) -> object:  # not `Fragment`: see `_model/fragments.py`
    """Return `context`: fields of the user, overridden by the caller's, and this library's name."""
    # The usual context is encoded once, at import.
    if given is None and user._ip is None and user._user_agent is None and user._locale is None:
        return _BARE
    return _full_context(user, given)


def _full_context(user: User, given: Mapping[str, Any] | None) -> Message:
    context: Message = {}
    if user._ip is not None:
        context["ip"] = user._ip
    if user._user_agent is not None:
        context["userAgent"] = user._user_agent
    if user._locale is not None:
        context["locale"] = user._locale
    if given is not None:
        context.update(given)
    # Last, so that the caller cannot override it.
    context["library"] = _LIBRARY
    return context


def _identify(message: Message, event: IdentifyEvent) -> Refusal | None:
    traits = event.traits.traits() if isinstance(event.traits, Identify) else event.traits
    if traits is not None:
        # Set both: RudderStack's destinations read traits from either place, and its own SDKs differ.
        message["traits"] = traits
        message["context"] = {**_full_context(event.user, event.context), "traits": traits}
    return None


def _track(message: Message, event: Track) -> Refusal | None:
    name, properties = event.name, event.properties
    if isinstance(name, Revenue):
        message["event"] = name.event_type
        message["properties"] = {**(properties or {}), **name.plain_properties()}
        return None
    message["event"] = name
    if properties is not None:
        message["properties"] = properties
    return None


def _page(message: Message, event: Page | Screen) -> Refusal | None:
    if event.name is not None:
        message["name"] = event.name
    if event.category is not None:
        message["category"] = event.category
    if event.properties is not None:
        message["properties"] = event.properties
    return None


def _group(message: Message, event: Group) -> Refusal | None:
    if isinstance(event.group_id, list | tuple):
        return Refusal("skipped", "no such call")
    message["groupId"] = text_id(event.group_id, "group_id")
    traits = event.traits.traits() if isinstance(event.traits, Identify) else event.traits
    if traits is not None:
        message["traits"] = traits
    return None


def _alias(message: Message, event: Alias) -> Refusal | None:
    message["previousId"] = text_id(event.previous_id, "previous_id")
    return None


def _log_event(message: Message, event: LogEvent) -> Refusal | None:
    message["event"] = event.name
    if event.metadata is not None or event.value is not None:
        value = {} if event.value is None else {"value": event.value}
        message["properties"] = {**value, **(event.metadata or {})}
    return None


def _raw(message: Message, event: RawEvent) -> Refusal | None:
    fields = event.fields
    if fields["event_type"] in ("$identify", "$groupidentify"):
        return Refusal("skipped", "no such call")
    message["event"] = fields["event_type"]
    if fields.get("event_properties") is not None:
        message["properties"] = fields["event_properties"]
    if isinstance(fields.get("time"), int):
        message["timestamp"] = iso(fields["time"])
    return None


_MESSAGES: dict[type, tuple[str, Callable[[Message, Any], Refusal | None]]] = {
    IdentifyEvent: ("identify", _identify),
    Track: ("track", _track),
    Page: ("page", _page),
    Screen: ("screen", _page),
    Group: ("group", _group),
    Alias: ("alias", _alias),
    LogEvent: ("track", _log_event),
    RawEvent: ("track", _raw),
}
