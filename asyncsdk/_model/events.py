"""The event classes, one for each verb of the client, and their validation.

An event is a value: the client encodes it when it accepts it, and does not change it, with two exceptions: properties
given as a dataclass, attrs instance or pydantic model are converted to a mapping, and an event object to its name and
properties. `user` is a `User` or an id. All classes share the keyword fields of `Options`.

`on_setattr` is off because attrs would otherwise run the converter of `user` on every assignment, which makes setting
any field slower, in `__init__` too.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, ClassVar, Protocol, TypedDict, Unpack

import attrs

from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.encoding import as_fields
from asyncsdk._model.event_objects import take_apart
from asyncsdk._model.user_ids import validate_user
from asyncsdk._model.users import User, as_user, unusable_user
from asyncsdk._model.validation import describe_type, raise_invalid
from asyncsdk._model.values import Comparable
from asyncsdk._model.wire_values import text_id
from asyncsdk.errors import InvalidEventError

Properties = Mapping[str, Any]


class DataclassLike(Protocol):
    """An instance of a dataclass; for pyright and ty, of an attrs class too."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class AttrsLike(Protocol):
    """An instance of an attrs class, for mypy. `attrs.AttrsInstance` is any object for other checkers."""

    __attrs_attrs__: ClassVar[Any]


class ModelLike(Protocol):
    """An instance of a pydantic model."""

    def model_dump(self) -> dict[str, Any]:
        """Return its fields."""
        ...


EventObject = DataclassLike | AttrsLike | ModelLike
"""An object that is a whole event: `event_objects.py` says which name it has. `validate_event` takes it apart."""

PropertiesLike = Properties | EventObject
"""What event verbs take as properties; `validate_event` converts it to a mapping."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# The years 1 to 9999 in UTC, which ISO 8601 can express.
_TIMES_MS = range(-62_135_596_800_000, 253_402_300_800_000)


class Options(TypedDict, total=False):
    """The keyword arguments that all event verbs share; each is a field of the event."""

    # Verbs pass these on as one `**options`: passing five keywords one by one costs as much as creating the event.

    context: Properties | None
    """RudderStack's `context` object, merged over the fields that the client sets itself. Other vendors ignore it."""

    timestamp: datetime | None
    """When the event happened, a datetime with a time zone, such as `datetime.now(UTC)`. None means now."""

    integrations: Properties | None
    """Which destinations receive the event, by name: `{"All": False, "Amplitude": True}`. None means all of them.

    An object instead of `True` adds that vendor's own fields: `{"Amplitude": {"session_id": 1}}`.
    """

    message_id: str | None
    """Your own id for the event, the same whenever you send it again; None generates a UUID."""

    extra: Properties | None
    """Any data for middleware. It is never sent."""


@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class IdentifyEvent(Comparable):
    """A user's traits: `client.identify`.

    Attributes:
        user: The user, or an id.
        traits: The traits by name, or Amplitude's `Identify` operations, or None.
        context: This and the other keyword fields are documented at `Options`.
    """

    user: User = attrs.field(converter=as_user)
    traits: Properties | Identify | None = None
    context: Properties | None = attrs.field(default=None, kw_only=True)
    timestamp: datetime | None = attrs.field(default=None, kw_only=True)
    integrations: Properties | None = attrs.field(default=None, kw_only=True)
    message_id: str | None = attrs.field(default=None, kw_only=True)
    extra: Properties | None = attrs.field(default=None, kw_only=True, eq=False)


@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class Track(Comparable):
    """An action of a user: `client.track`.

    Attributes:
        user: The user, or an id.
        name: Name of the event; or a `Revenue`; or an event object, which is replaced by its name when it is admitted.
        properties: Details of the event by name, or None.
        context: This and the other keyword fields are documented at `Options`.
    """

    user: User = attrs.field(converter=as_user)
    name: str | Revenue | EventObject
    properties: Properties | None = None
    context: Properties | None = attrs.field(default=None, kw_only=True)
    timestamp: datetime | None = attrs.field(default=None, kw_only=True)
    integrations: Properties | None = attrs.field(default=None, kw_only=True)
    message_id: str | None = attrs.field(default=None, kw_only=True)
    extra: Properties | None = attrs.field(default=None, kw_only=True, eq=False)


