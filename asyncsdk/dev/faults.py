"""Faults: how the dev server misbehaves on request, and the schedule of faults to come.

For each request the schedule picks the first that applies of:

1. the next step of the vendor's script,
2. the next step of the script for all vendors,
3. the standing faults, in the order in which they were added.

A script waits for a request that its next step applies to (`Fault.when`). A refused connection has to be decided before
the body is read, so the schedule is asked twice: first with the head only, then with the whole request.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

import attrs
import orjson

from asyncsdk.dev.history import ReceivedRequest
from asyncsdk.dev.messages import Reply
from asyncsdk.dev.received_event import Json
from asyncsdk.errors import ConfigurationError

End: TypeAlias = Literal["answer", "refuse", "reset", "close", "truncate", "hang"]
ENDS: Sequence[End] = get_args(End)
Predicate: TypeAlias = Callable[[ReceivedRequest], bool]
_MAX_SPENT = 20
"""Faults that are used up, and still shown."""


@attrs.frozen
class Fault:
    """What to do with a request instead of handling it as the vendor would.

    `Fault(status=503)`, `Fault(status=429, retry_after=3)`, `Fault(delay=0.2)`, `Fault(end="hang")`,
    `Fault(status=400, when=lambda request: "ada" in str(request.json))`; `Fault()` sends the vendor's own reply.

    Attributes:
        status: HTTP status to reply; None keeps the vendor's.
        body: Body to reply; bytes and text are sent as they are, other values as JSON. A function is called with the
            `ReceivedRequest` and returns one of these. None keeps the vendor's wording.
        headers: Headers to add or replace.
        retry_after: Value of the `Retry-After` header, in seconds or as any text; None sends none.
        delay: Seconds to wait before the reply. The events are ingested before the wait.
        end: How the request ends.
            `"answer"`: with the reply.
            `"refuse"`: the connection is reset before the body is read.
            `"reset"`: the connection is reset after the body was read.
            `"close"`: the connection is closed after the body was read, without a reply.
            `"truncate"`: the connection is closed before the reply is complete.
            `"hang"`: not at all, until the server stops or the client disconnects.
        ingest: Whether the vendor ingests the events. None: it does if a reply is sent, and `status` is None or 2xx.
        when: The fault applies only to requests for which this returns True; None applies it to any.
    """

    status: int | None = None
    body: Json | Callable[[ReceivedRequest], Json] = attrs.field(default=None, kw_only=True)
    headers: Mapping[str, str] = attrs.field(factory=dict, kw_only=True)
    retry_after: float | str | None = attrs.field(default=None, kw_only=True)
    delay: float = attrs.field(default=0.0, kw_only=True)
    end: End = attrs.field(default="answer", kw_only=True)
    ingest: bool | None = attrs.field(default=None, kw_only=True)
    when: Predicate | None = attrs.field(default=None, kw_only=True)

    @classmethod
    def lost_reply(cls) -> "Fault":
        """Return a fault that ingests the events, then resets the connection."""
        return cls(end="reset", ingest=True)

    @classmethod
    def garbage(cls) -> "Fault":
        """Return a fault that ingests the events, then replies 200 with a body that is not JSON."""
        return cls(200, body=b'{"code": 20\x00\xff<html>', headers={"Content-Type": "application/json"})

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> "Fault":
        """Return a fault that redirects the client and ingests nothing.

        Args:
            location: Value of the `Location` header.
            status: HTTP status, 3xx.
        """
        return cls(status, body="", headers={"Location": location})

    @property
    def ingests(self) -> bool:
        """Whether the vendor ingests the events."""
        if self.end == "refuse":
            return False
        if self.ingest is not None:
            return self.ingest
        return self.end in ("answer", "truncate") and (self.status is None or 200 <= self.status < 300)

    def __str__(self) -> str:
        ending = "" if self.end == "answer" else self.end
        status = f"status {self.status}" if self.status else ""
        delay = f"after {self.delay} s" if self.delay else ""
        return " ".join(filter(None, [ending, status, delay])) or "another reply"

    def alter(self, request: ReceivedRequest, reply: Reply, error_reply: Callable[[int], Reply]) -> Reply:
        """Return the reply to send instead of the vendor's own.

        Args:
            request: The request, for a `body` that is a function.
            reply: The vendor's own reply.
            error_reply: Builds the vendor's error reply of a status.
        """
        status = reply.status if self.status is None else self.status
        # The vendor's own wording fits if the status is the same, or if both mean success.
        is_success = status < 300 and reply.status < 300
        wording = reply if is_success or status == reply.status else error_reply(status)
        headers = {**wording.headers, **self.headers}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        body = self.body(request) if callable(self.body) else self.body
        body = wording.body if body is None else _bytes(body)
        return attrs.evolve(reply, status=status, body=body, headers=headers)


def as_fault(given: object) -> Fault:
    """Return a fault, or the one that an HTTP status is short for.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(given, Fault):
        return given
    if isinstance(given, int) and not isinstance(given, bool) and 100 <= given <= 599:
        return Fault(given)
    msg = f"a fault is Fault(...) or an HTTP status from 100 to 599, not {given!r}"
    raise ConfigurationError(msg)


