"""One poller for a fleet: a process that leads polls the vendor, and the others read what it has written.

`SharedPoller` stands between a poll and the network. A poll of the rules, or of the manifest of ID lists, is answered
by the first of these that applies:

    1. the engine has a version that this process has not read     that version; a leader polls again at once
    2. this process leads, and it is time to ask the vendor         the vendor
    3. the engine has something                                     "nothing new"
    4. the engine has nothing, and nothing arrives for two seconds   the vendor
    5. the engine is unavailable                                     the vendor, from a random moment of the interval on

The engine decides when it is time (`SharedRules.lead`), so that a fleet whose leader changes asks no more often than a
single process. It notifies the others of what was written; a notice that is lost costs a poll's interval.

What the leader writes has been installed before, so a damaged download stays with it. No older ruleset replaces a newer
one: a write names the version that it replaces, of which this process knows that it is not newer, and the token of the
leader, so that one that was paused cannot write (`_model/fleet.py`).

The files of ID lists are shared too (`shared_list_files.py`), and written before the manifest that names them.

Example: twenty processes start. One leads and polls; the others wait for its rules, which takes one request to the
vendor. The leader is killed: after three seconds another one leads, and polls when the next poll is due. The engine is
down: all keep their rules, and each polls for itself; once it is back, they share again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from random import uniform
from typing import Literal

import attrs
import orjson

from asyncsdk._failures import FailureStreak
from asyncsdk._model.fleet import Copy, Lead, SharedRules
from asyncsdk._refresh.polling import logger
from asyncsdk._retry import waits
from asyncsdk._threads import in_thread
from asyncsdk.vendors._base import Response
from asyncsdk.vendors.statsig import Statsig

Role = Literal["", "leader", "follower", "alone"]
"""The part of this process: `alone` while the engine is unavailable; "" if rules are not shared."""

Ask = Callable[..., Awaitable[Response]]
"""Asks the vendor for what is new; with `for_all=True`, for everything."""

# Time to wait for the first copy of the engine, in seconds.
_PATIENCE = 2.0
# The vendor may be asked a little before the interval ends, because polls vary by a tenth.
_INTERVAL_SHARE = 0.89
_RETRY_INITIAL, _RETRY_MAX = 0.2, 5.0
_MAX_CALL = 5.0
_MAX_CLOSE = 1.0
_NOTHING_NEW = Response(304)


@attrs.define(eq=False)
class _Topic:
    """What is shared under one key.

    Attributes:
        key: The key.
        interval: Returns the time between two requests to the vendor, in seconds.
        wake: Polls soon.
        copy: The version that this process has read or written last.
        body: Its content, until it is installed.
        is_behind: Whether the engine has something older than what this process uses.
        has_failed: Whether the vendor's latest answer was a failure, so that the next request need not wait.
    """

    key: str
    interval: Callable[[], float]
    wake: Callable[[], None]
    copy: Copy = Copy()
    body: bytes | None = None
    is_behind: bool = False
    has_failed: bool = False
    timer: asyncio.TimerHandle | None = None

    def wake_in(self, seconds: float) -> None:
        """Poll after a time; an earlier call is replaced."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(seconds, self.wake)


