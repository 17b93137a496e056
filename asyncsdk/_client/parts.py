"""The parts of a client: how they are built and wired, and what is done with all of them at once.

Building them does no I/O and needs no running loop. When each job starts and ends is decided in `start_close.py`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from asyncsdk._client import jobs
from asyncsdk._client.arguments import check_destinations, http_settings
from asyncsdk._client.hooks import Hooks, guarded
from asyncsdk._client.off_switch import SkippingDestination, bootstrap_only, is_enabled
from asyncsdk._client.preload import preload
from asyncsdk._client.settings import Settings
from asyncsdk._delivery.lane import Lane
from asyncsdk._delivery.ledger import wait_final
from asyncsdk._delivery.spool.setting import check_spool, with_message_ids
from asyncsdk._events.admission import Admission
from asyncsdk._events.pacing import Pacer
from asyncsdk._events.reporting import ReportingAdmission
from asyncsdk._lifecycle import Job, Lifecycle
from asyncsdk._lookups.exposures import Exposures
from asyncsdk._model.engines import Engine
from asyncsdk._model.event_defaults import EventDefaults
from asyncsdk._model.fleet import SharedExposures
from asyncsdk._model.http import HttpSettings
from asyncsdk._model.receipts import Receipt, Record
from asyncsdk._model.reports import EngineHealth, Health, Report
from asyncsdk._model.stores import Spool
from asyncsdk._model.values import Shown
from asyncsdk.vendors._base import Destination
from asyncsdk.vendors.statsig import Statsig

if TYPE_CHECKING:
    from asyncsdk._delivery.spool.spooler import Spooler
    from asyncsdk._lookups.assignments import Assignments
    from asyncsdk._lookups.shared_overrides import OverrideSync
    from asyncsdk._refresh import Refresher

Writer = Callable[[object, Receipt], Awaitable[Receipt]]


class EngineLink(Protocol):
    """A client's side of its engine: a `Handover`, which only a client with an engine loads."""

    @property
    def lanes(self) -> Sequence[Lane]:
        """One per destination, in order."""
        ...

    @property
    def write(self) -> "Writer | None":
        """Writes an event in a transaction of the caller's; None if the engine cannot."""
        ...

    async def until_accepted(self, receipt: Receipt) -> None:
        """Wait until the engine has an event, or is unavailable."""
        ...

    def set_label_suffix(self, suffix: str) -> None:
        """Append a suffix to the names under which the engine keeps events."""
        ...

    def jobs(self) -> list[tuple[str, Job]]:
        """Return the names and jobs of all lanes, and of the engine."""
        ...

    async def aclose(self) -> None:
        """Close the engine's connections."""
        ...

    def health(self) -> EngineHealth:
        """Return the state of the engine."""
        ...


