"""What does a new ruleset cost: CPU time to install and to compile it, the longest block of the loop, memory?

Rulesets are the same project under new names. The floor is `orjson.loads` of the body. "Held" is the longest slice
between two yields of asyncsdk. SDKs with threads of their own block the loop by the GIL, which is not measured here.
All times are CPU time.

Specs are compiled on their first lookup. The second table is about that: for specs of several sizes, the first lookup
if no spec of the same form was compiled before, the first lookup if one was, and the next lookup.
"""

import gc
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from time import process_time_ns
from typing import Any

import orjson
from _measure import Clock, Sample, arguments, interleave, show
from _project import condition, project, rule, spec, written

from asyncsdk import User
from asyncsdk._rules.compiler.codegen import _compile_to_code
from asyncsdk._rules.compiler.linker import SECTIONS
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.loading import load, release
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.sliced import run_to_end

SIZES = {"0.1 MB": (4, True), "0.5 MB": (22, True), "5 MB": (220, True), "20 MB": (880, True), "tiny": (1000, False)}
_TEXT = "Some words that a page shows. " * 70
AROUND = SharedContext(clock=lambda: 0, random=random.random)


def realistic(copies: int) -> bytes:
    """Return a ruleset whose specs and conditions are as large as real ones: about a kilobyte each."""
    body = json.loads(project(copies))
    for one in body["dynamic_configs"].values():
        for found in one["rules"]:
            found["returnValue"]["text"] = _TEXT
    for number, asked in enumerate(body["condition_map"].values()):
        if isinstance(asked["targetValue"], list):
            asked["targetValue"] += [f"member-{number}-{place}" for place in range(60)]
    return json.dumps(body, separators=(",", ":")).encode()


def slices(body: bytes, previous: Ruleset | None = None) -> tuple[Ruleset, float]:
    """Load a body; also return the longest slice, in milliseconds."""
    steps, longest = load(body, AROUND, previous=previous), 0
    while True:
        started = process_time_ns()
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value, max(longest, process_time_ns() - started) / 1e6
        longest = max(longest, process_time_ns() - started)


def timed(work: Callable[[], object]) -> Callable[[], Sample]:
    """Return a function that times one call."""

    def run() -> Sample:
        clock = Clock()
        kept = work()
        sample = clock.stop(1)
        del kept
        return sample

    return run


def legacy(body: bytes) -> Callable[[], object]:
    """Return a function that parses and installs a ruleset in the pure-Python `statsig`."""
    from statsig import StatsigOptions, StatsigServer  # noqa: PLC0415 -- one of the peers

    parsed = json.loads(body)
    table = parsed.pop("condition_map")
    for section in ("feature_gates", "dynamic_configs", "layer_configs"):
        for name, one in parsed[section].items():
            one["name"] = name
            for found in one["rules"]:
                found["conditions"] = [table[key] for key in found["conditions"]]
        parsed[section] = list(parsed[section].values())
    text = json.dumps({**parsed, "layers": {}, "id_lists": {}})

    def install() -> object:
        server = StatsigServer()
        server.initialize("secret-key", StatsigOptions(local_mode=True, bootstrap_values=text))
        return server

    return install


def core(body: bytes) -> Callable[[], object]:
    """Return a function that starts statsig-python-core with the ruleset in its data store."""
    import statsig_python_core as package  # noqa: PLC0415 -- one of the peers
    from statsig_python_core.data_store import DataStore, DataStoreResponse  # noqa: PLC0415 -- one of the peers

    text = body.decode()

    class Store(DataStore):  # type: ignore[misc]
        def get(self, key: str) -> Any:
            return DataStoreResponse(text, 1) if "download_config_specs" in key else None

    def install() -> object:
        options = package.StatsigOptions(data_store=Store(), disable_network=True, output_log_level="none")
        client = package.Statsig("secret-key", options)
        client.initialize().wait()
        return client

    return install


