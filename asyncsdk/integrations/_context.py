"""The request that code runs for: where it finds its flags, and what its events carry."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

import attrs

from asyncsdk import ConfigurationError, Event, Flags, LogEvent, Page, Screen, Track, User, map_events


class Current(Protocol):
    """A request that is being handled."""

    @property
    def flags(self) -> Flags:
        """Its user, and one version of the rules."""
        ...

    def read_by(self, user: User) -> Mapping[str, bool | str]:
        """Give what it has read so far, if that was for this user: others did not see it."""
        ...


CURRENT: ContextVar[Current | None] = ContextVar("asyncsdk.request", default=None)


def current_flags() -> Flags:
    """Give the `Flags` of the request that this code runs for: for code that has no request at hand.

    A task that a request starts belongs to it, for as long as it runs.

    Raises:
        ConfigurationError: It runs for no request, or the application lacks the integration.
    """
    current = CURRENT.get()
    if current is None:
        msg = "this code runs for no request, or the application has no asyncsdk.integrations middleware"
        raise ConfigurationError(msg)
    return current.flags


@map_events
def carry_flags(event: Event) -> Event:
    """Let a request's events carry what it read, as those do that are sent through its `Flags`: an event middleware."""
    properties = event.properties if type(event) is Track else None
    if properties is not None and "feature_flags" in properties:
        return event  # sent through `Flags`, or says itself what was read
    current = CURRENT.get()
    if current is None:
        return event
    read = current.read_by(event.user)
    return _carrying(event, {"feature_flags": dict(read)}) if read else event


def is_same_person(one: User, other: User) -> bool:
    """Say whether two users share an id; of two who are signed in, only that id counts."""
    if one is other:
        return True
    if one.user_id is not None and other.user_id is not None:
        return str(one.user_id) == str(other.user_id)
    return _share(one.anonymous_id, other.anonymous_id) or _share(one.device_id, other.device_id)


def _share(one: object, other: object) -> bool:
    return one is not None and other is not None and str(one) == str(other)


def _carrying(event: Event, flags: dict[str, object]) -> Event:
    """Add flags to an event that has room for properties; those that it has already stand."""
    if isinstance(event, Track):  # the usual one, written out: `attrs.evolve` takes four times as long
        return Track(
            event.user,
            event.name,
            {**flags, **(event.properties or {})},
            context=event.context,
            timestamp=event.timestamp,
            integrations=event.integrations,
            message_id=event.message_id,
            extra=event.extra,
        )
    if isinstance(event, Page | Screen):
        return attrs.evolve(event, properties={**flags, **(event.properties or {})})
    if isinstance(event, LogEvent):
        return attrs.evolve(event, metadata={**flags, **(event.metadata or {})})
    return event
