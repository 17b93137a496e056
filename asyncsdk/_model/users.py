"""The user of an event or lookup: its fields, its validation and its ordering key.

The ordering key of a user is their user id, otherwise the device id, otherwise the anonymous id, otherwise a custom id.
Events with the same key are delivered in the order in which they were accepted.

A `User` is created or copied per request, validated per event and evaluated per lookup, so the fast paths here are
written out: a comment at each says what it saves. Three private slots cache results that depend only on the fields,
which never change: `_memo` (evaluations), `_encoded` (Statsig's JSON), `_ordering_key` (set means: validated).
"""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from asyncsdk._model.validation import raise_invalid
from asyncsdk.errors import InvalidEventError


@attrs.define
class User:
    """A person, device or visitor: the subject of lookups and events.

    A user is immutable by convention: to change a field, make a copy with `attrs.evolve(user, country="NL")`. Ids may
    be whole numbers and are sent as text. All vendors receive the ids, `ip`, `user_agent` and `locale`. Only Statsig
    receives the other fields, except `private_attributes`, which no vendor receives. Traits are not part of a user:
    send them with `identify` and `group`.

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
        device_id: Id of a device (Amplitude's `device_id`).
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
    private_attributes: Mapping[str, Any] | None = attrs.field(default=None, kw_only=True, repr=False)
    anonymous_id: str | int | None = attrs.field(default=None, kw_only=True)
    device_id: str | int | None = attrs.field(default=None, kw_only=True)
    statsig_environment: Mapping[str, str] | None = attrs.field(default=None, kw_only=True)
    # Evaluations by program. None: none yet. False: one, which is not worth caching: most users are looked up once.
    _memo: dict[Any, Any] | Literal[False] | None = attrs.field(default=None, init=False, repr=False, eq=False)
    # The user as Statsig's JSON, after the `SharedUserFields` that it includes. None: not encoded yet.
    _encoded: tuple[object, bytes] | None = attrs.field(default=None, init=False, repr=False, eq=False)
    # The ordering key, once all fields have been validated. None: not validated yet, or invalid.
    _ordering_key: str | None = attrs.field(default=None, init=False, repr=False, eq=False)

    def with_defaults(
        self,
        *,
        ip: str | None = None,
        user_agent: str | None = None,
        locale: str | None = None,
        anonymous_id: str | int | None = None,
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
        user.user_id = self.user_id
        user.email = self.email
        user.ip = ip if self.ip is None else self.ip
        user.user_agent = user_agent if self.user_agent is None else self.user_agent
        user.country = self.country
        user.locale = locale if self.locale is None else self.locale
        user.app_version = self.app_version
        user.custom = self.custom
        user.custom_ids = self.custom_ids
        user.private_attributes = self.private_attributes
        user.anonymous_id = anonymous_id if self.anonymous_id is None else self.anonymous_id
        user.device_id = self.device_id
        user.statsig_environment = self.statsig_environment
        user._memo = user._encoded = user._ordering_key = None  # noqa: SLF001 -- as in a new one
        return user


UserLike = User | str | int
"""A user, or a `user_id`."""


def validate_user(user: User) -> str:
    """Validate a user for an event, and return the ordering key of the user's events.

    Caches the key in `user._ordering_key`: callers check that slot first, so a user is validated once.

    Raises:
        InvalidEventError: The user has no id, or a field has the wrong type. Lookups tolerate both, vendors do not.
    """
    unit = user.user_id
    # The usual id is a printable string: accept it here and save the call.
    key = unit if type(unit) is str and unit.isprintable() and unit.strip() else ordering_key(user)
    if not key:
        msg = (
            "the user needs a user_id, an anonymous_id or a device_id that is not blank "
            "(in a web service: anonymous_cookie=); for Statsig, one of custom_ids is enough"
        )
        raise InvalidEventError(msg)
    # Exact types first, without a loop; only a user with another type (a subclass, or a mistake) is checked in full.
    if (
        (user.ip is not None and type(user.ip) is not str)
        or (user.user_agent is not None and type(user.user_agent) is not str)
        or (user.locale is not None and type(user.locale) is not str)
        or (user.email is not None and type(user.email) is not str)
        or (user.country is not None and type(user.country) is not str)
        or (user.app_version is not None and type(user.app_version) is not str)
        or (user.custom is not None and type(user.custom) is not dict)
        or (user.custom_ids is not None and type(user.custom_ids) is not dict)
        or (user.private_attributes is not None and type(user.private_attributes) is not dict)
        or (user.statsig_environment is not None and type(user.statsig_environment) is not dict)
    ):
        _check_fields(user)
    user._ordering_key = key  # noqa: SLF001 -- a cache of this function
    return key


def ordering_key(user: User) -> str | None:
    """Return the user's own id, otherwise a custom id with its name (`companyID:acme`); None if there is none."""
    return own_id(user) or _custom_key(user.custom_ids)


