"""Sticky assignments: loaded on request, changed by lookups, saved in the background.

A unit is an id with its type, such as `ada:userID`; its assignments are the groups that it was given, by experiment or
layer. They pass through three places:

1. The **store** (`AssignmentStore`), which only `load` and `run` call, both on the client's loop.
2. `_units`, the assignments of the units that `load` has loaded. Lookups read and change these from any thread, without
   I/O. A unit that is not loaded is not sticky: the rules answer, and nothing is changed.
   `_stored` has them as the store had them last, for `compare_and_set`.
3. `_queue`, the changes that are not saved yet. `run` empties it, at most 8 units at a time, and the changes of a unit
   in order. After a failure, the unit moves to the end of the queue, and `run` pauses with backoff.

Invariants, on the loop: `unsaved` is the number of changes in `_queue`; `_has_changes` is set while there are any, and
`_all_saved` once `run` has seen that there are none. A later change of the same name replaces an unsaved one, even one
that is being saved at the time: `run` then saves the later one too.
"""

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Literal

import attrs

from asyncsdk._failures import LOG_INTERVAL, FailureStreak
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._model.reports import AssignmentsHealth
from asyncsdk._model.stores import AssignmentStore, ComparingStore
from asyncsdk._model.users import User
from asyncsdk._refresh.polling import call_guarded
from asyncsdk._retry import waits
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.sticky import Enforcement, Entry, assign, storage_key, storage_keys
from asyncsdk.errors import ClientClosedError, QueueFullError
from asyncsdk.vendors.statsig import Rules

logger = logging.getLogger("asyncsdk.rules")

MAX_UNITS, MAX_UNSAVED = 10_000, 10_000
# Timeouts of one call to the store, in seconds. Requests wait for loads, but not for saves.
_LOAD_TIMEOUT, _SAVE_TIMEOUT = 1.0, 5.0
_RETRY_INITIAL, _RETRY_MAX = 0.5, 60.0
_MAX_CONCURRENT_SAVES = 8

Changes = dict[str, Entry | None]
"""Unsaved changes of a unit, by name of the experiment or layer; None deletes."""


