"""The user of an event or lookup: one view of it, which wire, rules, bootstrap, sticky keys and exposures all read.

A `User` keeps what it was given until it is first read. Then `prepare` brings its fields into their form on the wire,
in place and once: ids as text, mappings copied, and the ids by which rules count, with a visitor's id as `stableID`.
The package reads that form, by the private names. The public names are read-only properties, which return what was
given. Values in `custom` and `private_attributes` are converted when they are read
(`wire_value`): most lookups read none of them, and the encoder converts them by the same function.

The ordering key of a user is their user id, otherwise the device id, otherwise the anonymous id, otherwise a custom id.
Events with the same key are delivered in the order in which they were accepted.

A `User` is created or copied per request, prepared, validated per event and evaluated per lookup, so the fast paths
here are written out: a comment at each says what it saves.
"""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, Literal, NoReturn
from uuid import UUID

import attrs
from attrs.exceptions import FrozenInstanceError

from asyncsdk._model.validation import describe_type
from asyncsdk._model.wire_values import (
    is_plain,
    is_visible,
    own_mapping,
    text_id,
    unit_id,
    wire_ids,
    wire_key,
    wire_text,
    wire_value,
)
from asyncsdk.errors import InvalidEventError

__all__ = ["User", "UserLike", "as_user", "is_visible", "ordering_key", "own_id", "prepare", "text_id", "validate_user"]

