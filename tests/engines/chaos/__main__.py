"""Do to a fleet what may happen to it, and count what is missing. Servers, relays and vendor run on this machine.

    python tests/engines/chaos kill --engine redis --rounds 1200
    python tests/engines/chaos stall --engine postgres --rounds 100

| scenario | a round |
|---|---|
| `kill` | kills a relay (5 of 12), sends SIGTERM to one (5 of 12), or kills the server (2 of 12) |
| `stall` | delays, freezes, half-opens, resets or silently drops all connections to the server |
| `memory` | lets Redis reach its `maxmemory` |
| `disk` | fills the disk of the server; needs root, to mount a small one |
| `cut` | kills Redis and cuts the end of its AOF |
| `delete` | deletes the stream or its group; truncates or drops the table, and migrates |
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[3]))

from disks import Ballast, small_disk

from engines.chaos import scenarios
from engines.chaos.audit import Audit
from engines.chaos.proxy import MODES, StallingProxy
from engines.chaos.stage import AnyServer, Stage, running
from engines.chaos.strikes import schedule
from engines.servers import PostgresServer, RedisServer, postgres_bin

SCENARIOS = ("kill", "stall", "memory", "disk", "cut", "delete")
ONLY_REDIS = ("memory", "cut")


@contextmanager
def started(kind: str, folder: Path) -> Iterator[AnyServer]:
    """Start the server of an engine."""
    if kind == "redis":
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program is not None, "needs redis-server or valkey-server"
        with RedisServer(folder, program) as redis:
            yield redis
    else:
        programs = postgres_bin()
        assert programs is not None, "needs a Postgres server"
        with PostgresServer(folder / "server", programs, "--wal-segsize=1") as postgres:
            postgres.migrate("chaos")
            yield postgres


async def run(own: AnyServer, folder: Path, options: argparse.Namespace) -> Audit:
    """Run a scenario."""
    rounds = options.rounds
    with options.log.open("ab") as log:
        async with (
            StallingProxy(own.port) as proxy,
            running(
                own,
                relays=options.relays,
                lease=options.lease,
                rate=options.rate,
                port=proxy.port if options.scenario == "stall" else None,
                log=log,
            ) as stage,
        ):
            showing = asyncio.create_task(show_progress(stage))
            try:
                match options.scenario:
                    case "kill":
                        await scenarios.kill(stage, schedule(options.seed, rounds - rounds // 6, rounds // 6, 0.5))
                    case "stall":
                        await scenarios.stall(stage, proxy, islice(cycle(MODES), rounds))
                    case "memory":
                        await scenarios.fill_memory(stage, rounds)
                    case "disk":
                        await scenarios.fill_disk(stage, Ballast(folder, leaves=100_000), rounds)
                    case "cut":
                        await scenarios.cut_tail(stage, rounds)
                    case "delete":
                        await scenarios.delete(stage, rounds)
            finally:
                showing.cancel()
    return stage.audit


async def show_progress(stage: Stage) -> None:
    """Print a line now and then."""
    while True:
        await asyncio.sleep(10.0)
        print(stage.audit.progress(), file=sys.stderr, flush=True)  # noqa: T201


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--engine", choices=("redis", "postgres"), default="redis")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--relays", type=int, default=3)
    parser.add_argument("--lease", type=float, default=1.0, help="the relays' lease, in seconds")
    parser.add_argument("--rate", type=int, default=1000, help="events per second")
    parser.add_argument("--seed", type=int, default=1, help="of `kill`")
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="file for the logs of the relays")
    options = parser.parse_args()
    if options.scenario in ONLY_REDIS and options.engine != "redis":
        parser.error(f"{options.scenario} is for Redis only")
    began = time.monotonic()
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="asyncsdk-chaos-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary))
        if options.scenario == "disk":
            disk = stack.enter_context(small_disk(folder / "disk", 96))
            if disk is None:
                parser.error("mounting a small disk is not permitted")
            folder = disk
        own = stack.enter_context(started(options.engine, folder))
        audit = asyncio.run(run(own, folder, options))
    seconds = time.monotonic() - began
    print(f"{options.scenario}, {options.engine}, {seconds:.0f} s\n{audit}")  # noqa: T201 -- the command's result
    return 0 if audit.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
