"""The demo's report, as text. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from asyncsdk import DestinationReport
from asyncsdk.cli._tables import INDENT, Row, Table, paragraph, table
from asyncsdk.cli.demo.audit import Arrivals, Evidence, shown_value
from asyncsdk.dev import ReceivedEvent

Fit = Callable[[Sequence[str], Sequence[Row]], str]
"""Formats a head and rows for the terminal."""


def sections(
    evidence: Evidence, quotes: Mapping[str, str], width: int, draw: Table = table
) -> Iterator[tuple[str, str]]:
    """Yield the title and text of each section.

    Args:
        evidence: What is known about every event.
        quotes: Answers of the shop to quote, by title.
        width: Maximum number of characters in a line, where words allow it.
        draw: Formats the tables.
    """

    def fit(head: Sequence[str], rows: Sequence[Row]) -> str:
        return draw(head, rows, width)

    yield (
        "What arrived at each vendor, as counted by the dev server",
        _lines(_arrivals(evidence, fit), "", _refusals(evidence, fit), "", *_legend(width)),
    )
    yield "What each verb became at each vendor (without duplicates)", _verbs(evidence, fit)
    yield "What customers were shown, according to Statsig's exposures", _exposures(evidence, fit)
    for title, quote in quotes.items():
        yield title, _wrapped(quote, width)
    yield "What the client reports: aclose()", _report(evidence, fit)


def summary(evidence: Evidence, problems: Sequence[str], width: int) -> str:
    """Return the result of the audit as a paragraph, or as a list of problems."""
    if problems:
        return _lines("The numbers do not add up:", *(paragraph(f"- {problem}", width) for problem in problems))
    *others, last = evidence.report.destinations
    exposures = (
        f" All {len(evidence.exposures):,} exposures are accounted for, too: each value that a customer was shown was "
        "reported exactly once."
    )
    text = (
        f"All {evidence.expected_events:,} events are accounted for. Each has exactly one outcome at "
        f"{', '.join(others)} and {last}, and those that the client reports as delivered are those that arrived: none "
        f"is missing, and none was counted twice.{exposures if evidence.exposures else ''}"
    )
    return paragraph(text, width, indent="", hang="")


def _arrivals(evidence: Evidence, fit: Fit) -> str:
    head = ("vendor", "requests", "events", "accepted", "duplicate", "rejected", "lost", "retried")
    rows: list[Row] = []
    for name, arrivals in evidence.arrivals.items():
        rows.append([name, *_counts(arrivals), evidence.retried(name)])
        if arrivals.exposures:
            # These requests are part of the row above; only the events differ.
            requests = len({event.request for event in arrivals.exposures})
            rows.append(["  exposures", *_counts(Arrivals(requests, arrivals.exposures)), "-"])
    return fit(head, rows)


def _counts(arrivals: Arrivals) -> list[int]:
    verdicts = ("accepted", "duplicate", "rejected", "lost")
    return [arrivals.requests, len(arrivals.events), *(arrivals.count(verdict) for verdict in verdicts)]


def _exposures(evidence: Evidence, fit: Fit) -> str:
    customers = Counter(map(shown_value, evidence.exposures))
    return fit(("kind", "name", "value", "customers"), [[*shown, count] for shown, count in sorted(customers.items())])


def _refusals(evidence: Evidence, fit: Fit) -> str:
    rows: list[Row] = [
        [name, count, reason]
        for name, arrivals in evidence.arrivals.items()
        for reason, count in arrivals.refusals().most_common()
    ]
    return fit(("vendor", "events", "not accepted because"), rows) if rows else ""


def _legend(width: int) -> Iterator[str]:
    for text in (
        "duplicate: an id that the vendor already has; it recognises and ignores it",
        "lost: not stored, because the request failed; the client retries it",
        "retried: events that took more than one request, as counted by the client",
    ):
        yield paragraph(text, width)


def _verbs(evidence: Evidence, fit: Fit) -> str:
    calls = Counter(evidence.verbs.values())
    accepted: dict[tuple[str, str], list[ReceivedEvent]] = {}
    for name, arrivals in evidence.arrivals.items():
        for event in arrivals.events:
            if event.verdict == "accepted":
                accepted.setdefault((evidence.verbs.get(event.id, "?"), name), []).append(event)
    rows: list[Row] = [
        [verb, count, *(_count_and_name(accepted.get((verb, name), [])) for name in evidence.arrivals)]
        for verb, count in sorted(calls.items())
    ]
    return fit(("verb", "calls", *evidence.arrivals), rows)


def _count_and_name(events: Sequence[ReceivedEvent]) -> str:
    """Return the number of events with the vendor's name for them, such as `8 Kiosk Sale`."""
    if not events:
        return "-"
    names = {event.name for event in events}
    kind = events[0].kind
    return f"{len(events):,} {names.pop() if kind == 'event' and len(names) == 1 else kind}"


def _report(evidence: Evidence, fit: Fit) -> str:
    columns = _columns(evidence)
    reports = columns.values()
    outcomes = [("accepted", ""), ("delivered", "")]
    for outcome in ("rejected", "skipped", "dropped"):
        reasons = {reason for report in reports for reason in getattr(report, outcome)}
        outcomes += [(outcome, reason) for reason in sorted(reasons)] or [(outcome, "")]
    outcomes += [("spooled", ""), ("abandoned", ""), ("pending", "")]
    rows: list[Row] = [
        [f"{outcome}: {reason}" if reason else outcome, *(_count(report, outcome, reason) for report in reports)]
        for outcome, reason in outcomes
    ]
    return fit(("outcome", *columns), rows)


def _columns(evidence: Evidence) -> Mapping[str, DestinationReport]:
    """Return the reports by the heads of their columns; exposures have a column of their own."""
    columns: dict[str, DestinationReport] = {}
    for name, report in evidence.report.destinations.items():
        columns[name] = report
        if report.exposures is not None:
            columns[f"{name}'s exposures"] = report.exposures
    return columns


def _count(report: DestinationReport, outcome: str, reason: str) -> int:
    counts: int | Mapping[str, int] = getattr(report, outcome)
    return counts if isinstance(counts, int) else counts.get(reason, 0)


def _wrapped(text: str, width: int) -> str:
    """Wrap each line of an indented text, and keep its indentation."""
    # `paragraph` collapses white space, so the indentation is removed first and passed separately.
    indents = (len(line) - len(line.lstrip()) for line in text.splitlines())
    return _lines(
        *(
            paragraph(line.strip(), width, INDENT + " " * indent)
            for line, indent in zip(text.splitlines(), indents, strict=True)
        )
    )


def _lines(*lines: str) -> str:
    return "\n".join(lines)
