"""The calls about overrides and faults."""

import time
from collections.abc import Mapping

import attrs

from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import Call, CallError, Routes, take
from asyncsdk.dev.faults import ENDS, Fault, FaultSchedule, StandingFault
from asyncsdk.dev.received_event import Json
from asyncsdk.dev.rulebook import Rulebook
from asyncsdk.dev.ruleset_edits import Kind, Override, find

_KINDS: tuple[Kind, ...] = ("gate", "config", "experiment", "layer")
_PRESETS: Mapping[str, Fault] = {"lost_reply": Fault.lost_reply(), "garbage": Fault.garbage()}


@attrs.frozen(eq=False)
class SwitchCalls:
    """The calls.

    Attributes:
        bench: The state.
        book: The ruleset with its overrides.
        faults: The faults to come.
        vendors: Names of the vendors.
    """

    bench: Bench
    book: Rulebook
    faults: FaultSchedule
    vendors: tuple[str, ...]

    def routes(self) -> Routes:
        """Return the handlers of the calls."""
        return {
            ("GET", "overrides"): self._overrides,
            ("PUT", "overrides"): self._override,
            ("DELETE", "overrides"): self._remove_all,
            ("PUT", "overrides/{name}"): self._override_name,
            ("DELETE", "overrides/{name}"): self._remove,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._add_fault,
            ("PUT", "faults"): self._replace_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("DELETE", "faults/{id}"): self._remove_fault,
        }

    # --- overrides --------------------------------------------------------------------------------------------

    async def _overrides(self, _: Call) -> Json:
        return {"overrides": [attrs.asdict(override) for override in self.book.overrides]}

    async def _override(self, call: Call) -> Json:
        body = await call.object()
        by = "page" if call.headers.get("Sec-Fetch-Site") == "same-origin" else "api"
        return self._set(take(body, "name", str), body, by)

    async def _override_name(self, call: Call) -> Json:
        return self._set(call.match["name"], await call.object(), "api")

    def _set(self, name: str | None, body: Mapping[str, Json], by: str) -> Json:
        if not name:
            raise CallError(400, "an override has a name")
        override = read_override(self.book, name, body, by)
        self.book.override(override)
        self.bench.changed("overrides")
        return attrs.asdict(override)

    async def _remove(self, call: Call) -> Json:
        user = call.query.get("user")
        removed = self.book.remove_overrides(call.match["name"], user, any_user=user is None)
        self.bench.changed("overrides")
        return {"removed": removed}

    async def _remove_all(self, _: Call) -> Json:
        removed = self.book.remove_overrides()
        self.bench.changed("overrides")
        return {"removed": removed}

    # --- faults -----------------------------------------------------------------------------------------------

    async def _faults(self, _: Call) -> Json:
        return {"faults": [show_fault(one) for one in self.faults.standing], "scripts": self.faults.scripted()}

    async def _add_fault(self, call: Call) -> Json:
        return self._add(await call.json())

    async def _replace_faults(self, call: Call) -> Json:
        body = await call.json()
        given = body if isinstance(body, list) else [body] if body else []
        read = [self._read(one) for one in given]
        self.faults.clear()
        for one in read:
            self._schedule(one)
        self.bench.changed("faults")
        return await self._faults(call)

    async def _clear_faults(self, _: Call) -> Json:
        removed = len(self.faults.standing)
        self.faults.clear()
        self.bench.changed("faults")
        return {"removed": removed}

    async def _remove_fault(self, call: Call) -> Json:
        number = call.match["id"]
        if not self.faults.remove(int(number) if number.isdecimal() and len(number) < 16 else 0):
            raise CallError(404, f"there is no fault {number[:40]}")
        self.bench.changed("faults")
        return {"removed": 1}

    def _add(self, body: Json) -> Json:
        one = self._read(body)
        self._schedule(one)
        self.bench.changed("faults")
        return show_fault(one) if isinstance(one, StandingFault) else {"vendor": one[0], "script": len(one[1])}

    def _schedule(self, one: "StandingFault | _Script") -> None:
        if isinstance(one, StandingFault):
            self.faults.add_standing(one)
        else:
            self.faults.add_script(*one)

    def _read(self, body: Json) -> "StandingFault | _Script":
        if not isinstance(body, dict):
            raise CallError(400, "a fault is an object with a vendor, and a status, an end or a delay")
        vendor = take(body, "vendor", str)
        vendor = None if vendor == "any" else vendor
        if vendor not in (None, *self.vendors):
            raise CallError(
                400, f"vendor is one of {', '.join(self.vendors)}, or null for any, not {str(vendor)[:40]!r}"
            )
        steps = take(body, "script", list)
        if steps is not None:
            return vendor, [None if step is None else read_fault(_step(step)) for step in steps]
        times, probability = take(body, "times", int), take(body, "probability", float, 1.0)
        if times is not None and times < 1:
            raise CallError(400, "times is at least 1, or null for all requests")
        if not 0 <= probability <= 1:
            raise CallError(400, "probability is a number from 0 to 1")
        return StandingFault(vendor, read_fault(body), times, probability=probability)


