"""The seam to a vendor: values to bytes, answers to verdicts.

A vendor is one file beside this one, with one class that satisfies `Destination`. Nothing in it awaits,
reads a clock, logs or opens anything: the lane does, and passes in what a codec needs. The contract test in
`tests/vendors` picks every destination up by itself.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol, Self, runtime_checkable

import attrs

from asyncsdk._model.events import Event
from asyncsdk._model.exposures import ExposedVariant
from asyncsdk._model.reports import Purpose
from asyncsdk._model.users import User
from asyncsdk.errors import ConfigurationError

Overflow = Literal["drop", "wait", "raise"]
ExposureScope = Literal["none", "experiments", "all"]

DEFAULT_MAX_EVENTS = 100
# 30 years, far beyond any use: sums with more could overflow.
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


def _is_seconds(seconds: object) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= _MAX_SECONDS


@attrs.frozen
class Limits:
    """What one destination may use: of a request, of memory, of time.

    Attributes:
        max_events: Most events in one request; None takes the vendor's default, 100 (Statsig: 2,000).
        max_bytes: Most bytes of events in one request, before framing and compression.
        linger: Longest an event waits for company, in seconds; 0 sends at once.
        max_in_flight: Most requests under way at once.
        max_queued_events: Most events held (queued, waiting for a retry, or under way).
        max_queued_bytes: Most bytes of events held.
        deadline: Longest an event is held in memory, in seconds, before it is dropped and reported.
        timeout: Longest one request may take, in seconds.
        retry_initial: Bound of the first wait after a failure, in seconds; it doubles from there.
        retry_max: Most of that bound, in seconds.
        probe_interval: Seconds between two probes of a destination that refuses its key.

    Raises:
        ConfigurationError: A figure cannot work; it says which.
    """

    # The alias is what attrs would choose by itself; type checkers other than mypy have to be told.
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
        """Most events in one request."""
        return DEFAULT_MAX_EVENTS if self._max_events is None else self._max_events

    def with_max_events(self, default: int) -> Self:
        """Fill in a vendor's own default of `max_events`, unless one was given."""
        return attrs.evolve(self, max_events=default) if self._max_events is None else self


@attrs.frozen
class Refusal:
    """Why a codec makes no bytes of an event.

    Attributes:
        status: `rejected`: this vendor would refuse it. `skipped`: this vendor has no such call, or is opted
            out.
        reason: A few words, the same for every event of the kind; never a user's value.
    """

    status: Literal["rejected", "skipped"]
    reason: str


@attrs.frozen
class Request:
    """One request, ready but for compression.

    Attributes:
        url: Where to.
        canonical_path: The vendor's own path, with its query, which a dev server answers at.
        headers: Without `Content-Length` and `Content-Encoding`.
        body: Plain JSON; empty for a GET.
        gzip_from: Least size of body that is compressed, in bytes; None never compresses.
        method: `POST` or `GET`.
        purpose: What it is about.
        events: How many events it carries.
        secret: A part of the URL and path that must not be shown, such as a key; "" when there is none.
    """

    url: str
    canonical_path: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    gzip_from: int | None = None
    method: str = "POST"
    purpose: Purpose = "events"
    events: int = 0
    secret: str = attrs.field(default="", repr=False)


@attrs.frozen
class Response:
    """What came back.

    Attributes:
        status: HTTP status; 0 when there was no whole answer.
        headers: With lower-case names.
        body: The start of the body, at most 1 MB; of what was fetched, the whole.
        error: Without an answer, what happened: `timeout`, `connection refused`, `connection lost`,
            `certificate`, `request` (it cannot be sent at all), ...
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    error: str = ""


@attrs.frozen
class Verdict:
    """What an answer means for the events of a request, as positions in it.

    Positions that are named nowhere are delivered, unless `halve` or `halt` says that nothing was.

    Attributes:
        retry: Send again after the wait of the destination's circuit.
        resend: Send again at once: the answer blamed others. Only beside `reject` or `pause`.
        reject: Never send again: position to reason.
        pause: Send again after `pause_for`; only the users of these events wait.
        pause_for: Seconds.
        halve: Nothing was taken: send the halves instead, at once; an event that is alone is rejected.
        patience: With `halve`: answers like this one that are retried first.
        too_large: With `halve`: the size was the cause, so fill later requests less.
        halt: Nothing was taken, and nothing will be until a person acts: pause the destination.
        unwell: With `reject`: the vendor is in trouble all the same, so wait as after a failure.
        plain: With `retry`: do not compress this batch again.
        retry_after: Least seconds to wait; None leaves it to the circuit.
        reason: A few words for `health()`, reports and the log; never a user's value.
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


