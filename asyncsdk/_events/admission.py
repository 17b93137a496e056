"""The way in: check, stamp, middleware, encode, and then into every lane, or into none.

All of it runs in the caller's own call, so what is wrong with an event is raised there, and what the caller does to its
objects afterwards changes nothing.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from asyncsdk._delivery.lane import Lane
from asyncsdk._events.pipeline import Passed, Pipeline
from asyncsdk._model.events import Alias, Event, validate_event
from asyncsdk._model.ids import Ids
from asyncsdk._model.receipts import Delivery, Receipt, Record
from asyncsdk._model.users import text_id
from asyncsdk.errors import InvalidEventError, QueueFullError
from asyncsdk.vendors._base import Destination

# Events that arrive together share the numbers that say when: two objects less to hold for each.
_MOMENT = 0.0005


class Admission:
    """What an event goes through before it is queued.

    Attributes:
        lanes: One per destination.
        pipeline: The middleware that events pass through.
        ids: Where ids come from; another one in each process.
        may_raise: Whether a full lane makes an awaited verb raise.
        may_wait: Whether one makes it wait, or a spool does.
    """

    def __init__(
        self, lanes: Sequence[Lane], wait: Callable[[Sequence[Record]], Awaitable[None]], *, tells_by_id: bool = False
    ) -> None:
        """Prepare the way into `lanes`.

        Args:
            lanes: One per destination.
            wait: Lets receipts wait until records have their fates.
            tells_by_id: Records keep their ids, because somebody is told of fates by them.
        """
        self.lanes = tuple(lanes)
        self.pipeline = Pipeline()
        self.ids = Ids()
        self._now, self._now_ms = 0.0, 0
        self._wait = wait
        self._tells_by_id = tells_by_id
        self._names = tuple(lane.destination.name for lane in lanes)
        self._folded = {name.casefold(): name for name in self._names}
        self.may_wait = any(lane.destination.overflow == "wait" for lane in lanes)
        self.may_raise = any(lane.destination.overflow == "raise" for lane in lanes)
        self._always_drops = all(lane.destination.overflow == "drop" for lane in lanes)

    def prepare(self, event: Event) -> Receipt:
        """Check, stamp and encode an event; nothing is queued or counted yet.

        Raises:
            InvalidEventError: No vendor could take the event, or an async middleware waits for something.
        """
        key = validate_event(event)
        message_id, now_ms = self._stamp(event), self._now_ms
        if not self.pipeline.functions:
            return self._encode(event, key, message_id, now_ms)
        return self._encode_passed(key, message_id, now_ms, self.pipeline.run(event, message_id))

    async def prepare_async(self, event: Event) -> Receipt:
        """Do the same with middleware that may wait."""
        key = validate_event(event)
        message_id, now_ms = self._stamp(event), self._now_ms
        return self._encode_passed(key, message_id, now_ms, await self.pipeline.run_async(event, message_id))

    def check_room(self, receipt: Receipt) -> None:
        """Refuse a prepared event for all lanes if one of those that would not drop it is full.

        Raises:
            QueueFullError: It says which one.
        """
        if self._always_drops:
            return
        for lane, outcome in zip(self.lanes, receipt.outcomes, strict=True):
            if isinstance(outcome, Delivery) or lane.destination.overflow == "drop":
                continue
            if not lane.ledger.has_room(len(outcome.chunk)):
                msg = f"the queue of {lane.destination.name} is full: {lane.ledger.held_events:,} events"
                raise QueueFullError(msg)

    def commit(self, receipt: Receipt) -> Receipt:
        """Put a prepared event into every lane that takes it; a full one drops it."""
        # `strict=True` would cost as much as all of the loop.
        for lane, outcome in zip(self.lanes, receipt.outcomes):  # noqa: B905 -- one was made of the other
            if isinstance(outcome, Record):
                if lane.offer(outcome):
                    continue
                delivery = Delivery(lane.destination.name, "dropped", reason="queue full")
                outcome.settle(delivery)
            else:
                delivery = outcome
            lane.ledger.count_refused(receipt.event_id, delivery)
        return receipt

    def turn_away(self, receipt: Receipt, reason: str) -> None:
        """Drop a prepared event at every destination at which it is not settled yet."""
        for lane, outcome in zip(self.lanes, receipt.outcomes, strict=True):
            if isinstance(outcome, Record):
                delivery = Delivery(lane.destination.name, "dropped", reason=reason)
                outcome.settle(delivery)
            else:
                delivery = outcome
            lane.ledger.count_refused(receipt.event_id, delivery)

    async def room(self, receipt: Receipt) -> None:
        """Wait until every lane that is worth waiting for has room for a prepared event, all at the same moment."""
        while (full := self.lane_to_wait_for(receipt)) is not None:
            lane, size = full
            await lane.ledger.wait_for_room(size)

    def lane_to_wait_for(self, receipt: Receipt) -> tuple[Lane, int] | None:
        """Give a full lane that is worth waiting for, and the bytes that it needs room for."""
        for lane, outcome in zip(self.lanes, receipt.outcomes, strict=True):
            if isinstance(outcome, Record) and lane.destination.overflow == "wait":
                size = len(outcome.chunk)
                if not lane.ledger.has_room(size):
                    return lane, size
        return None

    def _stamp(self, event: Event) -> str:
        """Look at the clock, and give the event's id."""
        now = time.monotonic()
        if now > self._now + _MOMENT:
            self._now, self._now_ms = now, int(time.time() * 1000)
        given = event.message_id
        return next(self.ids.texts) if given is None else str(given)

    def _encode_passed(self, key: str, message_id: str, now_ms: int, outcome: Passed) -> Receipt:
        """Encode what came out of the middleware, if anything did; `key` is that of the original."""
        original, passed, reason = outcome
        if passed is None:
            return self._refuse(original, message_id, now_ms, reason)
        if passed is original:
            return self._encode(original, key, message_id, now_ms)
        try:
            return self._encode(passed, validate_event(passed), str(passed.message_id or message_id), now_ms, original)
        except Exception as error:  # noqa: BLE001 -- what middleware made of it may be anything
            self._encode(original, "", "", now_ms)  # raises if it was the caller's own event that could not be sent
            return self._refuse(original, message_id, now_ms, self.pipeline.failed(error))

    def _encode(self, event: Event, key: str, message_id: str, now_ms: int, original: Event | None = None) -> Receipt:
        """Make the records of an event, one per lane, or the reason why there is none."""
        also = text_id(event.previous_id, "previous_id") if type(event) is Alias else None
        admitted, integrations = self._now, event.integrations
        record_id = message_id if self._tells_by_id else ""
        if integrations is not None:
            self._check_spelling(integrations)
        outcomes: list[Record | Delivery] = []
        for lane in self.lanes:
            destination = lane.destination
            if integrations is not None and not self._is_wanted(destination, integrations):
                outcomes.append(Delivery(destination.name, "skipped", reason="integrations"))
                continue
            chunk = destination.encode(event, message_id, now_ms)
            if not isinstance(chunk, bytes):
                outcomes.append(Delivery(destination.name, chunk.status, reason=chunk.reason))
            elif len(chunk) <= lane.ledger.max_bytes:
                outcomes.append(Record(key, record_id, chunk, admitted, also))
            else:
                outcomes.append(Delivery(destination.name, "rejected", reason="too large"))
        return Receipt(message_id, event, now_ms, self._names, outcomes, self._wait, original)

    def _check_spelling(self, integrations: Mapping[str, Any]) -> None:
        """Refuse a name that is one of this client's destinations but for its case: it would withhold nothing."""
        for name in integrations:
            if name not in self._names and name.casefold() in self._folded:
                known = self._folded[name.casefold()]
                msg = f"`integrations` names {name!r}, but this client's destination is spelt {known!r}"
                raise InvalidEventError(msg)

    def _is_wanted(self, destination: Destination, integrations: Mapping[str, Any]) -> bool:
        """Say whether `integrations` picks a destination: by its name, or by one that stands behind it."""
        wanted = integrations.get(destination.name, integrations.get("All", True))
        if wanted is False and destination.forwards and integrations.get(destination.name) is not False:
            return any(on is not False for name, on in integrations.items() if name not in (*self._names, "All"))
        return wanted is not False

    def _refuse(self, event: Event, message_id: str, now_ms: int, reason: str) -> Receipt:
        """Give an event that middleware stopped its outcome: the same at every destination."""
        outcomes: list[Record | Delivery] = [Delivery(name, "dropped", reason=reason) for name in self._names]
        return Receipt(message_id, event, now_ms, self._names, outcomes, self._wait)
