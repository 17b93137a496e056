"""The values that pass between the socket and the imitated vendors: a request and the reply to it.

The events of a request are in `received_event.py`.

A vendor that rejects a whole request raises `RejectedRequestError` inside its route, which turns it into the vendor's
error reply. Only `DevServer` sees sockets, clocks and faults.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import attrs
import orjson

from asyncsdk.dev.rate_limits import Window
from asyncsdk.dev.received_event import Json, ReceivedEvent

MAX_BODY = 64 * 1024 * 1024
"""Maximum size of a body in bytes, before and after gunzip. Every vendor's own limit is lower."""

TEXT = "text/plain; charset=utf-8"


@attrs.frozen
class IncomingRequest:
    """One HTTP request.

    Attributes:
        method: In upper case.
        path: Without the query.
        query: First value of each parameter.
        headers: First value of each header; names in lower case.
        body: As sent, so it may be compressed.
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
    """A vendor's reply, and its verdict on each event.

    Attributes:
        status: HTTP status.
        body: Bytes to send.
        headers: Headers to send; `Content-Length` is added.
        events: The request's events in order, each with its verdict; empty if the request was rejected before them.
        json: The decoded request body; None if it was not decoded, or is not JSON.
        plain_size: Size of the request body after gunzip, in bytes.
        usage: Number of events to charge to each key of the vendor's windows if the request is ingested.
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
        handle: Builds the reply to a request; pure.
        may_fail: Whether faults apply to it: True for endpoints that take events or serve rules.
    """

    handle: Callable[[IncomingRequest], Reply]
    may_fail: bool = True


class VendorServer(Protocol):
    """An imitated vendor. It is pure except for the windows of its rate limits, which the dev server charges."""

    @property
    def name(self) -> str:
        """Name of the vendor, in lower case."""
        ...

    @property
    def windows(self) -> Sequence[Window]:
        """The windows that `Reply.usage` of ingested requests is charged to."""
        ...

    def route(self, method: str, path: str) -> Route | None:
        """Return the endpoint of a path; None if the vendor does not have that path."""
        ...

    def error_reply(self, status: int) -> Reply:
        """Build the vendor's error reply of a status."""
        ...


class RejectedRequestError(Exception):
    """A vendor rejects the whole request.

    Args:
        status: HTTP status.
        text: The reason, in the vendor's words.
        details: Further fields of the error reply.
        blamed: Reason by position of the event at fault; empty if the reason is not a single event.
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
    """A body that cannot be decoded as its headers say."""


class OversizedBodyError(Exception):
    """A body that is larger than `MAX_BODY` bytes."""


class UnsupportedCodingError(Exception):
    """A body in a coding that the server cannot decode; the text names it."""


def gunzip(body: bytes) -> bytes:
    """Decompress one or more gzip members.

    Raises:
        BrokenBodyError: It is not gzip, is truncated, or has a wrong checksum.
        OversizedBodyError: The decompressed body is larger than `MAX_BODY` bytes.
    """
    plain = bytearray()
    while body:
        member = zlib.decompressobj(wbits=31)
        try:
            # One byte more than allowed is enough to detect an oversized body.
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


def json_reply(status: int, value: Json) -> Reply:
    """Build a reply with a JSON body."""
    return Reply(status, orjson.dumps(value), {"Content-Type": "application/json"})


def mark_rejected(events: Sequence[ReceivedEvent], error: RejectedRequestError) -> None:
    """Set the verdict of every event of a rejected request."""
    # Events that are not at fault are rejected along with the request.
    others = "came with an event that was" if error.blamed else str(error)
    for index, event in enumerate(events):
        event.verdict = f"rejected: {error.blamed.get(index, others)}"
        event.is_blamed = not error.blamed or index in error.blamed
