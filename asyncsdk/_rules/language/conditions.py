"""Where the user's side of a condition comes from. To add a type, add a row to `SOURCES`.

A row makes, when a ruleset is compiled, the function that fetches the value from a user; None stands for missing.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.language.buckets import bucketer, user_id_bucketer
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import Condition
from asyncsdk._rules.language.values import as_object, as_text

Fetcher = Callable[[User], Any]
_MISSING = object()
_MAX_AGENTS = 1000

_ATTRIBUTES = {
    "userid": "user_id",
    "email": "email",
    "ip": "ip",
    "country": "country",
    "locale": "locale",
    "appversion": "app_version",
    "useragent": "user_agent",
}
_LATE_ATTRIBUTES = {"user_id": "user_id", "app_version": "app_version", "user_agent": "user_agent"}
_AGENT_PARTS = {
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
        fetch: Gets the value from a user.
        attribute: The user's attribute that is the value whenever it is a text that is not empty.
        is_steady: The value depends on nothing but the user.
    """

    fetch: Fetcher
    attribute: str | None = None
    is_steady: bool = True


def field_fetcher(field: str | None, shared_context: SharedContext, missing: object = None) -> Fetcher:
    """Fetch an attribute: top-level, custom, global custom, private, then three aliases; the first that is there.

    A None that somebody stored is there. `missing` is what to give when nothing is.
    """
    if field is None:
        return _nothing
    lowered = field.lower()
    attribute, alias = _ATTRIBUTES.get(lowered), _LATE_ATTRIBUTES.get(lowered)
    keys = (field,) if lowered == field else (field, lowered)
    everyone = shared_context.global_custom

    def fetch(user: User) -> object:
        if attribute is not None:
            value = getattr(user, attribute)
            if value.__class__ is str:
                if value:
                    return value
            elif value is not None:
                return as_text(value)
        for fields in (user.custom, everyone, user.private_attributes):
            if fields:
                value = _member(fields, keys)
                if value is not _MISSING:
                    return value
        return missing if alias is None or (value := getattr(user, alias)) is None else value

    return fetch


def _member(fields: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    if fields.__class__ is not dict and as_object(fields) is None:
        return _MISSING
    for key in keys:
        if key in fields:
            return fields[key]
    return _MISSING


def unit_id_fetcher(id_type: str) -> Fetcher:
    """Fetch the id that a rule counts by; "" for a missing user id, None for another missing id."""
    lowered = id_type.lower()
    if lowered == "userid":
        return _user_id
    keys = (id_type, lowered)

    def fetch(user: User) -> object:
        value = _member(user.custom_ids, keys) if user.custom_ids else None
        return value if value is not _MISSING else None

    return fetch


def _user_id(user: User) -> object:
    unit = user.user_id
    return "" if unit is None else unit


@lru_cache(2_000)
def user_bucketer(salt: str, id_type: str, size: int) -> Callable[[User], int]:
    """Make the function that puts a user into one of `size` buckets; the same one for the same bucket."""
    unit = unit_id_fetcher(id_type)
    if unit is _user_id:
        return user_id_bucketer(salt, size)
    hashed = bucketer(salt, size)
    return lambda user: hashed(unit(user))


def _nothing(_: User) -> None:
    return None


def _of_user(condition: Condition, shared_context: SharedContext) -> ConditionSource:
    fetch = field_fetcher(condition.field, shared_context)
    return ConditionSource(fetch, _ATTRIBUTES.get((condition.field or "").lower()))


def _of_environment(condition: Condition, shared_context: SharedContext) -> ConditionSource:
    field = condition.field
    if field is None:
        return ConditionSource(_nothing)
    environment = shared_context.environment or {}
    default = environment.get(field, environment.get(field.lower()))

    def fetch(user: User) -> object:
        own = user.statsig_environment
        value = _member(own, (field,)) if own else _MISSING
        return default if value is _MISSING else value

    return ConditionSource(fetch)


def _of_user_agent(condition: Condition, shared_context: SharedContext) -> ConditionSource:
    direct = field_fetcher(condition.field, shared_context, _MISSING)
    agent_of = field_fetcher("userAgent", shared_context)
    part = _AGENT_PARTS.get((condition.field or "").lower())
    read: dict[str, Any] = {}

    def fetch(user: User) -> object:
        value = direct(user)
        if value is not _MISSING:
            return value
        if part is None:
            return None
        agent = as_text(agent_of(user))
        if agent is None:
            return None
        if agent not in read:
            if len(read) >= _MAX_AGENTS:
                read.clear()
            parsed = shared_context.user_agent(agent)
            read[agent] = None if parsed is None else getattr(parsed, part)
        return read.get(agent)

    return ConditionSource(fetch)


def _of_address(condition: Condition, shared_context: SharedContext) -> ConditionSource:
    if condition.field != "country":
        return ConditionSource(field_fetcher(condition.field, shared_context))
    direct = field_fetcher(condition.field, shared_context, _MISSING)
    address_of = field_fetcher("ip", shared_context)

    def fetch(user: User) -> object:
        value = direct(user)
        if value is not _MISSING:
            return value
        address = as_text(address_of(user))
        return None if address is None else shared_context.country(address)

    return ConditionSource(fetch)


def _of_unit(condition: Condition, _: SharedContext) -> ConditionSource:
    fetch = unit_id_fetcher(condition.id_type)
    return ConditionSource(fetch, "user_id" if fetch is _user_id else None)


def _now(_: Condition, shared_context: SharedContext) -> ConditionSource:
    clock = shared_context.clock
    return ConditionSource(lambda _: clock(), is_steady=False)


SOURCES: dict[str, Callable[[Condition, SharedContext], ConditionSource]] = {
    "user_field": _of_user,
    "environment_field": _of_environment,
    "ua_based": _of_user_agent,
    "ip_based": _of_address,
    "current_time": _now,
    "user_bucket": lambda condition, _: ConditionSource(user_bucketer(condition.salt, condition.id_type, 1000)),
    "unit_id": _of_unit,
    "target_app": lambda _, shared_context: ConditionSource(lambda _: shared_context.app_id),
}
_BY_FIELD = frozenset({"user_field", "environment_field", "ua_based", "ip_based"})


def source_of(condition: Condition, shared_context: SharedContext) -> ConditionSource | None:
    """Give the user's side of a condition, the same one for the same field; None when its type is unknown."""
    make = SOURCES.get(condition.type or "")
    if make is None or condition.type not in _BY_FIELD:
        return None if make is None else make(condition, shared_context)
    key = (condition.type, condition.field)
    found: ConditionSource | None = shared_context.sources.get(key)
    if found is None:
        found = shared_context.sources[key] = make(condition, shared_context)
    return found
