"""The outcome of an event: `Record` while it is pending, `Delivery` when it is final, `Receipt` for the caller.

An accepted event has one `Record` for each destination that it is sent to, and one `Delivery` for each that refused or
skipped it. Only the ledger (`_delivery/ledger.py`) settles a record, once.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import attrs

from asyncsdk._model.events import Event, title
from asyncsdk._model.plain import Plain
from asyncsdk._model.values import Shown, Value

Status = Literal["delivered", "enqueued", "rejected", "dropped", "skipped", "spooled", "abandoned"]


@attrs.frozen(eq=False, repr=False)
class Delivery(Plain, Value):
    """The final outcome of an event at one destination.

    Attributes:
        destination: Name of the destination.
        status: `delivered`; `enqueued` in the engine, for a relay to deliver; `rejected` because the vendor refused it
            or would; `dropped` by the client; `skipped` because it is not meant for this destination; `spooled` to disk
            when the client closed; `abandoned` in memory when the client closed (it may have arrived).
        code: HTTP status of the last response; 0 if there was none.
        reason: The cause in a few words; "" if delivered.
        attempts: Number of requests that carried the event.
        seconds: Time from acceptance to the final outcome, in seconds; events settled together share the time of the
            first.
    """

    destination: str
    status: Status
    code: int = 0
    reason: str = ""
    attempts: int = 0
    seconds: float = attrs.field(default=0.0, eq=False)


@attrs.frozen(eq=False, repr=False)
class Attempt(Value):
    """A request that did not settle an event.

    Attributes:
        time_ms: Time of the response, in milliseconds since 1970.
        code: HTTP status; 0 if no response arrived.
        reason: What went wrong, in a few words.
    """

    time_ms: int
    code: int
    reason: str


# A full queue holds 10,000 of these per destination: no weakref slot, which would take 8 bytes each.
@attrs.define(eq=False, repr=False, weakref_slot=False)
class Record(Shown):
    """One event on its way to one destination, or several exposures in a `Bundle`.

    Attributes:
        key: The ordering key; "" for exposures, which have no order.
        id: The event's id; "" if no callback needs it, since an id takes as much memory as the rest of a record.
        chunk: The event, encoded for the destination; a `Bundle` for several exposures.
        admitted: Time of acceptance in seconds, on the monotonic clock.
        second_key: The second ordering key of an alias, which is ordered with events of both ids; otherwise None.
        exposures: Number of exposures, which are counted separately and have no receipt; 0 for an event.
        epoch: Number of flushes that began before the event was accepted.
        attempts: Requests so far that did not settle the event.
        delivery: The final outcome; None while the event is pending.
        watchers: Functions to call, once, when the outcome is final.
    """

    key: str
    id: str
    chunk: bytes
    admitted: float
    second_key: str | None = None
    exposures: int = 0
    epoch: int = 0
    attempts: tuple[Attempt, ...] = ()
    delivery: Delivery | None = None
    watchers: tuple[Callable[[], None], ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """All ordering keys of the record."""
        return (self.key,) if self.second_key is None else (self.key, self.second_key)

    def settle(self, delivery: Delivery) -> None:
        """Record the final outcome and notify the watchers."""
        self.delivery = delivery
        self.notify_watchers()

    def notify_watchers(self) -> None:
        """Notify the watchers, once, that the outcome is final."""
        # Cleared before the calls, so that no watcher is called twice.
        watchers, self.watchers = self.watchers, ()
        for watcher in watchers:
            watcher()


@attrs.define(eq=False, repr=False, weakref_slot=False)
class Receipt(Shown):
    """The result of an event verb: the event is accepted, and the receipt reports its outcome.

    `await receipt` waits until the outcome at every destination is final, and returns a `Delivery` by name of the
    destination. A receipt that is not needed can be discarded at no cost.

    Attributes:
        event_id: The event's id: RudderStack's `messageId`, Amplitude's `insert_id`.
        event: The event as sent, after middleware.
        time_ms: Time of acceptance, in milliseconds since 1970.
        outcomes: The outcome at each destination, in the order of the client's destinations: a `Record`, or a
            `Delivery` if the destination refused or skipped the event at once. Prefer `deliveries`.
    """

    event_id: str
    event: Event = attrs.field(repr=False)
    time_ms: int
    _names: Sequence[str] = attrs.field(repr=False)
    outcomes: list[Record | Delivery] = attrs.field(repr=False)
    _wait: Callable[[Sequence[Record]], Awaitable[None]] = attrs.field(repr=False)
    _original: Event | None = attrs.field(default=None, repr=False)

    def __await__(self) -> Generator[Any, Any, dict[str, Delivery]]:
        return self._settled().__await__()

    async def _settled(self) -> dict[str, Delivery]:
        pending = [o for o in self.outcomes if isinstance(o, Record) and o.delivery is None]
        if pending:
            await self._wait(pending)
        return {name: delivery for name, delivery in self.deliveries.items() if delivery is not None}

    @property
    def error(self) -> str:
        """Why the event is invalid, with `Client(on_invalid="report")`; "" if it is valid."""
        return ""

    @property
    def notes(self) -> Mapping[str, str]:
        """What was left out of the event, by name of the destination; empty if nothing was."""
        return {}

    @property
    def deliveries(self) -> Mapping[str, Delivery | None]:
        """The outcome by name of the destination; None while it is pending."""
        return {
            name: outcome.delivery if isinstance(outcome, Record) else outcome
            for name, outcome in zip(self._names, self.outcomes, strict=True)
        }

    def explain(self) -> str:
        """Return a report of the event in several lines, to print or log.

        It shows which fields middleware changed, and for each destination the size, the attempts and the outcome. It
        contains no values of the event except its name and id.
        """
        lines = [f"{title(self.event)}  id {self.event_id}  {_format_time(self.time_ms)}"]
        if self._original is not None:
            lines += [f"  middleware changed {change}" for change in _changed_fields(self._original, self.event)]
        for name, outcome in zip(self._names, self.outcomes, strict=True):
            lines += _explain_outcome(name, outcome)
            lines += [f"    {self.notes[name]}"] if name in self.notes else []
        return "\n".join(lines)


# Classes of their own, so that usual receipts have no field for what is rare.
@attrs.define(eq=False, repr=False, weakref_slot=False)
class NotedReceipt(Receipt):
    """The receipt of an event that a destination gets without some of its fields."""

    notes: Mapping[str, str] = attrs.field(kw_only=True)


@attrs.define(eq=False, repr=False, weakref_slot=False)
class InvalidReceipt(Receipt):
    """The receipt of an event that is invalid, and was counted instead of raised."""

    error: str = attrs.field(kw_only=True)

    def explain(self) -> str:
        """Return a report of the event in several lines: what is wrong, and the outcome at each destination."""
        lines = [f"{_safe_title(self.event)}  id {self.event_id}  {_format_time(self.time_ms)}"]
        lines.append(f"  invalid: {self.error}")
        for name, outcome in zip(self._names, self.outcomes, strict=True):
            lines += _explain_outcome(name, outcome)
        return "\n".join(lines)


def _safe_title(event: object) -> str:
    """Return the title of an event of which nothing is certain; the name of its type if it has none."""
    try:
        return title(event)  # type: ignore[arg-type] # it may be anything
    except Exception:  # noqa: BLE001 -- a field may be of any type, and raise anything
        return type(event).__name__


def story_of(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as data, for the dev server: what `explain` says, and the user the event is for.

    Like `explain`, it has no other values of the event; of what middleware changed, the names only.
    """
    event, original = receipt.event, receipt._original
    outcomes = dict(zip(receipt._names, receipt.outcomes, strict=True))
    is_dropped = all(isinstance(one, Delivery) and one.status == "dropped" for one in receipt.outcomes)
    user = getattr(event, "user", None)
    # Of an event that middleware dropped, only the original is known, which nothing has redacted.
    user_id = "" if is_dropped else getattr(user, "user_id", user)
    name = getattr(event, "name", None)
    return {
        "id": receipt.event_id,
        "verb": title(event).partition(" ")[0],
        "name": name if isinstance(name, str) else "",
        "user": "" if user_id is None else str(user_id),
        "time": receipt.time_ms,
        "changed": [] if original is None else _changed_fields(original, event),
        "vendors": {name: _outcome_story(outcome) for name, outcome in outcomes.items()},
        "explain": receipt.explain(),
    }


