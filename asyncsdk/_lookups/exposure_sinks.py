"""Where exposures go: into Statsig's lane, and as events of their own to other vendors that want them.

`Exposures` encodes for Statsig itself, and enqueues through an `ExposureSink`. A vendor with `exposures="experiments"`
or `"all"` gets an event of its own kind (`destination.exposure_event`) for each exposure, by `ExposureForwarder`.

Both kinds are counted apart from events and have no receipt.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import attrs

from asyncsdk._delivery.lane import Lane
from asyncsdk._model.bundles import bundle_chunks, count_events
from asyncsdk._model.events import Event
from asyncsdk._model.exposures import ExposedVariant
from asyncsdk._model.ids import Ids
from asyncsdk._model.receipts import Delivery, Record, Status
from asyncsdk._model.user_ids import own_id
from asyncsdk._model.users import User
from asyncsdk._model.values import Shown, Value
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.exposure_window import ExposureKind, ExposureWindow
from asyncsdk._rules.exposures import exposed_variant
from asyncsdk.vendors._base import TakesExposures

# A bundle has at most one of this many parts of a request's limits: a bundle travels whole, so larger ones would leave
# requests partly empty.
_BUNDLES_PER_REQUEST = 20

Enqueue = Callable[[Sequence[Record]], bool]
"""Enqueues exposures for a lane: all of them, or none if there is no room for all. Returns whether it did."""


@attrs.frozen(eq=False, repr=False)
class ExposureSink(Value):
    """A lane that takes exposures.

    Attributes:
        lane: The lane, for its limits and counts.
        enqueue: Enqueues records for it: in memory, or through the spool.
    """

    lane: Lane
    enqueue: Enqueue

    def build_records(self, chunks: Sequence[bytes]) -> list[Record]:
        """Bundle encoded exposures into as few records as the request limits allow. They have no ordering key."""
        limits, now = self.lane.destination.limits, time.monotonic()
        max_events = max(1, limits.max_events // _BUNDLES_PER_REQUEST)
        max_bytes = max(1, limits.max_bytes // _BUNDLES_PER_REQUEST)
        bundles = bundle_chunks(chunks, max_events, max_bytes)
        return [Record("", "", one, now, None, count_events([one])) for one in bundles]

    def offer(self, record: Record) -> bool:
        """Enqueue one exposure; if there is no room, count it as dropped and return False."""
        if self.enqueue([record]):
            return True
        self.count_refused("queue full")
        return False

    def count_refused(self, reason: str, status: Status = "dropped") -> None:
        """Count one exposure that is not enqueued."""
        self.lane.ledger.count_refused_exposures(Delivery(self.lane.destination.name, status, reason=reason), 1)


@attrs.frozen(eq=False, repr=False)
class ForwardingRule(Value):
    """Which exposures a vendor other than Statsig gets, and how.

    Attributes:
        sink: The vendor's lane.
        takes_all: Whether it also gets gates, configs, and experiments that the user is not in.
        build_event: Builds the vendor's event from a user and what the user saw.
    """

    sink: ExposureSink
    takes_all: bool
    build_event: Callable[[User, ExposedVariant], Event]


def forwarding_rules(lanes: Sequence[Lane], enqueue_for: Callable[[Lane], Enqueue]) -> Iterator[ForwardingRule]:
    """Yield a rule for each of a client's destinations that takes exposures."""
    for lane in lanes:
        destination = lane.destination
        if isinstance(destination, TakesExposures) and destination.exposures != "none":
            yield ForwardingRule(
                ExposureSink(lane, enqueue_for(lane)), destination.exposures == "all", destination.exposure_event
            )


@attrs.define(eq=False, repr=False)
class ExposureForwarder(Shown):
    """Sends exposures to vendors other than Statsig, once per window. Statsig's sampling does not apply to them."""

    _ids: Ids
    _targets: tuple[ForwardingRule, ...]

    @property
    def names(self) -> list[str]:
        """The destinations' names."""
        return [target.sink.lane.destination.name for target in self._targets]

    def forward(
        self, window: ExposureWindow, user: User, time_ms: int, evaluation: Evaluation, kind: ExposureKind
    ) -> None:
        """Send an exposure to the vendors that want it, if it is new to them.

        They see an experiment, not its parameters: it is new once, however many parameters of its layer are read, and
        once more for a manual exposure. What finds no room is not tried again.

        Args:
            window: The exposures of the current window.
            user: The user, redacted. These vendors know users by their ids only; without one, nothing is sent.
            time_ms: When the user saw it, in milliseconds since 1970.
            evaluation: What the user saw.
            kind: The layer's parameter, and whether the exposure is manual.

        Raises:
            InvalidEventError: An id of the user has a wrong type.
        """
        parameter, is_manual = kind
        variant = exposed_variant(evaluation, parameter)
        takers = [one for one in self._targets if variant is not None and (one.takes_all or variant.in_experiment)]
        if variant is None or not takers:
            return
        key = own_id(user)
        # A kind of its own: the same window remembers Statsig's exposures.
        if key and window.is_new_kind(user, evaluation, (f"viewed: {variant.name}", is_manual)):
            window.count(1)
            for target in takers:
                self._send(target, user, variant, key, time_ms)

    def _send(self, target: ForwardingRule, user: User, variant: ExposedVariant, key: str, time_ms: int) -> None:
        sink = target.sink
        try:
            event, message_id = target.build_event(user, variant), next(self._ids.texts)
            chunk = sink.lane.destination.encode(event, message_id, time_ms)
        except Exception:  # noqa: BLE001 -- the fields of a user may hold anything
            sink.count_refused("not serializable")
            return
        if isinstance(chunk, bytes):
            sink.offer(Record(key, "", bytes(chunk), time.monotonic(), exposures=1))
        else:
            sink.count_refused(chunk.reason, chunk.status)
