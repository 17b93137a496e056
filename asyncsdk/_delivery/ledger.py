"""What one destination holds: it counts, limits and settles events, and notifies those who wait for them.

The states of an event at a destination, and the only methods that change them:

    before     method                  after
    new        `hold`                  held: accepted, and in memory until it is settled (`hold_exposures` likewise)
    new        `count_accepted`        on disk: accepted by a spool, which admits it to the lane when there is room
    on disk    `hold_accepted`         held
    held       `settle`                settled: its outcome is final, a `Delivery`
    on disk    `settle_unheld`         settled, without having been held
    new        `count_refused`         settled, without having been held (`count_refused_exposures` likewise)

Invariants:
    1. accepted = held + on disk only + settled, for events (`account`) and exposures (`exposures`).
    2. `held_events` and `held_bytes` are those of all records that are held, and at most `_max_events` and `max_bytes`.
       A spool may exceed them by what it reads at once.
    3. A record is settled at most once: `settle` ignores records that have a delivery.

Three kinds of caller wait here:
    room      `wait_for_room`: woken one by one, in order, as events are settled
    flush     `wait_settled`: for everything that was held when the flush began, but nothing newer
    receipt   `wait_final`: for the deliveries of some records

How a flush knows what to wait for: it ends an *epoch*. A record carries the number of flushes begun before it was
held, its epoch; `_open_by_epoch` counts the unsettled ones of each epoch that a flush has ended. For example, with e1
and e2 held in epoch 0, a flush stores {0: 2} and begins epoch 1; e3 is held in epoch 1 and does not delay it; when e1
and e2 are settled, epoch 0 is removed and the flush returns. Without a flush, none of this costs anything per event.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from asyncsdk._delivery.accounting import Account
from asyncsdk._delivery.batching import attempts_of, count, size_of, total, unsettled, watchers_of
from asyncsdk._model.receipts import Attempt, Delivery, Record, Status
from asyncsdk._model.reports import DELIBERATE, INVALID, DestinationReport
from asyncsdk.vendors._base import Limits

logger = logging.getLogger("asyncsdk.delivery")

# Seconds between two log lines about lost events with the same reason.
_LOG_INTERVAL = 60.0


class Ledger:
    """Counts, limits and waiters of one destination.

    Attributes:
        account: The counts of events.
        exposures: The counts of exposures, which have no receipts.
        held_events: Number of events and exposures that are held: accepted, in memory and unsettled.
        held_bytes: Total size of their chunks, in bytes.
        retries: Number of requests after which some of their events had to be sent again.
        max_bytes: Maximum of `held_bytes`.
        on_final: Called with the id and the delivery of every event that is settled; None when the client has no
            `on_delivery`.
        on_records_settled: Called with records that were settled together, their status and the reason; set by a spool.
        on_settled: Called with each delivery, and the number of events and exposures that share it.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        """Create an empty ledger; needs no running loop."""
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
        self._epoch = 0
        self._open_by_epoch: dict[int, int] = {}
        self._progress = asyncio.Event()
        self._logged_at: dict[str, float] = {}
        self._room_waiters: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return (
            f"<Ledger {self._name}: {self.held_events}/{self._max_events} events, {self.held_bytes}/{self.max_bytes} "
            f"bytes held, {len(self._room_waiters)} waiting for room, epoch {self._epoch}>"
        )

    # --- room -------------------------------------------------------------------------------------------------

    def has_room(self, size: int, number: int = 1) -> bool:
        """Return whether `number` more events of `size` bytes in total may be held."""
        return self.held_events + number <= self._max_events and self.held_bytes + size <= self.max_bytes

    @property
    def filling(self) -> float:
        """How much of the room is in use, from 0.0 to 1.0: by number of events or by bytes, whichever is more."""
        return max(self.held_events / self._max_events, self.held_bytes / self.max_bytes)

    async def wait_for_room(self, size: int) -> None:
        """Wait in order of arrival until an event of `size` bytes may be held.

        The caller checks again before it holds the event: `put_nowait` and other threads do not wait in order.
        """
        enqueue = self._room_waiters.append
        while not self.has_room(size):
            turn = asyncio.get_running_loop().create_future()
            enqueue(turn)
            enqueue = self._room_waiters.appendleft  # woken without finding room: keep the first place
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.wake_room_waiter()  # cancelled after it was woken: pass the turn on
                else:
                    with suppress(ValueError):  # `wake_room_waiter` may have removed it already
                        self._room_waiters.remove(turn)
                raise
        self.wake_room_waiter()  # there may be room for the next one too, and this caller may not use its own

    def wake_room_waiter(self) -> None:
        """Wake the caller that has waited longest for room."""
        while self._room_waiters:
            turn = self._room_waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def wake_room_waiters(self) -> None:
        """Wake every caller that waits for room, because the lane closes."""
        while self._room_waiters:
            self.wake_room_waiter()

    # --- accepting --------------------------------------------------------------------------------------------

    def hold(self, record: Record) -> bool:
        """Accept and hold an event; return False, and do nothing, if there is no room."""
        held_bytes = self.held_bytes + len(record.chunk)
        # A copy of `has_room`: this runs for every event, and saves the call.
        if self.held_events >= self._max_events or held_bytes > self.max_bytes:
            return False
        if self._epoch:
            record.epoch = self._epoch
        self.account.accepted += 1
        self.held_events += 1
        self.held_bytes = held_bytes
        return True

    def hold_exposures(self, records: Collection[Record]) -> bool:
        """Accept and hold exposures; return False, and do nothing, if there is no room for all of them."""
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
        """Count as accepted records that are on disk and not held yet."""
        events, exposures = count(records)
        self.account.accepted += events
        self.exposures.accepted += exposures

    def hold_accepted(self, records: Collection[Record]) -> None:
        """Hold records that `count_accepted` has counted, even without room."""
        for record in records:
            record.epoch = self._epoch
        self.held_bytes += size_of(records)
        self.held_events += total(records)

    # --- settling ---------------------------------------------------------------------------------------------

    def settle_unheld(self, delivery: Delivery, events: int, exposures: int) -> None:
        """Count an outcome of accepted events and exposures that were never held."""
        if not events + exposures:
            return
        self._log_loss(delivery)
        self.account.settle(delivery, events)
        self.exposures.settle(delivery, exposures)
        for notify in tuple(self.on_settled):
            notify(delivery, events + exposures)

    def count_refused_unread(self, delivery: Delivery, events: int, exposures: int) -> None:
        """Count events and exposures of an ended process that were lost before they were read."""
        self.account.accepted += events
        self.exposures.accepted += exposures
        self.settle_unheld(delivery, events, exposures)

    def count_refused(self, event_id: str, delivery: Delivery) -> None:
        """Count an event as accepted and settled, without holding it."""
        self.account.accepted += 1
        self.account.settle(delivery)
        self._log_loss(delivery)
        if self.on_final is not None:
            self.on_final(event_id, delivery)

    def count_refused_exposures(self, delivery: Delivery, number: int) -> None:
        """Count `number` exposures as accepted and settled, without holding them."""
        self.exposures.accepted += number
        self.exposures.settle(delivery, number)
        self._log_loss(delivery)

    def record_attempt(self, records: Collection[Record], code: int, reason: str) -> None:
        """Add an attempt that settled nothing to each record.

        Args:
            records: The records that will be sent again.
            code: HTTP status of the answer; 0 when there was none.
            reason: What was wrong, in a few words.
        """
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
        """Record the final outcome of held records, free their room and notify its waiters and listeners.

        Records with the same number of attempts share one `Delivery`.

        Args:
            records: Those that are settled already are ignored.
            status: The outcome.
            code: HTTP status of the answer that settled them; 0 takes that of each record's last attempt.
            reason: Why, in a few words; empty when delivered.
            answered: Whether they are settled by an answer that is not among their attempts.
        """
        records = unsettled(records)
        if not records:
            return
        # 1. The records get their deliveries.
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
        # 2. The counts.
        self._log_loss(delivery)
        events, exposures = count(records)
        self.account.settle(delivery, events)
        self.exposures.settle(delivery, exposures)
        self.held_events -= events + exposures
        self.held_bytes -= size_of(records)
        self._close_epochs(records)
        # 3. The waiters and listeners.
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

    def _close_epochs(self, records: Collection[Record]) -> None:
        """Subtract settled records from the epochs that flushes wait for; remove epochs with none left."""
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
        """Call `on_final` for each event, and `on_settled` once per delivery."""
        settled: Counter[int] = Counter()
        for record, tries in zip(records, attempts, strict=True):
            settled[tries] += record.exposures or 1
            if self.on_final is not None and not record.exposures:
                self.on_final(record.id, deliveries[tries])
        for tries, number in settled.items():
            for notify in tuple(self.on_settled):
                notify(deliveries[tries], number)

    def _log_loss(self, delivery: Delivery) -> None:
        """Log that events are lost, at most once a minute per reason; the counts are in the report."""
        if delivery.status not in ("rejected", "dropped") or delivery.reason in (DELIBERATE, INVALID):
            return
        now = time.monotonic()
        if now >= self._logged_at.get(delivery.reason, float("-inf")) + _LOG_INTERVAL:
            self._logged_at[delivery.reason] = now
            logger.warning(
                "%s: events are %s: %s (logged at most once a minute)", self._name, delivery.status, delivery.reason
            )

    def report(self) -> DestinationReport:
        """Return the counts so far."""
        return self.account.report(self.exposures if self.exposures.accepted else None)

    # --- flushes ----------------------------------------------------------------------------------------------

    def wake_flushes(self) -> None:
        """Make each flush check again whether it should give up."""
        self._progress.set()

    async def wait_settled(self, should_give_up: Callable[[], bool]) -> None:
        """Wait until everything that is held now is settled.

        Args:
            should_give_up: Asked before each wait; when it returns True, the wait ends early.
        """
        epoch, open_by_epoch = self._epoch, self._open_by_epoch
        self._epoch += 1
        if new := self.held_events - sum(open_by_epoch.values()):
            open_by_epoch[epoch] = new
        # The oldest open epoch comes first: this flush waits for all of them up to its own.
        while open_by_epoch and next(iter(open_by_epoch)) <= epoch:
            if should_give_up():
                return
            self._progress.clear()
            await self._progress.wait()


async def wait_final(records: Collection[Record]) -> None:
    """Wait until all of `records` are settled; when called, none of them is."""
    remaining = len(records)
    done = asyncio.get_running_loop().create_future()

    def count_down() -> None:
        nonlocal remaining
        remaining -= 1
        if not remaining and not done.done():
            done.set_result(None)

    for record in records:
        record.watchers += (count_down,)
    try:
        await done
    finally:
        # A receipt that is awaited repeatedly, each time with a timeout, must not accumulate watchers.
        for record in records:
            record.watchers = tuple(watcher for watcher in record.watchers if watcher is not count_down)
