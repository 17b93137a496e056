"""The stream of the live view: server-sent events.

| message | data |
|---|---|
| `events` | a list of rows; its id is the number of the last one, from which a reconnecting page goes on |
| `receipts` | a list of what clients said about their events since: id, type, failures |
| `changed` | the parts that have changed: `rules`, `overrides`, `faults`, `clients`, `names`, `users`, `events` |
| `summary` | totals and rates, once a second |

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

import asyncio
import time
from collections import Counter

import orjson
from aiohttp import web

from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import Call, Routes
from asyncsdk.dev.control.router import HEADERS
from asyncsdk.dev.received_event import Json

_MAX_ROWS = 500
"""Rows in one message."""
_SUMMARY_INTERVAL = 1.0
_MIN_INTERVAL = 0.05
"""Time between two messages, in seconds, so that events that arrive one by one travel together."""


def routes(bench: Bench, stopping: asyncio.Event) -> Routes:
    """Return the call.

    Args:
        bench: The state.
        stopping: Set when the server stops, which ends the streams.
    """

    async def stream(call: Call) -> web.StreamResponse:
        last = call.http.headers.get("Last-Event-ID") or call.query.get("since", "")
        follower = _Follower(bench, int(last) if last.isdecimal() and len(last) < 16 else bench.history.last_seq)
        follower.query = bench.parse(call.query.get("q", ""))
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(call.http)
        await response.write(b"retry: 1000\n\n" + _message("hello", {"run_id": bench.run_id}, None))
        while not stopping.is_set():
            arrival = bench.arrival
            text = follower.news()
            if text:
                await response.write(text)
            await _wait(arrival, stopping, 0 if follower.is_behind else follower.until_summary())
        return response

    return {("GET", "events/stream"): stream}


async def _wait(arrival: asyncio.Event, stopping: asyncio.Event, seconds: float) -> None:
    """Wait until something is new, until the server stops, or for at most some seconds."""
    waits = [asyncio.ensure_future(arrival.wait()), asyncio.ensure_future(stopping.wait())]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if seconds:
        await asyncio.sleep(_MIN_INTERVAL)


class _Follower:
    """What one page has been told, and what is new since."""

    def __init__(self, bench: Bench, seq: int) -> None:
        self._bench = bench
        self._seq = min(seq, bench.history.last_seq)
        self._told = bench.last_told
        self._changes = Counter(bench.changes)
        self._summary_at = 0.0
        self.query = bench.parse("")
        self.is_behind = False

    def until_summary(self) -> float:
        """Return the seconds until the next summary is due."""
        return max(0.01, self._summary_at - time.monotonic())

    def news(self) -> bytes:
        """Return the messages about what is new, and take it as told."""
        return b"".join((self._events(), self._receipts(), self._changed(), self._summary()))

    def _events(self) -> bytes:
        new = self._bench.history.events_after(self._seq)
        self.is_behind = len(new) > _MAX_ROWS
        if not new[:_MAX_ROWS]:
            return b""
        self._seq = new[:_MAX_ROWS][-1].seq
        rows = [row.json() for row in map(self._bench.row, new[:_MAX_ROWS]) if self.query.matches(row)]
        return _message("events", rows, self._seq) if rows else b""

    def _receipts(self) -> bytes:
        new = [receipt for number, receipt in self._bench.told if number > self._told]
        self._told = self._bench.last_told
        return _message("receipts", new, None) if new else b""

    def _changed(self) -> bytes:
        new = [part for part, number in self._bench.changes.items() if number > self._changes[part]]
        self._changes = Counter(self._bench.changes)
        return _message("changed", new, None) if new else b""

    def _summary(self) -> bytes:
        if time.monotonic() < self._summary_at:
            return b""
        self._summary_at = time.monotonic() + _SUMMARY_INTERVAL
        return _message("summary", self._bench.summary(), None)


def _message(kind: str, data: Json, number: int | None) -> bytes:
    head = f"event: {kind}\n" if number is None else f"event: {kind}\nid: {number}\n"
    return head.encode() + b"data: " + orjson.dumps(data) + b"\n\n"
