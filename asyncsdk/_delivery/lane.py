"""One destination's queue and the tasks that empty it.

An admitted event goes on the lane's `asyncio.Queue`, in a batch that stays open until it is taken; the worker (`run`)
moves it to `Pending`, fills batches by count, bytes and linger, and sends each as a `InFlight` task of its own, as many
at once as the circuit allows. What a vendor's answer means is decided by pure functions (`judge`, `sort_out`,
`Circuit`); this module only carries it out.
"""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Collection, Sequence
from typing import Literal, Protocol

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
from asyncsdk._delivery.circuit import Circuit
from asyncsdk._delivery.ledger import Ledger
from asyncsdk._delivery.pending import InFlight, Pending
from asyncsdk._model.receipts import Record
from asyncsdk._model.reports import DestinationHealth
from asyncsdk.vendors._base import Destination, Request, Response, Verdict

logger = logging.getLogger("asyncsdk.delivery")

_NEVER = sys.maxsize
# Late events are looked for this often, in parts of the deadline.
_SWEEPS_PER_DEADLINE, _SWEEP_AT_LEAST_EVERY = 20, 60.0


class Sender(Protocol):
    """What a lane needs of a transport."""

    async def send(self, request: Request, *, plain: bool = False) -> Response:
        """Post a request; trouble is a response without a status."""
        ...


