"""The view of a user: its fields in their form on the wire, which vendors, rules, bootstrap and exposures all read.

A user's fields go through three states; `UserFields._view` has the state.

1. `UNUSUAL`: as they were given, and not converted yet.
2. `AS_GIVEN` or `VISITOR`: on the wire as they were given: ASCII text, custom fields, and no ids that must be
   converted. Construction finds this out, as most users are so.
3. A `UserView` of the user's own: they were converted in place, or something was derived from them. If they have no
   form on the wire, its `fault` says why, and `is_ready` is False.

The first three are constants, shared by all users: a user who is looked up once needs no view of their own. `prepare`
moves a user from state 1 to 3, and `own_view` from state 2. Values in `custom` and `private_attributes` are converted
when they are read (`wire_value`): most lookups read none of them, and the encoder converts them by the same function.
"""

from collections.abc import Mapping
from typing import Any, Literal

import orjson

from asyncsdk._model.wire_values import (
    PLAIN_TYPES,
    is_plain,
    own_mapping,
    text_id,
    unit_id,
    wire_ids,
    wire_key,
    wire_text,
    wire_value,
)
from asyncsdk.errors import InvalidEventError

STABLE_ID = "stableID"
FIELDS = (
    "user_id",
    "email",
    "ip",
    "user_agent",
    "country",
    "locale",
    "app_version",
    "custom",
    "custom_ids",
    "private_attributes",
    "anonymous_id",
    "device_id",
    "statsig_environment",
)
_NOTHING: Mapping[Any, Any] = {}
# Types of values that cannot change between the lookup and the event that read them.
_UNCHANGING = PLAIN_TYPES | {float}


class UserView:
    """What is known about the fields of a user.

    Attributes:
        is_ready: Whether they are in their form on the wire.
        is_as_given: Whether they were ready as they were given. A text may then be of a subclass of str.
        fault: Why they have none, once that was tried; else "".
        given: What the public names return of ids that were given as numbers or UUIDs.
        ids: What `ids_of` returns; of `VISITOR`, they are not derived yet.
        owns_custom: Whether `_custom` is a copy of what was given, which is made when it is first read.
        has_text_keys: Whether the keys of `custom` and `private_attributes` were found, or made, to be text.
        converted: Values that were converted to their form on the wire, by name and whether they are private.
        unit: What exposures of this user are deduplicated by; None: not computed yet.
    """

    __slots__ = (
        "converted",
        "fault",
        "given",
        "has_text_keys",
        "ids",
        "is_as_given",
        "is_ready",
        "owns_custom",
        "unit",
    )

    def __init__(
        self,
        ids: dict[str, str] | None = None,
        given: Mapping[str, Any] = _NOTHING,
        fault: str = "",
        *,
        is_ready: bool = True,
        is_as_given: bool = False,
    ) -> None:
        self.is_ready = is_ready
        self.is_as_given = is_as_given
        self.fault = fault
        self.given = given
        self.ids = ids
        self.owns_custom = self.has_text_keys = False
        self.converted: Mapping[tuple[str, bool], Any] = _NOTHING
        self.unit: Any = None


AS_GIVEN = UserView(is_as_given=True)
"""Of fields that are on the wire as they were given; the user has no ids but `user_id`."""
VISITOR = UserView(is_as_given=True)
"""The same, of a user with an `anonymous_id`."""
UNUSUAL = UserView(is_ready=False)
"""Of all other fields that were not converted yet."""