@attrs.frozen(eq=False, repr=False)
class Parts(Shown):
    """What a client is made of.

    Attributes:
        life: Its state, and the task that owns all others.
        lanes: One per destination, in order.
        http: Proxy, TLS and headers, by name of the destination.
        admission: Turns events into records.
        pacer: Gives the event loop its turns.
        spooler: Keeps events on disk; None without a spool.
        link: Hands events over to an engine; None without one.
        write: Writes an event in a transaction of the caller's; None without an engine that can.
        refresher: Keeps the rules up to date; None without a source of rules.
        exposures: Reports what users saw.
        assignments: Keeps users in their groups; None without a store for that.
        overrides: Shares overrides with the fleet; None if they stay in this process.
        hooks: The user's functions.
        is_enabled: False if the client is switched off: it has no jobs, spool, exposures and assignments.
        stores: What is shared or kept elsewhere, and may have connections.
    """

    life: Lifecycle
    lanes: Sequence[Lane]
    http: Mapping[str, HttpSettings | None]
    admission: Admission
    pacer: Pacer
    spooler: "Spooler | None"
    link: EngineLink | None
    write: Writer | None
    refresher: "Refresher | None"
    exposures: Exposures
    assignments: "Assignments | None"
    overrides: "OverrideSync | None"
    hooks: Hooks
    is_enabled: bool
    stores: Sequence[Any]

    def unsent(self) -> int:
        """Return the number of events and exposures without a final outcome."""
        held = sum(lane.ledger.held_events for lane in self.lanes) + self.exposures.pending_count
        return held if self.spooler is None else held + self.spooler.unsent

    def jobs(self, dev_url: str | None) -> list[tuple[str, Job]]:
        """Return the names and jobs of all parts.

        Args:
            dev_url: Base URL of a dev server that takes the place of all vendors; None: there is none.
        """
        watches = self.hooks.on_request
        todo = [] if self.link is None else self.link.jobs()
        todo += [
            (lane.destination.name, jobs.delivery(lane, dev_url, watches, self.http[lane.destination.name]))
            for lane in (self.lanes if self.link is None else ())
        ]
        if self.refresher is not None:
            todo.append(("rules", jobs.refresh(self.refresher, dev_url, watches, self.http[self.refresher.name])))
            todo.append(("exposure windows", jobs.windows(self.exposures.window)))
        # A dev server's exposures are none of the fleet's.
        if self.exposures.filter is not None and dev_url is None:
            todo.append(("shared exposures", self.exposures.filter.run))
        if self.assignments is not None:
            todo.append(("sticky assignments", self.assignments.run))
        if self.overrides is not None:
            if dev_url is None:
                todo.append(("shared overrides", self.overrides.run))
            else:
                self.overrides.stop_sharing()
        if self.spooler is not None:
            todo.append(("spool", jobs.adoption(self.spooler)))
        return todo

    def closers(self) -> Iterator[Job]:
        """Yield what closes the connections of the engine and of all stores that have some."""
        if self.link is not None:
            yield self.link.aclose
        for store in self.stores:
            if hasattr(store, "aclose"):
                yield store.aclose

    def stop_lingering(self) -> None:
        """Let all lanes send at once what they get."""
        for lane in self.lanes:
            lane.linger = 0.0

    async def settle(self, seconds: float, closing_at: float | None = None) -> bool:
        """Flush every lane, the sticky assignments and the overrides; return False if time ran out."""
        assignments, overrides = self.assignments, self.overrides
        is_saved = assignments is None or not assignments.unsaved
        if not self.unsent() and is_saved and (overrides is None or not overrides.unwritten):
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                if self.exposures.filter is not None:
                    await self.exposures.filter.flush()
                flush = Lane.flush if self.spooler is None else self.spooler.flush
                for lane in self.lanes:
                    group.create_task(flush(lane, closing_at))
                if assignments is not None:
                    group.create_task(assignments.flush())
                if overrides is not None:
                    group.create_task(overrides.flush())
            return True
        return False

    def abandon(self) -> None:
        """Settle all that is unsettled as abandoned, after all jobs have ended."""
        for lane in self.lanes:
            lane.abandon()
        if self.assignments is not None:
            self.assignments.abandon()
        if self.overrides is not None:
            self.overrides.abandon()

    def report(self, began: float, *, complete: bool = True) -> Report:
        """Return the counts of all destinations.

        Args:
            began: When the call that reports began, on the monotonic clock.
            complete: Whether it had time for all events.
        """
        counts = {lane.destination.name: lane.ledger.report() for lane in self.lanes}
        whole = complete and not any(count.abandoned for count in counts.values())
        return Report(counts, time.monotonic() - began, whole)

    def health(self) -> Health:
        """Return the state of all parts."""
        return Health(
            self.life.state,
            {lane.destination.name: lane.health() for lane in self.lanes},
            self.life.crashes,
            rules=None if self.refresher is None else self.refresher.health(),
            spool=None if self.spooler is None else self.spooler.health(),
            assignments=None if self.assignments is None else self.assignments.health(),
            enabled=self.is_enabled,
            invalid_events=self.admission.invalid_events,
            last_invalid=self.admission.last_invalid,
            engine=None if self.link is None else self.link.health(),
            overrides=None if self.overrides is None else self.overrides.health(),
        )


