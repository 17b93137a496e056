"""A vendor, relays and a client that tracks events, around the server of an engine."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from random import Random
from typing import IO

from asyncsdk import Client, Delivery, Track
from asyncsdk._model.blocks import unpack_block
from asyncsdk.dev import DevServer, Fault
from asyncsdk.engines import Engine, EngineError
from engines import shop
from engines.chaos.audit import Audit
from engines.chaos.fleet import Fleet
from engines.servers import PostgresServer, RedisServer

AnyServer = RedisServer | PostgresServer
LABEL = "RudderStack"
# Events that the client holds at most, so that it drops none.
_MAX_HELD = 1_000
_AT_ONCE, _USERS = 25, 500


def setting(server: AnyServer, place: str, port: int | None = None) -> str:
    """Return what `SHOP_ENGINE` says for a server, or for a proxy before it."""
    kind, address = ("redis", server.url) if isinstance(server, RedisServer) else ("postgres", server.dsn)
    return f"{kind} {address.replace(f':{server.port}/', f':{port or server.port}/')} {place}"


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables for this process and those that it starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Stage:
    """Everything that runs, and the audit.

    Attributes:
        own: The server of the engine.
        vendor: The vendor.
        fleet: The relays.
        place: Prefix of the keys, or name of the table.
        client: The client that tracks events.
        audit: What became of the events.
    """

    def __init__(self, own: AnyServer, vendor: DevServer, fleet: Fleet, place: str, rate: int) -> None:
        """Prepare; `running` starts and ends it."""
        self.own, self.vendor, self.fleet, self.place = own, vendor, fleet, place
        self.audit = Audit()
        self._failing = 0.0
        self.client: Client = shop.client(on_delivery=self._on_delivery, close_timeout=20.0)
        self._rate = rate
        self._chance = Random(1)
        self._tracked: set[str] = set()
        self._is_ending = asyncio.Event()
        self._is_closed = asyncio.Event()

    # --- events in and out --------------------------------------------------------------------------------------

    def _on_delivery(self, event_id: str, delivery: Delivery) -> None:
        if delivery.status == "enqueued":
            self.audit.accepted[event_id] = time.time()
        else:
            self.audit.refused[f"{delivery.status}: {delivery.reason}"] += 1

    async def produce(self) -> None:
        """Track events until the end, and then close the client."""
        async with self.client:
            while not self._is_ending.is_set():
                outcomes = len(self.audit.accepted) + sum(self.audit.refused.values())
                if self.audit.tracked - outcomes < _MAX_HELD:
                    for number in range(self.audit.tracked, self.audit.tracked + _AT_ONCE):
                        receipt = self.client.put_nowait(Track(f"user-{number % _USERS}", str(number)))
                        self._tracked.add(receipt.event_id)
                    self.audit.tracked += _AT_ONCE
                await asyncio.sleep(_AT_ONCE / self._rate)
        self._is_closed.set()

    async def collect(self) -> None:
        """Move what has arrived from the vendor to the audit, until cancelled."""
        while True:
            self.collect_now()
            await asyncio.sleep(0.1)

    def collect_now(self) -> None:
        """Move what has arrived from the vendor to the audit."""
        for event in self.vendor.events:
            if event.verdict in ("accepted", "duplicate"):
                self.audit.record_delivery(event.id, event.body, event.at)
        self.vendor.reset()
        self.set_failing(self._failing)

    def set_failing(self, share: float) -> None:
        """Let the vendor fail a share of the requests."""
        self._failing = share
        self.vendor.clear_faults()
        if share:
            self.vendor.fault("rudderstack", Fault(status=503, when=lambda _: self._chance.random() < share))

    def give_up_undelivered(self) -> None:
        """Record that the server has just lost all that it had, on purpose: also what it accepted a moment ago."""
        self.audit.given_up |= self._tracked - self.audit.delivered.keys()

    def is_engine_ok(self) -> bool:
        """Return whether the client's `health()` says that its engine works."""
        engine = self.client.health().engine
        return engine is not None and engine.state == "ok"

    # --- waiting ------------------------------------------------------------------------------------------------

    async def progress(self, within: float) -> None:
        """Wait until another event has arrived; at most `within` seconds, for the relays may all be starting."""
        before, until = len(self.audit.delivered), time.monotonic() + within
        while len(self.audit.delivered) == before and time.monotonic() < until:
            await asyncio.sleep(0.01)

    async def until(self, what: str, is_so: Callable[[], bool], within: float = 30.0) -> None:
        """Wait for something that must happen; that it does not is a fault."""
        until = time.monotonic() + within
        while not is_so():
            if time.monotonic() > until:
                self.audit.faults.append(f"not within {within:.0f} s: {what}")
                return
            await asyncio.sleep(0.02)

    def end(self) -> None:
        """Let the client close."""
        self._is_ending.set()

    async def settle(self, within: float) -> None:
        """End the client, let the relays deliver everything, and finish the audit."""
        self.set_failing(0.0)
        self.end()
        engine = shop.make_engine()
        if not await self._is_drained(engine, within):
            self.audit.faults.append(f"the engine is not empty after {within:.0f} s")
        self.collect_now()
        await self._read_dead_letters(engine)
        await engine.aclose()

    async def _is_drained(self, engine: Engine, within: float) -> bool:
        until = time.monotonic() + within
        while time.monotonic() < until:
            with suppress(EngineError):
                stats = await engine.stats(LABEL)
                if self._is_closed.is_set() and not stats.waiting + stats.taken:
                    return True
            await asyncio.sleep(0.1)
        return False

    async def _read_dead_letters(self, engine: Engine) -> None:
        for _ in range(20):
            try:
                while taken := await engine.take(f"{LABEL} (dead letters)", 1000, 0.0, 60.0):
                    for one in taken:
                        self.audit.dead |= {record.id for record in unpack_block(one.entry).records}
            except EngineError:
                await asyncio.sleep(0.5)
            else:
                return


