"""Statsig: its event log, and where its rules come from."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import uuid4

import attrs
import orjson

from asyncsdk._model.events import Event
from asyncsdk._model.exposures import SharedUserFields, shared_user_fields
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Limits, ListFile, Overflow, Refusal, Request, Response, Verdict
from asyncsdk.vendors._settings import (
    check_key,
    check_limits,
    check_name,
    check_overflow,
    check_url,
    strip_ends,
    with_path,
)
from asyncsdk.vendors.statsig import events, id_lists, ruleset
from asyncsdk.vendors.statsig.headers import common_headers
from asyncsdk.vendors.statsig.ruleset import Rules

__all__ = ["Rules", "Statsig"]

DEFAULT_MAX_EVENTS = 2000
LOG_EVENT_URL = "https://statsigapi.net" + events.PATH
_OFFLINE = Refusal("skipped", "offline")


def _check_secret(instance: object, attribute: "attrs.Attribute[Any]", key: object) -> None:
    if not (isinstance(key, str) and key.startswith("secret-")):
        msg = "Statsig needs a server secret key, which starts with 'secret-'; others have no access to rules"
        raise ConfigurationError(msg)
    check_key(instance, attribute, key)


def _check_rules(_: object, __: object, rules: object) -> None:
    if rules is not None and not isinstance(rules, Rules):
        msg = "`rules` of Statsig must be Rules(...), such as Rules(bootstrap=Path('rules.json')), or None: events only"
        raise ConfigurationError(msg)


def _check_on_lost_reply(_: object, __: object, on_lost_reply: object) -> None:
    if on_lost_reply not in ("retry", "drop"):
        msg = "`on_lost_reply` of Statsig must be 'retry' or 'drop'"
        raise ConfigurationError(msg)


def _events_url(url: str) -> str:
    return with_path(url, events.PATH)


@attrs.frozen
class Statsig:
    """Rules from Statsig, and events to it.

    Attributes:
        secret_key: The project's server secret key.
        environment: Such as `production` or `staging`, for users that do not name their own; None sends none,
            which Statsig takes for production.
        rules: Where rules come from, and how often they are asked for; None asks for none: events only.
        offline: Ask nothing and send nothing: rules are what `bootstrap` and `cache` have, events are skipped.
        log_event_url: Where events go, the whole address; without a path, Statsig's own is appended.
        message_ids: Send each event's id in its metadata, as `asyncsdk_event_id`: Statsig drops no copies,
            so where events outlive a process somebody else may want to. With a spool they are always sent.
        on_lost_reply: What to do with custom events whose answer was lost, so that they may have arrived: `retry` sends
            them again, and Statsig may count them twice; `drop` gives them up (`rejected`; with a spool, a dead
            letter). Exposures are sent again in any case.
        session_id: Names this client in requests; one is made if it is not given.
        name: What reports and `integrations` call it.
        overflow: What a full queue does: `drop`, `wait` or `raise`.
        limits: Of requests, memory and time. Up to 2,000 events go in one request, as with
            statsig-python-core, unless `limits` says otherwise.

    Raises:
        ConfigurationError: A setting cannot work.
    """

    secret_key: str = attrs.field(repr=False, converter=strip_ends, validator=_check_secret)
    environment: str | None = attrs.field(
        default=None,
        kw_only=True,
        converter=attrs.converters.optional(strip_ends),
        validator=attrs.validators.optional(check_key),
    )
    rules: Rules | None = attrs.field(factory=Rules, kw_only=True, validator=_check_rules)
    offline: bool = attrs.field(default=False, kw_only=True)
    log_event_url: str = attrs.field(default=LOG_EVENT_URL, kw_only=True, converter=_events_url, validator=check_url)
    message_ids: bool = attrs.field(default=False, kw_only=True)
    on_lost_reply: Literal["retry", "drop"] = attrs.field(default="retry", kw_only=True, validator=_check_on_lost_reply)
    session_id: str = attrs.field(factory=lambda: str(uuid4()), kw_only=True, repr=False, validator=check_key)
    name: str = attrs.field(default="Statsig", kw_only=True, validator=check_name)
    overflow: Overflow = attrs.field(default="drop", kw_only=True, validator=check_overflow)
    limits: Limits = attrs.field(factory=Limits, kw_only=True, validator=check_limits)

    # What events say of every user; made once of the settings above.
    _shared_fields: SharedUserFields = attrs.field(init=False, repr=False, eq=False)

    @_shared_fields.default
    def _default_shared_fields(self) -> SharedUserFields:
        custom = self.rules.global_custom if isinstance(self.rules, Rules) else None
        return shared_user_fields(self.environment, orjson.dumps(custom) if custom else b"")

    def __attrs_post_init__(self) -> None:
        """Apply Statsig's own default of `max_events`."""
        # Not a converter: pyright would then reject the class as a `Destination`.
        object.__setattr__(self, "limits", self.limits.with_max_events(DEFAULT_MAX_EVENTS))

    @property
    def forwards(self) -> bool:
        """Whether the vendor forwards events to destinations of its own: False."""
        return False

    def encode(self, event: Event, message_id: str, time_ms: int) -> bytes | Refusal:
        """Make Statsig's event, but for its closing brace."""
        if self.offline:
            return _OFFLINE
        if event.integrations is None and not self.message_ids:
            return events.encode(event, time_ms, self._shared_fields)
        own = None if event.integrations is None else event.integrations.get(self.name)
        return events.encode_any(event, time_ms, self._shared_fields, own, message_id if self.message_ids else None)

    def frame(self, chunks: Sequence[bytes], now_ms: int) -> Request:
        """Put the events into one body."""
        return events.frame(chunks, now_ms, self.log_event_url, self.secret_key, self.session_id)

    def judge(self, response: Response, chunks: Sequence[bytes]) -> Verdict:
        """Go by the status, and by a `success` that is false; Statsig says nothing of single events."""
        return events.judge(response, chunks, once=self.on_lost_reply == "drop")

    @property
    def cache_key(self) -> str:
        """The name under which this project's rules are cached; does not have the key in it."""
        return ruleset.cache_key(self.secret_key)

    def list_cache_key(self, name: str | None = None) -> str:
        """The name under which an ID list is cached; without a name, that of the manifest."""
        return ruleset.cache_key(self.secret_key, id_lists.PATH if name is None else f"id_list::{name}")

    def build_rules_request(self, time_ms: int, checksum: str, now_ms: int, *, bypass_proxy: bool = False) -> Request:
        """Ask for rules newer than those that are held."""
        base = ruleset.CDN + ruleset.PATH if bypass_proxy or self.rules is None else self.rules.specs_url
        return ruleset.build_request(base, self.secret_key, self._headers(now_ms), time_ms, checksum)

    def build_manifest_request(self, now_ms: int) -> Request:
        """Ask which ID lists there are."""
        url = None if self.rules is None else self.rules.id_lists_url
        return id_lists.build_manifest_request(url, self.secret_key, self._headers(now_ms))

    def build_list_request(self, file: ListFile, now_ms: int) -> Request:
        """Ask for the bytes of an ID list from `file.start` on."""
        return id_lists.build_file_request(file, self._headers(now_ms))

    def _headers(self, now_ms: int) -> dict[str, str]:
        return common_headers(self.secret_key, self.session_id, now_ms)
