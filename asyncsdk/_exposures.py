"""What lookups report: which user saw which gate, config, experiment or layer parameter, into Statsig's queue."""

import time
from collections.abc import Callable
from functools import partial

from asyncsdk._admission import Admission
from asyncsdk._delivery.lane import Lane
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._middleware import Redact
from asyncsdk._model.receipts import Delivery, Record
from asyncsdk._model.users import User, order_key
from asyncsdk._rules.evaluate import Evaluation
from asyncsdk._rules.exposures import Exposure, Recent, config_exposure, gate_exposure, layer_exposure
from asyncsdk._rules.ruleset import Kind, Ruleset
from asyncsdk._viewed import Put, Viewed, viewers
from asyncsdk.errors import ClientClosedError, InvalidEventError, QueueFullError
from asyncsdk.vendors.statsig.events import exposure as write_exposure


class Exposures:
    """Reports each exposure once per window, from any thread; a lookup pays for a set look-up, mostly.

    Attributes:
        recent: What was reported of late.
        is_due: Says whether an exposure is to be reported, and remembers it: `Recent.is_new`, if anybody wants any.
    """

    def __init__(
        self, life: Lifecycle, admission: Admission, lane: Lane | None, put_into: Callable[[Lane], Put]
    ) -> None:
        """Report into `lane`, and to other vendors that are to be told.

        Args:
            life: Of the client.
            admission: Has all lanes, ids, and the middleware, of which `redact` applies.
            lane: Statsig's; None reports nothing there.
            put_into: Gives what takes exposures for a lane; False of that when there is no room.
        """
        self._life = life
        self._admission = admission
        self._lane = lane
        self._put = None if lane is None else put_into(lane)
        others = tuple(viewers(admission, put_into))
        self._viewed = Viewed(life, admission, others) if others else None
        self.recent = Recent()
        self.is_due: Callable[..., bool] = _never if lane is None and not others else self.recent.is_new

    def gate(self, rules: Ruleset, user: User, found: Evaluation) -> None:
        """Report that a user saw a gate; its exposure is due."""
        self._report(rules, user, found, gate_exposure(rules, found))

    def config(self, rules: Ruleset, user: User, found: Evaluation) -> None:
        """Report that a user saw a config or an experiment; its exposure is due."""
        self._report(rules, user, found, config_exposure(rules, found))

    def parameter(self, rules: Ruleset, user: User, found: Evaluation, parameter: str) -> None:
        """Report that a user saw a parameter of a layer, if that is due."""
        if self.is_due(user, found, parameter):
            self._report(rules, user, found, layer_exposure(rules, found, parameter), parameter)

    def manual(self, rules: Ruleset, user: User, kind: Kind, found: Evaluation, parameter: str) -> None:
        """Report that a user saw something because somebody says so; only a layer has a `parameter`."""
        parameter = parameter if kind == "layer" else ""
        if not self.is_due(user, found, parameter, manual=True):
            return
        if kind == "layer":
            exposure = layer_exposure(rules, found, parameter, manual=True)
        else:
            exposure = (gate_exposure if kind == "gate" else config_exposure)(rules, found, manual=True)
        self._report(rules, user, found, exposure, parameter, manual=True)

    def _report(
        self,
        rules: Ruleset,
        user: User,
        found: Evaluation,
        exposure: Exposure,
        parameter: str = "",
        *,
        manual: bool = False,
    ) -> None:
        for consulted in found.consulted:
            if self.is_due(user, consulted):
                self.config(rules, user, consulted)
        # A forked child runs no loop or another one, so the process need not be asked for on the good path.
        is_at_home = self._life.is_on_its_loop
        if not self._life.takes_events or not (is_at_home or self._life.is_in_its_process):
            return
        redacted, line = self._redacted(user), _line(user)
        if self._viewed is not None:
            self._viewed.tell(self.recent, redacted, line, found, parameter, manual=manual)
        sampled = self.recent.sample(rules, user, found)
        if self._lane is None or not sampled.keeps:
            return
        late = partial(write_exposure, exposure, redacted, int(time.time() * 1000), sampled.metadata)
        record = Record(line, "", b"", time.monotonic(), late=late)
        if not is_at_home:
            self._offer_from_afar(record, partial(self.recent.unsee, user, found, parameter, manual=manual))
        elif not self._offer(record):
            self.recent.unsee(user, found, parameter, manual=manual)

    def _offer_from_afar(self, record: Record, unsee: Callable[[], object]) -> None:
        """Queue an exposure on the client's loop, from another thread."""
        try:
            self._life.call_soon(lambda: self._offer(record) or unsee())
        except (ClientClosedError, QueueFullError):  # a lookup never raises; it is new again the next time
            unsee()

    def _offer(self, record: Record) -> bool:
        """Queue an exposure. One that finds no room is counted; False says so, for it is new again the next time."""
        if self._lane is None or self._put is None or self._life.state == "closed" or self._put(record):
            return True
        self._lane.ledger.turn_away_exposure(Delivery(self._lane.destination.name, "dropped", reason="queue full"))
        return False

    def _redacted(self, user: User) -> User:
        for function in self._admission.middleware:
            if isinstance(function, Redact):
                user = function.clean_user(user)
        return user


def _never(*_: object, **__: object) -> bool:
    """Say that an exposure is not due, for want of somebody to report it to."""
    return False


def _line(user: User) -> str:
    unit = user.user_id
    if type(unit) is str and unit.isprintable() and unit.strip():  # the usual one, at half the cost
        return unit
    try:
        return order_key(user) or ""
    except InvalidEventError:
        return ""
