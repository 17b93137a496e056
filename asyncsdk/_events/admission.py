"""Admission: validate, stamp, run middleware, encode, then enqueue on every lane or on none.

An event is admitted in two halves:

1. `prepare` turns it into a `Receipt` with one outcome per lane: a `Record` (the encoded bytes, to be enqueued) or a
   `Delivery` (already final: skipped, rejected or dropped). Nothing is enqueued or counted yet: a faulty event raises
   here and leaves no trace.
2. `commit` enqueues the records on their lanes and counts the deliveries.

In between, the caller (`Intake`) deals with full lanes, by the destination's `overflow`:

| overflow | method          | a full lane                                                                       |
|----------|-----------------|-----------------------------------------------------------------------------------|
| "raise"  | `check_room`    | raises `QueueFullError`: no lane gets the event                                   |
| "wait"   | `wait_for_room` | suspends the caller until there is room; `put_nowait` raises, as above            |
| "drop"   | `commit`        | drops the event there, with the reason "queue full"; the other lanes still get it |

With a spool, `Spooler.put` and `put_nowait` replace this second half.

Invariants:

* Between `check_room` or `wait_for_room` and `commit` there is no `await`, so the room that was found is still there.
* The bytes are encoded during `prepare`: the caller may change its objects as soon as the verb returns.
* `prepare` may be called from any thread; everything else runs on the client's loop.

Example, for a client with Statsig and RudderStack:

    receipt = admission.prepare(Track("ada", "Signed Up", integrations={"Statsig": False}))
    receipt.outcomes  # [Delivery("Statsig", "skipped", reason="integrations"), Record(key="ada", chunk=b"...")]
    admission.commit(receipt)  # counts the first, enqueues the second
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from asyncsdk._delivery.lane import Lane
from asyncsdk._events.pipeline import Passed, Pipeline
from asyncsdk._model import fragments
from asyncsdk._model.event_defaults import EventDefaults, fill
from asyncsdk._model.event_faults import apply_default, check_fragments
from asyncsdk._model.events import Alias, Event, validate_event
from asyncsdk._model.ids import Ids
from asyncsdk._model.receipts import Delivery, NotedReceipt, Receipt, Record
from asyncsdk._model.wire_values import text_id
from asyncsdk.errors import InvalidEventError, QueueFullError
from asyncsdk.vendors._base import Destination, PartialChunk

logger = logging.getLogger("asyncsdk")

# Seconds for which a reading of the clocks is used again. Events of one burst then share the same two number objects,
# which saves memory per queued event.
_CLOCK_RESOLUTION = 0.0005


class Admission:
    """Turns events into records, and enqueues these on the lanes.

    Attributes:
        lanes: One per destination.
        pipeline: The middleware that events pass through.
        default: Converts values that have no form in JSON; None if the client has no `default`.
        ids: The source of event ids.
        may_raise: Whether a full lane can make an awaited verb raise.
        may_refuse: Whether a full lane can reject an event for all lanes: some destination waits or raises.
        may_wait: Whether a full lane, or a spool, can make an awaited verb wait.
        defaults: Properties and context for events that do not have their own; empty if there are none.
        must_raise: Whether an invalid event raises. False only in `ReportingAdmission`, which then counts it here:
        invalid_events: Number of invalid events that did not raise.
        last_invalid: What was wrong with the latest of them, and where it came from.
    """

    must_raise = True

    def __init__(
        self, lanes: Sequence[Lane], wait: Callable[[Sequence[Record]], Awaitable[None]], *, keep_ids: bool = False
    ) -> None:
        """Create the admission to `lanes`.

        Args:
            lanes: One per destination.
            wait: Called by an awaited receipt; returns when the outcome of all given records is final.
            keep_ids: Whether records keep their event's id, because outcomes are reported by it (`on_delivery`). An id
                weighs as much as the rest of a record.
        """
        self.lanes = tuple(lanes)
        self.pipeline = Pipeline()
        self.default: Callable[[Any], Any] | None = None
        self.ids = Ids()
        self.defaults: tuple[EventDefaults, ...] = ()
        self.invalid_events = 0
        self.last_invalid = ""
        self._known_notes: set[tuple[str, str]] = set()
        self._now, self._now_ms = 0.0, 0
        self._wait = wait
        self._keep_ids = keep_ids
        self._names = tuple(lane.destination.name for lane in lanes)
        self._names_by_casefold = {name.casefold(): name for name in self._names}
        self.may_wait = any(lane.destination.overflow == "wait" for lane in lanes)
        self.may_raise = any(lane.destination.overflow == "raise" for lane in lanes)
        self.may_refuse = self.may_wait or self.may_raise

    def prepare(self, event: Event) -> Receipt:
        """Validate, stamp and encode an event. Nothing is enqueued or counted yet.

        Raises:
            InvalidEventError: No vendor could accept the event, or an async middleware waits for something.
        """
        key = validate_event(event)
        if self.defaults:
            event = fill(event, self.defaults)
        message_id, now_ms = self._stamp(event), self._now_ms
        if not self.pipeline.functions:
            return self._encode(event, key, message_id, now_ms)
        return self._encode_passed(key, message_id, now_ms, self.pipeline.run(event, message_id))

    async def prepare_async(self, event: Event) -> Receipt:
        """Like `prepare`, for a pipeline whose middleware may have to be awaited."""
        key = validate_event(event)
        if self.defaults:
            event = fill(event, self.defaults)
        message_id, now_ms = self._stamp(event), self._now_ms
        return self._encode_passed(key, message_id, now_ms, await self.pipeline.run_async(event, message_id))

    def check_room(self, receipt: Receipt) -> None:
        """Reject a prepared event at every lane if a lane with another `overflow` than "drop" is full.

        Raises:
            QueueFullError: It names the destination.
        """
        for lane, outcome in zip(self.lanes, receipt.outcomes, strict=True):
            if isinstance(outcome, Delivery) or lane.destination.overflow == "drop":
                continue
            if not lane.ledger.has_room(len(outcome.chunk)):
                msg = f"the queue of {lane.destination.name} is full: {lane.ledger.held_events:,} events"
                raise QueueFullError(msg)

    def commit(self, receipt: Receipt) -> Receipt:
        """Enqueue a prepared event on its lanes; a full lane drops it."""
        # `strict=True` would cost as much as the rest of the loop.
        for lane, outcome in zip(self.lanes, receipt.outcomes):  # noqa: B905 -- `_encode` makes one per lane
            if isinstance(outcome, Record):
                if lane.offer(outcome):
                    continue
                delivery = Delivery(lane.destination.name, "dropped", reason="queue full")
                outcome.settle(delivery)
            else:
                delivery = outcome
            lane.ledger.count_refused(receipt.event_id, delivery)
        return receipt

    def drop(self, receipt: Receipt, reason: str) -> None:
        """Drop a prepared event at every destination where its outcome is not final yet, and count it everywhere."""
        for lane, outcome in zip(self.lanes, receipt.outcomes, strict=True):
            if isinstance(outcome, Record):
                delivery = Delivery(lane.destination.name, "dropped", reason=reason)
                outcome.settle(delivery)
            else:
                delivery = outcome
            lane.ledger.count_refused(receipt.event_id, delivery)

    async def wait_for_room(self, receipt: Receipt) -> None:
        """Wait until all lanes with `overflow="wait"` have room for a prepared event at the same moment."""
        # While this waits for one lane, another may fill up: only a pass that finds no full lane ends the loop.
        while (full := self.find_full_lane(receipt)) is not None:
            lane, size = full
            await lane.ledger.wait_for_room(size)

    def find_full_lane(self, receipt: Receipt) -> tuple[Lane, int] | None:
        """Return a full lane with `overflow="wait"`, and the bytes that it needs room for."""
        for lane, outcome in zip(self.lanes, receipt.outcomes, strict=True):
            if isinstance(outcome, Record) and lane.destination.overflow == "wait":
                size = len(outcome.chunk)
                if not lane.ledger.has_room(size):
                    return lane, size
        return None

    def _stamp(self, event: Event) -> str:
        """Read the clocks into `_now` (monotonic) and `_now_ms` (since 1970), and return the event's id."""
        now = time.monotonic()
        if now > self._now + _CLOCK_RESOLUTION:
            self._now, self._now_ms = now, int(time.time() * 1000)
        given = event.message_id
        return next(self.ids.texts) if given is None else str(given)

    def _encode_passed(self, key: str, message_id: str, now_ms: int, result: Passed) -> Receipt:
        """Encode what came out of the middleware; `key`, the ordering key, is that of the original event."""
        original, passed, reason = result
        # 1. Dropped, or a function failed.
        if passed is None:
            return self._drop_everywhere(original, message_id, now_ms, reason)
        # 2. Unchanged: it is validated already.
        if passed is original:
            return self._encode(original, key, message_id, now_ms)
        # 3. Replaced: validated like a new event, since a function may have changed anything, the user included.
        try:
            return self._encode(passed, validate_event(passed), str(passed.message_id or message_id), now_ms, original)
        except Exception as error:  # noqa: BLE001 -- middleware may return an object of any shape
            # If the original cannot be encoded either, the mistake is the caller's: that raises here.
            self._encode(original, "", "", now_ms)
            return self._drop_everywhere(original, message_id, now_ms, self.pipeline.failed(error))

    def _encode(self, event: Event, key: str, message_id: str, now_ms: int, original: Event | None = None) -> Receipt:
        """Build one outcome per lane: the record to enqueue, or a delivery with the reason why there is none.

        Raises:
            InvalidEventError: A value of the event has no form in JSON, or cannot be read.
        """
        also = text_id(event.previous_id, "previous_id") if type(event) is Alias else None
        admitted, integrations = self._now, event.integrations
        record_id = message_id if self._keep_ids else ""
        if integrations is not None:
            self._check_spelling(integrations)
        outcomes: list[Record | Delivery] = []
        notes: dict[str, str] | None = None
        try:
            if fragments.may_exist():
                check_fragments(event)
            for lane in self.lanes:
                destination = lane.destination
                if integrations is not None and not self._is_wanted(destination, integrations):
                    outcomes.append(Delivery(destination.name, "skipped", reason="integrations"))
                    continue
                chunk = destination.encode(event, message_id, now_ms)
                if type(chunk) is not bytes:  # `isinstance` takes twice as long
                    if not isinstance(chunk, bytes):
                        outcomes.append(Delivery(destination.name, chunk.status, reason=chunk.reason))
                        continue
                    notes = _add_note(notes, destination.name, chunk)
                    chunk = bytes(chunk)
                if len(chunk) <= lane.ledger.max_bytes:
                    outcomes.append(Record(key, record_id, chunk, admitted, also))
                else:  # it would not fit even into an empty queue
                    outcomes.append(Delivery(destination.name, "rejected", reason="too large"))
        except Exception as error:  # noqa: BLE001 -- a value of the caller's may raise anything
            # The client's `default` may give it a form; otherwise this raises, with the path in the caller's event.
            event = apply_default(event, error, self.default)
            return self._encode(event, key, message_id, now_ms, original)
        if notes is None:
            return Receipt(message_id, event, now_ms, self._names, outcomes, self._wait, original)
        self._log_notes(notes)
        return NotedReceipt(message_id, event, now_ms, self._names, outcomes, self._wait, original, notes=notes)

    def _log_notes(self, notes: Mapping[str, str]) -> None:
        """Say in the log what destinations leave out of events, once for each kind."""
        for known in notes.items():
            if known not in self._known_notes:
                self._known_notes.add(known)
                logger.warning("%s: %s; events are sent without it (said once)", *known)

    def _check_spelling(self, integrations: Mapping[str, Any]) -> None:
        """Reject a name that differs from one of this client's destinations only in case: it would withhold nothing.

        Raises:
            InvalidEventError: It names both spellings.
        """
        for name in integrations:
            if name not in self._names and name.casefold() in self._names_by_casefold:
                known = self._names_by_casefold[name.casefold()]
                msg = f"`integrations` names {name!r}, but this client's destination is spelt {known!r}"
                raise InvalidEventError(msg)

    def _is_wanted(self, destination: Destination, integrations: Mapping[str, Any]) -> bool:
        """Return whether `integrations` selects a destination: by its own name, or by one that it forwards to."""
        wanted = integrations.get(destination.name, integrations.get("All", True))
        if wanted is False and destination.forwards and integrations.get(destination.name) is not False:
            # Switched off by "All" only. Names that are not ours are destinations behind this one (RudderStack's).
            return any(on is not False for name, on in integrations.items() if name not in (*self._names, "All"))
        return wanted is not False

    def _drop_everywhere(self, event: Event, message_id: str, now_ms: int, reason: str) -> Receipt:
        """Build the receipt of an event that middleware dropped: the same outcome at every destination."""
        outcomes: list[Record | Delivery] = [Delivery(name, "dropped", reason=reason) for name in self._names]
        return Receipt(message_id, event, now_ms, self._names, outcomes, self._wait)


def _add_note(notes: dict[str, str] | None, name: str, chunk: bytes) -> dict[str, str] | None:
    """Return the notes with that of a chunk of which something was left out."""
    return {**(notes or {}), name: chunk.note} if isinstance(chunk, PartialChunk) else notes
