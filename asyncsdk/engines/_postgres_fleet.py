"""What a fleet shares in Postgres besides events: rules, sticky assignments, and which exposures were reported.

Each has a table of its own beside that of the events, made by the same migration. Time is the server's.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha1
from typing import Any

import orjson

from asyncsdk._model.fleet import Copy, Lead, WriteStatus
from asyncsdk.engines._extras import check_count
from asyncsdk.engines._part import ExposuresPart, Part, RulesPart
from asyncsdk.engines._postgres_errors import reported
from asyncsdk.engines._postgres_fleet_sql import FleetStatements

# Time between two looks where nothing notifies, in seconds.
_LOOK_INTERVAL = 1.0
# Key of the overrides, among the rules.
_OVERRIDES = "overrides"
# Time between two counts of the recorded exposures, in seconds.
_COUNT_INTERVAL = 60.0


class PostgresFleet:
    """What `Postgres` keeps for a fleet besides events."""

    _pooler: bool
    _dsn: str
    _fleet: FleetStatements

    @property
    def _options(self) -> dict[str, Any]:
        raise NotImplementedError

    async def _fetch(self, statement: str, *arguments: object) -> Sequence[Any]:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close all connections."""
        raise NotImplementedError

    async def _notices(self, topic: str) -> AsyncIterator[None]:
        """Yield now, and each time something was written to a topic; behind a pooler, every second."""
        import asyncpg  # noqa: PLC0415 -- an extra

        if self._pooler:
            while True:
                yield
                await asyncio.sleep(_LOOK_INTERVAL)
        noticed = asyncio.Event()
        noticed.set()  # what was written before it listened was not announced

        def notice(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            if payload == topic:
                noticed.set()

        with reported():
            connection = await asyncpg.connect(self._dsn, **self._options)
            try:
                await connection.add_listener(self._fleet.channel, notice)
                while not connection.is_closed():
                    if noticed.is_set():
                        noticed.clear()
                        yield
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_INTERVAL):
                            await noticed.wait()
            finally:
                connection.terminate()

    def rules(self, *, may_write: bool = True, ttl: float = 3.0) -> "PostgresRules":
        """Return where a fleet shares its rules, for `Rules(shared=...)`.

        Args:
            may_write: Whether this process may lead: poll the vendor for all, and write. At least one of the fleet
                must.
            ttl: Time after which another process leads if the leader does not renew its lead, in seconds.

        Raises:
            ConfigurationError: A setting has a wrong value.
        """
        return PostgresRules(self, may_write=may_write, ttl=ttl)

    def assignments(self) -> "PostgresAssignments":
        """Return where a fleet keeps sticky assignments, for `Rules(assignments=...)`."""
        return PostgresAssignments(self)

    def overrides(self) -> "PostgresOverrides":
        """Return where a fleet shares its overrides, for `Rules(overrides=...)`."""
        return PostgresOverrides(self)

    def exposures(self, *, window: float = 3600.0, max_exposures: int = 1_000_000) -> "PostgresExposures":
        """Return where a fleet records which exposures were reported, for `Client(shared_exposures=...)`.

        Args:
            window: Time after which an exposure is reported again, in seconds.
            max_exposures: Maximum number that the server keeps, about 100 bytes each; beyond it, exposures are reported
                without being recorded.

        Raises:
            ConfigurationError: A setting is out of range.
        """
        return PostgresExposures(self, window, max_exposures)


class PostgresRules(RulesPart[PostgresFleet]):
    """Rules that a fleet shares in Postgres; see `SharedRules`."""

    def __init__(self, engine: PostgresFleet, *, may_write: bool, ttl: float) -> None:
        super().__init__(engine, may_write=may_write, ttl=ttl)
        self._sql = engine._fleet
        self._me = secrets.token_hex(8)

    async def lead(self, project: str, ttl: float, key: str = "", interval: float = 0.0) -> Lead | None:
        """Take the lead, or renew it."""
        rows = await self.engine._fetch(self._sql.lead, project, self._me, float(ttl))
        if not rows:
            return None
        token: int = rows[0]["token"]
        if not key or await self.engine._fetch(self._sql.ask, project, token, key, float(interval)):
            return Lead(token)
        due = await self.engine._fetch(self._sql.due, project, key, float(interval))
        return Lead(token, max(0.001, due[0]["due"]) if due else 0.001)

    async def resign(self, project: str) -> None:
        """Let another process lead at once."""
        await self.engine._fetch(self._sql.resign, project, self._me)

    async def read(self, project: str, key: str, known: str = "") -> Copy:
        """Return what is stored under a key."""
        rows = await self.engine._fetch(self._sql.read, project, key, known)
        return Copy(rows[0]["version"], rows[0]["body"], rows[0]["generation"]) if rows else Copy()

    async def write(
        self, project: str, key: str, body: bytes, *, replaces: str, token: int, generation: str = ""
    ) -> tuple[WriteStatus, str]:
        """Replace what is stored under a key, and notify the others."""
        version = sha1(body).hexdigest()  # noqa: S324 -- as in Redis; it guards against accidents only
        arguments = project, key, version, generation, body, token, replaces
        if await self.engine._fetch(self._sql.write, *arguments):
            return "written", version
        is_fenced = await self.engine._fetch(self._sql.fenced, project, token)
        return ("fenced" if is_fenced else "changed"), ""

    def notices(self, project: str) -> AsyncIterator[None]:
        """Yield now, and each time something was written; behind a pooler, every second."""
        return self.engine._notices(project)


