"""The way in: check, stamp, middleware, encode, and then into every lane, or into none.

All of it runs in the caller's own call, so what is wrong with an event is raised there, and what the caller does to its
objects afterwards changes nothing.
"""

import itertools
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

import attrs

from asyncsdk import _middleware
from asyncsdk._delivery.lane import Lane
from asyncsdk._middleware import Edit, Middleware, MiddlewareWaitsError, Payload, Redact
from asyncsdk._model.events import Alias, Event, check
from asyncsdk._model.receipts import Delivery, Receipt, Record
from asyncsdk._model.reports import DELIBERATE
from asyncsdk._model.users import text_id
from asyncsdk.errors import InvalidEventError, QueueFullError
from asyncsdk.vendors._base import Destination

logger = logging.getLogger("asyncsdk")

# Events that arrive together share the numbers that say when: two objects less to hold for each.
_MOMENT = 0.0005


class Ids:
    """Ids in the form of a random UUID: a random start per client, then a count, at a tenth of the cost.

    Attributes:
        texts: Yields one after another, to any thread.
    """

    texts: Iterator[str]

    def __init__(self) -> None:
        """Begin somewhere."""
        self.renew()

    def renew(self) -> None:
        """Draw a start that no other client or process has; a fork would continue its parent's otherwise."""
        start = os.urandom(14).hex()
        form = f"{start[:8]}-{start[8:12]}-4{start[12:15]}-a{start[15:18]}-%x"
        # The highest of its 48 bits is set, so that the count always has twelve digits.
        self.texts = map(form.__mod__, itertools.count(1 << 47 | int(start[18:27], 16)))


