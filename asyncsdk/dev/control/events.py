"""The calls about events and requests: list, search, export, one event's story, the same user's events."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import islice

import attrs
import orjson
from aiohttp import web

from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import Call, CallError, Routes
from asyncsdk.dev.control.router import HEADERS
from asyncsdk.dev.control.rows import Row
from asyncsdk.dev.control.search import Query
from asyncsdk.dev.history import ReceivedRequest
from asyncsdk.dev.received_event import Json, ReceivedEvent

_LIMIT = 1_000
_MAX_LIMIT = 100_000
_ROWS_PER_STEP = 200
"""Rows that are built before other work gets its turn."""
_BEFORE, _AFTER = 5, 3
_MAX_EXPOSURES = 50
_SECRET_HEADERS = ("authorization", "statsig-api-key", "x-api-key", "cookie")
_SECRET_PARAMETERS = ("k", "writeKey", "api_key", "apiKey")
_KEY_IN_JSON = re.compile(r'("(?:api_key|apiKey|sdkKey|writeKey)"\s*:\s*")([^"\\]*)"')
_NDJSON = "application/x-ndjson"


@attrs.frozen(eq=False)
class EventCalls:
    """The calls.

    Attributes:
        bench: The state.
    """

    bench: Bench

    def routes(self) -> Routes:
        """Return the handlers of the calls."""
        return {
            ("GET", "events"): self._events,
            ("DELETE", "events"): self._delete,
            ("GET", "events/summary"): self._summary,
            ("GET", "events/{id}"): self._event,
            ("GET", "events/{seq}/body"): self._body,
            ("GET", "requests"): self._requests,
            ("GET", "requests/{n}"): self._request,
            ("GET", "users/{id}/around"): self._around,
        }

    async def _events(self, call: Call) -> Json:
        query = self.bench.parse(call.query.get("q", ""))
        limit = call.number("limit", _LIMIT, _MAX_LIMIT)
        before, after = call.number("before", 2**53), call.number("after", 0)
        if _NDJSON in (call.query.get("format", ""), call.headers.get("Accept", "")):
            return await _export(call, self.bench, query)
        rows: list[Row] = []
        newest = (event for event in reversed(list(self.bench.history.events)) if event.seq < before)
        async for row in matching(self.bench, query, newest):
            if row.event.seq <= after or len(rows) >= limit:
                break
            rows.append(row)
        return {
            "events": [row.json() for row in reversed(rows)],
            "last_seq": self.bench.history.last_seq,
            "kept": len(self.bench.history.events),
            "errors": query.errors,
        }

    async def _delete(self, call: Call) -> Json:
        query = _strict(self.bench, call.query.get("q", ""))
        deleted = self.bench.history.delete(lambda event: query.matches(self.bench.row(event)))
        self.bench.changed("events")
        return {"deleted": deleted}

    async def _summary(self, _: Call) -> Json:
        return self.bench.summary()

    async def _event(self, call: Call) -> Json:
        found = arrivals(self.bench, call.match["id"])
        story = self.bench.receipts.get(found[0].id if found else call.match["id"])
        if not found and not story:
            raise CallError(404, "there is no such event; it may be forgotten")
        return {"events": [self.bench.row(one).json() for one in found], "story": story or None}

    async def _body(self, call: Call) -> Json:
        found = find(self.bench, call.match["seq"])
        return web.Response(body=found.json or b"null", content_type="application/json", headers=HEADERS)

    async def _request(self, call: Call) -> Json:
        number = call.match["n"]
        found = self.bench.history.find_request(int(number)) if number.isdecimal() and len(number) < 16 else None
        if found is None:
            raise CallError(404, "there is no such request; it may be forgotten")
        return show_request(found)

    async def _requests(self, call: Call) -> Json:
        limit = call.number("limit", 100, _MAX_LIMIT)
        newest = islice(reversed(list(self.bench.history.requests)), limit)
        return {"requests": [_request_line(one) for one in newest][::-1]}

    async def _around(self, call: Call) -> Json:
        seq = call.number("seq", self.bench.history.last_seq)
        return {"events": [row.json() for row in near(self.bench, call.match["id"], seq)]}


async def matching(bench: Bench, query: Query, events: Iterable[ReceivedEvent]) -> AsyncIterator[Row]:
    """Yield the rows of events that match a query, letting other work run in between."""
    for position, event in enumerate(events, 1):
        if position % _ROWS_PER_STEP == 0:
            await asyncio.sleep(0)
        row = bench.row(event)
        if query.matches(row):
            yield row


def find(bench: Bench, seq: str) -> ReceivedEvent:
    """Return an event by its number.

    Raises:
        CallError: There is none.
    """
    found = bench.history.find_event(int(seq)) if seq.isdecimal() and len(seq) < 16 else None
    if found is None:
        raise CallError(404, "there is no such event; it may be forgotten")
    return found


def arrivals(bench: Bench, event_id: str) -> Sequence[ReceivedEvent]:
    """Return all arrivals of an event id, oldest first; for an event without an id, the one with this number."""
    found = [event for event in bench.history.events if event.id == event_id]
    if not found and event_id.isdecimal() and len(event_id) < 16:
        one = bench.history.find_event(int(event_id))
        found = [] if one is None else [one] if not one.id else list(arrivals(bench, one.id))
    return found


def near(bench: Bench, user: str, seq: int) -> Sequence[Row]:
    """Return what a user was shown and did around an event.

    That is the latest exposure of each name before it, the five events before and the three after it.
    """
    mine = [event for event in bench.history.events if event.user == user]
    shown: dict[str, ReceivedEvent] = {}
    before, after = list[ReceivedEvent](), list[ReceivedEvent]()
    for event in mine:
        if event.kind.endswith("exposure"):
            if event.seq < seq:
                shown.pop(event.name, None)
                shown[event.name] = event
        else:
            (before if event.seq <= seq else after).append(event)
    latest = list(shown.values())[-_MAX_EXPOSURES:]
    chosen = [*latest, *_first_arrivals(before)[-_BEFORE - 1 :], *_first_arrivals(after)[:_AFTER]]
    return [bench.row(event) for event in sorted(chosen, key=lambda event: event.seq)]


def _first_arrivals(events: Sequence[ReceivedEvent]) -> list[ReceivedEvent]:
    """Return the first arrival of each event: an event that three vendors got is one thing that the user did."""
    return list({event.id or str(event.seq): event for event in reversed(events)}.values())[::-1]


def show_request(request: ReceivedRequest) -> dict[str, Json]:
    """Return a request as it was received, with its keys shortened to their last four characters."""
    plain = request.plain
    return {
        **_request_line(request),
        "headers": [[name, _masked(name, value)] for name, value in request.headers],
        "body": _KEY_IN_JSON.sub(lambda key: f'{key[1]}{last_four(key[2])}"', plain.decode("utf-8", "replace")),
        "answer": {
            "status": request.status,
            "headers": [list(header) for header in request.reply_headers],
            "body": request.reply_body.decode("utf-8", "replace"),
        },
    }


def _request_line(request: ReceivedRequest) -> dict[str, Json]:
    return {
        "n": request.number,
        "vendor": request.vendor,
        "method": request.method,
        "path": _masked_path(request.path),
        "at": int(request.at * 1000),
        "ms": round(request.seconds * 1000, 1),
        "wire": request.wire_size,
        "plain": request.plain_size,
        "events": request.events,
        "fault": request.fault,
        "status": request.status,
    }


def last_four(key: str) -> str:
    """Return the last four characters of a key, after dots for the others."""
    return f"…{key[-4:]}" if len(key) > 8 else "…"


def _masked(name: str, value: str) -> str:
    if name.lower() not in _SECRET_HEADERS:
        return value
    scheme, _, rest = value.partition(" ")
    return f"{scheme} {last_four(rest)}" if rest else last_four(value)


def _masked_path(path: str) -> str:
    """Return a path with the keys in its query, or at its end, shortened."""
    address, mark, query = path.partition("?")
    head, slash, last = address.rpartition("/")
    if head.endswith(("/download_config_specs", "/get_id_lists")):
        address = f"{head}{slash}{last_four(last.removesuffix('.json'))}.json"
    parts = [part.partition("=") for part in query.split("&")] if query else []
    shown = [f"{name}{sign}{last_four(value) if name in _SECRET_PARAMETERS else value}" for name, sign, value in parts]
    return f"{address}{mark}{'&'.join(shown)}"


def _strict(bench: Bench, text: str) -> Query:
    """Parse a query that changes something: a word that cannot be read must not widen it.

    Raises:
        CallError: A word cannot be read.
    """
    query = bench.parse(text)
    if query.errors:
        raise CallError(400, str(query.errors[0]["error"]), errors=query.errors)
    return query


async def _export(call: Call, bench: Bench, query: Query) -> web.StreamResponse:
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": _NDJSON})
    await response.prepare(call.http)
    async for row in matching(bench, query, list(bench.history.events)):
        await response.write(orjson.dumps(full(row)) + b"\n")
    await response.write_eof()
    return response


def full(row: Row) -> Mapping[str, Json]:
    """Return a row with its body."""
    return {**row.json(), "body": orjson.Fragment(row.event.json or b"null")}