@asynccontextmanager
async def running(
    own: AnyServer,
    *flags: str,
    place: str = "chaos",
    relays: int = 3,
    lease: float = 1.0,
    rate: int = 1_000,
    port: int | None = None,
    log: IO[bytes] | int | None = None,
) -> AsyncIterator[Stage]:
    """Run a stage, and at the end finish its audit.

    Args:
        own: The server of the engine; it runs.
        *flags: Flags of `relay_process.py`.
        place: Prefix of the keys, or name of the table, which exists.
        relays: Number of relays.
        lease: Their lease, in seconds.
        rate: Events per second.
        port: Port of a proxy between the engine and everything else; None connects directly.
        log: Where the relays log.
    """
    async with DevServer(keep=1_000_000, keep_bytes=10**9) as vendor:
        with environment(SHOP_ENGINE=setting(own, place, port), SHOP_PLANE=vendor.url):
            fleet = Fleet(*flags, lease=lease, log=log)
            stage = Stage(own, vendor, fleet, place, rate)
            tasks = [asyncio.create_task(stage.produce()), asyncio.create_task(stage.collect())]
            try:
                await fleet.grow(relays)
                yield stage
                await stage.settle(120.0)
            finally:
                stage.end()
                tasks[1].cancel()
                await fleet.stop()
                await asyncio.wait(tasks)
        if fleet.crashes:
            stage.audit.faults.append(f"relays ended on their own, with {dict(fleet.crashes)}")
        stage.audit.done["exits with 0"] = fleet.exits.pop(0, 0)
        # A relay that was still starting had no handler yet.
        stage.audit.done["exits while starting"] = fleet.exits.pop(-15, 0)
        if fleet.exits:
            stage.audit.faults.append(f"exit codes of relays: {dict(fleet.exits)}")
