"""What to do about an event that cannot be encoded: convert its values with the client's `default`, or name the fault.

A codec fails somewhere inside the message that it builds for its vendor, and with whatever the caller's value raised: a
mapping that changes while it is read, a time zone without an offset, a class whose `isoformat` fails. The caller should
see one type of error, with a path in the event as they wrote it. So only once a codec has failed, the fields of the
event are encoded one by one, and the first that fails is the one that is reported.
"""

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from asyncsdk._model import fragments
from asyncsdk._model.amplitude import Identify
from asyncsdk._model.encoding import replace_unknown, to_json
from asyncsdk._model.events import Event
from asyncsdk._model.users import User
from asyncsdk.errors import InvalidEventError

# In the order in which a caller would look. The first group belongs to the event, the second to its user.
_FIELDS = ("properties", "traits", "metadata", "fields", "value", "context", "integrations")
_USER_FIELDS = ("custom", "custom_ids", "private_attributes", "statsig_environment")


def apply_default(event: Event, error: Exception, default: Callable[[Any], Any] | None) -> Event:
    """Return a copy of an event in which `default` has converted the values that have no form in JSON of their own.

    Args:
        event: The event that a codec failed on.
        error: What the codec, or a value within the event, raised.
        default: As for `json.dumps`: returns a value with a form in JSON, or raises TypeError. None: there is none.

    Raises:
        InvalidEventError: Without a `default`, or if the event still cannot be encoded. The path is the caller's.
    """
    converted, hint = event, ""
    if default is not None:
        try:
            converted = _converted(event, default)
        except Exception as failure:  # noqa: BLE001 -- a function of the user's may raise anything
            error = failure
            hint = "" if type(failure) is TypeError else f"; the client's `default` raised {type(failure).__name__}"
    fault = _find_fault(converted)
    # Without a fault in its values, the codec failed on the event as a whole.
    if fault is None and converted is not event:
        return converted
    if fault is None:
        fault = error if isinstance(error, InvalidEventError) else _unexplained(error)
    if hint:
        fault = InvalidEventError(f"{fault}{hint}")
    raise fault from (None if fault is error else error)


def _converted(event: Event, default: Callable[[Any], Any]) -> Event:
    values = {name: getattr(event, name, None) for name in _FIELDS}
    changes = {
        name: replace_unknown(value, default)
        for name, value in values.items()
        if isinstance(value, Mapping) and _fault_of(value, name) is not None
    }
    return attrs.evolve(event, **changes) if changes else event


def check_fragments(event: Event) -> None:
    """Check JSON that the caller has written, in an event and its user.

    Raises:
        InvalidEventError: A fragment is not JSON.
    """
    for name in _FIELDS:
        fragments.check(getattr(event, name, None), name)
    check_user_fragments(event.user)


def check_user_fragments(user: User) -> None:
    """Check JSON that the caller has written, in a user.

    Raises:
        InvalidEventError: A fragment is not JSON.
    """
    for name in _USER_FIELDS:
        fragments.check(getattr(user, f"_{name}"), f"user.{name}")


def _unexplained(error: Exception) -> InvalidEventError:
    return InvalidEventError(f"the event cannot be encoded: {type(error).__name__}")


def _find_fault(event: Event) -> InvalidEventError | None:
    """Return the error of the first field that cannot be encoded; None if each of them can."""
    for name in _FIELDS:
        value = getattr(event, name, None)
        value = value.user_properties if isinstance(value, Identify) else value
        if value is not None and (fault := _fault_of(value, name)) is not None:
            return fault
    for name in _USER_FIELDS:
        value = getattr(event.user, name)
        if value is not None and (fault := _fault_of(value, f"user.{name}")) is not None:
            return fault
    return None


def _fault_of(value: object, path: str) -> InvalidEventError | None:
    try:
        to_json(value, path)
    except InvalidEventError as fault:
        return fault
    return None
