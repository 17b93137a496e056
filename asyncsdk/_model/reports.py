"""Counts that add up: what `flush`, `aclose` and `health` return."""

from collections.abc import Callable, Mapping
from typing import Literal

import attrs

Purpose = Literal["events", "rules", "id_lists"]

# The reason of events that middleware chose not to pass on: dropped, but no loss.
DELIBERATE = "middleware"


@attrs.frozen
class DestinationReport:
    """What became of all events that one destination was given since the client was made.

    Attributes:
        accepted: All of them; always the sum of the others.
        delivered: The vendor took them.
        rejected: Reason to count: the vendor refused them, or would.
        dropped: Reason to count: we gave them up (queue full, deadline, middleware, crash).
        skipped: Reason to count: not wanted there (`integrations`, opt-out, no such call).
        spooled: On disk at close, for the next process.
        abandoned: Still in memory when the time to close was over; some may have arrived.
        pending: Not final yet.
        exposures: The same counts of the exposures that lookups reported here; None when there were none.
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

    @property
    def lost(self) -> int:
        """Events that no vendor has and nobody will send again: rejected, dropped and abandoned ones.

        What middleware chose not to pass on is no loss.
        """
        exposures = 0 if self.exposures is None else self.exposures.lost
        dropped = sum(count for reason, count in self.dropped.items() if reason != DELIBERATE)
        return sum(self.rejected.values()) + dropped + self.abandoned + exposures

    def __str__(self) -> str:
        parts = [f"accepted {self.accepted:,}", f"delivered {self.delivered:,}"]
        for word in ("rejected", "dropped", "skipped"):
            reasons: Mapping[str, int] = getattr(self, word)
            if reasons:
                told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
                parts.append(f"{word} {sum(reasons.values()):,} ({told})")
        parts += [
            f"{word} {getattr(self, word):,}" for word in ("spooled", "abandoned", "pending") if getattr(self, word)
        ]
        told = ", ".join(parts)
        return told if self.exposures is None else f"{told}; of exposures {self.exposures}"


@attrs.frozen
class Report:
    """What `flush` and `aclose` found.

    Attributes:
        destinations: A report per destination name.
        seconds: How long the call took.
        complete: Everything that was accepted before the call has met its fate.
    """

    destinations: Mapping[str, DestinationReport]
    seconds: float
    complete: bool

    def __str__(self) -> str:
        return "; ".join(f"{name}: {report}" for name, report in self.destinations.items()) or "no destinations"


@attrs.frozen
class StartReport:
    """What `start` found.

    Attributes:
        ready: There are rules, or none are wanted.
        source: Where they came from, such as `Network` or `Bootstrap`; empty when there are none.
        seconds: How long it took.
    """

    ready: bool
    source: str = ""
    seconds: float = 0.0


@attrs.frozen
class DestinationHealth:
    """How one destination is doing now.

    Attributes:
        state: `ok`; `retrying` after a failure; `halted` until the key, the URL or the source is put right.
        queued_events: Events held: queued, waiting for a retry, or under way.
        queued_bytes: Their bytes.
        requests_in_flight: Requests under way.
        last_error: The latest failure in a few words; empty when there was none.
        retry_in: Seconds until the next request may go out; 0 when it may now.
        counts: The same counts as in a report.
        retries: Requests so far whose events, or some of them, had to be sent again.
        oldest: Seconds for which the oldest event that is held has been waiting; 0 when none is held.
    """

    state: Literal["ok", "retrying", "halted"]
    queued_events: int
    queued_bytes: int
    requests_in_flight: int
    last_error: str
    retry_in: float
    counts: DestinationReport
    retries: int = 0
    oldest: float = 0.0


@attrs.frozen
class RulesetChange:
    """What other rules brought; each field has names by kind: `gate`, `config`, `experiment`, `layer`.

    Attributes:
        source: Where the rules came from.
        time_ms: When the project was changed, in milliseconds since 1970; 0 when unknown.
        added: Names that are new.
        changed: Names whose own rules differ.
        removed: Names that are gone.
    """

    source: str
    time_ms: int = 0
    added: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    changed: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    removed: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)


@attrs.frozen
class RulesHealth:
    """How the rules are doing now.

    Attributes:
        source: Where they came from: `Network`, `Bootstrap`, `Adapter(DataStore)` (the cache); without rules
            `NoValues`, and `Uninitialized` until the sources were asked.
        time_ms: When the project was changed last, in milliseconds since 1970; 0 when unknown.
        age: Seconds since they were received; None without rules.
        last_sync: Seconds since a source answered, be it that there was nothing new; None when none ever did.
        last_error: The latest failure in a few words; empty when the latest attempt went well.
        failures: Attempts in a row that failed.
        refused: The source refuses the key (401, 403): no rules come until a person has put that right.
        names: How many gates, configs, experiments and layers there are.
        id_lists: How many entries each ID list has.
        cache_failures: How often the cache failed.
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


@attrs.frozen
class SpoolHealth:
    """How the spool is doing now.

    Attributes:
        state: `ok`; `full`; `degraded`: it cannot be written, and what is accepted is in memory only.
        waiting: Events and exposures of this process that are on disk, and not in memory too.
        bytes: Of all databases in the folder.
        dead_letters: Events that this process has given up and kept.
        quarantined: Damaged blocks and files that this process has set aside.
        last_error: Why it is degraded, in a few words.
    """

    state: Literal["ok", "full", "degraded"]
    waiting: int = 0
    bytes: int = 0
    dead_letters: int = 0
    quarantined: int = 0
    last_error: str = ""


@attrs.frozen
class AssignmentsHealth:
    """How sticky assignments are doing now.

    Attributes:
        units: Units (users, companies...) whose assignments are loaded.
        unsaved: Changes that wait to be saved.
        lost: Changes that were given up: too many waited, or the client was closed.
        failures: How often the store failed.
        last_error: The latest failure in a few words; empty when the store is well.
    """

    units: int = 0
    unsaved: int = 0
    lost: int = 0
    failures: int = 0
    last_error: str = ""


@attrs.frozen
class Health:
    """How the client is doing now.

    Attributes:
        state: `new`, `running`, `draining` while `aclose` runs, or `closed`.
        destinations: By name.
        crashes: Background tasks that failed and were started again: each one is a bug worth reporting.
        rules: How the rules are doing; None without a source of rules.
        spool: How the spool is doing; None without one.
        assignments: How sticky assignments are doing; None when nothing keeps them.
    """

    state: Literal["new", "running", "draining", "closed"]
    destinations: Mapping[str, DestinationHealth]
    crashes: int = 0
    rules: RulesHealth | None = None
    spool: SpoolHealth | None = None
    assignments: AssignmentsHealth | None = None


@attrs.define(eq=False)
class RequestInfo:
    """One HTTP request of the client's own, for those who watch: without headers and bodies, which hold keys and users.

    Attributes:
        destination: The name of the destination whose request it is.
        purpose: `events`, `rules` or `id_lists`.
        method: `POST` or `GET`.
        url: Where it goes, without its query, and with `REDACTED` in the place of a key.
        events: How many events it carries.
        bytes: Size of its body as it is sent, in bytes.
        status: HTTP status of the answer; 0 until there is one, and when none came.
        error: Why none came, in a word or two: `timeout`, `connection refused`, `connection lost`, `certificate`,
            `cancelled`...
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
"""Hears of a request that leaves; what it returns is called when that has ended, one way or another."""
