"""Start, flush and close: in which order a client starts, drains and ends.

The states are those of `Lifecycle`; what is started and drained is in `parts.py`. A client ends in one of four ways:

    aclose        begin_drain, flush until the deadline, close_intake, flush what came meanwhile, cancel the jobs
    SIGTERM       with `drain_on_sigterm`: flush without lingering; the server calls `aclose` afterwards
    cancelled     the group of jobs is cancelled from outside: it commits to the spool, then ends
    failed entry  `__aenter__` raised: cancel the jobs at once

All of them lead to `_ended`, once: it abandons what is left, builds the final report and logs it.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from asyncsdk._client import jobs
from asyncsdk._client.arguments import DEV_SERVER, dev_server, seconds
from asyncsdk._client.hooks import Hooks
from asyncsdk._client.off_switch import ENABLED
from asyncsdk._client.parts import Parts
from asyncsdk._client.settings import Settings
from asyncsdk._client.signals import SignalDrain
from asyncsdk._delivery.spool.setting import DEV_SUFFIX, with_message_ids
from asyncsdk._events.admission import Admission
from asyncsdk._lifecycle import Job, Lifecycle, warn_forgotten
from asyncsdk._lookups.evaluator import Lookups, RulesHolder, WatchedLookups
from asyncsdk._lookups.exposures import Exposures
from asyncsdk._model.reports import Health, Report, StartReport
from asyncsdk.errors import StartError

if TYPE_CHECKING:
    from asyncsdk._delivery.spool.spooler import Spooler
    from asyncsdk._lookups.assignments import Assignments
    from asyncsdk._refresh import Refresher

logger = logging.getLogger("asyncsdk")

# Part of the close timeout, in seconds, reserved for cancelling requests and closing connections.
_TO_STOP = 0.1
# Seconds that `aclose` then waits for the jobs to end, before it returns anyway.
_STOP_GRACE = 1.0


class LifecycleVerbs:
    """How a client starts, closes and reports its state."""

    _settings: Settings
    _parts: Parts
    _life: Lifecycle
    _admission: Admission
    _spooler: "Spooler | None"
    _refresher: "Refresher | None"
    _holder: RulesHolder
    _exposures: Exposures
    _assignments: "Assignments | None"
    _hooks: Hooks
    _lookups: Lookups
    _is_direct: bool
    _is_starting: bool
    _signal: SignalDrain | None
    _closing: asyncio.Future[Report] | None
    _began_to_close: float
    _report_end: Callable[[], Awaitable[None]] | None

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
        began, start_timeout = time.monotonic(), self._settings.start_timeout
        if self._life.state == "new":
            if self._parts.is_enabled:
                self._launch(dev_server())
            else:
                await self._launch_idle()
        self._life.check_admission()
        self._life.check_loop()
        ready = await self.wait_ready(start_timeout)
        if self._parts.overrides is not None:
            await self._parts.overrides.wait_read(start_timeout - (time.monotonic() - began))
        self._is_starting = False
        self._choose_path()
        source = self._holder.rules.source if ready and self._refresher is not None else ""
        if require_ready and not ready:
            await self.aclose(timeout=_STOP_GRACE)
            msg = f"no rules within {start_timeout} s: check the secret key and the network; the log has details"
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
        if self._refresher is None:
            return True
        return await (
            self._refresher.refresh(timeout) if self._parts.is_enabled else self._refresher.load_bootstrap_only()
        )

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
        life, timeout = self._life, self._settings.close_timeout if timeout is None else seconds(timeout)
        if life.state == "new":
            life.close_intake()
            self._hooks.tasks = None
        if not life.is_in_its_process or (life.state == "closed" and self._closing is None):
            return self._parts.report(time.monotonic(), complete=not self._parts.unsent())
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
        return (
            self._closing.result() if self._closing.done() else self._parts.report(self._began_to_close, complete=False)
        )

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
            complete = await self._parts.settle(timeout)
        return self._parts.report(began, complete=complete)

    def health(self) -> Health:
        """Return the state of the client, its rules, its spool and each destination.

        Safe from any thread, and cheap enough for a health endpoint.
        """
        if self._life.takes_here():
            self._life.catch_up()
        return self._parts.health()

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
            warn_forgotten(self, self._parts.unsent() if self._spooler is None else 0)

    # --- in between -------------------------------------------------------------------------------------------

    def _launch(self, dev_url: str | None) -> None:
        """Start all jobs."""
        spooler, own_tasks = self._spooler, self._hooks.tasks or []
        self._hooks.tasks = None
        self._admission.ids.renew()
        self._admission.must_raise |= dev_url is not None
        if dev_url is not None:
            own_tasks = [*own_tasks, self._enter_dev_mode(dev_url)]
        if self._refresher is not None:
            self._is_starting = True
            self._choose_path()
        suffix = DEV_SUFFIX if dev_url else ""
        last, link = None, self._parts.link
        if spooler is not None:
            spooler.set_label_suffix(suffix)
            spooler.scan()  # before the first event, so that what an earlier process left is sent first
            last = jobs.last_commit(spooler, self._stop_intake)
        if link is not None:
            link.set_label_suffix(suffix)
        for aclose in self._parts.closers():
            last = jobs.disconnect(last, aclose)
        self._life.start(self._parts.jobs(dev_url) + own_tasks, self._ended, last)
        if self._settings.drain_on_sigterm:
            self._signal = SignalDrain(asyncio.get_running_loop(), self._drain_for_signal, self._parts.unsent)

    def _enter_dev_mode(self, dev_url: str) -> tuple[str, Job]:
        """Report to the dev server from now on, and send it all events with their ids; return the job for that."""
        from asyncsdk._client.dev_mode import DevReporter  # noqa: PLC0415 -- only with a dev server

        reporter = DevReporter(dev_url, self.health)
        reporter.observe(self._admission)
        self._report_end = reporter.report_end
        self._hooks.on_evaluation.append(reporter.count_lookup)
        self._choose_path()
        for lane in self._parts.lanes:
            (lane.destination,) = with_message_ids([lane.destination])
        return "dev reports", reporter.run

    async def _launch_idle(self) -> None:
        """Start a client that is switched off: no job, no task, no thread and no signal handler."""
        is_set = self._settings.enabled is False
        level, why = (logging.INFO, "enabled=False") if is_set else (logging.WARNING, f"{ENABLED} is set")
        logger.log(level, "the client is off, because %s: nothing is sent, and events are counted as skipped", why)
        self._hooks.tasks = None
        self._admission.must_raise |= bool(os.environ.get(DEV_SERVER))
        self._life.start_idle(self._ended)
        if self._refresher is not None:
            await self._refresher.load_bootstrap_only()

    def _give_up(self) -> None:
        """Stop at once: `aclose` will not be called, because entering the client failed."""
        if self._life.state == "running" and self._life.is_on_its_loop:
            self._began_to_close = time.monotonic()
            self._closing = asyncio.get_running_loop().create_future()
            self._life.close_intake()
            self._life.cancel()

    async def _drain_for_signal(self) -> Report:
        self._parts.stop_lingering()
        return await (self.flush(self._settings.close_timeout) if self._closing is None else self.aclose())

    async def _drain(self, deadline: float) -> None:
        """Deliver what is queued, close the intake, then deliver what came in the meantime."""
        self._life.begin_drain()
        self._life.catch_up()
        self._parts.stop_lingering()
        await self._parts.settle(deadline - time.monotonic(), deadline)
        self._stop_intake()
        await self._parts.settle(deadline - time.monotonic(), deadline)
        if self._report_end is not None:
            await self._report_end()

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
        unsent = self._parts.unsent()
        self._parts.abandon()
        report = self._parts.report(self._began_to_close)
        lost = sum(counts.lost for counts in report.destinations.values())
        logger.log(logging.WARNING if lost else logging.INFO, "closed in %.2f s; %s", report.seconds, report)
        self._closing.set_result(report)
        if forgotten:
            warn_forgotten(self, unsent)

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
            await self.wait_ready(self._settings.start_timeout)
