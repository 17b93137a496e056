"""A diff as text, and as JSON."""

from collections.abc import Iterator, Sequence

import attrs
import orjson

from asyncsdk.cli._decision import Side
from asyncsdk.cli._tables import Table
from asyncsdk.cli._terminal import ascii_json, escape
from asyncsdk.cli.diff.model import Diff, Example, NameDiff

_MAX_TRANSITIONS = 8


def as_json(diff: Diff) -> str:
    """Return a diff as a JSON object, indented, with ASCII characters only."""
    names = [
        {
            **attrs.asdict(name),
            "transitions": [
                {"old": old, "new": new, "users": users} for (old, new), users in name.transitions.most_common()
            ],
        }
        for name in diff.names
    ]
    shown = {"users": diff.users, "changed_users": diff.changed_users, "compared": diff.compared, "names": names}
    return ascii_json(shown)


def as_text(diff: Diff, draw: Table, width: int) -> str:
    """Return a diff as text: a summary line, a table of names, and the first users of each name.

    Args:
        diff: The diff.
        draw: Draws the table.
        width: Maximum number of characters in a line of the table.
    """
    return "\n".join(_lines(diff, draw, width))


def _lines(diff: Diff, draw: Table, width: int) -> Iterator[str]:
    compared = f"{_count(diff.compared, 'name')}, {_count(diff.users, 'user')} compared"
    if not diff.changed_users:
        yield f"No user gets another value or group ({compared})."
    else:
        changing = sum(1 for name in diff.names if name.users)
        verb = "gets" if diff.changed_users == 1 else "get"
        who = f"{_count(diff.changed_users, 'user')} of {diff.users:,} {verb}"
        yield f"{who} another value or group of {_count(changing, 'name')} ({compared})."
    if diff.names:
        yield ""
        yield draw(
            ("name", "kind", "users", "share", "what changes"), [_row(name, diff.users) for name in diff.names], width
        )
    for name in diff.names:
        if name.users:
            yield ""
            yield from _details(name)


def _row(name: NameDiff, users: int) -> Sequence[str | int]:
    what = "" if name.status == "changed" else f"{name.status}; "
    if name.transitions:
        (old, new), _ = name.transitions.most_common(1)[0]
        more = len(name.transitions) - 1
        what += f"{old} -> {new}" + (f" and {more} more" if more else "")
    else:
        what += "the same value for all"
    return escape(name.name), name.kind.replace("_", " "), name.users, f"{name.users / users:.1%}", escape(what)


def _details(name: NameDiff) -> Iterator[str]:
    through = f", through {', '.join(name.through)}" if name.through else ""
    yield escape(f"{name.name} ({name.kind.replace('_', ' ')}{through})")
    for (old, new), users in name.transitions.most_common(_MAX_TRANSITIONS):
        yield escape(f"  {users:>8,}  {old} -> {new}")
    if (more := len(name.transitions) - _MAX_TRANSITIONS) > 0:
        yield f"  and {more:,} more: see --json"
    for example in name.examples:
        yield from _example(example)


def _example(example: Example) -> Iterator[str]:
    yield escape(f"  {example.user}")
    yield escape(f"    old  {show_side(example.old)}")
    yield escape(f"    new  {show_side(example.new)}")


def show_side(side: Side) -> str:
    """Return what a user gets, and why, in one line."""
    if isinstance(side.value, bool):
        shown = "open" if side.value else "closed"
    else:
        text = orjson.dumps(side.value).decode()
        shown = text if side.group is None else f"{side.group} {text}"
    return f"{shown}; {side.why}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