def growthbook(body: bytes) -> Callable[[], object]:
    """Return a function that loads as many bytes of features into GrowthBook."""
    from growthbook import GrowthBook  # noqa: PLC0415 -- one of the peers

    ask = {"country": {"$in": ["US", "NL", "BE"]}, "email": {"$regex": "@example.com$"}, "pad": "x" * 300}
    feature = {"defaultValue": False, "rules": [{"condition": ask, "force": True}]}
    text = json.dumps({f"feature {number}": feature for number in range(len(body) // len(json.dumps(feature)))})
    return lambda: GrowthBook(features=json.loads(text))


def kept(work: Callable[[], object]) -> float:
    """Return the megabytes of Python objects that the result of a call holds."""
    gc.collect()
    tracemalloc.start()
    result = work()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return size / 1e6


def main() -> None:
    """Measure, and print the table."""
    options = arguments(__doc__)
    rounds, rows = 1 if options.quick else 5, []
    sizes = {"0.1 MB": SIZES["0.1 MB"]} if options.quick else SIZES
    for label, (copies, is_realistic) in sizes.items():
        body = realistic(copies) if is_realistic else project(copies)
        rules, _ = slices(body)
        assert set(rules.names("feature_gates")) == set(orjson.loads(body)["feature_gates"])
        changed = body[:-1] + b',"x":1}'
        runs = {
            "orjson": timed(lambda body=body: orjson.loads(body)),
            "ours": timed(lambda body=body: run_to_end(load(body, AROUND))),
            "refresh": timed(lambda rules=rules, changed=changed: run_to_end(load(changed, AROUND, previous=rules))),
            "unchanged": timed(lambda rules=rules, body=body: run_to_end(load(body, AROUND, previous=rules))),
            "core": timed(core(body)),
            "legacy": timed(legacy(body)),
            "GrowthBook": timed(growthbook(body)),
        }
        found = interleave(runs, rounds)
        longest = min(slices(body)[1] for _ in range(rounds))
        freed = max(_slice_times(release(slices(body)[0])))
        compiling = list(_slice_times(_compiling(slices(body)[0])))
        cpu = {name: timing.cpu / 1e6 for name, timing in found.items()}
        memory = kept(lambda body=body: run_to_end(load(bytes(body), AROUND))) / (len(body) / 1e6)
        rows.append(
            [
                f"{label} ({len(body):,} B)",
                *(cpu[name] for name in runs),
                cpu["ours"] / cpu["orjson"],
                longest,
                freed,
                memory,
                sum(compiling),
                max(compiling),
            ]
        )
    names = ["orjson", "ours", "ours, refresh", "unchanged", "core", "legacy", "GrowthBook"]
    rest = ["ours / orjson", "held ms", "free ms", "kept / body", "compile all ms", "worst spec ms"]
    show("CPU ms to install a ruleset; tiny: 0.25 kB per spec", ["body", *names, *rest], rows, as_json=options.json)
    columns = ["us", "first lookup", "first of a known form", "next lookup"]
    show("The first lookup of a spec", columns, first_lookups(40 if not options.quick else 2), as_json=options.json)


def first_lookups(rounds: int) -> list[list[object]]:
    """Time the first lookup of specs of several sizes; return the minimum of all rounds."""
    rows: list[list[object]] = []
    for title, (kind, one) in specimens().items():
        body = written({f"{kind}s": {"asked": one}})
        least = [float("inf")] * 3
        for _ in range(rounds):
            for place, forgets in enumerate((True, False)):
                rules, user = slices(body)[0], User("u17", email="ada@example.com", country="NL")
                if forgets:
                    _compile_to_code.cache_clear()
                least[place] = min(least[place], _took(partial(rules.lookup, kind, user, "asked")))
                least[2] = min(least[2], _took(partial(rules.lookup, kind, User("u18"), "asked")))
        rows.append([f"{title} ({len(json.dumps(one)):,} B)", *least])
    return rows


def _took(work: Callable[[], object]) -> float:
    started = process_time_ns()
    work()
    return (process_time_ns() - started) / 1e3


def specimens() -> dict[str, tuple[Any, Any]]:
    """Return specs of several sizes: gates by their rules, configs by their values."""

    def asks(number: int) -> Any:
        conditions = [condition("user_field", "any", [f"user-{number}@example.com"], "email")]
        return rule(f"rule {number}", conditions, share=50, salt=f"c0ffee00-1111-2222-3333-{number:012}")

    def text(size: int) -> Any:
        return {"title": "hello", "texts": [_TEXT[:60]] * (size // 65)}

    public = [condition("public")]
    found = {
        f"gate, {count} rules": ("gate", spec("feature_gate", *map(asks, range(count)))) for count in (1, 5, 20, 60)
    }
    return found | {
        f"config, a value of {size // 1000} kB": ("config", spec("dynamic_config", rule("all", public, text(size))))
        for size in (1_000, 4_000, 16_000)
    }


def _compiling(rules: Ruleset) -> Iterator[None]:
    for kind, section in SECTIONS.items():
        for name in rules.names(section):
            rules.program(kind, name)
            yield


def _slice_times(steps: Any) -> list[float]:
    """Run steps; return the milliseconds of each."""
    found = []
    while True:
        started = process_time_ns()
        if next(steps, steps) is steps:
            return found or [0.0]
        found.append((process_time_ns() - started) / 1e6)


if __name__ == "__main__":
    main()
