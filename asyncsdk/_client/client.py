"""The client: its lifecycle, its event intake, and the choice of how lookups are answered.

Only this file decides which jobs run, in which order a client starts, drains and ends, and how an event is admitted.
The verbs are in `EventVerbs`, `LookupVerbs`, `OverrideVerbs` and `HookVerbs`; the states in `Lifecycle`.

A client ends in one of four ways:

    aclose        begin_drain, flush until the deadline, close_intake, flush what came meanwhile, cancel the jobs
    SIGTERM       with `drain_on_sigterm`: flush without lingering; the server calls `aclose` afterwards
    cancelled     the group of jobs is cancelled from outside: it commits to the spool, then ends
    failed entry  `__aenter__` raised: cancel the jobs at once

All of them lead to `_ended`, once: it abandons what is left, builds the final report and logs it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter
from types import TracebackType
from typing import Any, Self

from asyncsdk._client import jobs
from asyncsdk._client.arguments import check_destinations, dev_server, http_settings, seconds, switch
from asyncsdk._client.hooks import Hooks, HookVerbs, guarded
from asyncsdk._client.signals import SignalDrain
from asyncsdk._delivery.lane import Lane
from asyncsdk._delivery.ledger import wait_final
from asyncsdk._delivery.spool.setting import DEV_SUFFIX, SpoolLike, create_spooler, with_message_ids
from asyncsdk._events.admission import Admission
from asyncsdk._events.pacing import Pacer
from asyncsdk._events.verbs import EventVerbs
from asyncsdk._lifecycle import Job, Lifecycle, warn_forgotten
from asyncsdk._lookups.assignments import create_assignments
from asyncsdk._lookups.evaluator import Lookups, NoRules, RulesHolder, WatchedLookups
from asyncsdk._lookups.exposures import Exposures
from asyncsdk._lookups.overrides import OverrideVerbs
from asyncsdk._lookups.verbs import LookupVerbs
from asyncsdk._model.events import Event
from asyncsdk._model.http import HttpSettings
from asyncsdk._model.receipts import Delivery, Receipt, Record
from asyncsdk._model.reports import Health, Report, StartReport
from asyncsdk._refresh import Refresher
from asyncsdk.errors import StartError
from asyncsdk.vendors._base import Destination
from asyncsdk.vendors.statsig import Statsig

logger = logging.getLogger("asyncsdk")

# Part of the close timeout, in seconds, reserved for cancelling requests and closing connections.
_TO_STOP = 0.1
# Seconds that `aclose` then waits for the jobs to end, before it returns anyway.
_STOP_GRACE = 1.0


class Client(EventVerbs, LookupVerbs, OverrideVerbs, HookVerbs):
    """One client for gates and events: all that a service needs of Statsig, RudderStack and Amplitude.

    Constructing a client does no I/O and needs no running loop, so it can be a module-level global. It belongs to the
    event loop and the process that start it.

    Args:
        *destinations: Where events go: `Statsig(...)`, `RudderStack(...)`, `Amplitude(...)`. Two of the same vendor
            need different names.
        default: Converts a value within an event that JSON cannot represent to one that it can, or raises TypeError,
            like `default` of `json.dumps`. None: such a value raises `InvalidEventError`.
        on_delivery: Called on the loop with the id and the `Delivery` of every event at every destination, once its
            status is final. It must not block; what it raises is logged.
        drain_on_sigterm: On SIGTERM, send at once what is queued, and later events as they come; see `signals.py`.
        http: Proxy, TLS and headers of all requests, unless a destination has its own `http`; None connects directly.
        spool: A folder on this machine, or `SqliteSpool(...)`: an awaited event verb then returns when the event is on
            disk, and it is delivered from there even if this process is killed. None keeps events in memory only.
        exposures: False reports no exposures to any destination, not even those of `log_exposure`, for load tests and
            replicas. Rules, lookups and events are unaffected.
        start_timeout: Maximum time that `start`, and lookups meanwhile, wait for the first rules, in seconds.
        close_timeout: Maximum time that `aclose`, and so `async with`, takes to deliver what is queued, in seconds.

    Raises:
        ConfigurationError: Two destinations have the same name, one is not a destination, `on_delivery` is async, or a
            setting has the wrong type.
    """

    def __init__(
        self,
        *destinations: Destination,
        default: Callable[[Any], Any] | None = None,
        on_delivery: Callable[[str, Delivery], object] | None = None,
        drain_on_sigterm: bool = False,
        http: HttpSettings | None = None,
        spool: SpoolLike = None,
        exposures: bool = True,
        start_timeout: float = 3.0,
        close_timeout: float = 5.0,
    ) -> None:
        check_destinations(destinations)
        exposures = switch(exposures, "exposures")
        jobs.load()
        self._http = {given.name: http_settings(given, http) for given in destinations}
        destinations = destinations if spool is None else with_message_ids(destinations)
        on_final = None if on_delivery is None else guarded(on_delivery, "on_delivery")
        self._lanes = [Lane(destination) for destination in destinations]
        self._admission = Admission(self._lanes, self._until_final, keep_ids=on_delivery is not None)
        self._admission.default = default
        self._life = Lifecycle()
        self._start_timeout = start_timeout
        self._close_timeout = seconds(close_timeout)
        source = next((given for given in destinations if isinstance(given, Statsig)), None)
        self._refresher = None if source is None or source.rules is None else Refresher(source)
        self._holder: RulesHolder = self._refresher or NoRules()
        self._spooler = create_spooler(spool, self._lanes)
        self._admission.may_wait |= self._spooler is not None
        # With a spool, a verb waits for the disk; with `overflow="wait"`, for room.
        paced = self._lanes if self._spooler is None else []
        self._pacer = Pacer([lane for lane in paced if lane.destination.overflow != "wait"])
        lane = next((lane for lane in self._lanes if lane.destination is source and not source.offline), None)
        way = attrgetter("offer_exposures") if self._spooler is None else self._spooler.exposure_intake
        self._exposures = Exposures(
            self._life,
            self._lanes if exposures else (),
            self._admission.ids,
            redact=self._admission.pipeline.redact,
            enqueue_for=way,
            statsig_lane=lane if exposures else None,
        )
        self._assignments = create_assignments(source, self._life)
        self._hooks = Hooks()
        self._is_starting = False
        self._choose_path()
        self._drain_on_sigterm = switch(drain_on_sigterm, "drain_on_sigterm")
        self._signal: SignalDrain | None = None
        self._closing: asyncio.Future[Report] | None = None
        self._began_to_close = 0.0
        for lane in self._lanes:
            lane.ledger.on_final = on_final
            lane.ledger.on_settled = self._hooks.on_settled

    def __repr__(self) -> str:
        names = ", ".join(lane.destination.name for lane in self._lanes)
        return f"<Client {self._life.state} [{names}]: {self._unsent()} events pending>"

    # --- lifecycle --------------------------------------------------------------------------------------------

    async def start(self, *, require_ready: bool = False) -> StartReport:
        """Start delivering events and polling for rules, on the running loop. A second call changes nothing.

        Returns when the first rules have arrived, or after `start_timeout`. A vendor that is down does not keep a
        service from starting: until it is back, lookups return their fallbacks.

        Args:
            require_ready: If there are no rules in time, close the client and raise.

        Returns:
            Whether there are rules, where they came from, and the seconds it took.

        Raises:
            StartError: There are no rules, and `require_ready` is set.
            ClientClosedError: The client was closed; create another.
            WrongEventLoopError: It runs on another loop.
            ForkedProcessError: It was started in the parent of this process.
        """
        began = time.monotonic()
        if self._life.state == "new":
            self._launch(dev_server())
        self._life.check_admission()
        self._life.check_loop()
        ready = await self.wait_ready(self._start_timeout)
        self._is_starting = False
        self._choose_path()
        source = self._holder.rules.source if ready and self._refresher is not None else ""
        if require_ready and not ready:
            await self.aclose(timeout=_STOP_GRACE)
            msg = f"no rules within {self._start_timeout} s: check the secret key and the network; the log has details"
            raise StartError(msg)
        return StartReport(ready, source, time.monotonic() - began)

    async def wait_ready(self, timeout: float = 3.0) -> bool:
        """Wait for the first rules.

        Args:
            timeout: Maximum time to wait, in seconds.

        Returns:
            True if there are rules, or the client has no source of rules; False after the timeout.
        """
        return self._refresher is None or await self._refresher.wait_ready(timeout)

    async def refresh_rules(self, timeout: float = 10.0) -> bool:
        """Request the rules and the ID lists now, instead of at the next poll, and wait until they are in use.

        This also reads a bootstrap file that has changed; offline, it does nothing else. Concurrent calls share one
        request.

        Args:
            timeout: Maximum time to wait, in seconds; the request goes on after it.

        Returns:
            True if lookups now have what the vendor has, or the client has no source of rules; False after a failure
            (see `health().rules.last_error`) or the timeout.

        Raises:
            ConfigurationError: `timeout` is not a number of seconds.
            ClientClosedError: The client is not started, or it is closed.
            WrongEventLoopError: The client runs on another event loop.
            ForkedProcessError: The client was started in the parent process.
        """
        timeout = seconds(timeout)
        self._life.check_caller()
        return self._refresher is None or await self._refresher.refresh(timeout)

    async def aclose(self, timeout: float | None = None) -> Report:
        """Deliver what is queued, then stop. Safe to call twice.

        Events are still admitted while it delivers. What is not final at the end is abandoned, or stays in the spool;
        the report counts it, and one log line says so.

        Args:
            timeout: Maximum time for delivery, in seconds; None takes the client's `close_timeout`.

        Returns:
            What became of all events, per destination.

        Raises:
            ConfigurationError: `timeout` is not a number of seconds.
            WrongEventLoopError: The client runs on another loop.
        """
        life, timeout = self._life, self._close_timeout if timeout is None else seconds(timeout)
        if life.state == "new":
            life.close_intake()
            self._hooks.tasks = None
        if not life.is_in_its_process or (life.state == "closed" and self._closing is None):
            return self._report(time.monotonic(), complete=not self._unsent())
        life.check_loop()
        if self._closing is None:
            self._began_to_close = time.monotonic()
            self._closing = asyncio.get_running_loop().create_future()
            try:
                await self._drain(self._began_to_close + timeout - _TO_STOP)
            finally:
                life.close_intake()
                life.cancel()
            timeout = _STOP_GRACE
        await asyncio.wait([self._closing], timeout=timeout)
        return self._closing.result() if self._closing.done() else self._report(self._began_to_close, complete=False)

    async def flush(self, timeout: float = 5.0) -> Report:
        """Send what is queued at once, and wait until all events admitted before the call have a final status.

        Args:
            timeout: Maximum time to wait, in seconds; delivery goes on after it.

        Returns:
            The counts per destination; `complete` is False after the timeout.

        Raises:
            ConfigurationError: `timeout` is not a number of seconds.
            WrongEventLoopError: The client runs on another loop.
            ForkedProcessError: It was started in the parent of this process.
        """
        began, timeout = time.monotonic(), seconds(timeout)
        complete = True
        if self._life.takes_events:
            self._life.check_admission()
            self._life.check_loop()
            self._life.catch_up()
            complete = await self._settle(timeout)
        return self._report(began, complete=complete)

    def health(self) -> Health:
        """Return the state of the client, its rules, its spool and each destination.

        Safe from any thread, and cheap enough for a health endpoint.
        """
        if self._life.takes_here():
            self._life.catch_up()
        lanes = {lane.destination.name: lane.health() for lane in self._lanes}
        rules = None if self._refresher is None else self._refresher.health()
        spool = None if self._spooler is None else self._spooler.health()
        assignments = None if self._assignments is None else self._assignments.health()
        return Health(self._life.state, lanes, self._life.crashes, rules, spool, assignments)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self._give_up()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        life = getattr(self, "_life", None)
        if life is not None and life.takes_events and life.is_in_its_process:
            warn_forgotten(self, self._unsent() if self._spooler is None else 0)

    # --- intake: the verbs are in EventVerbs ------------------------------------------------------------------

    def put_nowait(self, event: Event) -> Receipt:
        """Admit an event without waiting: for callbacks, sync code and other threads.

        In another thread the event is validated and encoded there, and enqueued on the client's loop. A full queue then
        drops it, whatever its `overflow` is.

        Args:
            event: `Track(...)`, `Page(...)` and the like.

        Returns:
            The receipt of the event.

        Raises:
            InvalidEventError: No vendor could take it, or an async middleware waits for something.
            QueueFullError: A destination with `overflow="raise"` or `"wait"` is full; or the loop is blocked, and
                10,000 events from other threads wait for it.
            ClientClosedError: The client was not started, or is closed.
            ForkedProcessError: It was started in the parent of this process.
        """
        if self._life.takes_here():
            return self._admit(self._admission.prepare(event))
        self._life.check_admission()
        receipt = self._admission.prepare(event)
        self._life.call_soon(partial(self._admit_from_thread, receipt))
        return receipt

    async def _take(self, event: Event) -> Receipt:
        """Admit an event, and wait where `_admit` would raise: for room, or for the disk."""
        life, admission = self._life, self._admission
        if not life.takes_here():
            life.check_caller()
        pacer = self._pacer
        pacer.credits -= 1
        if pacer.credits < 0:
            await pacer.wait_turn()
            life.check_admission()
        if admission.pipeline.may_suspend:
            receipt = await admission.prepare_async(event)
            life.check_admission()
        else:
            receipt = admission.prepare(event)
        if admission.may_wait:
            if self._spooler is not None:
                return await self._spooler.put(receipt)
            await admission.wait_for_room(receipt)
            life.check_admission()
            # There is room at those that wait; only one that raises is asked again.
            return self._admit(receipt, drops=not admission.may_raise)
        return self._admit(receipt)

    def _admit(self, receipt: Receipt, *, drops: bool = False) -> Receipt:
        """Commit a prepared event on the loop: to the spool, else to every lane or, if one refuses, to none.

        Args:
            receipt: The prepared event.
            drops: Let a full destination drop it whatever its `overflow` is: no caller is there to catch an exception.

        Raises:
            QueueFullError: A destination that does not drop is full.
        """
        if self._spooler is not None:
            return self._spooler.put_nowait(receipt)
        if self._admission.may_refuse and not drops:
            self._admission.check_room(receipt)
        return self._admission.commit(receipt)

    def _admit_from_thread(self, receipt: Receipt) -> None:
        if self._life.state == "closed":
            self._admission.drop(receipt, "closed")
        else:
            self._admit(receipt, drops=True)

    async def _until_final(self, records: Sequence[Record]) -> None:
        """Wait until all of `records` have a final status."""
        self._life.check_loop()
        await wait_final(records)

    # --- lookups: the verbs are in LookupVerbs ----------------------------------------------------------------

    def _choose_path(self) -> None:
        """Set how lookups are answered: straight from the current rules, or on the long path.

        The only writer of `_lookups` and `_is_direct`. Lookups take the long path, which can wait for the first rules
        and call the functions given to `on_evaluation`, during start and while there are such functions.
        """
        watchers = tuple(self._hooks.on_evaluation)
        if watchers:
            self._lookups = WatchedLookups(self._exposures, self._assignments, watchers)
        else:
            self._lookups = Lookups(self._exposures, self._assignments)
        self._is_direct = not watchers and not self._is_starting

    async def _first_rules(self) -> None:
        """Wait for the first rules while the client starts; before and after that, return at once."""
        if self._is_starting and self._life.state == "running" and self._life.is_on_its_loop:
            await self.wait_ready(self._start_timeout)

    # --- the end ----------------------------------------------------------------------------------------------

    def _launch(self, dev_url: str | None) -> None:
        """Start all jobs."""
        self._admission.ids.renew()
        own_tasks = self._hooks.tasks or []
        self._hooks.tasks = None
        todo = [(lane.destination.name, self._delivery_job(lane, dev_url)) for lane in self._lanes]
        if self._refresher is not None:
            http = self._http[self._refresher.name]
            todo.append(("rules", jobs.refresh(self._refresher, dev_url, self._hooks.on_request, http)))
            todo.append(("exposure windows", jobs.windows(self._exposures.window)))
            self._is_starting = True
            self._choose_path()
        if self._assignments is not None:
            todo.append(("sticky assignments", self._assignments.run))
        last = None
        if self._spooler is not None:
            self._spooler.set_label_suffix(DEV_SUFFIX if dev_url else "")
            self._spooler.scan()  # before the first event, so that what an earlier process left is sent first
            todo.append(("spool", jobs.adoption(self._spooler)))
            last = jobs.last_commit(self._spooler, self._stop_intake)
        self._life.start(todo + own_tasks, self._ended, last)
        if self._drain_on_sigterm:
            self._signal = SignalDrain(asyncio.get_running_loop(), self._drain_for_signal, self._unsent)

    def _delivery_job(self, lane: Lane, dev_url: str | None) -> Job:
        return jobs.delivery(lane, dev_url, self._hooks.on_request, self._http[lane.destination.name])

    def _give_up(self) -> None:
        """Stop at once: `aclose` will not be called, because entering the client failed."""
        if self._life.state == "running" and self._life.is_on_its_loop:
            self._began_to_close = time.monotonic()
            self._closing = asyncio.get_running_loop().create_future()
            self._life.close_intake()
            self._life.cancel()

    async def _drain_for_signal(self) -> Report:
        self._stop_lingering()
        return await (self.flush(self._close_timeout) if self._closing is None else self.aclose())

    def _stop_lingering(self) -> None:
        for lane in self._lanes:
            lane.linger = 0.0

    async def _settle(self, seconds: float, closing_at: float | None = None) -> bool:
        """Flush every lane and the sticky assignments; return False if time ran out."""
        assignments = self._assignments
        if not self._unsent() and (assignments is None or not assignments.unsaved):
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                flush = Lane.flush if self._spooler is None else self._spooler.flush
                for lane in self._lanes:
                    group.create_task(flush(lane, closing_at))
                if assignments is not None:
                    group.create_task(assignments.flush())
            return True
        return False

    async def _drain(self, deadline: float) -> None:
        """Deliver what is queued, close the intake, then deliver what came in the meantime."""
        self._life.begin_drain()
        self._life.catch_up()
        self._stop_lingering()
        await self._settle(deadline - time.monotonic(), deadline)
        self._stop_intake()
        await self._settle(deadline - time.monotonic(), deadline)

    def _stop_intake(self) -> None:
        """Admit what other threads have put so far, then nothing more."""
        self._life.catch_up()
        self._life.close_intake()

    def _ended(self) -> None:
        """Build the final report once all tasks have ended, whether closed or cancelled."""
        if forgotten := self._closing is None:
            self._closing = asyncio.get_running_loop().create_future()
            self._began_to_close = time.monotonic()
        self._life.close_intake()
        if self._signal is not None:
            self._signal.remove()
        self._life.catch_up()
        unsent = self._unsent()
        for lane in self._lanes:
            lane.abandon()
        if self._assignments is not None:
            self._assignments.abandon()
        report = self._report(self._began_to_close)
        lost = sum(counts.lost for counts in report.destinations.values())
        logger.log(logging.WARNING if lost else logging.INFO, "closed in %.2f s; %s", report.seconds, report)
        self._closing.set_result(report)
        if forgotten:
            warn_forgotten(self, unsent)

    def _report(self, began: float, *, complete: bool = True) -> Report:
        counts = {lane.destination.name: lane.ledger.report() for lane in self._lanes}
        whole = complete and not any(count.abandoned for count in counts.values())
        return Report(counts, time.monotonic() - began, whole)

    def _unsent(self) -> int:
        held = sum(lane.ledger.held_events for lane in self._lanes) + self._exposures.pending_count
        return held if self._spooler is None else held + self._spooler.unsent
