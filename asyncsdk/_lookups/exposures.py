"""What lookups report: which user saw which gate, config, experiment or layer parameter, into Statsig's queue."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from asyncsdk._delivery.lane import Lane
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._lookups.exposure_sinks import Enqueue, ExposureForwarder, ExposureSink, forwarding_rules
from asyncsdk._model.exposures import Exposure
from asyncsdk._model.ids import Ids
from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.exposure_window import AUTOMATIC, UNSAMPLED, ExposureKind, ExposureWindow
from asyncsdk._rules.exposures import build_exposure, build_layer_exposure
from asyncsdk._rules.ruleset import Kind, Ruleset
from asyncsdk.errors import ClientClosedError, QueueFullError
from asyncsdk.vendors.statsig.events import encode_exposure as write_exposure
from asyncsdk.vendors.statsig.events import encode_exposure_end

# Exposures wait so long to be written, in seconds, or until there are so many.
_MOMENT, _MOST = 0.005, 500


More = tuple[Exposure, ExposureKind]
"""What an event says of something that is not told in the usual way."""
Sight = tuple[Ruleset, User, Evaluation, float, More | None]
"""What answered, who saw it, what was answered, when, in seconds since 1970, and what is not usual about it."""


class Exposures:
    """Reports each exposure once per window, from any thread; a lookup pays for a set look-up, mostly.

    Attributes:
        recent: What was reported of late.
        is_due: `ExposureWindow.is_new`, which records what it is asked about; or a constant False without a sink.
    """

    def __init__(
        self,
        life: Lifecycle,
        lanes: Sequence[Lane],
        ids: Ids,
        *,
        redact: Callable[[User], User],
        put_into: Callable[[Lane], Enqueue],
        lane: Lane | None,
    ) -> None:
        """Report into `lane`, and to other vendors that are to be told.

        Args:
            life: Of the client.
            lanes: All of the client's, for vendors that are told of exposures too.
            ids: Where their event ids come from.
            redact: Returns a user without what the client's `redact` middleware removes.
            put_into: Returns the function that enqueues exposures on a lane.
            lane: Statsig's; None reports nothing there.
        """
        self._life = life
        self._redact = redact
        self._way = None if lane is None else ExposureSink(lane, put_into(lane))
        others = tuple(forwarding_rules(lanes, put_into))
        self._viewed = ExposureForwarder(ids, others) if others else None
        self._sights: list[Sight] = []
        life.on_catch_up = self.write
        self.recent = ExposureWindow()
        self._is_wanted = lane is not None or bool(others)
        self.is_due: Callable[[User, Evaluation], bool] = self.recent.is_new if self._is_wanted else _never

    def report(self, rules: Ruleset, user: User, found: Evaluation, more: More | None) -> None:
        """Report that a user saw something; its exposure is due. On the loop, it is written a moment later.

        Where nothing can be reported (before the start, after the end, in a forked child), it stays new.

        Args:
            rules: What answered.
            user: Who.
            found: What was answered.
            more: None for what is automatic, but for a layer's parameter.
        """
        sight = (rules, user, found, time.time(), more)
        if self._life.takes_here():
            sights = self._sights
            if not sights:
                asyncio.get_running_loop().call_later(_MOMENT, self.write)
            sights.append(sight)
            if len(sights) >= _MOST:
                self.write()
        elif self._life.takes_events and self._life.is_in_its_process:
            try:
                self._life.call_soon(partial(self._write_from_thread, sight))
            except (ClientClosedError, QueueFullError):  # a lookup never raises; it is new again the next time
                self._unsee(sight)
        else:
            self._unsee(sight)

    def parameter(self, rules: Ruleset, user: User, found: Evaluation, parameter: str) -> None:
        """Report that a user saw a parameter of a layer, if that is due."""
        how = parameter, False
        if self._is_wanted and self.recent.is_new_kind(user, found, how):
            self.report(rules, user, found, (build_layer_exposure(rules, found, parameter), how))

    def manual(self, rules: Ruleset, user: User, kind: Kind, found: Evaluation, parameter: str) -> None:
        """Report that a user saw something because somebody says so; only a layer has a `parameter`."""
        how = parameter if kind == "layer" else "", True
        if not self._is_wanted or not self.recent.is_new_kind(user, found, how):
            return
        if kind == "layer":
            exposure = build_layer_exposure(rules, found, parameter, manual=True)
        else:
            exposure = build_exposure(rules, found, manual=True)
        self.report(rules, user, found, (exposure, how))

    @property
    def unwritten(self) -> int:
        """How many exposures were noted, and are in no queue yet."""
        return len(self._sights)

    def write(self) -> None:
        """Queue what users saw of late.

        In a service, code that has not run for a while takes three times as long: a request leaves this to a moment
        when it is done for many of them.
        """
        sights, self._sights = self._sights, []
        self._write(sights)

    def _write_from_thread(self, sight: Sight) -> None:
        if self._life.state != "closed":
            self._write([sight])

    def _write(self, sights: Sequence[Sight]) -> None:
        way = self._way
        self.recent.count(len(sights))
        before, shown = None, User()
        moment, end = -1, b""
        kept: list[Sight] = []
        chunks: list[bytes] = []
        for sight in sights:
            rules, user, found, seen_at, more = sight
            try:
                if user is not before:  # of one request, they come one after the other
                    before, shown = user, self._redact(user)
                if found.consulted or self._viewed is not None:
                    self._tell_more(sight, shown)
                now_ms = int(seen_at * 1000)
                if rules.samples_exposures:
                    moment, end = -1, self._sampled_end(sight)
                elif now_ms != moment:
                    moment, end = now_ms, encode_exposure_end(now_ms, UNSAMPLED)
                if end and way is not None:
                    exposure = build_exposure(rules, found) if more is None else more[0]
                    chunks.append(write_exposure(exposure, shown, end))
                    kept.append(sight)
            except Exception:  # noqa: BLE001 -- a user may hold anything, and costs only this exposure
                if way is not None:
                    way.turn_away("no form in JSON")
        if way is not None and chunks and not way.put(way.records(chunks)):
            self._offer_singly(way, kept, chunks)

    def _tell_more(self, sight: Sight, shown: User) -> None:
        """Tell other vendors, and of the experiments that decided."""
        rules, user, found, seen_at, more = sight
        if found.consulted:
            self._write([(rules, user, one, seen_at, None) for one in found.consulted if self.is_due(user, one)])
        if self._viewed is not None:
            self._viewed.tell(self.recent, shown, int(seen_at * 1000), found, AUTOMATIC if more is None else more[1])

    def _sampled_end(self, sight: Sight) -> bytes:
        """Give the end of an event, or nothing if the exposure is none that sampling keeps."""
        rules, user, found, seen_at, _ = sight
        sampling = self.recent.sampling(rules, user, found)
        return b"" if sampling is None else encode_exposure_end(int(seen_at * 1000), sampling)

    def _offer_singly(self, way: ExposureSink, sights: Iterable[Sight], chunks: Iterable[bytes]) -> None:
        """Queue as many exposures as there is room for; the others are new again the next time."""
        for sight, chunk in zip(sights, chunks, strict=True):
            if len(chunk) > way.lane.ledger.max_bytes:
                way.turn_away("too large", "rejected")
            elif not way.offer(*way.records([chunk])):
                self._unsee(sight)

    def _unsee(self, sight: Sight) -> None:
        _, user, found, _, more = sight
        self.recent.forget_one(user, found, AUTOMATIC if more is None else more[1])


def _never(_: User, __: Evaluation) -> bool:
    """Say that an exposure is not due, for want of somebody to report it to."""
    return False