@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class Page(Comparable):
    """A view of a web page: `client.page`.

    Attributes:
        user: The user, or an id.
        name: Name of the page; None if it has none.
        properties: Details of the view by name, or None.
        category: Category of the page; None if it has none.
        context: This and the other keyword fields are documented at `Options`.
    """

    user: User = attrs.field(converter=as_user)
    name: str | None = None
    properties: Properties | None = None
    category: str | None = attrs.field(default=None, kw_only=True)
    context: Properties | None = attrs.field(default=None, kw_only=True)
    timestamp: datetime | None = attrs.field(default=None, kw_only=True)
    integrations: Properties | None = attrs.field(default=None, kw_only=True)
    message_id: str | None = attrs.field(default=None, kw_only=True)
    extra: Properties | None = attrs.field(default=None, kw_only=True, eq=False)


@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class Screen(Comparable):
    """A view of an app's screen: `client.screen`.

    Attributes:
        user: The user, or an id.
        name: Name of the screen; None if it has none.
        properties: Details of the view by name, or None.
        category: Category of the screen; None if it has none.
        context: This and the other keyword fields are documented at `Options`.
    """

    user: User = attrs.field(converter=as_user)
    name: str | None = None
    properties: Properties | None = None
    category: str | None = attrs.field(default=None, kw_only=True)
    context: Properties | None = attrs.field(default=None, kw_only=True)
    timestamp: datetime | None = attrs.field(default=None, kw_only=True)
    integrations: Properties | None = attrs.field(default=None, kw_only=True)
    message_id: str | None = attrs.field(default=None, kw_only=True)
    extra: Properties | None = attrs.field(default=None, kw_only=True, eq=False)


@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class Group(Comparable):
    """A user's membership of a group, such as a company, project or team: `client.group`.

    Attributes:
        user: The user, or an id.
        group_id: Id of the group; or the ids of several, which only Amplitude has, and only without traits.
        traits: The group's traits by name, or Amplitude's `Identify` operations, or None.
        group_type: Amplitude's type of the group, such as `company`; None uses the destination's `group_type`.
        context: This and the other keyword fields are documented at `Options`.
    """

    user: User = attrs.field(converter=as_user)
    group_id: str | int | Sequence[str | int]
    traits: Properties | Identify | None = None
    group_type: str | None = attrs.field(default=None, kw_only=True)
    context: Properties | None = attrs.field(default=None, kw_only=True)
    timestamp: datetime | None = attrs.field(default=None, kw_only=True)
    integrations: Properties | None = attrs.field(default=None, kw_only=True)
    message_id: str | None = attrs.field(default=None, kw_only=True)
    extra: Properties | None = attrs.field(default=None, kw_only=True, eq=False)


@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class Alias(Comparable):
    """An earlier id of a user: `client.alias`.

    Attributes:
        previous_id: The earlier id.
        user: The user, or the current id.
        context: This and the other keyword fields are documented at `Options`.
    """

    previous_id: str | int
    user: User = attrs.field(converter=as_user)
    context: Properties | None = attrs.field(default=None, kw_only=True)
    timestamp: datetime | None = attrs.field(default=None, kw_only=True)
    integrations: Properties | None = attrs.field(default=None, kw_only=True)
    message_id: str | None = attrs.field(default=None, kw_only=True)
    extra: Properties | None = attrs.field(default=None, kw_only=True, eq=False)


