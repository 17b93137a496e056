"""What a strict test looks for: verbs that were not awaited, unknown names, rejected events. Of all clients.

`if client.check_gate(user, "sale"):` without `await` is true for everyone, since a coroutine is true; no type checker
says so. Verbs of `Client` are therefore replaced during a strict test by functions that remember their coroutines. At
the end, one that has not begun was never awaited.
"""

import inspect
import logging
import sys
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from asyncsdk._client.client import Client
from asyncsdk._delivery.ledger import logger as delivery_logger
from asyncsdk._model.users import User
from asyncsdk._refresh.polling import logger as rules_logger
from asyncsdk._refresh.unknown_names import UNKNOWN_NAME
from asyncsdk.dev import DevServer
from asyncsdk.testing.fake_client import FakeClient
from asyncsdk.testing.matching import name_of

_Verb = Callable[..., Coroutine[Any, Any, Any]]

# Number of calls after which those that have begun are forgotten.
_MAX_CALLS = 1_000
_ABOUT_SHORT_IDS = "use a user of 5 characters or more in the test, or Amplitude(min_id_length=1)"
_VERBS = [name for name, _ in inspect.getmembers(Client, inspect.iscoroutinefunction) if not name.startswith("_")]
# Before Python 3.12, a plain function cannot say that it returns a coroutine.
_mark: Callable[[_Verb], _Verb] = getattr(inspect, "markcoroutinefunction", lambda function: function)


@attrs.frozen
class _Call:
    text: str
    place: str
    coroutine: Coroutine[Any, Any, Any]

    @property
    def has_begun(self) -> bool:
        return inspect.getcoroutinestate(self.coroutine) != inspect.CORO_CREATED


class StrictWatch:
    """A context manager that collects what is wrong while it is active."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._replaced: list[tuple[type, str, _Verb]] = []
        self._rules = _Listener(rules_logger, _describe_unknown)
        self._delivery = _Listener(delivery_logger, _describe_rejected)

    def __enter__(self) -> Self:
        for name in _VERBS:
            owner = next(one for one in Client.__mro__ if name in vars(one))
            verb: _Verb = vars(owner)[name]
            self._replaced.append((owner, name, verb))
            setattr(owner, name, self._watched(name, verb))
        self._rules.start(logging.DEBUG)
        self._delivery.start(logging.WARNING)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for owner, name, verb in self._replaced:
            setattr(owner, name, verb)
        self._rules.stop()
        self._delivery.stop()

    def problems(self) -> list[str]:
        """Return what was wrong, one line each, in the order in which it is easiest to mend."""
        forgotten = [call for call in self._calls if not call.has_begun]
        for call in forgotten:
            call.coroutine.close()  # otherwise Python warns as well, at a place that says nothing
        lines = [f"{call.place}: {call.text} was never awaited" for call in forgotten]
        return list(dict.fromkeys([*lines, *self._rules.found, *self._delivery.found]))

    def _watched(self, name: str, verb: _Verb) -> _Verb:
        calls = self._calls

        @wraps(verb)
        def call(client: Client, *args: Any, **keywords: Any) -> Coroutine[Any, Any, Any]:
            coroutine, caller = verb(client, *args, **keywords), sys._getframe(1)  # noqa: SLF001 -- as `logging` does
            place = f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno}"
            calls.append(_Call(_describe_call(name, args, keywords), place, coroutine))
            if len(calls) > _MAX_CALLS:
                calls[:] = [call for call in calls if not call.has_begun]
            return coroutine

        return _mark(call)


class _Listener(logging.Filter):
    """Reads the records of a logger, also of those below its level, which go no further."""

    def __init__(self, logger: logging.Logger, describe: Callable[[logging.LogRecord], str]) -> None:
        super().__init__()
        self.found: list[str] = []
        self._logger, self._describe = logger, describe
        self._before = self._shown = logging.NOTSET

    def start(self, level: int) -> None:
        self._before, self._shown = self._logger.level, self._logger.getEffectiveLevel()
        self._logger.setLevel(min(level, self._shown))
        self._logger.addFilter(self)

    def stop(self) -> None:
        self._logger.removeFilter(self)
        self._logger.setLevel(self._before)

    def filter(self, record: logging.LogRecord) -> bool:
        text = self._describe(record)
        if text:
            self.found.append(text)
        return record.levelno >= self._shown


def describe_rejected_events(where: FakeClient | DevServer) -> list[str]:
    """Return a line for each event that a fake client's destination, or an imitated vendor, rejected."""
    if isinstance(where, FakeClient):
        found = [(one.destination, name_of(event), one.reason) for event, one in where.rejected]
    else:
        rejected = [event for event in where.events if event.verdict.startswith("rejected")]
        found = [(event.vendor, event.name or event.kind, event.verdict.partition(": ")[2]) for event in rejected]
    return [f"{vendor} rejected the event {name!r}: {reason}" for vendor, name, reason in found]


def _describe_unknown(record: logging.LogRecord) -> str:
    if record.msg != UNKNOWN_NAME or not isinstance(record.args, tuple):
        return ""
    _, kind, name = record.args
    return f"a lookup asked for the {kind} {name!r}, which the rules do not have"


def _describe_rejected(record: logging.LogRecord) -> str:
    if not isinstance(record.args, tuple) or "rejected" not in record.args:
        return ""
    text = record.getMessage().removesuffix(" (logged at most once a minute)")
    return f"{text}; {_ABOUT_SHORT_IDS}" if "min_id_length" in text else text


def _describe_call(name: str, args: Iterable[Any], keywords: dict[str, Any]) -> str:
    given = [repr(one.user_id) if isinstance(one, User) else repr(one) for one in args]
    given += [f"{key}={value!r}" for key, value in keywords.items()]
    return f"{name}({', '.join(given)})"
