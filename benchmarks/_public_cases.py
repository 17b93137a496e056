"""Statsig's public benchmark cases: each spec is looked up 1,000 times, by a user built in each call or a global one.

Those benchmarks time each call, and publish the 99th percentile per spec; so does this, with exposures, as by default.
A row of the table is the median over all specs of a kind, and the worst of them.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from lookups import Core, Ours

CASES = {
    "check_gate": ("gate", "feature_gates"),
    "get_dynamic_config": ("config", "dynamic_configs"),
    "get_experiment": ("experiment", "dynamic_configs"),
    "get_layer": ("layer", "layer_configs"),
}
_WARM = 100


def rows(ours: "Ours", core: "Core", body: bytes, calls: int) -> Iterator[list[object]]:
    """Yield a row per case."""
    parsed = orjson.loads(body)
    for case, (kind, section) in CASES.items():
        names = [name for name, spec in parsed[section].items() if _is_of(kind, spec)]
        for suffix, is_global in (("", False), ("_global_user", True)):
            row: list[object] = [case + suffix, len(names)]
            for sdk in (ours, core):
                found = [_p99(sdk.one(kind, name), sdk.user, calls, is_global=is_global) for name in names]
                row += [statistics.median(found), max(found)]
            yield row


def _is_of(kind: str, spec: dict[str, Any]) -> bool:
    if kind == "experiment":
        return spec.get("entity") == "experiment"
    return kind != "config" or spec.get("entity") == "dynamic_config"


def _p99(look_up: Callable[[Any], object], make: Callable[[int], Any], calls: int, *, is_global: bool) -> float:
    """Return the 99th percentile of the time of a call, in microseconds."""
    shared, times = make(0), []
    for number in range(_WARM + calls):
        began = time.perf_counter_ns()
        look_up(shared if is_global else make(number))
        times.append(time.perf_counter_ns() - began)
    return statistics.quantiles(times[_WARM:], n=100)[98] / 1000


COLUMNS = ("us, 99th percentile", "specs", "asyncsdk", "worst spec", "core", "worst spec of core")
