"""Finds tracked events, and says how the nearest ones differ from the one that was expected."""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import attrs

from asyncsdk._model.amplitude import Revenue
from asyncsdk._model.events import (
    Event,
    Group,
    IdentifyEvent,
    LogEvent,
    Page,
    RawEvent,
    Screen,
    Track,
    title,
)
from asyncsdk._model.users import User

_MAX_SHOWN = 3
_MAX_LENGTH = 200


@attrs.frozen
class Expected:
    """What an event is expected to be.

    Attributes:
        name: Its name; for events without one, the verb: `identify`, `group`, `alias`.
        user: A user or an id of one; None is any user.
        properties: Properties that it has, and perhaps others.
    """

    name: str
    user: object
    properties: Mapping[str, Any]

    def __str__(self) -> str:
        user = "" if self.user is None else f" of {_describe_user(self.user)}"
        fields = ", ".join(f"{name}={_short(value)}" for name, value in self.properties.items())
        return f"{self.name!r}{user}" + (f" with {fields}" if fields else "")

    def differences(self, event: Event) -> list[str]:
        """Return how an event differs, one line per field; empty if it matches."""
        found = []
        name = name_of(event)
        if name != self.name:
            found.append(f"name: expected {self.name!r}, was {name!r}")
        if self.user is not None and not _is_same(self.user, event.user):
            found.append(f"user: expected {_describe_user(self.user)}, was {_describe_user(event.user)}")
        properties = properties_of(event)
        for key, value in self.properties.items():
            if key not in properties:
                found.append(f"{key}: expected {_short(value)}, was missing")
            elif not _equals(value, properties[key]):
                found.append(f"{key}: expected {_short(value)}, was {_short(properties[key])}")
        return found


def name_of(event: Event) -> str:
    """Return the name of an event; for events that have none, the verb; for what is no event, its type."""
    if not isinstance(event, Event):
        return type(event).__name__
    if isinstance(event, Track):
        return event.name.event_type if isinstance(event.name, Revenue) else str(event.name)
    if isinstance(event, RawEvent):
        return str(event.fields.get("event_type"))
    name = event.name if isinstance(event, Page | Screen | LogEvent) else None
    return title(event).partition(" ")[0] if name is None else str(name)


def properties_of(event: Event) -> Mapping[str, Any]:
    """Return the properties of an event: its properties, traits, metadata or fields."""
    if isinstance(event, LogEvent):
        value = {} if event.value is None else {"value": event.value}
        return {**value, **(event.metadata or {})}
    if isinstance(event, RawEvent):
        return {**event.fields, **(event.fields.get("event_properties") or {})}
    found: object = None
    if isinstance(event, Track | Page | Screen):
        found = event.properties
    elif isinstance(event, Group | IdentifyEvent):
        found = event.traits
    return found if isinstance(found, Mapping) else {}


def failure(expected: Expected, events: Sequence[Event]) -> str:
    """Return why no event matches: the nearest ones, field by field."""
    if not events:
        return f"no event {expected} was tracked: none was tracked at all"
    ranked = sorted(events, key=lambda event: _distance(expected, event))[:_MAX_SHOWN]
    lines = [f"no event {expected} was tracked; the nearest of {len(events)}:"]
    for event in ranked:
        lines.append(f"  {title(event)} of {_describe_user(event.user)}")
        lines += [f"    {difference}" for difference in expected.differences(event)]
    return "\n".join(lines)


def _distance(expected: Expected, event: Event) -> tuple[float, int]:
    """Return how far an event is from the expected one; a name that is nearly right counts as nearly no difference."""
    differences = expected.differences(event)
    likeness = SequenceMatcher(None, expected.name.casefold(), name_of(event).casefold()).ratio()
    return round(len(expected.properties) * (1 - likeness), 2) + len(differences), len(properties_of(event))


def _equals(expected: object, found: object) -> bool:
    """Compare as tests do: `expected` may be `pytest.approx(...)` or `mock.ANY`; True is not 1."""
    if isinstance(expected, bool) is not isinstance(found, bool) and type(expected) in (bool, int, float):
        return False
    return bool(expected == found)


def _is_same(expected: object, user: User) -> bool:
    if isinstance(expected, User):
        ids = ("user_id", "anonymous_id", "device_id")
        wanted = {name: str(value) for name in ids if (value := getattr(expected, name)) is not None}
        return all(str(getattr(user, name)) == value for name, value in wanted.items())
    return str(expected) in {str(one) for one in (user.user_id, user.anonymous_id, user.device_id) if one is not None}


def _describe_user(user: object) -> str:
    if isinstance(user, User):
        user = next((one for one in (user.user_id, user.anonymous_id, user.device_id) if one is not None), None)
    return f"user {str(user)!r}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}..."
