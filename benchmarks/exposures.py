"""What does a gate cost, including the delivery of its exposure? CPU time of the whole process, per gate.

Each lookup is for a new user, as in a handler, so each exposure is new. A sink in another process counts the exposures
that it receives. Each run has a process of its own.
"""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any

import attrs
from _lookup_peers import first_form
from _measure import Clock, Sample, arguments, show, summary
from _project import MANY, USER, project
from sink import received, sink

MARK = "statsig::gate_exposure"
FIELDS: dict[str, dict[str, Any]] = {"5 fields": USER, "30 fields": {**USER, "custom": MANY}}
HOUR_MS = 3_600_000
WARM_UP, PART = 2_000, 2_000
Ask = Callable[[int, int], Awaitable[object]]


async def ours(url: str, fields: dict[str, Any]) -> Ask:
    """Check gates with asyncsdk, and flush now and then: its queue holds 10,000 exposures."""
    from asyncsdk import Client, Rules, Statsig, User  # noqa: PLC0415 -- only in the process that measures it

    rules = Rules(bootstrap=project(), specs_url=f"{url}/v2/download_config_specs", poll_interval=HOUR_MS / 1000)
    client = Client(Statsig("secret-key", log_event_url=url, rules=rules))
    await client.start()

    async def ask(start: int, count: int) -> None:
        for number in range(start, start + count):
            await client.check_gate(User(f"user-{number}", **fields), "public")
            if not number % PART:
                await client.flush()
        await client.flush()

    return ask


async def core(url: str, fields: dict[str, Any]) -> Ask:
    """Check gates with statsig-python-core, whose threads send."""
    import statsig_python_core as package  # noqa: PLC0415 -- only in the process that measures it
    from statsig_python_core.data_store import DataStore, DataStoreResponse  # noqa: PLC0415 -- see above

    class Store(DataStore):  # type: ignore[misc]
        def get(self, key: str) -> Any:
            return DataStoreResponse(project().decode(), 1) if "download_config_specs" in key else None

    client = package.Statsig(
        "secret-key",
        package.StatsigOptions(
            data_store=Store(),
            specs_url=f"{url}/v2/download_config_specs",
            specs_sync_interval_ms=HOUR_MS,
            log_event_url=f"{url}/v1/log_event",
            event_logging_max_pending_batch_queue_size=10_000,
            output_log_level="none",
        ),
    )
    client.initialize().wait()

    async def ask(start: int, count: int) -> None:
        for number in range(start, start + count):
            client.check_gate(package.StatsigUser(f"user-{number}", **fields), "public")
        client.flush_events().wait()

    return ask


async def legacy(url: str, fields: dict[str, Any]) -> Ask:
    """Check gates with the pure-Python `statsig`; only its shutdown waits for its threads."""
    from statsig import StatsigOptions, StatsigServer, StatsigUser  # noqa: PLC0415 -- only in the process that measures it

    api = f"{url}/v1/"
    server = StatsigServer()
    options = StatsigOptions(
        api,
        api_for_download_config_specs=api,
        api_for_log_event=api,
        bootstrap_values=first_form(project()),
        rulesets_sync_interval=HOUR_MS // 1000,
        disable_diagnostics=True,
    )
    server.initialize("secret-key", options)

    async def ask(start: int, count: int) -> None:
        for number in range(start, start + count):
            server.check_gate(StatsigUser(f"user-{number}", **fields), "public")
        if start:
            server.shutdown()

    return ask


MAKERS = {"asyncsdk, zlib": ours, "asyncsdk, isal": ours, "core": core, "legacy": legacy}


async def run(who: str, fields: str, url: str, count: int) -> Sample:
    """Warm up, then time `count` lookups."""
    logging.disable(logging.CRITICAL)
    if who.endswith("zlib"):
        sys.modules["isal"] = None  # type: ignore[assignment] # as if it were not installed
    ask = await MAKERS[who](url, FIELDS[fields])
    await ask(0, WARM_UP)
    clock = Clock()
    await ask(WARM_UP, count)
    return clock.stop(count)


def in_a_process(who: str, fields: str, count: int) -> tuple[Sample, float]:
    """Run one case in a process of its own with a sink of its own; also return the share of exposures that arrived."""
    with sink(mark=MARK) as url:
        command = [sys.executable, __file__, "--run", who, fields, url, str(count)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 -- ourselves
        arrived = received(url) / (count + WARM_UP)
    assert arrived == 1 or who == "legacy", f"{who}, {fields}: {arrived:.1%} arrived"
    return Sample(**json.loads(printed.splitlines()[-1])), arrived


def main() -> None:
    """Measure, and print the table."""
    options = arguments(__doc__)
    rounds, count = (1, 4_000) if options.quick else (5, 40_000)
    rows = []
    for fields in FIELDS:
        samples: dict[str, list[Sample]] = {who: [] for who in MAKERS if "isal" not in who or find_spec("isal")}
        least = dict.fromkeys(samples, 1.0)
        for _ in range(rounds):
            for who, taken in samples.items():
                sample, arrived = in_a_process(who, fields, count)
                taken.append(sample)
                least[who] = min(least[who], arrived)
        best = {who: summary(taken) for who, taken in samples.items()}
        rows += [
            (fields, who, timing.cpu / 1e3, timing.best / 1e3, best["core"].cpu / timing.cpu, f"{least[who]:.0%}")
            for who, timing in best.items()
        ]
    columns = ("user", "who", "CPU us", "wall us", "core / this", "arrived")
    show("A gate, and its exposure delivered", columns, rows, as_json=options.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(attrs.asdict(asyncio.run(run(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))))))
    else:
        main()
