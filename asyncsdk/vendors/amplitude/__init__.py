"""Amplitude: the HTTP V2 and batch event upload protocols.

Sources: Amplitude's pages on the HTTP V2, Batch Event Upload and Identify APIs (fields, limits, responses), and the
published `@amplitude/analytics-node` 1.5.73, `@amplitude/node` 1.10.2 and `amplitude-analytics` 1.3.0 (what is actually
sent; `events_with_invalid_id_lengths`, which is undocumented), read 2026-11. Exposures (`$exposure`, `flag_key`,
`variant`) follow Amplitude's page "Exposure tracking in Amplitude Experiment".

`events.py` converts events, `answers.py` judges responses.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import orjson

from asyncsdk._model.amplitude import IngestionMetadata, Plan
from asyncsdk._model.bundles import SEPARATOR
from asyncsdk._model.encoding import to_json
from asyncsdk._model.events import Event, Track, to_epoch_ms
from asyncsdk._model.exposures import ExposedVariant
from asyncsdk._model.http import HttpSettings, check_http
from asyncsdk._model.user_ids import own_id
from asyncsdk._model.users import User
from asyncsdk._model.values import Value
from asyncsdk._model.wire_values import text_id
from asyncsdk._version import __version__
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import ExposureScope, Limits, Overflow, PartialChunk, Refusal, Request, Response, Verdict
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
    with_path,
)
from asyncsdk.vendors._times import iso
from asyncsdk.vendors.amplitude.answers import judge
from asyncsdk.vendors.amplitude.events import FILL, Message, add_user

__all__ = ["Amplitude"]

HTTP_V2, BATCH = "/2/httpapi", "/batch"
HOSTS = {"US": "https://api2.amplitude.com", "EU": "https://api.eu.amplitude.com"}
# Amplitude accepts 1 MB, and 20 MB on /batch; the rest is left for the frame.
MAX_EVENT = {HTTP_V2: 990_000, BATCH: 19_990_000}
# Amplitude's limit, on both endpoints.
MAX_EVENTS = 2000
MIN_ID_LENGTH = 5
GZIP_FROM = 2048
# From the page "Device ID and User ID minimum length": refused regardless of their length.
REFUSED_IDS = frozenset(
    ("anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "{}", "lmy47d", "0", "-1")
)
_LIBRARY = f"asyncsdk/{__version__}"
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_TOO_SHORT = Refusal("rejected", "id too short (min_id_length)")
_ID_REFUSED = Refusal("rejected", "id refused by Amplitude")
_NO_ID = Refusal("rejected", "no id")
# The user has custom ids only, which only Statsig accepts.
_CUSTOM_IDS_ONLY = Refusal("skipped", "no id")
_NO_SUCH_CALL = Refusal("skipped", "no such call")
_OPT_OUT = Refusal("skipped", "opt-out")
_TOO_LARGE = Refusal("rejected", "too large")


def _check_min_id_length(_: object, __: object, length: Any) -> None:
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 1):
        msg = "`min_id_length` must be a whole number above 0"
        raise ConfigurationError(msg)


def _check_zone(_: object, __: object, zone: Any) -> None:
    if str(zone) not in HOSTS:
        msg = "`zone` must be 'US' or 'EU'"
        raise ConfigurationError(msg)


@attrs.frozen(eq=False, repr=False)
class Amplitude(Value):
    """An Amplitude project, as a destination of events.

    Attributes:
        api_key: The project's API key.
        zone: The project's data centre, `US` or `EU`.
        url: Address to send to instead, such as a proxy; overrides `zone`. Its path and query are kept; without a
            path, Amplitude's own is appended. None sends to Amplitude.
        use_batch: Use the batch endpoint: larger requests and higher rates, but up to 15 minutes until events appear.
        min_id_length: Minimum length of ids, in characters; None uses Amplitude's default, 5.
        plan: Tracking plan of events without one of their own, which replaces it as a whole, or None.
        ingestion_metadata: The sending tool, for events without metadata of their own, or None.
        opt_out: Send nothing; events are counted as skipped.
        group_type: Type of the group for `group` calls that name none.
        gzip: Whether to compress bodies of at least 2 KiB. None compresses only for Amplitude's own addresses, since
            proxies often fail on it.
        exposures: Which exposures to send as `$exposure`: `none`; `experiments`, of users in a group of an active
            experiment; or `all`, including gates and configs.
        name: Name in reports and `integrations`.
        overflow: What a full queue does with a new event: `drop` it, make the caller `wait`, or `raise`
            `QueueFullError`.
        limits: Bounds on requests, memory and time. Amplitude accepts 2,000 events and 1 MB (batch endpoint: 20 MB)
            per request.
        http: Proxy, TLS and headers of its requests; None takes those of the client.

    Raises:
        ConfigurationError: A setting cannot work; the message names it.
    """

    api_key: str = attrs.field(repr=False, converter=strip_ends, validator=check_key)
    zone: Literal["US", "EU"] = attrs.field(default="US", kw_only=True, validator=_check_zone)
    url: str | None = attrs.field(
        default=None,
        kw_only=True,
        converter=attrs.converters.optional(strip_ends),
        validator=attrs.validators.optional(check_url),
    )
    use_batch: bool = attrs.field(default=False, kw_only=True, validator=check_bool)
    min_id_length: int | None = attrs.field(default=None, kw_only=True, validator=_check_min_id_length)
    plan: Plan | None = attrs.field(default=None, kw_only=True)
    ingestion_metadata: IngestionMetadata | None = attrs.field(default=None, kw_only=True)
    opt_out: bool = attrs.field(default=False, kw_only=True, validator=check_bool)
    group_type: str = attrs.field(default="group", kw_only=True, validator=check_key)
    gzip: bool | None = attrs.field(default=None, kw_only=True, validator=attrs.validators.optional(check_bool))
    exposures: ExposureScope = attrs.field(default="none", kw_only=True, validator=check_exposures)
    name: str = attrs.field(default="Amplitude", kw_only=True, validator=check_name)
    overflow: Overflow = attrs.field(default="drop", kw_only=True, validator=check_overflow)
    limits: Limits = attrs.field(factory=Limits, kw_only=True, validator=check_limits)
    http: HttpSettings | None = attrs.field(default=None, kw_only=True, validator=check_http)
    # Derived from the settings above, once.
    canonical_path: str = attrs.field(init=False, repr=False, eq=False)
    _address: str = attrs.field(init=False, repr=False, eq=False)
    _max_event_bytes: int = attrs.field(init=False, repr=False, eq=False)
    _min_id_length: int = attrs.field(init=False, repr=False, eq=False)
    _defaults: dict[str, dict[str, str]] = attrs.field(init=False, repr=False, eq=False)

    @canonical_path.default
    def _default_path(self) -> str:
        # attrs computes defaults before it runs validators, so these must not fail on an invalid setting.
        path = BATCH if self.use_batch else str(self.url).split("?", 1)[0].rstrip("/")
        return BATCH if path.endswith(BATCH) else HTTP_V2

    @_address.default
    def _default_address(self) -> str:
        return with_path(str(self.url or HOSTS.get(str(self.zone), "")), self.canonical_path)

    @_max_event_bytes.default
    def _find_max_event_bytes(self) -> int:
        return MAX_EVENT[self.canonical_path]

    @_min_id_length.default
    def _default_min_id_length(self) -> int:
        return MIN_ID_LENGTH if self.min_id_length is None else self.min_id_length

    @_defaults.default
    def _default_fields(self) -> dict[str, dict[str, str]]:
        given = {"plan": self.plan, "ingestion_metadata": self.ingestion_metadata}
        return {name: value.fields() for name, value in given.items() if value is not None}

    def __attrs_post_init__(self) -> None:
        """Check `limits` against those of Amplitude."""
        if self.limits.max_events > MAX_EVENTS or self.limits.max_bytes > self._max_event_bytes:
            maximum = f"{MAX_EVENTS} events and {self._max_event_bytes} bytes"
            msg = f"Amplitude takes {maximum} a request on {self.canonical_path}"
            raise ConfigurationError(msg)

    @property
    def forwards(self) -> bool:
        """Whether the vendor forwards events to destinations of its own: it does not."""
        return False

    def encode(self, event: Event, message_id: str, time_ms: int) -> bytes | Refusal:
        """Encode an event in Amplitude's form, without its closing brace."""
        fill = FILL.get(type(event))
        if self.opt_out or fill is None:
            return _OPT_OUT if self.opt_out else _NO_SUCH_CALL
        message: Message = {
            "time": time_ms if event.timestamp is None else to_epoch_ms(event.timestamp),
            "insert_id": message_id,
        }
        add_user(message, event.user)
        fill(message, event, self.group_type)
        # The order matters: `integrations` overrides the event's fields, and ids are checked after that.
        if event.integrations is not None and isinstance(own := event.integrations.get(self.name), Mapping):
            message.update(own)
        if self._defaults:  # usually empty, and a test is cheaper than a loop over nothing
            for name, fields in self._defaults.items():
                if message.get(name) is None:
                    message[name] = fields
        message["library"] = _LIBRARY
        found = self._normalise_ids(message)
        if found is not None and not isinstance(found, str):
            return _CUSTOM_IDS_ONLY if found is _NO_ID and own_id(event.user) is None else found
        # The slice copies to the exact size: the encoder's own buffer is several times larger.
        chunk = to_json(message)[:-1]
        if len(chunk) > self._max_event_bytes:
            return _TOO_LARGE
        return chunk if found is None else PartialChunk.of(chunk, found)

    def exposure_event(self, user: User, exposed: ExposedVariant) -> Track:
        """Return the event `$exposure`, by which Amplitude sets the user property `[Experiment] <flag_key>`."""
        return Track(user, "$exposure", {"flag_key": exposed.name, "variant": exposed.variant})

    def frame(self, chunks: Sequence[bytes], now_ms: int) -> Request:
        """Build the request that carries a batch, with the time of this attempt: Amplitude corrects clocks by it."""
        trailer: Message = {"client_upload_time": iso(now_ms)}
        if self.min_id_length is not None:
            trailer["options"] = {"min_id_length": self.min_id_length}
        key = orjson.dumps(self.api_key)
        body = frame_body(b'{"api_key":%b,"events":[' % key, chunks, SEPARATOR, b"}]," + orjson.dumps(trailer)[1:])
        # A proxy may not support compressed bodies, so by default only Amplitude's own addresses get them.
        compress = self._address in _AMPLITUDE_URLS if self.gzip is None else self.gzip
        gzip_from = GZIP_FROM if compress else None
        return Request(self._address, self.canonical_path, _HEADERS, body, gzip_from, events=len(chunks))

    def judge(self, response: Response, chunks: Sequence[bytes]) -> Verdict:
        """Judge by the `code` in the body, and by the events, users and devices that the body names."""
        # The pauses that Amplitude recommends for its two endpoints.
        return judge(response, chunks, throttled_for=15.0 if self.canonical_path == BATCH else 30.0)

    def _normalise_ids(self, message: Message) -> Refusal | str | None:
        """Convert ids to text. Return a refusal if they are bad, or a note if a bad device id is left out."""
        # 1. The user id is sent if it is not blank.
        # 2. The device id is sent if Amplitude accepts it, or if there is no user id.
        # 3. One of them must remain, and Amplitude must accept it.
        user_id = text_id(message.get("user_id"), "user_id")
        if user_id is None:
            message.pop("user_id", None)
        else:
            message["user_id"] = user_id
        note = None
        if "device_id" in message:
            device_id = text_id(message.pop("device_id"), "device_id")
            refusal = None if device_id is None or user_id is None else self._id_refusal(device_id)
            if refusal is not None:
                note = f"device_id left out: {refusal.reason}"
            elif device_id is not None:
                message["device_id"] = device_id
        known = user_id or message.get("device_id")
        return (_NO_ID if known is None else self._id_refusal(known)) or note

    def _id_refusal(self, value: str) -> Refusal | None:
        if len(value) < self._min_id_length:
            return _TOO_SHORT
        # Phones that limit ad tracking report a device id of zeros.
        return _ID_REFUSED if value in REFUSED_IDS or (value[0] in "0-" and not value.strip("0-")) else None


_AMPLITUDE_URLS = tuple(host + path for host in HOSTS.values() for path in (HTTP_V2, BATCH))
