"""The user's functions that a client calls. What they raise is logged, and affects nothing else."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from copy import deepcopy
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, Self, TypeVar

import attrs

from asyncsdk._events.admission import Admission
from asyncsdk._events.middleware import Middleware
from asyncsdk._lifecycle import Job
from asyncsdk._model.encoding import to_json
from asyncsdk._model.event_defaults import Defaults, EventDefaults
from asyncsdk._model.receipts import Delivery
from asyncsdk._model.reports import RequestInfo, RulesetChange, RulesHealth, Watch
from asyncsdk._model.results import LookupResult
from asyncsdk._model.users import User
from asyncsdk._model.validation import describe_type
from asyncsdk._model.values import Shown
from asyncsdk.errors import ConfigurationError, InvalidEventError

if TYPE_CHECKING:
    from asyncsdk._refresh import Refresher

logger = logging.getLogger("asyncsdk")

P = ParamSpec("P")
T = TypeVar("T")


def guarded(function: Callable[P, T], name: str) -> Callable[P, T | None]:
    """Wrap a user's function so that it does not raise; each type of error is logged once.

    Args:
        function: The user's function.
        name: What the log calls it, such as `on_delivery`.

    Raises:
        ConfigurationError: It cannot be called, or would have to be awaited.
    """
    check_plain(function, name)
    logged: set[type] = set()

    @wraps(function)
    def call(*args: P.args, **keywords: P.kwargs) -> T | None:
        try:
            return function(*args, **keywords)
        except (Exception, asyncio.CancelledError) as error:
            if type(error) not in logged:
                logged.add(type(error))
                logger.exception("a function given to %s failed (logged once for each kind of error)", name)
            return None

    return call


def event_defaults(properties: Defaults, context: Defaults) -> EventDefaults:
    """Return a layer of defaults, with the user's functions guarded and the user's mappings copied.

    Raises:
        ConfigurationError: One is neither a mapping of values that JSON can represent, nor a plain function.
    """
    return EventDefaults(_source(properties, "properties"), _source(context, "context"))


def _source(given: Any, name: str) -> Defaults:
    if given is None:
        return None
    if not isinstance(given, Mapping) and callable(given):
        return guarded(partial(_call_for_mapping, given), name) if not iscoroutinefunction(given) else _refuse(name)
    if not isinstance(given, Mapping):
        return _refuse(name)
    try:
        to_json(given, name)
    except InvalidEventError as error:
        raise ConfigurationError(str(error)) from None
    return deepcopy(dict(given))


def _refuse(name: str) -> NoReturn:
    msg = f"`{name}` takes a mapping, or a plain function that returns one"
    raise ConfigurationError(msg)


def _call_for_mapping(function: Callable[[], Any]) -> Mapping[str, Any] | None:
    values = function()
    if values is not None and not isinstance(values, Mapping):
        msg = f"it returned {describe_type(values)}, not a mapping"
        raise TypeError(msg)
    return values


def check_plain(function: object, name: str) -> None:
    """Check that a user's function can be called, and need not be awaited; the arguments are those of `guarded`.

    Raises:
        ConfigurationError: It cannot be called, or would have to be awaited.
    """
    if not callable(function) or iscoroutinefunction(function):
        msg = f"{name} takes a plain function, not an async one"
        raise ConfigurationError(msg)


@attrs.define(eq=False, repr=False)
class Hooks(Shown):
    """The guarded functions of a client, in the order in which they were added; its parts read these lists.

    Attributes:
        on_request: Called by the transports when a request is sent.
        on_settled: Called by the ledgers when events of a destination reach a final status together.
        on_evaluation: Called by lookups with their results.
        tasks: Names and jobs to run beside the client's own; None once the client has started.
        removals: Each function that was added, as the user knows it, with the function that removes it.
    """

    on_request: list[Watch] = attrs.Factory(list)
    on_settled: list[Callable[[Delivery, int], object]] = attrs.Factory(list)
    on_evaluation: list[Callable[[User, LookupResult], object]] = attrs.Factory(list)
    tasks: list[tuple[str, Job]] | None = attrs.Factory(list)
    removals: list[tuple[object, Callable[[], object]]] = attrs.Factory(list)

    def add(self, functions: list[T], added: T, given: object) -> None:
        """Append `added`, a wrapper of the function that the user gave, to one of the lists above."""
        functions.append(added)
        self.removals.append((given, partial(_remove, functions, added)))

    def remove(self, given: object) -> bool:
        """Remove a function wherever the user added it; return whether there was any."""
        removals = [remove for known, remove in self.removals if known == given]
        self.removals = [(known, remove) for known, remove in self.removals if known != given]
        for remove in removals:
            remove()
        return bool(removals)


def _remove(functions: list[Any], added: object) -> None:
    functions[:] = [one for one in functions if one is not added]


class HookVerbs:
    """What a client lets its user watch and change. None of it costs anything until it is used."""

    _admission: Admission
    _hooks: Hooks
    _refresher: "Refresher | None"

    def _choose_path(self) -> None:
        raise NotImplementedError

    def add_middleware(self, function: Middleware) -> Self:
        """Pass every event through `function(payload, next)` before it is enqueued, after those added earlier.

        It passes the event on by calling `next(payload)`, with the payload it received or another; an `async`
        function may await that. Not calling it drops the event; raising costs that event only.

        Args:
            function: Plain or async; or what `redact`, `sample` or `map_events` return.

        Returns:
            The client.

        Raises:
            ConfigurationError: It cannot be called.
        """
        if not callable(function) or getattr(function, "__name__", "") in ("redact", "sample", "map_events"):
            msg = "a middleware is a function of (payload, next); redact(...), sample(...) and map_events(...) make one"
            raise ConfigurationError(msg)
        self._admission.pipeline.add(function)
        self._hooks.removals.append((function, partial(self._admission.pipeline.remove, function)))
        return self

    add_event_middleware = add_middleware

    def add_event_defaults(self, properties: Defaults = None, context: Defaults = None) -> Self:
        """Add properties and context to events that do not have them. Those added later win over those added earlier.

        Adding the same functions again changes nothing.

        Args:
            properties: A mapping, or a function that is called for each event, where its verb is called, and returns
                one or None. What it raises is logged, and adds nothing.
            context: The same for RudderStack's `context`.

        Returns:
            The client.

        Raises:
            ConfigurationError: One is neither a mapping of values that JSON can represent, nor a plain function.
        """
        given = properties, context
        if all(known != given for known, _ in self._hooks.removals):
            added = event_defaults(properties, context)
            self._admission.defaults = (*self._admission.defaults, added)
            self._hooks.removals.append((given, partial(self._remove_defaults, added)))
        return self

    def _remove_defaults(self, added: EventDefaults) -> None:
        self._admission.defaults = tuple(one for one in self._admission.defaults if one is not added)

    def on_ruleset_change(self, function: Callable[[RulesetChange], object]) -> Self:
        """Call `function(change)` each time new rules take effect.

        Args:
            function: Called on the client's loop with what was added, changed and removed. It must not block; what it
                raises is logged.

        Returns:
            The client.
        """
        check_plain(function, "on_ruleset_change")
        self._listen(function, None if self._refresher is None else self._refresher.subscribe)
        return self

    def on_rules_health(self, function: Callable[[RulesHealth], object]) -> Self:
        """Call `function(health)` after each request for rules.

        Args:
            function: Called on the client's loop. It must not block; what it raises is logged.

        Returns:
            The client.
        """
        check_plain(function, "on_rules_health")
        self._listen(function, None if self._refresher is None else self._refresher.observe)
        return self

    def on_evaluation(self, function: Callable[[User, LookupResult], object]) -> Self:
        """Call `function(user, result)` with each result of a lookup: a gate, config, experiment or layer.

        Lookups that report no exposure are included. Results that flags from `bind` have cached are not, nor is any
        result of flags bound before this call.

        Args:
            function: Called where the lookup is made, in its thread and context. It must be quick; what it raises is
                logged.

        Returns:
            The client.
        """
        self._hooks.add(self._hooks.on_evaluation, guarded(function, "on_evaluation"), function)
        self._choose_path()
        return self

    def on_request(self, function: Callable[[RequestInfo], Callable[[], object] | None]) -> Self:
        """Call `function(request)` each time a request to a vendor is sent.

        Args:
            function: Called on the client's loop. If it returns a function, that is called when the request has ended,
                and `request` then holds the status or the error. Neither may block; what they raise is logged.

        Returns:
            The client.
        """
        begin = guarded(function, "on_request")

        def watch(request: RequestInfo) -> Callable[[], object] | None:
            end = begin(request)
            return None if end is None else guarded(end, "on_request")

        self._hooks.add(self._hooks.on_request, guarded(watch, "on_request"), function)
        return self

    def on_settled(self, function: Callable[[Delivery, int], object]) -> Self:
        """Call `function(delivery, count)` each time events of a destination reach a final status together.

        That is once per request, not once per event. Exposures count; events that were never enqueued do not.

        Args:
            function: Called on the client's loop. It must not block; what it raises is logged.

        Returns:
            The client.
        """
        self._hooks.add(self._hooks.on_settled, guarded(function, "on_settled"), function)
        return self

    def off(self, function: Callable[..., object]) -> Self:
        """Stop calling a function that was given to `add_middleware` or to one of the `on_...` methods above.

        It is removed wherever it was added. Flags that `bind` returned earlier go on calling their `on_evaluation`
        functions.

        Args:
            function: The same function, or the same method of the same object.

        Returns:
            The client.

        Raises:
            ConfigurationError: It was not added, or has already been removed.
        """
        if not self._hooks.remove(function):
            msg = "off takes a function that was given to add_middleware or on_...; this one was not added"
            raise ConfigurationError(msg)
        self._choose_path()
        return self

    def add_background_task(self, name: str, job: Callable[[], Coroutine[Any, Any, object]]) -> Self:
        """Run `job()`, an async function, alongside the client, from `start` until the client is closed.

        Args:
            name: What the log calls it.
            job: Called without arguments, on the client's loop. If it raises, that is logged and it is restarted; if it
                returns, it is done.

        Returns:
            The client.

        Raises:
            ConfigurationError: The client has already been started.
        """
        if self._hooks.tasks is None:
            msg = "background tasks must be added before the client starts"
            raise ConfigurationError(msg)

        async def run() -> None:
            await job()
            await asyncio.Event().wait()

        self._hooks.tasks.append((name, run))
        return self

    def _listen(self, function: Callable[[T], object], listen: Callable[[Callable[[T], object]], None] | None) -> None:
        """Let the refresher call a function; without rules, there is nothing to call it for."""
        remove: Callable[[], object] = _do_nothing
        if self._refresher is not None and listen is not None:
            listen(function)
            remove = partial(self._refresher.unsubscribe, function)
        self._hooks.removals.append((function, remove))


def _do_nothing() -> None:
    pass
