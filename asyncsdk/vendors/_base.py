"""The interface between the client and a vendor: events to bytes, responses to verdicts.

A vendor is one file or folder beside this one, with one class that satisfies `Destination`. It is pure: it never
awaits, reads a clock, logs or opens anything. The lane (`_delivery/lane.py`) does all of that and passes in what the
vendor needs, in three calls:

1. `encode(event, message_id, time_ms)`, once per event, when the client accepts it: a chunk, or a `Refusal`.
2. `frame(chunks, now_ms)`, once per attempt: the `Request` that carries a batch of chunks.
3. `judge(response, chunks)`, once per response: the `Verdict`, which says for each chunk whether it was delivered, is
   sent again, or is given up.

A chunk is one encoded JSON object without its closing brace: `{"event":"Signed Up","userId":"ada"`. `frame` can
therefore append fields of the attempt, such as RudderStack's `sentAt`, without parsing anything.

The contract test in `tests/vendors` finds every destination in this package.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol, Self, runtime_checkable

import attrs

from asyncsdk._model.events import Event
from asyncsdk._model.exposures import ExposedVariant
from asyncsdk._model.reports import Purpose
from asyncsdk._model.users import User
from asyncsdk._model.values import Value
from asyncsdk.errors import ConfigurationError

Overflow = Literal["drop", "wait", "raise"]
ExposureScope = Literal["none", "experiments", "all"]

DEFAULT_MAX_EVENTS = 100
# About 30 years, far beyond any use: sums of larger numbers could overflow the event loop's timers.
_MAX_SECONDS = 1e9


def _check_count(_: object, attribute: "attrs.Attribute[Any]", count: object) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        msg = f"`{attribute.alias}` of Limits must be a whole number above 0"
        raise ConfigurationError(msg)


def _check_seconds(_: object, attribute: "attrs.Attribute[Any]", seconds: object) -> None:
    if not _is_seconds(seconds) or seconds == 0:
        msg = f"`{attribute.name}` of Limits must be a number of seconds above 0, and at most a billion"
        raise ConfigurationError(msg)


def _check_linger(_: object, attribute: "attrs.Attribute[Any]", seconds: object) -> None:
    if not _is_seconds(seconds):
        msg = f"`{attribute.name}` of Limits must be a number of seconds, 0 or more, and at most a billion"
        raise ConfigurationError(msg)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_SECONDS


@attrs.frozen(eq=False, repr=False)
class Limits(Value):
    """Bounds on the requests, memory and time that one destination uses.

    Attributes:
        max_events: Maximum number of events in one request; None uses the vendor's default, 100 (Statsig: 2,000).
        max_bytes: Maximum size of the events in one request, in bytes, before framing and compression.
        linger: Maximum time to wait for a batch to fill, in seconds; 0 sends immediately.
        max_in_flight: Maximum number of requests in flight at once.
        max_queued_events: Maximum number of events held in memory: queued, waiting for a retry, or in flight. What
            happens to an event beyond it depends on the destination's `overflow`.
        max_queued_bytes: Maximum size of these events, in bytes.
        deadline: Maximum time that an event is held in memory, in seconds; then it is dropped and reported.
        timeout: Maximum duration of one request, in seconds.
        retry_initial: Upper bound of the first backoff after a failure, in seconds; it doubles with each failure.
        retry_max: Maximum of that upper bound, in seconds.
        probe_interval: Maximum time between two attempts while the vendor refuses all requests, for example because
            of a wrong key, in seconds. The first attempts follow at once, and after 1, 5, 15 and 60 s.

    Raises:
        ConfigurationError: A limit is out of range; the message names it.
    """

    # attrs would choose this alias itself, but type checkers other than mypy have to be told.
    _max_events: int | None = attrs.field(
        default=None, alias="max_events", validator=attrs.validators.optional(_check_count)
    )
    max_bytes: int = attrs.field(default=500_000, validator=_check_count)
    linger: float = attrs.field(default=1.0, validator=_check_linger)
    max_in_flight: int = attrs.field(default=4, validator=_check_count)
    max_queued_events: int = attrs.field(default=10_000, validator=_check_count)
    max_queued_bytes: int = attrs.field(default=32 * 1024 * 1024, validator=_check_count)
    deadline: float = attrs.field(default=900.0, validator=_check_seconds)
    timeout: float = attrs.field(default=10.0, validator=_check_seconds)
    retry_initial: float = attrs.field(default=0.5, validator=_check_seconds)
    retry_max: float = attrs.field(default=60.0, validator=_check_seconds)
    probe_interval: float = attrs.field(default=300.0, validator=_check_seconds)

    @property
    def max_events(self) -> int:
        """Maximum number of events in one request."""
        return DEFAULT_MAX_EVENTS if self._max_events is None else self._max_events

    def with_max_events(self, default: int) -> Self:
        """Return these limits with `default` as `max_events`, unless the caller set it."""
        return attrs.evolve(self, max_events=default) if self._max_events is None else self


@attrs.frozen(eq=False, repr=False)
class Refusal(Value):
    """The result of `encode` for an event that is not sent to this vendor.

    Attributes:
        status: `rejected` if the vendor would refuse the event; `skipped` if it has no such call or is opted out.
        reason: The cause in a few words, the same for all events of its kind; never contains a user's data.
    """

    status: Literal["rejected", "skipped"]
    reason: str


class PartialChunk(bytes):
    """The chunk of an event that is sent without some of its fields, as `encode` may return.

    Attributes:
        note: What was left out and why, the same for all events of its kind; never contains a user's data.
    """

    note: str

    @classmethod
    def of(cls, chunk: bytes, note: str) -> Self:
        """Return a chunk with a note."""
        new = cls(chunk)
        new.note = note
        return new


@attrs.frozen(eq=False, repr=False)
class Request(Value):
    """One HTTP request, complete except for compression.

    Attributes:
        url: The full address.
        canonical_path: The vendor's own path and query, which the development server routes by even if `url` points
            to a proxy with another path.
        headers: All headers except `Content-Length` and `Content-Encoding`.
        body: Uncompressed JSON; empty for a GET.
        gzip_from: Minimum size of a body that is compressed, in bytes; None never compresses.
        method: `POST` or `GET`.
        purpose: `events`, `rules` or `id_lists`.
        events: Number of events in the body.
        secret: The part of the URL and path to hide in logs and hooks, such as a key; "" if there is none.
        is_foreign: Whether the address came in an answer and is at a server that no setting names: the headers of
            `HttpSettings`, which may hold a gateway's secret, are not sent there.
    """

    url: str
    canonical_path: str
    headers: Mapping[str, str]
    body: bytes
    gzip_from: int | None = None
    method: str = "POST"
    purpose: Purpose = "events"
    events: int = 0
    secret: str = ""
    is_foreign: bool = False

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.redact(self.url)}, {self.purpose}, {len(self.body)} bytes>"

    def redact(self, url: str) -> str:
        """Return an address for logs and hooks: without its query, and with `REDACTED` in place of the secret."""
        shown = url.partition("?")[0]
        return shown.replace(self.secret, "REDACTED") if self.secret else shown


@attrs.frozen(eq=False, repr=False)
class Response(Value):
    """The response to a `Request`, or the reason why there is none.

    Attributes:
        status: HTTP status; 0 if no complete response arrived.
        headers: Headers with lower-case names.
        body: The body; for requests with events, at most its first 1 MB.
        error: The cause if no response arrived: `timeout`, `connection refused`, `connection lost`, `certificate`,
            `TLS error`, `request` (it cannot be sent at all), ...; otherwise "".
        detail: More about the error, for the log, such as `certificate has expired`; "" if there is none.
        host: Host and port that the request went to; "" if unknown.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    error: str = ""
    detail: str = attrs.field(default="", eq=False)
    host: str = attrs.field(default="", eq=False)


