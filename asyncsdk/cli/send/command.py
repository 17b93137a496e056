"""Send the events of a file to vendors, as a service would: batches, retries, verdicts.

  asyncsdk send events.ndjson --to amplitude --rate 500
  asyncsdk send events.csv --to rudderstack,amplitude
  asyncsdk send --example order_completed --override properties.price=5

Keys come from the environment, as for Client.from_env(); with
ASYNCSDK_DEV_SERVER, everything goes to that server and needs no key. A line is
an event in RudderStack's words (type, event, userId, properties, timestamp,
messageId), Amplitude's (event_type, user_id, event_properties) or ours. CSV has
a header with the same words; properties.price is a column of properties. Times
and message ids are kept. "-" is the standard input.

An interrupted run continues where it was, with FILE.state, which is replaced
atomically. Events that were not delivered are in FILE.rejects.ndjson, with the
reason; they can be sent again after a correction.

Exit code: 0 if every event was delivered, 1 if some were not, 2 for bad input,
130 after Ctrl-C.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import orjson

from asyncsdk import Amplitude, AsyncSDKError, Client, RudderStack, Statsig
from asyncsdk._client.arguments import DEV_SERVER
from asyncsdk._client.environment import destinations_from
from asyncsdk.cli._progress import progress_bar
from asyncsdk.cli._terminal import ascii_json, fail
from asyncsdk.cli.send.delivery import Sender
from asyncsdk.cli.send.examples import EXAMPLES
from asyncsdk.cli.send.records import Line, csv_lines, json_lines, scalar, set_path
from asyncsdk.cli.send.state import State, StateError, fingerprint, read_state
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Destination

SUMMARY = "send the events of a file, or an example, to vendors"
_VENDORS = ("statsig", "rudderstack", "amplitude")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add = parser.add_argument
    add("file", nargs="?", metavar="FILE", help='JSON lines, or CSV if its name ends with .csv; "-" is standard input')
    add("--to", metavar="NAMES", help=f"{', '.join(_VENDORS)}; all whose keys are set without it")
    add("--rate", type=float, default=0.0, metavar="N", help="maximum number of events per second (default: no limit)")
    add("--rejects", metavar="FILE", help="where events go that were not delivered (default: FILE.rejects.ndjson)")
    add("--state", metavar="FILE", help="how far the file was sent (default: FILE.state)")
    add("--restart", action="store_true", help="forget the state, and send the file from its beginning")
    add("--example", choices=(*EXAMPLES,), help="send this event instead of a file")
    add("--override", action="append", default=[], metavar="PATH=VALUE", help="replace a field of the example")
    add("--json", action="store_true", help="print the counts as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Send, print the counts, and return the exit code."""
    if fault := _fault(arguments):
        return fail("send", fault)
    try:
        destinations = _destinations(arguments.to)
        if arguments.example is not None:
            return _send_example(destinations, arguments)
        return _send_file(destinations, arguments)
    except (AsyncSDKError, StateError) as error:
        return fail("send", str(error))
    except OSError as error:
        return fail("send", f"{error.filename or arguments.file}: {error.strerror or type(error).__name__}")