STABLE_ID = "stableID"
_NOTHING: Mapping[str, Any] = {}
_FIELDS = (
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


class UserFields:
    """What a user keeps: its fields, and caches that depend on nothing else.

    Attributes:
        _user_id: This and the next twelve are the fields; their types hold once `prepare` returned True.
        _ids: The ids by name by which rules count, besides `user_id`: `custom_ids` and the visitor's `stableID`.
        _is_ready: Whether `prepare` has brought all fields into their form on the wire.
        _owns_custom: Whether `_custom` is a copy of what was given, which is made when it is first read.
        _fault: Why it cannot, once it has tried; else "".
        _given: What the public names return of ids that were given as numbers or UUIDs.
        _has_text_keys: Whether the keys of `custom` and `private_attributes` were found, or made, to be text.
        _converted: Values that were converted to their form on the wire: the mapping that they are in, and the result.
        _unit: What exposures of this user are deduplicated by; None: not computed yet.
        _memo: Evaluations by program. None: none yet. False: one, which is not worth caching: most users are looked
            up once.
        _encoded: The user as Statsig's JSON, after the `SharedUserFields` that it includes. None: not encoded yet.
        _ordering_key: The ordering key, once all fields have been validated. None: not yet, or invalid.
    """

    __slots__ = (
        *(f"_{field}" for field in _FIELDS),
        "__weakref__",
        "_converted",
        "_encoded",
        "_fault",
        "_given",
        "_has_text_keys",
        "_ids",
        "_is_ready",
        "_owns_custom",
        "_memo",
        "_ordering_key",
        "_unit",
    )
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
    _ids: dict[str, str] | None
    _fault: str
    _is_ready: bool
    _owns_custom: bool
    _given: Mapping[str, Any]
    _has_text_keys: bool
    _converted: Mapping[str, tuple[object, Any]]
    _unit: Any
    _memo: dict[Any, Any] | Literal[False] | None
    _encoded: tuple[object, bytes] | None
    _ordering_key: str | None


@attrs.define(slots=False, init=False, repr=False, frozen=True)
class User(UserFields):
    """A person, device or visitor: the subject of lookups and events.

    A user does not change: setting a field raises, and mappings are copied. `attrs.evolve(user, country="NL")` makes
    another one. Ids may be whole numbers or UUIDs and count as their text everywhere. To rules, a value is what it is
    in JSON, such as the text of a datetime.

    All vendors receive the ids, `ip`, `user_agent` and `locale`. Only Statsig receives the other fields, except
    `private_attributes`, which no vendor receives. Traits are not part of a user: send them with `identify` and
    `group`.

    Attributes:
        user_id: Your id of a known user; None for a visitor who is not signed in.
        email: Email address, for rules.
        ip: IP address of the request; rules derive the country from it if `country` is None.
        user_agent: The `User-Agent` header, unchanged.
        country: Country code of two upper-case letters (ISO 3166), such as `NL`.
        locale: Language tag, such as `nl-NL`.
        app_version: Version of the calling app, such as `1.2.3`.
        custom: Any other fields, for rules.
        custom_ids: Ids of other units by name, such as `{"companyID": "c7"}`. Events of a user without any
            other id are sent to Statsig only; the other vendors skip them.
        private_attributes: Fields for rules that are never sent to any vendor.
        anonymous_id: Id of a visitor before sign-in (RudderStack's `anonymousId`).
        device_id: Id of a device (Amplitude's `device_id`). For Statsig's rules, it is the `stableID`, otherwise
            `anonymous_id` is, unless `custom_ids` has one.
        statsig_environment: Such as `{"tier": "staging"}`; None uses the client's environment.
    """

    user_id: str | int | None = None
    email: str | None = attrs.field(default=None, kw_only=True)
    ip: str | None = attrs.field(default=None, kw_only=True)
    user_agent: str | None = attrs.field(default=None, kw_only=True)
    country: str | None = attrs.field(default=None, kw_only=True)
    locale: str | None = attrs.field(default=None, kw_only=True)
    app_version: str | None = attrs.field(default=None, kw_only=True)
    custom: Mapping[str, Any] | None = attrs.field(default=None, kw_only=True)
    custom_ids: Mapping[str, str | int | float] | None = attrs.field(default=None, kw_only=True)
    private_attributes: Mapping[str, Any] | None = attrs.field(default=None, kw_only=True)
    anonymous_id: str | int | None = attrs.field(default=None, kw_only=True)
    device_id: str | int | None = attrs.field(default=None, kw_only=True)
    statsig_environment: Mapping[str, str] | None = attrs.field(default=None, kw_only=True)

    def __init__(
        self,
        user_id: str | int | UUID | None = None,
        *,
        email: str | None = None,
        ip: str | None = None,
        user_agent: str | None = None,
        country: str | None = None,
        locale: str | None = None,
        app_version: str | None = None,
        custom: Mapping[str, Any] | None = None,
        custom_ids: Mapping[str, str | int | float | UUID] | None = None,
        private_attributes: Mapping[str, Any] | None = None,
        anonymous_id: str | int | UUID | None = None,
        device_id: str | int | UUID | None = None,
        statsig_environment: Mapping[str, str] | None = None,
    ) -> None:
        # Not attrs' own: that of a frozen class is 3x slower. The types of the slots hold after `prepare`.
        self._user_id = user_id  # type: ignore[assignment]
        self._email = email
        self._ip = ip
        self._user_agent = user_agent
        self._country = country
        self._locale = locale
        self._app_version = app_version
        self._custom = custom  # type: ignore[assignment]
        self._custom_ids = custom_ids  # type: ignore[assignment]
        self._private_attributes = private_attributes  # type: ignore[assignment]
        self._anonymous_id = anonymous_id  # type: ignore[assignment]
        self._device_id = device_id  # type: ignore[assignment]
        self._statsig_environment = statsig_environment  # type: ignore[assignment]
        self._is_ready = self._owns_custom = self._has_text_keys = False
        self._fault = ""
        self._ids = self._unit = self._memo = self._encoded = self._ordering_key = None
        self._converted = self._given = _NOTHING

    def __repr__(self) -> str:
        shown = ((field, getattr(self, field)) for field in _FIELDS if field != "private_attributes")
        return f"{type(self).__name__}({', '.join(f'{field}={value!r}' for field, value in shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {field: getattr(self, field) for field in _FIELDS}
        return _restore, (type(self), fields), getattr(self, "__dict__", None)

    @staticmethod
    def of(user: "UserLike") -> "User":
        """Return the user that the verbs take a value for: a `User` as it is, else a new one.

        Args:
            user: A `User`, a `user_id`, or an object in Statsig's form such as `{"userID": "u1", "email": "a@b.c"}`.

        Raises:
            InvalidEventError: It is none of these.
        """
        return user if isinstance(user, User) else _parse_user(user)

    def unit_id(self, id_type: str) -> str | None:
        """Return the id by which rules count this user; None if they have none, or cannot be used.

        Args:
            id_type: Such as `userID`, `stableID` (the visitor's) or `companyID`.
        """
        if not (self._is_ready or prepare(self)):
            return None
        lowered = id_type.lower()
        if lowered == "userid":
            return self._user_id
        ids = self._ids or {}
        return ids.get(id_type, ids.get(lowered))

    def with_defaults(
        self,
        *,
        ip: str | None = None,
        user_agent: str | None = None,
        locale: str | None = None,
        anonymous_id: str | int | UUID | None = None,
    ) -> "User":
        """Return a copy of this user in which each argument replaces a field that is None.

        Args:
            ip: IP address of the request.
            user_agent: The `User-Agent` header.
            locale: Language tag.
            anonymous_id: Id of a visitor before sign-in.
        """
        # Every web request does this. Calling the class with these keywords is 3x slower, `attrs.evolve` 10x.
        user = User.__new__(User)
        user._user_id = self._user_id
        user._email = self._email
        user._ip = ip if self._ip is None else self._ip
        user._user_agent = user_agent if self._user_agent is None else self._user_agent
        user._country = self._country
        user._locale = locale if self._locale is None else self._locale
        user._app_version = self._app_version
        user._custom = self._custom
        user._custom_ids = self._custom_ids
        user._private_attributes = self._private_attributes
        user._anonymous_id = anonymous_id if self._anonymous_id is None else self._anonymous_id  # type: ignore[assignment]
        user._device_id = self._device_id
        user._statsig_environment = self._statsig_environment
        user._is_ready = user._owns_custom = user._has_text_keys = False
        user._fault = ""
        user._ids = user._unit = user._memo = user._encoded = user._ordering_key = None
        user._converted, user._given = _NOTHING, self._given
        return user


def _restore(kind: type[User], fields: Mapping[str, Any]) -> User:
    """Rebuild a copied or pickled user."""
    user = kind.__new__(kind)
    User.__init__(user, **fields)
    return user


def _frozen(change: str) -> FrozenInstanceError:
    error = FrozenInstanceError()
    error.args = (f"a user does not change: attrs.evolve(user, {change}) makes another one",)
    return error


class FrozenDict(dict[str, Any]):
    """A copy of a user's mapping, which cannot be changed."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        change = "custom={**user.custom, ...}"
        raise _frozen(change)

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _read_only(field: str) -> property:
    """Return the public, read-only property of a field. Its type is that of the attrs field, which it replaces."""
    slot = f"_{field}"

    def read(user: User) -> Any:
        if not user._is_ready:
            prepare(user)
        value = user._given[field] if field in user._given else getattr(user, slot)
        return FrozenDict(value) if type(value) is dict else value

    def refuse(_: User, __: object = None) -> NoReturn:
        change = f"{field}=..."
        raise _frozen(change)

    return property(read, refuse, refuse)


# attrs has declared a frozen class to type checkers. At runtime the properties keep it so: attrs' `__setattr__` would
# make each of the assignments in `__init__` 30x slower.
del User.__setattr__, User.__delattr__
for _field in _FIELDS:
    setattr(User, _field, _read_only(_field))


UserLike = User | str | int | UUID | Mapping[str, Any]
"""A user, a `user_id`, or an object in Statsig's own form: `{"userID": "u1", "email": "a@b.c"}`."""


def prepare(user: UserFields) -> bool:
    """Bring a user's fields into their form on the wire, once; return False if that is impossible (see `_fault`)."""
    # The usual user has ASCII texts and no ids of its own names: 5x faster than field by field.
    text: Any
    if (
        not user._fault
        and ((text := user._user_id) is None or (type(text) is str and text.isascii()))
        and ((text := user._email) is None or (type(text) is str and text.isascii()))
        and ((text := user._ip) is None or (type(text) is str and text.isascii()))
        and ((text := user._user_agent) is None or (type(text) is str and text.isascii()))
        and ((text := user._country) is None or (type(text) is str and text.isascii()))
        and ((text := user._locale) is None or (type(text) is str and text.isascii()))
        and ((text := user._app_version) is None or (type(text) is str and text.isascii()))
        and ((text := user._anonymous_id) is None or (type(text) is str and text.isascii()))
        and user._custom_ids is None
        and user._device_id is None
        and user._private_attributes is None
        and user._statsig_environment is None
    ):
        custom = user._custom
        if custom is None or type(custom) is dict:
            if text is not None and (visitor := text_id(text, "anonymous_id")):
                user._ids = {STABLE_ID: visitor}
            user._is_ready = True
            return True
    if not user._fault:
        try:
            _prepare_each_field(user)
        except InvalidEventError as error:
            user._fault = str(error)
        except Exception:  # noqa: BLE001 -- a value of any type may raise anything
            user._fault = "a field of the user cannot be read"
        else:
            user._is_ready = True
    return user._is_ready


def _prepare_each_field(user: UserFields) -> None:
    """Raise `InvalidEventError` for the first field that has no form on the wire."""
    ids_given = {"user_id": user._user_id, "anonymous_id": user._anonymous_id, "device_id": user._device_id}
    user._given = {field: value for field, value in ids_given.items() if value is not None and type(value) is not str}
    user._user_id = unit_id(user._user_id, "user_id")
    user._email = wire_text(user._email, "user.email")
    user._ip = wire_text(user._ip, "user.ip")
    user._user_agent = wire_text(user._user_agent, "user.user_agent")
    user._country = wire_text(user._country, "user.country")
    user._locale = wire_text(user._locale, "user.locale")
    user._app_version = wire_text(user._app_version, "user.app_version")
    user._custom = own_mapping(user._custom, "user.custom")
    user._owns_custom = True
    user._private_attributes = own_mapping(user._private_attributes, "user.private_attributes")
    environment = own_mapping(user._statsig_environment, "user.statsig_environment")
    user._statsig_environment = wire_value(environment, "user.statsig_environment") if environment else environment
    user._anonymous_id = unit_id(user._anonymous_id, "anonymous_id")
    device = user._device_id = unit_id(user._device_id, "device_id")
    given = own_mapping(user._custom_ids, "user.custom_ids")
    ids = user._custom_ids = wire_ids(given, "user.custom_ids")
    if given != ids:
        user._given = {**user._given, "custom_ids": given}
    # Statsig looks an id up by its exact name, then in lower case; what `custom_ids` has comes first.
    if ids is None or not (ids.get(STABLE_ID) or ids.get("stableid")):
        visitor = text_id(device, "device_id") or text_id(user._anonymous_id, "anonymous_id")
        if visitor is not None:
            ids = {**(ids or {}), STABLE_ID: visitor}
    user._ids = ids or None


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
    if not fields:
        return MISSING
    if not user._owns_custom and fields is user._custom:
        fields = own_custom(user)
    for key in keys:
        if key in fields:
            value = fields[key]
            if value.__class__ is str and value.isascii():
                return value
            return value if is_plain(value) else _converted(user, key, fields)
    # JSON has texts as keys only: a field that is named by a number is found, too.
    if not user._has_text_keys:
        user._has_text_keys = True
        for own in (user._custom, user._private_attributes):
            for key in [key for key in own or () if type(key) is not str or not key.isascii()]:
                own[wire_key(key, "user.custom")] = own.pop(key)  # type: ignore[index, union-attr]
        return own_value(user, keys, fields)
    return MISSING


def own_custom(user: UserFields) -> dict[str, Any]:
    """Copy the custom fields, when they are first read: a change that the caller makes later reaches nobody."""
    user._owns_custom = True
    user._custom = fields = (user._custom or {}).copy()
    return fields


def _converted(user: UserFields, key: str, fields: dict[str, Any]) -> Any:
    """Return a value as it is on the wire, converted once: later changes of a list do not reach rules or vendors."""
    done = user._converted
    if key not in done or done[key][0] is not fields:
        path = "user.custom" if fields is user._custom else "user.private_attributes"
        user._converted = done = {**done, key: (fields, wire_value(fields[key], f"{path}[{key!r}]"))}
    return done[key][1]


def converted_custom(user: UserFields) -> dict[str, Any]:
    """Return the custom fields, with those that rules have read as rules read them."""
    custom = user._custom or {}
    return {**custom, **{key: value for key, (fields, value) in user._converted.items() if fields is custom}}


def fault_of(user: UserFields) -> str:
    """Return why a user, or one of the values in `custom`, has no form on the wire; "" if all have."""
    if not (user._is_ready or prepare(user)):
        return user._fault
    try:
        wire_value(user._custom, "user.custom")
        wire_value(user._private_attributes, "user.private_attributes")
    except InvalidEventError as error:
        return str(error)
    return ""


def unusable_user(fault: str) -> "User":
    """Return a user that no lookup can use, for this reason."""
    user = User()
    user._fault = fault
    return user


def exposure_unit(user: UserFields) -> Any:
    """Return, and cache, what exposures of a user are deduplicated by."""
    if not (user._is_ready or prepare(user)):
        return object()  # nobody else's
    ids = user._ids
    user._unit = key = (user._user_id or "") if ids is None else (user._user_id, *sorted(ids.items()))
    return key


def validate_user(user: User) -> str:
    """Validate a user for an event, and return the ordering key of the user's events.

    Caches the key in `user._ordering_key`: callers check that slot first, so a user is validated once.

    Raises:
        InvalidEventError: The user has no id, or a field has the wrong type.
    """
    if not (user._is_ready or prepare(user)):
        raise InvalidEventError(user._fault)
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


def ordering_key(user: User) -> str | None:
    """Return the user's own id, otherwise a custom id with its name (`companyID:acme`); None if there is none."""
    return own_id(user) or _custom_key(user._custom_ids)


def own_id(user: User) -> str | None:
    """Return the user id, otherwise the device id, otherwise the anonymous id; None if there is none.

    A user without one has at most custom ids, which only Statsig accepts.

    Raises:
        InvalidEventError: A field of the user has a wrong type.
    """
    if not (user._is_ready or prepare(user)):
        raise InvalidEventError(user._fault)
    return (
        text_id(user._user_id, "user_id")
        or text_id(user._device_id, "device_id")
        or text_id(user._anonymous_id, "anonymous_id")
    )


def _custom_key(ids: Mapping[str, str] | None) -> str | None:
    """Return the first custom id by name, so that equal mappings have one key, whatever their order."""
    return min((f"{name}:{text}" for name, text in (ids or {}).items() if is_visible(text)), default=None)


def as_user(user: object) -> User:
    """Return a `User` unchanged, or a new one for an id or an object in Statsig's form.

    For anything else, the user cannot be used (`unusable_user`): lookups return fallbacks, and an event with it is
    invalid, which is for the client to decide on.
    """
    if type(user) is User:
        return user
    if type(user) is str:  # 3x faster than `User(user)`
        new = User.__new__(User)
        new._user_id = user
        new._email = new._ip = new._user_agent = new._country = new._locale = new._app_version = None
        new._custom = new._custom_ids = new._private_attributes = new._statsig_environment = None
        new._anonymous_id = new._device_id = new._ids = None
        new._unit = new._memo = new._encoded = None
        new._converted = new._given = _NOTHING
        new._has_text_keys = new._owns_custom = False
        # There are no other fields to prepare or to validate.
        new._is_ready = user.isascii()
        new._fault = ""
        new._ordering_key = user if user.isprintable() and user.strip() else None  # as in `validate_user`
        return new
    if isinstance(user, User):
        return user
    try:
        return _parse_user(user)
    except InvalidEventError as error:
        return unusable_user(str(error))


def _parse_user(user: object) -> User:
    """Return a new user for an id or an object in Statsig's form.

    Raises:
        InvalidEventError: The value is none of these, or the object has a key that Statsig's form does not have.
    """
    if isinstance(user, Mapping):
        return _from_statsig(user)
    if user is None or isinstance(user, bool) or not isinstance(user, str | UUID | Integral):
        msg = (
            "`user` must be a User or an id (text, a whole number or a UUID) or an object in Statsig's form, "
            f"such as {{'userID': ...}}, not {type(user).__name__}"
        )
        raise InvalidEventError(msg)
    return User(user)  # type: ignore[arg-type] # numpy's numbers, too


_STATSIG_NAMES = {
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


def _from_statsig(fields: Mapping[Any, Any]) -> User:
    """Return the user that an object in Statsig's form describes.

    Raises:
        InvalidEventError: It has an unknown key, or cannot be read.
    """
    try:
        given = dict(fields)
        unknown = [name for name in given if not (isinstance(name, str) and name in _STATSIG_NAMES)]
    except Exception as error:
        msg = "`user` is a mapping that cannot be read"
        raise InvalidEventError(msg) from error
    if unknown:
        shown = repr(unknown[0]) if isinstance(unknown[0], str) else describe_type(unknown[0])
        msg = f"`user` has no field {shown}; an object has {', '.join(_STATSIG_NAMES)}: others go into `custom`"
        raise InvalidEventError(msg)
    return User(**{_STATSIG_NAMES[name]: value for name, value in given.items()})