class PostgresOverrides(Part[PostgresFleet]):
    """Overrides that a fleet shares in Postgres, in the table of the rules; see `SharedOverrides`."""

    kind = "overrides"

    def __init__(self, engine: PostgresFleet) -> None:
        super().__init__(engine)
        self._sql = engine._fleet

    async def read(self, project: str, known: str = "") -> Copy:
        """Return what is stored."""
        rows = await self.engine._fetch(self._sql.read, _place_of(project), _OVERRIDES, known)
        return Copy(rows[0]["version"], rows[0]["body"]) if rows else Copy()

    async def write(self, project: str, body: bytes, *, replaces: str) -> str | None:
        """Replace what is stored, if that is the version `replaces`."""
        version = sha1(body).hexdigest()  # noqa: S324 -- it guards against accidents only
        arguments = _place_of(project), _OVERRIDES, version, body, replaces
        return version if await self.engine._fetch(self._sql.override, *arguments) else None

    def notices(self, project: str) -> AsyncIterator[None]:
        """Yield now, and each time something was written; behind a pooler, every second."""
        return self.engine._notices(_place_of(project))


class PostgresAssignments(Part[PostgresFleet]):
    """Sticky assignments of a fleet, a row each; an `AssignmentStore` with `compare_and_set`."""

    kind = "assignments"

    def __init__(self, engine: PostgresFleet) -> None:
        super().__init__(engine)
        self._sql = engine._fleet

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a unit's assignments by name; empty if there are none."""
        rows = await self.engine._fetch(self._sql.load, _text(key))
        return {row["name"]: orjson.loads(row["assignment"]) for row in rows}

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        """Save one assignment of a unit; None deletes it."""
        if assignment is None:
            await self.engine._fetch(self._sql.delete, _text(key), _text(name))
        else:
            await self.engine._fetch(self._sql.save, _text(key), _text(name), _encode(assignment))

    async def compare_and_set(
        self, key: str, name: str, expected: Mapping[str, Any] | None, assignment: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """Save one assignment if the stored one is `expected`; return what is stored afterwards."""
        place = _text(key), _text(name)
        if expected is None and assignment is not None:
            done = await self.engine._fetch(self._sql.insert, *place, _encode(assignment))
        elif expected is not None and assignment is not None:
            done = await self.engine._fetch(self._sql.update, *place, _encode(assignment), _encode(expected))
        elif expected is not None:
            done = await self.engine._fetch(self._sql.delete_expected, *place, _encode(expected))
        else:
            done = ()
        if done:
            return assignment
        rows = await self.engine._fetch(self._sql.load_one, *place)
        return orjson.loads(rows[0]["assignment"]) if rows else None


class PostgresExposures(ExposuresPart[PostgresFleet]):
    """Exposures that a fleet has reported, a row each in a table without a log; see `SharedExposures`."""

    def __init__(self, engine: PostgresFleet, window: float, max_exposures: int) -> None:
        super().__init__(engine, window)
        self._sql = engine._fleet
        self._max_exposures = check_count(max_exposures, "max_exposures", 1)
        self._count_at, self._is_full = 0.0, False

    async def claim(self, exposures: Sequence[bytes]) -> Sequence[bool]:
        """Record exposures as reported; return for each whether it is new."""
        window, now = int(time.time() // self._window), time.monotonic()
        if now >= self._count_at:
            self._count_at = now + min(_COUNT_INTERVAL, self._window)
            await self.engine._fetch(self._sql.expire, window)
            rows = await self.engine._fetch(self._sql.count, self._max_exposures)
            self._is_full = rows[0]["count"] >= self._max_exposures
        if self._is_full:
            return [True] * len(exposures)
        rows = await self.engine._fetch(self._sql.claim, list(exposures), window)
        new = {row["digest"] for row in rows}
        return [one in new for one in exposures]

    async def release(self, exposures: Sequence[bytes]) -> None:
        """Forget exposures."""
        await self.engine._fetch(self._sql.forget, list(exposures))


def _place_of(project: str) -> str:
    # Not that of the rules, whose readers a notice would wake.
    return f"{project} {_OVERRIDES}"


def _encode(assignment: Mapping[str, Any]) -> str:
    return orjson.dumps(assignment, option=orjson.OPT_SORT_KEYS).decode()


def _text(given: str) -> str:
    """Return text that Postgres can store: it takes neither NUL nor half of a surrogate pair."""
    return given.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
