"""What `start`, `flush`, `aclose` and `health` return: counts of outcomes, and the state of each part of the client.

The counts add up: `accepted` equals the sum of all outcomes and `pending`, at any moment.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import attrs

from asyncsdk._model.plain import Plain
from asyncsdk._model.values import Shown, Value

Purpose = Literal["events", "rules", "id_lists"]

# The reason of events that middleware did not pass on: dropped on purpose, so not lost.
DELIBERATE = "middleware"
# The reason of events that no vendor could accept, with `on_invalid="report"`.
INVALID = "invalid"


@attrs.frozen(eq=False, repr=False)
class DestinationReport(Plain, Value):
    """The outcomes of all events given to one destination since the client was created.

    Attributes:
        accepted: Number of events accepted for this destination; always the sum of the following counts.
        delivered: Number of events that the vendor accepted.
        rejected: Number of events that the vendor refused or would refuse, by reason.
        dropped: Number of events that the client gave up, by reason: queue full, deadline, middleware, crash.
        skipped: Number of events not meant for this destination, by reason: `integrations`, opt-out, no such call.
        spooled: Number of events on disk when the client closed, which the next process sends.
        abandoned: Number of events still in memory when the time to close ran out; some may have arrived.
        pending: Number of events without a final outcome.
        exposures: The same counts for exposures reported by lookups; None if there were none. They are not part of
            the other counts.
        enqueued: Number of events that the engine stored: for a relay to deliver, or, in a relay's own report, for
            another relay.
    """

    accepted: int = 0
    delivered: int = 0
    rejected: Mapping[str, int] = attrs.field(factory=dict)
    dropped: Mapping[str, int] = attrs.field(factory=dict)
    skipped: Mapping[str, int] = attrs.field(factory=dict)
    spooled: int = 0
    abandoned: int = 0
    pending: int = 0
    exposures: "DestinationReport | None" = None
    enqueued: int = 0

    @property
    def lost(self) -> int:
        """Number of events and exposures that are lost: rejected, dropped or abandoned.

        Events that middleware did not pass on are not counted.
        """
        exposures = 0 if self.exposures is None else self.exposures.lost
        dropped = sum(count for reason, count in self.dropped.items() if reason != DELIBERATE)
        return sum(self.rejected.values()) + dropped + self.abandoned + exposures

    def __str__(self) -> str:
        parts = [f"accepted {self.accepted:,}", f"delivered {self.delivered:,}"]
        if self.enqueued:
            parts.append(f"enqueued {self.enqueued:,}")
        for word in ("rejected", "dropped", "skipped"):
            reasons: Mapping[str, int] = getattr(self, word)
            if reasons:
                by_reason = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
                parts.append(f"{word} {sum(reasons.values()):,} ({by_reason})")
        parts += [
            f"{word} {getattr(self, word):,}" for word in ("spooled", "abandoned", "pending") if getattr(self, word)
        ]
        counts = ", ".join(parts)
        return counts if self.exposures is None else f"{counts}; of exposures {self.exposures}"


@attrs.frozen(eq=False, repr=False)
class Report(Plain, Value):
    """The result of `flush` or `aclose`.

    Attributes:
        destinations: The outcomes so far, by name of the destination.
        seconds: Duration of the call, in seconds.
        complete: Whether every event accepted before the call has a final outcome; False if the timeout expired first.
    """

    destinations: Mapping[str, DestinationReport]
    seconds: float
    complete: bool

    def __str__(self) -> str:
        return "; ".join(f"{name}: {report}" for name, report in self.destinations.items()) or "no destinations"


@attrs.frozen(eq=False, repr=False)
class StartReport(Plain, Value):
    """The result of `start`.

    Attributes:
        ready: Whether rules are loaded, or none are configured.
        source: Where the rules came from, such as `Network` or `Bootstrap`; "" if there are none.
        seconds: Duration of the call, in seconds.
    """

    ready: bool
    source: str = ""
    seconds: float = 0.0


@attrs.frozen(eq=False, repr=False)
class DestinationHealth(Plain, Value):
    """The current state of one destination.

    Attributes:
        state: `ok`; `retrying` after a failure; `refused` after an answer (401, 404, 3xx, an HTML page, an invalid
            certificate) that says that the key, the URL or the vendor's settings are wrong, until more answers confirm
            it; `halted` from then on, until a person corrects them.
        queued_events: Number of events held in memory: queued, waiting for a retry, or in flight.
        queued_bytes: Size of these events, in bytes.
        requests_in_flight: Number of requests in flight.
        last_error: The latest failure in a few words; "" if there has been none.
        retry_in: Time until the next request may be sent, in seconds; 0 if it may be sent now.
        counts: The outcomes so far, as in a `Report`.
        retries: Number of requests so far of which some or all events had to be sent again.
        oldest: Time for which the oldest event in memory has been held, in seconds; 0 if none is held.
    """

    state: Literal["ok", "retrying", "refused", "halted"]
    queued_events: int
    queued_bytes: int
    requests_in_flight: int
    last_error: str
    retry_in: float
    counts: DestinationReport
    retries: int = 0
    oldest: float = 0.0


@attrs.frozen(eq=False, repr=False)
class RulesetChange(Plain, Value):
    """The differences between a new ruleset and the one before.

    `added`, `changed` and `removed` map a kind (`gate`, `config`, `experiment`, `layer`) to names.

    Attributes:
        source: Where the new rules came from, such as `Network` or `Bootstrap`.
        time_ms: Time of the project's last change, in milliseconds since 1970; 0 if unknown.
        added: Names that are new.
        changed: Names whose own rules differ.
        removed: Names that no longer exist.
    """

    source: str
    time_ms: int = 0
    added: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    changed: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    removed: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)


@attrs.frozen(eq=False, repr=False)
class RulesHealth(Plain, Value):
    """The current state of the rules.

    Attributes:
        source: Where the rules came from: `Network`, `Bootstrap`, or `Adapter(DataStore)` (the cache). `Uninitialized`
            until the sources have been asked; `NoValues` if none of them had any.
        time_ms: Time of the project's last change, in milliseconds since 1970; 0 if unknown.
        age: Time since the rules were received, in seconds; None without rules.
        last_sync: Time since a source last answered, even without changes, in seconds; None if none ever did.
        last_error: The latest failure in a few words; "" if the latest attempt succeeded.
        failures: Number of consecutive failed attempts.
        refused: Whether the source refuses the key (401, 403). No rules arrive until a person corrects it.
        names: Number of gates, configs, experiments and layers.
        id_lists: Number of entries of each ID list, by name.
        cache_failures: Number of times that reading or writing the cache failed.
        unknown_names: Number of names that lookups asked for and that the rules do not have, at most 1,000. Each is
            logged once, at DEBUG.
        unsupported_patterns: Number of patterns (`str_matches`) that no engine here could match, of all names looked up
            so far. Each has a line in the log; the extra `re2` takes nearly all of them.
        role: With `Rules(shared=...)`: `leader`, which polls for the fleet; `follower`; or `alone`, which polls for
            itself, because the engine is unavailable. Otherwise "".
    """

    source: str
    time_ms: int = 0
    age: float | None = None
    last_sync: float | None = None
    last_error: str = ""
    failures: int = 0
    refused: bool = False
    names: int = 0
    id_lists: Mapping[str, int] = attrs.field(factory=dict)
    cache_failures: int = 0
    unknown_names: int = 0
    unsupported_patterns: int = 0
    role: Literal["", "leader", "follower", "alone"] = ""


@attrs.frozen(eq=False, repr=False)
class SpoolHealth(Plain, Value):
    """The current state of the spool.

    Attributes:
        state: `ok`; `full`; or `degraded`: it cannot be written, so accepted events are held in memory only.
        waiting: Number of events and exposures of this process that are on disk and not also in memory.
        bytes: Size of all databases in the folder, in bytes.
        dead_letters: Number of events that this process gave up and stored as dead letters.
        quarantined: Number of damaged blocks and files that this process moved to quarantine.
        last_error: Why the spool is degraded, in a few words; "" if it is not.
        unclaimed: Number of events of earlier processes for destinations that this client does not have, by label. They
            become dead letters after `max_age`.
    """

    state: Literal["ok", "full", "degraded"]
    waiting: int = 0
    bytes: int = 0
    dead_letters: int = 0
    quarantined: int = 0
    last_error: str = ""
    unclaimed: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen(eq=False, repr=False)
class EngineHealth(Plain, Value):
    """The current state of the engine.

    Attributes:
        state: `ok`, or `unavailable`: events are held in memory (with a spool, on disk) until it recovers.
        last_error: Why it is unavailable, in a few words; "" if it is not.
        warnings: What is wrong with the server's settings, a sentence each.
    """

    state: Literal["ok", "unavailable"]
    last_error: str = ""
    warnings: tuple[str, ...] = ()


@attrs.frozen(eq=False, repr=False)
class AssignmentsHealth(Plain, Value):
    """The current state of sticky assignments.

    Attributes:
        units: Number of units (users, companies, ...) whose assignments are loaded.
        unsaved: Number of changes waiting to be saved.
        lost: Number of changes given up, because too many were waiting or the client was closed.
        failures: Number of times that the store failed.
        last_error: The latest failure in a few words; "" if the latest calls succeeded.
    """

    units: int = 0
    unsaved: int = 0
    lost: int = 0
    failures: int = 0
    last_error: str = ""


@attrs.frozen(eq=False, repr=False)
class OverridesHealth(Plain, Value):
    """The current state of overrides that a fleet shares.

    Attributes:
        unwritten: Number of changes of this process that the fleet does not have yet.
        failures: Number of times that the engine failed.
        last_error: The latest failure in a few words; "" if the latest call succeeded.
    """

    unwritten: int = 0
    failures: int = 0
    last_error: str = ""


@attrs.frozen(eq=False, repr=False)
class Health(Plain, Value):
    """The current state of the client and its parts.

    Attributes:
        state: `new`, `running`, `draining` while `aclose` runs, or `closed`.
        destinations: The state of each destination, by name.
        crashes: Number of background tasks that crashed and were restarted. Each is a bug in asyncsdk: report it.
        rules: The state of the rules; None without a source of rules.
        spool: The state of the spool; None without one.
        assignments: The state of sticky assignments; None without a store for them.
        overrides: The state of overrides that a fleet shares; None if they stay in this process.
        engine: The state of the engine; None without one.
        enabled: False if the client is switched off (`enabled=False`, or `ASYNCSDK_ENABLED=0`).
        invalid_events: Number of invalid events that `on_invalid="report"` has kept from raising.
        last_invalid: The latest of them: what is wrong, the class of the event, and the place of the call; "" if there
            was none.
    """

    state: Literal["new", "running", "draining", "closed"]
    destinations: Mapping[str, DestinationHealth]
    crashes: int = 0
    rules: RulesHealth | None = None
    spool: SpoolHealth | None = None
    assignments: AssignmentsHealth | None = None
    engine: EngineHealth | None = None
    enabled: bool = True
    invalid_events: int = 0
    last_invalid: str = ""
    overrides: OverridesHealth | None = None


@attrs.define(eq=False, repr=False)
class RequestInfo(Shown):
    """One HTTP request of the client, as passed to `on_request`; without headers and body, which hold keys and users.

    Attributes:
        destination: Name of the destination that sends the request.
        purpose: `events`, `rules` or `id_lists`.
        method: `POST` or `GET`.
        url: The address without its query; `REDACTED` replaces a key.
        events: Number of events in the body.
        bytes: Size of the body as sent, after compression, in bytes.
        status: HTTP status of the response; 0 until it arrives, or if none does.
        error: Why no response arrived, in a word or two: `timeout`, `connection refused`, `connection lost`,
            `certificate`, `TLS error`, `cancelled`, ...; "" otherwise.
    """

    destination: str
    purpose: Purpose
    method: str
    url: str
    events: int = 0
    bytes: int = 0
    status: int = 0
    error: str = ""


Watch = Callable[[RequestInfo], Callable[[], object] | None]
"""Called before a request is sent. If it returns a function, that is called when the request has ended."""
