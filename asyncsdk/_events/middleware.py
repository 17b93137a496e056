"""Middleware: the user's functions between an event verb and the queues.

A middleware is called with a `Payload` and with `next`, the rest of the chain. It passes the event on by calling
`next(payload)`, with the same payload or another one; if it does not call `next`, the event is dropped.

    async def add_tenant(payload, next):
        await next(attrs.evolve(payload, event=attrs.evolve(payload.event, context={"tenant": "t-1"})))

Sync and async functions mix in one chain, which is the hard part of this file. Calling `next` calls the following
middleware immediately. A sync one has then run; an async one has only returned a coroutine, which has to be awaited:

1. The calling function is async and awaits what `next` returned (`_NextResult`): the coroutine runs there.
2. The calling function is sync, or it is async and does not await: the coroutine stays in `_Chain.unawaited`, and `run`
   awaits it after the first middleware has returned.

Invariant: a coroutine that `next` returned is in `_Chain.unawaited` until it is awaited, which happens once. Those left
over when the chain fails are closed, so that Python does not warn of coroutines that were never awaited.

A pipeline whose functions were all built by `map_events` needs none of this: `run_maps` calls them one after another.
"""

from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from inspect import isawaitable, iscoroutine
from typing import Any

import attrs

from asyncsdk._model.events import Event
from asyncsdk._model.values import Comparable, Value
from asyncsdk.errors import AsyncSDKError, ConfigurationError, InvalidEventError


@attrs.define(eq=False, repr=False)
class Payload(Comparable):
    """An event on its way through the middleware.

    Attributes:
        event: The event. It is a value: pass on a copy (`attrs.evolve`) instead of changing it.
        extra: The caller's `extra=`; empty if there was none. Never sent.
    """

    event: Event
    extra: Mapping[str, Any]


class MiddlewareWaitsError(InvalidEventError):
    """Raised when an async middleware waits for something during a call that cannot wait."""


Next = Callable[[Payload], Awaitable[None]]
Middleware = Callable[[Payload, Next], Awaitable[None] | None]


class _NextResult:
    """The awaitable that `next(payload)` returns. The rest of the chain runs whether or not it is awaited."""

    def __init__(self, step: Awaitable[None] | None, unawaited: list[Awaitable[None]]) -> None:
        self._step = step
        self._unawaited = unawaited

    def __await__(self) -> Generator[Any, Any, None]:
        step, unawaited = self._step, self._unawaited
        # A step that was awaited is no longer in the list: a second `await` of the same result does nothing.
        if step is not None and step in unawaited:
            unawaited.remove(step)
            yield from step.__await__()


# What `next` returns when everything after it was sync, and has run.
_FINISHED = _NextResult(None, [])


class _Chain:
    """The run of one event through the middleware.

    Attributes:
        result: The payload that came out; None until it has passed every function.
        unawaited: Coroutines of async middleware that no middleware has awaited yet.
    """

    def __init__(self, middleware: tuple[Middleware, ...]) -> None:
        self._middleware = middleware
        self.result: Payload | None = None
        self.unawaited: list[Awaitable[None]] = []

    def call(self, position: int, payload: Payload) -> Awaitable[None] | None:
        """Call the middleware at `position`; after the last one, store the payload as the result.

        Returns:
            What has to be awaited for the middleware to finish; None if it has finished.
        """
        if position == len(self._middleware):
            self.result = payload
            return None
        called = False

        def call_next(payload: Payload) -> _NextResult:
            nonlocal called
            if not isinstance(payload, Payload):
                msg = f"`next` takes a Payload, not {type(payload).__name__}"
                raise TypeError(msg)
            if called:
                msg = "a middleware called `next` twice for one event"
                raise AsyncSDKError(msg)
            called = True
            step = self.call(position + 1, payload)
            if step is None:
                return _FINISHED
            self.unawaited.append(step)
            return _NextResult(step, self.unawaited)

        # A sync middleware may return what `next` gave it; that is awaited like the coroutine of an async one.
        step = self._middleware[position](payload, call_next)
        return step if step is not None and step is not _FINISHED and isawaitable(step) else None


async def run(middleware: tuple[Middleware, ...], payload: Payload) -> Payload | None:
    """Pass `payload` through the middleware.

    Returns:
        The payload that came out; None if a middleware did not pass it on.
    """
    chain = _Chain(middleware)
    try:
        step = chain.call(0, payload)
        if step is not None:
            await step
        while chain.unawaited:  # an awaited step may add more
            await chain.unawaited.pop(0)
    finally:
        for step in filter(iscoroutine, chain.unawaited):
            step.close()
    return chain.result


def run_sync(middleware: tuple[Middleware, ...], payload: Payload) -> Payload | None:
    """Like `run`, for a call that cannot wait: the chain has to finish without suspending.

    Raises:
        MiddlewareWaitsError: An async middleware waited for something.
    """
    coroutine: Coroutine[Any, Any, Payload | None] = run(middleware, payload)
    # No event loop is involved: the first `send` runs the coroutine to its end, or to its first suspension.
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return] # a coroutine's value is untyped there
    coroutine.close()
    msg = "an async middleware has to wait, but put_nowait cannot: await the verb instead, as in client.track(...)"
    raise MiddlewareWaitsError(msg)


@attrs.frozen(eq=False, repr=False)
class EventMap(Value):
    """Middleware built by `map_events` from a function of an event, at a tenth of the cost of any other middleware.

    Attributes:
        function: Returns the event it was given, or another one; None drops the event.
        in_place: Whether the function may change the objects within the event it is given.
    """

    function: Callable[[Event], Event | None]
    in_place: bool = True

    def __call__(self, payload: Payload, next: Next) -> Awaitable[None] | None:
        """Pass on what the function returns. Used when the pipeline has other middleware as well."""
        event = self.function(payload.event)
        if event is None:
            return None
        return next(payload if event is payload.event else Payload(event, payload.extra))


def map_events(function: Callable[[Event], Event | None], *, in_place: bool = True) -> EventMap:
    """Build a middleware from a plain function of an event.

    Args:
        function: Returns the event it was given, or another one (`attrs.evolve`); None drops the event. It is not
            awaited.
        in_place: Whether it may change the objects within the event, such as `event.properties`; they are then copied
            first. False saves the copy, for a function that only returns the event or another one.

    Raises:
        ConfigurationError: `function` is not callable.
    """
    if not callable(function):
        msg = "map_events takes a function that is given an event and returns one: map_events(lambda event: ...)"
        raise ConfigurationError(msg)
    return EventMap(function, in_place)


def run_maps(maps: tuple[EventMap, ...], event: Event) -> Event | None:
    """Pass an event through `maps`.

    Returns:
        The event that came out; None if one of them dropped it.
    """
    for one in maps:
        mapped = one.function(event)
        if mapped is None:
            return None
        event = mapped
    return event
