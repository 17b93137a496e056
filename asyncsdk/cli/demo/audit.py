"""The demo's books: what the client said of every event and exposure, and what the dev server saw of it. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import attrs

from asyncsdk import Delivery, DestinationReport, Report
from asyncsdk.dev import ReceivedEvent, ReceivedRequest

_EXPOSURE = "_exposure"


@attrs.frozen
class Seen:
    """What the dev server counted for one vendor.

    Attributes:
        requests: Requests, whatever became of them.
        events: Every event in them, copies and refused ones too, but no exposures.
        exposures: The exposures.
    """

    requests: int
    events: Sequence[ReceivedEvent] = attrs.field(repr=False)
    exposures: Sequence[ReceivedEvent] = attrs.field(default=(), repr=False)

    def count(self, verdict: str) -> int:
        """Count the events with a verdict, whatever its reason: `accepted`, `duplicate`, `rejected`, `lost`."""
        return sum(event.verdict.partition(":")[0] == verdict for event in self.events)

    def refusals(self) -> Counter[str]:
        """Count the verdicts on what the vendor did not keep, with their reasons."""
        return Counter(event.verdict for event in self.events if ":" in event.verdict)

    @property
    def kept(self) -> Counter[str]:
        """How often it kept each event id; more than once would be a copy that it did not recognise."""
        return Counter(event.id for event in self.events if event.verdict == "accepted")


@attrs.frozen
class Books:
    """All that is known when the demo is over.

    Attributes:
        given: How many events the shop made, by the list of visits.
        verbs: Which verb each event id was given to.
        fates: Per destination name, every fate that was announced, with the event's id.
        report: What closing the client returned.
        seen: Per destination name, what arrived.
        unanswered: What did not happen as it should have, in words.
        looks: Each customer with each name that was looked up for them, by the list of visits.
    """

    given: int
    verbs: Mapping[str, str]
    deliveries: Mapping[str, Sequence[tuple[str, Delivery]]]
    report: Report
    seen: Mapping[str, Seen]
    unanswered: Sequence[str] = ()
    looks: AbstractSet[tuple[str, str]] = frozenset()

    def retried(self, name: str) -> int:
        """Count the events that took a destination more than one attempt."""
        return sum(delivery.attempts > 1 for _, delivery in self.deliveries[name])

    @property
    def exposures(self) -> Sequence[ReceivedEvent]:
        """What arrived of what customers were shown."""
        return [event for seen in self.seen.values() for event in seen.exposures if event.verdict == "accepted"]


def audit(books: Books) -> list[str]:
    """Say what does not add up, a sentence each; nothing when all events are accounted for."""
    problems = list(books.unanswered)
    if len(books.verbs) != books.given:
        problems.append(f"the shop made {books.given:,} events, and the client was given {len(books.verbs):,}")
    for name, report in books.report.destinations.items():
        found = [*_audit_report(books.given, report), *_audit_deliveries(books.verbs, books.deliveries[name], report)]
        found += _audit_arrivals(books.deliveries[name], books.seen[name])
        if report.exposures is not None:
            found += _audit_report(len(books.seen[name].exposures), report.exposures, "exposures")
        problems += [f"{name}: {problem}" for problem in found]
    return [*problems, *_audit_exposures(books.looks, books.exposures)]


def _audit_report(given: int, report: DestinationReport, what: str = "events") -> Iterator[str]:
    """Check the counts of one destination against each other, and that nothing was given up."""
    if report.accepted != given:
        yield f"{given:,} {what} were given, and the report says {report.accepted:,}"
    total = report.delivered + report.spooled + report.abandoned + report.pending
    total += sum(sum(counts.values()) for counts in (report.rejected, report.dropped, report.skipped))
    if total != report.accepted:
        yield f"the report's outcomes are {total:,}, not {report.accepted:,}"
    for word, count in (
        ("dropped", sum(report.dropped.values())),
        ("abandoned", report.abandoned),
        ("pending", report.pending),
    ):
        if count:
            yield f"{count:,} {what} are {word}"


def _audit_deliveries(
    verbs: Collection[str], deliveries: Sequence[tuple[str, Delivery]], report: DestinationReport
) -> Iterator[str]:
    """Check that each event has one fate, and that the announced ones are those of the report."""
    times = Counter(event_id for event_id, _ in deliveries)
    several = sum(count > 1 for count in times.values())
    if several:
        yield f"{several:,} events have several outcomes"
    if times.keys() != set(verbs):
        yield f"{len(times.keys() ^ set(verbs)):,} events have no outcome, or have one without having been given"
    delivered = sum(delivery.status == "delivered" for _, delivery in deliveries)
    if delivered != report.delivered:
        yield f"{delivered:,} deliveries were announced, and the report says {report.delivered:,}"


def _audit_arrivals(deliveries: Sequence[tuple[str, Delivery]], seen: Seen) -> Iterator[str]:
    """Check what the client says against what arrived, event by event."""
    kept, said = seen.kept, {event_id for event_id, delivery in deliveries if delivery.status == "delivered"}
    for problem, count in (
        ("events were delivered, says the client, and never arrived", len(said - kept.keys())),
        ("events arrived, and the client does not say so", len(kept.keys() - said)),
        ("events were kept more than once", sum(times > 1 for times in kept.values())),
    ):
        if count:
            yield f"{count:,} {problem}"


def _audit_exposures(looks: AbstractSet[tuple[str, str]], exposures: Sequence[ReceivedEvent]) -> Iterator[str]:
    """Check that what was looked up for somebody is known to have been shown to them, and not twice over."""
    shown = {(event.user, event.name) for event in exposures}
    times = Counter((*outcome(event), event.user) for event in exposures)
    for problem, count in (
        ("times a customer was shown something, and no exposure says so", len(looks - shown)),
        ("exposures are of what nobody was shown", len(shown - looks)),
        ("exposures were sent again", sum(count > 1 for count in times.values())),
    ):
        if count:
            yield f"{count:,} {problem}"


def outcome(exposure: ReceivedEvent) -> tuple[str, str, str]:
    """Say what somebody was shown: the kind, the name, and how it came out."""
    told = exposure.body["metadata"]
    words = (told.get("gateValue"), told.get("parameterName"), told["ruleID"])
    return exposure.kind.removesuffix(_EXPOSURE), exposure.name, ", ".join(filter(None, words))


def see(vendor: str, requests: Collection[ReceivedRequest], events: Collection[ReceivedEvent]) -> Seen:
    """Pick out what concerns one vendor."""
    mine: dict[bool, list[ReceivedEvent]] = {True: [], False: []}
    for event in events:
        if event.vendor == vendor:
            mine[event.kind.endswith(_EXPOSURE)].append(event)
    return Seen(sum(request.vendor == vendor for request in requests), mine[False], mine[True])
