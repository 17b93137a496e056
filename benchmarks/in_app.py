"""What does an SDK cost the service it runs in? An aiohttp handler that checks three gates and tracks one event.

Three processes: the service (`_shop.py`), this one, which generates load, and the vendors (`sink.py`), which count.
Each request is for another user and so has three exposures. First, 16 connections send requests as fast as they are
answered; then, with a fresh service, 600 requests are sent a second while a 1 ms ticker runs on the service's loop. CPU
time is that of the whole process until all events have been sent. SDKs without gates only track.

    python benchmarks/in_app.py --only asyncsdk core    # these, and no SDK
    python benchmarks/in_app.py --one-cpu               # the service has one CPU, as in many containers
    python benchmarks/in_app.py --minutes 10            # instead, whether resident memory stays flat
    python benchmarks/in_app.py --frameworks            # instead, aiohttp, Starlette and FastAPI in interleaved bursts
    python benchmarks/in_app.py --instructions          # the same, counted by callgrind (valgrind)
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
from _load import ask, keep_rate, saturate
from _measure import parser, show
from _shop import GATED, GATES, SDKS
from lookups import project
from sink import counts, sink

RATE = 600.0
WARM = 300
MEMORY_RATE = 3000.0


@attrs.frozen
class Service:
    """A running service.

    Attributes:
        port: The port on which it listens.
        vendors: The URL of the sink that counts its events.
    """

    port: int
    vendors: str

    def get(self, path: str) -> dict[str, float]:
        """Request a page that is about the service itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=120) as answer:
            found: dict[str, float] = json.load(answer)
            return found


@attrs.frozen
class Round:
    """The figures of one run. Times are in microseconds, the stall is in milliseconds, memory in bytes."""

    per_second: float
    cpu: float
    p50: float
    p99: float
    stall: float
    grown: float
    delivered: float


