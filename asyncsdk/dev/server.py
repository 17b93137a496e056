"""The dev server: a socket in front of the imitated vendors.

A request takes this way (`DevServer._handle`):

0. `Guard` refuses requests of foreign pages; the control API (`/__dev/`) and the page answer theirs.
1. Its path selects the vendor and the route; the head alone decides whether the connection is refused.
2. The body is read, and the route builds a `Reply`. Routes are pure: they change nothing.
3. The fault schedule may replace the reply, delay it, or cut the connection.
4. The request and its events are recorded in the `History` before the reply is sent, so that a test that has the reply
   finds the events.

Only this module reads the clock and changes state: the history, the fault schedule, and the vendors' rate windows.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from asyncsdk.dev.addresses import check_port, listening_failed
from asyncsdk.dev.amplitude import AmplitudeServer
from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.page import page_file
from asyncsdk.dev.control.workbench import Workbench
from asyncsdk.dev.faults import Fault, FaultSchedule, StandingFault, as_fault
from asyncsdk.dev.guard import Guard
from asyncsdk.dev.history import History, ReceivedRequest
from asyncsdk.dev.http import finish, incoming_request, read_body, received_request, response_of
from asyncsdk.dev.messages import TEXT, IncomingRequest, Reply, Route, VendorServer
from asyncsdk.dev.received_event import ReceivedEvent
from asyncsdk.dev.rudderstack import RudderStackServer
from asyncsdk.dev.rulebook import Rulebook
from asyncsdk.dev.ruleset_watch import RulesetSource, RulesetWatch
from asyncsdk.dev.statsig import StatsigServer
from asyncsdk.dev.statsig_rules import StatsigRulesServer
from asyncsdk.dev.threads import RunsInThread, awaits_server_loop, on_server_loop
from asyncsdk.errors import AsyncSDKError, ConfigurationError

_NOT_FOUND = Reply(404, b"404 page not found\n", {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"})


class DevServer(RunsInThread):
    """A local server with the event endpoints of Statsig, RudderStack and Amplitude, and with Statsig's rules.

    Replies, limits, rejections and de-duplication are those of the vendors; nothing is forwarded. Use the server as an
    async context manager, or call `start` and `stop`. After `stop` it can be started again: it listens on the same
    port, and keeps what it received.

    `with DevServer() as dev:` runs it in a thread, for tests that block theirs, such as those with FastAPI's
    `TestClient`. All methods can then be called from any thread, and awaited on any event loop.

    The server has four vendors, so that each can fail alone: `rudderstack`, `amplitude`, `statsig` (events) and
    `statsig-rules` (the ruleset, ID lists and client-initialize responses). Methods that take the name of a vendor
    raise `ConfigurationError` if there is no such vendor.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        keep: Maximum number of requests, and of events, to keep. `total` counts forgotten ones too.
        keep_bytes: Maximum memory for the requests and events that are kept, in bytes.
        vendors: Imitated vendors with settings of your own. The default ones accept any key and have no rate limits.
        ruleset: The ruleset to serve, see `set_ruleset`; None serves that of a new project, which has no names.
        allow_origins: Origins of web pages, such as `https://app.test`, that may use the server like its own page.
            Pages of this machine may send events and ask for rules without being named.

    Raises:
        ConfigurationError: The port is out of range, two `vendors` have the same name, or the ruleset cannot be served.
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
        allow_origins: Collection[str] = (),
    ) -> None:
        self._host = host
        self._port = check_port(port)
        custom = {vendor.name: vendor for vendor in vendors}
        if len(custom) < len(vendors):
            msg = "each vendor can be given once"
            raise ConfigurationError(msg)
        # `set_ruleset` and `set_id_list` act on a custom rules server if there is one.
        rules_servers = (vendor for vendor in vendors if isinstance(vendor, StatsigRulesServer))
        self._rules = next(rules_servers, StatsigRulesServer())
        default: tuple[VendorServer, ...] = (RudderStackServer(), AmplitudeServer(), StatsigServer(), self._rules)
        self._vendors = {vendor.name: vendor for vendor in default} | custom
        self._book = Rulebook(self._rules.served)
        self._watch = RulesetWatch(self._book)
        if ruleset is not None:
            self.set_ruleset(ruleset)
        self._history = History(keep, keep_bytes)
        self._faults = FaultSchedule()
        self._bench = Bench(self._history)
        guard = Guard(host, tuple(allow_origins))
        self._workbench = Workbench(self._bench, self._book, self._watch, self._faults, guard)
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()

    def __repr__(self) -> str:
        state = "running" if self._runner is not None else "stopped"
        address = self.url if self._port else self._host
        return f"<DevServer {state} at {address}: {sum(self._history.request_counts.values())} requests>"

    @property
    def url(self) -> str:
        """The address it listens on: scheme, host and port.

        Raises:
            AsyncSDKError: It has not been started, so that its port is not known yet.
        """
        if not self._port:
            msg = "the dev server has no port before it is started"
            raise AsyncSDKError(msg)
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def vendor_names(self) -> Sequence[str]:
        """The names of the imitated vendors."""
        return tuple(self._vendors)

    @property
    @on_server_loop
    def events(self) -> list[ReceivedEvent]:
        """The events received, oldest first, including duplicates, rejected and lost ones."""
        return list(self._history.events)

    @property
    @on_server_loop
    def requests(self) -> list[ReceivedRequest]:
        """The requests received on any path, oldest first."""
        return list(self._history.requests)

    @on_server_loop
    def accepted(self, vendor: str | None = None) -> list[ReceivedEvent]:
        """Return the events that were ingested, oldest first, without duplicates.

        Args:
            vendor: Name of a vendor; None returns the events of all vendors.
        """
        self._check(vendor)
        return [e for e in self._history.events if e.verdict == "accepted" and vendor in (None, e.vendor)]

    @on_server_loop
    def total(self, vendor: str, verdict: str = "accepted") -> int:
        """Count the events ever received with a verdict, including those that are no longer kept.

        Args:
            vendor: Name of a vendor.
            verdict: `"accepted"`, `"duplicate"`, `"rejected"` or `"lost"`; the last two count all reasons.
        """
        self._check(vendor)
        return self._history.event_counts[vendor, verdict]

    @awaits_server_loop
    async def received(self, vendor: str, count: int = 1, *, within: float = 5.0) -> list[ReceivedEvent]:
        """Wait until a vendor has accepted a number of events.

        Args:
            vendor: Name of a vendor.
            count: Number of accepted events to wait for, counted since the start or the last `reset`.
            within: Maximum time to wait, in seconds.

        Returns:
            The vendor's accepted events, as `accepted` returns them.

        Raises:
            TimeoutError: There are fewer after `within` seconds; the text has the verdicts and the last replies.
        """
        self._check(vendor)
        await self._wait_until(vendor, lambda: self.total(vendor) >= count, f"{count} events accepted", within)
        return self.accepted(vendor)

    @awaits_server_loop
    async def requested(self, vendor: str, count: int = 1, *, within: float = 5.0) -> list[ReceivedRequest]:
        """Wait until a number of requests to a vendor have arrived, whether they were answered or not.

        Args:
            vendor: Name of a vendor.
            count: Number of requests to wait for, counted since the start or the last `reset`.
            within: Maximum time to wait, in seconds.

        Returns:
            The vendor's requests that are still kept, oldest first.

        Raises:
            TimeoutError: There are fewer after `within` seconds; the text has the verdicts and the last replies.
        """
        self._check(vendor)
        counts = self._history.request_counts
        await self._wait_until(vendor, lambda: counts[vendor] >= count, f"{count} requests", within)
        return [request for request in self._history.requests if request.vendor == vendor]

    @property
    @on_server_loop
    def ruleset_fault(self) -> str:
        """Why the ruleset's file as it is now cannot be served, so that its last good version is; `""` if it can."""
        return self._workbench.rules_fault()

    @on_server_loop
    def set_ruleset(self, source: RulesetSource) -> None:
        """Replace the ruleset. It is always served as a later version than the one before.

        Args:
            source: A ruleset in either of Statsig's formats, v1 or v2, as JSON, as decoded JSON, or as the path of a
                file, which is reloaded whenever it changes. Its `time` (milliseconds since 1970) is raised where that
                is needed to be later than the previous version's, and not earlier than the file's.

        Raises:
            ConfigurationError: It is not a ruleset, or there is no such file; the previous rules are still served.
        """
        self._watch.set_source(source)

    @on_server_loop
    def set_id_list(self, name: str, units: Iterable[str] | None) -> None:
        """Replace an ID list by a new file.

        Args:
            name: Name of the list.
            units: The ids in it, unhashed; None withdraws the list.
        """
        self._rules.served.set_id_list(name, units, int(time.time() * 1000))

    @on_server_loop
    def append_id_list(self, name: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Append lines to an ID list's file.

        Args:
            name: Name of the list.
            add: Ids to add, unhashed.
            remove: Ids to remove, unhashed.

        Raises:
            KeyError: There is no such list.
        """
        self._rules.served.append_id_list(name, add, remove)

    @on_server_loop
    def script(self, vendor: str | None, *steps: Fault | int | None) -> None:
        """Schedule a fault for each of the vendor's next requests.

        Args:
            vendor: Name of a vendor; None schedules them for the requests of all vendors, `statsig-rules` included.
            steps: One fault per request. An HTTP status is short for `Fault(status)`; None is the vendor's own reply.
        """
        self._check(vendor)
        self._faults.add_script(vendor, steps)

    @on_server_loop
    def fault(self, vendor: str | None, fault: Fault | int, times: int | None = None) -> None:
        """Apply a fault to each of the vendor's requests that no script applies to.

        Args:
            vendor: Name of a vendor; None applies it to the requests of all vendors.
            fault: The fault to apply. An HTTP status is short for `Fault(status)`.
            times: Number of requests to apply it to; None applies it until `clear_faults`.

        Raises:
            ConfigurationError: There is no such vendor, or `fault` is neither a fault nor a status.
        """
        self._check(vendor)
        self._faults.add_standing(StandingFault(vendor, as_fault(fault), times))

    @on_server_loop
    def clear_faults(self) -> None:
        """Remove all faults and scripts. Requests that already hang do not end."""
        self._faults.clear()

    @on_server_loop
    def reset(self) -> None:
        """Forget all requests and events, their counts, the usage of rate limits, and all faults; keep the rules."""
        self._history.clear()
        self._bench.clear()
        self._faults.clear()
        for vendor in self._vendors.values():
            for window in vendor.windows:
                window.clear()

    @awaits_server_loop
    async def start(self) -> None:
        """Start to listen.

        Raises:
            AsyncSDKError: It is running already.
            OSError: It cannot listen there, for example because the port is in use.
        """
        if self._runner is not None:
            msg = "the dev server is running already"
            raise AsyncSDKError(msg)
        # Events bind to a loop when they are first awaited, and an earlier run may have been on another loop.
        self._stopping, self._bench.arrival = asyncio.Event(), asyncio.Event()
        self._site = self._workbench.site(self, self._stopping)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, auto_decompress=False, shutdown_timeout=0.1
        )
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            raise listening_failed(self._host, self._port, error) from None
        except BaseException:
            await self.stop()
            raise
        self._port = runner.addresses[0][1]

    @awaits_server_loop
    async def stop(self) -> None:
        """Close all connections and stop listening. Stopping a stopped server does nothing."""
        # Ends requests that hang or are delayed; they would keep `cleanup` waiting.
        runner, self._runner = self._runner, None
        self._stopping.set()  # ends the requests that hang or are delayed
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        return await self._site.handle(request, self._handle_vendor)

    async def _handle_vendor(self, request: web.Request) -> web.StreamResponse:
        vendor, route = self._find(request.method, request.path)
        received = received_request(request, self._history.next_number(), vendor.name if vendor else "")
        # 1. No vendor has the path.
        if vendor is None or route is None:
            return page_file(request) or self._send(received, _NOT_FOUND)
        if vendor is self._rules:
            self._workbench.reload_rules()
        # 2. A fault that needs only the head: the connection is refused before the body is read.
        fault = self._faults.next_fault(vendor.name, None) if route.may_fail else None
        if fault is not None:
            return await self._send_with_fault(request, received, fault, Reply(0))
        # 3. The vendor's reply, which a fault may replace. Only ingested events count against rate limits.
        body = await read_body(request)
        reply = vendor.error_reply(413) if body is None else route.handle(incoming_request(request, body, received.at))
        received.record_body(reply, body or b"")
        fault = self._faults.next_fault(vendor.name, received) if route.may_fail else None
        if reply.status < 300 and (fault is None or fault.ingests):
            for window in vendor.windows:
                window.charge(reply.usage, received.at)
        if fault is None:
            return self._send(received, reply)
        return await self._send_with_fault(request, received, fault, fault.alter(received, reply, vendor.error_reply))

    @on_server_loop
    def ingest(self, request: IncomingRequest) -> int:
        """Handle a request of the control API as if it had arrived, without faults; return the status of the reply."""
        vendor, route = self._find(request.method, request.path)
        if vendor is None or route is None:
            return 404
        number, headers = self._history.next_number(), list(request.headers.items())
        received = ReceivedRequest(number, vendor.name, request.method, request.path, headers, request.now)
        reply = route.handle(request)
        received.record_body(reply, request.body)
        return self._send(received, reply).status

    def _find(self, method: str, path: str) -> tuple[VendorServer | None, Route | None]:
        routes = ((vendor, vendor.route(method, path)) for vendor in self._vendors.values())
        return next((found for found in routes if found[1] is not None), (None, None))

    def _record(self, received: ReceivedRequest, found: Sequence[ReceivedEvent], lost: str = "") -> None:
        client, run = self._workbench.clients.sender_of(received)
        for event in found:
            event.client, event.run = client, run
        self._history.record(received, found, lost)
        self._bench.record(found)

    def _send(self, received: ReceivedRequest, reply: Reply) -> web.Response:
        received.record_reply(reply)
        self._record(received, reply.events)
        return response_of(reply)

    async def _send_with_fault(
        self, request: web.Request, received: ReceivedRequest, fault: Fault, reply: Reply
    ) -> web.StreamResponse:
        received.fault = str(fault)
        self._record(received, reply.events, "" if fault.ingests else received.fault)
        if fault.delay or fault.end == "hang":
            await self._pause(None if fault.end == "hang" else fault.delay)
        if fault.end in ("answer", "truncate"):
            received.record_reply(reply)
        return await finish(request, fault.end, reply)

    async def _pause(self, seconds: float | None) -> None:
        """Wait for `seconds`, or without limit if None, but only until the server stops."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _check(self, vendor: str | None) -> None:
        if vendor is not None and vendor not in self._vendors:
            msg = f"the dev server knows {', '.join(self._vendors)}, not {vendor!r}"
            raise ConfigurationError(msg)

    async def _wait_until(self, vendor: str, is_done: Callable[[], bool], what: str, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                while not is_done():
                    await self._bench.arrival.wait()
        except TimeoutError:
            verdicts = {verdict: n for (owner, verdict), n in self._history.event_counts.items() if owner == vendor}
            replies = [r.status or r.fault for r in self._history.requests if r.vendor == vendor][-5:]
            msg = f"not {what} by {vendor} within {within} s; verdicts {verdicts}, last replies {replies}"
            raise TimeoutError(msg) from None
