"""The requests and events that the dev server has received.

Records are bounded by number and size, so that the oldest are forgotten; counts are not. A vendor recognises a
duplicate by its event's key: the first event of a key that was accepted is kept, later ones are duplicates. An event
that was rejected or lost leaves its key free.
"""

from collections import Counter, deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar

import attrs

from asyncsdk.dev.messages import Json, ReceivedEvent, Reply

Item = TypeVar("Item")

MAX_KEYS = 1_000_000


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
        plain_size: Size of the body after gunzip, in bytes.
        json: The decoded body; None if the vendor did not decode it, or it is not JSON.
        events: Number of events that the vendor found in it.
        status: HTTP status of the reply; None if none was sent.
        fault: Description of the fault applied to it; `""` if none.
    """

    number: int
    vendor: str
    method: str
    path: str
    headers: Sequence[tuple[str, str]] = attrs.field(repr=False)
    at: float
    wire_size: int = 0
    plain_size: int = 0
    json: Json = attrs.field(default=None, repr=False)
    events: int = 0
    status: int | None = None
    fault: str = ""

    def record_body(self, reply: Reply, wire_size: int) -> None:
        """Record what the vendor found in the body."""
        self.wire_size, self.plain_size = wire_size, reply.plain_size
        self.json, self.events = reply.json, len(reply.events)

    def header(self, name: str) -> str | None:
        """Return the first value of a header; None if it was not sent.

        Args:
            name: Name of the header, in any case.
        """
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@attrs.define
class RecentItems(Generic[Item]):
    """The latest items, bounded by their number and by their total size.

    Attributes:
        max_items: Maximum number of items.
        max_bytes: Maximum total size. The newest item is kept even if it is larger.
    """

    max_items: int
    max_bytes: int
    _items: deque[tuple[Item, int]] = attrs.field(factory=deque)
    _bytes: int = 0

    def add(self, item: Item, size: int) -> None:
        """Append an item, and forget the oldest ones that exceed a bound."""
        self._items.append((item, size))
        self._bytes += size
        while len(self._items) > self.max_items or (self._bytes > self.max_bytes and len(self._items) > 1):
            self._bytes -= self._items.popleft()[1]

    def clear(self) -> None:
        """Forget all items."""
        self._items.clear()
        self._bytes = 0

    def __iter__(self) -> Iterator[Item]:
        return (item for item, _ in self._items)


@attrs.define
class _KeyState:
    """How often an event key has arrived, and whether one of its events was accepted."""

    arrivals: int = 0
    is_accepted: bool = False


class History:
    """Everything received, newest last, with counts that include forgotten items.

    Args:
        keep: Maximum number of requests, and of events, to keep.
        keep_bytes: Maximum size of the requests, and of the events, to keep, in bytes after gunzip.
        max_keys: Maximum number of event keys to remember for detecting duplicates.

    Attributes:
        requests: The requests that are kept, oldest first.
        events: The events that are kept, oldest first.
        event_counts: Number of events by vendor and verdict, the verdict without its reason.
        request_counts: Number of requests by vendor.
    """

    def __init__(self, keep: int, keep_bytes: int, max_keys: int = MAX_KEYS) -> None:
        self.requests: RecentItems[ReceivedRequest] = RecentItems(keep, keep_bytes)
        self.events: RecentItems[ReceivedEvent] = RecentItems(keep, keep_bytes)
        self.event_counts: Counter[tuple[str, str]] = Counter()
        self.request_counts: Counter[str] = Counter()
        self._last_number = 0
        self._max_keys = max_keys
        self._keys: dict[Hashable, _KeyState] = {}

    def next_number(self) -> int:
        """Return the number of the next request."""
        self._last_number += 1
        return self._last_number

    def record(self, request: ReceivedRequest, events: Sequence[ReceivedEvent], lost: str) -> None:
        """Record a request and its events.

        Args:
            request: The request, with its body recorded.
            events: Its events, each with the vendor's verdict.
            lost: Description of the fault that lost the events; `""` if they were not lost.
        """
        self.requests.add(request, request.plain_size)
        self.request_counts[request.vendor] += 1
        share = request.plain_size // max(len(events), 1)
        for event in events:
            event.request = request.number
            if lost:
                event.verdict = f"lost: {lost}"
            self._mark_duplicate(event)
            self.events.add(event, share)
            self.event_counts[event.vendor, event.verdict.partition(":")[0]] += 1

    def clear(self) -> None:
        """Forget everything, including counts and event keys."""
        self.requests.clear()
        self.events.clear()
        self.event_counts.clear()
        self.request_counts.clear()
        self._keys.clear()
        self._last_number = 0

    def _mark_duplicate(self, event: ReceivedEvent) -> None:
        """Count the arrivals of the event's key, and change `accepted` to `duplicate` if the key was accepted."""
        if event.key is None:
            return
        state = self._keys.setdefault(event.key, _KeyState())
        state.arrivals += 1
        event.attempt = state.arrivals
        if event.verdict == "accepted":
            event.verdict = "duplicate" if state.is_accepted else "accepted"
            state.is_accepted = True
        if len(self._keys) > self._max_keys:
            del self._keys[next(iter(self._keys))]  # dicts keep insertion order: the oldest key
