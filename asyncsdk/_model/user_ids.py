"""The ids by which events are accepted and ordered.

The ordering key of a user is their user id, otherwise the device id, otherwise the anonymous id, otherwise a custom id.
Events with the same key are delivered in the order in which they were accepted.
"""

from collections.abc import Mapping

from asyncsdk._model.user_view import UserFields, prepare
from asyncsdk._model.wire_values import is_visible, text_id
from asyncsdk.errors import InvalidEventError


def validate_user(user: UserFields) -> str:
    """Validate a user for an event, and return the ordering key of the user's events.

    Caches the key in `user._ordering_key`: callers check that slot first, so a user is validated once.

    Raises:
        InvalidEventError: The user has no id, or a field has the wrong type.
    """
    if not (user._view.is_ready or prepare(user)):
        raise InvalidEventError(user._view.fault)
    unit = user._user_id
    # The usual id is a printable string: accept it here and save the call.
    key = unit if unit is not None and unit.isprintable() and unit.strip() else ordering_key(user)
    if not key:
        msg = (
            "the user needs a user_id, an anonymous_id or a device_id that is not blank "
            "(in a web service: anonymous_cookie=); for Statsig, one of custom_ids is enough"
        )
        raise InvalidEventError(msg)
    user._ordering_key = key
    return key


def ordering_key(user: UserFields) -> str | None:
    """Return the user's own id, otherwise a custom id with its name (`companyID:acme`); None if there is none."""
    return own_id(user) or _custom_key(user._custom_ids)


def own_id(user: UserFields) -> str | None:
    """Return the user id, otherwise the device id, otherwise the anonymous id; None if there is none.

    A user without one has at most custom ids, which only Statsig accepts.

    Raises:
        InvalidEventError: A field of the user has a wrong type.
    """
    if not (user._view.is_ready or prepare(user)):
        raise InvalidEventError(user._view.fault)
    return (
        text_id(user._user_id, "user_id")
        or text_id(user._device_id, "device_id")
        or text_id(user._anonymous_id, "anonymous_id")
    )


def _custom_key(ids: Mapping[str, str] | None) -> str | None:
    """Return the first custom id by name, so that equal mappings have one key, whatever their order."""
    return min((f"{name}:{text}" for name, text in (ids or {}).items() if is_visible(text)), default=None)
