"""The pipeline: runs a client's middleware on each event.

An event passes through the functions in the order in which they were added. The result (`Passed`) has three parts: the
caller's event, the event that came out (None if a function dropped it or failed), and the reason for dropping it.

There are two paths:

1. All functions were built by `map_events`: the event passes from one to the next, and `message_id` is still what the
   caller gave. This costs a tenth of path 2.
2. Any other middleware is among them: the event is copied once, with its id filled in, and wrapped in a `Payload`.
   The chain may then have to be awaited (`may_suspend`).

On both, the objects and lists within the event are copied first, so that a function may change them in place, as those
of Node SDKs do, without changing the caller's. `map_events(function, in_place=False)` promises that `function` does not
change them; if every function on path 1 promises this, nothing is copied.

A function that raises costs only the event that it was given. The error is logged once per type, and the event is
dropped with the reason "middleware error". `MiddlewareWaitsError` is the exception: it reaches the caller of
`put_nowait`, who chose a call that cannot wait.

`run` may be called from any thread; `run_async` is awaited on the client's loop.
"""

import logging
from typing import Any, get_args

import attrs

from asyncsdk._events.builtin import Redact
from asyncsdk._events.middleware import EventMap, Middleware, MiddlewareWaitsError, Payload, run, run_maps, run_sync
from asyncsdk._model.events import Event
from asyncsdk._model.reports import DELIBERATE
from asyncsdk._model.users import User

logger = logging.getLogger("asyncsdk")

Passed = tuple[Event, Event | None, str]
"""The event that went in, the event that came out (None: dropped), and the reason if it was dropped."""

_CONTAINERS = frozenset({dict, list})
_FIELDS: dict[type, tuple[str, ...]] = {kind: tuple(attrs.fields_dict(kind)) for kind in get_args(Event)}


class Pipeline:
    """The middleware that events pass through, in order.

    Attributes:
        functions: All middleware, in the order in which events reach it.
        may_suspend: Whether the chain may have to be awaited; functions built by `map_events` never have to.
    """

    def __init__(self) -> None:
        """Create a pipeline without middleware."""
        self.functions: tuple[Middleware, ...] = ()
        self.may_suspend = False
        self._maps: tuple[EventMap, ...] = ()
        self._copies = False
        self._redactions: tuple[Redact, ...] = ()
        self._seen_errors: set[type] = set()

    def __repr__(self) -> str:
        """Return the number of functions, and the types of the errors so far."""
        errors = ", ".join(sorted(error.__name__ for error in self._seen_errors)) or "no errors"
        return f"<Pipeline {len(self._maps)} maps of {len(self.functions)} functions: {errors}>"

    def add(self, function: Middleware) -> None:
        """Append `function`: events reach it after those added earlier."""
        self._use((*self.functions, function))

    def remove(self, function: Middleware) -> None:
        """Remove `function`; events that are on their way through it are not affected."""
        self._use(tuple(one for one in self.functions if one is not function))

    def _use(self, functions: tuple[Middleware, ...]) -> None:
        # Tuples are replaced, not changed, since an event in another thread may be on its way through them.
        self.functions = functions
        self._redactions = tuple(one for one in self.functions if isinstance(one, Redact))
        self._maps = tuple(one for one in self.functions if isinstance(one, EventMap))
        self.may_suspend = len(self._maps) < len(self.functions)
        self._copies = any(one.in_place for one in self._maps)

    def run(self, event: Event, event_id: str) -> Passed:
        """Run the middleware without waiting.

        Raises:
            MiddlewareWaitsError: An async middleware waited for something.
        """
        try:
            if not self.may_suspend:
                return event, run_maps(self._maps, _copy(event) if self._copies else event), DELIBERATE
            payload = _payload(event, event_id)
            return _passed(event, run_sync(self.functions, payload))
        except MiddlewareWaitsError:
            raise
        except Exception as error:  # noqa: BLE001 -- a user's function may raise anything
            return event, None, self.failed(error)

    async def run_async(self, event: Event, event_id: str) -> Passed:
        """Run the middleware, and await what has to be awaited."""
        payload = _payload(event, event_id)
        try:
            return _passed(event, await run(self.functions, payload))
        except Exception as error:  # noqa: BLE001 -- a user's function may raise anything
            return event, None, self.failed(error)

    def failed(self, error: Exception) -> str:
        """Log a failure of middleware, once per type of error, and return the reason for dropping its event."""
        if type(error) not in self._seen_errors:
            self._seen_errors.add(type(error))
            msg = "a middleware failed or returned an invalid event; the event is dropped (logged once per type)"
            logger.error(msg, exc_info=error)
        return "middleware error"

    def redact(self, user: User) -> User:
        """Apply the redactions among the middleware to the user of an exposure: middleware does not see exposures."""
        for redact in self._redactions:
            user = redact.clean_user(user)
        return user


def _passed(event: Event, result: Payload | None) -> Passed:
    return event, None if result is None else result.event, DELIBERATE


def _payload(event: Event, event_id: str) -> Payload:
    """Wrap a copy of the event that carries its id."""
    extra = event.extra
    stamped = _copy(event)
    stamped.message_id = event_id
    return Payload(stamped, {} if extra is None else dict(extra))


def _copy(event: Event) -> Event:
    """Return a copy of an event, and of the objects and lists within it."""
    kind = type(event)
    # Field by field: a third of the cost of `attrs.evolve`, which builds keywords and runs the converters.
    copied = kind.__new__(kind)
    for name in _FIELDS[kind]:
        value = getattr(event, name)
        setattr(copied, name, _copy_containers(value) if type(value) in _CONTAINERS else value)
    return copied


def _copy_containers(value: Any) -> Any:
    """Copy dicts and lists at every level; anything else is shared."""
    if type(value) is dict:
        return {key: _copy_containers(item) if type(item) in _CONTAINERS else item for key, item in value.items()}
    return [_copy_containers(item) if type(item) in _CONTAINERS else item for item in value]