class Destination(Protocol):
    """Where events go: a vendor's codec with its settings; `Statsig`, `RudderStack`, `Amplitude`.

    A chunk is one encoded event. It is kept in memory, spool and engine as it is, without its closing brace,
    so that fields of an attempt can be added to it, and of its exact size: a slice, never an encoder's own
    buffer.
    """

    @property
    def name(self) -> str:
        """Its name in reports and `integrations`; two of one vendor need different ones."""
        ...

    @property
    def limits(self) -> Limits:
        """What it may use."""
        ...

    @property
    def forwards(self) -> bool:
        """Whether it hands events on to destinations of its own, which `integrations` may name too."""
        ...

    @property
    def overflow(self) -> Overflow:
        """What its full queue does: `drop` the incoming event (counted), let the caller `wait`, or `raise`."""
        ...

    def encode(self, event: Event, message_id: str, time_ms: int) -> bytes | Refusal:
        """Make the chunk of a checked event.

        Args:
            event: Already checked; its `timestamp` may be None.
            message_id: The event's id.
            time_ms: When it was given to the client, in milliseconds since 1970.

        Raises:
            InvalidEventError: A value in it has no form in JSON.
        """
        ...

    def frame(self, chunks: Sequence[bytes], now_ms: int) -> Request:
        """Make the request that carries `chunks`, sent at `now_ms`."""
        ...

    def judge(self, response: Response, chunks: Sequence[bytes]) -> Verdict:
        """Say what `response` means for each of `chunks`. Any status and any bytes get a verdict."""
        ...


@runtime_checkable
class TakesExposures(Protocol):
    """A destination that can be told which experiments users see, if it is to be.

    One with an own form of exposures, as Statsig, is none.
    """

    @property
    def exposures(self) -> ExposureScope:
        """Whether it is told of `none`, of the groups of `experiments` that run, or of `all`, gates and configs too."""
        ...

    def exposure_event(self, user: User, seen: ExposedVariant) -> Event:
        """Give the event that says what a user saw; `encode` takes it."""
        ...


@attrs.frozen
class ListFile:
    """The file of an ID list, as a manifest names it.

    Attributes:
        name: The list.
        url: Where the file is.
        generation: Names the file's beginning: bytes of another generation are of another file.
        created_ms: When this generation was made.
        size: Bytes it had when the manifest was written; it only grows.
        start: The first byte that is wanted.
    """

    name: str
    url: str = attrs.field(repr=False)
    generation: str
    created_ms: int
    size: int
    start: int = 0


class RulesSource(Protocol):
    """Where rules come from, by asking again and again; `Statsig`."""

    def build_rules_request(self, time_ms: int, checksum: str, now_ms: int, *, bypass_proxy: bool = False) -> Request:
        """Ask for the rules.

        Args:
            time_ms: Of the rules that are held, so that only newer ones are sent; 0 when there are none.
            checksum: Of the rules that are held, "" when there is none.
            now_ms: Now, in milliseconds since 1970.
            bypass_proxy: Ask the vendor itself, whatever address was set.
        """
        ...

    def build_manifest_request(self, now_ms: int) -> Request:
        """Ask which ID lists there are."""
        ...

    def build_list_request(self, file: ListFile, now_ms: int) -> Request:
        """Ask for the bytes of an ID list from `file.start` on."""
        ...
