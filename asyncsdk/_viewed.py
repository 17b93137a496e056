"""What other vendors than Statsig are told of experiments that users viewed, if they are to be."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import attrs

from asyncsdk._admission import Admission
from asyncsdk._delivery.lane import Lane
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._model.events import Event
from asyncsdk._model.receipts import Delivery, Record
from asyncsdk._model.seen import Seen
from asyncsdk._model.users import User
from asyncsdk._rules.evaluate import Evaluation
from asyncsdk._rules.exposures import Recent, seen
from asyncsdk.errors import ClientClosedError, QueueFullError
from asyncsdk.vendors._base import TakesExposures

Put = Callable[[Record], bool]


@attrs.frozen
class Viewer:
    """A vendor that is told.

    Attributes:
        lane: Its lane.
        put: What takes exposures for that; False when there is no room.
        wants_all: Gates, configs and users outside of experiments, too.
        event_of: Makes the vendor's event.
    """

    lane: Lane
    put: Put
    wants_all: bool
    event_of: Callable[[User, Seen], Event]


def viewers(admission: Admission, put_into: Callable[[Lane], Put]) -> Iterator[Viewer]:
    """Find those of a client's vendors that are to be told."""
    for lane in admission.lanes:
        destination = lane.destination
        if isinstance(destination, TakesExposures) and destination.exposures != "none":
            yield Viewer(lane, put_into(lane), destination.exposures == "all", destination.exposure)


@attrs.define(eq=False)
class Viewed:
    """Tells vendors, once per window of `recent`; they know users by their ids only. Statsig's sampling is its own."""

    _life: Lifecycle
    _admission: Admission
    _viewers: tuple[Viewer, ...]

    def tell(
        self, recent: Recent, user: User, line: str, found: Evaluation, parameter: str = "", *, manual: bool = False
    ) -> None:
        """Report what a user saw, from any thread, if it is new to other vendors.

        Args:
            recent: The exposures of the current window.
            user: Who; without what `redact` takes out.
            line: The order key of that user's events, "" for one without ids.
            found: What was answered.
            parameter: Of a layer: an experiment is told once, however many parameters of it are read.
            manual: Somebody says so, whatever was told before.
        """
        shown = seen(found, parameter)
        told = [one for one in self._viewers if shown is not None and (one.wants_all or shown.in_experiment)]
        if shown is None or not told or not line:
            return
        if recent.is_new(user, found, f"viewed: {shown.name}", manual=manual):
            now_ms = int(time.time() * 1000)
            for one in told:
                late = partial(_encode, one, user, shown, next(self._admission.ids.texts), now_ms)
                self._hand_over(one, Record(line, "", b"", time.monotonic(), late=late))

    def _hand_over(self, viewer: Viewer, record: Record) -> None:
        if self._life.is_on_its_loop:
            self._offer(viewer, record)
            return
        with suppress(ClientClosedError, QueueFullError):  # a lookup never raises
            self._life.call_soon(partial(self._offer, viewer, record))

    def _offer(self, viewer: Viewer, record: Record) -> None:
        """Queue an exposure. One that finds no room is counted, and not tried again: others may have had it."""
        if self._life.state != "closed" and not viewer.put(record):
            name = viewer.lane.destination.name
            viewer.lane.ledger.turn_away_exposure(Delivery(name, "dropped", reason="queue full"))


def _encode(viewer: Viewer, user: User, shown: Seen, message_id: str, time_ms: int) -> bytes | Delivery:
    destination = viewer.lane.destination
    made = destination.encode(viewer.event_of(user, shown), message_id, time_ms)
    return made if isinstance(made, bytes) else Delivery(destination.name, made.status, reason=made.reason)