class UserFields:
    """What a user keeps.

    Attributes:
        _user_id: This and the next twelve are the fields; their types hold once `prepare` returned True.
        _view: What is known about them, see the top of the file.
        _memo: Evaluations by program. None: none yet. False: one, which is not worth caching: most users are looked
            up once.
        _ordering_key: The ordering key, once all fields have been validated. None: not yet, or invalid.
        _encoded: The user as Statsig's JSON, after the `SharedUserFields` that it includes. None: not encoded yet.
    """

    __slots__ = (*(f"_{field}" for field in FIELDS), "__weakref__", "_encoded", "_memo", "_ordering_key", "_view")
    _user_id: str | None
    _email: str | None
    _ip: str | None
    _user_agent: str | None
    _country: str | None
    _locale: str | None
    _app_version: str | None
    _custom: dict[str, Any] | None
    _custom_ids: dict[str, str] | None
    _private_attributes: dict[str, Any] | None
    _anonymous_id: str | None
    _device_id: str | None
    _statsig_environment: dict[str, Any] | None
    _view: UserView
    _memo: dict[Any, Any] | Literal[False] | None
    _ordering_key: str | None
    _encoded: tuple[object, bytes] | None


def prepare(user: UserFields) -> bool:
    """Bring a user's fields into their form on the wire, once; return False if that is impossible (see `fault_of`)."""
    view = user._view
    if not view.is_ready and not view.fault:
        try:
            user._view = _prepare_each_field(user)
        except InvalidEventError as error:
            user._view = UserView(fault=str(error), is_ready=False)
        except Exception:  # noqa: BLE001 -- a value of any type may raise anything
            user._view = UserView(fault="a field of the user cannot be read", is_ready=False)
    return user._view.is_ready


def own_view(user: UserFields) -> UserView:
    """Return the view of a prepared user, which is no longer shared with other users."""
    if user._view is VISITOR:
        visitor = text_id(user._anonymous_id, "anonymous_id")
        user._view = UserView(None if visitor is None else {STABLE_ID: visitor}, is_as_given=True)
    elif user._view is AS_GIVEN:
        user._view = UserView(is_as_given=True)
    return user._view


def ids_of(user: UserFields) -> dict[str, str] | None:
    """Return the ids of a prepared user, by name, by which rules count besides `user_id`; None if there are none.

    They are the `custom_ids` and the visitor's `stableID`.
    """
    view = user._view
    return own_view(user).ids if view is VISITOR else view.ids


def _prepare_each_field(user: UserFields) -> UserView:
    """Convert each field, and return the view.

    Raises:
        InvalidEventError: A field has no form on the wire. None is changed then.
    """
    ids_given = {"user_id": user._user_id, "anonymous_id": user._anonymous_id, "device_id": user._device_id}
    given: dict[str, Any] = {
        field: value for field, value in ids_given.items() if value is not None and type(value) is not str
    }
    given.update(user._view.given)
    user_id = unit_id(user._user_id, "user_id")
    email = wire_text(user._email, "user.email")
    ip = wire_text(user._ip, "user.ip")
    user_agent = wire_text(user._user_agent, "user.user_agent")
    country = wire_text(user._country, "user.country")
    locale = wire_text(user._locale, "user.locale")
    app_version = wire_text(user._app_version, "user.app_version")
    custom = own_mapping(user._custom, "user.custom")
    private_attributes = own_mapping(user._private_attributes, "user.private_attributes")
    environment = own_mapping(user._statsig_environment, "user.statsig_environment")
    environment = wire_value(environment, "user.statsig_environment") if environment else environment
    anonymous_id = unit_id(user._anonymous_id, "anonymous_id")
    device_id = unit_id(user._device_id, "device_id")
    custom_ids_given = own_mapping(user._custom_ids, "user.custom_ids")
    ids = custom_ids = wire_ids(custom_ids_given, "user.custom_ids")
    if custom_ids_given != custom_ids:
        given.setdefault("custom_ids", custom_ids_given)
    # Statsig looks an id up by its exact name, then in lower case; what `custom_ids` has comes first.
    if ids is None or not (ids.get(STABLE_ID) or ids.get("stableid")):
        visitor = text_id(device_id, "device_id") or text_id(anonymous_id, "anonymous_id")
        if visitor is not None:
            ids = {**(ids or {}), STABLE_ID: visitor}
    user._user_id, user._anonymous_id, user._device_id = user_id, anonymous_id, device_id
    user._email, user._ip, user._user_agent = email, ip, user_agent
    user._country, user._locale, user._app_version = country, locale, app_version
    user._custom, user._custom_ids, user._private_attributes = custom, custom_ids, private_attributes
    user._statsig_environment = environment
    view = UserView(ids or None, given)
    view.owns_custom = True
    return view