@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class LogEvent(Comparable):
    """An event in Statsig's form: `client.log_event(user, name, value, metadata)`.

    Attributes:
        user: The user, or an id.
        name: Name of the event; or an event object, as for `Track`.
        value: Statsig's value of the event: text or a number, or None.
        metadata: Details of the event by name, or None.
        context: This and the other keyword fields are documented at `Options`.
    """

    user: User = attrs.field(converter=as_user)
    name: str | EventObject
    value: str | float | None = None
    metadata: Properties | None = None
    context: Properties | None = attrs.field(default=None, kw_only=True)
    timestamp: datetime | None = attrs.field(default=None, kw_only=True)
    integrations: Properties | None = attrs.field(default=None, kw_only=True)
    message_id: str | None = attrs.field(default=None, kw_only=True)
    extra: Properties | None = attrs.field(default=None, kw_only=True, eq=False)


# Not `@user.default`, which pyright does not understand: it would require `user` in every call.
def _user_of_fields(event: "RawEvent") -> User:
    fields = event.fields
    if not isinstance(fields, Mapping):
        return unusable_user("log_event takes a user and a name, or one object with Amplitude's fields")
    try:
        user_id, device_id, ip, user_agent = map(fields.get, ("user_id", "device_id", "ip", "user_agent"))
    except Exception:  # noqa: BLE001 -- a mapping of the caller's may raise anything
        return unusable_user("`event` is a mapping that cannot be read")
    return User(user_id, device_id=device_id, ip=ip, user_agent=user_agent)


@attrs.define(eq=False, repr=False, on_setattr=attrs.setters.NO_OP)
class RawEvent(Comparable):
    """An event in Amplitude's form: `client.log_event({"event_type": ..., "user_id": ...})`.

    Attributes:
        fields: The event under Amplitude's own names; unknown fields are passed through.
        user: The user, or an id; by default one with the `user_id`, `device_id`, `ip` and `user_agent` of `fields`.
        context: This and the other keyword fields are documented at `Options`.
    """

    fields: Properties
    user: User = attrs.field(default=attrs.Factory(_user_of_fields, takes_self=True), converter=as_user)
    context: Properties | None = attrs.field(default=None, kw_only=True)
    timestamp: datetime | None = attrs.field(default=None, kw_only=True)
    integrations: Properties | None = attrs.field(default=None, kw_only=True)
    message_id: str | None = attrs.field(default=None, kw_only=True)
    extra: Properties | None = attrs.field(default=None, kw_only=True, eq=False)


Event = IdentifyEvent | Track | Page | Screen | Group | Alias | LogEvent | RawEvent


def raw_event(fields: object, **options: Unpack[Options]) -> RawEvent:
    """Create an event in Amplitude's form, for the user that its fields name."""
    return RawEvent(fields, **options)  # type: ignore[arg-type] # `validate_event` rejects others


def validate_event(event: Event) -> str:
    """Validate an event, and return its ordering key.

    Raises:
        InvalidEventError: No vendor could accept the event, for example because it has no id or no name, or a field
            has the wrong type. The message names the field and the expected value.
    """
    checks = _CHECKS.get(type(event))
    if checks is None:
        names = ", ".join(kind.__name__ for kind in _CHECKS)
        msg = f"an event is one of {names}, not {describe_type(event)}"
        raise InvalidEventError(msg)
    try:
        user = event.user
        key = user._ordering_key or validate_user(user)  # saves a call for a validated user
        checks(event)
        if event.context is not None:
            _check_object(event.context, "context")
        if event.integrations is not None:
            _check_integrations(event.integrations)
        if event.timestamp is not None:
            event.timestamp = _plain_timestamp(event.timestamp)
        if event.message_id is not None and not text_id(event.message_id, "message_id"):
            raise_invalid("message_id", "text that is not blank", event.message_id)
    except InvalidEventError:
        raise
    except Exception as error:
        msg = f"the event cannot be read: {type(error).__name__}"
        raise InvalidEventError(msg) from error
    return key


def title(event: Event) -> str:
    """Return the event's verb and name as a title: `track 'Signed Up'`."""
    name = event.fields.get("event_type") if isinstance(event, RawEvent) else getattr(event, "name", None)
    name = name.event_type if isinstance(name, Revenue) else name
    verb = _VERBS[type(event)]
    return verb if name is None else f"{verb} {name!r}"


