"""A relay: takes events from an engine, and delivers them with the lanes that a client has.

    engine ──take──> LeaseReader ──> Lane ──> vendor
       ^                  │            │
       └── ack, extend ───┘<─ settled ─┘

Several relays share the work: an entry is leased to one of them at a time. How a relay ends:

    aclose     take nothing more, deliver until the timeout, acknowledge, hand the rest back
    killed     its leases expire, and another relay takes what it had
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

from asyncsdk._client import jobs
from asyncsdk._client.arguments import check_destinations, dev_server, http_settings, seconds
from asyncsdk._client.preload import preload
from asyncsdk._delivery.fleet.engine_lane import shard_labels
from asyncsdk._delivery.fleet.engine_status import EngineStatus
from asyncsdk._delivery.fleet.handover import open_engine
from asyncsdk._delivery.fleet.lease_reader import LeaseReader
from asyncsdk._delivery.lane import Lane
from asyncsdk._delivery.spool.setting import DEV_SUFFIX
from asyncsdk._lifecycle import Job, Lifecycle
from asyncsdk._model.engines import Engine, EngineError, EngineStats
from asyncsdk._model.http import HttpSettings
from asyncsdk._model.receipts import Record, Status
from asyncsdk._model.reports import Health, Report
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Destination

logger = logging.getLogger("asyncsdk.relay")

_HANDED_BACK = "handed back to the engine"
_MAX_AGE = 72 * 3600.0
# Seconds to acknowledge and hand back at the end, and to cancel requests before that.
_TO_RELEASE, _TO_STOP = 5.0, 0.1
# Leases of less than this would expire whenever the loop is busy.
_MIN_LEASE = 0.2


class Relay:
    """Delivers the events that clients have handed over to an engine.

    Args:
        *destinations: The same as those of the clients, with the same names: `client.destinations`.
        engine: The same as the clients'.
        http: Proxy, TLS and headers of all requests, unless a destination has its own; None connects directly.
        lease: Time after which another relay may take what this one holds and has not extended, because it was killed,
            in seconds. The same in all relays.
        max_age: Maximum time for which an event is retried, in seconds; then it is a dead letter.
        close_timeout: Maximum time that `aclose` takes to deliver what it holds, in seconds.

    Raises:
        ConfigurationError: There is no destination or no engine, or a setting is out of range.
    """

    def __init__(
        self,
        *destinations: Destination,
        engine: Engine,
        http: HttpSettings | None = None,
        lease: float = 30.0,
        max_age: float = _MAX_AGE,
        close_timeout: float = 10.0,
    ) -> None:
        check_destinations(destinations)
        if not destinations or not hasattr(engine, "take"):
            msg = "a relay needs destinations, and the engine that its clients have"
            raise ConfigurationError(msg)
        if seconds(lease) < _MIN_LEASE or seconds(max_age) <= 0:
            msg = f"`lease` must be {_MIN_LEASE} seconds or more, and `max_age` above 0"
            raise ConfigurationError(msg)
        preload(has_rules=False, sends=True)
        self._http = {given.name: http_settings(given, http) for given in destinations}
        self._engine = engine
        self._lease = lease
        self._close_timeout = seconds(close_timeout)
        self._lanes = [Lane(destination) for destination in destinations]
        self._status = EngineStatus("trying again until it recovers")
        self._readers: dict[Lane, list[LeaseReader]] = {}
        self._labels: dict[Lane, list[str]] = {}
        self._life = Lifecycle()
        self._began_to_close = 0.0
        self._ended: asyncio.Future[Report] | None = None
        self._closing: asyncio.Task[Report] | None = None
        for lane in self._lanes:
            lane.deadline = max_age

    def __repr__(self) -> str:
        names = ", ".join(lane.destination.name for lane in self._lanes)
        held = sum(lane.ledger.held_events for lane in self._lanes)
        return f"<Relay {self._life.state} [{names}]: {held} events held>"

    @property
    def engine(self) -> Engine:
        """The engine that the relay was made with."""
        return self._engine

    # --- lifecycle --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start to take and deliver events, on the running loop. An engine that is unavailable is asked again.

        Raises:
            ConfigurationError: The environment names a dev server that is not on this machine.
        """
        if self._life.state != "new":
            self._life.check_caller()
            return
        dev_url = dev_server()
        self._ended = asyncio.get_running_loop().create_future()
        todo: list[tuple[str, Job]] = [("engine", self._check_engine)]
        for lane in self._lanes:
            name = lane.destination.name
            label = name + (DEV_SUFFIX if dev_url else "")
            labels = self._labels[lane] = shard_labels(label, getattr(self._engine, "shards", 1))
            readers = [LeaseReader(lane, self._engine, label, self._lease, self._status) for label in labels]
            self._readers[lane] = readers
            lane.ledger.on_records_settled = partial(_notify, readers)
            todo.append((name, jobs.delivery(lane, dev_url, (), self._http[name])))
            for reader in readers:
                todo += [(f"{name} leases", reader.read), (f"{name} acknowledgements", reader.settle)]
        self._life.start(todo, self._end, self._release)

    async def aclose(self, timeout: float | None = None) -> Report:
        """Take nothing more, deliver what is held, and hand the rest back. Safe to call twice.

        Args:
            timeout: Maximum time for delivery, in seconds; None takes `close_timeout`.

        Returns:
            What became of all events that this relay took, per destination. `enqueued` are those handed back.

        Raises:
            ConfigurationError: `timeout` is not a number of seconds.
        """
        timeout = self._close_timeout if timeout is None else seconds(timeout)
        if self._life.state == "new":
            self._life.close_intake()
        if self._ended is None:
            return self._report()
        if self._ended.done():  # cancelled
            return await self.wait_closed()
        if self._closing is None:
            self._began_to_close = time.monotonic()
            self._closing = asyncio.get_running_loop().create_task(self._close(timeout), name="asyncsdk relay close")
        return await asyncio.shield(self._closing)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _close(self, timeout: float) -> Report:
        deadline = time.monotonic() + timeout - _TO_STOP
        self._life.begin_drain()
        readers = [reader for readers in self._readers.values() for reader in readers]
        for reader in readers:
            reader.stop()
        for lane in self._lanes:
            lane.linger = 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + max(0.0, deadline - time.monotonic())):
                # What a `take` under way returns is handed back, so nothing joins the lanes after this.
                await asyncio.gather(
                    *(lane.flush(deadline) for lane in self._lanes), *(reader.stopped.wait() for reader in readers)
                )
        self._life.close_intake()
        self._life.cancel()
        return await self.wait_closed()

    async def wait_closed(self) -> Report:
        """Wait until the relay has ended, and return its report.

        Raises:
            ConfigurationError: It was not started.
        """
        if self._ended is None:
            msg = "the relay was not started"
            raise ConfigurationError(msg)
        return await asyncio.shield(self._ended)

    async def _check_engine(self) -> None:
        await open_engine(self._engine, self._status)
        await asyncio.Event().wait()  # a job that returned would be started again

    async def _release(self) -> None:
        """Acknowledge, hand back and disconnect, after all jobs have ended."""
        for lane in self._lanes:
            lane.ledger.settle(lane.remaining(), "enqueued", reason=_HANDED_BACK)
        try:
            async with asyncio.timeout(_TO_RELEASE):
                for readers in self._readers.values():
                    for reader in readers:
                        await reader.release()
        except (EngineError, TimeoutError) as error:
            logger.warning("entries could not be handed back (%s): their leases expire", error or "timeout")
        with suppress(TimeoutError):
            async with asyncio.timeout(_TO_RELEASE):
                await self._engine.aclose()

    def _end(self) -> None:
        self._life.close_intake()
        report = self._report()
        lost = sum(counts.lost for counts in report.destinations.values())
        logger.log(logging.WARNING if lost else logging.INFO, "closed in %.2f s; %s", report.seconds, report)
        if self._ended is not None and not self._ended.done():  # pragma: no branch -- `start` made it
            self._ended.set_result(report)

    # --- state ------------------------------------------------------------------------------------------------

    def _report(self) -> Report:
        counts = {lane.destination.name: lane.ledger.report() for lane in self._lanes}
        took = time.monotonic() - self._began_to_close if self._began_to_close else 0.0
        return Report(counts, took, complete=not any(count.enqueued or count.pending for count in counts.values()))

    def health(self) -> Health:
        """Return the state of the relay, of each destination and of the engine; without I/O."""
        lanes = {lane.destination.name: lane.health() for lane in self._lanes}
        return Health(self._life.state, lanes, self._life.crashes, engine=self._status.health())

    def held_entries(self) -> Mapping[str, int]:
        """Return the number of entries that this relay has leased, per destination."""
        return {lane.destination.name: sum(r.held_entries for r in self._readers.get(lane, ())) for lane in self._lanes}

    def dead_letters(self) -> Mapping[str, int]:
        """Return the number of events that this relay has given up and stored as dead letters, per destination."""
        return {lane.destination.name: sum(r.dead_letters for r in self._readers.get(lane, ())) for lane in self._lanes}

    async def stats(self) -> Mapping[str, EngineStats]:
        """Return the number of entries in the engine, per destination, and their age.

        Raises:
            EngineError: The engine is unavailable.
        """
        found: dict[str, EngineStats] = {}
        for lane in self._lanes:
            parts = [await self._engine.stats(label) for label in self._labels.get(lane, ())]
            oldest = max((part.oldest for part in parts), default=0.0)
            waiting, taken = sum(part.waiting for part in parts), sum(part.taken for part in parts)
            found[lane.destination.name] = EngineStats(waiting, taken, oldest)
        return found


def _notify(readers: Sequence[LeaseReader], records: Collection[Record], status: Status, _reason: str) -> None:
    """Tell the readers of a lane what was settled."""
    for reader in readers:
        reader.on_records_settled(records, status)
