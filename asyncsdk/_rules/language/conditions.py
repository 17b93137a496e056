"""Fetch the user's side of a condition. To add a type of condition, add a row to `SOURCES`.

A row builds, when a ruleset is compiled, the function that fetches the value from a user: a fetcher. It reads the user
as `user_view.prepare` left it, in the form that is sent to Statsig, and returns None for a missing value. It raises
`InvalidEventError` for a value of `custom` that has no such form.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import attrs

from asyncsdk._model.user_view import MISSING, ids_of, own_value
from asyncsdk._model.users import User
from asyncsdk._rules.language.buckets import bucketer, user_id_bucketer
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import Condition
from asyncsdk._rules.language.values import as_text

Fetcher = Callable[[User], Any]
_MAX_CACHED_USER_AGENTS = 1000
_TEMPORAL_OPERATORS = frozenset({"before", "after", "on"})

# Names of fields, in lower case, that are read from the user before the custom fields...
_ATTRIBUTES = {
    "userid": "_user_id",
    "email": "_email",
    "ip": "_ip",
    "country": "_country",
    "locale": "_locale",
    "appversion": "_app_version",
    "useragent": "_user_agent",
}
# ...and after them.
_FALLBACK_ATTRIBUTES = {"user_id": "_user_id", "app_version": "_app_version", "user_agent": "_user_agent"}
_USER_AGENT_PARTS = {
    "os_name": "os_name",
    "osname": "os_name",
    "os_version": "os_version",
    "osversion": "os_version",
    "browser_name": "browser_name",
    "browsername": "browser_name",
    "browser_version": "browser_version",
    "browserversion": "browser_version",
}


@attrs.frozen(eq=False, repr=False)
class ConditionSource:
    """The user's side of one condition.

    Attributes:
        fetch: Returns the value of a user.
        attribute: The user's attribute that is the value whenever it is a non-empty text; generated code reads it
            without calling `fetch`.
        is_steady: The value depends on nothing but the user.
    """

    fetch: Fetcher
    attribute: str | None = None
    is_steady: bool = True


def field_fetcher(field: str | None, shared_context: SharedContext, missing: object = None) -> Fetcher:
    """Return the fetcher of a user's field.

    The first place that has the field wins:

    1. the attributes in `_ATTRIBUTES`, unless None or "";
    2. the user's custom fields, the client's global custom fields, the user's private attributes, by the exact name
       and by the name in lower case; a stored None counts as a value;
    3. the attributes in `_FALLBACK_ATTRIBUTES`, unless None; a `user_id` of None is "".

    Args:
        field: The name; None is a field that no user has.
        shared_context: Has the global custom fields.
        missing: What the fetcher returns if no place has the field.
    """
    if field is None:
        return _fetch_none
    lowered = field.lower()
    attribute, fallback = _ATTRIBUTES.get(lowered), _FALLBACK_ATTRIBUTES.get(lowered)
    # A user without id has the id "" here, as in Statsig's packages.
    missing = "" if lowered == "user_id" else missing
    keys = (field,) if lowered == field else (field, lowered)
    global_custom = shared_context.global_custom

    def fetch(user: User) -> object:
        if attribute is not None:
            value = getattr(user, attribute)
            if value:
                return value
        value = own_value(user, keys, user._custom)
        if value is MISSING and global_custom:
            value = next((global_custom[key] for key in keys if key in global_custom), MISSING)
        if value is MISSING and user._private_attributes is not None:
            value = own_value(user, keys, user._private_attributes)
        if value is not MISSING:
            return value
        return missing if fallback is None or (value := getattr(user, fallback)) is None else value

    return fetch


def unit_id_fetcher(id_type: str) -> Fetcher:
    """Return the fetcher of the id by which a rule counts; "" for a missing user id, None for another missing id."""
    lowered = id_type.lower()
    if lowered == "userid":
        return _fetch_user_id

    def fetch(user: User) -> object:
        ids = ids_of(user)
        return None if ids is None else ids.get(id_type, ids.get(lowered))

    return fetch


def _fetch_user_id(user: User) -> object:
    unit = user._user_id
    return "" if unit is None else unit


@lru_cache(2_000)
def user_bucketer(salt: str, id_type: str, size: int) -> Callable[[User], int]:
    """Return the function that hashes a user into one of `size` buckets.

    Cached, because equal buckets must be the same object: generated code then hashes once for several rules.
    """
    unit_id = unit_id_fetcher(id_type)
    if unit_id is _fetch_user_id:
        return user_id_bucketer(salt, size)
    bucket = bucketer(salt, size)
    return lambda user: bucket(unit_id(user))


def _fetch_none(_: User) -> None:
    return None


def _field_source(condition: Condition, shared_context: SharedContext) -> ConditionSource:
    fetch = field_fetcher(condition.field, shared_context)
    return ConditionSource(fetch, _ATTRIBUTES.get((condition.field or "").lower()))


def _environment_source(condition: Condition, shared_context: SharedContext) -> ConditionSource:
    """The user's own environment comes first, then the client's."""
    field = condition.field
    if field is None:
        return ConditionSource(_fetch_none)
    environment = shared_context.environment or {}
    default = environment.get(field, environment.get(field.lower()))

    def fetch(user: User) -> object:
        own = user._statsig_environment
        return own[field] if own and field in own else default

    return ConditionSource(fetch)


def _user_agent_source(condition: Condition, shared_context: SharedContext) -> ConditionSource:
    """The field itself if the user has it, else the part of the parsed user agent with that name."""
    fetch_field = field_fetcher(condition.field, shared_context, MISSING)
    fetch_user_agent = field_fetcher("userAgent", shared_context)
    part = _USER_AGENT_PARTS.get((condition.field or "").lower())
    # Parsing takes long, and many users have the same user agent.
    cache: dict[str, Any] = {}

    def fetch(user: User) -> object:
        value = fetch_field(user)
        if value is not MISSING:
            return value
        if part is None:
            return None
        user_agent = as_text(fetch_user_agent(user))
        if user_agent is None:
            return None
        if user_agent not in cache:
            if len(cache) >= _MAX_CACHED_USER_AGENTS:
                cache.clear()
            parsed = shared_context.user_agent(user_agent)
            cache[user_agent] = None if parsed is None else getattr(parsed, part)
        # Not `cache[user_agent]`: another thread may have cleared it.
        return cache.get(user_agent)

    return ConditionSource(fetch)


def _ip_source(condition: Condition, shared_context: SharedContext) -> ConditionSource:
    """A field of the user; for a user without the field `country`, the country of the user's IP address."""
    if condition.field != "country":
        return ConditionSource(field_fetcher(condition.field, shared_context))
    fetch_country = field_fetcher(condition.field, shared_context, MISSING)
    fetch_ip = field_fetcher("ip", shared_context)

    def fetch(user: User) -> object:
        value = fetch_country(user)
        if value is not MISSING:
            return value
        address = as_text(fetch_ip(user))
        return None if address is None else shared_context.country(address)

    return ConditionSource(fetch)


