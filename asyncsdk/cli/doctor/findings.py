"""What the checks found, and how it is shown: lines, a table or JSON."""

from collections.abc import Sequence
from typing import Literal

import attrs
import orjson

from asyncsdk.cli._tables import INDENT, Table, paragraph, table

State = Literal["ok", "warning", "failure", "skipped"]
_WIDEST_STATE = max(map(len, ("ok", "warning", "failure", "skipped")))


def one_line(text: str) -> str:
    """Return text of a single line that cannot control a terminal: it may come from a server or a file."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@attrs.frozen
class Finding:
    """The result of one check.

    Attributes:
        state: `ok`; `warning`, if it may be meant so; `failure`, if events are lost or late; or `skipped`.
        check: What was checked.
        text: What was found.
        advice: What to do; "" if nothing is to be done.
    """

    state: State
    check: str = attrs.field(converter=one_line)
    text: str = attrs.field(converter=one_line)
    advice: str = attrs.field(default="", converter=one_line)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 1 if a check failed, else 0."""
    return int(any(finding.state == "failure" for finding in findings))


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line: how many checks failed, and how many warn."""
    counts = {state: sum(finding.state == state for finding in findings) for state in ("failure", "warning")}
    named = [f"{count} {state}{'s' if count > 1 else ''}" for state, count in counts.items() if count]
    return f"{len(findings)} checks: {', '.join(named) or 'all is well'}"


def as_text(findings: Sequence[Finding], width: int, draw: Table = table) -> str:
    """Return the findings for a person: a line each, with the advice below; or a table, if `draw` is another function.

    Args:
        findings: The findings.
        width: Maximum number of characters in a line.
        draw: Formats tables; the plain one means that lines are wanted.
    """
    if draw is not table:
        rows = [[f.state, f.check, f.text, f.advice] for f in findings]
        return f"{draw(['state', 'check', 'found', 'what to do'], rows, width)}\n{summary(findings)}"
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:{_WIDEST_STATE}}  {finding.check}: {finding.text}")
        if finding.advice:
            lines.append(paragraph(finding.advice, max(width, 40), indent=" " * _WIDEST_STATE + INDENT, hang=""))
    return "\n".join([*lines, summary(findings)])


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings as a JSON object: `checks`, and the `exit_code`."""
    body = {"checks": [attrs.asdict(finding) for finding in findings], "exit_code": exit_code(findings)}
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