def to_epoch_ms(timestamp: datetime) -> int:
    """Return a datetime that has a time zone as whole milliseconds since 1970, rounded down."""
    return (timestamp - _EPOCH) // _MILLISECOND


def _check_track(event: Track) -> None:
    properties = event.properties
    if properties is not None and type(properties) is not dict:  # saves a call for the usual type
        event.properties = _as_object(properties, "properties")
    if not (isinstance(event.name, str) and event.name) and not isinstance(event.name, Revenue):
        event.name, event.properties = _read_object(event.name, event.properties, "a Revenue")


def _check_identify(event: IdentifyEvent) -> None:
    if event.traits is not None and not isinstance(event.traits, Identify):
        event.traits = _as_object(event.traits, "traits")


def _check_page(event: Page | Screen) -> None:
    for field in ("name", "category"):
        value = getattr(event, field)
        if value is not None and not isinstance(value, str):
            raise_invalid(field, "text", value)
    if isinstance(event.properties, str):
        msg = (
            "`properties` must be an object (a mapping), not str: the order is (user, name, properties), and the "
            "category is a keyword: page(user, 'Pizza', {...}, category='Food')"
        )
        raise InvalidEventError(msg)
    if event.properties is not None:
        event.properties = _as_object(event.properties, "properties")


def _check_group(event: Group) -> None:
    if isinstance(event.group_id, list | tuple):
        _check_groups(event, event.group_id)
    elif not text_id(event.group_id, "group_id"):
        raise_invalid("group_id", "an id that is not blank", event.group_id)
    if event.group_type is not None and not (event.group_type and isinstance(event.group_type, str)):
        raise_invalid("group_type", "a name that is not empty", event.group_type)
    if isinstance(event.traits, Identify):
        event.traits.check_for_group()
    elif event.traits is not None:
        event.traits = _as_object(event.traits, "traits")


def _check_groups(event: Group, ids: Sequence[object]) -> None:
    if not ids:
        raise_invalid("group_id", "an id, or a list with at least one id", ids)
    for number, group_id in enumerate(ids):
        if not text_id(group_id, f"group_id[{number}]"):
            raise_invalid(f"group_id[{number}]", "an id that is not blank", group_id)
    if event.traits:
        msg = "`traits` are those of one group: with several ids, call `group` once for each group that has traits"
        raise InvalidEventError(msg)


def _check_alias(event: Alias) -> None:
    if not text_id(event.previous_id, "previous_id"):
        raise_invalid("previous_id", "an id that is not blank", event.previous_id)
    if not text_id(event.user.user_id, "user_id"):
        raise_invalid(
            "user_id",
            "the user's new id (an anonymous or device id is not enough for alias)",
            event.user.user_id,
        )


def _check_log_event(event: LogEvent) -> None:
    if event.metadata is not None:
        event.metadata = _as_object(event.metadata, "metadata")
    if not (isinstance(event.name, str) and event.name):
        event.name, event.metadata = _read_object(event.name, event.metadata)
    # A boolean would pass as an int, but Statsig has no booleans as values.
    if event.value is not None and (isinstance(event.value, bool) or not isinstance(event.value, str | Real | Decimal)):
        raise_invalid("value", "text or a number", event.value)


def _check_raw(event: RawEvent) -> None:
    _check_object(event.fields, "event")
    name = event.fields.get("event_type")
    if not (isinstance(name, str) and name.strip()):
        raise_invalid("event_type", "a name that is not blank", name)
    for field in ("event_properties", "user_properties", "groups", "group_properties"):
        if event.fields.get(field) is not None:
            _check_object(event.fields[field], field)
    time = event.fields.get("time")
    if time is not None and (isinstance(time, bool) or not isinstance(time, Integral) or int(time) not in _TIMES_MS):
        raise_invalid("time", "whole milliseconds since 1970, before the year 10000", time)
    if isinstance(time, Integral) and not isinstance(time, int):  # numpy's
        event.fields = {**event.fields, "time": int(time)}


