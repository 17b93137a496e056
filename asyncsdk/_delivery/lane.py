"""One destination's lane: its queue, the worker that empties it, and the tasks that send.

Where a record is, from `offer` until it is settled; it is in exactly one of these places:

    _open_batch   accepted: the batch at the end of `_intake`, to which `offer` appends
    _pending      ready, or queued by ordering key (see `pending.py`)
    _in_flight    taken, in an `InFlight` that a task of its own is sending
    _to_retry     taken, in an `InFlight` that waits for the circuit, or for a pause of its own

Who may change what. Everything runs on the client's event loop, except that other threads may read (`health`):
    1. Verbs and the spool only append to the intake, and set `_wake` when the worker has a reason to look.
    2. The worker (`run`) alone moves records from the intake to `_pending`, and from there or `_to_retry` into flight.
    3. A send task (`_send`) settles records of its own `InFlight`, and moves what is unsettled to `_to_retry`.
    4. What an answer means is decided by pure functions (`judge`, `sort_out`, `Circuit`); this module carries it out.

The ordering keys of an `InFlight` stay busy until its records are settled (`_trim`), through all retries.

Example, with a linger of 1 s and 100 events per request: the first event is offered and wakes the worker, which sets a
timer of 1 s and a threshold of 100 events. The next 98 are only appended. The 100th, or the timer, wakes it again:
it takes one batch, and `_send` posts it. The answer is 503: the circuit opens, the batch moves to `_to_retry`, the
worker sleeps until `probe_at` and sends that batch again, before anything newer.
"""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import ClassVar, Literal, NamedTuple, Protocol

from asyncsdk._delivery.batching import (
    Batch,
    chunk_of,
    halve,
    keys_of,
    linked_keys,
    size_of,
    sort_out,
    total,
    unsettled,
)
from asyncsdk._delivery.circuit import Circuit, refusal_wait
from asyncsdk._delivery.ledger import Ledger
from asyncsdk._delivery.pending import InFlight, Pending
from asyncsdk._delivery.trouble import Trouble
from asyncsdk._model.receipts import Record, Status
from asyncsdk._model.reports import DestinationHealth
from asyncsdk._retry import at_least
from asyncsdk._threads import is_loop_running
from asyncsdk.vendors._base import Destination, Limits, Request, Response, Verdict

logger = logging.getLogger("asyncsdk.delivery")

# A threshold that is never reached.
_NEVER = sys.maxsize
# Seconds after `_progress_at` during which a destination counts as making progress.
_PROGRESS_WITHIN = 0.25
# The number of searches for late events per deadline, and the maximum seconds between two of them.
_SWEEPS_PER_DEADLINE, _MAX_SWEEP_INTERVAL = 20, 60.0
# A worker that wakes this many seconds late did not run meanwhile: its process was frozen, as on AWS Lambda.
_FROZEN = 1.0
# Minimum seconds between two attempts to send a refused batch that callers of `flush` bring forward.
_MIN_RETRY_INTERVAL = 1.0


class Sender(Protocol):
    """The part of a transport that a lane uses."""

    async def send(self, request: Request, *, uncompressed: bool = False) -> Response:
        """Post a request; a network failure is a response without a status."""
        ...


class Exchange(NamedTuple):
    """A request, the response to it, and what that means."""

    request: Request
    response: Response
    verdict: Verdict