@attrs.define(eq=False)
class StandingFault:
    """A fault that applies to more than one request.

    Attributes:
        vendor: Name of the vendor; None applies it to all vendors.
        fault: The fault.
        times: Number of requests it still applies to; None is no limit.
        probability: Share of the requests that it applies to, from 0 to 1.
        total: Number of requests that it applied to at first; None is no limit.
        hits: Number of requests that it has applied to.
        since: When it was set, in milliseconds since 1970.
        id: Its number, by which it can be removed.
    """

    vendor: str | None
    fault: Fault
    times: int | None = None
    probability: float = 1.0
    total: int | None = attrs.field(init=False)
    hits: int = attrs.field(default=0, init=False)
    since: int = attrs.field(factory=lambda: int(time.time() * 1000), init=False)
    id: int = attrs.field(default=0, init=False)
    _was_missed: bool = attrs.field(default=False, init=False)

    @total.default
    def _total(self) -> int | None:
        return self.times

    def strikes(self, *, is_head: bool) -> bool:
        """Decide by the probability whether it applies, once for the head and the whole of a request."""
        if self._was_missed and not is_head:
            self._was_missed = False
            return False
        is_hit = self.probability >= 1 or random.random() < self.probability  # noqa: S311 -- no secret
        self._was_missed = is_head and not is_hit
        return is_hit

    def use(self) -> None:
        """Count a request that it applies to."""
        self.hits += 1
        if self.times is not None:
            self.times -= 1


@attrs.define
class FaultSchedule:
    """The faults to come: scripts of single faults by vendor, and standing faults.

    Attributes:
        standing: The standing faults, newest last; the latest ones that are used up are among them, to be shown.
    """

    _scripts: dict[str | None, deque[Fault | None]] = attrs.field(factory=dict)
    standing: list[StandingFault] = attrs.field(factory=list)
    _last_id: int = 0

    def add_script(self, vendor: str | None, steps: Sequence[Fault | int | None]) -> None:
        """Append one fault for each of the vendor's next requests."""
        faults = [None if step is None else as_fault(step) for step in steps]
        self._scripts.setdefault(vendor, deque()).extend(faults)

    def add_standing(self, standing: StandingFault) -> None:
        """Append a fault for all requests that no script applies to."""
        self._last_id += 1
        standing.id = self._last_id
        spent = [one for one in self.standing if one.times == 0]
        self.standing = [one for one in self.standing if one not in spent[:-_MAX_SPENT]]
        self.standing.append(standing)

    def remove(self, number: int) -> bool:
        """Remove a standing fault by its number; return whether there was one."""
        kept = [one for one in self.standing if one.id != number]
        is_removed = len(kept) < len(self.standing)
        self.standing = kept
        return is_removed

    def scripted(self) -> dict[str, int]:
        """Return the number of steps to come, by vendor; `any` is the script for all vendors."""
        return {vendor or "any": len(steps) for vendor, steps in self._scripts.items() if steps}

    def clear(self) -> None:
        """Remove all faults."""
        self._scripts.clear()
        self.standing.clear()

    def next_fault(self, vendor: str, request: ReceivedRequest | None) -> Fault | None:
        """Return the fault for a request, and use it up; None if no fault applies.

        Args:
            vendor: Name of the request's vendor.
            request: The request; None if only its head is known, which is enough for a refusal without `when`.
        """
        for owner in (vendor, None):
            script = self._scripts.get(owner)
            if script and _applies(script[0], request):
                return script.popleft()
            # A step that needs the whole request comes before any standing refusal.
            if script and request is None:
                return None
        for standing in self.standing:
            if standing.times == 0 or standing.vendor not in (None, vendor) or not _applies(standing.fault, request):
                continue
            if standing.strikes(is_head=request is None):
                standing.use()
                return standing.fault
        return None


def _applies(fault: Fault | None, request: ReceivedRequest | None) -> bool:
    if request is None:
        return fault is not None and fault.end == "refuse" and fault.when is None
    return fault is None or fault.when is None or fault.when(request)


def _bytes(body: Json) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else orjson.dumps(body)
