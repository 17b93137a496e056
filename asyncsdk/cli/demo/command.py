"""Try asyncsdk without an account: a shop, its customers, and three vendors who have a bad day.

Starts a local server that answers as Statsig, RudderStack and Amplitude do,
and the shop of asyncsdk/examples/aiohttp_shop.py; sends the shop some hundred
requests while vendors fail in turn; and compares what the client says became
of every event with what arrived. Nothing leaves this machine.

Exit code: 0 if everything adds up, else 1; 2 if the demo could not begin.
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
from asyncsdk.cli.demo.audit import Books, audit, see
from asyncsdk.cli.demo.recorder import Notebook
from asyncsdk.cli.demo.report import chapters, verdict
from asyncsdk.cli.demo.scenario import CONSENT, PHASES, REGULARS, WHY, Phase
from asyncsdk.cli.demo.simulation import Street
from asyncsdk.dev import DevServer
from asyncsdk.examples import aiohttp_shop

SUMMARY = "a shop, its customers, three local vendors who fail in turn, and the accounts"

# Small requests and short waits, so that a lot happens in little time.
LIMITS = Limits(max_events=40, linger=0.1, retry_initial=0.2, retry_max=1.0)
WIDEST = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Take no arguments."""
    parser.set_defaults()


def run(_: argparse.Namespace) -> int:
    """Run the demo on a terminal."""
    if os.environ.get("ASYNCSDK_DEV_SERVER"):
        print("The demo has a dev server of its own, and ASYNCSDK_DEV_SERVER names another.", file=sys.stderr)
        print("Try: env -u ASYNCSDK_DEV_SERVER asyncsdk demo", file=sys.stderr)
        return 2
    books, stories = asyncio.run(play(PHASES, Progress(sys.stderr)))
    width = min(shutil.get_terminal_size().columns - 1, WIDEST)
    return show(books, stories, width, bold=may_be_bold(sys.stdout, os.environ))


def show(books: Books, stories: Mapping[str, str], width: int, *, bold: bool = False) -> int:
    """Print what happened in lines of `width` characters, and return the exit code."""
    problems = audit(books)
    on, off = ("\x1b[1m", "\x1b[0m") if bold else ("", "")
    for title, text in chapters(books, stories, width):
        print(f"\n{on}{title}{off}\n\n{text}")
    print(f"\n{on}{verdict(books, problems, width)}{off}")
    print("\nThe shop's code, to read and to start from: asyncsdk/examples/aiohttp_shop.py")
    return 1 if problems else 0


def may_be_bold(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether to print in bold: on a terminal, and unless `NO_COLOR` is set (https://no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR")


async def play(phases: Sequence[Phase], progress: Progress) -> tuple[Books, Mapping[str, str]]:
    """Let the phases happen, and give the books, and what the shop tells, by title."""
    notebook = Notebook()
    with log_lines("asyncsdk", progress):
        async with DevServer(ruleset=aiohttp_shop.RULESET) as server:
            server.set_id_list("regulars", REGULARS)
            client = aiohttp_shop.make_client(destinations(server.url), on_delivery=notebook.record_delivery)
            client.add_middleware(notebook.verb).on_ruleset_change(notebook.rules.put_nowait)
            async with serving(aiohttp_shop.create_app(client)) as url, aiohttp.ClientSession(url) as http:
                progress.say("Customers visit a shop, and the three vendors it reports to have a bad day.\n")
                progress.say(f"  shop {url}   vendors {server.url}   (all local)\n")
                street = Street(http, server, client, notebook, progress)
                await street.take_rules()
                for number, phase in enumerate(phases, start=1):
                    await street.pass_through(phase, f"{number}/{len(phases)}")
            # The shop has closed its client; closing it again returns the same report.
            report = await client.aclose()
        seen = {name: see(name.lower(), server.requests, server.events) for name in report.destinations}
    visits = [visit for phase in phases for visit in phase.visits]
    given = sum(visit.events for visit in visits)
    looks = {(visit.user or "", name) for visit in visits for name in visit.looks}
    deliveries = {name: notebook.deliveries.get(name, []) for name in report.destinations}
    return Books(given, notebook.verbs, deliveries, report, seen, notebook.unanswered, looks), stories(notebook.answers)


def stories(answers: Mapping[str, bytes]) -> Mapping[str, str]:
    """Pick what is worth telling from the answers of the shop, by title."""
    told = {}
    if CONSENT.path in answers:
        told["One event's story: receipt.explain()"] = orjson.loads(answers[CONSENT.path])["story"]
    if WHY.path in answers:
        told["One decision: client.explain()"] = answers[WHY.path].decode()
    return told


def destinations(url: str) -> Sequence[Destination]:
    """Give all three vendors, at the dev server's address. Statsig gets the ids too, so that they can be compared."""
    specs, lists = f"{url}/v2/download_config_specs", f"{url}/v1/get_id_lists"
    rules = Rules(specs_url=specs, poll_interval=1, id_lists=True, id_lists_url=lists)
    return (
        RudderStack("any-key", url, limits=LIMITS),
        Amplitude("any-key", url=f"{url}/2/httpapi", limits=LIMITS),
        Statsig("secret-any", rules=rules, log_event_url=f"{url}/v1/log_event", message_ids=True, limits=LIMITS),
    )


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on a free port of this machine; gives its URL."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
