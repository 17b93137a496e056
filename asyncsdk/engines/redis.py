"""An engine on Redis or Valkey streams: commands of Redis 6.2 and Valkey 7.2.

For each destination there is one stream with one consumer group, which every relay reads. In the words of the engine:

    put       XADD, pipelined; then WAITAOF or WAIT if so configured
    take      XPENDING and XCLAIM for what an ended relay left, every second; else XREADGROUP
    extend    XCLAIM by its owner, which makes an entry look as if it had just been taken
    ack       XACK and XDEL, in one transaction: an acknowledged entry is gone, so there is nothing to trim
    release   XCLAIM by its owner, which makes an entry look as if it had been idle for days
    stats     XLEN, XPENDING, XRANGE

The group is created at `0`, so what was put before the first relay started is delivered too. XADD has no MAXLEN, which
would delete entries that are not delivered yet: a full server refuses, and the client keeps its events.

A lease is measured by the relay that takes over: all relays of a stream must use the same lease.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, Literal

import attrs

from asyncsdk._model.engines import EngineError, EngineStats, Taken
from asyncsdk.engines._extras import check_count, check_seconds, require
from asyncsdk.engines._redis_errors import reported
from asyncsdk.engines._redis_fleet import RedisFleet
from asyncsdk.engines._redis_urls import connect, disconnect, parse_address
from asyncsdk.errors import ConfigurationError

logger = logging.getLogger("asyncsdk.engine")

_GROUP = "relay"
# Valkey reports the version of Redis that it is compatible with.
_WAITAOF_SINCE = (7, 2)
# Maximum time that XREADGROUP blocks, in seconds; a longer wait is several of them.
_MAX_BLOCK = 5.0
# Seconds between two searches for entries whose lease has expired.
_CLAIM_INTERVAL = 1.0
# Idle time of a released entry, in milliseconds: longer than any lease.
_RELEASED = 10**9
# Seconds between two searches for consumers of ended relays, and how long one must have been idle.
_SWEEP_INTERVAL, _SWEEP_AFTER = 300.0, 3600.0
# Deletes consumers that owe nothing. One script, so that none of them takes an entry in between: deleting a consumer
# with pending entries would make these unreachable.
_SWEEP = """
local swept = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local is = {}
    for i = 1, #consumer, 2 do is[consumer[i]] = consumer[i + 1] end
    if is.pending == 0 and (is.name == ARGV[2] or is.idle >= tonumber(ARGV[3])) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], is.name)
        swept = swept + 1
    end