def build_parts(destinations: tuple[Destination, ...], settings: Settings) -> Parts:
    """Build the parts of a client, and connect them.

    Raises:
        ConfigurationError: Two destinations have the same name, one is not a destination, or a setting is wrong.
    """
    check_destinations(destinations)
    enabled, spool = is_enabled(settings.enabled), check_spool(settings.spool)
    http = {given.name: http_settings(given, settings.http) for given in destinations}
    engine = settings.engine if enabled else None
    if spool is not None or engine is not None:
        destinations = with_message_ids(destinations)
    source = next((given for given in destinations if isinstance(given, Statsig)), None)
    preload(has_rules=source is not None and source.rules is not None, sends=enabled)
    if not enabled:
        spool = None
        destinations = tuple(map(SkippingDestination, destinations))
    life, hooks = Lifecycle(), Hooks()
    link = None if engine is None else _build_link(engine, destinations)
    lanes = [Lane(destination) for destination in destinations] if link is None else link.lanes
    on_final = None if settings.on_delivery is None else guarded(settings.on_delivery, "on_delivery")
    for lane in lanes:
        lane.ledger.on_final = on_final
        lane.ledger.on_settled = hooks.on_settled

    async def until_final(records: Sequence[Record]) -> None:
        life.check_loop()
        await wait_final(records)

    kind = Admission if settings.on_invalid == "raise" else ReportingAdmission
    admission = kind(lanes, until_final, keep_ids=on_final is not None or link is not None)
    admission.default = settings.default
    if settings.defaults != EventDefaults():
        admission.defaults = (settings.defaults,)
    spooler = None if spool is None else _build_spooler(spool, lanes)
    admission.may_wait |= spooler is not None or link is not None
    refresher = _build_refresher(source) if enabled else bootstrap_only(source)
    return Parts(
        life=life,
        lanes=lanes,
        http=http,
        admission=admission,
        pacer=_build_pacer(lanes, spooler),
        spooler=spooler,
        link=link,
        write=_build_writer(link, admission, settings),
        refresher=refresher,
        exposures=_build_exposures(
            life,
            lanes if enabled and settings.exposures else (),
            admission,
            spooler,
            source,
            shared=settings.shared_exposures if enabled else None,
        ),
        assignments=_build_assignments(source, life) if enabled else None,
        overrides=_build_override_sync(source, refresher, life) if enabled else None,
        hooks=hooks,
        is_enabled=enabled,
        stores=_stores_of(source, settings),
    )


def _stores_of(source: Statsig | None, settings: Settings) -> Sequence[object]:
    rules = None if source is None else source.rules
    return (
        (settings.shared_exposures,)
        if rules is None
        else (settings.shared_exposures, rules.shared, rules.assignments, rules.overrides)
    )


def _build_link(engine: Engine, destinations: Sequence[Destination]) -> EngineLink:
    from asyncsdk._delivery.fleet.handover import Handover  # noqa: PLC0415 -- only a client with an engine needs it

    return Handover(engine, destinations)


def _build_writer(link: EngineLink | None, admission: Admission, settings: Settings) -> Writer | None:
    if link is not None or not hasattr(settings.engine, "put_in"):
        return None if link is None else link.write

    async def skip(_: object, receipt: Receipt) -> Receipt:
        return admission.commit(receipt)

    return skip  # the client is off


def _build_spooler(spool: Spool, lanes: Sequence[Lane]) -> "Spooler":
    from asyncsdk._delivery.spool.spooler import Spooler  # noqa: PLC0415 -- only a client with a spool needs it

    return Spooler(spool, lanes)


def _build_refresher(source: Statsig | None) -> "Refresher | None":
    if source is None or source.rules is None:
        return None
    from asyncsdk._refresh import Refresher  # noqa: PLC0415 -- only a client with rules needs it

    return Refresher(source)


def _build_assignments(source: Statsig | None, life: Lifecycle) -> "Assignments | None":
    if source is None or source.rules is None or source.rules.assignments is None:
        return None
    from asyncsdk._lookups.assignments import create_assignments  # noqa: PLC0415 -- only sticky assignments need it

    return create_assignments(source.rules, source.rules.assignments, life)


def _build_override_sync(
    source: Statsig | None, refresher: "Refresher | None", life: Lifecycle
) -> "OverrideSync | None":
    if source is None or refresher is None or source.offline or source.rules is None or source.rules.overrides is None:
        return None
    from asyncsdk._lookups.shared_overrides import create_override_sync  # noqa: PLC0415 -- only a fleet needs it

    return create_override_sync(source, source.rules.overrides, refresher, life)


def _build_pacer(lanes: Sequence[Lane], spooler: "Spooler | None") -> Pacer:
    # With a spool, a verb waits for the disk; with `overflow="wait"`, for room.
    if spooler is None:
        return Pacer([lane for lane in lanes if lane.destination.overflow != "wait"])
    pacer = Pacer([])
    spooler.on_release = pacer.renew
    return pacer


def _build_exposures(
    life: Lifecycle,
    lanes: Sequence[Lane],
    admission: Admission,
    spooler: "Spooler | None",
    source: Statsig | None,
    *,
    shared: SharedExposures | None,
) -> Exposures:
    """Build the writer of exposures to `lanes`, of which that of `source` gets them in Statsig's own form."""
    enqueue_for: Callable[[Lane], Callable[[Sequence[Record]], bool]] = (
        attrgetter("offer_exposures") if spooler is None else spooler.exposure_intake
    )
    return Exposures(
        life,
        lanes,
        admission.ids,
        redact=admission.pipeline.redact,
        enqueue_for=enqueue_for,
        statsig_lane=next((lane for lane in lanes if lane.destination is source and not source.offline), None),
        shared=shared,
        project="" if source is None else source.cache_key.rpartition("|")[2],
    )
