"""What the SDK adds to a request of aiohttp, Starlette and FastAPI, in each form that an application can have.

All services stay up and get bursts in turn, so that a machine that changes its speed slows all of them. `none` of the
same framework is subtracted. With `instructions`, each service runs under callgrind instead, which counts from a warm
service until its events are delivered: differences below the noise of times.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from _load import ask, ask_together, burst, connections
from _measure import show
from in_app import Service
from sink import sink

AIOHTTP = {
    "none": "none",
    "awaited": "asyncsdk, awaited",
    "by hand": "asyncsdk, by hand",
    "get_flags(request)": "asyncsdk, integration",
    "core": "core",
}
"""The forms of `_shop.py`, by the names of `_asgi_shop.py`."""
FORMS = ("none", "awaited", "by hand", "get_flags(request)", "core")
NAMES = (
    *(f"aiohttp: {form}" for form in FORMS),
    *(f"starlette: {form}" for form in FORMS),
    *(f"fastapi: {form}" for form in (*FORMS[:-1], "empty Depends", "Depends(get_flags)", "core")),
)
_WARM, _COUNTED = 300, 600
# As many as a service answers in the 5 ms for which exposures are collected: callgrind slows down all but the clock.
_TOGETHER = 100


@contextmanager
def service(name: str, rules: Path, before: list[str], after: Sequence[str] = ()) -> Iterator[Service]:
    """Start a service with a sink of its own, by a command that begins with `before` and ends with `after`."""
    framework, _, form = name.partition(": ")
    script, form = ("_shop.py", AIOHTTP[form]) if framework == "aiohttp" else ("_asgi_shop.py", name)
    with sink() as url:
        command = [*before, sys.executable, str(Path(__file__).with_name(script)), form, url, str(rules), *after]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 -- ours
            assert process.stdin
            assert process.stdout
            try:
                at = Service(int(process.stdout.readline()), url)
                ask(at.port, range(_WARM))
                yield at
            finally:
                process.stdin.close()
                process.wait(60)


def measure(rules: Path, options: argparse.Namespace) -> None:
    """Measure all forms, and print the table."""
    counted = _instructions(rules) if options.instructions else _cpu(rules, options)
    unit = "instructions (1,000)" if options.instructions else "CPU us"
    rows: list[tuple[object, ...]] = []
    for name, (spent, spread) in counted.items():
        framework, _, form = name.partition(": ")
        added = {other: counted[f"{framework}: {other}"][0] - counted[f"{framework}: none"][0] for other in FORMS}
        more = spent - counted[f"{framework}: none"][0]
        rows.append((framework, form, spent, spread, more, more / added["awaited"], more / added["core"]))
    columns = ("framework", "form", f"{unit} a request", "median", "added to none's", "of awaited's", "of core's")
    show("In the frameworks", columns, rows, as_json=options.json)


def _cpu(rules: Path, options: argparse.Namespace) -> Mapping[str, tuple[float, float]]:
    """Return the minimum and the median of the CPU time of a request, by the form."""
    rounds, requests = (1, 200) if options.quick else (options.rounds, 1_500)
    taken: dict[str, list[float]] = {name: [] for name in NAMES}
    first = _WARM
    with ExitStack() as stack:
        running = {name: stack.enter_context(service(name, rules, [])) for name in NAMES}
        for number in range(rounds):
            for name in NAMES if number % 2 else reversed(NAMES):
                at = running[name]
                before = at.get("/usage")["cpu"]
                burst(at.port, requests, first)
                _drain(name, at)
                taken[name].append((at.get("/usage")["cpu"] - before) / requests * 1e6)
            first += requests
    return {name: (min(times), statistics.median(times)) for name, times in taken.items()}


def _drain(name: str, at: Service) -> None:
    """Deliver the events of a service; core can be drained only once, and delivers in threads of its own."""
    if name.endswith("core"):
        time.sleep(0.3)
    else:
        at.get("/drain")


def _instructions(rules: Path) -> Mapping[str, tuple[float, float]]:
    """Return thousands of instructions of a request, twice, by the form."""
    return {name: (found, found) for name in NAMES for found in [_count(name, rules)]}


def _count(name: str, rules: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        options = ["--tool=callgrind", "--instr-atstart=no", f"--log-file={log}", f"--callgrind-out-file={folder}/out"]
        with (
            service(name, rules, ["valgrind", *options], ["--counted"]) as at,
            connections(at.port, _TOGETHER) as browsers,
        ):
            ask_together(browsers, range(_WARM, 2 * _WARM))
            _drain(name, at)
            process = re.search(r"==(\d+)==", log.read_text())
            assert process is not None
            control: list[Any] = ["callgrind_control", "-i"]
            subprocess.run([*control, "on", process[1]], check=True, capture_output=True)  # noqa: S603 -- valgrind's
            ask_together(browsers, range(1_000, 1_000 + _COUNTED))
            _drain(name, at)
            subprocess.run([*control, "off", process[1]], check=True, capture_output=True)  # noqa: S603 -- valgrind's
        collected = re.search(r"Collected : (\d+)", log.read_text())
        assert collected is not None
        return int(collected[1]) / _COUNTED / 1_000
