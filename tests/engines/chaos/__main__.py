"""Do to a fleet what may happen to it, and count what is missing. Servers, relays and vendor run on this machine.

python tests/engines/chaos --engine redis --kills 1000 --restarts 200
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[3]))

from engines.chaos import scenarios
from engines.chaos.audit import Audit
from engines.chaos.stage import AnyServer, Stage, running
from engines.chaos.strikes import schedule
from engines.servers import PostgresServer, RedisServer, postgres_bin


@contextmanager
def started(kind: str) -> Iterator[AnyServer]:
    """Start the server of an engine."""
    with tempfile.TemporaryDirectory(prefix="asyncsdk-chaos-", ignore_cleanup_errors=True) as folder:
        if kind == "redis":
            program = shutil.which("redis-server") or shutil.which("valkey-server")
            assert program is not None, "needs redis-server or valkey-server"
            with RedisServer(Path(folder), program) as redis:
                yield redis
        else:
            programs = postgres_bin()
            assert programs is not None, "needs a Postgres server"
            with PostgresServer(Path(folder) / "server", programs) as postgres:
                postgres.migrate("chaos")
                yield postgres


async def run(own: AnyServer, options: argparse.Namespace) -> Audit:
    """Run a scenario."""
    with options.log.open("ab") as log:
        async with running(own, relays=options.relays, lease=options.lease, rate=options.rate, log=log) as stage:
            showing = asyncio.create_task(show_progress(stage))
            try:
                await scenarios.kill(stage, schedule(options.seed, options.kills, options.restarts, options.pause))
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
    parser.add_argument("--engine", choices=("redis", "postgres"), default="redis")
    parser.add_argument("--kills", type=int, default=50, help="relays to kill, half of them by SIGTERM")
    parser.add_argument("--restarts", type=int, default=10, help="times to kill the server")
    parser.add_argument("--relays", type=int, default=3)
    parser.add_argument("--lease", type=float, default=1.0, help="the relays' lease, in seconds")
    parser.add_argument("--rate", type=int, default=1000, help="events per second")
    parser.add_argument("--pause", type=float, default=0.5, help="maximum pause between two strikes, in seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="file for the logs of the relays")
    options = parser.parse_args()
    began = time.monotonic()
    with started(options.engine) as own:
        audit = asyncio.run(run(own, options))
    print(f"{options.engine}, {time.monotonic() - began:.0f} s\n{audit}")  # noqa: T201 -- the result of the command
    return 0 if audit.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