def _outcome_story(outcome: Record | Delivery) -> dict[str, Any]:
    delivery = outcome.delivery if isinstance(outcome, Record) else outcome
    attempts = outcome.attempts if isinstance(outcome, Record) else ()
    return {
        "status": "pending" if delivery is None else delivery.status,
        "code": 0 if delivery is None else delivery.code,
        "reason": "" if delivery is None else delivery.reason,
        "attempts": len(attempts) if delivery is None else delivery.attempts,
        "seconds": 0.0 if delivery is None else delivery.seconds,
        "bytes": len(outcome.chunk) if isinstance(outcome, Record) else 0,
        "story": [{"at": a.time_ms, "code": a.code, "reason": a.reason} for a in attempts],
    }


def _changed_fields(before: Event, after: Event) -> list[str]:
    """Return the names of the fields that differ. Values are left out, since the text may be posted anywhere."""
    # Middleware may replace an event by one of another class.
    if type(before) is not type(after):
        return [f"{title(before)} into {title(after)}"]
    names = [field.name for field in attrs.fields(type(before)) if field.name not in ("extra", "message_id")]
    changed: list[str] = []
    for name in names:
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            # Keys of both, in the order of the original.
            keys = [key for key in {**old, **new} if old.get(key, _ABSENT) != new.get(key, _ABSENT)]
            changed += [f"{name}[{key!r}]" for key in keys]
        else:
            changed.append(name)
    return changed


def _explain_outcome(name: str, outcome: Record | Delivery) -> list[str]:
    if isinstance(outcome, Delivery):
        return [f"  {name}: {_describe_delivery(outcome)}"]
    lines = [f"  {name}: {len(outcome.chunk):,} bytes"]
    lines += [f"    {_format_time(a.time_ms)}  {a.reason}" for a in outcome.attempts]
    return [*lines, f"    {'pending' if outcome.delivery is None else _describe_delivery(outcome.delivery)}"]


def _describe_delivery(delivery: Delivery) -> str:
    tries = f", attempt {delivery.attempts}" if delivery.attempts else ""
    code = f" ({delivery.code})" if delivery.code else ""
    return f"{delivery.status}{code}{': ' + delivery.reason if delivery.reason else ''}{tries}"


def _format_time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"


# Differs from None, which is a valid value of a field.
_ABSENT = object()
