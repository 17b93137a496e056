"""Wait for events, and assert what arrived, with the nearest misses field by field."""

import asyncio
from collections.abc import Mapping, Sequence

import attrs

from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import Call, CallError, Routes, take
from asyncsdk.dev.control.events import full, matching
from asyncsdk.dev.control.rows import Row
from asyncsdk.dev.control.search import Query
from asyncsdk.dev.received_event import Json

_FIELDS = ("vendor", "type", "name", "user", "id", "run", "client", "is")
_MAX_MISSES = 5
_MAX_SHOWN = 20
_MAX_WAIT = 60.0


@attrs.frozen
class Expected:
    """What an event has to be like.

    Attributes:
        query: A search that it has to match.
        fields: Exact values of its fields; `is` is its verdict.
        properties: Values of the payload, by path such as `properties.sku`, or by name, at any depth.
    """

    query: Query
    fields: Mapping[str, str]
    properties: Mapping[str, Json]

    def misses(self, row: Row) -> list[dict[str, Json]]:
        """Return each field in which an event differs, with what was expected and what it has."""
        found = [
            {"field": field, "expected": value, "got": _field(row, field)}
            for field, value in self.fields.items()
            if not _is_value(row, field, value)
        ]
        found += [
            {"field": token.key or "text", "expected": token.text, "got": _field(row, token.key or "name")}
            for token in self.query.tokens
            if not token.matches(row)
        ]
        body = row.event.body if self.properties else None
        for path, value in self.properties.items():
            values = list(_values(body, path))
            if value not in values:
                found.append({"field": path, "expected": value, "got": values[0] if values else None})
        return found

    @property
    def size(self) -> int:
        """Number of things that are expected."""
        return len(self.fields) + len(self.query.tokens) + len(self.properties)


@attrs.frozen(eq=False)
class AssertCalls:
    """The calls.

    Attributes:
        bench: The state.
    """

    bench: Bench

    def routes(self) -> Routes:
        """Return the handlers of the calls."""
        return {("GET", "events/wait"): self._wait, ("POST", "assert"): self._assert}

    async def _wait(self, call: Call) -> Json:
        query = self.bench.parse(call.query.get("q", ""))
        if query.errors:
            raise CallError(400, str(query.errors[0]["error"]), errors=query.errors)
        count, within = call.number("count", 1), call.seconds("within", 5.0, _MAX_WAIT)
        rows = await self._until(Expected(query, {}, {}), count, within)
        answer = {"count": len(rows), "events": [row.json() for row in rows[-_MAX_SHOWN:]]}
        if len(rows) < count:
            raise CallError(408, f"{len(rows)} of {count} events within {within:g} s", **answer)
        return answer

    async def _assert(self, call: Call) -> Json:
        body = await call.object()
        expected = self._read(body)
        wanted = take(body, "count", int)
        count, within = 1 if wanted is None else wanted, take(body, "within", float, 0.0)
        if count < 0 or not 0 <= within <= _MAX_WAIT:
            raise CallError(400, f"count is at least 0, and within is a number of seconds from 0 to {_MAX_WAIT:g}")
        rows = await self._until(expected, count + (wanted is not None), within, enough=count)
        is_met = len(rows) == count if wanted is not None else len(rows) >= count
        answer = {"count": len(rows), "events": [full_json(row) for row in rows[-_MAX_SHOWN:]]}
        if is_met:
            return answer
        text = f"expected {count if wanted is not None else 'at least 1'}, found {len(rows)}"
        raise CallError(417, text, **answer, misses=await self._nearest(expected))

    def _read(self, body: Mapping[str, Json]) -> Expected:
        known = {*_FIELDS, "q", "properties", "count", "within"}
        if unknown := sorted(body.keys() - known):
            raise CallError(400, f"there is no {unknown[0]!r}; an assertion has {', '.join(sorted(known))}")
        query = self.bench.parse(take(body, "q", str, ""))
        if query.errors:
            raise CallError(400, str(query.errors[0]["error"]), errors=query.errors)
        fields = {name: take(body, name, str) for name in _FIELDS if body.get(name) is not None}
        return Expected(query, fields, take(body, "properties", dict, {}))

    async def _until(self, expected: Expected, most: int, within: float, enough: int | None = None) -> list[Row]:
        """Return the events that are as expected, once there are enough of them, or after `within` seconds.

        Args:
            expected: What they have to be like.
            most: Number of events to wait for.
            within: Maximum time to wait, in seconds.
            enough: The number after which a last look suffices; None is `most`.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    arrival = self.bench.arrival
                    rows = await self._matching(expected)
                    if len(rows) >= (most if enough is None else max(enough, 1)):
                        return rows
                    await arrival.wait()
        except TimeoutError:
            return await self._matching(expected)

    async def _matching(self, expected: Expected) -> list[Row]:
        events = list(self.bench.history.events)
        return [row async for row in matching(self.bench, Query(), events) if not expected.misses(row)]

    async def _nearest(self, expected: Expected) -> Sequence[dict[str, Json]]:
        """Return the events that differ in the fewest fields, the newest of equal ones first."""
        found: list[tuple[int, Row, list[dict[str, Json]]]] = []
        async for row in matching(self.bench, Query(), reversed(list(self.bench.history.events))):
            misses = expected.misses(row)
            if misses:
                found.append((len(misses), row, misses))
        found.sort(key=lambda one: one[0])
        # An event that has nothing of what is expected is no near miss.
        near = [one for one in found[:_MAX_MISSES] if one[0] < expected.size or expected.size == 1]
        return [{"event": row.json(), "fields": misses} for _, row, misses in near]


def full_json(row: Row) -> dict[str, Json]:
    """Return a row with its body."""
    return {**full(row)}


def _field(row: Row, field: str) -> Json:
    if field == "is":
        return row.event.status
    return getattr(row, field, None)


def _is_value(row: Row, field: str, value: str) -> bool:
    if field == "is":
        return value in (row.event.status, "exposure" if row.exposure else "", "retried" if row.attempt > 1 else "")
    return bool(getattr(row, field) == value)


def _values(value: Json, path: str) -> Sequence[Json]:
    """Return the values at a path, from the top of a payload or from anywhere in it."""
    found = [at for at in (_at(value, path),) if at is not _NOTHING]
    if isinstance(value, dict):
        for inner in value.values():
            found += _values(inner, path)
    elif isinstance(value, list):
        for inner in value:
            found += _values(inner, path)
    return found


_NOTHING = object()


def _at(value: Json, path: str) -> Json:
    if isinstance(value, dict) and path in value:
        return value[path]
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return _NOTHING
        value = value[name]
    return value
