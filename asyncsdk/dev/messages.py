"""What passes between the socket and the imitated vendors: a request, and the answer to it."""

import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import attrs
import orjson

from asyncsdk.dev.rate_limits import Window

Json: TypeAlias = Any
"""A decoded JSON value."""

MAX_BODY = 64 * 1024 * 1024
"""Most bytes of a body that are looked at, before and after gunzip. Every vendor's own limit is lower."""

TEXT = "text/plain; charset=utf-8"


@attrs.define
class ReceivedEvent:
    """One event as a vendor saw it.

    Attributes:
        vendor: `"rudderstack"`, `"amplitude"` or `"statsig"`.
        id: What the vendor recognises a copy by (`messageId`, `insert_id`); `""` if the event has none.
        user: User id, else anonymous or device id, else `""`.
        kind: The vendor's type of event: `"track"`, `"identify"`, `"gate_exposure"`...
        name: Name of the event, page, gate...; `""` if it has none.
        body: The event as it was sent.
        stored: The event as the vendor keeps it.
        key: Copies have equal keys; None means that the vendor cannot recognise a copy of this event.
        verdict: `"accepted"`, `"duplicate"`, `"rejected: <reason>"`, or `"lost: <fault>"`.
        request: Number of the request that carried it.
        attempt: How often an event with this key had arrived by then, this time included.
    """

    vendor: str
    id: str
    user: str
    kind: str
    name: str
    body: Json
    stored: Json = attrs.field(repr=False)
    key: Hashable = attrs.field(default=None, repr=False)
    verdict: str = "accepted"
    request: int = 0
    attempt: int = 1


@attrs.frozen
class IncomingRequest:
    """One HTTP request.

    Attributes:
        method: In upper case.
        path: Without the query.
        query: First value of each parameter.
        headers: First value of each header; names in lower case.
        body: As on the wire, so maybe compressed.
        peer: Address of the sender.
        now: Time of arrival, in seconds since the epoch.
    """

    method: str
    path: str
    query: Mapping[str, str] = attrs.field(factory=dict)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    peer: str = "127.0.0.1"
    now: float = 0.0


@attrs.frozen
class Reply:
    """What a vendor answers, and what it thought of each event.

    Attributes:
        status: HTTP status.
        body: Bytes to send.
        headers: Headers to send; `Content-Length` is added.
        events: The request's events in order, each with its verdict; empty if they were not looked at.
        json: The decoded request body; None if it was not looked at, or is no JSON.
        plain_size: Bytes of the request body after gunzip.
        usage: Events to charge to each key of the vendor's windows if the request is ingested.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    events: Sequence[ReceivedEvent] = ()
    json: Json = attrs.field(default=None, repr=False)
    plain_size: int = 0
    usage: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen
class Route:
    """One endpoint of a vendor.

    Attributes:
        handle: Answers a request without changing anything.
        may_fail: Whether faults apply to it: where events go, and where rules come from.
    """

    handle: Callable[[IncomingRequest], Reply]
    may_fail: bool = True


class VendorServer(Protocol):
    """An imitated vendor: pure, but for the windows of its rate limits, which the server charges."""

    @property
    def name(self) -> str:
        """The vendor, in lower case."""
        ...

    @property
    def windows(self) -> Sequence[Window]:
        """What ingested events are charged to, `Reply.usage`."""
        ...

    def route(self, method: str, path: str) -> Route | None:
        """Find the endpoint; None if the path is another vendor's."""
        ...

    def refusal(self, status: int) -> Reply:
        """Word an answer of `status` as the vendor would."""
        ...


class RefusedError(Exception):
    """A vendor refuses the whole request.

    Args:
        status: HTTP status.
        text: The reason, as the vendor words it.
        details: What else the answer says.
        blamed: The events at fault, by position, each with its reason; empty if it is not about single
            events.
    """

    def __init__(
        self,
        status: int,
        text: str,
        details: Mapping[str, Json] = MappingProxyType({}),
        blamed: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(text)
        self.status = status
        self.details = details
        self.blamed = blamed


class BrokenBodyError(Exception):
    """A body that is not what its headers say."""


class OversizedBodyError(Exception):
    """A body of more than `MAX_BODY` bytes."""


def gunzip(body: bytes) -> bytes:
    """Decompress one or more gzip members.

    Raises:
        BrokenBodyError: It is not gzip, ends early or has a wrong checksum.
        OversizedBodyError: More than `MAX_BODY` bytes would come out.
    """
    plain = bytearray()
    while body:
        member = zlib.decompressobj(wbits=31)
        try:
            plain += member.decompress(body, MAX_BODY + 1 - len(plain))
        except zlib.error as error:
            raise BrokenBodyError(str(error)) from error
        if len(plain) > MAX_BODY:
            raise OversizedBodyError
        if not member.eof:
            msg = "the gzip stream ends early"
            raise BrokenBodyError(msg)
        body = member.unused_data
    return bytes(plain)


def json_answer(status: int, value: Json) -> Reply:
    """Answer with a JSON body."""
    return Reply(status, orjson.dumps(value), {"Content-Type": "application/json"})


def refuse_all(events: Sequence[ReceivedEvent], error: RefusedError) -> None:
    """Give every event of a refused request its verdict."""
    others = "came with an event that was" if error.blamed else str(error)
    for index, event in enumerate(events):
        event.verdict = f"rejected: {error.blamed.get(index, others)}"
