"""The settings and requests for Statsig's rules.

Sources: statsig-python-core 0.24.0 and statsig 0.72.1 (Python), statsig-node 6: addresses, query, headers, statuses
that are not retried, and when a failing proxy is bypassed.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import attrs

from asyncsdk._model.encoding import to_json
from asyncsdk._model.fleet import SharedOverrides, SharedRules
from asyncsdk._model.fragments import copy_as_json
from asyncsdk._model.stores import AssignmentStore, RulesCache
from asyncsdk._model.values import Value
from asyncsdk._model.wire_values import own_mapping, wire_key, wire_value
from asyncsdk.errors import ConfigurationError, InvalidEventError
from asyncsdk.vendors._answers import HTML, PERMANENT_ERRORS, first_words, retry_after
from asyncsdk.vendors._base import Request, Response
from asyncsdk.vendors._settings import check_bool, check_url, with_path

CDN = "https://api.statsigcdn.com"
PATH, LISTS_PATH = "/v2/download_config_specs", "/v1/get_id_lists"
_MIN_INTERVAL, _MIN_DEV_INTERVAL = 1.0, 0.05
# Statsig documents lists of 10 million ids, 100 MB, and a file grows with each change.
DEFAULT_MAX_LIST_BYTES = 256 * 1024 * 1024
# A retry would not help before the next poll: most of these need a person to act.
_NO_QUICK_RETRY = frozenset({400, 401, 403, 404, 405, 413, 429, 501, *range(300, 400)})
_KEY_REFUSED = frozenset({401, 403})
# Without rules, a failing proxy is bypassed at once; with rules, on every fifth consecutive failure.
_BYPASS_INTERVAL = 5


def _to_body(bootstrap: bytes | str | Mapping[str, Any] | PathLike[str] | None) -> bytes | Path | None:
    """Return bootstrap rules as JSON bytes, or the path of the file to read."""
    match bootstrap:
        case None | bytes():
            return bootstrap
        case PathLike():
            return Path(bootstrap)
        case Mapping():
            return _encode_bootstrap(bootstrap)
        # Other text may be a path: it is ambiguous, so it is rejected.
        case str() if bootstrap.removeprefix("\ufeff").lstrip().startswith("{"):
            return bootstrap.encode("utf-8", "replace")
    msg = "`bootstrap` of Rules must be JSON text, a mapping, or a path: pathlib.Path('rules.json')"
    raise ConfigurationError(msg)


def _encode_bootstrap(bootstrap: Mapping[str, Any]) -> bytes:
    try:
        # Copies to the exact size: the encoder's own buffer is several times larger.
        return bytes(memoryview(to_json(bootstrap, "bootstrap")))
    except InvalidEventError as error:
        raise ConfigurationError(str(error)) from error


def _to_plain_json(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a copy of the custom fields of all users as they are on the wire, like those of one user."""
    if not isinstance(fields, Mapping):
        msg = "`global_custom` of Rules must be a mapping"
        raise ConfigurationError(msg)
    try:
        own = own_mapping(fields, "global_custom") or {}
        copy_as_json(own, "global_custom")  # raises with the path to the value at fault
        plain = {wire_key(name, "global_custom"): wire_value(value, "global_custom") for name, value in own.items()}
    except InvalidEventError as error:
        raise ConfigurationError(str(error)) from error
    # Events have what rules see (`SharedContext`): "" for None.
    return {name: "" if value is None else value for name, value in plain.items()}


