"""Functions of the user's between an event verb and the queues."""

import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from inspect import isawaitable, iscoroutine
from typing import Any

import attrs

from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.events import Event
from asyncsdk._model.users import User, order_key
from asyncsdk.errors import AsyncSDKError, ConfigurationError, InvalidEventError


@attrs.define
class Payload:
    """What a middleware is given and passes on.

    Attributes:
        event: The event; a value: pass on another (`attrs.evolve`) instead of changing it.
        extra: What the caller gave as `extra=`; never sent.
    """

    event: Event
    extra: Mapping[str, Any]


class MiddlewareWaitsError(InvalidEventError):
    """Raised when an async middleware waits for something where nobody can wait for it."""


Next = Callable[[Payload], Awaitable[None]]
Middleware = Callable[[Payload, Next], Awaitable[None] | None]


class _Rest:
    """What `next(payload)` returns: awaiting it is for async middleware; the rest of the chain runs either way."""

    def __init__(self, step: Awaitable[None] | None, loose: list[Awaitable[None]]) -> None:
        self._step = step
        self._loose = loose

    def __await__(self) -> Generator[Any, Any, None]:
        step, loose = self._step, self._loose
        if step is not None and step in loose:
            loose.remove(step)
            yield from step.__await__()


_NOTHING_LEFT = _Rest(None, [])


class _Chain:
    """One event's way through the middleware."""

    def __init__(self, middleware: tuple[Middleware, ...]) -> None:
        self._middleware = middleware
        self.passed: Payload | None = None
        # Steps that a sync middleware started by calling `next` and could not await.
        self.loose: list[Awaitable[None]] = []

    def step(self, position: int, payload: Payload) -> Awaitable[None] | None:
        """Call the middleware at `position`, or note that the payload came through."""
        if position == len(self._middleware):
            self.passed = payload
            return None
        called = False

        def go_on(payload: Payload) -> _Rest:
            nonlocal called
            if not isinstance(payload, Payload):
                msg = f"`next` takes the Payload, or another one, not {type(payload).__name__}"
                raise TypeError(msg)
            if called:
                msg = "a middleware called `next` twice for one event"
                raise AsyncSDKError(msg)
            called = True
            rest = self.step(position + 1, payload)
            if rest is None:
                return _NOTHING_LEFT
            self.loose.append(rest)
            return _Rest(rest, self.loose)

        step = self._middleware[position](payload, go_on)
        return step if step is not None and step is not _NOTHING_LEFT and isawaitable(step) else None


async def run(middleware: tuple[Middleware, ...], payload: Payload) -> Payload | None:
    """Lead `payload` through the middleware; None when one of them did not pass it on."""
    chain = _Chain(middleware)
    try:
        step = chain.step(0, payload)
        if step is not None:
            await step
        while chain.loose:
            await chain.loose.pop(0)
    finally:
        for step in filter(iscoroutine, chain.loose):
            step.close()
    return chain.passed


def run_at_once(middleware: tuple[Middleware, ...], payload: Payload) -> Payload | None:
    """Do the same without a loop to wait on.

    Raises:
        MiddlewareWaitsError: An async middleware waited for something.
    """
    journey: Coroutine[Any, Any, Payload | None] = run(middleware, payload)
    try:
        journey.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return] # a coroutine's value is untyped there
    journey.close()
    msg = "an async middleware waits for something, which put_nowait cannot: use `await client.track(...)` and the like"
    raise MiddlewareWaitsError(msg)


@attrs.frozen
class Edit:
    """Middleware of a plain function: made by `edit`. Among others of its kind it costs a tenth of what another does.

    Attributes:
        function: Gives the event, or another; None drops it.
    """

    function: Callable[[Event], Event | None]

    def __call__(self, payload: Payload, next: Next) -> Awaitable[None] | None:
        """Pass on what the function gives."""
        event = self.function(payload.event)
        if event is None:
            return None
        return next(payload if event is payload.event else Payload(event, payload.extra))


