"""What other vendors than Statsig are told of experiments that users viewed, if they are to be."""

import time
from collections.abc import Callable, Iterator, Sequence

import attrs

from asyncsdk._delivery.lane import Lane
from asyncsdk._model.bundles import bundle_chunks, count_events
from asyncsdk._model.events import Event
from asyncsdk._model.exposures import ExposedVariant
from asyncsdk._model.ids import Ids
from asyncsdk._model.receipts import Delivery, Record, Status
from asyncsdk._model.users import User, ordering_key
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.exposure_window import ExposureKind, ExposureWindow
from asyncsdk._rules.exposures import exposed_variant
from asyncsdk.vendors._base import TakesExposures

# Exposures that travel as one are at most so much of a request: with more, requests would not become full.
_PART = 20

Enqueue = Callable[[Sequence[Record]], bool]
"""Takes exposures for a lane: all, or none if there is no room for all."""


@attrs.frozen
class ExposureSink:
    """How exposures get into a lane.

    Attributes:
        lane: The lane.
        put: What takes them for that.
    """

    lane: Lane
    put: Enqueue

    def records(self, chunks: Sequence[bytes]) -> list[Record]:
        """Make as few records of exposures as go well with a lane's requests; they stand in nobody's line."""
        limits, now = self.lane.destination.limits, time.monotonic()
        most, max_bytes = max(1, limits.max_events // _PART), max(1, limits.max_bytes // _PART)
        return [Record("", "", one, now, None, count_events([one])) for one in bundle_chunks(chunks, most, max_bytes)]

    def offer(self, record: Record) -> bool:
        """Queue an exposure, or count it if there is no room."""
        if self.put([record]):
            return True
        self.turn_away("queue full")
        return False

    def turn_away(self, reason: str, status: Status = "dropped") -> None:
        """Count one exposure that is not queued."""
        self.lane.ledger.count_refused_exposures(Delivery(self.lane.destination.name, status, reason=reason), 1)


@attrs.frozen
class ForwardingRule:
    """A vendor that is told.

    Attributes:
        way: To its lane.
        wants_all: Gates, configs and users outside of experiments, too.
        event_of: Makes the vendor's event.
    """

    way: ExposureSink
    wants_all: bool
    event_of: Callable[[User, ExposedVariant], Event]


def forwarding_rules(lanes: Sequence[Lane], put_into: Callable[[Lane], Enqueue]) -> Iterator[ForwardingRule]:
    """Find those of a client's vendors that are to be told."""
    for lane in lanes:
        destination = lane.destination
        if isinstance(destination, TakesExposures) and destination.exposures != "none":
            yield ForwardingRule(
                ExposureSink(lane, put_into(lane)), destination.exposures == "all", destination.exposure_event
            )


@attrs.define(eq=False)
class ExposureForwarder:
    """Tells vendors, once per window of `recent`; they know users by their ids only. Statsig's sampling is its own."""

    _ids: Ids
    _viewers: tuple[ForwardingRule, ...]

    def tell(self, recent: ExposureWindow, user: User, time_ms: int, found: Evaluation, how: ExposureKind) -> None:
        """Report what a user saw, if it is new to other vendors. What finds no room is not tried again.

        Args:
            recent: The exposures of the current window.
            user: Who; without what `redact` takes out. One without an id is not told of.
            time_ms: When.
            found: What was answered.
            how: Whose parameter, or by hand: an experiment is told once, however many parameters of it are read, and
                again by hand.

        Raises:
            InvalidEventError: An id is none.
        """
        parameter, by_hand = how
        shown = exposed_variant(found, parameter)
        told = [one for one in self._viewers if shown is not None and (one.wants_all or shown.in_experiment)]
        if shown is None or not told:
            return
        line = ordering_key(user)
        if line and recent.is_new_kind(user, found, (f"viewed: {shown.name}", by_hand)):
            recent.count(1)
            for one in told:
                self._tell(one, user, shown, line, time_ms)

    def _tell(self, viewer: ForwardingRule, user: User, shown: ExposedVariant, line: str, time_ms: int) -> None:
        way = viewer.way
        try:
            event, message_id = viewer.event_of(user, shown), next(self._ids.texts)
            made = way.lane.destination.encode(event, message_id, time_ms)
        except Exception:  # noqa: BLE001 -- a user may hold anything, and costs only this exposure
            way.turn_away("no form in JSON")
            return
        if isinstance(made, bytes):
            way.offer(Record(line, "", made, time.monotonic(), exposures=1))
        else:
            way.turn_away(made.reason, made.status)
