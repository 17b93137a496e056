"""Who an event or a lookup is about."""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from asyncsdk._model.validation import raise_invalid
from asyncsdk.errors import InvalidEventError


@attrs.define
class User:
    """One person, device or visitor: what rules look at and what events belong to.

    A user is a value: never change one, make another (`attrs.evolve(user, country="NL")`). Ids may be whole
    numbers and are sent as text. `email`, `custom`, `custom_ids` and `private_attributes` go to Statsig only
    (private ones nowhere at all); the other vendors get the ids, `ip`, `user_agent` and `locale`. Traits
    travel by `identify` and `group`.

    Attributes:
        user_id: Your id of a known user; None for somebody who is not signed in.
        email: Address that rules may look at.
        ip: Address the request came from; rules derive the country from it when `country` is None.
        user_agent: The browser's `User-Agent` header, untouched.
        country: Two letters, upper case (ISO 3166).
        locale: Language tag, such as `nl-NL`.
        app_version: Version of the app that asks, such as `1.2.3`.
        custom: Anything else that rules look at.
        custom_ids: Other unit ids by name, such as `{"companyID": "c7"}`.
        private_attributes: Looked at by rules, and sent to no vendor, ever.
        anonymous_id: Id of a visitor before sign-in (RudderStack's `anonymousId`).
        device_id: Id of a device (Amplitude's `device_id`).
        statsig_environment: `{"tier": "staging"}`; None takes the client's environment.
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
    # What the rules say to the user; None: never asked, False: once, which is not worth remembering.
    _memo: dict[Any, Any] | Literal[False] | None = attrs.field(default=None, init=False, repr=False, eq=False)
    # The user in a vendor's JSON, and what that says of every user; None: not written yet.
    _encoded: tuple[object, bytes] | None = attrs.field(default=None, init=False, repr=False, eq=False)
    # Whose line their events stand in, once it is known that the fields are what they should be.
    _ordering_key: str | None = attrs.field(default=None, init=False, repr=False, eq=False)

    def with_defaults(
        self,
        *,
        ip: str | None = None,
        user_agent: str | None = None,
        locale: str | None = None,
        anonymous_id: str | int | None = None,
    ) -> "User":
        """Give a user who is the same, but has these where this one has None: what a request says of who makes it."""
        # Each request does this: calling the class with as many keywords takes three times as long, `evolve` ten times.
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
        user._memo = user._encoded = user._ordering_key = None  # noqa: SLF001 -- what every new one has
        return user


UserLike = User | str | int
"""A user, or the `user_id` of one."""


def validate_user(user: User) -> str:
    """Say whose line the events of a user stand in, and refuse a user that no vendor could take.

    The user remembers the answer (`_line`), so that it is not asked for again.

    Raises:
        InvalidEventError: There is no id, or a field is of a wrong type: lookups put up with that, vendors do not.
    """
    unit = user.user_id
    # The usual id is printable and no blank; it is taken without a call.
    line = unit if type(unit) is str and unit.isprintable() and unit.strip() else ordering_key(user)
    if not line:
        msg = (
            "the user needs a user_id, an anonymous_id or a device_id that is not blank "
            "(in a web service: anonymous_cookie=)"
        )
        raise InvalidEventError(msg)
    # Written out, and not looked at closely unless something is odd.
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
    user._ordering_key = line  # noqa: SLF001 -- the slot is for this
    return line


def ordering_key(user: User) -> str | None:
    """Give the user's id, else the device's, else the visitor's: what keeps the order of events; None without any."""
    return (
        text_id(user.user_id, "user_id")
        or text_id(user.device_id, "device_id")
        or text_id(user.anonymous_id, "anonymous_id")
    )


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
    """Take an id for a user.

    Raises:
        InvalidEventError: It is neither a user nor an id.
    """
    if type(user) is User:
        return user
    if type(user) is str:  # the usual id, at a third of what calling the class costs
        known = User.__new__(User)
        known.user_id = user
        known.email = known.ip = known.user_agent = known.country = known.locale = known.app_version = None
        known.custom = known.custom_ids = known.private_attributes = known.statsig_environment = None
        known.anonymous_id = known.device_id = None
        known._memo = known._encoded = None  # noqa: SLF001 -- what every new one has
        # An id has no fields that could be wrong.
        known._ordering_key = user if user.isprintable() and user.strip() else None  # noqa: SLF001 -- see above
        return known
    if isinstance(user, User):
        return user
    if isinstance(user, str | int) and not isinstance(user, bool):
        return User(user)
    msg = f"`user` must be a User or an id (text or a whole number), not {type(user).__name__}"
    raise InvalidEventError(msg)


def text_id(value: object, field: str) -> str | None:
    """Give an id as text; None and blank text count as absent.

    Raises:
        InvalidEventError: The value is neither text nor a whole number, or one that Python does not write.
    """
    if value is None:
        return None
    if isinstance(value, str):
        # The usual id is printable and no blank; the closer look costs twice as much.
        return value if (value.isprintable() and value.strip()) or is_visible(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return _digits(value, field)
    msg = f"`{field}` must be text or a whole number, not {type(value).__name__}: convert it with str() first"
    raise InvalidEventError(msg)


def _digits(value: int, field: str) -> str:
    try:
        return int.__repr__(value)  # an enum's own text would be its name
    except ValueError:
        msg = f"`{field}` is a number of too many digits for an id"
        raise InvalidEventError(msg) from None


def is_visible(text: str) -> bool:
    """Say whether an id has a character left once blanks and invisible ones are taken out.

    RudderStack's gateway refuses the whole batch of an event whose ids are invisible (rudder-server, read
    2026-08).
    """
    if text.isascii():
        return bool(text.strip()) and (text.isprintable() or any(c.isprintable() and c != " " for c in text))
    return any(c.isprintable() and not c.isspace() for c in text)
