"""What a fleet shares in Redis besides events: rules, sticky assignments, and which exposures were reported.

Keys of rules, as Statsig's own SDKs have them:

    statsig|/v2/download_config_specs|plain_text|{hash of the secret key}   the ruleset, as it was downloaded
    statsig|/v1/get_id_lists|plain_text|{hash}                              the manifest of ID lists
    statsig|id_list::{name}|plain_text|{hash}                               the file of an ID list

They are strings, or fields of one hash (`layout`). Beside them, with a hash tag that puts them on the same server of a
cluster: who leads (`asyncsdk:leader:{...}`), the leader's token and when the vendor was asked (`asyncsdk:lead:{...}`),
and what was written last (`asyncsdk:written:{...}`). Every change is one script, so that nothing comes in between.
"""

import asyncio
import secrets
import zlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from hashlib import sha1
from typing import Any, Literal, Protocol

import orjson

from asyncsdk._model.engines import EngineError
from asyncsdk._model.fleet import Copy, Lead, WriteStatus
from asyncsdk.engines._extras import check_seconds
from asyncsdk.engines._part import Part, RulesPart
from asyncsdk.engines._redis_errors import reported
from asyncsdk.engines._redis_exposures import RedisExposures
from asyncsdk.errors import ConfigurationError

Layout = Literal["strings", "hash"]

# The hash of the package statsig-node-redis 1, whose values are deflated and in base64.
_HASH = "statsig-redis"
# Time between two looks where nothing notifies, in seconds.
_LOOK_INTERVAL = 1.0

# Tokens are at least the time in milliseconds, so that they grow even if the server lost the last one.
_LEAD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local holder = redis.call('GET', KEYS[1])
local token = tonumber(redis.call('HGET', KEYS[2], 'token') or '0')
if holder and holder ~= ARGV[1] then return {0, 0} end
if holder and token > 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
    token = math.max(token + 1, now)
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    redis.call('HSET', KEYS[2], 'token', string.format('%.0f', token))
end
if ARGV[3] == '' then return {token, 0} end
local asked = tonumber(redis.call('HGET', KEYS[2], 'asked ' .. ARGV[3]) or '0')
local due = asked + ARGV[4] - now
if due > tonumber(ARGV[4]) then due = 0 end
if due <= 0 then redis.call('HSET', KEYS[2], 'asked ' .. ARGV[3], string.format('%.0f', now)) end
return {token, due}
"""
_RESIGN = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"
# The version is the SHA-1 of what is stored: another SDK may write it. It is computed again if the length has changed.
_CURRENT = """
local function stored()
    if ARGV[1] ~= '' then return redis.call('HGET', KEYS[1], ARGV[1]) end
    return redis.call('GET', KEYS[1])
end
"""
_READ = (
    _CURRENT
    + """
local size = ARGV[1] ~= '' and redis.call('HSTRLEN', KEYS[1], ARGV[1]) or redis.call('STRLEN', KEYS[1])
if size == 0 then return {'', ''} end
local written = redis.call('HMGET', KEYS[2], 'version', 'size', 'generation')
local version, generation, body = written[1], written[3] or '', false
if tonumber(written[2] or '-1') ~= size then
    body = stored()
    version, generation = redis.sha1hex(body), ''
end
if version == ARGV[2] then return {version, generation} end
return {version, generation, body or stored()}
"""
)
_WRITE = (
    _CURRENT
    + """