MISSING: Any = object()
"""What `own_value` returns for no value."""


def own_value(user: UserFields, keys: tuple[str, ...], fields: dict[str, Any] | None) -> Any:
    """Return the first of a prepared user's values with one of these names, as it is on the wire, else `MISSING`.

    Args:
        user: The user.
        keys: The names, in order.
        fields: `_custom` or `_private_attributes` of this user.

    Raises:
        InvalidEventError: The value has no form on the wire.
    """
    if fields is None:
        return MISSING
    if fields is user._custom and not user._view.owns_custom:
        fields = own_custom(user)
    for key in keys:
        if key in fields:
            value = fields[key]
            if type(value) is str and value.isascii():
                return value
            return value if is_plain(value) else _converted(user, key, fields)
    # JSON has texts as keys only: a field that is named by a number is found, too.
    view = user._view
    if not view.has_text_keys:
        view.has_text_keys = True
        for own in (user._custom, user._private_attributes):
            for key in [key for key in own or () if type(key) is not str or not key.isascii()]:
                own[wire_key(key, "user.custom")] = own.pop(key)  # type: ignore[index, union-attr]
        return own_value(user, keys, fields)
    return MISSING


def own_custom(user: UserFields) -> dict[str, Any]:
    """Copy the custom fields, when they are first read: a change that the caller makes later has no effect."""
    fields = user._custom or {}
    # An event may have been the first to read them: it leaves no copy but what it sent.
    user._custom = fields = fields.copy() if user._encoded is None else orjson.loads(user._encoded[1])["custom"]
    own_view(user).owns_custom = True
    return fields


def _converted(user: UserFields, key: str, fields: dict[str, Any]) -> Any:
    """Return a value as it is on the wire, converted once: later changes of a list do not reach rules or vendors."""
    view = own_view(user)
    place = key, fields is user._private_attributes
    if place not in view.converted:
        path = "user.private_attributes" if place[1] else "user.custom"
        view.converted = {**view.converted, place: wire_value(fields[key], f"{path}[{key!r}]")}
    return view.converted[place]


def wire_custom(user: UserFields, *, copies: bool) -> dict[str, Any]:
    """Return the custom fields as they are on the wire: what rules have read, and will read later.

    Args:
        user: The user.
        copies: Whether to copy them if that was not done; otherwise the caller sets `_encoded`, which serves as a copy
            that only a later lookup has to pay for.

    Raises:
        InvalidEventError: A value has no form on the wire.
    """
    custom, is_copy = user._custom or {}, user._view.owns_custom
    if not is_copy and (copies or user._encoded is not None):
        custom, is_copy = own_custom(user), True
    if _UNCHANGING.issuperset(map(type, custom.values())):
        return custom
    if not is_copy:
        custom = own_custom(user)
    return {
        key: value if type(value) in _UNCHANGING else _converted(user, key, custom) for key, value in custom.items()
    }


def fault_of(user: UserFields) -> str:
    """Return why a user, or one of the values in `custom`, has no form on the wire; "" if all have."""
    if not (user._view.is_ready or prepare(user)):
        return user._view.fault
    try:
        wire_value(user._custom, "user.custom")
        wire_value(user._private_attributes, "user.private_attributes")
    except InvalidEventError as error:
        return str(error)
    return ""


def exposure_unit(user: UserFields) -> Any:
    """Return, and cache, what exposures of a user are deduplicated by."""
    if not (user._view.is_ready or prepare(user)):
        return object()  # nobody else's
    if user._view is AS_GIVEN:
        return user._user_id or ""
    view = own_view(user)
    ids = view.ids
    view.unit = key = (user._user_id or "") if ids is None else (user._user_id, *sorted(ids.items()))
    return key