def edit(function: Callable[[Event], Event | None]) -> Edit:
    """Make a middleware of a function that gives the event it is given, or another (`attrs.evolve`); None drops it.

    Raises:
        ConfigurationError: It cannot be called.
    """
    if not callable(function):
        msg = "edit takes a function that is given an event and gives one: edit(lambda event: ...)"
        raise ConfigurationError(msg)
    return Edit(function)


def run_edits(edits: tuple[Edit, ...], event: Event) -> Event | None:
    """Lead an event through edits; None when one of them drops it."""
    for one in edits:
        edited = one.function(event)
        if edited is None:
            return None
        event = edited
    return event


_USER_TEXTS = ("email", "ip", "user_agent", "country", "locale", "app_version")


@attrs.frozen
class Redact:
    """Middleware that replaces values by name, at any depth: made by `redact`."""

    names: frozenset[str]
    replacement: str

    def __call__(self, payload: Payload, next: Next) -> Awaitable[None]:
        """Pass the event on without what is named."""
        changes: dict[str, Any] = {"user": self.clean_user(payload.event.user)}
        for field in ("name", "traits", "properties", "metadata", "context", "fields", "integrations"):
            value = getattr(payload.event, field, None)
            if isinstance(value, Mapping):
                changes[field] = self.clean(value)
            elif isinstance(value, Identify):
                changes[field] = value.changed(self.clean)
            elif isinstance(value, Revenue):
                changes[field] = attrs.evolve(value, properties=self.clean(value.properties))
        return next(attrs.evolve(payload, event=attrs.evolve(payload.event, **changes)))

    def clean_user(self, user: User) -> User:
        """Copy a user with every named field replaced, for what is sent without passing middleware: exposures."""
        fields: dict[str, Any] = {"custom": self.clean(user.custom), "custom_ids": self.clean(user.custom_ids)}
        for name in _USER_TEXTS:
            if name in self.names and getattr(user, name) is not None:
                fields[name] = self.replacement
        return attrs.evolve(user, **fields)

    def clean(self, value: Any) -> Any:
        """Copy `value` with every named key's value replaced, in whatever holds keys when it is written as JSON."""
        if is_dataclass(value) and not isinstance(value, type):
            return self.clean({field.name: getattr(value, field.name) for field in fields(value)})
        if isinstance(value, Mapping):
            return {key: self.replacement if key in self.names else self.clean(item) for key, item in value.items()}
        if isinstance(value, Sequence | AbstractSet) and not isinstance(value, str | bytes | bytearray):
            return [self.clean(item) for item in value]
        return value


def redact(*names: str, replacement: str = "[redacted]") -> Redact:
    """Make a middleware that replaces the values of these keys wherever an event may hold them, at any depth.

    That includes the fields of its user (`email`, `ip`, ...), and the users of exposures. Names are case-sensitive; ids
    are not redacted.

    Raises:
        ConfigurationError: No name was given.
    """
    if not names or not all(isinstance(name, str) for name in names):
        msg = 'redact takes the names of keys: redact("password", "iban")'
        raise ConfigurationError(msg)
    return Redact(frozenset(names), replacement)


def sample(rate: float, *, salt: str = "") -> Middleware:
    """Make a middleware that passes on the events of this share of the users, and always of the same ones.

    Args:
        rate: 0.0 (nobody) to 1.0 (everybody).
        salt: Another one picks other users.

    Raises:
        ConfigurationError: The rate is out of range.
    """
    if not 0 <= rate <= 1:
        msg = f"sample takes a rate from 0 to 1, not {rate}"
        raise ConfigurationError(msg)

    def sampled(payload: Payload, next: Next) -> Awaitable[None] | None:
        digest = hashlib.sha256(f"{salt}:{order_key(payload.event.user)}".encode("utf-8", "replace")).digest()
        if int.from_bytes(digest[:8]) < rate * 2**64:
            return next(payload)
        return None

    return sampled
