"""Start the dev server: Statsig, RudderStack and Amplitude on this machine, and a page that shows them.

With a command after `--`, start that too, with ASYNCSDK_DEV_SERVER set, and end
with it: asyncsdk dev -- uvicorn app:app

Exit code: that of the command; without one, 0. 2 if the server cannot start.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import orjson

from asyncsdk import examples
from asyncsdk.cli.dev.child import run_command
from asyncsdk.dev import DevServer
from asyncsdk.errors import AsyncSDKError, ConfigurationError

SUMMARY = "start a local server and page for the events and rules of all three vendors"
SAMPLE = Path(examples.__file__).with_name("shop_ruleset.json")
PORT = 4010
EVENTS = 50_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)")
    add("--port", type=int, default=PORT, help="port to listen on; 0 picks a free one (default: %(default)s)")
    add("--ruleset", type=Path, metavar="FILE", help="ruleset in Statsig's format; it is watched for changes")
    add("--sample", action="store_true", help="write a sample ruleset to the file of --ruleset, if there is none")
    add("--users", type=Path, metavar="FILE", help="named users, as JSON: an object of users by name")
    add("--override", action="append", default=[], metavar="JSON", help="""values by name: '{"sale": true}'""")
    add("--keep", type=Path, metavar="FILE", help="keep events, edits and overrides in this file (SQLite)")
    add("--max-events", type=int, default=EVENTS, metavar="N", help="events to keep (default: %(default)s)")
    add("--allow-origin", action="append", default=[], metavar="ORIGIN", help="web page that may use the server")
    add("command", nargs="*", metavar="-- COMMAND ...", help="command to start, with ASYNCSDK_DEV_SERVER set")


def run(arguments: argparse.Namespace) -> int:
    """Run the server and return the exit code."""
    try:
        server = build(arguments)
        return asyncio.run(serve(server, arguments))
    except (AsyncSDKError, OSError) as error:
        print(f"asyncsdk dev: {error}", file=sys.stderr)
        return 2


def build(arguments: argparse.Namespace) -> DevServer:
    """Build the server that the arguments describe.

    Raises:
        ConfigurationError: One of them cannot work.
    """
    file: Path | None = arguments.ruleset
    if not 0 <= arguments.port <= 65_535:
        msg = "--port is a number from 0 to 65535"
        raise ConfigurationError(msg)
    if arguments.max_events < 1:
        msg = "--max-events is at least 1"
        raise ConfigurationError(msg)
    if arguments.sample:
        write_sample(file)
    server = DevServer(
        arguments.host,
        arguments.port,
        keep=arguments.max_events,
        ruleset=file,
        allow_origins=arguments.allow_origin,
        users_file=arguments.users,
        keep_file=arguments.keep,
    )
    for text in arguments.override:
        for name, value in parse_override(text).items():
            server.override(name, value)
    return server


def write_sample(file: Path | None) -> None:
    """Write the sample ruleset, unless there is a file already.

    Raises:
        ConfigurationError: No file is named.
    """
    if file is None:
        msg = "--sample writes to the file of --ruleset: name one"
        raise ConfigurationError(msg)
    if not file.exists():
        file.write_bytes(SAMPLE.read_bytes())


def parse_override(text: str) -> dict[str, Any]:
    """Return the values by name of an `--override`.

    Raises:
        ConfigurationError: It is not a JSON object.
    """
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        msg = f"--override {text!r} is not JSON: {error}"
        raise ConfigurationError(msg) from error
    if not isinstance(values, dict):
        msg = f"""--override takes values by name, such as '{{"sale": true}}', not {text!r}"""
        raise ConfigurationError(msg)
    return values


async def serve(server: DevServer, arguments: argparse.Namespace) -> int:
    """Run the server until the command ends or a signal arrives; return the exit code."""
    async with server:
        print(banner(server, arguments), file=sys.stderr, flush=True)
        return await run_command(arguments.command, server.url)


def banner(server: DevServer, arguments: argparse.Namespace) -> str:
    """Return the lines that say where the server is, what it serves, and what it keeps."""
    rules = f"{arguments.ruleset} (watched)" if arguments.ruleset else "none; --ruleset FILE serves and watches one"
    lines = [
        f"asyncsdk dev   {server.url}/",
        f"  rules   {rules}",
        f"  kept    {server.kept}",
    ]
    if not arguments.command:
        lines += ["", f"  export ASYNCSDK_DEV_SERVER={server.url}   # each client of this shell then uses it"]
    return "\n".join([*lines, ""])
