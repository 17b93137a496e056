"""The calls that send events: of a person at the page, and stored ones to another vendor."""

import time
from collections.abc import Callable, Mapping

import attrs

from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import Call, CallError, Routes, take
from asyncsdk.dev.control.events import find
from asyncsdk.dev.messages import IncomingRequest
from asyncsdk.dev.received_event import Json
from asyncsdk.dev.resend import VERBS, PlainEvent, plain_event, request_for

VENDORS = ("statsig", "rudderstack", "amplitude")


@attrs.frozen(eq=False)
class SendCalls:
    """The calls.

    Attributes:
        bench: The state.
        ingest: Hands a request to a vendor as if it had arrived, and returns the status of the reply.
    """

    bench: Bench
    ingest: Callable[[IncomingRequest], int]

    def routes(self) -> Routes:
        """Return the handlers of the calls."""
        return {("POST", "events/{seq}/send"): self._resend, ("POST", "try"): self._try}

    async def _resend(self, call: Call) -> Json:
        event = find(self.bench, call.match["seq"])
        vendor = take(await call.object(), "to", str, "")
        return self._send(plain_event(event, _now()), [vendor])

    async def _try(self, call: Call) -> Json:
        body = await call.object()
        verb, user = take(body, "verb", str, ""), take(body, "user", str, "")
        if verb not in VERBS:
            raise CallError(400, f"verb is one of {', '.join(VERBS)}, not {verb[:40]!r}")
        if not user:
            raise CallError(400, "an event has a user")
        value = body.get("value")
        if not isinstance(value, str | int | float | None):
            raise CallError(400, "value is a number or text")
        event = PlainEvent(
            verb, user, take(body, "name", str, ""), take(body, "properties", dict, {}), _now(), value=value
        )
        return self._send(event, take(body, "to", list, list(VENDORS)))

    def _send(self, event: PlainEvent, vendors: list[Json]) -> Mapping[str, Json]:
        wrong = next((vendor for vendor in vendors if vendor not in VENDORS), None)
        if wrong is not None or not vendors:
            raise CallError(400, f"to is one of {', '.join(VENDORS)}, not {str(wrong)[:40]!r}")
        requests = {vendor: request_for(vendor, event, time.time()) for vendor in vendors}
        sent = {vendor: self.ingest(request) for vendor, request in requests.items() if request is not None}
        if not sent:
            raise CallError(409, f"{', '.join(vendors)} has no call for {event.verb}")
        return {"id": event.id, "sent": sent}


def _now() -> int:
    return int(time.time() * 1000)
