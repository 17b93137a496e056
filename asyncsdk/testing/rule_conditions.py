"""The keywords of `RulesBuilder` that say whom a rule is for, and the conditions of Statsig that they become."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypedDict

from asyncsdk.errors import ConfigurationError

# What the names of segments begin with: to Statsig they are gates.
SEGMENT = "segment:"

Texts = str | Sequence[str] | AbstractSet[str]
"""One text, or several of which any matches."""


class Conditions(TypedDict, total=False):
    """Keywords that say whom a rule is for; all that are given must hold.

    Attributes:
        users: User ids.
        country: Countries as two letters, of the user or else of the user's IP address.
        email: E-mail addresses; `*@shop.example` is every address of that domain.
        locale: Locales, such as `nl-NL`.
        app_version: The minimum version of the app, such as `2.0`.
        environment: Tiers, as in `Statsig(environment=...)`.
        custom: Custom fields by name, each with its value or several of which any matches.
        segment: Name of a segment that the user is in.
        gate: Name of another gate that must be open for the user.
    """

    users: str | int | Sequence[str | int] | AbstractSet[str | int]
    country: Texts
    email: Texts
    locale: Texts
    app_version: str
    environment: Texts
    custom: Mapping[str, Any]
    segment: str
    gate: str


def conditions_of(keywords: Conditions) -> list[dict[str, Any]]:
    """Return the conditions, all of which must hold.

    Raises:
        ConfigurationError: There is no such keyword, or a value is not what is documented.
    """
    unknown = keywords.keys() - Conditions.__annotations__.keys()
    if unknown:
        known = ", ".join(Conditions.__annotations__)
        msg = f"a rule has no condition {min(unknown)!r}; it has {known}"
        raise ConfigurationError(msg)
    return [found for name, value in keywords.items() for found in _conditions(name, value)]


def _conditions(name: str, value: Any) -> list[dict[str, Any]]:
    """Return the conditions of one keyword; all of them must hold."""
    if name == "custom":
        if not isinstance(value, Mapping):
            msg = f"`custom` is a mapping of fields to their values, not {value!r}"
            raise ConfigurationError(msg)
        return [_field(field, _values(wanted)) for field, wanted in value.items()]
    if name in ("segment", "gate", "app_version"):
        if not isinstance(value, str):
            msg = f"`{name}` is text, not {value!r}"
            raise ConfigurationError(msg)
        target: Any = f"{SEGMENT}{value}" if name == "segment" else value
    else:
        target = _texts(name, value)
    if name == "email":
        return [_email(target)]
    return [{**_KEYWORDS[name], "targetValue": target}]


# The condition of each keyword, except `custom` and `email`, which have functions.
_KEYWORDS: Mapping[str, Mapping[str, Any]] = {
    "users": {"type": "unit_id", "operator": "any_case_sensitive"},
    "country": {"type": "ip_based", "field": "country", "operator": "any"},
    "locale": {"type": "user_field", "field": "locale", "operator": "any"},
    "app_version": {"type": "user_field", "field": "appVersion", "operator": "version_gte"},
    "environment": {"type": "environment_field", "field": "tier", "operator": "any"},
    "segment": {"type": "pass_gate"},
    "gate": {"type": "pass_gate"},
}


def _field(field: str, values: list[Any]) -> dict[str, Any]:
    return {"type": "user_field", "field": field, "operator": "any", "targetValue": values}


def _email(addresses: list[str]) -> dict[str, Any]:
    domains = [address.removeprefix("*") for address in addresses if address.startswith("*")]
    if not domains:
        return _field("email", addresses)
    if len(domains) < len(addresses):
        msg = "`email` takes addresses or domains (`*@shop.example`), not both: add a rule for each"
        raise ConfigurationError(msg)
    return {"type": "user_field", "field": "email", "operator": "str_ends_with_any", "targetValue": domains}


def _texts(name: str, value: object) -> list[str]:
    """Return one text or several as a list; user ids may be numbers."""
    kinds = (str, int) if name == "users" else (str,)
    found = value if isinstance(value, list | tuple | set | frozenset) else [value]
    if any(isinstance(one, bool) or not isinstance(one, kinds) for one in found):
        msg = f"`{name}` is {'an id' if name == 'users' else 'text'} or a list of them, not {value!r}"
        raise ConfigurationError(msg)
    return [str(one) for one in found]


def _values(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
