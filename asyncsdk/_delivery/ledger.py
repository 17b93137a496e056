"""What one destination holds, and how an event leaves it: with exactly one fate, told to all who wait for it."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from asyncsdk._delivery.accounting import Account
from asyncsdk._delivery.batching import attempts_of, count, size_of, total, unsettled, watchers_of
from asyncsdk._model.receipts import Attempt, Delivery, Record, Status
from asyncsdk._model.reports import DELIBERATE, DestinationReport
from asyncsdk.vendors._base import Limits

logger = logging.getLogger("asyncsdk.delivery")

_LOG_INTERVAL = 60.0


class Ledger:
    """Counts, room and waiters of one destination.

    Attributes:
        account: The counts of events.
        exposures: The counts of exposures, which nobody awaits.
        held_events: Events and exposures without a fate.
        held_bytes: Their bytes.
        retries: Requests whose events, or some of them, had to be sent again.
        max_bytes: How many of them may be held.
        on_final: Called with the id and the fate of every event whose fate is final; None when nobody asked.
        on_fates: Called with records that have met the same kind of fate together, and why; a spool listens here.
        on_settled: Called with each fate, and how many events and exposures that were held met it together.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        """Open an empty ledger; needs no running loop."""
        self.account = Account()
        self.exposures = Account()
        self.held_events = 0
        self.held_bytes = 0
        self.retries = 0
        self.on_final: Callable[[str, Delivery], object] | None = None
        self.on_settled: Sequence[Callable[[Delivery, int], object]] = ()
        self.on_records_settled: Callable[[Collection[Record], Status, str], None] | None = None
        self._name = name
        self.max_bytes = limits.max_queued_bytes
        self._max_events = limits.max_queued_events
        # Events without a fate by the flush they fall under, for flushes that have begun: one waits for all epochs up
        # to its own.
        self._epoch = 0
        self._open_by_epoch: dict[int, int] = {}
        self._progress = asyncio.Event()
        self._logged_at: dict[str, float] = {}
        self._room_waiters: deque[asyncio.Future[None]] = deque()

    def has_room(self, size: int, number: int = 1) -> bool:
        """Say whether so many more events of `size` bytes in all may be held."""
        return self.held_events + number <= self._max_events and self.held_bytes + size <= self.max_bytes

    async def wait_for_room(self, size: int) -> None:
        """Wait until `has_room(size)`, first come, first served. The caller checks again: others may be quicker."""
        queue_up = self._room_waiters.append
        while not self.has_room(size):
            turn = asyncio.get_running_loop().create_future()
            queue_up(turn)
            queue_up = self._room_waiters.appendleft  # whoever was called in vain stays first
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.wake_room_waiter()  # the turn was given, and is not used: hand it on
                else:
                    with suppress(ValueError):  # it was passed over already
                        self._room_waiters.remove(turn)
                raise
        self.wake_room_waiter()  # there may be room for the next one too, and this one may not use its own

    def hold(self, record: Record) -> bool:
        """Take an event in, if there is room."""
        held_bytes = self.held_bytes + len(record.chunk)
        # `has_room`, written out: every event comes this way.
        if self.held_events >= self._max_events or held_bytes > self.max_bytes:
            return False
        if self._epoch:
            record.epoch = self._epoch
        self.account.accepted += 1
        self.held_events += 1
        self.held_bytes = held_bytes
        return True

    def hold_exposures(self, records: Collection[Record]) -> bool:
        """Take exposures in, if there is room for all of them."""
        size, (_, exposures) = size_of(records), count(records)
        if not self.has_room(size, exposures):
            return False
        for record in records if self._epoch else ():
            record.epoch = self._epoch
        self.exposures.accepted += exposures
        self.held_events += exposures
        self.held_bytes += size
        return True

    def count_accepted(self, records: Collection[Record]) -> None:
        """Count events that are on disk, and not held yet."""
        events, exposures = count(records)
        self.account.accepted += events
        self.exposures.accepted += exposures

    def hold_accepted(self, records: Collection[Record]) -> None:
        """Take events in that were counted before, whether there is room or not."""
        for record in records:
            record.epoch = self._epoch
        self.held_bytes += size_of(records)
        self.held_events += total(records)

    def settle_unheld(self, delivery: Delivery, events: int, exposures: int) -> None:
        """Count a fate of accepted events that were never held."""
        if not events + exposures:
            return
        self._log_loss(delivery)
        self.account.settle(delivery, events)
        self.exposures.settle(delivery, exposures)
        for hear in self.on_settled:
            hear(delivery, events + exposures)

    def count_refused(self, event_id: str, delivery: Delivery) -> None:
        """Count an event that is not held at all."""
        self.account.accepted += 1
        self.account.settle(delivery)
        self._log_loss(delivery)
        if self.on_final is not None:
            self.on_final(event_id, delivery)

    def count_refused_exposures(self, delivery: Delivery, number: int) -> None:
        """Count exposures that are not held at all."""
        self.exposures.accepted += number
        self.exposures.settle(delivery, number)
        self._log_loss(delivery)

    def record_attempt(self, records: Collection[Record], code: int, reason: str) -> None:
        """Add an answer that settled nothing to the story of each record."""
        attempt = Attempt(int(time.time() * 1000), code, reason)
        self.retries += bool(records)
        for record in records:
            record.attempts += (attempt,)

    def settle(
        self,
        records: Collection[Record],
        status: Status,
        code: int = 0,
        reason: str = "",
        *,
        answered: bool = False,
    ) -> None:
        """Make a fate final. Records of the same number of attempts share one `Delivery`.

        Args:
            records: None of them has a fate yet.
            status: The fate.
            code: HTTP status of the answer that settled them; 0 takes the last one of each record's story.
            reason: Why.
            answered: The answer that settles them is not in their story.
        """
        records = unsettled(records)
        if not records:
            return
        attempts = list(map(len, map(attempts_of, records)))
        deliveries = {
            number: self._delivery_for(records[attempts.index(number)], status, code, reason, answered=answered)
            for number in dict.fromkeys(attempts)
        }
        if len(deliveries) == 1:
            (delivery,) = deliveries.values()
            for record in records:
                record.delivery = delivery
        else:
            for record, number in zip(records, attempts, strict=True):
                record.delivery = delivery = deliveries[number]
        for record in list(filter(watchers_of, records)):
            record.notify_watchers()
        self._log_loss(delivery)
        events, exposures = count(records)
        self.account.settle(delivery, events)
        self.exposures.settle(delivery, exposures)
        self.held_events -= events + exposures
        self.held_bytes -= size_of(records)
        self._update_epochs(records)
        self._progress.set()
        if self.on_records_settled is not None:
            self.on_records_settled(records, status, reason)
        for _ in range(min(events + exposures, len(self._room_waiters))):
            self.wake_room_waiter()
        if self.on_settled or self.on_final is not None:
            self._notify_listeners(records, attempts, deliveries)

    def _delivery_for(self, record: Record, status: Status, code: int, reason: str, *, answered: bool) -> Delivery:
        last = code or (record.attempts[-1].code if record.attempts else 0)
        held = max(0.0, time.monotonic() - record.admitted)
        return Delivery(self._name, status, last, reason, len(record.attempts) + answered, held)

    def _update_epochs(self, records: Collection[Record]) -> None:
        """Let flushes know that these have their fates."""
        if not self._open_by_epoch:
            return
        for record in records:
            epoch = record.epoch
            if epoch < self._epoch:
                self._open_by_epoch[epoch] -= record.exposures or 1
                if not self._open_by_epoch[epoch]:
                    del self._open_by_epoch[epoch]

    def _notify_listeners(
        self, records: Sequence[Record], attempts: Sequence[int], deliveries: Mapping[int, Delivery]
    ) -> None:
        """Call those who want to hear of fates: of each event's, and of how many met one."""
        settled: Counter[int] = Counter()
        for record, tries in zip(records, attempts, strict=True):
            settled[tries] += record.exposures or 1
            if self.on_final is not None and not record.exposures:
                self.on_final(record.id, deliveries[tries])
        for tries, number in settled.items():
            for hear in self.on_settled:
                hear(deliveries[tries], number)

    def _log_loss(self, delivery: Delivery) -> None:
        """Log that events are lost, once a minute for each reason; the counts are in the report."""
        if delivery.status not in ("rejected", "dropped") or delivery.reason == DELIBERATE:
            return
        now = time.monotonic()
        if now >= self._logged_at.get(delivery.reason, float("-inf")) + _LOG_INTERVAL:
            self._logged_at[delivery.reason] = now
            logger.warning("%s: events are %s: %s (told once a minute)", self._name, delivery.status, delivery.reason)

    def report(self) -> DestinationReport:
        """Give the counts so far."""
        return self.account.report(self.exposures if self.exposures.accepted else None)

    def wake_flushes(self) -> None:
        """Let those who wait for fates look again."""
        self._progress.set()

    async def wait_settled(self, should_give_up: Callable[[], bool]) -> None:
        """Return when everything that is held now has a fate, or when it is hopeless to wait for that."""
        epoch, unsettled = self._epoch, self._open_by_epoch
        self._epoch += 1
        if new := self.held_events - sum(unsettled.values()):
            unsettled[epoch] = new
        while unsettled and next(iter(unsettled)) <= epoch:
            if should_give_up():
                return
            self._progress.clear()
            await self._progress.wait()

    def wake_room_waiter(self) -> None:
        """Give the first one who waits for room a turn."""
        while self._room_waiters:
            turn = self._room_waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def wake_room_waiters(self) -> None:
        """Wake everybody who waits for room, because the lane closes."""
        while self._room_waiters:
            self.wake_room_waiter()


async def wait_final(records: Collection[Record]) -> None:
    """Return when all of `records` have a fate; none of them has one yet."""
    left = len(records)
    done = asyncio.get_running_loop().create_future()

    def count_down() -> None:
        nonlocal left
        left -= 1
        if not left and not done.done():
            done.set_result(None)

    for record in records:
        record.watchers += (count_down,)
    try:
        await done
    finally:
        for record in records:
            record.watchers = tuple(watcher for watcher in record.watchers if watcher is not count_down)
