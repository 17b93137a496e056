"""Functions of the user's between an event verb and the queues."""

from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from inspect import isawaitable, iscoroutine
from typing import Any

import attrs

from asyncsdk._model.events import Event
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
class EventMap:
    """Middleware of a plain function: built by `map_events`, at a tenth of the cost of any other middleware.

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


def map_events(function: Callable[[Event], Event | None]) -> EventMap:
    """Make a middleware of a function that gives the event it is given, or another (`attrs.evolve`); None drops it.

    Raises:
        ConfigurationError: It cannot be called.
    """
    if not callable(function):
        msg = "edit takes a function that is given an event and gives one: edit(lambda event: ...)"
        raise ConfigurationError(msg)
    return EventMap(function)


def run_maps(edits: tuple[EventMap, ...], event: Event) -> Event | None:
    """Lead an event through edits; None when one of them drops it."""
    for one in edits:
        edited = one.function(event)
        if edited is None:
            return None
        event = edited
    return event
