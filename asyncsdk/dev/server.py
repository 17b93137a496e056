"""The dev server: sockets in front of the imitated vendors."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from asyncsdk.dev import http as wire
from asyncsdk.dev.amplitude import AmplitudeServer
from asyncsdk.dev.faults import Fault, FaultBook, Standing
from asyncsdk.dev.history import History, ReceivedRequest
from asyncsdk.dev.messages import TEXT, ReceivedEvent, Reply, Route, VendorServer
from asyncsdk.dev.rudderstack import RudderStackServer
from asyncsdk.dev.ruleset_watch import RulesetSource, RulesetWatch
from asyncsdk.dev.statsig import StatsigServer
from asyncsdk.dev.statsig_rules import StatsigRulesServer
from asyncsdk.errors import AsyncSDKError, ConfigurationError

_NOT_FOUND = Reply(404, b"404 page not found\n", {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"})


class DevServer:
    """A local server with the event endpoints of Statsig, RudderStack and Amplitude, and with Statsig's rules.

    Answers, limits, refusals and de-duplication are the vendors'; nothing is forwarded. Use it as an async
    context manager, or call `start` and `stop`; after `stop` it starts again on the same port, and what it
    received is still there.

    Four vendors have names here: `rudderstack`, `amplitude`, `statsig` (its events), and `statsig-rules` (its ruleset,
    ID lists and client-initialize responses), so that each can fail alone.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0: any free one.
        keep: Most requests, and most events, to remember; totals go on.
        keep_bytes: Most plain bytes of requests, and of events, to remember.
        vendors: Imitated vendors with other settings than the usual ones, which accept any key.
        ruleset: See `set_ruleset`; None: that of a new project, which has no names.

    Raises:
        ConfigurationError: Two `vendors` have the same name, or the ruleset cannot be served.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        keep: int = 10_000,
        keep_bytes: int = 64 * 1024 * 1024,
        vendors: Sequence[VendorServer] = (),
        ruleset: RulesetSource | None = None,
    ) -> None:
        self._host = host
        self._port = port
        given = {vendor.name: vendor for vendor in vendors}
        if len(given) < len(vendors):
            msg = "each vendor can be given once"
            raise ConfigurationError(msg)
        of_rules = (vendor for vendor in vendors if isinstance(vendor, StatsigRulesServer))
        self._rules = next(of_rules, StatsigRulesServer())
        usual: tuple[VendorServer, ...] = (RudderStackServer(), AmplitudeServer(), StatsigServer(), self._rules)
        self._vendors = {vendor.name: vendor for vendor in usual} | given
        self._watch = RulesetWatch(self._rules.shelf)
        if ruleset is not None:
            self.set_ruleset(ruleset)
        self._ledger = History(keep, keep_bytes)
        self._faults = FaultBook()
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens: scheme, host and port.

        Raises:
            AsyncSDKError: It was never started.
        """
        if not self._port:
            msg = "the dev server has no port before it is started"
            raise AsyncSDKError(msg)
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def events(self) -> list[ReceivedEvent]:
        """The events received, oldest first, copies and refused ones too."""
        return list(self._ledger.events)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests received, oldest first, of any path."""
        return list(self._ledger.requests)

    def accepted(self, vendor: str | None = None) -> list[ReceivedEvent]:
        """Return the events a vendor ingested, without copies, oldest first; None: of all vendors."""
        self._check(vendor)
        return [e for e in self._ledger.events if e.verdict == "accepted" and vendor in (None, e.vendor)]

    def total(self, vendor: str, verdict: str = "accepted") -> int:
        """Count the events of a vendor ever received with a verdict: `"accepted"`, `"duplicate"`...

        `"rejected"` and `"lost"` count all reasons.
        """
        self._check(vendor)
        return self._ledger.totals[vendor, verdict]

    async def received(self, vendor: str, count: int = 1, *, within: float = 5.0) -> list[ReceivedEvent]:
        """Wait until `vendor` has accepted `count` events, and return what `accepted` returns.

        Raises:
            TimeoutError: It has not `within` so many seconds; the text says what it had instead.
        """
        self._check(vendor)
        await self._until(vendor, lambda: self.total(vendor) >= count, f"{count} events accepted", within)
        return self.accepted(vendor)

    async def requested(self, vendor: str, count: int = 1, *, within: float = 5.0) -> list[ReceivedRequest]:
        """Wait until `count` requests to `vendor` have arrived, answered or not, and return those remembered.

        Raises:
            TimeoutError: They have not `within` so many seconds; the text says what arrived instead.
        """
        self._check(vendor)
        await self._until(vendor, lambda: self._ledger.asked[vendor] >= count, f"{count} requests", within)
        return [request for request in self._ledger.requests if request.vendor == vendor]

    @property
    def ruleset_fault(self) -> str:
        """What is wrong with the ruleset's file as it is now, so that an earlier version is served; "" if nothing."""
        self._watch.look()
        return self._watch.fault

    def set_ruleset(self, source: RulesetSource) -> None:
        """Serve other rules from now on, always as a later version than the one before.

        Args:
            source: A ruleset in either form that Statsig serves, v1 or v2: the path of a file, which is watched, or
                JSON, or decoded JSON. Its `time` is served as it is if it grew, and is not before the file's.

        Raises:
            ConfigurationError: It is no ruleset, or there is no such file; the rules stay as they were.
        """
        self._watch.give(source)

    def set_id_list(self, name: str, units: Iterable[str] | None) -> None:
        """Begin a new file for an ID list, with these units; None: there is no such list any more."""
        self._rules.shelf.begin(name, units, int(time.time() * 1000))

    def append_id_list(self, name: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Write further lines at the end of an ID list's file.

        Raises:
            KeyError: There is no such list.
        """
        self._rules.shelf.append(name, add, remove)

    def script(self, vendor: str | None, *steps: Fault | int | None) -> None:
        """Say what happens to the vendor's next requests, one step each.

        Args:
            vendor: Whose requests; None: anybody's, those for rules too.
            steps: A fault; a status is short for `Fault(status)`, None for a proper answer.
        """
        self._check(vendor)
        self._faults.script(vendor, steps)

    def fault(self, vendor: str | None, fault: Fault, times: int | None = None) -> None:
        """Apply a fault to each request of the vendor that is not scripted.

        Args:
            vendor: Whose requests; None: anybody's.
            fault: What happens to them.
            times: How many of them; None: all, until `clear_faults`.
        """
        self._check(vendor)
        self._faults.stand(Standing(vendor, fault, times))

    def clear_faults(self) -> None:
        """Treat requests properly from now on; those that hang go on hanging."""
        self._faults.clear()

    def reset(self) -> None:
        """Forget what was received, what counts against limits, and all faults."""
        self._ledger.clear()
        self._faults.clear()
        for vendor in self._vendors.values():
            for window in vendor.windows:
                window.clear()

    async def start(self) -> None:
        """Listen.

        Raises:
            AsyncSDKError: It is listening already.
            OSError: The port is taken.
        """
        if self._runner is not None:
            msg = "the dev server is running already"
            raise AsyncSDKError(msg)
        # Made here, for the loop it runs on now; it may have run on another one before.
        self._stopping, self._news = asyncio.Event(), asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, auto_decompress=False, shutdown_timeout=0.1
        )
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except BaseException:
            await self.stop()
            raise
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Cut all connections and stop listening. Safe to call twice."""
        runner, self._runner = self._runner, None
        self._stopping.set()
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        vendor, route = self._find(http.method, http.path)
        record = wire.head_of(http, self._ledger.number(), vendor.name if vendor else "")
        if vendor is None or route is None:
            return self._answer(record, _NOT_FOUND)
        if vendor is self._rules:
            self._watch.look()
        fault = self._faults.take(vendor.name, None) if route.may_fail else None
        if fault is not None:
            return await self._misbehave(http, record, fault, Reply(0))
        body = await wire.read_body(http)
        answer = vendor.refusal(413) if body is None else route.handle(wire.request_of(http, body, record.at))
        record.take(answer, len(body or b""))
        fault = self._faults.take(vendor.name, record) if route.may_fail else None
        if answer.status < 300 and (fault is None or fault.ingests):
            for window in vendor.windows:
                window.charge(answer.usage, record.at)
        if fault is None:
            return self._answer(record, answer)
        return await self._misbehave(http, record, fault, fault.spoil(record, answer, vendor.refusal))

    def _find(self, method: str, path: str) -> tuple[VendorServer | None, Route | None]:
        routes = ((vendor, vendor.route(method, path)) for vendor in self._vendors.values())
        return next((found for found in routes if found[1] is not None), (None, None))

    def _enter(self, record: ReceivedRequest, events: Sequence[ReceivedEvent], lost: str = "") -> None:
        self._ledger.enter(record, events, lost)
        self._news.set()
        self._news = asyncio.Event()

    def _answer(self, record: ReceivedRequest, answer: Reply) -> web.Response:
        record.status = answer.status
        self._enter(record, answer.events)
        return wire.respond(answer)

    async def _misbehave(
        self, http: web.Request, record: ReceivedRequest, fault: Fault, answer: Reply
    ) -> web.StreamResponse:
        record.fault = str(fault)
        self._enter(record, answer.events, "" if fault.ingests else record.fault)
        if fault.delay or fault.end == "hang":
            await self._pause(None if fault.end == "hang" else fault.delay)
        if fault.end in ("answer", "truncate"):
            record.status = answer.status
        return await wire.end(http, fault.end, answer)

    async def _pause(self, seconds: float | None) -> None:
        """Wait until `seconds` have passed or the server stops."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _check(self, vendor: str | None) -> None:
        if vendor is not None and vendor not in self._vendors:
            msg = f"the dev server knows {', '.join(self._vendors)}, not {vendor!r}"
            raise ConfigurationError(msg)

    async def _until(self, vendor: str, done: Callable[[], bool], what: str, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                while not done():
                    await self._news.wait()
        except TimeoutError:
            verdicts = {verdict: n for (owner, verdict), n in self._ledger.totals.items() if owner == vendor}
            answers = [r.status or r.fault for r in self._ledger.requests if r.vendor == vendor][-5:]
            msg = f"not {what} by {vendor} within {within} s; verdicts {verdicts}, last answers {answers}"
            raise TimeoutError(msg) from None
