"""The names that the fields of a user have in an object: Statsig's, Python's, and those of the other vendors."""

from collections.abc import Mapping
from typing import Any

from asyncsdk._model.user_view import FIELDS
from asyncsdk._model.validation import describe_type
from asyncsdk.errors import InvalidEventError

STATSIG_NAMES = {
    "userID": "user_id",
    "email": "email",
    "ip": "ip",
    "userAgent": "user_agent",
    "country": "country",
    "locale": "locale",
    "appVersion": "app_version",
    "clientVersion": "app_version",  # the name in the first versions of statsig-node
    "custom": "custom",
    "customIDs": "custom_ids",
    "privateAttributes": "private_attributes",
    "statsigEnvironment": "statsig_environment",
}
_OTHER_NAMES = {
    **{field: field for field in FIELDS},
    "userId": "user_id",
    "anonymousId": "anonymous_id",
    "deviceId": "device_id",
    "customIds": "custom_ids",
}
FIELD_OF: Mapping[str, str] = STATSIG_NAMES | _OTHER_NAMES
"""The field of `User` by each of its names."""
_MAX_SHOWN = 100


def fields_by_name(given: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields of `User` that an object has, by their names in Python.

    Args:
        given: An object with any of the names in `FIELD_OF`.

    Raises:
        InvalidEventError: It has an unknown name, or two values for one field.
    """
    fields: dict[str, Any] = {}
    for name, value in given.items():
        field = FIELD_OF.get(name) if isinstance(name, str) else None
        if field is None:
            shown = repr(name[:_MAX_SHOWN]) if isinstance(name, str) else describe_type(name)
            msg = f"`user` has no field {shown}; an object has {', '.join(STATSIG_NAMES)}: others go into `custom`"
            raise InvalidEventError(msg)
        if value is None:
            continue
        if field in fields:
            names = " and ".join(repr(one) for one in given if FIELD_OF.get(one) == field)
            msg = f"`user` has one field under two names: {names}"
            raise InvalidEventError(msg)
        fields[field] = value
    return fields
