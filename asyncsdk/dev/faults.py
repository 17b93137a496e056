"""Ways in which the dev server misbehaves when it is told to."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import attrs
import orjson

from asyncsdk.dev.history import ReceivedRequest
from asyncsdk.dev.messages import Json, Reply

End: TypeAlias = Literal["answer", "refuse", "reset", "close", "truncate", "hang"]
Predicate: TypeAlias = Callable[[ReceivedRequest], bool]


@attrs.frozen
class Fault:
    """What to do with a request instead of treating it properly.

    `Fault(status=503)`, `Fault(status=429, retry_after=3)`, `Fault(delay=0.2)`, `Fault(end="hang")`,
    `Fault(status=400, when=lambda request: "ada" in str(request.json))`; `Fault()` treats the request properly.

    Attributes:
        status: HTTP status to answer; None: what the vendor would answer.
        body: Body to answer: bytes and text as they are, else as JSON; None: what the vendor would say. A function is
            given the request, and gives one of these.
        headers: Headers to add or replace.
        retry_after: Value of the `Retry-After` header: seconds, or any text.
        delay: Seconds to wait before answering; the events are ingested before that.
        end: How the request ends. `"answer"`: with an answer. `"refuse"`: the connection is reset before the
            body is read. `"reset"`: it is reset after that. `"close"`: it is closed after that, without an
            answer. `"truncate"`: it is closed before the answer is complete. `"hang"`: never, until the
            server stops or the client goes away.
        ingest: Whether the vendor keeps the events; None: if it sends an answer, and that is a 2xx or its
            own.
        when: Only requests for which this is true; None: any.
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
        """Ingest the events, then reset the connection."""
        return cls(end="reset", ingest=True)

    @classmethod
    def garbage(cls) -> "Fault":
        """Ingest the events, then answer 200 with what is no JSON."""
        return cls(200, body=b'{"code": 20\x00\xff<html>', headers={"Content-Type": "application/json"})

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> "Fault":
        """Send the client elsewhere."""
        return cls(status, body="", headers={"Location": location})

    @property
    def ingests(self) -> bool:
        """Whether the vendor keeps the events."""
        if self.end == "refuse":
            return False
        if self.ingest is not None:
            return self.ingest
        return self.end in ("answer", "truncate") and (self.status is None or 200 <= self.status < 300)

    def __str__(self) -> str:
        ending = "" if self.end == "answer" else self.end
        status = f"status {self.status}" if self.status else ""
        delay = f"after {self.delay} s" if self.delay else ""
        return " ".join(filter(None, [ending, status, delay])) or "another answer"

    def spoil(self, request: ReceivedRequest, answer: Reply, refusal: Callable[[int], Reply]) -> Reply:
        """Turn the vendor's own answer into the one to send; `refusal` words a status as the vendor would."""
        status = answer.status if self.status is None else self.status
        praised = status < 300 and answer.status < 300
        wording = answer if praised or status == answer.status else refusal(status)
        headers = {**wording.headers, **self.headers}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        body = self.body(request) if callable(self.body) else self.body
        body = wording.body if body is None else _bytes(body)
        return attrs.evolve(answer, status=status, body=body, headers=headers)


@attrs.define
class Standing:
    """A fault that stays for a while.

    Attributes:
        vendor: Whose requests; None: anybody's.
        times: How many requests it still applies to; None: any number.
    """

    vendor: str | None
    fault: Fault
    times: int | None = None


@attrs.define
class FaultBook:
    """The faults to come: per vendor a script of single ones, and standing ones after that."""

    _scripts: dict[str | None, deque[Fault | None]] = attrs.field(factory=dict)
    _standing: list[Standing] = attrs.field(factory=list)

    def script(self, vendor: str | None, steps: Sequence[Fault | int | None]) -> None:
        """Append faults for the vendor's next requests, one each."""
        faults = (Fault(step) if isinstance(step, int) else step for step in steps)
        self._scripts.setdefault(vendor, deque()).extend(faults)

    def stand(self, standing: Standing) -> None:
        """Apply a fault to every request that no script takes."""
        self._standing.append(standing)

    def clear(self) -> None:
        """Forget all faults."""
        self._scripts.clear()
        self._standing.clear()

    def take(self, vendor: str, request: ReceivedRequest | None) -> Fault | None:
        """Use up the next fault for a request; without `request`, one that needs no more than its head."""
        for owner in (vendor, None):
            script = self._scripts.get(owner)
            if script and _applies(script[0], request):
                return script.popleft()
            if script and request is None:
                return None
        for standing in self._standing:
            if standing.vendor in (None, vendor) and _applies(standing.fault, request):
                self._use(standing)
                return standing.fault
        return None

    def _use(self, standing: Standing) -> None:
        if standing.times is not None:
            standing.times -= 1
            if not standing.times:
                self._standing.remove(standing)


def _applies(fault: Fault | None, request: ReceivedRequest | None) -> bool:
    if request is None:
        return fault is not None and fault.end == "refuse" and fault.when is None
    return fault is None or fault.when is None or fault.when(request)


def _bytes(body: Json) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else orjson.dumps(body)
