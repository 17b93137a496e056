"""The current request of the running code, and the middleware that adds its flags to events.

A framework's integration sets `CURRENT_REQUEST` for each request. Context variables are inherited by the tasks and the
threads that a request starts, so `current_flags` works there as well. `attach_flags`, an event middleware of the
client, reads the same variable:

    flags.check_gate("sale")                 # the request's Flags record it
    await client.track(user, "Bought")       # sent with {"feature_flags": {"sale": True}}
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol, TypeVar

import attrs

from asyncsdk import Client, ConfigurationError, Event, Flags, LogEvent, Page, Screen, Track, User, map_events

Request = TypeVar("Request")
EventDefaultsOf = Callable[[Request], Mapping[str, Any] | None] | None
"""An application's `event_properties=` or `event_context=` function of a request."""


class ActiveRequest(Protocol):
    """A request that is being handled."""

    @property
    def flags(self) -> Flags:
        """The flags of the request: its user, and one version of the rules."""
        ...

    def accessed_by(self, user: User) -> Mapping[str, bool | str]:
        """Return what the request has read so far; empty if `user` is not the request's user."""
        ...

    def event_defaults(self) -> tuple[EventDefaultsOf[Any], EventDefaultsOf[Any]]:
        """Return the application's functions for the properties and the context of events; None for each not given."""
        ...

    @property
    def request(self) -> Any:
        """The framework's request."""
        ...


CURRENT_REQUEST: ContextVar[ActiveRequest | None] = ContextVar("asyncsdk.request", default=None)


def current_flags() -> Flags:
    """Return the `Flags` of the current request, for code that has no request object.

    A task that a request starts belongs to that request for as long as the task runs.

    Returns:
        The same `Flags` as the framework's `get_flags(request)`.

    Raises:
        ConfigurationError: The code does not run for a request, or the application lacks the integration.
    """
    current = CURRENT_REQUEST.get()
    if current is None:
        msg = "this code does not run for a request, or the application has no asyncsdk.integrations middleware"
        raise ConfigurationError(msg)
    return current.flags


def _attach_flags(event: Event) -> Event:
    """Add what the current request has read to an event of the request's user, as `feature_flags`."""
    properties = event.properties if type(event) is Track else None
    if properties is not None and "feature_flags" in properties:
        return event  # sent through `Flags`, which adds them, or set by the application
    current = CURRENT_REQUEST.get()
    if current is None:
        return event
    accessed = current.accessed_by(event.user)
    return _with_flags(event, {"feature_flags": dict(accessed)}) if accessed else event


attach_flags = map_events(_attach_flags, in_place=False)


def attach_once(client: Client) -> Client:
    """Add `attach_flags` to a client that may have it already, such as one that several applications share."""
    with suppress(ConfigurationError):
        client.off(attach_flags)
    return client.add_middleware(attach_flags)


def _current_defaults(number: int) -> Mapping[str, Any] | None:
    """Return the default properties (0) or context (1) of the current request's events."""
    current = CURRENT_REQUEST.get()
    function = None if current is None else current.event_defaults()[number]
    return None if current is None or function is None else function(current.request)


_PROPERTIES, _CONTEXT = partial(_current_defaults, 0), partial(_current_defaults, 1)


def attach_defaults(client: Client) -> None:
    """Let a client add the current request's defaults to its events. Doing so again changes nothing."""
    client.add_event_defaults(_PROPERTIES, _CONTEXT)


def is_same_user(one: User, other: User) -> bool:
    """Return whether two users share an id. If both have a user id, only that one counts."""
    if one is other:
        return True
    if one.user_id is not None and other.user_id is not None:
        return str(one.user_id) == str(other.user_id)
    return _is_same_id(one.anonymous_id, other.anonymous_id) or _is_same_id(one.device_id, other.device_id)


def _is_same_id(one: object, other: object) -> bool:
    return one is not None and other is not None and str(one) == str(other)


def _with_flags(event: Event, flags: dict[str, object]) -> Event:
    """Return the event with `flags` added to its properties; properties that it has already win."""
    # Track is by far the most frequent, and `attrs.evolve` takes four times as long as the constructor.
    if isinstance(event, Track):
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
    return event  # identify, group, alias: they have no properties
