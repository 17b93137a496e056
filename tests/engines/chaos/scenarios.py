"""What is done to a fleet. Each scenario runs on a stage, as often as it is told; the stage's audit says how it ended."""

import asyncio
import os
import re
from collections.abc import Iterable
from random import Random

import asyncpg
import redis.asyncio
from disks import Ballast

from asyncsdk.engines import Postgres
from engines.chaos.proxy import Mode, StallingProxy
from engines.chaos.stage import LABEL, Stage
from engines.chaos.strikes import Strike
from engines.servers import PostgresServer, RedisServer

_EVENT_ID = re.compile(rb'"messageId":"([^"]+)"')


async def kill(stage: Stage, strikes: Iterable[Strike]) -> None:
    """Kill relays and the server, while the vendor fails half of the requests."""
    stage.set_failing(0.5)
    for strike in strikes:
        await asyncio.sleep(strike.pause)
        await stage.progress(within=10.0)
        if strike.what == "restart":
            stage.own.kill()
            await asyncio.to_thread(stage.own.start)
        else:
            await stage.fleet.strike(strike.which, kill=strike.what == "kill")
        stage.audit.done[f"{strike.what}s"] += 1


async def stall(stage: Stage, proxy: StallingProxy, modes: Iterable[Mode]) -> None:
    """Stall the network around the server, each time in another way; a relay gets SIGTERM meanwhile."""
    chance = Random(1)
    for mode in modes:
        await stage.progress(within=10.0)
        proxy.set(mode)
        if mode not in ("delay", "vanish"):  # with new connections, it would be away for a moment only
            await stage.until(f"health() says that the engine is away: {mode}", lambda: not stage.is_engine_ok())
        if mode != "delay":
            await stage.fleet.strike(chance.random(), kill=False)
        await asyncio.sleep(chance.uniform(0.5, 1.5))
        proxy.set("pass")
        await stage.until(f"the engine is back after {mode}", stage.is_engine_ok)
        stage.audit.done[f"network: {mode}"] += 1


async def fill_memory(stage: Stage, rounds: int) -> None:
    """Let Redis reach its `maxmemory` while the vendor is down. Only the relays make room, once the vendor is back."""
    async with redis.asyncio.Redis(port=stage.own.port) as commands:
        for _ in range(rounds):
            await stage.progress(within=10.0)
            stage.set_failing(1.0)
            used = (await commands.info("memory"))["used_memory"]
            await commands.config_set("maxmemory", used + 300_000)
            await stage.until("a full Redis refuses events", lambda: not stage.is_engine_ok())
            await asyncio.sleep(0.3)
            stage.set_failing(0.0)
            await stage.until("Redis takes events again", stage.is_engine_ok)
            stage.audit.done["memory full"] += 1
        await commands.config_set("maxmemory", 0)


async def fill_disk(stage: Stage, ballast: Ballast, rounds: int) -> None:
    """Fill the disk of the server. Redis then refuses events; Postgres may end, and is started when there is room."""
    for _ in range(rounds):
        await stage.progress(within=10.0)
        ballast.add()
        await stage.until("a full disk refuses events", lambda: not stage.is_engine_ok(), within=60.0)
        await asyncio.sleep(0.3)
        ballast.remove()
        if not stage.own.is_running():
            await asyncio.to_thread(stage.own.start)
            stage.audit.done["server ended"] += 1
        await stage.until("the engine takes events again", stage.is_engine_ok)
        stage.audit.done["disk full"] += 1


async def cut_tail(stage: Stage, rounds: int) -> None:
    """Kill Redis, cut the end of its AOF, and start it; every second time without relays, and the last time all of it."""
    assert isinstance(stage.own, RedisServer)
    chance = Random(1)
    for number in range(rounds):
        stage.set_failing(0.7)
        await stage.progress(within=10.0)
        # Relays would deliver what they have taken, though it is cut.
        stopped = await stage.fleet.shrink() if number % 2 == 0 else 0
        await asyncio.sleep(chance.uniform(0.2, 0.8))
        stage.own.kill()
        (file,) = (stage.own.folder / "appendonlydir").glob("*.incr.aof")
        content = file.read_bytes()
        kept = 0 if number == rounds - 1 else len(content) - chance.randrange(1, 50_000)
        os.truncate(file, max(0, kept))
        lost = content[last_command_before(content, kept) :]
        stage.audit.given_up |= {found.decode() for found in _EVENT_ID.findall(lost)}
        await asyncio.to_thread(stage.own.start)
        stage.audit.done["tails cut"] += 1
        stage.set_failing(0.0)
        await stage.fleet.grow(stopped)
        await stage.progress(within=10.0)


def last_command_before(content: bytes, end: int) -> int:
    """Return where the last complete command of an AOF ends, at or before an offset, as Redis finds it.

    A transaction that is not complete does not count.
    """
    at = kept = 0
    is_in_transaction = False
    while at < len(content):
        parts, at = int(content[at + 1 : (line := content.index(b"\r\n", at))]), line + 2
        for number in range(parts):
            size, at = int(content[at + 1 : (line := content.index(b"\r\n", at))]), line + 2
            word, at = content[at : at + size], at + size + 2
            if not number:
                is_in_transaction = (is_in_transaction or word.upper() == b"MULTI") and word.upper() != b"EXEC"
        if at > end:
            break
        kept = kept if is_in_transaction else at
    return kept


async def delete(stage: Stage, rounds: int) -> None:
    """Delete what the engine keeps: the stream or its group; all rows of the table, or the table itself."""
    for number in range(rounds):
        await stage.progress(within=10.0)
        stage.set_failing(0.7)
        await asyncio.sleep(0.5)
        await (delete_redis if isinstance(stage.own, RedisServer) else delete_postgres)(stage, number)
        stage.set_failing(0.0)
        await stage.until("the engine takes events again", stage.is_engine_ok, within=60.0)
        await stage.progress(within=10.0)


async def delete_redis(stage: Stage, number: int) -> None:
    """Delete the stream, or its group, which is created again at the first entry."""
    key = f"{stage.place}:{{{LABEL}}}"
    async with redis.asyncio.Redis(port=stage.own.port) as commands:
        if number % 2:
            await commands.xgroup_destroy(key, "relay")
            stage.audit.done["group deleted"] += 1
        else:
            await commands.delete(key)
            stage.give_up_undelivered()
            stage.audit.done["stream deleted"] += 1


async def delete_postgres(stage: Stage, number: int) -> None:
    """Delete all rows, or drop the table and migrate."""
    assert isinstance(stage.own, PostgresServer)
    what, done = ("drop", "table dropped") if number % 2 else ("truncate", "table truncated")
    connection = await asyncpg.connect(stage.own.dsn)
    await connection.execute(f"{what} table {stage.place}")
    stage.give_up_undelivered()
    stage.audit.done[done] += 1
    await connection.execute(Postgres(stage.own.dsn, table=stage.place).migration)
    await connection.close()
