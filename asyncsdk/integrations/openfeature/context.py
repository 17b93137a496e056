"""Convert an evaluation context to a user."""

from collections.abc import Mapping
from datetime import UTC, datetime
from numbers import Integral
from typing import Any
from uuid import UUID

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import InvalidContextError

from asyncsdk import User

# Fields of a user that attributes may set, and the types that they accept; other attributes become custom fields.
_FIELDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("user_id", "anonymous_id", "device_id"), (str, Integral, UUID)),
    **dict.fromkeys(("email", "ip", "country", "locale", "app_version", "user_agent"), (str,)),
    **dict.fromkeys(("custom", "custom_ids", "private_attributes", "statsig_environment"), (Mapping,)),
}
_SPELLINGS = {
    "userId": "user_id",
    "userID": "user_id",
    "anonymousId": "anonymous_id",
    "deviceId": "device_id",
    "appVersion": "app_version",
    "clientVersion": "app_version",
    "userAgent": "user_agent",
    "customIds": "custom_ids",
    "customIDs": "custom_ids",
    "privateAttributes": "private_attributes",
    "statsigEnvironment": "statsig_environment",
}


def user_of(context: EvaluationContext | None) -> User:
    """Convert an evaluation context to a user.

    The targeting key is the user id. Attributes that are named like fields of `User`, in snake_case or camelCase, set
    these fields, so that the attributes may be an object in Statsig's form. Others become custom fields, and take
    precedence over those in an attribute `custom`. A `datetime` becomes milliseconds since 1970, the unit in which
    rules compare times; one without a time zone is in UTC.

    Args:
        context: The context; None is a user without fields.

    Returns:
        The user that lookups and events are for.

    Raises:
        InvalidContextError: An attribute that is a field of `User` has a wrong type.
    """
    if context is None:
        return User()
    fields: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for name, value in context.attributes.items():
        field = _SPELLINGS.get(name, name)
        kinds = _FIELDS.get(field)
        if kinds is None:
            custom[name] = value
        elif isinstance(value, kinds):
            fields[field] = value
        elif value is not None:
            msg = f"the attribute {name} is of type {type(value).__name__}, which User({field}=) does not accept"
            raise InvalidContextError(msg)
    if context.targeting_key:
        fields["user_id"] = context.targeting_key
    custom = {**fields.pop("custom", {}), **custom}
    return User(**fields, custom={name: _milliseconds(value) for name, value in custom.items()} or None)


def _milliseconds(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
