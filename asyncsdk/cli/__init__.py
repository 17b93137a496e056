"""The command `asyncsdk`. A subcommand is a module beside this one, and an entry of `COMMANDS`."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

from asyncsdk._version import __version__
from asyncsdk.cli import eval as eval_command
from asyncsdk.cli import relay, spool
from asyncsdk.cli.codegen import command as codegen
from asyncsdk.cli.demo import command as demo
from asyncsdk.cli.dev import command as dev
from asyncsdk.cli.diff import command as diff
from asyncsdk.cli.doctor import command as doctor
from asyncsdk.cli.send import command as send
from asyncsdk.cli.tail import command as tail

COMMANDS: Mapping[str, ModuleType] = {
    "codegen": codegen,
    "demo": demo,
    "dev": dev,
    "diff": diff,
    "doctor": doctor,
    "eval": eval_command,
    "relay": relay,
    "send": send,
    "spool": spool,
    "tail": tail,
}
"""Subcommands by name. Each has `SUMMARY`, `configure(parser)`, and `run(arguments)`, which returns the exit code."""


def main(argv: Sequence[str] | None = None, commands: Mapping[str, ModuleType] = COMMANDS) -> int:
    """Run a subcommand and return its exit code; without one, print the help.

    Args:
        argv: Arguments after the program's name; None takes those of the process.
        commands: Subcommands by name.

    Raises:
        SystemExit: After `--help` or `--version` (code 0), or for invalid arguments (code 2).
    """
    parser = argparse.ArgumentParser("asyncsdk", description="Feature gates and product events for asyncio services.")
    parser.add_argument("--version", action="version", version=f"asyncsdk {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="<command>")
    for name, command in commands.items():
        subparser = subparsers.add_parser(name, help=command.SUMMARY, description=command.__doc__)
        subparser.formatter_class = argparse.RawDescriptionHelpFormatter
        command.configure(subparser)
        subparser.set_defaults(run=command.run)
    arguments = parser.parse_args(argv)
    if "run" not in arguments:
        parser.print_help()
        return 0
    try:
        code: int = arguments.run(arguments)
    except KeyboardInterrupt:  # pragma: no cover -- this and the next are tested in processes
        return 130  # as a shell reports a process that ended by SIGINT
    except BrokenPipeError:  # pragma: no cover
        # The reader of the pipe, such as `head`, has ended. Python would report it again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code
