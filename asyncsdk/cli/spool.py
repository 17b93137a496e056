"""Look into a spool, beside the programs that use it.

  ls      what is in each file of the folder
  show    the events that wait, or the dead letters, one a line
  export  the same as JSON lines, with the events themselves
  replay  let dead letters wait for delivery again
  purge   delete dead letters, or with --all everything

A file whose program runs is read from a copy, and never changed: its dead
letters are replayed or purged after that program has ended.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from asyncsdk.cli._progress import bar
from asyncsdk.stores import inspection
from asyncsdk.stores.inspection import SpooledEvent

SUMMARY = "what a spool on disk holds: ls, show, export, replay, purge"


def configure(parser: argparse.ArgumentParser) -> None:
    """Take a verb and a folder."""
    verbs = parser.add_subparsers(title="verbs", metavar="<verb>", required=True)
    for name, run_verb in VERBS.items():
        verb = verbs.add_parser(name, help=run_verb.__doc__, description=run_verb.__doc__)
        verb.add_argument("folder", type=Path)
        verb.set_defaults(verb=run_verb)
        if name in ("show", "export"):
            verb.add_argument("--dead", action="store_true", help="dead letters, not what waits")
        if name == "show":
            verb.add_argument("--limit", type=int, default=50, help="at most so many (default: 50)")
        if name == "export":
            verb.add_argument("--output", type=Path, help="a file; without it, standard output")
        if name == "purge":
            verb.add_argument("--all", action="store_true", help="also what waits to be delivered")
            verb.add_argument("--yes", action="store_true", help="do it; without it, nothing is deleted")


def run(arguments: argparse.Namespace) -> int:
    """Run a verb."""
    if not arguments.folder.is_dir():
        print(f"{arguments.folder} is no folder", file=sys.stderr)
        return 2
    code: int = arguments.verb(arguments)
    return code


def _list(arguments: argparse.Namespace) -> int:
    """Say what is in each file."""
    files = list(inspection.list_files(arguments.folder))
    if not files:
        print(f"there is no file of a spool in {arguments.folder}")
        return 0
    print(f"{'file':44} {'state':8} {'bytes':>13}  waiting, dead letters")
    for file in files:
        counts = [f"{name} {count:,}" for name, count in sorted(file.waiting.items()) if count]
        counts += [f"{name} {count:,} dead" for name, count in sorted(file.dead.items())]
        state = "in use" if file.in_use else "left"
        print(f"{file.name:44} {state:8} {file.bytes:>13,}  {', '.join(counts) or 'nothing'}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    """Print events, one a line, without their content."""
    number = -1
    for number, event in enumerate(inspection.list_events(arguments.folder, dead=arguments.dead)):
        if number == arguments.limit:
            print("... and more: see --limit")
            break
        told = f"{event.status}: {event.reason}" if event.reason else event.status
        size = f"{len(event.body):,} B"
        print(f"{_clock(event.time_ms)}  {event.destination:14} {event.id or 'exposure':38} {size:>10}  {told}")
    if number == -1:
        print("there are no dead letters" if arguments.dead else f"nothing waits{_hint(arguments.folder)}")
    return 0


def _hint(folder: Path) -> str:
    dead = _count_dead(folder)
    return f"; {dead:,} dead letters: see --dead" if dead else ""


def _count_dead(folder: Path) -> int:
    return sum(sum(file.dead.values()) for file in inspection.list_files(folder))


def _export(arguments: argparse.Namespace) -> int:
    """Write events as JSON lines, with their content."""
    events = inspection.list_events(arguments.folder, dead=arguments.dead)
    if arguments.output is None:
        for event in events:
            sys.stdout.write(_line(event))
        return 0
    with arguments.output.open("w", encoding="utf-8") as file, bar("export", None) as advance:
        for event in events:
            file.write(_line(event))
            advance(1)
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    """Let dead letters wait for delivery again."""
    total = _count_dead(arguments.folder)
    with bar("replay", total) as advance:
        events = inspection.replay(arguments.folder, advance)
    print(f"{events:,} of {total:,} dead letters wait again, for the next program that looks here")
    return 0


def _purge(arguments: argparse.Namespace) -> int:
    """Delete dead letters, or with --all everything that no running program has."""
    if not arguments.yes:
        print("nothing is deleted without --yes", file=sys.stderr)
        return 2
    print(f"{inspection.purge(arguments.folder, everything=arguments.all):,} events deleted")
    return 0


VERBS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "ls": _list,
    "show": _show,
    "export": _export,
    "replay": _replay,
    "purge": _purge,
}


def _clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _line(event: SpooledEvent) -> str:
    fields = {"destination": event.destination, "id": event.id, "time_ms": event.time_ms, "status": event.status}
    body = orjson.Fragment(event.body)
    return orjson.dumps({**fields, "reason": event.reason, "event": body}).decode() + "\n"
