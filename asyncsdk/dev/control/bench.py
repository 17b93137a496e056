"""The state behind the control API, beside the history: receipts, rates, and the listeners of the stream."""

import asyncio
import time
import uuid
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs
import orjson

from asyncsdk.dev.control.asked import AskedNames
from asyncsdk.dev.control.rows import Row
from asyncsdk.dev.control.search import Query, parse
from asyncsdk.dev.history import History
from asyncsdk.dev.received_event import Json, ReceivedEvent, exact_json

_SECONDS, _HALF_MINUTES = 60, 60
_SPAN = 30
"""Seconds of the longer scale's steps: 60 of them are half an hour."""
_MAX_RECEIPTS = 50_000
_NO_RECEIPT: Mapping[str, Json] = {}


@attrs.define
class Rates:
    """Accepted and refused events per second of the last half hour."""

    _by_second: dict[int, list[int]] = attrs.field(factory=dict)
    _order: deque[int] = attrs.field(factory=deque)

    def count(self, event: ReceivedEvent) -> None:
        """Count an event at the second of its arrival."""
        second = int(event.at)
        counts = self._by_second.get(second)
        if counts is None:
            counts = self._by_second[second] = [0, 0]
            self._order.append(second)
            while len(self._order) > _SPAN * _HALF_MINUTES:
                del self._by_second[self._order.popleft()]
        counts[event.status in ("rejected", "lost")] += 1

    def clear(self) -> None:
        """Forget all counts."""
        self._by_second.clear()
        self._order.clear()

    def last(self, now: float) -> dict[str, list[list[int]]]:
        """Return [accepted, refused] for each of the last 60 seconds, and of the last 60 half minutes, oldest first."""
        second = int(now)
        return {
            "seconds": [self._sum(second - ago, 1) for ago in range(_SECONDS - 1, -1, -1)],
            "half_minutes": [self._sum(second - ago * _SPAN, _SPAN) for ago in range(_HALF_MINUTES - 1, -1, -1)],
        }

    def _sum(self, last: int, span: int) -> list[int]:
        counts = [self._by_second.get(second, (0, 0)) for second in range(last - span + 1, last + 1)]
        return [sum(count[0] for count in counts), sum(count[1] for count in counts)]


@attrs.define(eq=False)
class Receipts:
    """What clients said about their events, by event id; the oldest are forgotten.

    Attributes:
        max_bytes: Maximum size of the receipts as JSON, in bytes.
    """

    max_bytes: int
    _by_id: dict[str, bytes] = attrs.field(factory=dict, repr=False)
    _order: deque[str] = attrs.field(factory=deque, repr=False)
    _bytes: int = 0

    def put(self, event_id: str, receipt: Mapping[str, Json]) -> None:
        """Store or replace a receipt."""
        text = exact_json(receipt)
        known = self._by_id.get(event_id)
        if known is None:
            self._order.append(event_id)
        self._bytes += len(text) - len(known or b"")
        self._by_id[event_id] = text
        while self._order and (len(self._order) > _MAX_RECEIPTS or self._bytes > self.max_bytes):
            self._bytes -= len(self._by_id.pop(self._order.popleft()))

    def get(self, event_id: str) -> Mapping[str, Json]:
        """Return the receipt of an event; empty if there is none."""
        text = self._by_id.get(event_id) if event_id else None
        return _NO_RECEIPT if text is None else orjson.loads(text)

    def all(self) -> dict[str, Json]:
        """Return all receipts by event id."""
        return {event_id: orjson.Fragment(text) for event_id, text in self._by_id.items()}

    def clear(self) -> None:
        """Forget all receipts."""
        self._by_id.clear()
        self._order.clear()
        self._bytes = 0


class Bench:
    """The state of one dev server that the control API shows.

    Attributes:
        history: What was received.
        receipts: What clients said about their events.
        rates: Events per second.
        asked: The names that code has asked for.
        run_id: Differs for each server that is created.
        began: Time of creation, in seconds since the epoch.
        arrival: Set, and replaced by a new one, each time there is something new for the stream.
        changes: Number of changes so far of each part: `rules`, `overrides`, `faults`, `clients`, `names`, `events`.
        kept_words: What is kept, and how long.
        keep_file: The file that keeps events; `""` without one.
        told: Receipts that arrived, newest last, each with a number, for the stream.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.receipts = Receipts(history.keep_bytes // 8)
        self.rates = Rates()
        self.asked = AskedNames()
        self.kept_words = f"in memory, at most {history.keep:,} events, lost when the server ends"
        self.keep_file = ""
        self.run_id = uuid.uuid4().hex[:12]
        self.began = time.time()
        self.arrival = asyncio.Event()
        self.changes: Counter[str] = Counter()
        self.told: deque[tuple[int, dict[str, Json]]] = deque(maxlen=2_000)
        self._last_told = 0

    def row(self, event: ReceivedEvent) -> Row:
        """Return an event as a row."""
        return Row(event, self.receipts.get(event.id))

    def parse(self, text: str) -> Query:
        """Parse a query; times in it are local ones of today."""
        return parse(text, datetime.now().astimezone())

    def record(self, events: Sequence[ReceivedEvent]) -> None:
        """Count events that the history has recorded, and wake the streams."""
        for event in events:
            self.rates.count(event)
        self.wake()

    def changed(self, part: str) -> None:
        """Let the streams say that a part has changed."""
        self.changes[part] += 1
        self.wake()

    def tell(self, receipt: dict[str, Json]) -> None:
        """Let the streams send what is new in a receipt."""
        self._last_told += 1
        self.told.append((self._last_told, receipt))

    @property
    def last_told(self) -> int:
        """Number of the newest receipt for the stream."""
        return self._last_told

    def wake(self) -> None:
        """Wake all waiters. They hold the old event: they wake, look, and wait for the new one."""
        self.arrival.set()
        self.arrival = asyncio.Event()

    def summary(self) -> dict[str, Json]:
        """Return totals by vendor and by verdict since the last reset, and the rates."""
        vendors: Counter[str] = Counter()
        verdicts: Counter[str] = Counter()
        for (vendor, verdict), count in self.history.event_counts.items():
            vendors[vendor] += count
            verdicts[verdict] += count
        return {
            "total": sum(vendors.values()),
            "kept": len(self.history.events),
            "last_seq": self.history.last_seq,
            "vendors": vendors,
            "verdicts": verdicts,
            "requests": sum(self.history.request_counts.values()),
            "used_bytes": self.history.used_bytes,
            **self.rates.last(time.time()),
        }

    def clear(self) -> None:
        """Forget what was received and told."""
        self.receipts.clear()
        self.rates.clear()
        self.asked.clear()
        self.told.clear()
