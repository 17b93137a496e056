"""Find out why events do not show up, or gates stay closed.

    asyncsdk doctor                         the destinations of the environment, as Client.from_env reads it
    asyncsdk doctor shop.events:client      the Client of a service, with its proxy, certificates and engine

Each vendor is asked the way the client asks it, without an event: the form of the key, the name, TLS, the answer, the
clock and the rules. Keys are read from the environment or from the client, and never shown. With --send, one event
called "asyncsdk doctor" is sent to each destination, too.

Exit codes: 0 if nothing is wrong (there may be warnings); 1 if a check failed; 2 if the command was called wrongly.
"""

import argparse
import asyncio
import logging
import os
import shutil
import sys
from pathlib import Path

from asyncsdk import Client, ConfigurationError, HttpSettings
from asyncsdk._transport import tls_context
from asyncsdk.cli._rich_tables import table_for
from asyncsdk.cli.doctor.configuration import Configuration, from_environment, from_target
from asyncsdk.cli.doctor.findings import Finding, as_json, as_text, exit_code
from asyncsdk.cli.doctor.keys import check_key
from asyncsdk.cli.doctor.local import check_spool, check_versions
from asyncsdk.cli.doctor.network import Network
from asyncsdk.engines import Engine, EngineError
from asyncsdk.stores._folders import absolute_folder

SUMMARY = "find out why events do not show up"
_EVENT, _USER = "asyncsdk doctor", "asyncsdk-doctor"
_NOT_DELIVERED = "The lines above may have the cause; otherwise see the log of your service."
_MAX_WIDTH = 160


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("target", nargs="?", metavar="MODULE:NAME", help="a Client, or a function that returns one")
    parser.add_argument("--send", action="store_true", help="send one event to each destination")
    parser.add_argument("--spool", type=Path, metavar="FOLDER", help="examine a spool (default: ASYNCSDK_SPOOL)")
    parser.add_argument("--trust-env", action="store_true", help="use HTTP_PROXY, HTTPS_PROXY and NO_PROXY")
    parser.add_argument("--ca-file", metavar="FILE", help="certificate authorities to trust, in PEM")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="for each step (default: 10)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the checks, print what they found, and return the exit code."""
    # Without any handler, Python prints warnings of the client between the lines.
    logging.getLogger("asyncsdk").addHandler(logging.NullHandler())
    try:
        configuration = _configuration(arguments)
        findings = asyncio.run(_examine(configuration, arguments))
    except ConfigurationError as error:
        print(f"asyncsdk doctor: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(as_json(findings))
    else:
        width = min(shutil.get_terminal_size().columns - 1, _MAX_WIDTH)
        print(as_text(findings, width, table_for(sys.stdout, os.environ)))
    return exit_code(findings)


def _configuration(arguments: argparse.Namespace) -> Configuration:
    if not 0 < arguments.timeout < float("inf"):
        msg = "--timeout takes a number of seconds above 0"
        raise ConfigurationError(msg)
    if arguments.target is None:
        http = HttpSettings(trust_env=arguments.trust_env, ca_file=arguments.ca_file)
        tls_context(http)  # raises if the file cannot be loaded
        return from_environment(http)
    if arguments.trust_env or arguments.ca_file:
        msg = "--trust-env and --ca-file are for the environment's destinations: a client has its own settings"
        raise ConfigurationError(msg)
    return from_target(arguments.target)


async def _examine(configuration: Configuration, arguments: argparse.Namespace) -> list[Finding]:
    findings = [check_versions(), *configuration.findings]
    findings += [check_key(destination) for destination in configuration.destinations]
    findings += [finding async for finding in Network(configuration, arguments.timeout).check()]
    spool = arguments.spool or os.environ.get("ASYNCSDK_SPOOL")
    if spool:
        findings += check_spool(absolute_folder(spool))
    if configuration.engine is not None:
        findings += await _check_engine(configuration.engine, arguments.timeout)
    if arguments.send:
        findings += await _send(configuration, arguments.timeout)
    return findings


async def _check_engine(engine: Engine, timeout: float) -> list[Finding]:
    check = f"engine {type(engine).__name__}"
    try:
        async with asyncio.timeout(timeout):
            problems = await engine.open()
    except TimeoutError:
        return [Finding("failure", check, f"no answer in {timeout:g} s", "Check its address, and the network.")]
    except EngineError as error:
        advice = "Check its password and table." if error.refused else "Check its address, and that it runs."
        return [Finding("failure", check, str(error), advice)]
    finally:
        await engine.aclose()
    warnings = [Finding("warning", check, problem, "See the page about engines and relays.") for problem in problems]
    return warnings or [Finding("ok", check, "reached")]


async def _send(configuration: Configuration, timeout: float) -> list[Finding]:
    """Send one event to each destination, past the spool and the engine."""
    client = Client(
        *configuration.destinations, http=configuration.http, exposures=False, start_timeout=0, close_timeout=0
    )
    async with client:
        receipt = await client.track(_USER, _EVENT)
        await client.flush(timeout)
        errors = {name: health.last_error for name, health in client.health().destinations.items()}
    findings = []
    for name, delivery in receipt.deliveries.items():
        check = f"{name} test event"
        if delivery is not None and delivery.status == "delivered":
            text = f"delivered ({delivery.code}): look for {_EVENT!r} of the user {_USER!r}"
            findings.append(Finding("ok", check, text))
        else:
            status, reason = ("pending", "") if delivery is None else (delivery.status, delivery.reason)
            findings.append(Finding("failure", check, f"{status}: {errors[name] or reason}", _NOT_DELIVERED))
    return findings
