"""What lookups report: which user saw which gate, config, experiment or layer parameter, into Statsig's queue."""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

from asyncsdk._admission import Admission
from asyncsdk._delivery.lane import Lane
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._model.receipts import Record
from asyncsdk._model.seen import Exposure
from asyncsdk._model.users import User, order_key
from asyncsdk._rules.evaluate import Evaluation
from asyncsdk._rules.exposures import UNSAMPLED, Recent, exposure_of, layer_exposure
from asyncsdk._rules.ruleset import Kind, Ruleset
from asyncsdk._viewed import Put, Viewed, Way, viewers
from asyncsdk.errors import ClientClosedError, InvalidEventError, QueueFullError
from asyncsdk.vendors.statsig.events import exposure as write_exposure

# Exposures wait so long to be written, in seconds, or until there are so many.
_MOMENT, _MOST = 0.005, 500


Sight = tuple[Ruleset, User, Evaluation, Exposure | None, str, bool, float]
"""Somebody saw something: the arguments of `Exposures.report`, and when, in seconds since 1970."""


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
        self._way = None if lane is None else Way(lane, put_into(lane))
        others = tuple(viewers(admission, put_into))
        self._viewed = Viewed(admission, others) if others else None
        self._sights: list[Sight] = []
        life.on_catch_up = self.write
        self.recent = Recent()
        self.is_due: Callable[..., bool] = _never if lane is None and not others else self.recent.is_new

    def report(
        self,
        rules: Ruleset,
        user: User,
        found: Evaluation,
        exposure: Exposure | None = None,
        parameter: str = "",
        *,
        manual: bool = False,
    ) -> None:
        """Report that a user saw something; its exposure is due. On the loop, it is written a moment later.

        Args:
            rules: What answered.
            user: Who.
            found: What was answered.
            exposure: What an event says of that; None for the usual one of a gate, config or experiment.
            parameter: Of a layer.
            manual: Somebody asked for this.
        """
        sight = (rules, user, found, exposure, parameter, manual, time.time())
        if self._life.takes_here():
            sights = self._sights
            if not sights:
                asyncio.get_running_loop().call_later(_MOMENT, self.write)
            sights.append(sight)
            if len(sights) >= _MOST:
                self.write()
        elif self._life.takes_events and self._life.is_in_its_process:
            try:
                self._life.call_soon(partial(self._write_from_afar, sight))
            except (ClientClosedError, QueueFullError):  # a lookup never raises; it is new again the next time
                self.recent.unsee(user, found, parameter, manual=manual)

    def parameter(self, rules: Ruleset, user: User, found: Evaluation, parameter: str) -> None:
        """Report that a user saw a parameter of a layer, if that is due."""
        if self.is_due(user, found, parameter):
            self.report(rules, user, found, layer_exposure(rules, found, parameter), parameter)

    def manual(self, rules: Ruleset, user: User, kind: Kind, found: Evaluation, parameter: str) -> None:
        """Report that a user saw something because somebody says so; only a layer has a `parameter`."""
        parameter = parameter if kind == "layer" else ""
        if not self.is_due(user, found, parameter, manual=True):
            return
        if kind == "layer":
            exposure = layer_exposure(rules, found, parameter, manual=True)
        else:
            exposure = exposure_of(rules, found, manual=True)
        self.report(rules, user, found, exposure, parameter, manual=True)

    def write(self) -> None:
        """Queue what users saw of late.

        In a service, code that has not run for a while takes three times as long: a request leaves this to a moment
        when it is done for many of them.
        """
        sights, self._sights = self._sights, []
        self._write(sights)

    def _write_from_afar(self, sight: Sight) -> None:
        if self._life.state != "closed":
            self._write([sight])

    def _write(self, sights: Iterable[Sight]) -> None:
        way, redactions, now = self._way, self._admission.redactions, time.monotonic()
        before, shown, line = None, User(), ""
        kept: list[Sight] = []
        records: list[Record] = []
        for sight in sights:
            rules, user, found, exposure, parameter, manual, seen_at = sight
            if found.consulted:
                due = [one for one in found.consulted if self.is_due(user, one)]
                self._write((rules, user, one, None, "", False, seen_at) for one in due)
            now_ms = int(seen_at * 1000)
            try:
                if user is not before:  # of one request, they come one after the other
                    shown, unit = self._redacted(user) if redactions else user, user.user_id
                    # Statsig does not mind if it is blank.
                    before, line = user, unit if type(unit) is str and unit else _line(user)
                if self._viewed is not None:
                    self._viewed.tell(self.recent, shown, now_ms, found, parameter=parameter, manual=manual)
                sampling = self.recent.sample(rules, user, found) if rules.samples_exposures else UNSAMPLED
                if way is None or sampling is None:
                    continue
                chunk = write_exposure(exposure or exposure_of(rules, found), shown, now_ms, sampling)
            except Exception:  # noqa: BLE001 -- a user may hold anything, and costs only this exposure
                if way is not None:
                    way.turn_away("no form in JSON")
                continue
            kept.append(sight)
            # A keyword would cost as much as three more fields.
            records.append(Record(line, "", chunk, now, None, True))  # noqa: FBT003 -- see above
        if way is not None and records and not way.put(records):
            self._offer_singly(way, kept, records)

    def _offer_singly(self, way: Way, sights: Iterable[Sight], records: Iterable[Record]) -> None:
        """Queue as many exposures as there is room for; the others are new again the next time."""
        for (_, user, found, _, parameter, manual, _), record in zip(sights, records, strict=True):
            if not way.offer(record):
                self.recent.unsee(user, found, parameter, manual=manual)

    def _redacted(self, user: User) -> User:
        for redact in self._admission.redactions:
            user = redact.clean_user(user)
        return user


def _never(*_: object, **__: object) -> bool:
    """Say that an exposure is not due, for want of somebody to report it to."""
    return False


def _line(user: User) -> str:
    try:
        return order_key(user) or ""
    except InvalidEventError:
        return ""
