"""Does the table of the Postgres engine stay small? A steady load for an hour, with a row of figures each minute.

    python benchmarks/postgres_hour.py [--seconds 3600] [--rate 2000] [--every 60] [--hold 0]

Events of 1 KB, one client, one relay, one sink; each in a process of its own, on a Postgres of its own. `--hold` keeps
a transaction open for so many seconds from the second row on, as a long report would: vacuum can remove nothing then.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from aiohttp import ClientSession, web

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from engines.servers import PostgresServer, free_port, postgres_bin  # noqa: E402 -- from tests/

from asyncsdk import Client, Limits, RudderStack, Track  # noqa: E402
from asyncsdk.engines import Postgres  # noqa: E402

TEXT = "x" * 800
TICK = 0.005
COLUMNS = [
    "minute",
    "events/s",
    "p50 ms",
    "p99 ms",
    "max ms",
    "table MB",
    "indexes MB",
    "dead rows",
    "live rows",
    "autovacuums",
]
STATISTICS = """select pg_table_size(relid), pg_indexes_size(relid), n_dead_tup, n_live_tup, autovacuum_count
from pg_stat_user_tables where relname = 'asyncsdk_events'"""


def client() -> Client:
    """Return the client whose destination the relay takes."""
    limits = Limits(max_events=500, linger=0.05, timeout=30.0)
    plane = RudderStack("key", os.environ["HOUR_SINK"], limits=limits)
    return Client(plane, engine=Postgres(os.environ["HOUR_DSN"]))


def sink(port: int) -> None:
    """Record when each event arrives; `/figures` returns the latencies since the last call."""
    seen = bytearray()
    counts = {"delivered": 0, "copies": 0}
    latencies: list[float] = []

    async def batch(request: web.Request) -> web.Response:
        now = time.time()
        for event in orjson.loads(await request.read())["batch"]:
            number = int(event["event"])
            if number >= len(seen):
                seen.extend(bytes(number + 100_000 - len(seen)))
            counts["copies" if seen[number] else "delivered"] += 1
            seen[number] = 1
            latencies.append(now - event["properties"]["at"])
        return web.Response(text="OK")

    async def figures(_: web.Request) -> web.Response:
        ordered = sorted(latencies) or [0.0]
        latencies.clear()
        ranks = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        values = {name: 1000 * ordered[int(share * (len(ordered) - 1))] for name, share in ranks.items()}
        return web.json_response({**counts, **values})

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/batch", batch)
    app.router.add_get("/figures", figures)
    web.run_app(app, host="127.0.0.1", port=port, print=lambda *_: None, access_log=None)


@contextmanager
def processes() -> Iterator[str]:
    """Start Postgres, the sink and the relay; yield the DSN."""
    port = free_port()
    os.environ["HOUR_SINK"] = f"http://127.0.0.1:{port}"
    programs = postgres_bin()
    assert programs is not None, "needs a Postgres server"
    folder = tempfile.TemporaryDirectory(prefix="asyncsdk-hour-", ignore_cleanup_errors=True)
    with folder as path, PostgresServer(Path(path) / "server", programs) as server:
        server.migrate()
        os.environ["HOUR_DSN"] = server.dsn
        paths = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parent)])
        relay = [sys.executable, "-m", "asyncsdk", "relay", "postgres_hour:client", "--log-level", "warning"]
        started = [
            subprocess.Popen([sys.executable, __file__, "--sink", str(port)]),  # noqa: S603
            subprocess.Popen(relay, env={**os.environ, "PYTHONPATH": paths}),  # noqa: S603
        ]
        try:
            wait_for(port)
            yield server.dsn
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait()


def wait_for(port: int) -> None:
    """Wait until a process listens."""
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.1)


async def produce(producer: Client, seconds: float, rate: int) -> int:
    """Track events at a steady rate; return their number. After a pause of the machine it does not catch up at once."""
    began = time.monotonic()
    number = 0
    while (elapsed := time.monotonic() - began) < seconds:
        for _ in range(min(int(elapsed * rate) - number, rate // 10)):
            producer.put_nowait(Track(f"user-{number % 1000}", str(number), {"text": TEXT, "at": time.time()}))
            number += 1
        await asyncio.sleep(TICK)
    await producer.flush(60.0)
    return number


async def read_figures() -> dict[str, float]:
    """Return the sink's figures."""
    async with ClientSession() as http, http.get(f"{os.environ['HOUR_SINK']}/figures") as reply:
        figures: dict[str, float] = await reply.json()
        return figures


async def sample(dsn: str, every: float) -> None:
    """Print a row of figures at each interval, until cancelled."""
    import asyncpg  # noqa: PLC0415

    connection: Any = await asyncpg.connect(dsn)
    minute, before, at = 0, 0.0, time.monotonic()
    await read_figures()
    while True:
        await asyncio.sleep(every)
        figures, now = await read_figures(), time.monotonic()
        table, indexes, *rows = await connection.fetchrow(STATISTICS)
        minute += 1
        per_second = (figures["delivered"] - before) / (now - at)
        before, at = figures["delivered"], now
        values = (per_second, figures["p50"], figures["p99"], figures["max"])
        sizes = f"{table / 1e6:.1f} | {indexes / 1e6:.2f}"
        show(
            f"| {minute} | {' | '.join(f'{value:,.0f}' for value in values)} | {sizes} | {' | '.join(map(str, rows))} |"
        )


async def hold(dsn: str, after: float, seconds: float) -> None:
    """Keep a transaction with a snapshot open."""
    import asyncpg  # noqa: PLC0415

    await asyncio.sleep(after)
    connection: Any = await asyncpg.connect(dsn)
    async with connection.transaction(isolation="repeatable_read"):
        await connection.fetch("select count(*) from asyncsdk_events")
        show("a transaction is open")
        await asyncio.sleep(seconds)
    show("it has ended")
    await connection.close()


async def run(dsn: str, arguments: argparse.Namespace) -> bool:
    """Run the load, and return whether every event arrived."""
    show(f"| {' | '.join(COLUMNS)} |\n|{'--:|' * len(COLUMNS)}")
    tasks = [asyncio.create_task(sample(dsn, arguments.every))]
    if arguments.hold:
        tasks.append(asyncio.create_task(hold(dsn, arguments.every, arguments.hold)))
    async with client() as producer:
        number = await produce(producer, arguments.seconds, arguments.rate)
        counts = producer.health().destinations["RudderStack"].counts
    figures = await read_figures()
    for _ in range(240):
        if figures["delivered"] >= number:
            break
        await asyncio.sleep(0.5)
        figures = await read_figures()
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
    missing = number - int(figures["delivered"])
    show(f"events {number:,}, dropped {counts.dropped}, missing {missing}, copies {int(figures['copies']):,}")
    return not missing


def show(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def main() -> int:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--rate", type=int, default=2000, help="events per second")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two rows")
    parser.add_argument("--hold", type=float, default=0.0, help="seconds to keep a transaction open")
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sink:
        sink(arguments.sink)
        return 0
    with processes() as dsn:
        return 0 if asyncio.run(run(dsn, arguments)) else 1


if __name__ == "__main__":
    sys.exit(main())
