"""What lookups report: which user saw which gate, config, experiment or layer parameter, into Statsig's queue."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from asyncsdk._delivery.lane import Lane
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._middleware import Middleware, Redact
from asyncsdk._model.receipts import Record
from asyncsdk._model.users import User, order_key
from asyncsdk._rules.evaluate import Evaluation
from asyncsdk._rules.exposures import Exposure, Recent, config_exposure, gate_exposure, layer_exposure
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk.errors import ClientClosedError, InvalidEventError, QueueFullError
from asyncsdk.vendors.statsig.events import exposure as write_exposure


class Exposures:
    """Reports each exposure once per window, from any thread; a lookup pays for a set look-up, mostly."""

    def __init__(
        self,
        life: Lifecycle,
        lane: Lane | None,
        middleware: Callable[[], Sequence[Middleware]],
        offer: Callable[[Record], bool] | None = None,
    ) -> None:
        """Report into `lane`, through `offer` if that is given.

        Args:
            life: Of the client.
            lane: Statsig's; None reports nothing.
            middleware: Gives the client's, of which `redact` applies.
            offer: What takes an exposure in the lane's place; False when there is no room.
        """
        self._life = life
        self._lane = lane
        self._put = offer if offer is not None or lane is None else lane.offer
        self._middleware = middleware
        self.recent = Recent()

    def gate(self, rules: Ruleset, user: User, found: Evaluation, *, manual: bool = False) -> None:
        """Report that a user saw a gate."""
        if self._lane is not None and self.recent.is_new(user, found, manual=manual):
            self._report(rules, user, found, gate_exposure(rules, found, manual=manual))

    def config(self, rules: Ruleset, user: User, found: Evaluation, *, manual: bool = False) -> None:
        """Report that a user saw a config or an experiment."""
        if self._lane is not None and self.recent.is_new(user, found, manual=manual):
            self._report(rules, user, found, config_exposure(rules, found, manual=manual))

    def parameter(self, rules: Ruleset, user: User, found: Evaluation, parameter: str, *, manual: bool = False) -> None:
        """Report that a user saw a parameter of a layer."""
        if self._lane is not None and self.recent.is_new(user, found, parameter, manual=manual):
            self._report(rules, user, found, layer_exposure(rules, found, parameter, manual=manual), parameter)

    def _report(self, rules: Ruleset, user: User, found: Evaluation, exposure: Exposure, parameter: str = "") -> None:
        for consulted in found.consulted:
            self.config(rules, user, consulted)
        if not self._life.takes_events or not self._life.is_in_its_process:
            return
        sampled = self.recent.sample(rules, user, found)
        if not sampled.keeps:
            return
        tier = (rules.surroundings.environment or {}).get("tier")
        parts = (exposure.event_name, exposure.metadata, exposure.secondary)
        late = partial(write_exposure, parts, self._redacted(user), int(time.time() * 1000), tier, sampled.metadata)
        record = Record(_line(user), "", b"", time.monotonic(), late=late)
        if self._life.is_on_its_loop:
            self._offer(record, user, found, parameter)
            return
        try:
            self._life.call_soon(partial(self._offer, record, user, found, parameter))
        except (ClientClosedError, QueueFullError):  # a lookup never raises; it is new again the next time
            self.recent.unsee(user, found, parameter)

    def _offer(self, record: Record, user: User, found: Evaluation, parameter: str) -> None:
        """Queue an exposure. One that finds no room is counted, and is new again the next time."""
        if self._lane is None or self._put is None or self._life.state == "closed":
            return
        if not self._put(record):
            self._lane.ledger.turn_away_exposure("queue full")
            self.recent.unsee(user, found, parameter)

    def _redacted(self, user: User) -> User:
        for function in self._middleware():
            if isinstance(function, Redact):
                user = function.clean_user(user)
        return user


def _line(user: User) -> str:
    try:
        return order_key(user) or ""
    except InvalidEventError:
        return ""
