"""What belongs to one request, and what is true of code that runs for it."""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar

import attrs

from asyncsdk import Client, ConfigurationError, Event, Flags, LogEvent, Next, Page, Payload, Screen, Track, User


@attrs.define(eq=False)
class RequestContext:
    """One request: its user is told when somebody asks, and stays the same from then on.

    Attributes:
        client: The application's.
    """

    client: Client
    _tell_user: Callable[[], User]
    _flags: Flags | None = None

    @property
    def flags(self) -> Flags:
        """The request's user and one version of the rules."""
        if self._flags is None:
            self._flags = self.client.bind(self._tell_user())
        return self._flags

    @property
    def known_user(self) -> User | None:
        """The user, if anybody has asked."""
        return None if self._flags is None else self._flags.user

    def read_by(self, user: User) -> Mapping[str, bool | str]:
        """Give what the request read, if that was for this user: others did not see it."""
        flags = self._flags
        if flags is None or not flags.accessed or not is_same_person(flags.user, user):
            return {}
        return flags.accessed


CURRENT: ContextVar[RequestContext | None] = ContextVar("asyncsdk.request", default=None)


def current_flags() -> Flags:
    """Give the `Flags` of the request that this code runs for: for code that has no request at hand.

    A task that a request starts belongs to it, for as long as it runs.

    Raises:
        ConfigurationError: It runs for no request, or the application lacks the integration.
    """
    context = CURRENT.get()
    if context is None:
        msg = "this code runs for no request, or the application has no asyncsdk.integrations middleware"
        raise ConfigurationError(msg)
    return context.flags


def carry_flags(payload: Payload, next: Next) -> Awaitable[None] | None:
    """Let a request's events carry what it read, as those do that are sent through its `Flags`: an event middleware."""
    context, event = CURRENT.get(), payload.event
    read = context.read_by(event.user) if context is not None else None
    if not read:
        return next(payload)
    return next(Payload(_carrying(event, {"feature_flags": dict(read)}), payload.extra))


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