def own_id(user: User) -> str | None:
    """Return the user id, otherwise the device id, otherwise the anonymous id; None if there is none.

    A user without one has at most custom ids, which only Statsig accepts.
    """
    return (
        text_id(user.user_id, "user_id")
        or text_id(user.device_id, "device_id")
        or text_id(user.anonymous_id, "anonymous_id")
    )


def _custom_key(ids: object) -> str | None:
    """Return the first custom id by name, so that equal mappings have one key, whatever their order."""
    if not isinstance(ids, Mapping):  # reported later, by `_check_fields`
        return None
    texts = ((name, _custom_text(value)) for name, value in ids.items() if isinstance(name, str))
    return min((f"{name}:{text}" for name, text in texts if text), default=None)


def _custom_text(value: object) -> str | None:
    return float.__repr__(value) if isinstance(value, float) else text_id(value, "user.custom_ids")


def _check_fields(user: User) -> None:
    for field in ("email", "ip", "user_agent", "country", "locale", "app_version"):
        value = getattr(user, field)
        if value is not None and not isinstance(value, str):
            raise_invalid(f"user.{field}", "text", value)
    for field in ("custom", "custom_ids", "private_attributes", "statsig_environment"):
        value = getattr(user, field)
        if value is not None and not isinstance(value, Mapping):
            raise_invalid(f"user.{field}", "an object (a mapping)", value)


def as_user(user: User | str | int) -> User:
    """Return a `User` unchanged, or a new one for an id.

    Raises:
        InvalidEventError: The value is neither a user nor an id.
    """
    if type(user) is User:
        return user
    if type(user) is str:  # 3x faster than `User(user)`
        new = User.__new__(User)
        new.user_id = user
        new.email = new.ip = new.user_agent = new.country = new.locale = new.app_version = None
        new.custom = new.custom_ids = new.private_attributes = new.statsig_environment = None
        new.anonymous_id = new.device_id = None
        new._memo = new._encoded = None  # noqa: SLF001 -- as in a new one
        # There are no other fields to validate.
        new._ordering_key = user if user.isprintable() and user.strip() else None  # noqa: SLF001 -- as in `validate_user`
        return new
    if isinstance(user, User):
        return user
    if isinstance(user, str | int) and not isinstance(user, bool):
        return User(user)
    msg = f"`user` must be a User or an id (text or a whole number), not {type(user).__name__}"
    raise InvalidEventError(msg)


def text_id(value: object, field: str) -> str | None:
    """Return an id as text; None if it is None or blank.

    Args:
        value: The id: text or a whole number.
        field: Name of the field, for the error.

    Raises:
        InvalidEventError: The value has another type, or is a number with too many digits to convert.
    """
    if value is None:
        return None
    if isinstance(value, str):
        # The usual id is printable and not blank; `is_visible` costs twice as much.
        return value if (value.isprintable() and value.strip()) or is_visible(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return _digits(value, field)
    msg = f"`{field}` must be text or a whole number, not {type(value).__name__}: convert it with str() first"
    raise InvalidEventError(msg)


def _digits(value: int, field: str) -> str:
    try:
        return int.__repr__(value)  # `str` of an IntEnum may be its name
    except ValueError:
        msg = f"`{field}` is a number with too many digits for an id"
        raise InvalidEventError(msg) from None


def is_visible(text: str) -> bool:
    """Return whether text has at least one visible character.

    RudderStack's gateway rejects the whole batch if one event has only invisible ids (rudder-server, read 2026-08).
    """
    if text.isascii():
        return bool(text.strip()) and (text.isprintable() or any(c.isprintable() and c != " " for c in text))
    return any(c.isprintable() and not c.isspace() for c in text)