@contextmanager
def service(name: str, rules: Path, options: argparse.Namespace) -> Iterator[Service]:
    """Start a service with an SDK and a sink of its own, and warm it up."""
    command = [sys.executable, str(Path(__file__).with_name("_shop.py")), name]
    with sink() as url:
        more = [url, str(rules), *(["--no-isal"] if options.no_isal else [])]
        with subprocess.Popen([*command, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 -- ours
            if options.one_cpu:  # before it starts threads, which inherit it
                os.sched_setaffinity(process.pid, {options.cpu})
            assert process.stdin
            assert process.stdout
            try:
                port = int(process.stdout.readline())
                ask(port, range(WARM))
                yield Service(port, url)
            finally:
                process.stdin.close()
                process.wait(20)


def part_delivered(name: str, at: Service, requests: int) -> float:
    """Return the share of the events and exposures of this many requests that the vendors have received."""
    if name == "none":
        return 1.0
    events = (1 + ("RudderStack" in name)) * requests
    exposures = len(GATES) * requests if name in GATED else 0
    found = counts(at.vendors)
    assert found["events"] <= events, (name, found, requests)
    return (found["events"] + min(found["exposures"], exposures)) / (events + exposures)


def run(name: str, rules: Path, seconds: float, options: argparse.Namespace) -> Round:
    """Load a service to its limit for `seconds`, then a second one at a steady rate."""
    with service(name, rules, options) as at:
        before = at.get("/usage")
        answered, took = saturate(at.port, seconds, WARM)
        at.get("/drain")
        cpu = (at.get("/usage")["cpu"] - before["cpu"]) / answered
        full = part_delivered(name, at, answered + WARM)
    with service(name, rules, options) as at:
        before = at.get("/usage?tick")
        latencies = keep_rate(at.port, seconds, RATE, WARM)
        stall = at.get("/usage")["stall"]
        at.get("/drain")
        grown = at.get("/usage")["resident"] - before["resident"]
        gentle = part_delivered(name, at, len(latencies) + WARM)
    percentiles = statistics.quantiles(latencies, n=100)
    return Round(answered / took, cpu * 1e6, percentiles[49], percentiles[98], stall, grown, min(full, gentle))


def check_answers(names: Sequence[str], rules: Path, options: argparse.Namespace) -> None:
    """Check that all SDKs with gates return the same results for the same users."""
    said = {}
    for name in names:
        with service(name, rules, options) as at:
            said[name] = ask(at.port, range(1_000_000, 1_000_200))
    assert len({tuple(bodies) for name, bodies in said.items() if name in GATED}) <= 1, said


def rows_of(rounds: Mapping[str, Sequence[Round]]) -> Iterator[tuple[object, ...]]:
    """Yield the rows of the table."""

    def of(name: str, field: str) -> list[float]:
        return [getattr(one, field) for one in rounds[name]]

    quickest = {name: max(of(name, "per_second")) for name in rounds}
    usual = {name: statistics.median(of(name, "per_second")) for name in rounds}
    for name in rounds:
        yield (
            name,
            round(quickest[name]),
            round(usual[name]),
            quickest[name] / quickest["none"],
            quickest[name] / quickest["core"] if "core" in quickest else "",
            usual[name] / usual["none"],
            usual[name] / usual["core"] if "core" in usual else "",
            min(of(name, "cpu")),
            min(of(name, "cpu")) - min(of("none", "cpu")),
            round(min(of(name, "p50"))),
            round(min(of(name, "p99"))),
            round(statistics.median(of(name, "p99"))),
            min(of(name, "p99")) / min(of("none", "p99")),
            min(of(name, "stall")) - min(of("none", "stall")),
            statistics.median(of(name, "stall")) - statistics.median(of("none", "stall")),
            max(of(name, "grown")) / 1e6,
            f"{min(of(name, 'delivered')):.1%}",
        )


COLUMNS = (
    "who",
    "requests/s",
    "median",
    "of none",
    "times core",
    "median of none",
    "median times core",
    "CPU us",
    "added",
    "p50 us",
    "p99 us",
    "median p99",
    "p99 of none's",
    "stall above none's, ms",
    "median stall above",
    "MB grown",
    "delivered",
)


def memory(name: str, rules: Path, options: argparse.Namespace) -> tuple[object, ...]:
    """Load a service at a steady rate, and record its resident memory every five seconds."""
    with service(name, rules, options) as at:
        asked, resident, ends = WARM, [], time.monotonic() + 60 * options.minutes
        while time.monotonic() < ends:
            asked += len(keep_rate(at.port, 5, MEMORY_RATE, asked))
            resident.append(at.get("/usage")["resident"] / 1e6)
            counts(at.vendors)
        at.get("/drain")
        delivered = part_delivered(name, at, asked)
    third = len(resident) // 3 or 1
    return name, asked, resident[0], max(resident[third:-third] or resident), max(resident[-third:]), f"{delivered:.1%}"


def main() -> None:
    """Measure, and print the table."""
    reading = parser(__doc__)
    reading.add_argument(
        "--only", nargs="+", metavar="WHO", default=[""], help="the SDKs whose names begin with one of these"
    )
    reading.add_argument("--rounds", type=int, default=9)
    reading.add_argument(
        "--minutes", type=float, default=0, help="only record resident memory, this many minutes per SDK"
    )
    reading.add_argument("--no-isal", action="store_true", help="as if the extra `speed` were not installed")
    reading.add_argument(
        "--one-cpu", action="store_true", help="the service has one CPU; load and vendors have the others"
    )
    reading.add_argument("--frameworks", action="store_true", help="what each form adds in each framework")
    reading.add_argument("--instructions", action="store_true", help="the same in instructions; needs valgrind")
    options = reading.parse_args()
    if options.one_cpu:
        options.cpu, *others = sorted(os.sched_getaffinity(0))
        if not others:
            reading.error("--one-cpu needs a second CPU, for the load")
        os.sched_setaffinity(0, others)
    rounds, seconds = (1, 0.5) if options.quick else (options.rounds, 3.0)
    names = [name for name in SDKS if name == "none" or name.startswith(tuple(options.only))]
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.json"
        rules.write_bytes(project())
        if options.frameworks or options.instructions:
            import _frameworks  # noqa: PLC0415 -- needs FastAPI and uvicorn

            _frameworks.measure(rules, options)
            return
        check_answers(names, rules, options)
        if options.minutes:
            rows = [memory(name, rules, options) for name in names]
            columns = (
                "who",
                "requests",
                "MB after 5 s",
                "maximum, middle third",
                "maximum, last third",
                "delivered",
            )
            show(f"Resident memory, {MEMORY_RATE:,.0f} requests/s", columns, rows, as_json=options.json)
            return
        taken: dict[str, list[Round]] = {name: [] for name in names}
        for _ in range(rounds):
            for name, found in taken.items():
                found.append(run(name, rules, seconds, options))
    show("In an aiohttp service", COLUMNS, list(rows_of(taken)), as_json=options.json)


if __name__ == "__main__":
    main()