@attrs.define(eq=False, repr=False)
class Assignments:
    """The assignments of the loaded units, and the changes that are not saved yet.

    `experiment` and `layer` may be called from any thread; the rest belongs to the client's loop.

    Attributes:
        unsaved: Number of changes that are not saved yet.
        lost: Number of changes that will never be saved: too many were unsaved, or the client was closed.
    """

    _life: Lifecycle
    _store: AssignmentStore
    _enforced: Enforcement = Enforcement()
    unsaved: int = attrs.field(default=0, init=False)
    lost: int = attrs.field(default=0, init=False)
    # By storage key, in the order in which they were loaded: the first one is removed when there are too many.
    _units: OrderedDict[str, dict[str, Entry]] = attrs.field(factory=OrderedDict, init=False)
    _stored: dict[str, dict[str, Entry]] = attrs.field(factory=dict, init=False)
    _queue: dict[str, Changes] = attrs.field(factory=dict, init=False)
    # Changes that other threads made, on their way to the loop, and those that were made during a load.
    _crossing: dict[object, tuple[str, str, Entry | None]] = attrs.field(factory=dict, init=False)
    _noted: dict[object, tuple[str, Changes]] = attrs.field(factory=dict, init=False)
    _loading: FailureStreak = attrs.field(factory=lambda: FailureStreak("loading sticky assignments"), init=False)
    _saving: FailureStreak = attrs.field(factory=lambda: FailureStreak("saving sticky assignments"), init=False)
    _has_changes: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _skip_wait: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _all_saved: asyncio.Event = attrs.field(factory=lambda: _set(asyncio.Event()), init=False)

    def health(self) -> AssignmentsHealth:
        """Return counts and the latest error."""
        return AssignmentsHealth(
            units=len(self._units),
            unsaved=self.unsaved,
            lost=self.lost,
            failures=self._loading.total + self._saving.total,
            last_error=self._loading.last_error or self._saving.last_error,
        )

    # --- lookups ----------------------------------------------------------------------------------------------

    def experiment(self, rules: Ruleset, user: User, name: str) -> Evaluation:
        """Evaluate an experiment for a user who may already have a group. Never raises."""
        return self._assigned("experiment", rules, user, rules.experiment(user, name))

    def layer(self, rules: Ruleset, user: User, name: str) -> Evaluation:
        """Evaluate a layer for a user who may already have a group. Never raises."""
        return self._assigned("layer", rules, user, rules.layer(user, name))

    def has_any(self, user: User) -> bool:
        """Return whether a user is loaded and has a saved assignment. From any thread."""
        return any(self._units.get(key) for key in storage_keys(user))

    def peek(self, rules: Ruleset, kind: Literal["experiment", "layer"], user: User, live: Evaluation) -> Evaluation:
        """Return what a lookup would, without changing the assignments. From any thread; never raises."""
        key = storage_key(user, live.id_type)
        saved = self._units.get(key) if key is not None else None
        return live if saved is None else assign(rules, kind, user, live, saved, enforced=self._enforced).evaluation

    def _assigned(
        self, kind: Literal["experiment", "layer"], rules: Ruleset, user: User, live: Evaluation
    ) -> Evaluation:
        """Return the assigned evaluation, or the live one for a unit that is not loaded."""
        key = storage_key(user, live.id_type)
        saved = self._units.get(key) if key is not None else None
        if key is None or saved is None:
            return live
        result = assign(rules, kind, user, live, saved, enforced=self._enforced)
        if result.save is not None or result.deletes:
            self._change(key, live.name, result.save)
        return result.evaluation

    def _change(self, key: str, name: str, entry: Entry | None) -> None:
        """Apply a change for later lookups, and enqueue it to be saved; from any thread."""
        if not self._life.takes_events or not self._life.is_in_its_process:
            return
        _apply(self._units.get(key, {}), name, entry)
        if self._life.is_on_its_loop:
            self._enqueue(key, name, entry)
            return
        crossing = object()
        self._crossing[crossing] = key, name, entry
        try:
            self._life.call_soon(partial(self._enqueue_crossed, crossing))
        except (ClientClosedError, QueueFullError):  # a lookup never raises
            del self._crossing[crossing]
            self.lost += 1

    # --- loading ----------------------------------------------------------------------------------------------

    async def load(self, user: User) -> bool:
        """Load the assignments of all units that a user belongs to; return False if some could not be loaded.

        Raises:
            WrongEventLoopError: The client runs on another loop.
            ForkedProcessError: It was started in the parent of this process.
        """
        if self._life.takes_events:
            self._life.check_caller()
        return all(await asyncio.gather(*(self._load(key) for key in storage_keys(user))))

    async def _load(self, key: str) -> bool:
        # What the store returns may be older than changes that were not saved when it was asked, or were made since.
        # These are applied on top; they are noted, since they may be saved by the end of the call.
        changes: Changes = {**self._queue.get(key, {}), **self._crossing_of(key)}
        load = object()
        self._noted[load] = key, changes

        async def read() -> dict[str, Entry]:
            return dict(await self._store.load(key))

        try:
            entries, fault = await call_guarded(read, _LOAD_TIMEOUT)
        finally:
            del self._noted[load]
        if entries is None:
            self._loading.record_failure(fault)
            return False
        self._loading.record_success()
        self._stored[key] = dict(entries)
        for name, entry in {**changes, **self._crossing_of(key)}.items():
            _apply(entries, name, entry)
        self._units[key] = entries
        self._units.move_to_end(key)
        if len(self._units) > MAX_UNITS:
            del self._stored[self._units.popitem(last=False)[0]]
        return True

    def _crossing_of(self, key: str) -> Changes:
        return {name: entry for unit, name, entry in list(self._crossing.values()) if unit == key}

    # --- saving -----------------------------------------------------------------------------------------------

    def _enqueue_crossed(self, crossing: object) -> None:
        """Enqueue a change of another thread."""
        self._enqueue(*self._crossing.pop(crossing))

    def _enqueue(self, key: str, name: str, entry: Entry | None) -> None:
        for unit, noted in self._noted.values():
            if unit == key:
                noted[name] = entry
        changes = self._queue.get(key, {})
        if name not in changes:
            if self._life.state == "closed" or self.unsaved >= MAX_UNSAVED:
                self.lost += 1
                reason = "too many changes are unsaved, or the client is closed"
                self._saving.record_failure(reason, "new ones are lost", retry_in=LOG_INTERVAL)
                return
            self.unsaved += 1
        self._queue.setdefault(key, changes)[name] = entry
        self._all_saved.clear()
        self._has_changes.set()

    async def run(self) -> None:
        """Save what lookups change, until cancelled. May be run again after a crash: the queue is kept."""
        pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
        while True:
            await self._has_changes.wait()
            self._skip_wait.clear()
            fault = await self._save_some()
            if fault:
                self._saving.record_failure(fault)
                with suppress(TimeoutError):
                    async with asyncio.timeout(next(pauses)):
                        await self._skip_wait.wait()
            elif not self._queue:
                self._saving.record_success()
                pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
                self._has_changes.clear()
                self._all_saved.set()

    async def flush(self) -> None:
        """Wait until all changes made before the call are saved; the next attempt is made immediately."""
        self._skip_wait.set()
        await self._all_saved.wait()

    def abandon(self) -> None:
        """Count the unsaved changes as lost; called once `run` has ended."""
        if self.unsaved:
            logger.warning("sticky assignments: %d changes not saved within the close timeout", self.unsaved)
        self.lost += self.unsaved
        self.unsaved = 0
        self._queue.clear()

    async def _save_some(self) -> str:
        """Save the changes of a few units concurrently; return the first error, "" if there was none."""
        faults = await asyncio.gather(
            *(self._save_unit(key) for key in list(islice(self._queue, _MAX_CONCURRENT_SAVES)))
        )
        return next(filter(None, faults), "")

    async def _save_unit(self, key: str) -> str:
        changes = self._queue[key]
        for name, entry in list(changes.items()):
            stored, fault = await call_guarded(partial(self._save, key, name, entry), _SAVE_TIMEOUT)
            if fault:
                self._queue[key] = self._queue.pop(key)  # last in the queue
                return fault
            _apply(self._stored.get(key, {}), name, stored)
            if changes[name] is entry:  # not replaced while it was being saved
                del changes[name]
                self.unsaved -= 1
                if stored != entry:
                    _apply(self._units.get(key, {}), name, stored)
        if not changes:
            del self._queue[key]
        return ""

    async def _save(self, key: str, name: str, entry: Entry | None) -> Entry | None:
        """Save a change, unless another process was first; return what the store has."""
        if isinstance(self._store, ComparingStore):
            return await self._store.compare_and_set(key, name, self._stored.get(key, {}).get(name), entry)
        await self._store.save(key, name, entry)
        return entry


def create_assignments(rules: Rules, store: AssignmentStore, life: Lifecycle) -> Assignments:
    """Create the sticky assignments of a client, which `store` keeps, with the settings of its rules."""
    return Assignments(life, store, Enforcement(rules.enforce_overrides, rules.enforce_targeting))


def _set(event: asyncio.Event) -> asyncio.Event:
    event.set()
    return event


def _apply(entries: Changes | dict[str, Entry], name: str, entry: Entry | None) -> None:
    if entry is None:
        entries.pop(name, None)
    else:
        entries[name] = entry
