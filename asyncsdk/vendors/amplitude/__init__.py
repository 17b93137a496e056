"""Amplitude: its HTTP V2 and batch event upload protocols.

Sources: Amplitude's pages on the HTTP V2, Batch Event Upload and Identify APIs (fields, limits, answers),
and the published `@amplitude/analytics-node` 1.5.73, `@amplitude/node` 1.10.2 and `amplitude-analytics`
1.3.0 (what is really sent; `events_with_invalid_id_lengths`, which no page has), read 2026-11.

An exposure (`$exposure`, `flag_key`, `variant`) is as in Amplitude's page "Exposure tracking in Amplitude Experiment".

What an event becomes is in `events.py`, what an answer means in `answers.py`.
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
from asyncsdk._model.users import User, text_id
from asyncsdk._version import __version__
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import ExposureScope, Limits, Overflow, Refusal, Request, Response, Verdict
from asyncsdk.vendors._framing import frame_body
from asyncsdk.vendors._settings import (
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
# Amplitude takes 1 MB, on /batch 20 MB; the rest is for the frame.
MAX_EVENT = {HTTP_V2: 990_000, BATCH: 19_990_000}
MAX_EVENTS = 2000
MIN_ID_LENGTH = 5
GZIP_FROM = 2048
# From the page "Device ID and User ID minimum length": refused whatever their length may be.
REFUSED_IDS = frozenset(
    ("anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "{}", "lmy47d", "0", "-1")
)
_LIBRARY = f"asyncsdk/{__version__}"
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_TOO_SHORT = Refusal("rejected", "id too short")
_ID_REFUSED = Refusal("rejected", "id refused by Amplitude")
_NO_ID = Refusal("rejected", "no id")
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


@attrs.frozen
class Amplitude:
    """Events to Amplitude.

    Attributes:
        api_key: The project's API key.
        zone: Where the project lives, `US` or `EU`.
        url: Where to send instead, such as a proxy's address; wins over `zone`. Keeps its query and its path;
            without a path, Amplitude's own is appended.
        use_batch: Use the batch endpoint: bigger requests and higher rates, but up to 15 minutes until they
            show.
        min_id_length: Least length of ids; None leaves it to Amplitude, which wants 5.
        plan: The tracking plan, for events that do not name their own.
        ingestion_metadata: Which tool the events come through, for events that do not say it themselves.
        opt_out: Send nothing; events are counted as skipped.
        group_type: The kind of group of `group` calls that name none.
        gzip: Compress bodies from 2 KiB on; None: to Amplitude's own addresses only, since proxies stumble
            over it.
        exposures: Which exposures are sent here too, as `$exposure`: `none`; of `experiments`, for users in a group of
            one that runs; or `all`, of gates and configs too.
        name: What reports and `integrations` call it.
        overflow: What a full queue does: `drop`, `wait` or `raise`.
        limits: Of requests, memory and time. Amplitude takes 2,000 events and 1 MB (batch: 20 MB) a request.

    Raises:
        ConfigurationError: A setting cannot work.
    """

    api_key: str = attrs.field(repr=False, converter=strip_ends, validator=check_key)
    zone: Literal["US", "EU"] = attrs.field(default="US", kw_only=True, validator=_check_zone)
    url: str | None = attrs.field(
        default=None,
        kw_only=True,
        converter=attrs.converters.optional(strip_ends),
        validator=attrs.validators.optional(check_url),
    )
    use_batch: bool = attrs.field(default=False, kw_only=True)
    min_id_length: int | None = attrs.field(default=None, kw_only=True, validator=_check_min_id_length)
    plan: Plan | None = attrs.field(default=None, kw_only=True)
    ingestion_metadata: IngestionMetadata | None = attrs.field(default=None, kw_only=True)
    opt_out: bool = attrs.field(default=False, kw_only=True)
    group_type: str = attrs.field(default="group", kw_only=True, validator=check_key)
    gzip: bool | None = attrs.field(default=None, kw_only=True)
    exposures: ExposureScope = attrs.field(default="none", kw_only=True, validator=check_exposures)
    name: str = attrs.field(default="Amplitude", kw_only=True, validator=check_name)
    overflow: Overflow = attrs.field(default="drop", kw_only=True, validator=check_overflow)
    limits: Limits = attrs.field(factory=Limits, kw_only=True, validator=check_limits)
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
        return with_path(str(self.url or HOSTS.get(str(self.zone), "")), self.canonical_path)

    @_largest.default
    def _find_largest(self) -> int:
        return MAX_EVENT[self.canonical_path]

    @_least_id.default
    def _find_least_id(self) -> int:
        return MIN_ID_LENGTH if self.min_id_length is None else self.min_id_length

    @_defaults.default
    def _find_defaults(self) -> dict[str, dict[str, str]]:
        given = {"plan": self.plan, "ingestion_metadata": self.ingestion_metadata}
        return {name: value.fields() for name, value in given.items() if value is not None}

    def __attrs_post_init__(self) -> None:
        """Check the limits against Amplitude's own."""
        if self.limits.max_events > MAX_EVENTS or self.limits.max_bytes > self._largest:
            msg = f"Amplitude takes {MAX_EVENTS} events and {self._largest} bytes a request on {self.canonical_path}"
            raise ConfigurationError(msg)

    @property
    def forwards(self) -> bool:
        """Whether the vendor forwards events to destinations of its own: False."""
        return False

    def encode(self, event: Event, message_id: str, time_ms: int) -> bytes | Refusal:
        """Make Amplitude's event, but for its closing brace."""
        fill = FILL.get(type(event))
        if self.opt_out or fill is None:
            return _OPT_OUT if self.opt_out else _NO_SUCH_CALL
        message: Message = {
            "time": time_ms if event.timestamp is None else to_epoch_ms(event.timestamp),
            "insert_id": message_id,
        }
        add_user(message, event.user)
        fill(message, event, self.group_type)
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

    def exposure_event(self, user: User, seen: ExposedVariant) -> Track:
        """Say that a user was exposed to a variant: Amplitude sets its property `[Experiment] <flag_key>` by that."""
        return Track(user, "$exposure", {"flag_key": seen.name, "variant": seen.variant})

    def frame(self, chunks: Sequence[bytes], now_ms: int) -> Request:
        """Put the events into one body, with this attempt's time: an older one would shift the events."""
        rest: Message = {"client_upload_time": iso(now_ms)}
        if self.min_id_length is not None:
            rest["options"] = {"min_id_length": self.min_id_length}
        key = orjson.dumps(self.api_key)
        body = frame_body(b'{"api_key":%b,"events":[' % key, chunks, SEPARATOR, b"}]," + orjson.dumps(rest)[1:])
        compress = self._address in _AMPLITUDE_URLS if self.gzip is None else self.gzip
        gzip_from = GZIP_FROM if compress else None
        return Request(self._address, self.canonical_path, _HEADERS, body, gzip_from, events=len(chunks))

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
        return _ID_REFUSED if value in REFUSED_IDS or (value[0] in "0-" and not value.strip("0-")) else None

    def _add_defaults(self, message: Message) -> None:
        """Fill in the plan and the ingestion metadata, key by key; the event's own win."""
        for name, fields in self._defaults.items():
            own = message.get(name)
            message[name] = fields | dict(own) if isinstance(own, Mapping) else fields if own is None else own


_AMPLITUDE_URLS = tuple(host + path for host in HOSTS.values() for path in (HTTP_V2, BATCH))