@attrs.frozen(eq=False, repr=False)
class Verdict(Value):
    """What a response means for the events of a request, which are named by position.

    A verdict is one of three:

    1. `halt`: no event was accepted, and unless the answer is a one-off, none will be until a person acts.
    2. `halve`: no event was accepted. The batch is split to find the event at fault.
    3. Otherwise, positions in `retry`, `resend`, `reject` or `pause` have that outcome, and all others are delivered.

    Example: `Verdict(reject={2: "invalid field"}, resend=[0, 1], reason="status 400")`.

    Attributes:
        retry: Positions to send again after the backoff of the destination's circuit.
        resend: Positions to send again immediately, since other events were at fault. Only with `reject` or `pause`.
        reject: Positions to give up, each with its reason.
        pause: Positions to send again after `pause_for`. Later events with the same ordering keys wait too.
        pause_for: Duration of that pause, in seconds.
        halve: Send both halves of the batch immediately; an event that is alone in its batch is rejected.
        halve_after: With `halve`: number of such responses to retry, with backoff, before halving.
        too_large: With `halve`: the size of the request was the cause, so make later requests smaller.
        halt: Ask again at once, then after 1, 5 and 15 s; if the vendor still refuses, halt the destination, and ask
            every `Limits.probe_interval`. Events are kept.
        backoff: With `reject`: back off nevertheless, as after a failure, since the vendor is in trouble.
        uncompressed: With `retry`: send this batch without compression from now on.
        retry_after: Minimum backoff in seconds; None leaves it to the circuit.
        reason: The cause in a few words, for `health()`, reports and the log; never contains a user's data.
        check: With `halt`: what a person should check, such as `its key`. Verdicts that differ in it are equal.
        detail: More about the cause, for the log only; likewise.
    """

    retry: Collection[int] = ()
    resend: Collection[int] = ()
    reject: Mapping[int, str] = attrs.field(factory=dict)
    pause: Collection[int] = ()
    pause_for: float = 0.0
    halve: bool = False
    halve_after: int = 0
    too_large: bool = False
    halt: bool = False
    backoff: bool = False
    uncompressed: bool = False
    retry_after: float | None = None
    reason: str = ""
    check: str = attrs.field(default="its key, address and certificate", eq=False)
    detail: str = attrs.field(default="", eq=False)


