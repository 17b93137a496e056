"""What the dev server has received."""

from collections import Counter, deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar

import attrs

from asyncsdk.dev.messages import Json, ReceivedEvent, Reply

Item = TypeVar("Item")

KEEP_IDS = 1_000_000


@attrs.define
class ReceivedRequest:
    """One request as it came in.

    Attributes:
        number: Counts from 1 over all vendors.
        vendor: `""` if the path belongs to none.
        path: With the query.
        headers: In the order and spelling of the wire.
        at: Time of arrival, in seconds since the epoch.
        wire_size: Bytes of the body as sent.
        plain_size: Bytes of the body after gunzip.
        json: The decoded body; None if the vendor did not look at it, or it is no JSON.
        events: How many events the vendor found in it.
        status: HTTP status of the answer; None while there is none.
        fault: The fault applied to it, in words; `""` if none.
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

    def take(self, answer: Reply, wire_size: int) -> None:
        """Note what the vendor found in the body."""
        self.wire_size, self.plain_size = wire_size, answer.plain_size
        self.json, self.events = answer.json, len(answer.events)

    def header(self, name: str) -> str | None:
        """Return the first value of a header, in any spelling; None if it was not sent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@attrs.define
class Recent(Generic[Item]):
    """The latest items, bounded by their number and their weight."""

    count: int
    weight: int
    _items: deque[tuple[Item, int]] = attrs.field(factory=deque)
    _weighs: int = 0

    def add(self, item: Item, weight: int) -> None:
        """Append an item, and forget the oldest ones as long as there are too many, but never the new one."""
        self._items.append((item, weight))
        self._weighs += weight
        while len(self._items) > self.count or (self._weighs > self.weight and len(self._items) > 1):
            self._weighs -= self._items.popleft()[1]

    def clear(self) -> None:
        """Forget all."""
        self._items.clear()
        self._weighs = 0

    def __iter__(self) -> Iterator[Item]:
        return (item for item, _ in self._items)


@attrs.define
class _Copies:
    """What is remembered of an event id."""

    arrivals: int = 0
    kept: bool = False


class History:
    """Everything received, newest last, with totals that go on when the oldest is forgotten.

    Args:
        keep: Most requests, and most events, to remember.
        keep_bytes: Most plain bytes of requests, and of events, to remember.
        keep_ids: Most event ids to remember for recognising copies.
    """

    def __init__(self, keep: int, keep_bytes: int, keep_ids: int = KEEP_IDS) -> None:
        self.requests: Recent[ReceivedRequest] = Recent(keep, keep_bytes)
        self.events: Recent[ReceivedEvent] = Recent(keep, keep_bytes)
        self.totals: Counter[tuple[str, str]] = Counter()
        self.asked: Counter[str] = Counter()
        self._numbers = 0
        self._keep_ids = keep_ids
        self._copies: dict[Hashable, _Copies] = {}

    def number(self) -> int:
        """Count one more request whose head has arrived."""
        self._numbers += 1
        return self._numbers

    def enter(self, request: ReceivedRequest, events: Sequence[ReceivedEvent], lost: str) -> None:
        """Enter a request and its events; `lost` is the fault that kept them from the vendor, or empty."""
        self.requests.add(request, request.plain_size)
        self.asked[request.vendor] += 1
        share = request.plain_size // max(len(events), 1)
        for event in events:
            event.request = request.number
            if lost:
                event.verdict = f"lost: {lost}"
            self._count_copy(event)
            self.events.add(event, share)
            self.totals[event.vendor, event.verdict.partition(":")[0]] += 1

    def clear(self) -> None:
        """Forget all, totals and ids too."""
        self.requests.clear()
        self.events.clear()
        self.totals.clear()
        self.asked.clear()
        self._copies.clear()
        self._numbers = 0

    def _count_copy(self, event: ReceivedEvent) -> None:
        if event.key is None:
            return
        copies = self._copies.setdefault(event.key, _Copies())
        copies.arrivals += 1
        event.attempt = copies.arrivals
        if event.verdict == "accepted":
            event.verdict = "duplicate" if copies.kept else "accepted"
            copies.kept = True
        if len(self._copies) > self._keep_ids:
            del self._copies[next(iter(self._copies))]