def _fault(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the arguments; "" if nothing is."""
    if (arguments.file is None) is (arguments.example is None):
        return "name a file, - for standard input, or an --example"
    if not 0 <= arguments.rate < float("inf"):
        return "--rate is a number of events per second, above 0"
    if arguments.override and arguments.example is None:
        return "--override changes an --example"
    wrong = next((one for one in arguments.override if one.find("=") < 1), None)
    return "" if wrong is None else f"--override is PATH=VALUE, such as properties.price=5, not {wrong!r}"


def _destinations(to: str | None) -> list[Destination]:
    """Return the destinations to send to.

    Raises:
        ConfigurationError: A name is unknown, or its key is not set.
    """
    names = [name.strip().lower() for name in (to or "").split(",") if name.strip()]
    if unknown := [name for name in names if name not in _VENDORS]:
        msg = f"--to takes {', '.join(_VENDORS)}, not {unknown[0]!r}"
        raise ConfigurationError(msg)
    found = destinations_from(os.environ)
    if os.environ.get(DEV_SERVER, "").strip():
        # It takes any key; the address only has to be one.
        known = {one.name for one in found}
        spare = (Statsig("secret-send"), RudderStack("send", "http://localhost"), Amplitude("send"))
        found += [one for one in spare if one.name not in known]
    chosen = [one for one in found if not names or one.name.lower() in names]
    if missing := [name for name in names if name not in {one.name.lower() for one in chosen}]:
        msg = f"the key of {missing[0]} is not set; see Client.from_env()"
        raise ConfigurationError(msg)
    if not chosen:
        msg = "no key is set: see Client.from_env(), or set ASYNCSDK_DEV_SERVER"
        raise ConfigurationError(msg)
    return [_adapted(one) for one in chosen]


def _adapted(destination: Destination) -> Destination:
    """Return a destination whose full queue makes the sender wait, and that polls no rules."""
    changes: dict[str, Any] = {"overflow": "wait"}
    if isinstance(destination, Statsig):
        changes["rules"] = None
    adapted: Destination = attrs.evolve(destination, **changes)  # type: ignore[misc] # all three are attrs classes
    return adapted


def _send_example(destinations: list[Destination], arguments: argparse.Namespace) -> int:
    fields: dict[str, Any] = orjson.loads(orjson.dumps(EXAMPLES[arguments.example]))
    for override in arguments.override:
        path, _, value = override.partition("=")
        set_path(fields, path, scalar(value))
    # Each run is another event: without an id of its own, the second one would be a duplicate.
    state, line = State(os.urandom(8).hex()), Line(1, arguments.example, fields)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 -- not a path
        problems = asyncio.run(_deliver(destinations, state, iter([line]), nowhere, rate=0))
    return _report(state, arguments, problems)


def _send_file(destinations: list[Destination], arguments: argparse.Namespace) -> int:
    is_stdin = arguments.file == "-"
    path = Path("stdin" if is_stdin else arguments.file)
    rejects = Path(arguments.rejects or f"{path}.rejects.ndjson")
    state_path = None if is_stdin else Path(arguments.state or f"{path}.state")
    to = ",".join(sorted(one.name for one in destinations))
    state = State(os.urandom(8).hex())
    with sys.stdin.buffer if is_stdin else path.open("rb") as source:
        if state_path is not None:
            if arguments.restart:
                state_path.unlink(missing_ok=True)
            state = read_state(state_path, fingerprint(path, to))
        with rejects.open("r+b" if rejects.exists() and state.line else "w+b") as file:
            # What an interrupted run wrote after its last state is written again.
            file.truncate(state.rejects_bytes)
            file.seek(0, os.SEEK_END)
            lines = _lines(source, is_csv=path.suffix.lower() == ".csv")
            asyncio.run(_deliver(destinations, state, lines, file, rate=arguments.rate, state_path=state_path))
    if not state.rejects_bytes:
        rejects.unlink(missing_ok=True)
    return _report(state, arguments, f"see {rejects}")


def _lines(source: BinaryIO, *, is_csv: bool) -> Iterator[Line]:
    if not is_csv:
        return json_lines(iter(source))
    return csv_lines(line.decode("utf-8-sig", "replace") for line in source)


async def _deliver(
    destinations: list[Destination],
    state: State,
    lines: Iterator[Line],
    rejects: BinaryIO,
    *,
    rate: float,
    state_path: Path | None = None,
) -> str:
    """Send the lines; return what went wrong with the last one that was rejected."""
    async with Client(*destinations) as client:
        with progress_bar("send", None) as advance:
            sender = Sender(client, state, rejects, state_path, rate, advance)
            await sender.send(lines)
    return sender.last_problem


def _report(state: State, arguments: argparse.Namespace, hint: str) -> int:
    if arguments.json:
        print(ascii_json({"delivered": state.delivered, "rejected": state.rejected, "line": state.line}, None))
    else:
        print(f"{state.delivered:,} delivered, {state.rejected:,} not" + (f": {hint}" if state.rejected else ""))
    return 1 if state.rejected else 0
