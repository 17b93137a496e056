"""The demo's customers: real HTTP requests to the shop, a few at a time."""

import asyncio
import statistics
import time
from collections.abc import Iterator

import aiohttp
import attrs

from asyncsdk import Client, RulesetChange
from asyncsdk.cli._progress import Progress
from asyncsdk.cli.demo.recorder import Recorder
from asyncsdk.cli.demo.scenario import CONSENT, EXPLAIN_SALE, Phase, Visit
from asyncsdk.dev import DevServer

CONCURRENT_CUSTOMERS = 8
FLUSH_TIMEOUT = 6.0
REFRESH_INTERVAL = 0.1
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=8)


@attrs.define
class Simulation:
    """Runs the phases of a scenario, and prints a line about each.

    Problems, such as an error answer of the shop, do not stop it: they go to `failures` of the recorder.
    """

    _http: aiohttp.ClientSession
    _server: DevServer
    _client: Client
    _recorder: Recorder
    _progress: Progress
    # Seconds to wait for new rules.
    _rules_timeout: float = 8.0
    # Duration of each request of the current phase, in seconds.
    _durations: list[float] = attrs.field(factory=list, init=False)

    async def run_phase(self, phase: Phase, number: str) -> None:
        """Schedule the faults of a phase, send its requests, and print a line about it.

        Args:
            phase: The phase.
            number: Its number as printed, such as `2/7`.
        """
        # Faults first: they may apply to the requests that poll for the new rules.
        for scheduled in phase.faults:
            self._server.fault(scheduled.vendor, scheduled.fault, scheduled.times)
        if phase.rules is not None:
            self._server.set_ruleset(phase.rules())
            await self.wait_for_rules()
        began = time.perf_counter()
        self._durations.clear()
        async with asyncio.TaskGroup() as group:
            live_line = group.create_task(self._show_progress(f"  {number}  {phase.title}", len(phase.visits)))
            await self._serve(phase)
            live_line.cancel()
        seconds, median = time.perf_counter() - began, statistics.median(self._durations) * 1000
        requests = f"{len(phase.visits):>3} requests, {median:.0f} ms each"
        self._progress.print_line(f"  {number}  {phase.title:<35}  {requests}, {seconds:.1f} s")

    async def wait_for_rules(self) -> None:
        """Wait until the shop uses the current ruleset of the server, and print a line about it."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._rules_timeout):
                change = await self._recorder.ruleset_changes.get()
        except TimeoutError:
            self._recorder.failures.append(f"new rules were not in use within {self._rules_timeout:g} s")
        else:
            seconds = time.perf_counter() - began
            self._progress.print_line(f"       rules: {describe(change)}, in use after {seconds:.1f} s")

    async def _serve(self, phase: Phase) -> None:
        # One iterator for all customers: each takes the next visit when its request is done.
        visits = iter(phase.visits)
        async with asyncio.TaskGroup() as customers:
            for _ in range(CONCURRENT_CUSTOMERS):
                customers.create_task(self._run_customer(visits))
        if phase.flush:
            await self._client.flush(FLUSH_TIMEOUT)

    async def _run_customer(self, visits: Iterator[Visit]) -> None:
        for visit in visits:
            began = time.perf_counter()
            await self._send(visit)
            self._durations.append(time.perf_counter() - began)

    async def _send(self, visit: Visit) -> None:
        request = self._http.request(
            visit.method, visit.path, json=visit.body, headers=visit.headers, timeout=REQUEST_TIMEOUT
        )
        try:
            async with request as answer:
                if answer.status >= 300:
                    self._recorder.failures.append(f"the shop answered {answer.status} to {visit.path}")
                elif visit in (CONSENT, EXPLAIN_SALE):
                    self._recorder.answers[visit.path] = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self._recorder.failures.append(f"the shop did not answer {visit.path}: {type(error).__name__}")

    async def _show_progress(self, title: str, visits: int) -> None:
        while self._progress.is_live:
            health = self._client.health().destinations
            queued = ", ".join(f"{name} {count}" for name in health if (count := health[name].queued_events))
            self._progress.show(f"{title}  {len(self._durations)} of {visits}  {queued and f'queued: {queued}'}")
            await asyncio.sleep(REFRESH_INTERVAL)


def describe(change: RulesetChange) -> str:
    """Return what is new in a ruleset, such as `2 gates, sale changed`."""
    new = [f"{len(names)} {kind}{'s' * (len(names) > 1)}" for kind, names in change.added.items()]
    changed = [name for names in change.changed.values() for name in names]
    return ", ".join([*new, *(f"{name} changed" for name in changed)])
