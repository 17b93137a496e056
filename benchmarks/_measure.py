"""Shared by all benchmarks: arguments, interleaved timing, example events and tables."""

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import attrs

EVENT = "Item Viewed"
SMALL = {"sku": "A-1001", "price": 19.95, "step": 3}
LARGE = {
    **SMALL,
    "title": "Stainless steel water bottle with a bamboo lid, 750 ml",
    "url": "https://shop.example.com/en/kitchen/bottles/stainless-steel-750?ref=home",
    "referrer": "https://www.example.org/search?q=water+bottle",
    "category": "kitchen/bottles",
    "currency": "EUR",
    "quantity": 2,
    "in_stock": True,
    "coupon": None,
    "rating": 4.7,
    "variant": "750 ml / bamboo",
    "campaign": {"source": "newsletter", "medium": "email", "name": "spring", "content": "hero"},
    "tags": ["steel", "bamboo", "leakproof", "dishwasher-safe", "bpa-free"],
    "experiment": "button-colour-2026-11",
    "group": "treatment",
    "session": "5f0b3c1e-7d0a-4c57-9d59-3b0c7d2e9f11",
    "latency_ms": 183,
    "screen": {"width": 1512, "height": 982, "density": 2},
    "build": "2026.11.20+4711",
    "region": "eu-west-1",
    "pod": "web-6c9b7d5f4c-x2x7k",
}
SIZES: Mapping[str, dict[str, Any]] = {"300 B": SMALL, "1 KB": LARGE}


def variants(size: str, count: int = 500) -> list[dict[str, Any]]:
    """Return properties of a size that differ in half of their text, so that they compress as real ones do."""
    return [_vary(SIZES[size], Random(seed)) for seed in range(count)]


def _vary(value: Any, random: Random) -> Any:
    if isinstance(value, dict):
        return {key: _vary(item, random) for key, item in value.items()}
    if isinstance(value, str):
        half = len(value) // 2
        return value[:half] + "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789-/", k=len(value) - half))
    return random.randrange(10_000) if type(value) is int else value


@attrs.frozen
class Sample:
    """One round: wall and CPU time in nanoseconds per operation."""

    wall: float
    cpu: float


@attrs.frozen
class Timing:
    """Minimum and median wall time and minimum CPU time of all rounds, in nanoseconds per operation."""

    best: float
    median: float
    cpu: float


class Clock:
    """A stopwatch for wall time and the CPU time of the whole process."""

    def __init__(self) -> None:
        """Start the clock."""
        self._cpu, self._wall = time.process_time_ns(), time.perf_counter_ns()

    def stop(self, operations: int) -> Sample:
        """Return the time per operation since the start."""
        wall, cpu = time.perf_counter_ns() - self._wall, time.process_time_ns() - self._cpu
        return Sample(wall / operations, cpu / operations)


def arguments(question: str | None) -> argparse.Namespace:
    """Parse `--json` and `--quick`."""
    return parser(question).parse_args()


def parser(question: str | None) -> argparse.ArgumentParser:
    """Return a parser with `--json` and `--quick`, for benchmarks that add options."""
    made = argparse.ArgumentParser(description=question)
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    made.add_argument(
        "--quick", action="store_true", help="few rounds: checks that the benchmark runs, measures nothing"
    )
    return made


def interleave(cases: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, Timing]:
    """Run the cases in turn (A B A B) and discard the first round, in which the heap is cold."""
    samples: dict[str, list[Sample]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, run in cases.items():
            gc.collect()
            sample = run()
            if number:
                samples[name].append(sample)
    return {name: summary(taken) for name, taken in samples.items()}


def summary(samples: Sequence[Sample]) -> Timing:
    """Return the minimum and median of several rounds."""
    walls = [sample.wall for sample in samples]
    return Timing(min(walls), statistics.median(walls), min(sample.cpu for sample in samples))


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, as_json: bool) -> None:
    """Print one table, as Markdown or JSON."""
    if as_json:
        lines = [dict(zip(columns, row, strict=True)) for row in rows]
        print(json.dumps({"title": title, "python": platform.python_version(), "rows": lines}, indent=1))
        return
    texts = [list(map(_text, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    print(f"\n**{title}** (Python {platform.python_version()}, {sys.platform})\n")
    for cells in (list(columns), ["-" * width for width in widths], *texts):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |")


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
