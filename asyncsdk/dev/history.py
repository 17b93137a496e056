"""The requests and events that the dev server has received.

Both are kept as bytes, and share one bound on memory: the oldest are forgotten; counts are not. A vendor recognises a
duplicate by its event's key: the first event of a key that was accepted is kept, later ones are duplicates. An event
that was rejected or lost leaves its key free.
"""

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from sys import intern
from typing import Generic, TypeVar

import attrs
import orjson

from asyncsdk.dev import content_coding, go_json
from asyncsdk.dev.messages import BrokenBodyError, OversizedBodyError, Reply, UnsupportedCodingError
from asyncsdk.dev.received_event import Json, ReceivedEvent

Item = TypeVar("Item", "ReceivedRequest", ReceivedEvent)

MAX_KEYS = 1_000_000
_REQUEST_BYTES = 900
_HEADER_BYTES = 80
"""Memory of a request besides its body, and of each header; most texts of headers repeat and are shared."""
_MAX_REPLY = 4_096
"""Bytes that are kept of the body of a reply."""
_KEY_BYTES = 640
"""`keep_bytes` for each event key that is remembered: a key takes a sixth of this."""


@attrs.define
class ReceivedRequest:
    """One request as it was received.

    Attributes:
        number: Counts requests from 1, over all vendors.
        vendor: Name of the vendor; `""` if the path belongs to none.
        method: HTTP method.
        path: Path with the query.
        headers: Names and values in the order and spelling of the wire.
        at: Time of arrival, in seconds since the epoch.
        wire_size: Size of the body as sent, in bytes.
        plain_size: Size of the body after decompression, in bytes.
        json: The decoded body; None if the vendor did not decode it, or it is not JSON.
        events: Number of events that the vendor found in it.
        status: HTTP status of the reply; None if none was sent.
        fault: Description of the fault applied to it; `""` if none.
        seconds: Time from arrival to the reply, in seconds.
        wire: The body as sent.
        reply_headers: Names and values of the reply's headers.
        reply_body: The start of the reply's body.
    """

    number: int
    vendor: str
    method: str
    path: str
    headers: Sequence[tuple[str, str]] = attrs.field(repr=False)
    at: float
    wire_size: int = 0
    plain_size: int = 0
    _json: Json = attrs.field(default=None, repr=False)
    events: int = 0
    status: int | None = None
    fault: str = ""
    seconds: float = attrs.field(default=0.0, repr=False)
    wire: bytes = attrs.field(default=b"", repr=False)
    reply_headers: Sequence[tuple[str, str]] = attrs.field(default=(), repr=False)
    reply_body: bytes = attrs.field(default=b"", repr=False)

    @property
    def json(self) -> Json:
        """The decoded body; None if the vendor did not decode it, or it is not JSON."""
        if self._json is not _ON_THE_WIRE:
            return self._json
        plain = self.plain
        return go_json.loads(plain) if self.vendor == "rudderstack" else orjson.loads(plain)

    @property
    def plain(self) -> bytes:
        """The body after decompression; as sent if it cannot be decompressed."""
        query = dict(part.partition("=")[::2] for part in self.path.partition("?")[2].split("&"))
        with suppress(BrokenBodyError, OversizedBodyError, UnsupportedCodingError):
            return content_coding.decode(self.wire, self.header("content-encoding") or "", query)
        return self.wire

    def record_body(self, reply: Reply, wire: bytes) -> None:
        """Record the body, and what the vendor found in it."""
        self.wire, self.wire_size, self.plain_size = wire, len(wire), reply.plain_size
        self._json, self.events = reply.json, len(reply.events)

    def record_reply(self, reply: Reply) -> None:
        """Record the reply that is sent."""
        self.status, self.seconds = reply.status, time.time() - self.at
        self.reply_headers, self.reply_body = tuple(reply.headers.items()), reply.body[:_MAX_REPLY]

    def pack(self) -> None:
        """Replace the decoded body by the one on the wire, and share texts that repeat."""
        if self._json is not None:
            self._json = _ON_THE_WIRE
        self.headers = tuple((intern(name), intern(value)) for name, value in self.headers)

    @property
    def memory(self) -> int:
        """Roughly how much memory it takes once it is packed, in bytes."""
        return _REQUEST_BYTES + _HEADER_BYTES * len(self.headers) + len(self.wire) + len(self.reply_body)

    def header(self, name: str) -> str | None:
        """Return the first value of a header; None if it was not sent.

        Args:
            name: Name of the header, in any case.
        """
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


_ON_THE_WIRE = object()
"""In place of a decoded body that can be decoded again."""


@attrs.define
class RecentItems(Generic[Item]):
    """Items in order of arrival, of which the oldest can be forgotten."""

    _items: deque[Item] = attrs.field(factory=deque)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __reversed__(self) -> Iterator[Item]:
        return reversed(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item) -> None:
        """Append an item."""
        self._items.append(item)

    def pop_oldest(self) -> Item:
        """Remove and return the oldest item."""
        return self._items.popleft()

    def oldest(self) -> Item | None:
        """Return the oldest item; None if there is none."""
        return self._items[0] if self._items else None

    def find(self, number: int, number_of: Callable[[Item], int]) -> Item | None:
        """Return the item with a number, by which they are sorted; None if it is forgotten."""
        position = bisect_left(self._items, number, key=number_of)
        if position < len(self._items) and number_of(self._items[position]) == number:
            return self._items[position]
        return None

    def replace(self, items: Sequence[Item]) -> None:
        """Keep only these items."""
        self._items = deque(items)