end
return swept
"""


@attrs.define(eq=False, repr=False)
class _Connections:
    """The clients of one event loop: blocking reads have connections of their own, with a longer timeout."""

    loop: asyncio.AbstractEventLoop
    pid: int
    commands: Any
    reads: Any


class Redis(RedisFleet):
    """Keeps entries in streams of Redis or Valkey.

    Args:
        url: `redis://`, `rediss://` (TLS), `unix://`, `redis+sentinel://` or `redis+cluster://`, with user and
            password; `valkey` may stand for `redis`. See `_redis_urls.py` for the forms.
        prefix: Beginning of all keys: `prefix:{destination}`.
        durability: `server`: an event is accepted when the server has it, which writes it to disk as its own settings
            say (`appendfsync everysec`: a power cut may lose a second). `fsync`: when it is on the server's disk.
        replicas: Number of replicas that must have an event before it is accepted.
        shards: Number of streams for each destination, for a cluster: users are spread over them. The same in all
            clients and relays.
        timeout: Maximum time to wait for the server, in seconds.

    Raises:
        ConfigurationError: The extra `redis` is not installed, or a setting is out of range.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "asyncsdk",
        durability: Literal["server", "fsync"] = "server",
        replicas: int = 0,
        shards: int = 1,
        timeout: float = 3.0,
    ) -> None:
        require("redis", "redis")
        self._address = parse_address(url)
        if durability not in ("server", "fsync"):
            msg = "`durability` must be 'server' or 'fsync'"
            raise ConfigurationError(msg)
        self._prefix = prefix
        self._durability = durability
        self._replicas = check_count(replicas, "replicas", 0)
        self.shards = check_count(shards, "shards", 1)
        self._timeout = check_seconds(timeout, "timeout")
        if self._address.kind == "cluster" and (durability == "fsync" or replicas):
            msg = "a cluster cannot wait for fsync or replicas: set `appendfsync always` in its servers instead"
            raise ConfigurationError(msg)
        self._connections: _Connections | None = None
        self._consumer = ""
        self._can_wait_for_fsync = False
        # Streams into which this engine has put something, and whose group it has seen.
        self._has_put: set[str] = set()
        self._known_groups: set[str] = set()
        self._claim_at: dict[str, float] = {}
        self._sweep_at: dict[str, float] = {}
        self._sweep_interval, self._sweep_after = _SWEEP_INTERVAL, _SWEEP_AFTER

    def __repr__(self) -> str:
        return f"Redis({self._address})"

    # --- connections ------------------------------------------------------------------------------------------

    @property
    def _clients(self) -> _Connections:
        """The clients of the running loop and this process."""
        loop, current = asyncio.get_running_loop(), self._connections
        if current is None or current.loop is not loop or current.pid != os.getpid():
            current = _Connections(
                loop,
                os.getpid(),
                connect(self._address, self._timeout, self._timeout if self._waits else 0.0),
                connect(self._address, self._timeout, _MAX_BLOCK),
            )
            self._connections = current
            self._consumer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
            self._claim_at.clear()
        return current

    @property
    def _waits(self) -> bool:
        return self._durability == "fsync" or self._replicas > 0

    def _key(self, destination: str) -> str:
        # The braces are a hash tag: in a cluster, they decide which server has the stream.
        return f"{self._prefix}:{{{destination}}}"

    async def open(self) -> Sequence[str]:
        """Connect, and check the settings of the server on which events depend."""
        warnings: list[str] = []
        for info in await self._info():
            policy = info.get("maxmemory_policy", "")
            if policy.startswith("allkeys"):
                warnings.append(
                    f"maxmemory-policy is {policy}, which deletes events when memory is full: set noeviction"
                )
            if not info.get("aof_enabled"):
                warnings.append("appendonly is off, so a restart of the server loses events: set it to yes")
        return tuple(dict.fromkeys(warnings))

    async def _info(self) -> Sequence[dict[str, Any]]:
        """Return what the server says of itself; in a cluster, what each of them does.

        Raises:
            EngineError: One is still reading its files: until then it says that it has none.
        """
        with reported():
            answers = await self._clients.commands.info()
        servers: list[dict[str, Any]] = [answers] if "redis_version" in answers else list(answers.values())
        if any(info.get("loading") for info in servers):
            msg = "Redis is loading the dataset in memory"
            raise EngineError(msg)
        return servers

    async def aclose(self) -> None:
        """Close all connections; a relay's consumers that owe nothing are deleted."""
        current, self._connections = self._connections, None
        if current is None or current.loop is not asyncio.get_running_loop() or current.pid != os.getpid():
            return
        for key in self._sweep_at:
            with suppress(Exception):
                await current.commands.eval(_SWEEP, 1, key, _GROUP, self._consumer, int(self._sweep_after * 1000))
        self._sweep_at.clear()
        for client in (current.reads, current.commands):
            await disconnect(client)

    # --- verbs ------------------------------------------------------------------------------------------------

    async def put(self, destination: str, entries: Sequence[bytes]) -> None:
        """Store entries in one round trip."""
        key, client = self._key(destination), self._clients.commands
        if self._durability == "fsync" and not self._can_wait_for_fsync:
            await self._check_fsync()
        is_first = key not in self._has_put
        with reported():
            async with client.pipeline(transaction=False) as pipeline:
                if is_first:
                    # Now, as a relay could not create it once the server is full: XGROUP needs memory, too.
                    pipeline.xgroup_create(key, _GROUP, id="0", mkstream=True)
                for entry in entries:
                    pipeline.xadd(key, {"d": entry})
                if self._waits:
                    # It waits for what its own connection wrote, so it has to be in the same pipeline.
                    milliseconds = int(self._timeout * 1000)
                    command = ("WAITAOF", 1) if self._durability == "fsync" else ("WAIT",)
                    pipeline.execute_command(*command, self._replicas, milliseconds)
                replies = await _execute(pipeline, may_fail=int(is_first))
        self._has_put.add(key)
        if self._waits:
            self._check_copies(replies[-1])

    def _check_copies(self, reply: Any) -> None:
        on_disk, copies = reply if self._durability == "fsync" else (1, reply)
        if on_disk < 1:
            msg = "the server did not write to its disk in time"
            raise EngineError(msg)
        if copies < self._replicas:
            msg = f"{copies} of {self._replicas} replicas answered in time"
            raise EngineError(msg)

    async def _check_fsync(self) -> None:
        """Check, before anything is written, that the server can wait for its disk.

        Raises:
            EngineError: It cannot.
        """
        info = (await self._info())[0]
        version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2] if part.isdecimal())
        if not info.get("aof_enabled"):
            msg = "durability='fsync' needs a server with appendonly yes"
            raise EngineError(msg, refused=True)
        if version < _WAITAOF_SINCE:
            msg = "durability='fsync' needs WAITAOF, of Redis 7.2 or Valkey; with an older one, set appendfsync always"
            raise EngineError(msg, refused=True)
        self._can_wait_for_fsync = True

    async def take(self, destination: str, number: int, wait: float, lease: float) -> Sequence[Taken]:
        """Take entries whose lease has expired, or else new ones."""
        key, until = self._key(destination), time.monotonic() + wait
        clients = self._clients
        with reported():
            while True:
                now = time.monotonic()
                if now >= self._claim_at.get(key, 0.0):
                    claim = self._claim(clients.commands, key, number, lease)
                    taken: Sequence[Taken] = await self._in_group(key, claim)
                    if taken:
                        return taken
                    self._claim_at[key] = now + min(_CLAIM_INTERVAL, lease / 2)
                    await self._sweep(clients.commands, key, now)
                left = min(until, self._claim_at[key]) - time.monotonic()
                # BLOCK 0 would never time out.
                block = max(1, int(min(left, _MAX_BLOCK) * 1000)) if left > 0 else None
                read = clients.reads.xreadgroup(_GROUP, self._consumer, {key: ">"}, count=number, block=block)
                found = await self._in_group(key, read)
                if found:
                    return [Taken(entry_id, fields[b"d"], 1) for entry_id, fields in found[0][1] if fields]
                if time.monotonic() >= until:
                    return ()

    async def _claim(self, client: Any, key: str, number: int, lease: float) -> list[Taken]:
        """Take entries whose lease has expired: those of relays that were killed, or that released them."""
        idle = max(1, int(lease * 1000))
        pending = await client.xpending_range(key, _GROUP, "-", "+", number, idle=idle)
        if not pending:
            return []
        deliveries = {entry["message_id"]: entry["times_delivered"] + 1 for entry in pending}
        claimed = await client.xclaim(key, _GROUP, self._consumer, idle, list(deliveries))
        # An entry that was deleted meanwhile is None, or has no fields.
        found = [pair for pair in claimed if pair and pair[0] and pair[1]]
        return [Taken(entry_id, fields[b"d"], deliveries[entry_id]) for entry_id, fields in found]

    async def _in_group(self, key: str, command: Awaitable[Any]) -> Any:
        """Await a command of the group; if there is no group, create it, and return nothing this time."""
        from redis.exceptions import ResponseError  # noqa: PLC0415 -- an extra

        try:
            result = await command
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
        else:
            self._known_groups.add(key)
            return result
        if key in self._known_groups:
            logger.warning("engine: the stream %s or its group was deleted; it is created again", key)
        with suppress(ResponseError):  # another relay was faster
            await self._clients.commands.xgroup_create(key, _GROUP, id="0", mkstream=True)
        self._known_groups.add(key)
        return ()

    async def _sweep(self, client: Any, key: str, now: float) -> None:
        """Delete consumers of relays that ended long ago and owe nothing."""
        from redis.exceptions import ResponseError  # noqa: PLC0415 -- an extra

        if now < self._sweep_at.setdefault(key, now):
            return
        self._sweep_at[key] = now + self._sweep_interval
        with suppress(ResponseError):  # a server without scripts, or with an ACL against them: consumers cost little
            await client.eval(_SWEEP, 1, key, _GROUP, "", int(self._sweep_after * 1000))

    async def extend(self, destination: str, leases: Sequence[Any], lease: float) -> None:
        """Renew leases that were not lost."""
        await self._reclaim(destination, leases)

    async def release(self, destination: str, leases: Sequence[Any]) -> None:
        """Hand entries back."""
        await self._reclaim(destination, leases, idle=_RELEASED, retrycount=0)

    async def _reclaim(self, destination: str, leases: Sequence[Any], **options: int) -> None:
        """Claim entries that this consumer has, which sets how long ago they were taken."""
        key, client = self._key(destination), self._clients.commands
        if not leases:
            return
        with reported():
            # Ids in order, as bytes of different lengths.
            ids = sorted(leases, key=lambda entry_id: tuple(map(int, entry_id.split(b"-"))))
            mine = await self._in_group(
                key, client.xpending_range(key, _GROUP, ids[0], ids[-1], 100_000, consumername=self._consumer)
            )
            wanted = set(ids)
            kept = [entry["message_id"] for entry in mine if entry["message_id"] in wanted]
            if kept:
                await client.xclaim(key, _GROUP, self._consumer, 0, kept, justid=True, **options)

    async def ack(self, destination: str, leases: Sequence[Any]) -> None:
        """Delete entries."""
        key, client = self._key(destination), self._clients.commands
        if not leases:
            return
        with reported():
            async with client.pipeline(transaction=True) as pipeline:
                pipeline.xack(key, _GROUP, *leases)
                pipeline.xdel(key, *leases)
                await _execute(pipeline)

    async def stats(self, destination: str) -> EngineStats:
        """Count the entries of a destination."""
        key, client = self._key(destination), self._clients.commands
        with reported():
            entries = await client.xlen(key)
            summary = await self._in_group(key, client.xpending(key, _GROUP)) or {"pending": 0}
            released = await self._in_group(
                key, client.xpending_range(key, _GROUP, "-", "+", 10_000, idle=_RELEASED // 2)
            )
            first = await client.xrange(key, count=1)
            seconds, microseconds = await client.time()
        taken = max(0, summary["pending"] - len(released))
        oldest = 0.0
        if first:
            oldest = max(0.0, seconds + microseconds / 1e6 - int(first[0][0].split(b"-")[0]) / 1000)
        return EngineStats(max(0, entries - taken), taken, oldest)


async def _execute(pipeline: Any, may_fail: int = 0) -> Sequence[Any]:
    """Execute a pipeline; raise the first error as the server said it: redis-py would repeat the command in it.

    Args:
        pipeline: The pipeline.
        may_fail: Number of commands at its beginning whose errors do not matter.
    """
    replies: Sequence[Any] = await pipeline.execute(raise_on_error=False)
    for reply in replies[may_fail:]:
        if isinstance(reply, Exception):
            raise reply
    return replies
