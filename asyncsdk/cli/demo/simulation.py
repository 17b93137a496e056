"""Where the demo's customers come from: real HTTP requests to the shop, a few at a time."""

import asyncio
import statistics
import time
from collections.abc import Iterator

import aiohttp
import attrs

from asyncsdk import Client, RulesetChange
from asyncsdk.cli._progress import Progress
from asyncsdk.cli.demo.recorder import Notebook
from asyncsdk.cli.demo.scenario import CONSENT, WHY, Phase, Visit
from asyncsdk.dev import DevServer

CUSTOMERS_AT_ONCE = 8
MAX_FLUSH = 6.0
TICK = 0.1
TIMEOUT = aiohttp.ClientTimeout(total=8)


@attrs.define
class Street:
    """The way to the shop, and everything that happens on it; `patience` with new rules is in seconds."""

    _http: aiohttp.ClientSession
    _server: DevServer
    _client: Client
    _notebook: Notebook
    _progress: Progress
    _patience: float = 8.0
    _seconds: list[float] = attrs.field(factory=list, init=False)

    async def pass_through(self, phase: Phase, number: str) -> None:
        """Let a phase happen, and write a line about it."""
        for trouble in phase.troubles:
            self._server.fault(trouble.vendor, trouble.fault, trouble.times)
        if phase.rules is not None:
            self._server.set_ruleset(phase.rules())
            await self.take_rules()
        began = time.perf_counter()
        self._seconds.clear()
        async with asyncio.TaskGroup() as group:
            ticker = group.create_task(self._tick(f"  {number}  {phase.title}", len(phase.visits)))
            await self._serve(phase)
            ticker.cancel()
        took, typical = time.perf_counter() - began, statistics.median(self._seconds) * 1000
        requests = f"{len(phase.visits):>3} requests, {typical:.0f} ms each"
        self._progress.say(f"  {number}  {phase.title:<35}  {requests}, {took:.1f} s")

    async def take_rules(self) -> None:
        """Wait until the shop has taken the rules that are served now, and write a line about it."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._patience):
                change = await self._notebook.rules.get()
        except TimeoutError:
            self._notebook.unanswered.append(f"new rules were not in use within {self._patience:g} s")
        else:
            self._progress.say(f"       rules: {told(change)}, in use after {time.perf_counter() - began:.1f} s")

    async def _serve(self, phase: Phase) -> None:
        visits = iter(phase.visits)
        async with asyncio.TaskGroup() as customers:
            for _ in range(CUSTOMERS_AT_ONCE):
                customers.create_task(self._shop(visits))
        if phase.flush:
            await self._client.flush(MAX_FLUSH)

    async def _shop(self, visits: Iterator[Visit]) -> None:
        for visit in visits:
            began = time.perf_counter()
            await self._visit(visit)
            self._seconds.append(time.perf_counter() - began)

    async def _visit(self, visit: Visit) -> None:
        request = self._http.request(visit.method, visit.path, json=visit.body, headers=visit.headers, timeout=TIMEOUT)
        try:
            async with request as answer:
                if answer.status >= 300:
                    self._notebook.unanswered.append(f"the shop answered {answer.status} to {visit.path}")
                elif visit in (CONSENT, WHY):
                    self._notebook.answers[visit.path] = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self._notebook.unanswered.append(f"the shop did not answer {visit.path}: {type(error).__name__}")

    async def _tick(self, title: str, visits: int) -> None:
        while self._progress.is_live:
            health = self._client.health().destinations
            queued = "".join(f", {name} {held}" for name in health if (held := health[name].queued_events))
            self._progress.show(f"{title}  {len(self._seconds)} of {visits}  {queued and f'queued: {queued[2:]}'}")
            await asyncio.sleep(TICK)


def told(change: RulesetChange) -> str:
    """Say what other rules brought."""
    new = [f"{len(names)} {kind}{'s' * (len(names) > 1)}" for kind, names in change.added.items()]
    changed = [name for names in change.changed.values() for name in names]
    return ", ".join([*new, *(f"{name} changed" for name in changed)])
