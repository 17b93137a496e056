"""The demo's audit: compares what the client reports about every event and exposure with what arrived. Pure.

There are four sources, and no two may contradict each other:

1. The scenario: how many events the shop tracks, and what it looks up for whom.
2. The client's callbacks: the verb of each event, and each delivery.
3. The client's final report: counts by outcome.
4. The dev server: what arrived at each vendor.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import attrs

from asyncsdk import Delivery, DestinationReport, Report
from asyncsdk.dev import ReceivedEvent, ReceivedRequest

_EXPOSURE = "_exposure"


@attrs.frozen
class Arrivals:
    """What the dev server received for one vendor.

    Attributes:
        requests: Number of requests, whether they succeeded or not.
        events: Every event in them, including duplicates and rejected ones, without exposures.
        exposures: The exposures.
    """

    requests: int
    events: Sequence[ReceivedEvent] = attrs.field(repr=False)
    exposures: Sequence[ReceivedEvent] = attrs.field(default=(), repr=False)

    def count(self, verdict: str) -> int:
        """Count the events with a verdict, ignoring its reason: `accepted`, `duplicate`, `rejected` or `lost`."""
        return sum(event.verdict.partition(":")[0] == verdict for event in self.events)

    def refusals(self) -> Counter[str]:
        """Count the events that were not accepted, by verdict with reason."""
        return Counter(event.verdict for event in self.events if ":" in event.verdict)

    @property
    def accepted(self) -> Counter[str]:
        """How often each event id was accepted; more than once means that a duplicate was not recognised."""
        return Counter(event.id for event in self.events if event.verdict == "accepted")


@attrs.frozen
class Evidence:
    """Everything that is known when the demo has ended.

    Attributes:
        expected_events: Number of events that the shop tracks, according to the scenario.
        verbs: The verb of each event, by event id.
        deliveries: Each outcome that the client reported, with the event's id, by destination name.
        report: What closing the client returned.
        arrivals: What arrived, by destination name.
        failures: What went wrong in the demo itself, in words.
        lookups: Each customer with each name that was looked up for them, according to the scenario.
    """

    expected_events: int
    verbs: Mapping[str, str]
    deliveries: Mapping[str, Sequence[tuple[str, Delivery]]]
    report: Report
    arrivals: Mapping[str, Arrivals]
    failures: Sequence[str] = ()
    lookups: AbstractSet[tuple[str, str]] = frozenset()

    def retried(self, name: str) -> int:
        """Count the events that took more than one attempt at a destination."""
        return sum(delivery.attempts > 1 for _, delivery in self.deliveries[name])

    @property
    def exposures(self) -> Sequence[ReceivedEvent]:
        """The exposures that were accepted."""
        return [
            event for arrivals in self.arrivals.values() for event in arrivals.exposures if event.verdict == "accepted"
        ]


def audit(evidence: Evidence) -> list[str]:
    """Return what does not add up, one line each; empty if all events are accounted for."""
    problems = list(evidence.failures)
    expected, tracked = evidence.expected_events, len(evidence.verbs)
    if tracked != expected:
        problems.append(f"{expected:,} events were expected, but the client received {tracked:,}")
    for name, report in evidence.report.destinations.items():
        arrivals, deliveries = evidence.arrivals[name], evidence.deliveries[name]
        found = [*_audit_report(expected, report), *_audit_deliveries(evidence.verbs, deliveries, report)]
        found += _audit_arrivals(deliveries, arrivals)
        if report.exposures is not None:
            # The scenario does not say how many exposures there are, so the report is compared with what arrived.
            found += _audit_report(len(arrivals.exposures), report.exposures, "exposures")
        problems += [f"{name}: {problem}" for problem in found]
    return [*problems, *_audit_exposures(evidence.lookups, evidence.exposures)]


def _audit_report(expected: int, report: DestinationReport, what: str = "events") -> Iterator[str]:
    """Check that the counts of one destination add up, and that nothing was lost."""
    if report.accepted != expected:
        yield f"{expected:,} {what} were expected, but the report has {report.accepted:,}"
    total = report.delivered + report.spooled + report.abandoned + report.pending
    total += sum(sum(counts.values()) for counts in (report.rejected, report.dropped, report.skipped))
    if total != report.accepted:
        yield f"the outcomes in the report add up to {total:,}, not to {report.accepted:,}"
    for outcome, count in (
        ("dropped", sum(report.dropped.values())),
        ("abandoned", report.abandoned),
        ("pending", report.pending),
    ):
        if count:
            yield f"{outcome} {what}: {count:,}"


def _audit_deliveries(
    verbs: Collection[str], deliveries: Sequence[tuple[str, Delivery]], report: DestinationReport
) -> Iterator[str]:
    """Check that each event has exactly one outcome, and that the callbacks agree with the report."""
    times = Counter(event_id for event_id, _ in deliveries)
    repeated = sum(count > 1 for count in times.values())
    if repeated:
        yield f"events with more than one outcome: {repeated:,}"
    if times.keys() != set(verbs):
        yield f"events without an outcome, or with one but never tracked: {len(times.keys() ^ set(verbs)):,}"
    delivered = sum(delivery.status == "delivered" for _, delivery in deliveries)
    if delivered != report.delivered:
        yield f"{delivered:,} events were reported to on_delivery as delivered, but the report has {report.delivered:,}"


def _audit_arrivals(deliveries: Sequence[tuple[str, Delivery]], arrivals: Arrivals) -> Iterator[str]:
    """Check that the events reported as delivered are those that the vendor accepted, id by id."""
    accepted = arrivals.accepted
    delivered = {event_id for event_id, delivery in deliveries if delivery.status == "delivered"}
    for problem, count in (
        ("events reported as delivered that did not arrive", len(delivered - accepted.keys())),
        ("events that arrived but were not reported as delivered", len(accepted.keys() - delivered)),
        ("events accepted more than once", sum(times > 1 for times in accepted.values())),
    ):
        if count:
            yield f"{problem}: {count:,}"


def _audit_exposures(lookups: AbstractSet[tuple[str, str]], exposures: Sequence[ReceivedEvent]) -> Iterator[str]:
    """Check that there is an exposure for each lookup, and none twice."""
    exposed = {(event.user, event.name) for event in exposures}
    # A customer may see two values of one name, before and after the rules change. The same value twice is an error.
    times = Counter((*shown_value(event), event.user) for event in exposures)
    for problem, count in (
        ("lookups without an exposure", len(lookups - exposed)),
        ("exposures without a lookup", len(exposed - lookups)),
        ("exposures sent more than once", sum(count > 1 for count in times.values())),
    ):
        if count:
            yield f"{problem}: {count:,}"


def shown_value(exposure: ReceivedEvent) -> tuple[str, str, str]:
    """Return what a customer was shown: kind, name and value, such as `("gate", "sale", "true, all")`."""
    metadata = exposure.body["metadata"]
    words = (metadata.get("gateValue"), metadata.get("parameterName"), metadata["ruleID"])
    return exposure.kind.removesuffix(_EXPOSURE), exposure.name, ", ".join(filter(None, words))


def arrivals_at(vendor: str, requests: Collection[ReceivedRequest], events: Collection[ReceivedEvent]) -> Arrivals:
    """Select the requests and events of one vendor."""
    by_kind: dict[bool, list[ReceivedEvent]] = {True: [], False: []}
    for event in events:
        if event.vendor == vendor:
            by_kind[event.kind.endswith(_EXPOSURE)].append(event)
    return Arrivals(sum(request.vendor == vendor for request in requests), by_kind[False], by_kind[True])
