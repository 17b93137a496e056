"""Inspect a spool, even while programs use it.

  ls      list the files of the folder, with their counts
  show    list the waiting events, or the dead letters, one per line
  export  write them as JSON lines, with their content
  replay  queue dead letters for delivery again
  purge   delete dead letters, everything with --all, or what a destination
          that was removed has left, with --destination NAME

The file of a running program is read from a copy and never changed. To replay
or purge its dead letters, end the program first. Files that the spool did not
write, or that are damaged, are named and left as they are.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from asyncsdk.cli._progress import progress_bar
from asyncsdk.cli._terminal import escape
from asyncsdk.stores import inspection
from asyncsdk.stores.inspection import SpooledEvent

# DEL, the second set of control characters, and those that reorder text.
_CONTROLS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

SUMMARY = "inspect a spool on disk: ls, show, export, replay, purge"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs and their arguments."""
    verbs = parser.add_subparsers(title="verbs", metavar="<verb>", required=True)
    for name, run_verb in VERBS.items():
        verb = verbs.add_parser(name, help=run_verb.__doc__, description=run_verb.__doc__)
        verb.add_argument("folder", type=Path)
        verb.set_defaults(verb=run_verb)
        if name in ("show", "export"):
            verb.add_argument("--dead", action="store_true", help="dead letters instead of waiting events")
        if name == "show":
            verb.add_argument("--limit", type=int, default=50, help="maximum number of events (default: 50)")
        if name == "export":
            verb.add_argument("--output", type=Path, help="file to write (default: standard output)")
        if name == "purge":
            what = verb.add_mutually_exclusive_group()
            what.add_argument("--all", action="store_true", help="delete waiting events, too")
            what.add_argument("--destination", metavar="NAME", help="delete what waits for it, and its dead letters")
            verb.add_argument("--yes", action="store_true", help="confirm; without it, nothing is deleted")


def run(arguments: argparse.Namespace) -> int:
    """Run a verb and return its exit code."""
    if not arguments.folder.is_dir():
        print(escape(f"not a folder: {arguments.folder}"), file=sys.stderr)
        return 2
    try:
        code: int = arguments.verb(arguments)
    except OSError as error:
        print(escape(f"{arguments.folder}: {error.strerror or type(error).__name__}"), file=sys.stderr)
        return 2
    return code


def _list(arguments: argparse.Namespace) -> int:
    """List the files, with their counts."""
    files = list(inspection.list_files(arguments.folder))
    if not files:
        print(escape(f"no spool files in {arguments.folder}"))
        return 0
    print(f"{'file':44} {'state':10} {'bytes':>13}  waiting, dead letters")
    for file in files:
        if file.problem:
            print(escape(f"{file.name:44} {file.problem:10} {file.bytes:>13,}  {file.reason}"))
            continue
        counts = [f"{name} {count:,}" for name, count in sorted(file.waiting.items()) if count]
        counts += [f"{name} {count:,} dead" for name, count in sorted(file.dead.items())]
        state = "in use" if file.in_use else "idle"
        print(escape(f"{file.name:44} {state:10} {file.bytes:>13,}  {', '.join(counts) or 'empty'}"))
    waiting = sum((Counter(file.waiting) for file in files if not file.in_use), Counter[str]())
    if waiting:
        counts = [f"{name} {count:,}" for name, count in sorted(waiting.items())]
        print(escape(f"in no running program: {', '.join(counts)}"))
        print("A program with such a destination delivers them. To delete those of a removed one: purge --destination")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    """List events, one per line, without their content."""
    number = -1
    for number, event in enumerate(_list_events(arguments)):
        if number == arguments.limit:
            print("... and more: raise --limit to see them")
            break
        status = f"{event.status}: {event.reason}" if event.reason else event.status
        size = f"{len(event.body):,} B"
        event_id = event.id or "exposure"
        print(escape(f"{_format_time(event.time_ms)}  {event.destination:14} {event_id:38} {size:>10}  {status}"))
    if number == -1:  # the loop did not run
        print("no dead letters" if arguments.dead else f"no waiting events{_hint(arguments.folder)}")
    return 0


def _hint(folder: Path) -> str:
    dead = _count_dead(folder)
    return f"; {dead:,} dead letters (list them with --dead)" if dead else ""


def _count_dead(folder: Path) -> int:
    return sum(sum(file.dead.values()) for file in inspection.list_files(folder))


def _export(arguments: argparse.Namespace) -> int:
    """Write events as JSON lines, with their content."""
    events = _list_events(arguments)
    if arguments.output is None:
        for event in events:
            sys.stdout.write(_json_line(event))
        return 0
    # Only here: on standard output, a progress bar would mix with the events on a terminal.
    with arguments.output.open("w", encoding="utf-8") as file, progress_bar("export", None) as advance:
        for event in events:
            file.write(_json_line(event))
            advance(1)
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    """Queue dead letters for delivery again."""
    total = _count_dead(arguments.folder)
    with progress_bar("replay", total) as advance:
        events = inspection.replay(arguments.folder, advance, _print_problem)
    print(f"{events:,} of {total:,} dead letters queued; the next program with this folder delivers them")
    return 0


def _purge(arguments: argparse.Namespace) -> int:
    """Delete dead letters, everything with --all, or a destination's; running programs keep theirs."""
    if not arguments.yes:
        print("nothing was deleted: confirm with --yes", file=sys.stderr)
        return 2
    if arguments.destination is not None:
        events = inspection.purge_destination(arguments.folder, arguments.destination, _print_problem)
    else:
        events = inspection.purge(arguments.folder, everything=arguments.all, on_problem=_print_problem)
    print(f"{events:,} events deleted")
    return 0


VERBS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "ls": _list,
    "show": _show,
    "export": _export,
    "replay": _replay,
    "purge": _purge,
}


def _list_events(arguments: argparse.Namespace) -> Iterator[SpooledEvent]:
    return inspection.list_events(arguments.folder, dead=arguments.dead, on_problem=_print_problem)


def _print_problem(name: str, reason: str) -> None:
    print(escape(f"{name}: {reason}"), file=sys.stderr)


def _format_time(time_ms: int) -> str:
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


def _json_line(event: SpooledEvent) -> str:
    fields = {"destination": event.destination, "id": event.id, "time_ms": event.time_ms, "status": event.status}
    body = orjson.Fragment(event.body)  # JSON already: embedded as it is, without decoding
    line = orjson.dumps({**fields, "reason": event.reason, "event": body}).decode("utf-8", "replace")
    # JSON itself escapes only the characters below U+0020; outside its strings there are none of these.
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n"
