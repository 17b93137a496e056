"""Generate types for the names of a project, and for the events of a tracking plan.

  asyncsdk codegen rules.json -o app_flags.py
  asyncsdk codegen http://127.0.0.1:4010 -o app_flags.py
  asyncsdk codegen statsig --plan plan.json -o app_flags.py

The module has AppFlags and AppClient. For a type checker they are subclasses of
Flags and Client that know the names of gates, configs, experiments, layers,
parameters and events; at run time they are Flags and Client themselves. The
source is a file, the address of a dev server, or "statsig": the project of the
key in STATSIG_SECRET_KEY (with ASYNCSDK_DEV_SERVER, that server).

--plan reads events from JSON: a tracking plan of Segment or RudderStack, or
JSON Schemas. Exit code with --check: 0 if the file is up to date, 1 if not.
"""

import argparse
import re
import shlex
import sys
from pathlib import Path

from asyncsdk.cli.codegen.project import read_project
from asyncsdk.cli.codegen.render import render
from asyncsdk.cli.codegen.source import SourceError, read_plans, read_rules, without_password

SUMMARY = "generate types for gates, configs, experiments and events"

# The command in the header, which may spell the same files in another way.
_COMMAND = re.compile(r"^#     asyncsdk codegen .*$", re.MULTILINE)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", nargs="?", help='file with rules, URL of a dev server, or "statsig"')
    parser.add_argument("--plan", action="append", default=[], metavar="FILE", help="tracking plan; may be repeated")
    parser.add_argument("-o", "--output", metavar="FILE", help="module to write (default: standard output)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the module is out of date")


def run(arguments: argparse.Namespace) -> int:
    """Generate or check the module, and return the exit code."""
    if arguments.source is None and not arguments.plan:
        print("codegen needs a source of rules (a file, a URL or statsig), or --plan", file=sys.stderr)
        return 2
    if arguments.check and arguments.output is None:
        print("--check needs -o: the module to check", file=sys.stderr)
        return 2
    try:
        text = _generate(arguments)
        return _check(text, Path(arguments.output)) if arguments.check else _write(text, arguments.output)
    except SourceError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{arguments.output}: {error.strerror or type(error).__name__}", file=sys.stderr)
    return 2


def _generate(arguments: argparse.Namespace) -> str:
    project = None if arguments.source is None else read_project(read_rules(arguments.source))
    events = read_plans(arguments.plan) if arguments.plan else None
    words = [] if arguments.source is None else [without_password(arguments.source)]
    words += [word for plan in arguments.plan for word in ("--plan", plan)]
    words += [] if arguments.output is None else ["-o", arguments.output]
    return render(project, events, f"asyncsdk codegen {shlex.join(words)}")


def _write(text: str, output: str | None) -> int:
    if output is None:
        sys.stdout.write(text)
        return 0
    file = Path(output)
    if not _differs(text, file):
        print(f"{output} is up to date")
        return 0
    # In two steps, so that an interrupted run leaves the old module.
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(text, encoding="utf-8", newline="\n")
    draft.replace(file)
    print(f"wrote {output}")
    return 0


def _check(text: str, file: Path) -> int:
    if not file.exists():
        print(f"{file} does not exist; run the command without --check", file=sys.stderr)
        return 1
    if not _differs(text, file):
        print(f"{file} is up to date")
        return 0
    print(f"{file} is out of date; run the command without --check", file=sys.stderr)
    return 1


def _differs(text: str, file: Path) -> bool:
    try:
        current = file.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return True
    return _COMMAND.sub("", current, count=1) != _COMMAND.sub("", text, count=1)