# The checks of each class beyond the common fields, by exact type: a subclass of an event is not an event.
_CHECKS: dict[type, Callable[[Any], None]] = {
    IdentifyEvent: _check_identify,
    Track: _check_track,
    Page: _check_page,
    Screen: _check_page,
    Group: _check_group,
    Alias: _check_alias,
    LogEvent: _check_log_event,
    RawEvent: _check_raw,
}


_VERBS: dict[type, str] = {
    IdentifyEvent: "identify",
    Track: "track",
    Page: "page",
    Screen: "screen",
    Group: "group",
    Alias: "alias",
    LogEvent: "log_event",
    RawEvent: "log_event",
}


def _as_object(value: Properties, field: str) -> Properties:
    """Return a mapping, or the fields of a dataclass, attrs instance or pydantic model."""
    if type(value) is dict or isinstance(value, Mapping):
        return value
    found = as_fields(value)
    if found is None:
        raise_invalid(field, "an object (a mapping)", value)
    return found


def _read_object(event: object, more: Properties | None, *others: str) -> tuple[str, Properties]:
    """Return the name and the properties of an event object, with those that were given beside it.

    Args:
        event: The event, whatever the caller gave.
        more: Properties that override those of the object.
        *others: What else the event could have been.

    Raises:
        InvalidEventError: It is not an event object.
    """
    found = take_apart(event)
    if found is None:
        what = ", ".join(("a name that is not empty", *others))
        if isinstance(event, type):
            msg = f"`event` is the class {event.__name__}: pass an instance of it"
            raise InvalidEventError(msg)
        raise_invalid("event", f"{what}, or an instance of a dataclass, attrs class or pydantic model", event)
    name, properties = found
    return name, {**properties, **(more or {})}


def _check_object(value: object, field: str) -> None:
    # The exact type first: `isinstance` with an ABC takes 10x as long.
    if type(value) is not dict and not isinstance(value, Mapping):
        raise_invalid(field, "an object (a mapping)", value)


def _plain_timestamp(value: object) -> datetime:
    """Return a timestamp as a plain `datetime`; subclasses, such as pendulum's, subtract in their own way.

    Raises:
        InvalidEventError: It has no time zone, or is not a datetime of the years 1 to 9999.
    """
    if not isinstance(value, datetime):
        raise_invalid("timestamp", "a datetime with a time zone, such as datetime.now(UTC)", value)
    if type(value) is not datetime:
        try:
            parts = value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond
            value = datetime(*parts, value.tzinfo, fold=value.fold)  # noqa: DTZ001 -- it may have none
        except Exception as error:
            msg = f"`timestamp` is {describe_type(value)} that is not a time"  # pandas' NaT, for example
            raise InvalidEventError(msg) from error
    try:
        offset = value.utcoffset()
    except Exception as error:
        msg = f"`timestamp` has a time zone that raised {type(error).__name__}"
        raise InvalidEventError(msg) from error
    if offset is None:
        # UTC would be hours off for `datetime.now()`, local time for `datetime.utcnow()`: neither is assumed.
        msg = (
            "`timestamp` has no time zone: pass an aware datetime, such as datetime.now(UTC), or add the zone that you "
            "mean (.replace(tzinfo=UTC), .astimezone())"
        )
        raise InvalidEventError(msg)
    if to_epoch_ms(value) not in _TIMES_MS:
        raise_invalid("timestamp", "a datetime of the years 1 to 9999 in UTC", value)
    return value


def _check_integrations(value: Properties) -> None:
    _check_object(value, "integrations")
    for name, wanted in value.items():
        # RudderStack would take `all` or `ALL` for the name of a destination.
        if name != "All" and isinstance(name, str) and name.lower() == "all":
            msg = f"`integrations` names {name!r}; the key for all destinations is spelt 'All'"
            raise InvalidEventError(msg)
        if not isinstance(wanted, bool | Mapping) or (name == "All" and not isinstance(wanted, bool)):
            raise_invalid(f"integrations[{name!r}]", "True, False or (except for All) an object", wanted)