def _check_interval(instance: object, attribute: "attrs.Attribute[Any]", seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not _MIN_INTERVAL <= seconds < inf:
        msg = f"`{attribute.name}` of {type(instance).__name__} must be at least {_MIN_INTERVAL} s"
        raise ConfigurationError(msg)


def _check_bytes(instance: object, attribute: "attrs.Attribute[Any]", count: object) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        msg = f"`{attribute.name}` of {type(instance).__name__} must be a whole number of bytes above 0"
        raise ConfigurationError(msg)


def _is_engine(given: object, what: str) -> bool:
    return not isinstance(given, type) and hasattr(given, "put") and hasattr(given, what)


def _to_assignments(given: Any) -> Any:
    """Return the store of assignments of an engine; anything else as it is."""
    return given.assignments() if _is_engine(given, "assignments") else given


def _to_shared(given: Any) -> Any:
    """Return the shared rules of an engine; anything else as it is."""
    return given.rules() if _is_engine(given, "rules") else given


def _to_overrides(given: Any) -> Any:
    """Return the shared overrides of an engine; anything else as it is."""
    return given.overrides() if _is_engine(given, "overrides") else given


def _check_overrides(_: object, __: "attrs.Attribute[Any]", shared: object) -> None:
    if shared is not None and (isinstance(shared, type) or not isinstance(shared, SharedOverrides)):
        msg = "`overrides` of Rules must be an engine, such as Redis(url) or Postgres(dsn), or its `overrides()`"
        raise ConfigurationError(msg)


def _check_shared(_: object, __: "attrs.Attribute[Any]", shared: object) -> None:
    if shared is not None and (isinstance(shared, type) or not (hasattr(shared, "lead") and hasattr(shared, "read"))):
        msg = "`shared` of Rules must be an engine, such as Redis(url) or Postgres(dsn), or its `rules(...)`"
        raise ConfigurationError(msg)


def _check_store(instance: object, attribute: "attrs.Attribute[Any]", store: object) -> None:
    if store is not None and (isinstance(store, type) or not (hasattr(store, "load") and hasattr(store, "save"))):
        kind = "FileCache" if attribute.name == "cache" else "FileAssignments"
        owner = type(instance).__name__
        msg = f"`{attribute.name}` of {owner} must be a store with `load` and `save`, such as {kind}(folder)"
        raise ConfigurationError(msg)


def _specs_url(url: str) -> str:
    return with_path(url, PATH)


def _lists_url(url: str) -> str:
    return with_path(url, LISTS_PATH)


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Rules(Value):
    """Where rules come from, and how often they are polled.

    Attributes:
        specs_url: Address to poll instead of Statsig, such as a forward proxy; without a path, Statsig's own is added.
            `/{key}.json` is always appended. A query is kept.
        fallback: Poll Statsig itself while `specs_url` fails.
        poll_interval: Time between two polls, in seconds, at least 1; varied by up to 10 %.
        id_lists: Download ID lists, in which Statsig stores large segments.
        id_lists_url: Full address of the manifest of ID lists; without a path, Statsig's own is added. None uses
            Statsig's.
        id_lists_interval: Time between two polls of that manifest, in seconds, at least 1.
        max_id_list_bytes: Maximum size of the file of one ID list, in bytes; each change of an id takes 10 bytes of it.
            A larger file is an error, and its list keeps the entries that it has.
        bootstrap: Rules to start with: JSON, a mapping, or the path of a file, which is watched. They must have
            at least one of `feature_gates`, `dynamic_configs` and `layer_configs`, and may leave out all other fields.
            The network's rules replace them, even if their `time` is later. None starts without rules.
        global_custom: Custom fields of every user, which the user's own override. They are part of Statsig's events.
        shared: An engine, such as `Redis(url)` or `Postgres(dsn)` of `asyncsdk.engines`: one process of the fleet polls
            for rules and ID lists, and the others read them there. `engine.rules(...)` has settings. None: this process
            polls for itself.
        cache: Store of the last valid rules and ID lists, for a start during an outage; None keeps nothing.
        assignments: Store of sticky assignments: a user keeps the first group of an experiment, or of a layer's
            experiment, while that is active. None makes nothing sticky. See `client.load_assignments`.
        overrides: An engine: what `override_gate` and its siblings set applies to the whole fleet, until it is removed.
            None: it stays in this process, and ends with it.
        enforce_overrides: Whether a matching override rule of the experiment overrides a sticky assignment.
        enforce_targeting: Whether a user who no longer matches the experiment's targeting rules loses a sticky
            assignment.

    Raises:
        ConfigurationError: A setting is invalid; the message names it.
    """

    specs_url: str = attrs.field(default=CDN + PATH, converter=_specs_url, validator=check_url)
    fallback: bool = attrs.field(default=False, validator=check_bool)
    poll_interval: float = attrs.field(default=10.0, validator=_check_interval)
    id_lists: bool = attrs.field(default=False, validator=check_bool)
    id_lists_url: str | None = attrs.field(
        default=None, converter=attrs.converters.optional(_lists_url), validator=attrs.validators.optional(check_url)
    )
    id_lists_interval: float = attrs.field(default=60.0, validator=_check_interval)
    max_id_list_bytes: int = attrs.field(default=DEFAULT_MAX_LIST_BYTES, validator=_check_bytes)
    bootstrap: bytes | Path | None = attrs.field(default=None, converter=_to_body, repr=False)
    global_custom: Mapping[str, Any] = attrs.field(factory=dict, converter=_to_plain_json, repr=False)
    shared: SharedRules | None = attrs.field(default=None, converter=_to_shared, validator=_check_shared)
    cache: RulesCache | None = attrs.field(default=None, validator=_check_store)
    assignments: AssignmentStore | None = attrs.field(default=None, converter=_to_assignments, validator=_check_store)
    enforce_overrides: bool = attrs.field(default=False, validator=check_bool)
    enforce_targeting: bool = attrs.field(default=False, validator=check_bool)
    overrides: SharedOverrides | None = attrs.field(
        default=None, converter=_to_overrides, validator=_check_overrides, kw_only=True
    )

    def bypasses(self, failures: int, *, is_first: bool) -> bool:
        """Return whether to bypass `specs_url` and ask Statsig itself after a failure.

        Args:
            failures: Number of consecutive failures, including this one.
            is_first: Whether there are no rules yet.
        """
        is_custom = self.specs_url.rstrip("/") != CDN + PATH
        return self.fallback and is_custom and (is_first or failures % _BYPASS_INTERVAL == 0)


@attrs.frozen(eq=False, repr=False)
class RulesAnswer(Value):
    """The result of a request for rules.

    Attributes:
        body: The rules as received; None if nothing is new, or after a failure.
        reason: The failure in a few words; "" after a success.
        retry_soon: After a failure: whether a retry before the next poll may help.
        may_be_stray: Whether a failure for which `retry_soon` is False may still be a one-off, such as from a gateway
            that is starting.
        malformed: After a failure: whether the body is not what was asked for; a retry would return the same.
        refused: After a failure: whether the key was refused.
        retry_after: Minimum time to wait in seconds; None if the response does not say.
    """

    body: bytes | None = attrs.field(default=None, repr=False)
    reason: str = ""
    retry_soon: bool = True
    may_be_stray: bool = attrs.field(default=False, eq=False)
    malformed: bool = attrs.field(default=False, eq=False)
    refused: bool = False
    retry_after: float | None = None


def poll_interval(response: Response, default: float) -> float:
    """Return how often a dev server wants to be polled, in seconds; the default if it does not say."""
    try:
        seconds = float(response.headers.get("asyncsdk-poll-interval", ""))
    except ValueError:
        return default
    return seconds if _MIN_DEV_INTERVAL <= seconds < inf else default


def read_response(response: Response, request: Request | None = None) -> RulesAnswer:
    """Return what a response means; a 204, a 304 or an empty body means that nothing is new.

    Args:
        response: The response.
        request: What it answers. Nothing that a page repeats of it, such as the key in its address, is in the reason.
    """
    if 200 <= response.status < 300 and response.body.lstrip().startswith(b"<"):
        return RulesAnswer(reason=f"{HTML} from {response.host} ({first_words(response.body, request)})")
    if 200 <= response.status < 300 or response.status == 304:
        return RulesAnswer(response.body or None if response.status != 304 else None)
    reason = f"status {response.status}" if response.status else response.error or "no answer"
    return RulesAnswer(
        reason=reason,
        retry_soon=response.status not in _NO_QUICK_RETRY and response.error not in PERMANENT_ERRORS,
        may_be_stray=response.status != 429 and response.error != "request",
        refused=response.status in _KEY_REFUSED,
        retry_after=retry_after(response.headers),
    )


def build_request(base: str, secret_key: str, headers: Mapping[str, str], time_ms: int, checksum: str) -> Request:
    """Build the request for newer rules.

    Args:
        base: Address of the source, without the key.
        secret_key: The project's server secret key.
        headers: The common headers.
        time_ms: Time of the current rules, in milliseconds since 1970; 0 if there are none.
        checksum: Checksum of the current rules; "" if there is none.
    """
    known = ({"sinceTime": str(time_ms)} if time_ms > 0 else {}) | ({"checksum": checksum} if checksum else {})
    # Quoted, so that any key is a single segment of the path.
    key = quote(secret_key, safe="")
    file, query = f"/{key}.json", urlencode(known)
    address, _, own_query = base.partition("?")
    url = "?".join(filter(None, (address.rstrip("/") + file, "&".join(filter(None, (own_query, query))))))
    canonical = PATH + file + (f"?{query}" if query else "")
    wanted = {**headers, "Accept-Encoding": "gzip, deflate"}
    return Request(url, canonical, wanted, b"", method="GET", purpose="rules", secret=key)


def cache_key(secret_key: str, what: str = PATH) -> str:
    """Return the key of `what` in a cache, as Statsig's own SDKs name it; it contains a hash of the secret key."""
    digest = b64encode(sha256(secret_key.encode()).digest()).decode()
    return f"statsig|{what}|plain_text|{digest}"