class SharedPoller:
    """The part that a process has in the polling of its fleet.

    Attributes:
        streak: Failures of the engine.
    """

    def __init__(self, shared: SharedRules, project: str, name: str) -> None:
        """Start as a follower.

        Args:
            shared: Where rules are shared.
            project: Names the rules of one secret key.
            name: Name of the source, for the log.
        """
        self.streak = FailureStreak(f"{name} shared rules")
        self._notices = FailureStreak(f"{name} notices of shared rules")
        self._shared, self._project, self._name = shared, project, name
        self._topics: dict[str, _Topic] = {}
        self._lead: Lead | None = None
        self._lead_until = 0.0
        self._noticed = asyncio.Event()
        self._asks_vendor: set[str] = set()

    @property
    def role(self) -> Role:
        """The part of this process now."""
        if self.streak.failures:
            return "alone"
        return "leader" if self.leads else "follower"

    @property
    def leads(self) -> bool:
        """Whether this process has the lead now, as far as it can know."""
        return self._lead is not None and time.monotonic() < self._lead_until

    def share(self, key: str, interval: Callable[[], float], wake: Callable[[], None]) -> None:
        """Share what is polled under a key.

        Args:
            key: The key.
            interval: Returns the time between two requests to the vendor, in seconds.
            wake: Polls soon.
        """
        self._topics[key] = _Topic(key, interval, wake)

    def ask_vendor(self) -> None:
        """Ask the vendor at the next poll of each key: a caller wants what the vendor has now."""
        self._asks_vendor |= self._topics.keys()

    # --- the tasks --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the lead, or try to get it, and listen for notices, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                if self._shared.may_write:
                    group.create_task(self._campaign())
                group.create_task(self._listen())
        finally:
            for topic in self._topics.values():
                if topic.timer is not None:
                    topic.timer.cancel()
            if self._lead is not None:
                self._lead = None
                with suppress(Exception):
                    async with asyncio.timeout(_MAX_CLOSE):
                        await self._shared.resign(self._project)

    async def _campaign(self) -> None:
        pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
        while True:
            had_lead, pause = self.leads, uniform(0.25, 0.33) * self._shared.ttl  # noqa: S311 -- spreads load, guards nothing
            try:
                await self._renew()
            except Exception as error:  # noqa: BLE001 -- an engine of the user may raise anything
                self._record_failure(error)
                pause = next(pauses)
            else:
                pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
                if self.leads and not had_lead:
                    logger.info("%s: this process polls the rules for its fleet", self._name)
                    self._wake_all()
                self._record_success()
            await asyncio.sleep(pause)

    async def _renew(self, key: str = "", interval: float = 0.0) -> Lead | None:
        """Take or renew the lead, and ask whether it is time to ask the vendor for `key`."""
        began = time.monotonic()
        async with asyncio.timeout(_MAX_CALL):
            lead = await self._shared.lead(self._project, self._shared.ttl, key, interval)
        self._lead, self._lead_until = lead, began + self._shared.ttl
        return lead if self.leads else None

    async def _listen(self) -> None:
        pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
        while True:
            try:
                async with aclosing(self._shared.notices(self._project)) as notices:  # type: ignore[type-var]
                    async for _ in notices:
                        pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
                        self._notices.record_success()
                        noticed, self._noticed = self._noticed, asyncio.Event()
                        noticed.set()
                        if not self.leads:
                            self._wake_all()
            except Exception as error:  # noqa: BLE001 -- as above
                self._notices.record_failure(_reason_of(error), "reading at the next poll")
            await asyncio.sleep(next(pauses))

    def _wake_all(self) -> None:
        for topic in self._topics.values():
            topic.wake()

    def _record_failure(self, error: Exception) -> None:
        is_refused = getattr(error, "refused", False)
        self.streak.record_failure(_reason_of(error), "polling the vendor from this process", refused=is_refused)

    def _record_success(self) -> None:
        was_alone = bool(self.streak.failures)
        self.streak.record_success()
        if was_alone:
            self._wake_all()

    # --- polls ------------------------------------------------------------------------------------------------

    async def fetch(self, key: str, ask: Ask, *, has_any: bool) -> Response:
        """Return what a poll of the vendor would, from the engine if possible.

        Args:
            key: What is polled, as given to `share`.
            ask: Asks the vendor.
            has_any: Whether this process has something to answer lookups from.
        """
        topic = self._topics[key]
        if key in self._asks_vendor:
            self._asks_vendor.discard(key)
            return await ask()
        is_first_failure = not self.streak.failures
        try:
            response = await self._fetch_shared(topic, ask)
        except Exception as error:  # noqa: BLE001 -- an engine of the user may raise anything
            self._record_failure(error)
        else:
            return response
        if is_first_failure and has_any:
            # Otherwise the whole fleet would ask the vendor at the same moment.
            await asyncio.sleep(uniform(0, topic.interval()))  # noqa: S311
        return await ask()

    async def _fetch_shared(self, topic: _Topic, ask: Ask) -> Response:
        copy = await self._read(topic)
        if copy.body is not None:
            return self._read_response(topic, copy)
        if self.leads:
            is_urgent = topic.has_failed or not copy.version
            interval = 0.0 if is_urgent else topic.interval() * _INTERVAL_SHARE
            lead = await self._renew(topic.key, interval)
            if lead is not None and lead.due_in <= 0:
                response = await ask(for_all=not copy.version or topic.is_behind)
                topic.has_failed = not (200 <= response.status < 300 or response.status == 304)
                return response
            if lead is not None:
                topic.wake_in(lead.due_in)
        if copy.version:
            return _NOTHING_NEW
        return await self._await_first(topic, ask)

    async def _await_first(self, topic: _Topic, ask: Ask) -> Response:
        """Wait for the first copy of the engine, or ask the vendor."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while True:
                    noticed = self._noticed
                    copy = await self._read(topic)
                    if copy.body is not None:
                        return self._read_response(topic, copy)
                    if self.leads:
                        break
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_PATIENCE / 10):
                            await noticed.wait()
        return await (self._fetch_shared(topic, ask) if self.leads else ask(for_all=True))

    async def _read(self, topic: _Topic) -> Copy:
        async with asyncio.timeout(_MAX_CALL):
            copy = await self._shared.read(self._project, topic.key, topic.copy.version)
        self._record_success()
        return copy

    async def read_file(self, key: str) -> Copy | None:
        """Return the file of an ID list; None if the engine is unavailable. Does not raise."""
        if self.streak.failures:
            return None
        try:
            return await self._read(_Topic(key, lambda: 0.0, lambda: None))
        except Exception as error:  # noqa: BLE001 -- an engine of the user may raise anything
            self._record_failure(error)
            return None

    async def write_file(self, key: str, body: bytes, replaces: Copy, generation: str) -> None:
        """Write the file of an ID list, if this process leads. Does not raise."""
        if self._lead is None or not self.leads:
            return
        try:
            async with asyncio.timeout(_MAX_CALL):
                await self._shared.write(
                    *(self._project, key, body),
                    replaces=replaces.version,
                    token=self._lead.token,
                    generation=generation,
                )
        except Exception as error:  # noqa: BLE001 -- as above
            self._record_failure(error)

    def _read_response(self, topic: _Topic, copy: Copy) -> Response:
        topic.copy, topic.body = attrs.evolve(copy, body=None), copy.body
        if self.leads:
            topic.wake()
        return Response(200, body=copy.body or b"")

    # --- writing ----------------------------------------------------------------------------------------------

    async def publish(self, key: str, body: bytes, time_ms: int | None = None) -> None:
        """Write what was installed, unless it came from the engine; does not raise.

        Args:
            key: The key.
            body: A valid download.
            time_ms: Time of the rules in use, in milliseconds since 1970; None: what is polled has no time.
        """
        topic = self._topics[key]
        came_from_engine, topic.body = body is topic.body, None
        try:
            is_older = time_ms is not None and await _time_of(body) < time_ms
            if came_from_engine:
                topic.is_behind = is_older
            elif self.leads and not is_older:
                await self._write(topic, body, compare=time_ms is not None)
        except Exception as error:  # noqa: BLE001 -- as above
            self._record_failure(error)

    async def _write(self, topic: _Topic, body: bytes, *, compare: bool) -> None:
        for _ in range(3):
            lead = self._lead
            if lead is None:
                return
            async with asyncio.timeout(_MAX_CALL):
                status, version = await self._shared.write(
                    self._project, topic.key, body, replaces=topic.copy.version, token=lead.token
                )
            if status == "written":
                topic.copy, topic.is_behind = Copy(version), False
                return
            if status == "fenced":
                logger.warning("%s: another process leads; this one did not replace its rules", self._name)
                self._lead = None
                return
            topic.copy = Copy()
            current = await self._read(topic)
            if compare and current.body is not None and await _time_of(current.body) > await _time_of(body):
                topic.wake()  # reads it
                return
            topic.copy = attrs.evolve(current, body=None)


def _reason_of(error: Exception) -> str:
    return "timeout" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def create_shared_poller(source: Statsig) -> SharedPoller | None:
    """Create the poller of a client; None if its rules are not shared."""
    shared = None if source.rules is None else source.rules.shared
    return None if shared is None or source.offline else SharedPoller(shared, source.cache_key, source.name)


async def _time_of(body: bytes) -> int:
    """Return the time of a ruleset, in milliseconds since 1970; 0 if it has none."""

    def read() -> int:
        found = orjson.loads(body)
        value = found.get("time") if isinstance(found, dict) else None
        return value if isinstance(value, int) else 0

    try:
        return await in_thread(read)
    except orjson.JSONDecodeError:
        return 0
