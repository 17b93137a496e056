"""The client: event verbs, and the life of the tasks behind them."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter
from types import TracebackType
from typing import Self

from asyncsdk._client import jobs as _jobs
from asyncsdk._client.arguments import check_destinations, dev_server, seconds
from asyncsdk._client.hooks import HookVerbs, guarded
from asyncsdk._client.signals import SignalDrain
from asyncsdk._delivery.lane import Lane
from asyncsdk._delivery.ledger import wait_final
from asyncsdk._delivery.spool.setting import DEV_SUFFIX, SpoolLike, create_spooler, with_message_ids
from asyncsdk._events.admission import Admission
from asyncsdk._events.verbs import EventVerbs
from asyncsdk._lifecycle import Job, Lifecycle, warn_forgotten
from asyncsdk._lookups.assignments import make_assignments
from asyncsdk._lookups.evaluator import Lookups, NoRules, RulesHolder, WatchedLookups
from asyncsdk._lookups.exposures import Exposures
from asyncsdk._lookups.verbs import LookupVerbs
from asyncsdk._model.events import Event
from asyncsdk._model.receipts import Delivery, Receipt, Record
from asyncsdk._model.reports import Health, Report, StartReport, Watch
from asyncsdk._refresh import Refresher
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk.errors import StartError
from asyncsdk.vendors._base import Destination
from asyncsdk.vendors.statsig import Statsig

logger = logging.getLogger("asyncsdk")

# What is kept of the time to close for cancelling requests and closing connections.
_TO_STOP = 0.1
# Longest that takes before `aclose` returns without it.
_STOP_GRACE = 1.0
# Of so many events, one lets the event loop have a turn.
_TURN_EVERY = 128


class Client(EventVerbs, LookupVerbs, HookVerbs):
    """One client for gates and events: everything a service needs of Statsig, RudderStack and Amplitude.

    Making one touches no event loop and no network, so it may stand at module level. It belongs to the loop and the
    process that start it.

    Args:
        *destinations: Where events go. Two of one vendor need different names.
        on_delivery: Called on the loop with the id and the fate of every event at every destination. It must not
            block; what it raises is logged.
        drain_on_sigterm: On SIGTERM, send at once what is queued, and then what comes, whatever the server does.
        spool: A folder of this machine, or `SqliteSpool(...)`: an awaited event verb then returns when the event is on
            disk, from where it is delivered, whatever happens to this process. None keeps events in memory only.
        start_timeout: Longest that `start`, and lookups meanwhile, wait for the first rules, in seconds.
        close_timeout: What `aclose`, and so `async with`, takes to deliver what is queued, in seconds.

    Raises:
        ConfigurationError: Two destinations have one name, or one is none; or `on_delivery` would have to be awaited.
    """

    def __init__(
        self,
        *destinations: Destination,
        on_delivery: Callable[[str, Delivery], object] | None = None,
        drain_on_sigterm: bool = False,
        spool: SpoolLike = None,
        start_timeout: float = 3.0,
        close_timeout: float = 5.0,
    ) -> None:
        check_destinations(destinations)
        _jobs.load()
        destinations = destinations if spool is None else with_message_ids(destinations)
        on_final = None if on_delivery is None else guarded(on_delivery, "on_delivery")
        self._lanes = [Lane(destination) for destination in destinations]
        self._admission = Admission(self._lanes, self._until_final, keep_ids=on_delivery is not None)
        self._life = Lifecycle()
        self._start_timeout = start_timeout
        self._close_timeout = seconds(close_timeout)
        source = next((given for given in destinations if isinstance(given, Statsig)), None)
        self._refresher = None if source is None or source.rules is None else Refresher(source)
        self._holder: RulesHolder = self._refresher or NoRules()
        self._awaits_rules = self._takes_detour = False
        self._overrides = Overrides()
        self._spooler = create_spooler(spool, self._lanes)
        self._admission.may_wait |= self._spooler is not None
        lane = next((lane for lane in self._lanes if lane.destination is source and not source.offline), None)
        way = attrgetter("offer_exposures") if self._spooler is None else self._spooler.exposure_intake
        self._exposures = Exposures(
            self._life,
            self._lanes,
            self._admission.ids,
            redact=self._admission.pipeline.redact,
            put_into=way,
            lane=lane,
        )
        self._assignments = make_assignments(source, self._life)
        self._lookups = Lookups(self._exposures, self._assignments)
        self._drain_on_sigterm = drain_on_sigterm
        self._signal: SignalDrain | None = None
        self._closing: asyncio.Future[Report] | None = None
        self._began_to_close = 0.0
        self._watches: list[Watch] = []
        self._own_jobs: list[tuple[str, Job]] = []
        self._taken = 0
        for lane in self._lanes:
            lane.ledger.on_final = on_final

    def __repr__(self) -> str:
        names = ", ".join(lane.destination.name for lane in self._lanes)
        return f"<Client {self._life.state} [{names}]: {self._unsent()} events pending>"

    # --- life -------------------------------------------------------------------------------------------------

    async def start(self, *, require_ready: bool = False) -> StartReport:
        """Start delivering and asking for rules, on the running loop. Starting a client that runs does nothing.

        Returns when the first rules are there, or after `start_timeout`: a vendor that is down keeps no service from
        starting, lookups answer their fallbacks until it is back.

        Args:
            require_ready: Close again and raise instead, when there are no rules in time.

        Raises:
            StartError: There are no rules, and `require_ready` wants them.
            ClientClosedError: The client was closed; make another.
            WrongEventLoopError: It runs on another loop.
            ForkedProcessError: It was started in the parent of this process.
        """
        began = time.monotonic()
        if self._life.state == "new":
            self._launch(dev_server())
        self._life.check_admission()
        self._life.check_loop()
        ready = await self.wait_ready(self._start_timeout)
        self._awaits_rules = False
        self._takes_detour = isinstance(self._lookups, WatchedLookups)
        source = self._holder.rules.source if ready and self._refresher is not None else ""
        if require_ready and not ready:
            await self.aclose(timeout=_STOP_GRACE)
            msg = f"no rules within {self._start_timeout} s: is the key right, and the network there? See the log"
            raise StartError(msg)
        return StartReport(ready, source, time.monotonic() - began)

    async def wait_ready(self, timeout: float = 3.0) -> bool:
        """Wait for the first rules, at most `timeout` seconds; True when they are there, or none are wanted."""
        return self._refresher is None or await self._refresher.wait_ready(timeout)

    async def aclose(self, timeout: float | None = None) -> Report:
        """Deliver what is queued, for at most `timeout` seconds, and stop. Safe to call twice.

        Events are still taken while it delivers. What has no fate at the end is abandoned, and the report says how
        much that is; it is also logged once.

        Args:
            timeout: None takes the client's `close_timeout`.

        Raises:
            WrongEventLoopError: The client runs on another loop.
        """
        life, timeout = self._life, self._close_timeout if timeout is None else seconds(timeout)
        if life.state == "new":
            life.state = "closed"
        if not life.is_in_its_process or (life.state == "closed" and self._closing is None):
            return self._report(time.monotonic(), complete=not self._unsent())
        life.check_loop()
        if self._closing is None:
            self._began_to_close = time.monotonic()
            self._closing = asyncio.get_running_loop().create_future()
            try:
                await self._drain(self._began_to_close + timeout - _TO_STOP)
            finally:
                life.state = "closed"
                life.cancel()
            timeout = _STOP_GRACE
        await asyncio.wait([self._closing], timeout=timeout)
        return self._closing.result() if self._closing.done() else self._report(self._began_to_close, complete=False)

    async def flush(self, timeout: float = 5.0) -> Report:
        """Send at once what is queued; return when everything accepted before the call has met its fate.

        Args:
            timeout: Longest to wait, in seconds; the report then says what is pending, and delivery goes on.

        Raises:
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
        """Tell how the client and each destination are doing; from any thread, and cheap enough for an endpoint."""
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

    # --- events: the verbs are in EventVerbs ------------------------------------------------------------------

    def put_nowait(self, event: Event) -> Receipt:
        """Take an event without waiting: for callbacks, sync code and other threads.

        From another thread the event is checked and encoded there, and queued on the client's loop; a full queue
        then drops it, whatever its `overflow`.

        Args:
            event: `Track(...)`, `Page(...)` and the like.

        Raises:
            InvalidEventError: No vendor could take it, or an async middleware waits for something.
            QueueFullError: A destination with `overflow="raise"` or `"wait"` is full; or the loop is held, and
                10,000 events of other threads wait for it.
            ClientClosedError: The client was not started, or is closed.
            ForkedProcessError: It was started in the parent of this process.
        """
        is_at_home = self._life.takes_here()
        if not is_at_home:
            self._life.check_admission()
        receipt = self._admission.prepare(event)
        if not is_at_home:
            self._life.call_soon(partial(self._commit_from_thread, receipt))
            return receipt
        if self._spooler is not None:
            return self._spooler.put_nowait(receipt)
        self._admission.check_room(receipt)
        return self._admission.commit(receipt)

    async def _take(self, event: Event) -> Receipt:
        life, admission = self._life, self._admission
        self._taken += 1
        if not self._taken % _TURN_EVERY:
            await asyncio.sleep(0)  # a loop that only tracks would leave no time for sending
        if not life.takes_here():
            life.check_caller()
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
        if admission.may_raise:
            admission.check_room(receipt)
        return admission.commit(receipt)

    def _commit_from_thread(self, receipt: Receipt) -> None:
        if self._life.state == "closed":
            self._admission.drop(receipt, "closed")
        elif self._spooler is not None:
            self._spooler.put_nowait(receipt)
        else:
            self._admission.commit(receipt)

    async def _until_final(self, records: Sequence[Record]) -> None:
        """Return when all of `records` have a fate."""
        self._life.check_loop()
        await wait_final(records)

    # --- rules: the lookups are in LookupVerbs, the hooks in HookVerbs ----------------------------------------

    async def _first_rules(self) -> Ruleset:
        """Wait with a lookup while the client starts; before and after that, lookups wait for nothing."""
        if self._life.state == "running" and self._life.is_on_its_loop:
            await self.wait_ready(self._start_timeout)
        return self._holder.rules

    def _use_overrides(self, overrides: Overrides) -> None:
        self._holder.use_overrides(overrides)

    # --- the end ----------------------------------------------------------------------------------------------

    def _launch(self, dev_url: str | None) -> None:
        """Start all jobs."""
        self._admission.ids.renew()
        jobs = [(lane.destination.name, _jobs.delivery(lane, dev_url, self._watches)) for lane in self._lanes]
        if self._refresher is not None:
            jobs.append(("rules", _jobs.refresh(self._refresher, dev_url, self._watches)))
            jobs.append(("exposure windows", _jobs.windows(self._exposures.recent)))
            self._awaits_rules = self._takes_detour = True
        if self._assignments is not None:
            jobs.append(("sticky assignments", self._assignments.run))
        last = None
        if self._spooler is not None:
            self._spooler.set_label_suffix(DEV_SUFFIX if dev_url else "")
            self._spooler.scan()  # before the first event: what was left from before goes first
            jobs.append(("spool", _jobs.adoption(self._spooler)))
            last = _jobs.last_commit(self._spooler, self._stop_intake)
        self._life.start(jobs + self._own_jobs, self._ended, last)
        if self._drain_on_sigterm:
            self._signal = SignalDrain(asyncio.get_running_loop(), self._drain_for_signal, self._unsent)

    def _give_up(self) -> None:
        """Stop at once: nobody will call `aclose`, because entering the client failed."""
        if self._life.state == "running" and self._life.is_on_its_loop:
            self._began_to_close = time.monotonic()
            self._closing = asyncio.get_running_loop().create_future()
            self._life.state = "closed"
            self._life.cancel()

    async def _drain_for_signal(self) -> Report:
        self._stop_lingering()
        return await (self.flush(self._close_timeout) if self._closing is None else self.aclose())

    def _stop_lingering(self) -> None:
        for lane in self._lanes:
            lane.linger = 0.0

    async def _settle(self, seconds: float, closing_at: float | None = None) -> bool:
        """Flush every lane, and what is to be saved; False when the time was over first."""
        kept = self._assignments
        if not self._unsent() and (kept is None or not kept.unsaved):
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                flush = Lane.flush if self._spooler is None else self._spooler.flush
                for lane in self._lanes:
                    group.create_task(flush(lane, closing_at))
                if kept is not None:
                    group.create_task(kept.flush())
            return True
        return False

    async def _drain(self, deadline: float) -> None:
        """Deliver what is queued; then take nothing more, and deliver what came in the meantime."""
        self._life.state = "draining"
        self._life.catch_up()
        self._stop_lingering()
        await self._settle(deadline - time.monotonic(), deadline)
        self._life.catch_up()
        self._life.state = "closed"
        await self._settle(deadline - time.monotonic(), deadline)

    def _stop_intake(self) -> None:
        """Take nothing more: the tasks were told to end, and what comes after the last commit would not be on disk."""
        self._life.catch_up()
        self._life.state = "closed"

    def _ended(self) -> None:
        """Close the books: the tasks are gone, through `aclose` or because somebody cancelled them."""
        if forgotten := self._closing is None:
            self._closing = asyncio.get_running_loop().create_future()
            self._began_to_close = time.monotonic()
        self._life.state = "closed"
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
        held = sum(lane.ledger.held_events for lane in self._lanes) + self._exposures.unwritten
        return held if self._spooler is None else held + self._spooler.unsent
