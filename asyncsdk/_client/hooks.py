"""Functions of the user's that the client calls: what they raise is logged, and harms nothing else."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, Self, TypeVar

from asyncsdk._delivery.lane import Lane
from asyncsdk._events.admission import Admission
from asyncsdk._events.middleware import Middleware
from asyncsdk._lifecycle import Job, Lifecycle
from asyncsdk._lookups.evaluator import Lookups, WatchedLookups
from asyncsdk._model.receipts import Delivery
from asyncsdk._model.reports import RequestInfo, RulesetChange, RulesHealth, Watch
from asyncsdk._model.results import LookupResult
from asyncsdk._model.users import User
from asyncsdk._refresh import Refresher
from asyncsdk.errors import ConfigurationError

logger = logging.getLogger("asyncsdk")

P = ParamSpec("P")
T = TypeVar("T")


def guarded(function: Callable[P, T], what: str) -> Callable[P, T | None]:
    """Make a function of the user's one that does not raise; each kind of error is logged once.

    Args:
        function: The user's.
        what: What the log calls it.

    Raises:
        ConfigurationError: It cannot be called, or would have to be awaited.
    """
    if not callable(function) or iscoroutinefunction(function):
        msg = f"{what} takes a plain function, which is not awaited"
        raise ConfigurationError(msg)
    seen: set[type] = set()

    @wraps(function)
    def call(*args: P.args, **keywords: P.kwargs) -> T | None:
        try:
            return function(*args, **keywords)
        except (Exception, asyncio.CancelledError) as error:
            if type(error) not in seen:
                seen.add(type(error))
                logger.exception("a function given to %s failed (logged once for each kind of error)", what)
            return None

    return call


class HookVerbs:
    """What a client lets others watch and change. None of it costs anything until it is asked for."""

    _admission: Admission
    _lanes: Sequence[Lane]
    _life: Lifecycle
    _lookups: Lookups
    _own_jobs: list[tuple[str, Job]]
    _refresher: Refresher | None
    _takes_detour: bool
    _watches: list[Watch]

    def add_middleware(self, function: Middleware) -> Self:
        """Let `function(payload, next)` see every event before it is queued, after those added earlier.

        It passes the event on by calling `next(payload)`, with the payload it was given or another; an `async`
        function may await that. Not calling it drops the event; raising costs that event only.

        Raises:
            ConfigurationError: It cannot be called.
        """
        if not callable(function) or getattr(function, "__name__", "") in ("redact", "sample", "edit"):
            msg = "a middleware is a function of (payload, next); redact(...), sample(...) and edit(...) make one"
            raise ConfigurationError(msg)
        self._admission.pipeline.add(function)
        return self

    add_event_middleware = add_middleware

    def on_ruleset_change(self, function: Callable[[RulesetChange], object]) -> Self:
        """Call `function` on the loop with what changed, each time that other rules are in use.

        It must not block; what it raises is logged.
        """
        if self._refresher is not None:
            self._refresher.subscribe(function)
        return self

    def on_rules_health(self, function: Callable[[RulesHealth], object]) -> Self:
        """Call `function` on the loop with how the rules are doing, each time that their source was asked.

        It must not block; what it raises is logged.
        """
        if self._refresher is not None:
            self._refresher.observe(function)
        return self

    def on_evaluation(self, function: Callable[[User, LookupResult], object]) -> Self:
        """Call `function(user, answer)` with each answer of a lookup: a gate, config, experiment or layer.

        It is called where the lookup is made, in its thread and context, also by lookups that report no exposure. It
        must be quick; what it raises is logged. What `bind` gave earlier, and answers that it remembers, tell nothing.
        """
        watchers = self._lookups.watchers if isinstance(self._lookups, WatchedLookups) else ()
        self._lookups = WatchedLookups(
            self._lookups.exposures, self._lookups.assignments, (*watchers, guarded(function, "on_evaluation"))
        )
        self._takes_detour = True
        return self

    def on_request(self, function: Callable[[RequestInfo], Callable[[], object] | None]) -> Self:
        """Call `function(exchange)` on the loop when a request to a vendor leaves.

        What it returns, if anything, is called when the request has ended, and the exchange tells how. Neither may
        block; what they raise is logged.
        """
        begin = guarded(function, "on_request")

        def watch(exchange: RequestInfo) -> Callable[[], object] | None:
            end = begin(exchange)
            return None if end is None else guarded(end, "on_request")

        self._watches.append(guarded(watch, "on_request"))
        return self

    def on_settled(self, function: Callable[[Delivery, int], object]) -> Self:
        """Call `function(delivery, count)` on the loop each time that events of a destination meet a fate together.

        That is once per request, not once per event, and counts exposures too; but not what never was queued. It must
        not block; what it raises is logged.
        """
        hear = guarded(function, "on_settled")
        for lane in self._lanes:
            lane.ledger.on_settled += (hear,)
        return self

    def add_background_task(self, name: str, job: Callable[[], Coroutine[Any, Any, object]]) -> Self:
        """Let `job()`, an async function, run beside the client, on its loop: from `start` until it is closed.

        A job that fails is logged and started again; one that returns is done.

        Args:
            name: What the log calls it.
            job: Called without arguments.

        Raises:
            ConfigurationError: The client was started already.
        """
        if self._life.state != "new":
            msg = "jobs are added before the client starts"
            raise ConfigurationError(msg)

        async def run() -> None:
            await job()
            await asyncio.Event().wait()

        self._own_jobs.append((name, run))
        return self
