"""The dev server: a socket in front of the imitated vendors.

`Site` (`control/site.py`) refuses requests of foreign pages, and answers those for the control API; `Intake`
(`intake.py`) answers those for the vendors. This module owns the socket and what tests and commands call.
"""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from aiohttp import web

from asyncsdk.dev.addresses import check_port, listening_failed
from asyncsdk.dev.amplitude import AmplitudeServer
from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import CallError
from asyncsdk.dev.control.people import NamedUsers
from asyncsdk.dev.control.switches import read_override
from asyncsdk.dev.control.workbench import Workbench
from asyncsdk.dev.faults import Fault, FaultSchedule, StandingFault, as_fault
from asyncsdk.dev.guard import Guard
from asyncsdk.dev.history import History, ReceivedRequest
from asyncsdk.dev.intake import Intake
from asyncsdk.dev.messages import VendorServer
from asyncsdk.dev.received_event import ReceivedEvent
from asyncsdk.dev.rudderstack import RudderStackServer
from asyncsdk.dev.rulebook import Rulebook
from asyncsdk.dev.ruleset_watch import RulesetSource, RulesetWatch
from asyncsdk.dev.statsig import StatsigServer
from asyncsdk.dev.statsig_rules import StatsigRulesServer
from asyncsdk.dev.threads import RunsInThread, awaits_server_loop, on_server_loop
from asyncsdk.errors import AsyncSDKError, ConfigurationError


class _KeepFile(Protocol):
    async def run(self) -> None: ...


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
        users_file: File of named users, which the page reads and writes: JSON with an object of users by name. None
            keeps them in memory.
        keep_file: File (SQLite) that keeps events, edits and overrides for the next start; None keeps nothing.

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
        users_file: str | os.PathLike[str] | None = None,
        keep_file: str | os.PathLike[str] | None = None,
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
        users = NamedUsers(None if users_file is None else Path(users_file))
        users.load()
        self._workbench = Workbench(self._bench, self._book, self._watch, self._faults, guard, users)
        self._keep_file = None if keep_file is None else _keep(Path(keep_file), self._bench, self._book)
        clients, reload = self._workbench.clients, self._workbench.reload_rules
        vendor_servers = self._vendors.values()
        self._intake = Intake(vendor_servers, self._rules, self._bench, self._faults, clients, reload)
        self._saving: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None

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
        return [event for event in self._history.events if event.request]  # without those that a client refused

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
    def override(self, name: str, value: object, user: str | None = None) -> None:
        """Serve a value to all clients instead of what the rules say, until it is removed in the page.

        Args:
            name: A gate, config, experiment or layer.
            value: True or False for a gate, else an object of parameters, or the name of an experiment's group.
            user: The user id that it is for; None is for all users.

        Raises:
            ConfigurationError: The value does not fit the name.
        """
        try:
            override = read_override(self._book, name, {"value": value, "user": user}, "command line")
        except CallError as error:
            raise ConfigurationError(str(error)) from error
        self._book.override(override)

    @property
    @on_server_loop
    def kept(self) -> str:
        """What is kept of the events, and how long, in words."""
        return self._bench.kept_words

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
        self._intake.stopping, self._bench.arrival = asyncio.Event(), asyncio.Event()
        self._site = self._workbench.site(self, self._intake.ingest, self._intake.stopping)
        app = web.Application()
        app.router.add_route("*", r"/{path:[\s\S]*}", self._handle)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, auto_decompress=False, shutdown_timeout=0.1
        )
        await runner.setup()
        self._runner = runner
        # Shielded, because asyncio loses a socket that it has just opened if that is cancelled.
        opening = asyncio.ensure_future(web.TCPSite(runner, self._host, self._port).start())
        try:
            await asyncio.shield(opening)
        except BaseException as error:
            await asyncio.wait([opening])
            await self.stop()
            if isinstance(error, OSError):
                raise listening_failed(self._host, self._port, error) from None
            raise
        self._port = runner.addresses[0][1]
        if self._keep_file is not None:
            self._saving = asyncio.create_task(self._keep_file.run(), name="asyncsdk dev server: keep")

    @awaits_server_loop
    async def stop(self) -> None:
        """Close all connections and stop listening. Stopping a stopped server does nothing."""
        # Ends requests that hang or are delayed; they would keep `cleanup` waiting.
        runner, self._runner = self._runner, None
        self._intake.stopping.set()  # ends the requests that hang or are delayed
        if runner is not None:
            await runner.cleanup()
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.cancel()
            await asyncio.wait([saving])

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        return await self._site.handle(request, self._intake.handle)

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


def _keep(path: Path, bench: Bench, book: Rulebook) -> "_KeepFile":
    from asyncsdk.dev.keep_file import KeepFile  # noqa: PLC0415 -- sqlite3, which only this needs

    return KeepFile(path, bench, book)