if tonumber(redis.call('HGET', KEYS[3], 'token') or '0') > tonumber(ARGV[3]) then return 'fenced' end
local body = stored()
if (body and redis.sha1hex(body) or '') ~= ARGV[2] then return 'changed' end
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], ARGV[1], ARGV[4]) else redis.call('SET', KEYS[1], ARGV[4]) end
redis.call('HSET', KEYS[2], 'version', ARGV[5], 'size', #ARGV[4], 'generation', ARGV[6])
if KEYS[3] == KEYS[2] then redis.call('HSET', KEYS[2], 'token', ARGV[3]) end
redis.call('PUBLISH', ARGV[7], ARGV[5])
return 'written'
"""
)
_REPLACE = """
if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'body', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[2])
return 1
"""
_SWAP = """
local current = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if current ~= ARGV[2] then return current end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return ARGV[3]
"""


class _Connections(Protocol):
    commands: Any
    reads: Any


class RedisFleet:
    """What `Redis` keeps for a fleet besides events."""

    _prefix: str
    _address: Any

    @property
    def _clients(self) -> _Connections:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close all connections."""
        raise NotImplementedError

    async def _notices(self, channel: str) -> AsyncIterator[None]:
        """Yield now, and each time something was published on a channel; in a cluster, every second."""
        if self._address.kind == "cluster":
            while True:
                yield
                await asyncio.sleep(_LOOK_INTERVAL)
        with reported():
            async with self._clients.reads.pubsub() as messages:
                await messages.subscribe(channel)
                # The first message confirms the subscription: what was written before it is not announced.
                while True:
                    if await messages.get_message(timeout=_LOOK_INTERVAL) is not None:
                        yield

    def rules(self, *, may_write: bool = True, layout: Layout = "strings", ttl: float = 3.0) -> "RedisRules":
        """Return where a fleet shares its rules, for `Rules(shared=...)`.

        Args:
            may_write: Whether this process may lead: poll the vendor for all, and write. At least one of the fleet
                must, or another SDK of Statsig with a data adapter.
            layout: How the data adapters of Statsig's other SDKs keep rules: `strings`, a key each, as those that get
                and set a key do; or `hash`, that of statsig-node-redis.
            ttl: Time after which another process leads if the leader does not renew its lead, in seconds.

        Raises:
            ConfigurationError: A setting has a wrong value.
        """
        return RedisRules(self, may_write=may_write, layout=layout, ttl=ttl)

    def assignments(self, *, max_age: float | None = None) -> "RedisAssignments":
        """Return where a fleet keeps sticky assignments, for `Rules(assignments=...)`.

        Args:
            max_age: Time after its last change after which a unit's assignments are deleted, in seconds; None keeps
                them.

        Raises:
            ConfigurationError: `max_age` is not a number of seconds above 0.
        """
        return RedisAssignments(self, max_age)

    def overrides(self) -> "RedisOverrides":
        """Return where a fleet shares its overrides, for `Rules(overrides=...)`."""
        return RedisOverrides(self)

    def exposures(self, *, window: float = 3600.0, max_exposures: int = 1_000_000) -> RedisExposures:
        """Return where a fleet records which exposures were reported, for `Client(shared_exposures=...)`.

        Args:
            window: Time after which an exposure is reported again, in seconds.
            max_exposures: Maximum number that the server keeps, about 100 bytes each; beyond it, exposures are reported
                without being recorded.

        Raises:
            ConfigurationError: A setting is out of range.
        """
        return RedisExposures(self, window, max_exposures)


class RedisRules(RulesPart[RedisFleet]):
    """Rules that a fleet shares in Redis; see `SharedRules`."""

    def __init__(self, engine: RedisFleet, *, may_write: bool, layout: Layout, ttl: float) -> None:
        super().__init__(engine, may_write=may_write, ttl=ttl)
        if layout not in ("strings", "hash"):
            raise ConfigurationError("`layout` must be 'strings' or 'hash'")
        self._layout = layout
        self._me = secrets.token_hex(8)

    def _beside(self, what: str, key: str) -> str:
        return f"{self.engine._prefix}:{what}:{{{key}}}"

    def _place(self, key: str) -> tuple[str, str, str]:
        """Return the key in Redis, the field in it ("" for a string), and the key of what was written last."""
        if self._layout == "hash":
            return _HASH, key, self._beside("written", _HASH) + f":{key}"
        return key, "", self._beside("written", key)

    async def lead(self, project: str, ttl: float, key: str = "", interval: float = 0.0) -> Lead | None:
        """Take the lead, or renew it."""
        keys = self._beside("leader", project), self._beside("lead", project)
        with reported():
            token, due = await self.engine._clients.commands.eval(
                _LEAD, 2, *keys, self._me, int(ttl * 1000), key, int(interval * 1000)
            )
        return Lead(int(token), int(due) / 1000) if token else None

    async def resign(self, project: str) -> None:
        """Let another process lead at once."""
        with reported():
            await self.engine._clients.commands.eval(_RESIGN, 1, self._beside("leader", project), self._me)

    async def read(self, project: str, key: str, known: str = "") -> Copy:
        """Return what is stored under a key."""
        place, field, written = self._place(key)
        with reported():
            reply = await self.engine._clients.commands.eval(_READ, 2, place, written, field, known)
        version, generation, *body = reply
        return Copy(version.decode(), self._unpacked(body[0]) if body else None, generation.decode())

    async def write(
        self, project: str, key: str, body: bytes, *, replaces: str, token: int, generation: str = ""
    ) -> tuple[WriteStatus, str]:
        """Replace what is stored under a key, and notify the others."""
        place, field, written = self._place(key)
        stored = b64encode(zlib.compress(body)) if field else body
        version = sha1(stored).hexdigest()  # noqa: S324 -- what Redis has; it guards against accidents only
        # In a cluster, only the ruleset is on the server that knows the leader.
        is_apart = self.engine._address.kind == "cluster" and (bool(field) or key != project)
        fence = written if is_apart else self._beside("lead", project)
        with reported():
            status = await self.engine._clients.commands.eval(
                *(_WRITE, 3, place, written, fence, field, replaces, token, stored, version, generation),
                self._beside("notice", project),
            )
        done: WriteStatus = status.decode()
        return done, version if done == "written" else ""

    def notices(self, project: str) -> AsyncIterator[None]:
        """Yield now, and each time something was written; in a cluster, every second."""
        return self.engine._notices(self._beside("notice", project))

    def _unpacked(self, stored: bytes) -> bytes:
        if self._layout == "strings":
            return stored
        try:
            return zlib.decompress(b64decode(stored, validate=True))
        except (ValueError, zlib.error):
            raise EngineError("the stored rules are not in the form of statsig-node-redis") from None