class Lane:
    """Everything between the admission of an event and its outcome, for one destination.

    Attributes:
        destination: The vendor's codec.
        ledger: Counts, limits and waiters.
        linger: Maximum time that an event waits for a batch to fill, in seconds.
        deadline: Maximum time that an event is held, in seconds.
        last_error: The latest failure, in a few words.
    """

    # The status of an event that the other side has accepted.
    accepted_status: ClassVar[Status] = "delivered"

    def __init__(self, destination: Destination, limits: Limits | None = None) -> None:
        """Create an empty lane; needs no running loop.

        Args:
            destination: The vendor's codec.
            limits: Bounds on the requests; None takes those of the destination.
        """
        limits = destination.limits if limits is None else limits
        self.destination = destination
        self.ledger = Ledger(destination.name, limits)
        self.linger = limits.linger
        self.deadline = limits.deadline
        self.last_error = ""
        self._limits = limits
        # Batches in the queue, not events: a queue operation costs ten times an append to the batch at its end.
        self._intake: asyncio.Queue[Batch] = asyncio.Queue()
        self._open_batch: Batch = []
        self._pending = Pending()
        self._in_flight: set[InFlight] = set()
        self._to_retry: list[InFlight] = []
        self._circuit = Circuit(limits)
        self._trouble = Trouble(destination.name)
        # Smaller than the limit after a vendor refused a request as too large; grows back with each answer.
        self._target_bytes = limits.max_bytes
        self._active_flushes = 0
        self._next_sweep = 0.0
        # When the vendor last took events, or was sent a request while no other was in flight.
        self._progress_at = 0.0
        # The worker is woken by its timer, by this event, or when as much is held as these thresholds say.
        self._wake = asyncio.Event()
        self._wake_at_events = 1
        self._wake_at_bytes = _NEVER

    def __repr__(self) -> str:
        return (
            f"<Lane {self.destination.name}: {self.ledger.held_events} held, {len(self._open_batch)} in the intake, "
            f"{len(self._in_flight)} requests in flight, {len(self._to_retry)} to retry, {self._circuit!r}>"
        )

    # --- intake -----------------------------------------------------------------------------------------------

    def offer(self, record: Record) -> bool:
        """Accept an event if there is room; return whether it was accepted."""
        ledger, batch = self.ledger, self._open_batch
        if not ledger.hold(record):
            return False
        if not batch:
            self._intake.put_nowait(batch)
        batch.append(record)
        if ledger.held_events >= self._wake_at_events or ledger.held_bytes >= self._wake_at_bytes:
            self._wake.set()
        return True

    def offer_exposures(self, records: Sequence[Record]) -> bool:
        """Accept exposures if there is room for all of them; return whether they were accepted."""
        ledger = self.ledger
        if not ledger.hold_exposures(records):
            return False
        self._enqueue(records)
        if ledger.held_events >= self._wake_at_events or ledger.held_bytes >= self._wake_at_bytes:
            self._wake.set()
        return True

    def admit(self, records: Sequence[Record]) -> None:
        """Take records that a spool has accepted, even without room."""
        if not records:
            return
        self.ledger.hold_accepted(records)
        self._enqueue(records)
        self._wake.set()

    def _enqueue(self, records: Sequence[Record]) -> None:
        if not self._open_batch:
            self._intake.put_nowait(self._open_batch)
        self._open_batch += records

    # --- flush, close and health ------------------------------------------------------------------------------

    async def flush(self, closing_at: float | None = None) -> None:
        """Send without linger, and wait until everything that was offered before the call is settled.

        Args:
            closing_at: When the client closes, on the monotonic clock: return early if nothing more can be sent
                before that. None when it does not close.
        """
        self._active_flushes += 1
        self._circuit.skip_wait(time.monotonic(), closing_at)
        interval = min(_MIN_RETRY_INTERVAL, self._limits.probe_interval) if closing_at is None else 0.0
        for in_flight in self._to_retry:
            if in_flight.halts:
                in_flight.not_before = min(in_flight.not_before, in_flight.halted_at + interval)
        self._wake.set()
        try:
            await self.ledger.wait_settled(lambda: closing_at is not None and self.is_blocked_until(closing_at))
        finally:
            self._active_flushes -= 1

    def is_blocked_until(self, until: float) -> bool:
        """Return whether nothing is in flight and nothing can be sent before `until`."""
        return not self._in_flight and self._circuit.is_blocked_until(until)

    def abandon(self) -> int:
        """Settle everything that is unsettled as abandoned, after the worker has ended; return how many there were."""
        records = self.remaining()
        self._pending.remove()
        self._to_retry.clear()
        self.ledger.settle(records, "abandoned", reason="closed before it was delivered")
        self.ledger.wake_room_waiters()
        return total(records)

    def remaining(self) -> Batch:
        """Return everything that is unsettled, after the worker has ended."""
        self._drain_intake()
        self._recover_cancelled()
        taken = [record for in_flight in self._to_retry for record in in_flight.records]
        return unsettled(taken + self._pending.all_records())

    def pressure(self, now: float) -> float:
        """Return how full the queue is, from 0.0 to 1.0; also 0.0 while the vendor makes no progress in emptying it."""
        if self._circuit.state != "closed" or now - self._progress_at > _PROGRESS_WITHIN:
            return 0.0
        return self.ledger.filling

    def health(self) -> DestinationHealth:
        """Return the state of the lane; safe to call from another thread."""
        circuit = self._circuit
        state: Literal["ok", "retrying", "refused"] = "ok" if circuit.state == "closed" else "retrying"
        if circuit.is_refused:
            state = "refused"
        return DestinationHealth(
            state="halted" if circuit.halted else state,
            queued_events=self.ledger.held_events,
            queued_bytes=self.ledger.held_bytes,
            requests_in_flight=len(self._in_flight),
            last_error=self.last_error,
            retry_in=max(0.0, circuit.probe_at - time.monotonic()) if circuit.is_waiting else 0.0,
            counts=self.ledger.report(),
            retries=self.ledger.retries,
            oldest=self._oldest(time.monotonic()),
        )

    def _oldest(self, now: float) -> float:
        """Return how long the oldest event has been held, in seconds."""
        # Each collection is copied before it is iterated: another thread may ask while the loop changes it.
        taken = [*list(self._in_flight), *list(self._to_retry)]
        held = [
            self._open_batch[:1],
            self._pending.heads(),
            *(part for in_flight in taken for part in list(in_flight.parts)),
        ]
        return max((now - record.admitted for records in held for record in records), default=0.0)

    # --- the worker -------------------------------------------------------------------------------------------

    async def run(self, sender: Sender) -> None:
        """Send what arrives, until cancelled. May be started again after a crash; no event is lost."""
        loop = asyncio.get_running_loop()
        self._recover_cancelled()
        async with asyncio.TaskGroup() as sending:
            while True:
                self._wake.clear()
                now = time.monotonic()
                self._sweep(now)
                while (in_flight := self._next(now)) is not None:
                    if not self._in_flight:
                        self._progress_at = now
                    self._in_flight.add(in_flight)
                    in_flight.generation = self._circuit.begin_request()
                    sending.create_task(self._send(in_flight, sender))
                due_in = self._seconds_until_due(now)
                alarm = loop.call_later(due_in, self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    alarm.cancel()
                self._postpone_sweep(now + due_in)

    def _recover_cancelled(self) -> None:
        """Move to `_to_retry` the batches of tasks that were cancelled before their first step.

        Such a task has not run at all, not even its `finally`.
        """
        for in_flight in list(self._in_flight):
            self._circuit.returned(in_flight.generation)
            self._to_retry.append(in_flight)
        self._in_flight.clear()

    def _next(self, now: float) -> InFlight | None:
        """Return what may be sent now, or None."""
        # 1. Nothing, while the circuit forbids it.
        if not self._circuit.allows(len(self._in_flight), now):
            return None
        # 2. What waits for a retry, oldest first. While the vendor refuses, a batch that it has not refused goes first,
        #    even a new one (3): it tests better whether the vendor takes events again.
        ready = [in_flight for in_flight in self._to_retry if in_flight.not_before <= now] if self._to_retry else []
        if self._circuit.is_refused:
            ready.sort(key=attrgetter("halts"))
        if ready and not (ready[0].halts and self._circuit.is_refused):
            return self._take_to_retry(ready[0])
        # 3. A new batch, if one is due. `next_batch` returns None if all keys are busy; it has moved the records to
        #    their queues then, so that nothing is due any more and the loop ends.
        while self._is_due(now):
            if (taken := self._pending.next_batch(self._limits.max_events, self._target_bytes)) is not None:
                return taken
        # 4. Otherwise, a batch that the vendor has refused.
        return self._take_to_retry(ready[0]) if ready else None

    def _take_to_retry(self, in_flight: InFlight) -> InFlight:
        self._to_retry.remove(in_flight)
        return in_flight

    def _is_due(self, now: float) -> bool:
        """Return whether a batch should be taken now, or wait for more events."""
        ready, arrived = self._pending.ready, self._drain_intake()
        # 1. Queued events whose keys have become free have waited long enough.
        if self._pending.needs_recheck:
            return True
        # 2. Nothing is ready.
        if not ready:
            return False
        # 3. A caller flushes, or a request would be full.
        if self._active_flushes or self._fills_a_batch(ready) or size_of(arrived) >= self._target_bytes:
            return True
        # 4. The first event has waited for the linger.
        return now >= ready[0].admitted + self.linger

    def _fills_a_batch(self, ready: Collection[Record]) -> bool:
        max_events = self._limits.max_events
        # The first test is O(1); only a short queue is counted, in which a record may be several exposures.
        return len(ready) >= max_events or total(ready) >= max_events

    def _drain_intake(self) -> Batch:
        """Move what has arrived from the intake to `_pending`, and return it."""
        arrived: Batch = self._intake.get_nowait() if self._open_batch else []
        self._open_batch = []
        self._pending.ready.extend(arrived)
        return arrived

    def _seconds_until_due(self, now: float) -> float:
        """Return the seconds until the worker has to look again; set the thresholds that wake it earlier.

        Without these thresholds every event would wake the worker, only to find that it should wait for more.
        """
        self._wake_at_events, self._wake_at_bytes = _NEVER, _NEVER
        times = [self._next_sweep]
        if not self._circuit.allows(len(self._in_flight), now):
            # 1. Blocked: until the probe, or until a request in flight returns and wakes the worker.
            if self._circuit.is_waiting:
                times.append(self._circuit.probe_at)
        else:
            # 2. Idle: until the next retry, or the next event.
            times += [in_flight.not_before for in_flight in self._to_retry]
            ready, held = self._pending.ready, self.ledger.held_events
            self._wake_at_events = held + 1
            if ready:
                # 3. Lingering: until the first event has waited enough, or a batch is full.
                times.append(ready[0].admitted + self.linger)
                self._wake_at_events = held + self._limits.max_events - total(ready)
                self._wake_at_bytes = self.ledger.held_bytes + self._target_bytes
        return max(0.0, min(times) - now)

    def _sweep(self, now: float) -> None:
        """Drop what has been held for longer than the deadline, except what is in flight."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + self._sweep_interval
        if not self.ledger.held_events:
            return
        self._drain_intake()
        before = now - self.deadline
        late = self._pending.remove(before)
        for in_flight in list(self._to_retry):
            for part in in_flight.parts:
                late += [record for record in part if record.admitted < before]
                part[:] = [record for record in part if record.admitted >= before]
            self._trim(in_flight)
        self._to_retry = [in_flight for in_flight in self._to_retry if in_flight.parts]
        if late:
            logger.warning("%s: %d events dropped: deadline exceeded", self.destination.name, total(late))
            self.ledger.settle(late, "dropped", reason="deadline")

    @property
    def _sweep_interval(self) -> float:
        return min(self.deadline / _SWEEPS_PER_DEADLINE, _MAX_SWEEP_INTERVAL)

    def _postpone_sweep(self, due: float) -> None:
        """After a freeze, give what is held some time before the next sweep: it could not be sent meanwhile.

        Args:
            due: When the worker should have woken at the latest.
        """
        if (now := time.monotonic()) > due + _FROZEN:
            self._next_sweep = max(self._next_sweep, now + self._sweep_interval)

    # --- a batch in flight ------------------------------------------------------------------------------------

    async def _send(self, in_flight: InFlight, sender: Sender) -> None:
        """Send the parts one after the other, until one has to wait; runs as a task of its own."""
        try:
            while in_flight.parts and await self._attempt(in_flight, sender):
                if self._circuit.state != "closed":
                    break
        except Exception as error:
            if not is_loop_running():
                raise  # the loop was closed under the client: the request could not be given up in order
            # A bug in a codec costs this part; the lane goes on.
            self.last_error = f"crash: {type(error).__name__}"
            lost = unsettled(in_flight.parts.popleft())
            logger.exception("%s: %d events dropped: the codec raised", self.destination.name, total(lost))
            self.ledger.settle(lost, "dropped", reason="crash")
        finally:
            # Also when cancelled: what is unsettled is sent again, by this worker or the next, or abandoned.
            self._circuit.returned(in_flight.generation)
            self._in_flight.discard(in_flight)
            for part in in_flight.parts:
                part[:] = unsettled(part)
            self._trim(in_flight)
            if in_flight.parts:
                self._to_retry.append(in_flight)
            self.ledger.wake_flushes()
            self._wake.set()

    async def _attempt(self, in_flight: InFlight, sender: Sender) -> bool:
        """Send the first part and carry out the verdict; return whether the next part may be sent at once."""
        part = in_flight.parts[0]
        request, response, verdict = await self._exchange(part, sender, uncompressed=in_flight.uncompressed)
        self.last_error = verdict.reason or self.last_error
        # 1. The vendor takes nothing until a person acts.
        if verdict.halt:
            self.ledger.record_attempt(part, response.status, verdict.reason)
            self._refuse(in_flight, request, response, verdict)
            return False
        # 2. It took nothing, because of one of these events or their size.
        if verdict.halve:
            return self._halve(in_flight, response, verdict)
        # 3. It says what became of each event.
        return self._apply(in_flight, response, verdict)

    async def _exchange(self, part: Batch, sender: Sender, *, uncompressed: bool) -> Exchange:
        """Send a batch, and judge the answer."""
        chunks = list(map(chunk_of, part))
        request = self.destination.frame(chunks, int(time.time() * 1000))
        response = await sender.send(request, uncompressed=uncompressed)
        return Exchange(request, response, self.destination.judge(response, chunks))

    def _apply(self, in_flight: InFlight, response: Response, verdict: Verdict) -> bool:
        """Settle each event of the first part, or leave it for the next attempt, as the verdict says."""
        ledger, part = self.ledger, in_flight.parts[0]
        sorted_ = sort_out(part, verdict)
        ledger.record_attempt(sorted_.resend + sorted_.retry + sorted_.paused, response.status, verdict.reason)
        # 1. Delivered and rejected events are settled; the others stay in the part.
        ledger.settle(sorted_.delivered, self.accepted_status, response.status, answered=True)
        for reason in {reason for _, reason in sorted_.rejected}:
            rejected = [record for record, why in sorted_.rejected if why == reason]
            ledger.settle(rejected, "rejected", response.status, reason, answered=True)
        part[:] = unsettled(part)
        # 2. Paused events, and all others of their keys, wait in an `InFlight` of their own.
        if sorted_.paused:
            self._pause(in_flight, keys_of(sorted_.paused), verdict.pause_for)
        # 3. Events to retry wait for the circuit, with the rest of the part.
        if sorted_.retry or verdict.backoff:
            in_flight.uncompressed = in_flight.uncompressed or verdict.uncompressed
            self._fail(in_flight, response, verdict)
            return False
        # 4. Events to resend are what is left of the part: the next attempt sends them.
        self._succeed(in_flight)
        return True

    def _halve(self, in_flight: InFlight, response: Response, verdict: Verdict) -> bool:
        """Search for the event that the vendor refuses, by halving the part; reject it once it is alone."""
        part = in_flight.parts[0]
        # 1. The refusal may pass: retry the part as it is, `halve_after` times.
        if in_flight.refusals < verdict.halve_after:
            in_flight.refusals += 1
            self.ledger.record_attempt(part, response.status, verdict.reason)
            self._fail(in_flight, response, verdict)
            return False
        in_flight.parts.popleft()
        if total(part) == 1:
            # 2. It is alone: it is the cause.
            self.ledger.settle(part, "rejected", response.status, verdict.reason, answered=True)
        else:
            # 3. Send the halves next, in order.
            self.ledger.record_attempt(part, response.status, verdict.reason)
            pieces = halve(part)
            # Halves of a bundle of exposures are smaller than the bundle by one separator.
            self.ledger.held_bytes += sum(map(size_of, pieces)) - size_of(part)
            in_flight.parts.extendleft(reversed(pieces))
        self._succeed(in_flight)
        if verdict.too_large:
            self._target_bytes = max(1, size_of(part) // 2)
        return True

    def _refuse(self, in_flight: InFlight, request: Request, response: Response, verdict: Verdict) -> None:
        """Leave the part for later. If the vendor takes others, only this batch has to wait."""
        now, circuit = time.monotonic(), self._circuit
        in_flight.halts += 1
        in_flight.halted_at = now
        in_flight.not_before = now + refusal_wait(in_flight.halts, self._limits.probe_interval)
        if circuit.refused(in_flight.generation, now):
            events = self.ledger.held_events
            self._trouble.record_refusal(request, response, verdict, events=events, halted=circuit.halted)

    def _fail(self, in_flight: InFlight, response: Response, verdict: Verdict) -> None:
        now = time.monotonic()
        if self._circuit.failed(in_flight.generation, now, verdict.retry_after):
            self._trouble.record_failure(response, verdict, self._circuit.probe_at - now)

    def _succeed(self, in_flight: InFlight) -> None:
        """Record an answer of a working vendor; reduced requests grow back by a tenth of their full size."""
        self._trim(in_flight)
        self._progress_at = time.monotonic()
        self._wake.set()  # fewer events are held now: the worker has to set its thresholds again
        in_flight.halts = 0
        if self._circuit.answered(in_flight.generation):
            self._trouble.record_success()
        if self._target_bytes < self._limits.max_bytes:
            self._target_bytes = min(self._limits.max_bytes, self._target_bytes + self._limits.max_bytes // 10)

    def _pause(self, in_flight: InFlight, keys: set[str], seconds: float) -> None:
        """Move everything of `keys`, and of keys linked to them by aliases, to an `InFlight` that waits."""
        keys = linked_keys(keys, in_flight.records)
        paused: deque[Batch] = deque()
        for part in in_flight.parts:
            paused.append([record for record in part if not keys.isdisjoint(record.keys)])
            part[:] = [record for record in part if keys.isdisjoint(record.keys)]
        paused_keys = {key for part in paused for key in keys_of(part)}
        in_flight.keys -= paused_keys
        self._to_retry.append(InFlight(paused, paused_keys, time.monotonic() + at_least(seconds)))

    def _trim(self, in_flight: InFlight) -> None:
        """Remove the parts that are empty, and release the keys that are no longer needed."""
        in_flight.parts = deque(part for part in in_flight.parts if part)
        needed = {key for part in in_flight.parts for key in keys_of(part)}
        self._pending.release(in_flight.keys - needed if needed else in_flight.keys)
        in_flight.keys = needed