_Script = tuple[str | None, list[Fault | None]]


def read_override(book: Rulebook, name: str, body: Mapping[str, Json], by: str) -> Override:
    """Build an override from its fields.

    Args:
        book: The ruleset, which says of what kind the name is.
        name: The name.
        body: `value`: true or false for a gate, an object, or the name of a group; `user`; `kind`.
        by: Who sets it.

    Raises:
        CallError: The value does not fit the name.
    """
    kind: Kind | None = take(body, "kind", str)
    found = find(book.working, name, kind)
    value, user = body.get("value"), take(body, "user", str)
    kind = kind or (found.kind if found is not None else "gate" if isinstance(value, bool) else "config")
    if kind not in _KINDS:
        raise CallError(400, f"kind is one of {', '.join(_KINDS)}, not {str(kind)[:40]!r}")
    group = None
    if isinstance(value, str) and kind == "experiment":
        group, value = value, _group_value(found.spec if found is not None else {}, value)
    if kind == "gate" and not isinstance(value, bool):
        raise CallError(400, f"{name} is a gate: its value is true or false")
    if kind != "gate" and not isinstance(value, dict):
        raise CallError(400, f"{name} is a {kind}: its value is an object of parameters")
    return Override(kind, name, value, user or None, group, int(time.time() * 1000), by)


def _group_value(spec: Mapping[str, Json], group: str) -> Json:
    rules = [rule for rule in spec.get("rules", []) if rule.get("groupName") is not None]
    for rule in rules:
        if rule["groupName"] == group:
            return rule.get("returnValue")
    known = ", ".join(dict.fromkeys(str(rule["groupName"]) for rule in rules)) or "no groups"
    raise CallError(400, f"it has {known}, not {group[:80]!r}")


def read_fault(body: Mapping[str, Json]) -> Fault:
    """Build a fault from its fields.

    Raises:
        CallError: A field has a wrong value.
    """
    end = take(body, "end", str, "answer")
    status, delay = take(body, "status", int), take(body, "delay", float, 0.0)
    if end not in (*ENDS, *_PRESETS):
        raise CallError(400, f"end is one of {', '.join((*ENDS, *_PRESETS))}, not {end[:40]!r}")
    if status is not None and not 200 <= status <= 599:
        raise CallError(400, "status is an HTTP status from 200 to 599")
    if not 0 <= delay <= 3_600:
        raise CallError(400, "delay is a number of seconds from 0 to 3600")
    preset = _PRESETS.get(end)
    base = Fault(status, end=end) if preset is None else attrs.evolve(preset, **({"status": status} if status else {}))
    retry_after = body.get("retry_after")
    if not isinstance(retry_after, int | float | str | None) or isinstance(retry_after, bool):
        raise CallError(400, "retry_after is a number of seconds, or text")
    if isinstance(retry_after, str) and not retry_after.isprintable():
        raise CallError(400, "retry_after is text without control characters")
    return attrs.evolve(
        base,
        delay=float(delay),
        retry_after=retry_after,
        ingest=take(body, "ingest", bool, base.ingest),
        body=body.get("body", base.body),
    )


def show_fault(one: StandingFault) -> dict[str, Json]:
    """Return a standing fault as the API has it."""
    fault = one.fault
    preset = next((name for name, known in _PRESETS.items() if _is_like(fault, known)), None)
    return {
        "id": one.id,
        "vendor": one.vendor,
        "status": fault.status,
        "end": preset or fault.end,
        "delay": fault.delay,
        "retry_after": fault.retry_after,
        "probability": one.probability,
        "times": one.total,
        "left": one.times,
        "hits": one.hits,
        "since": one.since,
        "text": str(fault),
    }


def _is_like(fault: Fault, known: Fault) -> bool:
    return (fault.end, fault.body, fault.ingest) == (known.end, known.body, known.ingest)


def _step(step: Json) -> Mapping[str, Json]:
    if isinstance(step, int) and not isinstance(step, bool):
        return {"status": step}
    if isinstance(step, dict):
        return step
    raise CallError(400, "a step of a script is a status, a fault, or null for the vendor's own reply")