class RedisOverrides(Part[RedisFleet]):
    """Overrides that a fleet shares, in a hash of their version and text; see `SharedOverrides`."""

    kind = "overrides"

    def _key(self, project: str) -> str:
        return f"{self.engine._prefix}:overrides:{{{project}}}"

    async def read(self, project: str, known: str = "") -> Copy:
        """Return what is stored."""
        with reported():
            version, body = await self.engine._clients.commands.hmget(self._key(project), "version", "body")
        if version is None or body is None:
            return Copy()
        return Copy(version.decode(), None if version.decode() == known else body)

    async def write(self, project: str, body: bytes, *, replaces: str) -> str | None:
        """Replace what is stored, if that is the version `replaces`."""
        version, key = sha1(body).hexdigest(), self._key(project)  # noqa: S324 -- it guards against accidents only
        with reported():
            is_done = await self.engine._clients.commands.eval(_REPLACE, 1, key, replaces, version, body, key)
        return version if is_done else None

    def notices(self, project: str) -> AsyncIterator[None]:
        """Yield now, and each time something was written; in a cluster, every second."""
        return self.engine._notices(self._key(project))


class RedisAssignments(Part[RedisFleet]):
    """Sticky assignments of a fleet, a hash for each unit; an `AssignmentStore` with `compare_and_set`."""

    kind = "assignments"

    def __init__(self, engine: RedisFleet, max_age: float | None) -> None:
        super().__init__(engine)
        self._max_age = 0 if max_age is None else max(1, int(check_seconds(max_age, "max_age") * 1000))

    def _key(self, unit: str) -> bytes:
        return f"{self.engine._prefix}:assignments:{unit}".encode("utf-8", "replace")

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a unit's assignments by name; empty if there are none."""
        with reported():
            found = await self.engine._clients.commands.hgetall(self._key(key))
        decoded = {name.decode("utf-8", "replace"): decode(value) for name, value in found.items()}
        return {name: value for name, value in decoded.items() if value is not None}

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        """Save one assignment of a unit; None deletes it."""
        unit, field = self._key(key), name.encode("utf-8", "replace")
        with reported():
            async with self.engine._clients.commands.pipeline(transaction=False) as pipeline:
                if assignment is None:
                    pipeline.hdel(unit, field)
                else:
                    pipeline.hset(unit, field, encode(assignment))
                if self._max_age:
                    pipeline.pexpire(unit, self._max_age)
                await pipeline.execute()

    async def compare_and_set(
        self, key: str, name: str, expected: Mapping[str, Any] | None, assignment: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """Save one assignment if the stored one is `expected`; return what is stored afterwards."""
        before, after = encode(expected), encode(assignment)
        unit, field = self._key(key), name.encode("utf-8", "replace")
        with reported():
            swap = self.engine._clients.commands.eval
            current: bytes = await swap(_SWAP, 1, unit, field, before, after, self._max_age)
            if expected is None and current != after and decode(current) is None:  # damaged: as if there were none
                current = await swap(_SWAP, 1, unit, field, current, after, self._max_age)
        return decode(current)


def encode(assignment: Mapping[str, Any] | None) -> bytes:
    """Return an assignment as JSON that is equal for equal assignments; b"" for None."""
    return b"" if assignment is None else orjson.dumps(assignment, option=orjson.OPT_SORT_KEYS)


def decode(stored: bytes | str | None) -> Mapping[str, Any] | None:
    """Return a stored assignment; None if it is none."""
    with suppress(orjson.JSONDecodeError):
        found = orjson.loads(stored or b"null")
        return found if isinstance(found, dict) else None
    return None
