"""Statsig: the event log, and the requests for rules and ID lists.

`events.py` encodes events and judges responses, `ruleset.py` and `id_lists.py` build the requests for rules and read
their responses. Evaluating rules is not the vendor's: see `_rules`.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal
from uuid import uuid4

import attrs
import orjson

from asyncsdk._model.events import Event
from asyncsdk._model.exposures import SharedUserFields, shared_user_fields
from asyncsdk._model.http import HttpSettings, check_http
from asyncsdk._model.values import Value
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Limits, ListFile, Overflow, Refusal, Request, Response, Verdict
from asyncsdk.vendors._settings import (
    check_bool,
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


def _tier(environment: str | Mapping[str, str] | None) -> str | None:
    """Return the environment; of `{"tier": ...}`, the tier, which may be a member of an enumeration."""
    if isinstance(environment, Mapping):
        if environment.keys() != {"tier"}:
            msg = "`environment` of Statsig must be text, such as 'staging', or {'tier': 'staging'}"
            raise ConfigurationError(msg)
        environment = environment["tier"]
    tier = environment.value if isinstance(environment, Enum) else environment
    return None if tier is None else strip_ends(tier)


def _events_url(url: str) -> str:
    return with_path(url, events.PATH)


@attrs.frozen(eq=False, repr=False)
class Statsig(Value):
    """A Statsig project: a source of rules, and a destination of events.

    Attributes:
        secret_key: The project's server secret key.
        environment: Environment of users without one of their own, such as `production` or `staging`, or in the form of
            other SDKs: `{"tier": "staging"}`. None sends none, which Statsig treats as production.
        rules: Where rules come from and how often they are polled; None for events only.
        offline: Send no requests: rules come from `bootstrap` and `cache` only, and events are skipped.
        log_event_url: Address to send events to; without a path, Statsig's own is appended.
        message_ids: Send each event's id in its metadata, as `asyncsdk_event_id`. Statsig itself does not remove
            duplicates, but your analysis can. Always on with a spool, where events outlive the process.
        on_lost_reply: What to do with custom events whose response was lost, so that they may have arrived: `retry`
            sends them again, and Statsig may count them twice; `drop` rejects them (with a spool, they become dead
            letters). Exposures are always sent again.
        session_id: Id of this client in requests; a new UUID by default.
        name: Name in reports and `integrations`.
        overflow: What a full queue does with a new event: `drop` it, make the caller `wait`, or `raise`
            `QueueFullError`.
        limits: Bounds on requests, memory and time. `max_events` defaults to 2,000, as in statsig-python-core.
        http: Proxy, TLS and headers of its requests for rules and events; None takes those of the client.

    Raises:
        ConfigurationError: A setting cannot work; the message names it.
    """

    secret_key: str = attrs.field(repr=False, converter=strip_ends, validator=_check_secret)
    environment: str | None = attrs.field(
        default=None,
        kw_only=True,
        converter=_tier,
        validator=attrs.validators.optional(check_key),
    )
    rules: Rules | None = attrs.field(factory=Rules, kw_only=True, validator=_check_rules)
    offline: bool = attrs.field(default=False, kw_only=True, validator=check_bool)
    log_event_url: str = attrs.field(default=LOG_EVENT_URL, kw_only=True, converter=_events_url, validator=check_url)
    message_ids: bool = attrs.field(default=False, kw_only=True, validator=check_bool)
    on_lost_reply: Literal["retry", "drop"] = attrs.field(default="retry", kw_only=True, validator=_check_on_lost_reply)
    session_id: str = attrs.field(factory=lambda: str(uuid4()), kw_only=True, repr=False, validator=check_key)
    name: str = attrs.field(default="Statsig", kw_only=True, validator=check_name)
    overflow: Overflow = attrs.field(default="drop", kw_only=True, validator=check_overflow)
    limits: Limits = attrs.field(factory=Limits, kw_only=True, validator=check_limits)
    http: HttpSettings | None = attrs.field(default=None, kw_only=True, validator=check_http)

    # Fields of every user, derived from the settings above, once.
    _shared_fields: SharedUserFields = attrs.field(init=False, repr=False, eq=False)

    @_shared_fields.default
    def _default_shared_fields(self) -> SharedUserFields:
        custom = self.rules.global_custom if isinstance(self.rules, Rules) else None
        return shared_user_fields(self.environment, orjson.dumps(custom) if custom else b"")

    # Where the secret key may be sent: to Statsig, and to the addresses of the settings.
    _origins: frozenset[id_lists.Origin] = attrs.field(init=False, repr=False, eq=False)

    @_origins.default
    def _default_origins(self) -> frozenset[id_lists.Origin]:
        rules = self.rules if isinstance(self.rules, Rules) else Rules()
        urls = (ruleset.CDN, LOG_EVENT_URL, self.log_event_url, rules.specs_url, rules.id_lists_url or ruleset.CDN)
        return frozenset(filter(None, (id_lists.origin_of(url) for url in urls if isinstance(url, str))))

    def __attrs_post_init__(self) -> None:
        """Apply Statsig's own default of `max_events`."""
        # Not a converter: pyright would then reject the class as a `Destination`.
        object.__setattr__(self, "limits", self.limits.with_max_events(DEFAULT_MAX_EVENTS))

    @property
    def forwards(self) -> bool:
        """Whether the vendor forwards events to destinations of its own: it does not."""
        return False

    def encode(self, event: Event, message_id: str, time_ms: int) -> bytes | Refusal:
        """Encode an event in Statsig's form, without its closing brace."""
        if self.offline:
            return _OFFLINE
        # The usual case takes the fast path.
        if event.integrations is None and not self.message_ids:
            return events.encode(event, time_ms, self._shared_fields)
        overrides = None if event.integrations is None else event.integrations.get(self.name)
        event_id = message_id if self.message_ids else None
        return events.encode_any(event, time_ms, self._shared_fields, overrides, event_id)

    def frame(self, chunks: Sequence[bytes], now_ms: int) -> Request:
        """Build the request that carries a batch."""
        return events.frame(chunks, now_ms, self.log_event_url, self.secret_key, self.session_id)

    def judge(self, response: Response, chunks: Sequence[bytes]) -> Verdict:
        """Judge by the status and `success` in the body: Statsig does not name single events."""
        return events.judge(response, chunks, at_most_once=self.on_lost_reply == "drop")

    @property
    def cache_key(self) -> str:
        """Key of this project's rules in a cache; does not contain the secret key."""
        return ruleset.cache_key(self.secret_key)

    def list_cache_key(self, name: str | None = None) -> str:
        """Return the key of an ID list in a cache; for None, that of the manifest."""
        return ruleset.cache_key(self.secret_key, ruleset.LISTS_PATH if name is None else f"id_list::{name}")

    def build_rules_request(self, time_ms: int, checksum: str, now_ms: int, *, bypass_proxy: bool = False) -> Request:
        """Build the request for newer rules; see `RulesSource`."""
        base = ruleset.CDN + ruleset.PATH if bypass_proxy or self.rules is None else self.rules.specs_url
        return ruleset.build_request(base, self.secret_key, self._headers(now_ms), time_ms, checksum)

    def build_manifest_request(self, now_ms: int) -> Request:
        """Build the request for the manifest of ID lists."""
        url = None if self.rules is None else self.rules.id_lists_url
        return id_lists.build_manifest_request(url, self.secret_key, self._headers(now_ms))

    def build_list_request(self, file: ListFile, now_ms: int) -> Request:
        """Build the request for an ID list's bytes from `file.start` on; see `RulesSource`."""
        return id_lists.build_file_request(file, self._headers(now_ms), self._origins)

    def _headers(self, now_ms: int) -> dict[str, str]:
        return common_headers(self.secret_key, self.session_id, now_ms)