class Lane:
    """Everything between the admission of an event and its fate, for one destination.

    Attributes:
        destination: The vendor's codec.
        ledger: What is held, and how it leaves.
        linger: Longest an event waits for company, in seconds.
        deadline: Longest an event is held, in seconds.
        last_error: The latest failure, in a few words.
    """

    def __init__(self, destination: Destination) -> None:
        """Make an empty lane; needs no running loop."""
        self.destination = destination
        self.ledger = Ledger(destination.name, destination.limits)
        self.linger = destination.limits.linger
        self.deadline = destination.limits.deadline
        self.last_error = ""
        self._limits = destination.limits
        # An operation on the queue costs ten times an append to the batch that is open at its end.
        self._intake: asyncio.Queue[Batch] = asyncio.Queue()
        self._open: Batch = []
        self._pending = Pending()
        self._waiting: list[InFlight] = []
        self._flying: set[InFlight] = set()
        self._circuit = Circuit(destination.limits)
        self._target_bytes = destination.limits.max_bytes
        self._flushes = 0
        self._next_sweep = 0.0
        self._wake = asyncio.Event()
        self._wake_at_events = 1
        self._wake_at_bytes = _NEVER

    def offer(self, record: Record) -> bool:
        """Take an event, if there is room."""
        ledger, batch = self.ledger, self._open
        if not ledger.hold(record):
            return False
        if not batch:
            self._intake.put_nowait(batch)
        batch.append(record)
        if ledger.held_events >= self._wake_at_events or ledger.held_bytes >= self._wake_at_bytes:
            self._wake.set()
        return True

    def offer_exposures(self, records: Sequence[Record]) -> bool:
        """Take exposures, if there is room for all of them."""
        ledger = self.ledger
        if not ledger.hold_exposures(records):
            return False
        self._add(records)
        if ledger.held_events >= self._wake_at_events or ledger.held_bytes >= self._wake_at_bytes:
            self._wake.set()
        return True

    def admit(self, records: Sequence[Record]) -> None:
        """Take events that a spool has, whether there is room or not."""
        if not records:
            return
        self.ledger.hold_accepted(records)
        self._add(records)
        self._wake.set()

    def _add(self, records: Sequence[Record]) -> None:
        if not self._open:
            self._intake.put_nowait(self._open)
        self._open += records

    async def flush(self, closing_at: float | None = None) -> None:
        """Send at once, and return when everything that was offered before the call has met its fate.

        Args:
            closing_at: The client closes then: return early when nothing more can be sent before that.
        """
        self._flushes += 1
        self._circuit.skip_wait(time.monotonic(), closing_at)
        self._wake.set()
        try:
            await self.ledger.wait_settled(lambda: closing_at is not None and self.is_blocked_until(closing_at))
        finally:
            self._flushes -= 1

    def is_blocked_until(self, until: float) -> bool:
        """Say whether nothing more can be sent before `until`."""
        return not self._flying and self._circuit.is_blocked_until(until)

    def abandon(self) -> int:
        """Give up everything that has no fate yet, once the worker has ended; say how much it was."""
        left = self.remaining()
        self._pending.remove()
        self._waiting.clear()
        self.ledger.settle(left, "abandoned", reason="closed before it was delivered")
        self.ledger.wake_room_waiters()
        return total(left)

    def remaining(self) -> Batch:
        """Give everything that has no fate yet, once the worker has ended."""
        self._pull()
        self._recover()
        records = [record for flight in self._waiting for record in flight.records] + self._pending.all_records()
        return unsettled(records)

    def health(self) -> DestinationHealth:
        """Tell how the lane is doing."""
        circuit = self._circuit
        state: Literal["ok", "retrying", "halted"] = "ok" if circuit.state == "closed" else "retrying"
        return DestinationHealth(
            state="halted" if circuit.halted else state,
            queued_events=self.ledger.held_events,
            queued_bytes=self.ledger.held_bytes,
            requests_in_flight=len(self._flying),
            last_error=self.last_error,
            retry_in=max(0.0, circuit.probe_at - time.monotonic()) if circuit.state == "open" else 0.0,
            counts=self.ledger.report(),
            retries=self.ledger.retries,
            oldest=self._oldest(time.monotonic()),
        )

    def _oldest(self, now: float) -> float:
        """Say how long the oldest event has been held. Copies what it walks: others may ask from their threads."""
        flights = [*list(self._flying), *list(self._waiting)]
        held = [self._open[:1], self._pending.heads(), *(part for flight in flights for part in list(flight.parts))]
        return max((now - record.admitted for records in held for record in records), default=0.0)

    # --- the worker -------------------------------------------------------------------------------------------

    async def run(self, sender: Sender) -> None:
        """Send what arrives, until cancelled. May be started again after a crash: nothing is forgotten."""
        loop = asyncio.get_running_loop()
        self._recover()
        async with asyncio.TaskGroup() as flights:
            while True:
                self._wake.clear()
                now = time.monotonic()
                self._sweep(now)
                while (flight := self._next(now)) is not None:
                    self._flying.add(flight)
                    flight.generation = self._circuit.begin_request()
                    flights.create_task(self._send(flight, sender))
                alarm = loop.call_later(self._until_next_look(now), self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    alarm.cancel()

    def _recover(self) -> None:
        """Take back flights whose task was cancelled before its first step: no `finally` of theirs ran."""
        for flight in list(self._flying):
            self._circuit.returned(flight.generation)
            self._waiting.append(flight)
        self._flying.clear()

    def _next(self, now: float) -> InFlight | None:
        """Pick the flight that may leave now; those that wait for a retry go first."""
        if not self._circuit.allows(len(self._flying), now):
            return None
        for position, flight in enumerate(self._waiting):
            if flight.not_before <= now:
                return self._waiting.pop(position)
        while self._is_due(now):
            if (taken := self._pending.next_batch(self._limits.max_events, self._target_bytes)) is not None:
                return taken
        return None

    def _is_due(self, now: float) -> bool:
        """Say whether what is queued should wait no longer for company."""
        ready, arrived = self._pending.ready, self._pull()
        if self._pending.needs_recheck:
            return True
        if not ready:
            return False
        if self._flushes or self._fills_a_batch(ready) or size_of(arrived) >= self._target_bytes:
            return True
        return now >= ready[0].admitted + self.linger

    def _fills_a_batch(self, ready: Collection[Record]) -> bool:
        most = self._limits.max_events
        return len(ready) >= most or total(ready) >= most  # the first is quick, however much is ready

    def _pull(self) -> Batch:
        """Move what arrived from the intake to the pending ones."""
        arrived: Batch = self._intake.get_nowait() if self._open else []
        self._open = []
        self._pending.ready.extend(arrived)
        return arrived

    def _until_next_look(self, now: float) -> float:
        """Say in how many seconds something is due, and note how much must be held for a look before that."""
        self._wake_at_events, self._wake_at_bytes = _NEVER, _NEVER
        times = [self._next_sweep]
        if not self._circuit.allows(len(self._flying), now):
            if self._circuit.state == "open":
                times.append(self._circuit.probe_at)
        else:
            times += [flight.not_before for flight in self._waiting]
            ready, held = self._pending.ready, self.ledger.held_events
            self._wake_at_events = held + 1
            if ready:
                times.append(ready[0].admitted + self.linger)
                self._wake_at_events = held + self._limits.max_events - total(ready)
                self._wake_at_bytes = self.ledger.held_bytes + self._target_bytes
        return max(0.0, min(times) - now)

    def _sweep(self, now: float) -> None:
        """Drop what has been held for longer than the deadline, wherever it waits."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + min(self.deadline / _SWEEPS_PER_DEADLINE, _SWEEP_AT_LEAST_EVERY)
        if not self.ledger.held_events:
            return
        self._pull()
        before = now - self.deadline
        late = self._pending.remove(before)
        for flight in list(self._waiting):
            for part in flight.parts:
                late += [record for record in part if record.admitted < before]
                part[:] = [record for record in part if record.admitted >= before]
            self._trim(flight)
        self._waiting = [flight for flight in self._waiting if flight.parts]
        if late:
            logger.warning("%s: %d events dropped: not delivered in time", self.destination.name, total(late))
            self.ledger.settle(late, "dropped", reason="deadline")

    # --- a flight ---------------------------------------------------------------------------------------------

    async def _send(self, flight: InFlight, sender: Sender) -> None:
        try:
            while flight.parts and await self._attempt(flight, sender):
                if self._circuit.state == "open":
                    break
        except Exception as error:
            # A bug in a codec costs its batch, and the lane goes on.
            self.last_error = f"crash: {type(error).__name__}"
            lost = unsettled(flight.parts.popleft())
            logger.exception("%s: %d events dropped: their codec failed", self.destination.name, total(lost))
            self.ledger.settle(lost, "dropped", reason="crash")
        finally:
            self._circuit.returned(flight.generation)
            self._flying.discard(flight)
            for part in flight.parts:
                part[:] = unsettled(part)
            self._trim(flight)
            if flight.parts:
                self._waiting.append(flight)
            self.ledger.wake_flushes()
            self._wake.set()

    async def _attempt(self, flight: InFlight, sender: Sender) -> bool:
        """Send the first part and carry out the verdict; True when the flight may go on at once."""
        part = flight.parts[0]
        chunks = list(map(chunk_of, part))
        request = self.destination.frame(chunks, int(time.time() * 1000))
        response = await sender.send(request, plain=flight.plain)
        verdict = self.destination.judge(response, chunks)
        self.last_error = verdict.reason or self.last_error
        if verdict.halt:
            self.ledger.record_attempt(part, response.status, verdict.reason)
            self._halt(flight, verdict)
            return False
        if verdict.halve:
            return self._halve(flight, response, verdict)
        return self._deal_out(flight, response, verdict)

    def _deal_out(self, flight: InFlight, response: Response, verdict: Verdict) -> bool:
        """Give each event of the first part its fate, or its place for the next attempt."""
        ledger, part = self.ledger, flight.parts[0]
        outcome = sort_out(part, verdict)
        remaining = outcome.resend + outcome.retry + outcome.paused
        ledger.record_attempt(remaining, response.status, verdict.reason)
        ledger.settle(outcome.delivered, "delivered", response.status, answered=True)
        for reason in {reason for _, reason in outcome.rejected}:
            refused = [record for record, why in outcome.rejected if why == reason]
            ledger.settle(refused, "rejected", response.status, reason, answered=True)
        part[:] = unsettled(part)
        if outcome.paused:
            self._pause(flight, keys_of(outcome.paused), verdict.pause_for)
        if outcome.retry or verdict.backoff:
            flight.plain = flight.plain or verdict.uncompressed
            self._fail(flight, verdict)
            return False
        self._succeed(flight)
        return True

    def _halve(self, flight: InFlight, response: Response, verdict: Verdict) -> bool:
        """Look for the event that is to blame; when it is found, reject it."""
        part = flight.parts[0]
        if flight.refusals < verdict.halve_after:
            flight.refusals += 1
            self.ledger.record_attempt(part, response.status, verdict.reason)
            self._fail(flight, verdict)
            return False
        flight.parts.popleft()
        if total(part) == 1:
            self.ledger.settle(part, "rejected", response.status, verdict.reason, answered=True)
        else:
            self.ledger.record_attempt(part, response.status, verdict.reason)
            pieces = halve(part)
            self.ledger.held_bytes += sum(map(size_of, pieces)) - size_of(part)
            flight.parts.extendleft(reversed(pieces))
        self._succeed(flight)
        if verdict.too_large:
            self._target_bytes = max(1, size_of(part) // 2)
        return True

    def _halt(self, flight: InFlight, verdict: Verdict) -> None:
        if self._circuit.halt(flight.generation, time.monotonic()):
            logger.error(
                "%s refuses its key, address or certificate (%s): put it right; %d events wait until their deadline",
                self.destination.name,
                verdict.reason,
                self.ledger.held_events,
            )

    def _fail(self, flight: InFlight, verdict: Verdict) -> None:
        if self._circuit.failed(flight.generation, time.monotonic(), verdict.retry_after):
            logger.warning("%s: %s; trying again until it is well", self.destination.name, verdict.reason)

    def _succeed(self, flight: InFlight) -> None:
        """Note an answer; requests that were made smaller grow back to their full size."""
        self._trim(flight)
        self._wake.set()  # it counts from what is held, which is less now
        if self._circuit.answered(flight.generation):
            logger.warning("%s: is well again", self.destination.name)
        if self._target_bytes < self._limits.max_bytes:
            self._target_bytes = min(self._limits.max_bytes, self._target_bytes + self._limits.max_bytes // 10)

    def _pause(self, flight: InFlight, keys: set[str], seconds: float) -> None:
        """Let everything of `keys`, and what aliases tie to them, wait in a flight of its own; the rest goes on."""
        keys = linked_keys(keys, flight.records)
        apart: deque[Batch] = deque()
        for part in flight.parts:
            apart.append([record for record in part if not keys.isdisjoint(record.keys)])
            part[:] = [record for record in part if keys.isdisjoint(record.keys)]
        held = {key for part in apart for key in keys_of(part)}
        flight.keys -= held
        self._waiting.append(InFlight(apart, held, time.monotonic() + seconds))

    def _trim(self, flight: InFlight) -> None:
        """Forget the parts of a flight that are empty, and let go of the keys it no longer needs."""
        flight.parts = deque(part for part in flight.parts if part)
        needed = {key for part in flight.parts for key in keys_of(part)}
        self._pending.release(flight.keys - needed if needed else flight.keys)
        flight.keys = needed