def _unit_id_source(condition: Condition, _: SharedContext) -> ConditionSource:
    fetch = unit_id_fetcher(condition.id_type)
    return ConditionSource(fetch, "_user_id" if fetch is _fetch_user_id else None)


def _current_time_source(condition: Condition, shared_context: SharedContext) -> ConditionSource:
    """The clock; it is an instant only, so that operators on numbers and text have a missing value."""
    if condition.operator not in _TEMPORAL_OPERATORS:
        return ConditionSource(_fetch_none)
    clock = shared_context.clock
    return ConditionSource(lambda _: clock(), is_steady=False)


SOURCES: dict[str, Callable[[Condition, SharedContext], ConditionSource]] = {
    "user_field": _field_source,
    "environment_field": _environment_source,
    "ua_based": _user_agent_source,
    "ip_based": _ip_source,
    "current_time": _current_time_source,
    "user_bucket": lambda condition, _: ConditionSource(user_bucketer(condition.salt, condition.id_type, 1000)),
    "unit_id": _unit_id_source,
    "target_app": lambda _, shared_context: ConditionSource(lambda _: shared_context.app_id),
}
# Types whose source depends on the condition's field alone.
_BY_FIELD = frozenset({"user_field", "environment_field", "ua_based", "ip_based"})


def source_of(condition: Condition, shared_context: SharedContext) -> ConditionSource | None:
    """Return the user's side of a condition; None if the type is unknown.

    Conditions on the same field share one source, so that generated code fetches the value once.
    """
    build = SOURCES.get(condition.type or "")
    if build is None or condition.type not in _BY_FIELD:
        return None if build is None else build(condition, shared_context)
    key = (condition.type, condition.field)
    found: ConditionSource | None = shared_context.sources.get(key)
    if found is None:
        found = shared_context.sources[key] = build(condition, shared_context)
    return found
