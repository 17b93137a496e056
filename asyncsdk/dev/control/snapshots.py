"""The calls that save everything in one file, and load it again, to attach to a report of a bug."""

import time

import attrs
import orjson
from aiohttp import web

from asyncsdk._version import __version__
from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import Call, CallError, Routes, take
from asyncsdk.dev.control.people import NamedUsers, checked_users
from asyncsdk.dev.control.router import HEADERS
from asyncsdk.dev.control.switches import read_override
from asyncsdk.dev.received_event import Json, ReceivedEvent
from asyncsdk.dev.rulebook import Rulebook
from asyncsdk.dev.ruleset_edits import Override
from asyncsdk.dev.ruleset_formats import BrokenRulesetError, format_of

FORMAT = "asyncsdk-dev-1"
_TEXTS = ("vendor", "id", "user", "kind", "name", "verdict", "client", "run")


@attrs.frozen(eq=False)
class SnapshotCalls:
    """The calls.

    Attributes:
        bench: The state.
        book: The ruleset.
        users: The named users.
    """

    bench: Bench
    book: Rulebook
    users: NamedUsers

    def routes(self) -> Routes:
        """Return the handlers of the calls."""
        return {("GET", "snapshot"): self._save, ("POST", "snapshot"): self._load}

    async def _save(self, _: Call) -> Json:
        body = orjson.dumps(
            {
                "format": FORMAT,
                "version": __version__,
                "saved": int(time.time() * 1000),
                "ruleset": self.book.working,
                "overrides": [attrs.asdict(one) for one in self.book.overrides],
                "users": self.users.all(),
                "receipts": self.bench.receipts.all(),
                "events": [pack_event(event) for event in self.bench.history.events],
            }
        )
        return web.Response(body=body, content_type="application/json", headers=HEADERS)

    async def _load(self, call: Call) -> Json:
        body = await call.object()
        if body.get("format") != FORMAT:
            raise CallError(400, f"this is not a snapshot: its format is not {FORMAT}")
        # Everything is read before anything changes.
        events = [unpack_event(one) for one in take(body, "events", list, [])]
        receipts, ruleset = take(body, "receipts", dict, {}), take(body, "ruleset", dict, {})
        try:
            format_of(ruleset)
        except BrokenRulesetError as error:
            raise CallError(400, f"the snapshot has no ruleset: {error}") from error
        users = checked_users(take(body, "users", dict, {}))
        overrides = [self._override(one) for one in take(body, "overrides", list, [])]
        self.bench.history.clear()
        self.bench.clear()
        for event in events:
            self.bench.history.record_local(event)
        for event_id, receipt in receipts.items():
            self.bench.receipts.put(event_id, receipt)
        self.book.edit(ruleset)
        self.book.remove_overrides()
        for override in reversed(overrides):
            self.book.override(override)
        self.users.keep(users)
        for part in ("events", "rules", "overrides", "users"):
            self.bench.changed(part)
        return {"events": len(events)}

    def _override(self, one: Json) -> Override:
        if not isinstance(one, dict):
            raise CallError(400, "an override of the snapshot is not an object")
        given = {**one, "value": one.get("value")}
        return read_override(self.book, take(one, "name", str, ""), given, take(one, "by", str, "snapshot"))


def pack_event(event: ReceivedEvent) -> dict[str, Json]:
    """Return an event as a snapshot has it."""
    return {
        **{name: getattr(event, name) for name in _TEXTS},
        "body": orjson.Fragment(event.json or b"null"),
        "at": event.at,
        "attempt": event.attempt,
        "request": event.request,
        "is_blamed": event.is_blamed,
    }


def unpack_event(value: Json) -> ReceivedEvent:
    """Return an event of a snapshot.

    Raises:
        CallError: It is not one.
    """
    if not isinstance(value, dict):
        raise CallError(400, "an event of the snapshot is not an object")
    texts = {name: take(value, name, str, "") for name in _TEXTS}
    body = value.get("body")
    return ReceivedEvent(
        **texts,
        body=body,
        stored=body,
        request=take(value, "request", int, 0),
        attempt=take(value, "attempt", int, 1),
        is_blamed=take(value, "is_blamed", bool) is not False,
        at=float(take(value, "at", float, 0.0)),
    )
