"""The way of a request to an imitated vendor: route, reply, fault, record.

1. Its path selects the vendor and the route; the head alone decides whether the connection is refused.
2. The body is read, and the route builds a `Reply`. Routes are pure: they change nothing.
3. The fault schedule may replace the reply, delay it, or cut the connection.
4. The request and its events are recorded in the `History` before the reply is sent, so that a test that has the reply
   finds the events.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence

import attrs
from aiohttp import web

from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.clients import Clients
from asyncsdk.dev.control.page import page_file
from asyncsdk.dev.faults import Fault, FaultSchedule
from asyncsdk.dev.history import ReceivedRequest
from asyncsdk.dev.http import finish, incoming_request, read_body, received_request, response_of
from asyncsdk.dev.messages import TEXT, IncomingRequest, Reply, Route, VendorServer
from asyncsdk.dev.received_event import ReceivedEvent

_NOT_FOUND = Reply(404, b"404 page not found\n", {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"})


@attrs.define(eq=False)
class Intake:
    """Takes the requests of one server.

    Attributes:
        vendors: The imitated vendors.
        rules: The one that serves rules.
        bench: Where requests and events are recorded.
        faults: The faults to come.
        clients: The clients that were heard of.
        reload: Loads the ruleset's file if it has changed.
        stopping: Set when the server stops.
    """

    vendors: Collection[VendorServer]
    rules: VendorServer
    bench: Bench
    faults: FaultSchedule
    clients: Clients
    reload: Callable[[], object]
    stopping: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for a vendor, or for a file of the page."""
        vendor, route = next(self._find(request.method, request.path), (None, None))
        received = received_request(request, self.bench.history.next_number(), vendor.name if vendor else "")
        # 1. No vendor has the path.
        if vendor is None or route is None:
            return page_file(request) or self._send(received, _NOT_FOUND)
        if vendor is self.rules:
            self.reload()
        # 2. A fault that needs only the head: the connection is refused before the body is read.
        fault = self.faults.next_fault(vendor.name, None) if route.may_fail else None
        if fault is not None:
            return await self._send_with_fault(request, received, fault, Reply(0))
        # 3. The vendor's reply, which a fault may replace. Only ingested events count against rate limits.
        body = await read_body(request)
        reply = vendor.error_reply(413) if body is None else route.handle(incoming_request(request, body, received.at))
        received.record_body(reply, body or b"")
        fault = self.faults.next_fault(vendor.name, received) if route.may_fail else None
        if reply.status < 300 and (fault is None or fault.ingests):
            for window in vendor.windows:
                window.charge(reply.usage, received.at)
        if fault is None:
            return self._send(received, reply)
        return await self._send_with_fault(request, received, fault, fault.alter(received, reply, vendor.error_reply))

    def ingest(self, request: IncomingRequest) -> int:
        """Handle a request to a vendor as if it had arrived, without faults; return the status of the reply."""
        vendor, route = next(self._find(request.method, request.path))
        number, headers = self.bench.history.next_number(), list(request.headers.items())
        received = ReceivedRequest(number, vendor.name, request.method, request.path, headers, request.now)
        reply = route.handle(request)
        received.record_body(reply, request.body)
        return self._send(received, reply).status

    def _find(self, method: str, path: str) -> Iterator[tuple[VendorServer, Route]]:
        """Yield the vendors that have the path, each with its route."""
        for vendor in self.vendors:
            if (route := vendor.route(method, path)) is not None:
                yield vendor, route

    def _record(self, received: ReceivedRequest, found: Sequence[ReceivedEvent], lost: str = "") -> None:
        client, run = self.clients.sender_of(received)
        for event in found:
            event.client, event.run = client, run
        self.bench.history.record(received, found, lost)
        self.bench.record(found)

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
                await self.stopping.wait()
