"""Events through an engine: accepted by producers, delivered by relays. Starts servers of its own.

    python benchmarks/fleet.py [--engines redis,postgres] [--events 60000] [--only rates|latency] [--json]

| row | what it measures |
|---|---|
| accepted, awaited | 200 tasks that await `track`, each until the engine has its event |
| accepted, put_nowait | `put_nowait` and `flush`, at most 5,000 at a time |
| delivered, one relay | a relay process drains the engine into a sink in another process |
| delivered, two relays | two of them |
| delivered, other vendor down | one relay, two destinations, of which one never answers |
| delivered, vendor of 50 ms, one relay | the vendor answers after 50 ms, and the limits are the default ones |
| delivered, vendor of 50 ms, two relays | two of them |
| delivered, one event per entry | one relay, with entries as events in transactions of the caller's are |
| latency | from `track` until the vendor has the event, with `linger=0` for the vendor; `direct` is without an engine |
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import ClientSession, web

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from engines.servers import PostgresServer, RedisServer, free_port, postgres_bin  # noqa: E402 -- from tests/

from asyncsdk import Client, Limits, RudderStack, Track  # noqa: E402
from asyncsdk._delivery.fleet.entries import pack_entries, unpack_entry  # noqa: E402
from asyncsdk._model.blocks import unpack_block  # noqa: E402
from asyncsdk.engines import Engine, Memory, Postgres, Redis  # noqa: E402

BODY = {"text": "x" * 800, "number": 1}
DESTINATION = "Plane"


def make_engine() -> Engine:
    """Return the engine that the environment names."""
    kind, address = os.environ["FLEET_ENGINE"].split(" ")
    return Redis(address) if kind == "redis" else Postgres(address)


def client() -> Client:
    """Return the client whose destinations relays take.

    `FLEET_HOLE` adds one that never answers; `FLEET_VENDOR` is the path of another kind of vendor.
    """
    limits = Limits(max_events=500, linger=0.05, timeout=30.0)
    if latency := os.environ.get("FLEET_VENDOR"):
        limits = Limits(linger=0.0) if latency == "timed" else Limits()
    url = f"{os.environ['FLEET_SINK']}/{latency}" if latency else os.environ["FLEET_SINK"]
    destinations = [RudderStack("key", url, name=DESTINATION, limits=limits)]
    if hole := os.environ.get("FLEET_HOLE"):
        destinations.append(RudderStack("key", hole, name="Hole", limits=limits))
    return Client(*destinations, engine=make_engine() if "FLEET_ENGINE" in os.environ else None)


# --- the sink, in a process of its own ------------------------------------------------------------------------


def sink(port: int) -> None:
    """Count the events of batches, and answer `/count`; `/slow` answers after 50 ms, `/hole` never.

    `/timed` records how old each event is, and `/ages` returns what it has recorded since the last time.
    """
    total, recorded = 0, list[float]()

    async def batch(request: web.Request) -> web.Response:
        nonlocal total
        total += (await request.read()).count(b'"messageId"')
        return web.Response(text="OK")

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return await batch(request)

    async def timed(request: web.Request) -> web.Response:
        now = time.time()
        messages = json.loads(await request.read())["batch"]
        recorded.extend(now - message["properties"]["sent"] for message in messages)
        return web.Response(text="OK")

    async def ages(_: web.Request) -> web.Response:
        reply = web.json_response(recorded)
        recorded.clear()
        return reply

    async def count(_: web.Request) -> web.Response:
        return web.Response(text=str(total))

    async def hole(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/batch", batch)
    app.router.add_post("/slow/v1/batch", slow)
    app.router.add_post("/hole/v1/batch", hole)
    app.router.add_post("/timed/v1/batch", timed)
    app.router.add_get("/ages", ages)
    app.router.add_get("/count", count)
    web.run_app(app, host="127.0.0.1", port=port, print=lambda *_: None, access_log=None)


async def read_count(url: str) -> int:
    """Return how many events the sink has."""
    async with ClientSession() as http, http.get(f"{url}/count") as reply:
        return int(await reply.text())


# --- measurements ---------------------------------------------------------------------------------------------


async def accept_awaited(events: int, tasks: int = 200) -> float:
    """Return the events per second of tasks that await each event."""
    async with client() as producer:
        numbers = iter(range(events))

        async def run(task: int) -> None:
            for number in numbers:
                await producer.track(f"user-{task}", str(number), BODY)

        began = time.perf_counter()
        await asyncio.gather(*map(run, range(tasks)))
        return events / (time.perf_counter() - began)


async def accept_nowait(events: int) -> float:
    """Return the events per second of `put_nowait` and `flush`."""
    async with client() as producer:
        began = time.perf_counter()
        for start in range(0, events, 5_000):
            for number in range(start, min(start + 5_000, events)):
                producer.put_nowait(Track(f"user-{number % 1000}", str(number), BODY))
            await producer.flush(60.0)
        return events / (time.perf_counter() - began)


async def put_single(events: int) -> None:
    """Put events into the engine, each as an entry of its own."""
    memory, engine = Memory(), make_engine()
    destination = RudderStack("key", os.environ["FLEET_SINK"], name=DESTINATION)
    async with Client(destination, engine=memory) as producer:
        for number in range(1000):
            producer.put_nowait(Track(f"user-{number}", str(number), BODY))
    blocks = [unpack_block(taken.entry) for taken in await memory.take(DESTINATION, 1000, 0.0, 60.0)]
    records = [record for block in blocks for record in unpack_entry(None, block, 0.0, block.time_ms)]
    entries = [entry for record in records for entry in pack_entries(DESTINATION, [record], int(time.time() * 1000))]
    for _ in range(events // 1000):
        await engine.put(DESTINATION, entries)
    await engine.aclose()


@contextmanager
def relay_processes(number: int) -> Iterator[None]:
    """Run relays in processes of their own."""
    command = [
        sys.executable,
        "-m",
        "asyncsdk",
        "relay",
        "fleet:client",
        "--log-level",
        "error",
        "--close-timeout",
        "1",
    ]
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parent)])
    processes = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}) for _ in range(number)]  # noqa: S603
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


async def deliver(events: int, relays: int, url: str) -> float:
    """Return the events per second that relay processes deliver, from the first event to the last."""
    before = await read_count(url)
    with relay_processes(relays):
        first, began = 0, 0.0
        until = time.perf_counter() + 120.0
        while (count := await read_count(url) - before) < events and time.perf_counter() < until:
            if count and not began:
                first, began = count, time.perf_counter()
            await asyncio.sleep(0.01)
        took = time.perf_counter() - began
    return (count - first) / took


async def read_ages(url: str) -> list[float]:
    """Return how old the events were that the sink has received since the last call, in seconds."""
    async with ClientSession() as http, http.get(f"{url}/ages") as reply:
        found: list[float] = await reply.json()
        return found


async def track_steadily(producer: Client, rate: int, seconds: float) -> int:
    """Track events at a steady rate, whether or not earlier calls have returned; return how many."""
    began, tasks = time.perf_counter(), list[asyncio.Task[object]]()
    while (elapsed := time.perf_counter() - began) < seconds:
        for number in range(len(tasks), int(elapsed * rate)):
            event = producer.track(f"user-{number}", "Seen", {"sent": time.time()})
            tasks.append(asyncio.ensure_future(event))
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    return len(tasks)


async def latency(rate: int, url: str, seconds: float = 10.0) -> dict[str, float]:
    """Return the percentiles of the time from `track` to the vendor, in milliseconds."""
    ages: list[float] = []
    async with client() as producer, asyncio.timeout(120.0):
        while not ages:  # until a relay is there
            await producer.track("user", "Seen", {"sent": time.time()})
            await asyncio.sleep(0.2)
            ages = await read_ages(url)
        await track_steadily(producer, rate, 1.0)
        await asyncio.sleep(0.5)
        await read_ages(url)
        expected, ages = await track_steadily(producer, rate, seconds), []
        while len(ages) < expected:
            ages += await read_ages(url)
            await asyncio.sleep(0.05)
    cuts = statistics.quantiles(ages, n=100)
    return {f"latency, {rate:,}/s, {name}, ms": cuts[cut] * 1000 for name, cut in (("p50", 49), ("p99", 98))}


@contextmanager
def servers(kind: str) -> Iterator[str]:
    """Start the server of an engine, and yield what `FLEET_ENGINE` says."""
    with tempfile.TemporaryDirectory(prefix="asyncsdk-fleet-", ignore_cleanup_errors=True) as folder:
        server: RedisServer | PostgresServer
        if kind == "redis":
            server = RedisServer(Path(folder), shutil.which("redis-server") or shutil.which("valkey-server") or "")
        else:
            programs = postgres_bin()
            assert programs is not None, "needs a Postgres server"
            server = PostgresServer(Path(folder) / "server", programs)
            server.create()
        server.start()
        if isinstance(server, PostgresServer):
            server.migrate()
            yield f"postgres {server.dsn}"
        else:
            yield f"redis {server.url}"
        server.kill()


def measure_rates(events: int, url: str) -> dict[str, float]:
    """Return the events per second of an engine."""
    rows: dict[str, float] = {}

    def drain(name: str, relays: int, number: int = events) -> None:
        rows[name] = asyncio.run(deliver(number, relays, url))

    rows["accepted, awaited"] = asyncio.run(accept_awaited(events))
    drain("delivered, one relay", 1)
    rows["accepted, put_nowait"] = asyncio.run(accept_nowait(events))
    drain("delivered, two relays", 2)
    with environment(FLEET_VENDOR="slow"):
        for relays, name in enumerate(("one relay", "two relays"), 1):
            asyncio.run(accept_nowait(events))
            drain(f"delivered, vendor of 50 ms, {name}", relays)
    asyncio.run(put_single(events))
    drain("delivered, one event per entry", 1)
    with environment(FLEET_HOLE=f"{url}/hole"):
        asyncio.run(accept_nowait(events))
        drain("delivered, other vendor down", 1)
    return rows


def measure_latency(url: str, relays: int) -> dict[str, float]:
    """Return the percentiles of the latency, in milliseconds."""
    with environment(FLEET_VENDOR="timed"), relay_processes(relays):
        return {**asyncio.run(latency(100, url)), **asyncio.run(latency(2_000, url))}


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables of the environment, for this process and its children."""
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def measure(kind: str, events: int, url: str, only: str | None) -> dict[str, float]:
    """Run the measurements of an engine, or without one."""
    if kind == "direct":
        return measure_latency(url, 0)
    rows: dict[str, float] = {}
    with servers(kind) as address, environment(FLEET_ENGINE=address):
        if only != "latency":
            rows |= measure_rates(events, url)
        if only != "rates":
            rows |= measure_latency(url, 1)
    return rows


def main() -> None:
    """Print one table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default="redis,postgres")
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--only", choices=("rates", "latency"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sink:
        sink(arguments.sink)
        return
    port = free_port()
    process = subprocess.Popen([sys.executable, __file__, "--sink", str(port)])  # noqa: S603
    os.environ["FLEET_SINK"] = url = f"http://127.0.0.1:{port}"
    time.sleep(2.0)
    kinds = arguments.engines.split(",") + ["direct"] * (arguments.only != "rates")
    results = {kind: measure(kind, arguments.events, url, arguments.only) for kind in kinds}
    process.terminate()
    show: Callable[[str], object] = print
    if arguments.json:
        show(json.dumps(results))
        return
    show(f"| events/s, 1 KB | {' | '.join(results)} |")
    show(f"|---|{'--:|' * len(results)}")
    for name in next(iter(results.values())):
        cells = (f"{rows[name]:,.{int(name.endswith('ms'))}f}" if name in rows else "-" for rows in results.values())
        show(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
