"""The user of an event or lookup.

A `User` keeps what it was given until it is first read; then its fields are brought into their form on the wire, in
place and once (`user_view`). The package reads that form, by the private names. The public names are read-only
properties, which return what was given.

A `User` is created or copied per request, validated per event and evaluated per lookup, so the fast paths here are
written out: a comment at each says what it saves.
"""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, NoReturn
from uuid import UUID

import attrs
from attrs.exceptions import FrozenInstanceError

from asyncsdk._model.user_names import fields_by_name
from asyncsdk._model.user_view import (
    AS_GIVEN,
    FIELDS,
    UNUSUAL,
    VISITOR,
    UserFields,
    UserView,
    ids_of,
    prepare,
)
from asyncsdk.errors import InvalidEventError

_is_ascii = str.isascii
"""Called as a function, it raises TypeError for what is not text: one call checks both, at half the price of two."""


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

    __slots__ = ()  # those of `UserFields`; a `__dict__` would cost every user a tenth more

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
        # Not attrs' own: that of a frozen class is 3x slower. The types of the slots hold if the view is ready.
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
        self._memo = self._ordering_key = self._encoded = None
        # The usual user has ASCII texts, custom fields and no other ids: 5x faster than field by field.
        try:
            self._view = (
                (AS_GIVEN if anonymous_id is None else VISITOR)
                if (user_id is None or (type(user_id) is str and user_id.isascii()))
                and (anonymous_id is None or (type(anonymous_id) is str and anonymous_id.isascii()))
                and (email is None or _is_ascii(email))
                and (ip is None or _is_ascii(ip))
                and (user_agent is None or _is_ascii(user_agent))
                and (country is None or _is_ascii(country))
                and (locale is None or _is_ascii(locale))
                and (app_version is None or _is_ascii(app_version))
                and (custom is None or type(custom) is dict)
                and custom_ids is None
                and device_id is None
                and private_attributes is None
                and statsig_environment is None
                else UNUSUAL
            )
        except TypeError:  # one is not text
            self._view = UNUSUAL

    def __repr__(self) -> str:
        shown = ((field, getattr(self, field)) for field in FIELDS if field != "private_attributes")
        return f"{type(self).__name__}({', '.join(f'{field}={value!r}' for field, value in shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {field: getattr(self, field) for field in FIELDS}
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
        if not (self._view.is_ready or prepare(self)):
            return None
        lowered = id_type.lower()
        if lowered == "userid":
            return self._user_id
        ids = ids_of(self) or {}
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
        user._memo = user._ordering_key = user._encoded = None
        view = self._view
        try:
            if (
                view.is_as_given
                and (ip is None or _is_ascii(ip))
                and (user_agent is None or _is_ascii(user_agent))
                and (locale is None or _is_ascii(locale))
                and (anonymous_id is None or (type(anonymous_id) is str and anonymous_id.isascii()))
            ):
                user._view = AS_GIVEN if user._anonymous_id is None else VISITOR
                return user
        except TypeError:  # one is not text
            pass
        user._view = UserView(given=view.given, is_ready=False) if view.given else UNUSUAL
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
        if not user._view.is_ready:
            prepare(user)
        given = user._view.given
        value = given[field] if field in given else getattr(user, slot)
        return FrozenDict(value) if type(value) is dict else value

    def refuse(_: User, __: object = None) -> NoReturn:
        change = f"{field}=..."
        raise _frozen(change)

    return property(read, refuse, refuse)


# attrs has declared a frozen class to type checkers. At runtime the properties keep it so: attrs' `__setattr__` would
# make each of the assignments in `__init__` 30x slower.
del User.__setattr__, User.__delattr__
for _field in FIELDS:
    setattr(User, _field, _read_only(_field))


UserLike = User | str | int | UUID | Mapping[str, Any]
"""A user, a `user_id`, or an object in Statsig's own form: `{"userID": "u1", "email": "a@b.c"}`."""


def unusable_user(fault: str) -> "User":
    """Return a user that no lookup can use, for this reason."""
    user = User()
    user._view = UserView(fault=fault, is_ready=False)
    return user


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
        new._anonymous_id = new._device_id = new._memo = new._encoded = None
        # There are no other fields to prepare or to validate.
        new._view = AS_GIVEN if user.isascii() else UNUSUAL
        new._ordering_key = user if user.isprintable() and user.strip() else None  # as in `validate_user`
        return new
    try:
        return user if isinstance(user, User) else _parse_user(user)
    except InvalidEventError as error:
        return unusable_user(str(error))
    except Exception as error:  # noqa: BLE001 -- a value of any type may raise anything
        return unusable_user(f"`user` raised {type(error).__name__} when it was read")


def _parse_user(user: object) -> User:
    """Return a new user for an id or an object in Statsig's form.

    Raises:
        InvalidEventError: The value is none of these, or the object has a key that is no field of a user.
    """
    if isinstance(user, Mapping):
        return _from_object(user)
    if user is None or isinstance(user, bool) or not isinstance(user, str | UUID | Integral):
        msg = (
            "`user` must be a User or an id (text, a whole number or a UUID) or an object in Statsig's form, "
            f"such as {{'userID': ...}}, not {type(user).__name__}"
        )
        raise InvalidEventError(msg)
    return User(user)  # type: ignore[arg-type] # numpy's numbers, too


def _from_object(fields: Mapping[Any, Any]) -> User:
    """Return the user that an object describes.

    Raises:
        InvalidEventError: It has an unknown key, or cannot be read.
    """
    try:
        return User(**fields_by_name(fields))
    except InvalidEventError:
        raise
    except Exception as error:
        msg = "`user` is a mapping that cannot be read"
        raise InvalidEventError(msg) from error
