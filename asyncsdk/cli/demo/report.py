"""What the demo prints when it is over. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from asyncsdk import DestinationReport
from asyncsdk.cli._tables import INDENT, Row, paragraph, table
from asyncsdk.cli.demo.audit import Books, Seen, outcome
from asyncsdk.dev import ReceivedEvent


def chapters(books: Books, stories: Mapping[str, str], width: int) -> Iterator[tuple[str, str]]:
    """Tell what happened: titles and texts, in lines of at most `width` characters where words allow it."""
    yield (
        "What reached each vendor, as the dev server counted it",
        _lines(_arrivals(books), "", _refusals(books), "", *_legend(width)),
    )
    yield "What each verb became there (copies left out)", _verbs(books)
    yield "What customers were shown: Statsig's exposures", _exposures(books)
    for title, story in stories.items():
        yield title, _wrapped(story, width)
    yield "What the client says: the report of aclose()", _report(books)


def verdict(books: Books, problems: Sequence[str], width: int) -> str:
    """Say whether it all adds up."""
    if problems:
        return _lines("The accounts do not add up:", *(paragraph(f"- {problem}", width) for problem in problems))
    *others, last = books.report.destinations
    shown = f" So are {len(books.exposures):,} exposures: everything that customers were shown, and nothing twice."
    text = (
        f"All {books.given:,} events accounted for: each has exactly one outcome at {', '.join(others)} and {last}, "
        "and those that the client calls delivered are those that arrived, id by id, none missing and none kept twice."
        f"{shown if books.exposures else ''}"
    )
    return paragraph(text, width, indent="", hang="")


def _arrivals(books: Books) -> str:
    head = ("vendor", "requests", "events", "accepted", "duplicate", "rejected", "lost", "retried")
    rows: list[Row] = []
    for name, seen in books.seen.items():
        rows.append([name, *_counts(seen), books.retried(name)])
        if seen.exposures:
            carriers = len({event.request for event in seen.exposures})
            rows.append(["  exposures", *_counts(Seen(carriers, seen.exposures)), "-"])
    return table(head, rows)


def _counts(seen: Seen) -> list[int]:
    verdicts = ("accepted", "duplicate", "rejected", "lost")
    return [seen.requests, len(seen.events), *(seen.count(verdict) for verdict in verdicts)]


def _exposures(books: Books) -> str:
    users = Counter(map(outcome, books.exposures))
    return table(("kind", "name", "outcome", "customers"), [[*shown, count] for shown, count in sorted(users.items())])


def _refusals(books: Books) -> str:
    rows: list[Row] = [
        [name, count, reason] for name, seen in books.seen.items() for reason, count in seen.refusals().most_common()
    ]
    return table(("vendor", "events", "not accepted because"), rows) if rows else ""


def _legend(width: int) -> Iterator[str]:
    for text in (
        "duplicate: the same id again, which the vendor recognises, so that it counts once",
        "lost: to a fault of the vendor or the network; the client sends it again",
        "retried: events that took more than one request, as the client counts them",
    ):
        yield paragraph(text, width)


def _verbs(books: Books) -> str:
    given = Counter(books.verbs.values())
    kept: dict[tuple[str, str], list[ReceivedEvent]] = {}
    for name, seen in books.seen.items():
        for event in seen.events:
            if event.verdict == "accepted":
                kept.setdefault((books.verbs.get(event.id, "?"), name), []).append(event)
    rows: list[Row] = [
        [verb, count, *(_form(kept.get((verb, name), [])) for name in books.seen)]
        for verb, count in sorted(given.items())
    ]
    return table(("verb", "given", *books.seen), rows)


def _form(events: Sequence[ReceivedEvent]) -> str:
    """Say how many there are, and what the vendor calls them."""
    if not events:
        return "-"
    names = {event.name for event in events}
    kind = events[0].kind
    return f"{len(events):,} {names.pop() if kind == 'event' and len(names) == 1 else kind}"


def _report(books: Books) -> str:
    columns = _columns(books)
    reports = columns.values()
    outcomes = [("accepted", ""), ("delivered", "")]
    for word in ("rejected", "skipped", "dropped"):
        reasons = {reason for report in reports for reason in getattr(report, word)}
        outcomes += [(word, reason) for reason in sorted(reasons)] or [(word, "")]
    outcomes += [("spooled", ""), ("abandoned", ""), ("pending", "")]
    rows: list[Row] = [
        [f"{word}: {reason}" if reason else word, *(_count(report, word, reason) for report in reports)]
        for word, reason in outcomes
    ]
    return table(("outcome", *columns), rows)


def _columns(books: Books) -> Mapping[str, DestinationReport]:
    """Give the reports by the heads of their columns; exposures have a column of their own."""
    columns: dict[str, DestinationReport] = {}
    for name, report in books.report.destinations.items():
        columns[name] = report
        if report.exposures is not None:
            columns[f"{name}'s exposures"] = report.exposures
    return columns


def _count(report: DestinationReport, word: str, reason: str) -> int:
    counts: int | Mapping[str, int] = getattr(report, word)
    return counts if isinstance(counts, int) else counts.get(reason, 0)


def _wrapped(text: str, width: int) -> str:
    indents = (len(line) - len(line.lstrip()) for line in text.splitlines())
    return _lines(
        *(
            paragraph(line.strip(), width, INDENT + " " * indent)
            for line, indent in zip(text.splitlines(), indents, strict=True)
        )
    )


def _lines(*lines: str) -> str:
    return "\n".join(lines)