class History:
    """Everything received, newest last, with counts that include forgotten items.

    Args:
        keep: Maximum number of requests, and of events, to keep.
        keep_bytes: Maximum memory for requests and events, in bytes. The newest request is kept even if it is larger.
        max_keys: Maximum number of event keys to remember for detecting duplicates; None derives it from `keep_bytes`.

    Attributes:
        requests: The requests that are kept, oldest first.
        events: The events that are kept, oldest first.
        event_counts: Number of events by vendor and verdict, the verdict without its reason.
        request_counts: Number of requests by vendor.
        last_seq: Number of events ever received.
        used_bytes: Memory of what is kept, in bytes.
    """

    def __init__(self, keep: int, keep_bytes: int, max_keys: int | None = None) -> None:
        self.requests: RecentItems[ReceivedRequest] = RecentItems()
        self.events: RecentItems[ReceivedEvent] = RecentItems()
        self.event_counts: Counter[tuple[str, str]] = Counter()
        self.request_counts: Counter[str] = Counter()
        self.keep, self.keep_bytes = keep, keep_bytes
        self.last_seq = 0
        self.used_bytes = 0
        self._last_number = 0
        self._max_keys = min(MAX_KEYS, max(1_000, keep_bytes // _KEY_BYTES)) if max_keys is None else max_keys
        # By the hash of the key, so that a key takes little memory: twice the number of arrivals, plus 1 if accepted.
        self._keys: dict[int, int] = {}
        self._key_order: deque[int] = deque()

    def next_number(self) -> int:
        """Return the number of the next request."""
        self._last_number += 1
        return self._last_number

    def record(self, request: ReceivedRequest, events: Sequence[ReceivedEvent], lost: str = "") -> None:
        """Record a request and its events.

        Args:
            request: The request, with its body recorded.
            events: Its events, each with the vendor's verdict.
            lost: Description of the fault that lost the events; `""` if they were not lost.
        """
        request.pack()
        self.requests.add(request)
        self.request_counts[request.vendor] += 1
        self.used_bytes += request.memory
        share = request.plain_size // max(len(events), 1)
        for event in events:
            event.request, event.at = request.number, request.at
            if lost:
                event.verdict = f"lost: {lost}"
            self._mark_duplicate(event)
            self._add(event, share)
        self._forget(request)

    def record_local(self, event: ReceivedEvent) -> None:
        """Record an event that no request has brought here: one that its client refused, or one of a snapshot."""
        # Its request is not here, and no other may get its number.
        self._last_number = max(self._last_number, event.request)
        self._add(event, 0)
        self._forget(None)

    def find_event(self, seq: int) -> ReceivedEvent | None:
        """Return an event by its number; None if it is forgotten."""
        return self.events.find(seq, _seq_of)

    def find_request(self, number: int) -> ReceivedRequest | None:
        """Return a request by its number; None if it is forgotten."""
        return self.requests.find(number, _number_of)

    def events_after(self, seq: int) -> list[ReceivedEvent]:
        """Return the events that arrived after the one with this number, oldest first."""
        newer: list[ReceivedEvent] = []
        for event in reversed(self.events):
            if event.seq <= seq:
                break
            newer.append(event)
        return newer[::-1]

    def delete(self, is_unwanted: Callable[[ReceivedEvent], bool]) -> int:
        """Forget some events, and return how many. The counts and the requests stay."""
        kept = [event for event in self.events if not is_unwanted(event)]
        deleted = len(self.events) - len(kept)
        self.events.replace(kept)
        self.used_bytes = sum(map(self._cost, kept)) + sum(request.memory for request in self.requests)
        return deleted

    def clear(self) -> None:
        """Forget everything, including counts and event keys. Events go on counting from where they were."""
        self.requests.replace([])
        self.events.replace([])
        self.event_counts.clear()
        self.request_counts.clear()
        self._keys.clear()
        self._key_order.clear()
        self.used_bytes = self._last_number = 0

    def _add(self, event: ReceivedEvent, share: int) -> None:
        self.last_seq += 1
        event.seq = self.last_seq
        event.pack()
        self.events.add(event)
        self.used_bytes += event.memory(share)
        if event.request:  # else no vendor has received it
            self.event_counts[event.vendor, event.status] += 1

    def _forget(self, newest: ReceivedRequest | None) -> None:
        """Forget the oldest requests and events that exceed a bound, in order of arrival; never the newest ones."""
        requests, events = self.requests, self.events
        last = 0 if newest is None else newest.number
        while len(requests) > self.keep:
            self.used_bytes -= requests.pop_oldest().memory
        while len(events) > self.keep:
            self.used_bytes -= self._cost(events.pop_oldest())
        while self.used_bytes > self.keep_bytes:
            request, event = requests.oldest(), events.oldest()
            if event is not None and len(events) > 1 and (request is None or event.request <= request.number):
                self.used_bytes -= self._cost(events.pop_oldest())
            elif request is not None and request.number != last:
                self.used_bytes -= requests.pop_oldest().memory
            else:
                break

    def _cost(self, event: ReceivedEvent) -> int:
        request = self.find_request(event.request)
        return event.memory(0 if request is None else request.plain_size // max(request.events, 1))

    def _mark_duplicate(self, event: ReceivedEvent) -> None:
        """Count the arrivals of the event's key, and change `accepted` to `duplicate` if the key was accepted."""
        if event.key is None:
            return
        key: Hashable = event.key
        number = hash(key)
        if number not in self._keys:
            self._key_order.append(number)
        state = self._keys.get(number, 0) + 2
        event.attempt = state >> 1
        if event.verdict == "accepted":
            event.verdict = "duplicate" if state & 1 else "accepted"
            state |= 1
        self._keys[number] = state
        if len(self._keys) > self._max_keys:
            del self._keys[self._key_order.popleft()]


def _seq_of(event: ReceivedEvent) -> int:
    return event.seq


def _number_of(request: ReceivedRequest) -> int:
    return request.number