class Admission:
    """What an event goes through before it is queued.

    Attributes:
        lanes: One per destination.
        middleware: In the order in which events meet it.
        redactions: Those of it that users of exposures meet, too.
        may_suspend: Whether some of it is more than an `edit`, and may have to be awaited.
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
        self.middleware: tuple[Middleware, ...] = ()
        self.may_suspend = False
        self.redactions: tuple[Redact, ...] = ()
        self._edits: tuple[Edit, ...] = ()
        self.ids = Ids()
        self._seen_errors: set[type] = set()
        self._now, self._now_ms = 0.0, 0
        self._wait = wait
        self._tells_by_id = tells_by_id
        self._names = tuple(lane.destination.name for lane in lanes)
        self._folded = {name.casefold(): name for name in self._names}
        self.may_wait = any(lane.destination.overflow == "wait" for lane in lanes)
        self.may_raise = any(lane.destination.overflow == "raise" for lane in lanes)
        self._always_drops = all(lane.destination.overflow == "drop" for lane in lanes)

    def add_middleware(self, function: Middleware) -> None:
        """Let events meet `function` after those added earlier."""
        self.middleware += (function,)
        self.redactions = tuple(one for one in self.middleware if isinstance(one, Redact))
        self._edits = tuple(one for one in self.middleware if isinstance(one, Edit))
        self.may_suspend = len(self._edits) < len(self.middleware)

    def prepare(self, event: Event) -> Receipt:
        """Check, stamp and encode an event; nothing is queued or counted yet.

        Raises:
            InvalidEventError: No vendor could take the event, or an async middleware waits for something.
        """
        key = check(event)
        message_id, now_ms = self._stamp(event), self._now_ms
        if not self.middleware:
            return self._encode(event, key, message_id, now_ms, None)
        if not self.may_suspend:
            return self._edit(event, key, message_id, now_ms)
        payload = _payload(event, message_id)
        try:
            passed = _middleware.run_at_once(self.middleware, payload)
        except MiddlewareWaitsError:
            raise
        except Exception as error:  # noqa: BLE001 -- the user's own function: it costs its event, and is logged
            return self._blame_middleware(payload.event, message_id, now_ms, error)
        return self._encode_passed(payload.event, key, message_id, now_ms, None if passed is None else passed.event)

    async def prepare_patiently(self, event: Event) -> Receipt:
        """Do the same with middleware that may wait."""
        key = check(event)
        message_id, now_ms = self._stamp(event), self._now_ms
        payload = _payload(event, message_id)
        try:
            passed = await _middleware.run(self.middleware, payload)
        except Exception as error:  # noqa: BLE001 -- the user's own function: it costs its event, and is logged
            return self._blame_middleware(payload.event, message_id, now_ms, error)
        return self._encode_passed(payload.event, key, message_id, now_ms, None if passed is None else passed.event)

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
                fate = Delivery(lane.destination.name, "dropped", reason="queue full")
                outcome.close(fate)
            else:
                fate = outcome
            lane.ledger.turn_away(receipt.event_id, fate)
        return receipt

    def turn_away(self, receipt: Receipt, reason: str) -> None:
        """Drop a prepared event at every destination that it has no fate at yet."""
        for lane, outcome in zip(self.lanes, receipt.outcomes, strict=True):
            fate = Delivery(lane.destination.name, "dropped", reason=reason) if isinstance(outcome, Record) else outcome
            if isinstance(outcome, Record):
                outcome.close(fate)
            lane.ledger.turn_away(receipt.event_id, fate)

    async def room(self, receipt: Receipt) -> None:
        """Wait until every lane that is worth waiting for has room for a prepared event, all at the same moment."""
        while (full := self.lane_to_wait_for(receipt)) is not None:
            lane, size = full
            await lane.ledger.room(size)

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

    def _edit(self, event: Event, key: str, message_id: str, now_ms: int) -> Receipt:
        """Encode what edits make of an event, which needs no copy for that."""
        try:
            edited = _middleware.run_edits(self._edits, event)
        except Exception as error:  # noqa: BLE001 -- the user's own function: it costs its event, and is logged
            return self._blame_middleware(event, message_id, now_ms, error)
        if edited is event:
            return self._encode(event, key, message_id, now_ms)
        return self._encode_passed(event, key, message_id, now_ms, edited)

    def _encode_passed(self, original: Event, key: str, message_id: str, now_ms: int, passed: Event | None) -> Receipt:
        """Encode what came out of the middleware, if anything did; `key` is that of the original."""
        if passed is None:
            return self._refuse(original, message_id, now_ms, DELIBERATE)
        try:
            if passed is original:
                return self._encode(original, key, message_id, now_ms)
            return self._encode(passed, check(passed), str(passed.message_id or message_id), now_ms, original)
        except Exception as error:  # noqa: BLE001 -- what middleware made of it may be anything
            self._encode(original, "", "", now_ms)  # raises if it was the caller's own event that could not be sent
            return self._blame_middleware(original, message_id, now_ms, error)

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
            elif len(chunk) <= lane.ledger.most_bytes:
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

    def _blame_middleware(self, event: Event, message_id: str, now_ms: int, error: Exception) -> Receipt:
        """Drop an event that a middleware failed on; each kind of failure is logged once."""
        if type(error) not in self._seen_errors:
            self._seen_errors.add(type(error))
            msg = "a middleware failed, or made an event invalid; that drops the event (logged once, counted always)"
            logger.error(msg, exc_info=error)
        return self._refuse(event, message_id, now_ms, "middleware error")

    def _refuse(self, event: Event, message_id: str, now_ms: int, reason: str) -> Receipt:
        """Give an event that middleware stopped its fate: the same at every destination."""
        outcomes: list[Record | Delivery] = [Delivery(name, "dropped", reason=reason) for name in self._names]
        return Receipt(message_id, event, now_ms, self._names, outcomes, self._wait)


def _payload(event: Event, message_id: str) -> Payload:
    """Stamp the event with its id, for middleware to see: a copy, at a third of what `attrs.evolve` costs."""
    kind, extra = type(event), event.extra
    stamped = kind.__new__(kind)
    for name in _FIELDS[kind]:
        setattr(stamped, name, getattr(event, name))
    stamped.message_id = message_id
    return Payload(stamped, {} if extra is None else dict(extra))


_FIELDS: dict[type, tuple[str, ...]] = {kind: tuple(attrs.fields_dict(kind)) for kind in get_args(Event)}
