"""What became of an event: its records on the way, its deliveries at the end, its receipt."""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import attrs

from asyncsdk._model.events import Event, title

Status = Literal["delivered", "rejected", "dropped", "skipped", "spooled", "abandoned"]


@attrs.frozen
class Delivery:
    """The final outcome of an event at one destination.

    Attributes:
        destination: The destination's name.
        status: `delivered`; `rejected` by the vendor or for its sake; `dropped` by us; `skipped` because nobody
            wanted it there; `spooled` to disk at close; `abandoned` in memory at close (it may have arrived).
        code: HTTP status of the last answer; 0 when there was none.
        reason: Why, in a few words; empty when delivered.
        attempts: Requests that carried it.
        seconds: How long it was held, from its admission; events settled together share that of the first.
    """

    destination: str
    status: Status
    code: int = 0
    reason: str = ""
    attempts: int = 0
    seconds: float = attrs.field(default=0.0, eq=False)


@attrs.frozen
class Attempt:
    """One request that did not settle an event.

    Attributes:
        time_ms: When its answer came, in milliseconds since 1970.
        code: HTTP status; 0 when there was no answer.
        reason: What was wrong, and so what was done.
    """

    time_ms: int
    code: int
    reason: str


@attrs.define(eq=False, weakref_slot=False)
class Record:
    """One event on its way to one destination, or exposures that travel as one.

    Attributes:
        key: Whose line it stands in; empty for exposures, which may overtake each other.
        also: The second line that an alias stands in.
        id: The event's id; empty when no callback needs it, since it weighs as much as the rest of a record.
        chunk: Its bytes, encoded for the destination; a `Bundle` of several exposures.
        admitted: When it was taken, on the monotonic clock.
        exposures: How many exposures it is, which are counted apart: nobody has a receipt for them. 0 for an event.
        epoch: Which flush it falls under: the number of flushes begun before it.
        attempts: Requests so far that did not settle it.
        delivery: The final outcome; None while it is pending.
        watchers: Called once, when the outcome is final.
    """

    key: str
    id: str
    chunk: bytes
    admitted: float
    also: str | None = None
    exposures: int = 0
    epoch: int = 0
    attempts: tuple[Attempt, ...] = ()
    delivery: Delivery | None = None
    watchers: tuple[Callable[[], None], ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """All lines it stands in."""
        return (self.key,) if self.also is None else (self.key, self.also)

    def settle(self, delivery: Delivery) -> None:
        """Record the final outcome and notify the watchers."""
        self.delivery = delivery
        self.notify_watchers()

    def notify_watchers(self) -> None:
        """Notify the watchers, once, that the outcome is final."""
        watchers, self.watchers = self.watchers, ()
        for watcher in watchers:
            watcher()


@attrs.define(eq=False, weakref_slot=False)
class Receipt:
    """What an event verb returns: the event is admitted, and this tells what becomes of it.

    `await receipt` waits until every destination's answer is final, and gives a `Delivery` per destination name.
    Throwing a receipt away costs nothing.

    Attributes:
        event_id: RudderStack's `messageId`, Amplitude's `insert_id`.
        event: The event as it was sent, after middleware.
        time_ms: When it was admitted, in milliseconds since 1970.
        outcomes: What each destination makes of it, in the order of the client's destinations.
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
    def deliveries(self) -> Mapping[str, Delivery | None]:
        """The delivery per destination name; None while it is pending."""
        return {
            name: outcome.delivery if isinstance(outcome, Record) else outcome
            for name, outcome in zip(self._names, self.outcomes, strict=True)
        }

    def explain(self) -> str:
        """Tell the event's whole story: what middleware changed, bytes, attempts, answers and outcome per vendor."""
        lines = [f"{title(self.event)}  id {self.event_id}  {_format_time(self.time_ms)}"]
        if self._original is not None:
            lines += [f"  middleware changed {change}" for change in _changed_fields(self._original, self.event)]
        for name, outcome in zip(self._names, self.outcomes, strict=True):
            lines += _explain_outcome(name, outcome)
        return "\n".join(lines)


def _changed_fields(before: Event, after: Event) -> list[str]:
    """Name the fields that differ; values stay out of a text that may be pasted anywhere."""
    if type(before) is not type(after):
        return [f"{title(before)} into {title(after)}"]
    names = [field.name for field in attrs.fields(type(before)) if field.name not in ("extra", "message_id")]
    changed: list[str] = []
    for name in names:
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
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


_ABSENT = object()
