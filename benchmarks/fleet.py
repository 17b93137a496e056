"""Events through an engine: accepted by producers, delivered by relays. Starts servers of its own.

    python benchmarks/fleet.py [--engines redis,postgres] [--events 60000] [--json]

| row | what it measures |
|---|---|
| accepted, awaited | 200 tasks that await `track`, each until the engine has its event |
| accepted, put_nowait | `put_nowait` and `flush`, at most 5,000 at a time |
| delivered, one relay | a relay process drains the engine into a sink in another process |
| delivered, two relays | two of them |
| delivered, other vendor down | one relay, two destinations, of which one never answers |
| delivered, one event per entry | one relay, with entries as events in transactions of the caller's are |
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

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
    """Return the client whose destinations relays take; `FLEET_HOLE` adds one that never answers."""
    limits = Limits(max_events=500, linger=0.05, timeout=30.0)
    destinations = [RudderStack("key", os.environ["FLEET_SINK"], name=DESTINATION, limits=limits)]
    if hole := os.environ.get("FLEET_HOLE"):
        destinations.append(RudderStack("key", hole, name="Hole", limits=limits))
    return Client(*destinations, engine=make_engine())


# --- the sink, in a process of its own ------------------------------------------------------------------------


def sink(port: int) -> None:
    """Count the events of batches, and answer `/count`; `/hole` never answers."""
    total = 0

    async def batch(request: web.Request) -> web.Response:
        nonlocal total
        total += (await request.read()).count(b'"messageId"')
        return web.Response(text="OK")

    async def count(_: web.Request) -> web.Response:
        return web.Response(text=str(total))

    async def hole(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/batch", batch)
    app.router.add_post("/hole/v1/batch", hole)
    app.router.add_get("/count", count)
    web.run_app(app, host="127.0.0.1", port=port, print=lambda *_: None, access_log=None)


async def read_count(url: str) -> int:
    """Return how many events the sink has."""
    from aiohttp import ClientSession  # noqa: PLC0415

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


async def deliver(events: int, relays: int, url: str) -> float:
    """Return the events per second that relay processes deliver, from the first event to the last."""
    before = await read_count(url)
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
    processes = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}) for _ in range(relays)]  # noqa: ASYNC220, S603
    first, began = 0, 0.0
    until = time.perf_counter() + 120.0
    while (count := await read_count(url) - before) < events and time.perf_counter() < until:
        if count and not began:
            first, began = count, time.perf_counter()
        await asyncio.sleep(0.01)
    took = time.perf_counter() - began
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()
    return (count - first) / took


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


def measure(kind: str, events: int, url: str) -> dict[str, float]:
    """Run all measurements of an engine."""
    rows: dict[str, float] = {}
    with servers(kind) as address:
        os.environ["FLEET_ENGINE"] = address

        def drain(name: str, relays: int) -> None:
            rows[name] = asyncio.run(deliver(events, relays, url))

        rows["accepted, awaited"] = asyncio.run(accept_awaited(events))
        drain("delivered, one relay", 1)
        rows["accepted, put_nowait"] = asyncio.run(accept_nowait(events))
        drain("delivered, two relays", 2)
        asyncio.run(put_single(events))
        drain("delivered, one event per entry", 1)
        os.environ["FLEET_HOLE"] = f"{url}/hole"
        asyncio.run(accept_nowait(events))
        drain("delivered, other vendor down", 1)
        del os.environ["FLEET_HOLE"]
    return rows


def main() -> None:
    """Print one table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default="redis,postgres")
    parser.add_argument("--events", type=int, default=60_000)
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
    results = {kind: measure(kind, arguments.events, url) for kind in arguments.engines.split(",")}
    process.terminate()
    show: Callable[[str], object] = print
    if arguments.json:
        show(json.dumps(results))
        return
    show(f"| events/s, 1 KB | {' | '.join(results)} |")
    show(f"|---|{'--:|' * len(results)}")
    for name in next(iter(results.values())):
        show(f"| {name} | {' | '.join(f'{rows[name]:,.0f}' for rows in results.values())} |")


if __name__ == "__main__":
    main()
