"""The off switch: a client that sends nothing and starts nothing, for review apps, seed scripts and unit tests.

Its verbs do what they always do (validate, run middleware, encode), and its destinations then skip the event, so that a
mistake raises as it would in production. Its lookups know the bootstrap, overrides and fallbacks.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from asyncsdk._model.events import Event
from asyncsdk._model.values import Value
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Destination, Limits, Overflow, Refusal, Request, Response, Verdict
from asyncsdk.vendors.statsig import Statsig

if TYPE_CHECKING:
    from asyncsdk._refresh import Refresher

ENABLED = "ASYNCSDK_ENABLED"
_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_DISABLED = Refusal("skipped", "disabled")


def is_enabled(setting: bool | None, environ: Mapping[str, str] = os.environ) -> bool:  # noqa: FBT001 -- one value
    """Return whether a client is on.

    Args:
        setting: `Client(enabled=...)`. None: the environment decides.
        environ: The environment. Without the variable, or if it is empty, the client is on.

    Raises:
        ConfigurationError: The variable is neither of the words for on and off.
    """
    if setting is not None:
        return setting
    word = environ.get(ENABLED, "").strip().lower()
    if word and word not in (*_ON, *_OFF):
        msg = f"{ENABLED} must be one of {', '.join((*_ON, *_OFF))}, or empty"
        raise ConfigurationError(msg)
    return word not in _OFF


def bootstrap_only(source: Statsig | None) -> "Refresher | None":
    """Return what holds the rules of a client that is off: those of the bootstrap; None without one."""
    if source is None or source.rules is None or source.rules.bootstrap is None:
        return None
    rules = attrs.evolve(source.rules, cache=None, id_lists=False, assignments=None, overrides=None)
    from asyncsdk._refresh import Refresher  # noqa: PLC0415 -- only a client with rules needs it

    return Refresher(attrs.evolve(source, offline=True, rules=rules))


@attrs.frozen(eq=False, repr=False)
class SkippingDestination(Value):
    """A destination that checks events, and skips them."""

    _given: Destination

    @property
    def name(self) -> str:
        """That of the destination."""
        return self._given.name

    @property
    def limits(self) -> Limits:
        """Those of the destination."""
        return self._given.limits

    @property
    def forwards(self) -> bool:
        """As the destination does."""
        return self._given.forwards

    @property
    def overflow(self) -> Overflow:
        """`drop`: no event is queued, so none waits for room."""
        return "drop"

    def encode(self, event: Event, message_id: str, time_ms: int) -> Refusal:
        """Encode an event, which raises for one that is invalid, and skip it."""
        self._given.encode(event, message_id, time_ms)
        return _DISABLED

    def frame(self, chunks: object, now_ms: int) -> Request:
        """Never called: there is nothing to send."""
        raise NotImplementedError

    def judge(self, response: Response, chunks: object) -> Verdict:
        """Never called: there is nothing to send."""
        raise NotImplementedError