class Destination(Protocol):
    """A vendor that events are sent to, with its settings: `Statsig`, `RudderStack`, `Amplitude`, or your own class.

    `encode` returns a chunk: the event's JSON object without its closing brace, so that `frame` can append fields of
    the attempt. The chunk is held in memory and in the spool as it is, so it must be a `bytes` of exact size: a slice,
    not the JSON encoder's own buffer, which is several times larger.
    """

    @property
    def name(self) -> str:
        """Name in reports and `integrations`; unique within a client."""
        ...

    @property
    def limits(self) -> Limits:
        """Bounds on requests, memory and time."""
        ...

    @property
    def forwards(self) -> bool:
        """Whether the vendor forwards events to destinations of its own, which `integrations` may name too."""
        ...

    @property
    def overflow(self) -> Overflow:
        """What a full queue does: `drop` the new event and count it, make the caller `wait`, or `raise`."""
        ...

    def encode(self, event: Event, message_id: str, time_ms: int) -> bytes | Refusal:
        """Encode a validated event as a chunk.

        Args:
            event: The event; its `timestamp` may be None.
            message_id: The event's id.
            time_ms: Time at which the client accepted it, in milliseconds since 1970.

        Returns:
            The chunk, a `PartialChunk` if something was left out; or why this vendor is not sent the event.

        Raises:
            InvalidEventError: A value in the event has no JSON form.
        """
        ...

    def frame(self, chunks: Sequence[bytes], now_ms: int) -> Request:
        """Build the request that carries a batch.

        Args:
            chunks: At least one chunk.
            now_ms: Time of this attempt, in milliseconds since 1970.
        """
        ...

    def judge(self, response: Response, chunks: Sequence[bytes]) -> Verdict:
        """Return what a response means for each of `chunks`. Does not raise for any status or body."""
        ...


@runtime_checkable
class TakesExposures(Protocol):
    """A destination that exposures can be forwarded to as ordinary events.

    `Statsig` is not one: it receives exposures in its own format.
    """

    @property
    def exposures(self) -> ExposureScope:
        """Which exposures to forward: `none`; `experiments`, of users in a group of an active experiment; or `all`."""
        ...

    def exposure_event(self, user: User, exposed: ExposedVariant) -> Event:
        """Return the event that reports an exposure, for `encode`."""
        ...


@attrs.frozen(eq=False, repr=False)
class ListFile(Value):
    """The file of an ID list, as named by a manifest.

    Attributes:
        name: Name of the list.
        url: Address of the file.
        generation: Id of the file's contents; a file of another generation shares no bytes with this one.
        created_ms: Creation time of this generation, in milliseconds since 1970.
        size: Size in bytes when the manifest was written; within a generation a file only grows.
        start: Offset of the first byte to read.
    """

    name: str
    url: str = attrs.field(repr=False)
    generation: str
    created_ms: int
    size: int
    start: int = 0


class RulesSource(Protocol):
    """The requests with which the client polls for rules and ID lists; `Statsig` is one.

    In each method, `now_ms` is the current time in milliseconds since 1970.
    """

    def build_rules_request(self, time_ms: int, checksum: str, now_ms: int, *, bypass_proxy: bool = False) -> Request:
        """Build the request for newer rules.

        Args:
            time_ms: Time of the current rules, in milliseconds since 1970; 0 if there are none.
            checksum: Checksum of the current rules; "" if there is none.
            now_ms: The current time, in milliseconds since 1970.
            bypass_proxy: Ask the vendor itself, not the address that the settings name.
        """
        ...

    def build_manifest_request(self, now_ms: int) -> Request:
        """Build the request for the manifest of ID lists."""
        ...

    def build_list_request(self, file: ListFile, now_ms: int) -> Request:
        """Build the request for an ID list's bytes from `file.start` on, without the key if another server has it."""
        ...
