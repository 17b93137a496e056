"""Try asyncsdk without an account: a shop, its customers, and three vendors that fail in turn.

Starts a local server that answers like Statsig, RudderStack and Amplitude, and
the shop of asyncsdk/examples/aiohttp_shop.py. Sends the shop a few hundred
requests while the vendors fail in turn, then compares what the client reports
about every event with what arrived. Nothing leaves this machine.

Exit code: 0 if everything adds up, otherwise 1; 2 if the demo could not start.
"""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TextIO

import aiohttp
import orjson
from aiohttp import web

from asyncsdk import Amplitude, Destination, Limits, RudderStack, Rules, Statsig
from asyncsdk.cli._progress import Progress, log_lines
from asyncsdk.cli._rich_tables import is_terminal, table_for
from asyncsdk.cli._tables import Table, paragraph, table
from asyncsdk.cli.demo.audit import Evidence, arrivals_at, audit
from asyncsdk.cli.demo.recorder import Recorder
from asyncsdk.cli.demo.report import sections, summary
from asyncsdk.cli.demo.scenario import CONSENT, EXPLAIN_SALE, PHASES, REGULARS, Phase
from asyncsdk.cli.demo.simulation import Simulation
from asyncsdk.dev import DevServer
from asyncsdk.examples import aiohttp_shop

SUMMARY = "run a shop against three local vendors that fail in turn, and audit every event"

# Small batches and short waits, so that much happens in a few seconds.
LIMITS = Limits(max_events=40, linger=0.1, retry_initial=0.2, retry_max=1.0)
MAX_WIDTH = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Add no arguments."""
    parser.set_defaults()


def run(_: argparse.Namespace) -> int:
    """Run the demo on a terminal and return the exit code."""
    if os.environ.get("ASYNCSDK_DEV_SERVER"):
        print("The demo starts its own dev server, but ASYNCSDK_DEV_SERVER names another.", file=sys.stderr)
        print("Try: env -u ASYNCSDK_DEV_SERVER asyncsdk demo", file=sys.stderr)
        return 2
    evidence, quotes = asyncio.run(run_phases(PHASES, Progress(sys.stderr)))
    width = min(shutil.get_terminal_size().columns - 1, MAX_WIDTH)
    bold, draw = should_be_bold(sys.stdout, os.environ), table_for(sys.stdout, os.environ)
    return print_report(evidence, quotes, width, bold=bold, draw=draw)


def print_report(
    evidence: Evidence, quotes: Mapping[str, str], width: int, *, bold: bool = False, draw: Table = table
) -> int:
    """Print the report and return the exit code.

    Args:
        evidence: What is known about every event.
        quotes: Answers of the shop to quote, by title.
        width: Maximum number of characters in a line.
        bold: Whether to print titles in bold.
        draw: Formats the tables.
    """
    problems = audit(evidence)
    on, off = ("\x1b[1m", "\x1b[0m") if bold else ("", "")
    for title, text in sections(evidence, quotes, width, draw):
        print(f"\n{on}{title}{off}\n\n{text}")
    print(f"\n{on}{summary(evidence, problems, width)}{off}")
    code = "Read the shop's code, or start from it: asyncsdk/examples/aiohttp_shop.py"
    print(f"\n{paragraph(code, width, indent='', hang='')}")
    return 1 if problems else 0


def should_be_bold(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether to print in bold: on a terminal, unless `NO_COLOR` is set (https://no-color.org)."""
    return is_terminal(stream, environ) and not environ.get("NO_COLOR")


async def run_phases(phases: Sequence[Phase], progress: Progress) -> tuple[Evidence, Mapping[str, str]]:
    """Run phases against a shop and a dev server.

    Args:
        phases: In order.
        progress: Where to print what happens.

    Returns:
        What is known about every event, and answers of the shop to quote, by title.
    """
    recorder = Recorder()
    with log_lines("asyncsdk", progress):
        async with DevServer(ruleset=aiohttp_shop.RULESET) as server:
            server.set_id_list("regulars", REGULARS)
            client = aiohttp_shop.make_client(destinations(server.url), on_delivery=recorder.record_delivery)
            client.add_middleware(recorder.record_event).on_ruleset_change(recorder.ruleset_changes.put_nowait)
            async with serve(aiohttp_shop.create_app(client)) as url, aiohttp.ClientSession(url) as http:
                progress.print_line("Customers visit a shop while the vendors that receive its events fail in turn.\n")
                progress.print_line(f"  shop {url}   vendors {server.url}   (all local)\n")
                simulation = Simulation(http, server, client, recorder, progress)
                await simulation.wait_for_rules()
                for number, phase in enumerate(phases, start=1):
                    await simulation.run_phase(phase, f"{number}/{len(phases)}")
            # The shop closed its client when it stopped serving; closing it again returns the same report.
            report = await client.aclose()
        arrivals = {name: arrivals_at(name.lower(), server.requests, server.events) for name in report.destinations}
    visits = [visit for phase in phases for visit in phase.visits]
    evidence = Evidence(
        expected_events=sum(visit.events for visit in visits),
        verbs=recorder.verbs,
        deliveries={name: recorder.deliveries.get(name, []) for name in report.destinations},
        report=report,
        arrivals=arrivals,
        failures=recorder.failures,
        lookups={(visit.user or "", name) for visit in visits for name in visit.lookups},
    )
    return evidence, select_quotes(recorder.answers)


def select_quotes(answers: Mapping[str, bytes]) -> Mapping[str, str]:
    """Return the answers of the shop that the report quotes, by title.

    Args:
        answers: Answers of the shop, by path.
    """
    quotes = {}
    if CONSENT.path in answers:
        quotes["The history of one event: receipt.explain()"] = orjson.loads(answers[CONSENT.path])["history"]
    if EXPLAIN_SALE.path in answers:
        quotes["One decision: client.explain()"] = answers[EXPLAIN_SALE.path].decode()
    return quotes


def destinations(url: str) -> Sequence[Destination]:
    """Return all three vendors at the address of the dev server."""
    specs, lists = f"{url}/v2/download_config_specs", f"{url}/v1/get_id_lists"
    rules = Rules(specs_url=specs, poll_interval=1, id_lists=True, id_lists_url=lists)
    return (
        RudderStack("any-key", url, limits=LIMITS),
        Amplitude("any-key", url=f"{url}/2/httpapi", limits=LIMITS),
        # Statsig needs no event ids; it gets them here because the audit compares ids.
        Statsig("secret-any", rules=rules, log_event_url=f"{url}/v1/log_event", message_ids=True, limits=LIMITS),
    )


@asynccontextmanager
async def serve(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on a free local port, and yield its URL."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
