"""Sticky assignments: loaded when they are asked for, changed by lookups, saved in the background.

A lookup does no IO: it sees what was loaded, and changes that and the queue of what is to be saved.
"""

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Literal

import attrs

from asyncsdk._lifecycle import Lifecycle
from asyncsdk._model.reports import AssignmentsHealth
from asyncsdk._model.stores import AssignmentStore
from asyncsdk._model.users import User
from asyncsdk._refresh.polling import FailureStreak, call_guarded
from asyncsdk._retry import waits
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.sticky import Enforcement, Entry, assign, storage_key, storage_keys
from asyncsdk.errors import ClientClosedError, QueueFullError
from asyncsdk.vendors.statsig import Statsig

logger = logging.getLogger("asyncsdk.rules")

MAX_UNITS, MAX_UNSAVED = 10_000, 10_000
# A request waits for what is loaded; nobody waits for what is saved.
_MAX_LOAD, _MAX_SAVE = 1.0, 5.0
_FIRST_WAIT, _MAX_WAIT = 0.5, 60.0
_AT_ONCE = 8

Changes = dict[str, Entry | None]
"""What is to be saved for a unit, by name; None deletes."""


@attrs.define(eq=False, repr=False)
class Assignments:
    """The assignments of the units that were loaded, and what of them is not saved yet.

    Belongs to the client's loop; lookups may come from any thread.

    Attributes:
        unsaved: How many changes wait to be saved.
        lost: How many changes were given up: too many waited, or the client was closed.
    """

    _life: Lifecycle
    _store: AssignmentStore
    _enforced: Enforcement = Enforcement()
    unsaved: int = attrs.field(default=0, init=False)
    lost: int = attrs.field(default=0, init=False)
    # By key, the one that was loaded last at the end.
    _units: OrderedDict[str, dict[str, Entry]] = attrs.field(factory=OrderedDict, init=False)
    _queue: dict[str, Changes] = attrs.field(factory=dict, init=False)
    _loading: FailureStreak = attrs.field(
        factory=lambda: FailureStreak("sticky assignments cannot be loaded"), init=False
    )
    _saving: FailureStreak = attrs.field(
        factory=lambda: FailureStreak("sticky assignments cannot be saved"), init=False
    )
    _due: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _hurry: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _all_saved: asyncio.Event = attrs.field(factory=lambda: _set(asyncio.Event()), init=False)

    def health(self) -> AssignmentsHealth:
        """Tell how it is going."""
        return AssignmentsHealth(
            units=len(self._units),
            unsaved=self.unsaved,
            lost=self.lost,
            failures=self._loading.total + self._saving.total,
            last_error=self._loading.last_error or self._saving.last_error,
        )

    # --- lookups ----------------------------------------------------------------------------------------------

    def experiment(self, rules: Ruleset, user: User, name: str) -> Evaluation:
        """Evaluate an experiment for a user who may already be in a group. Never raises."""
        return self._assigned("experiment", rules, user, rules.experiment(user, name))

    def layer(self, rules: Ruleset, user: User, name: str) -> Evaluation:
        """Evaluate a layer for a user who may already be in a group. Never raises."""
        return self._assigned("layer", rules, user, rules.layer(user, name))

    def _assigned(
        self, kind: Literal["experiment", "layer"], rules: Ruleset, user: User, live: Evaluation
    ) -> Evaluation:
        """Answer from what is saved. For a unit that was not loaded the rules answer, and nothing is changed."""
        key = storage_key(user, live.id_type)
        saved = self._units.get(key) if key is not None else None
        if key is None or saved is None:
            return live
        found = assign(rules, kind, user, live, saved, enforced=self._enforced)
        if found.save is not None or found.deletes:
            self._change(key, live.name, found.save)
        return found.evaluation

    def _change(self, key: str, name: str, entry: Entry | None) -> None:
        """Let the next lookups see a change, and have it saved."""
        if not self._life.takes_events or not self._life.is_in_its_process:
            return
        _put(self._units.get(key, {}), name, entry)
        if self._life.is_on_its_loop:
            self._enqueue(key, name, entry)
            return
        try:
            self._life.call_soon(partial(self._enqueue, key, name, entry))
        except (ClientClosedError, QueueFullError):  # a lookup never raises
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
        changes: Changes = dict(self._queue.get(key, {}))

        async def read() -> dict[str, Entry]:
            return dict(await self._store.load(key))

        found, fault = await call_guarded(read, _MAX_LOAD)
        if found is None:
            self._loading.record_failure(fault)
            return False
        self._loading.record_success()
        for name, entry in {**changes, **self._queue.get(key, {})}.items():
            _put(found, name, entry)
        self._units[key] = found
        self._units.move_to_end(key)
        if len(self._units) > MAX_UNITS:
            self._units.popitem(last=False)
        return True

    # --- saving -----------------------------------------------------------------------------------------------

    def _enqueue(self, key: str, name: str, entry: Entry | None) -> None:
        changes = self._queue.get(key, {})
        if name not in changes:
            if self._life.state == "closed" or self.unsaved >= MAX_UNSAVED:
                self.lost += 1
                self._saving.record_failure("too many wait to be saved, or the client is closed; more are lost")
                return
            self.unsaved += 1
        self._queue.setdefault(key, changes)[name] = entry
        self._all_saved.clear()
        self._due.set()

    async def run(self) -> None:
        """Save what lookups change, until cancelled. May be started again after a crash: nothing is forgotten."""
        pauses = waits(_FIRST_WAIT, _MAX_WAIT)
        while True:
            await self._due.wait()
            self._hurry.clear()
            fault = await self._save_some()
            if fault:
                self._saving.record_failure(fault)
                with suppress(TimeoutError):
                    async with asyncio.timeout(next(pauses)):
                        await self._hurry.wait()
            elif not self._queue:
                self._saving.record_success()
                pauses = waits(_FIRST_WAIT, _MAX_WAIT)
                self._due.clear()
                self._all_saved.set()

    async def flush(self) -> None:
        """Return when everything is saved that lookups changed before the call; does not wait for the next attempt."""
        self._hurry.set()
        await self._all_saved.wait()

    def abandon(self) -> None:
        """Give up what is not saved, once `run` has ended."""
        if self.unsaved:
            logger.warning("%d sticky assignments were not saved: the time to close was over", self.unsaved)
        self.lost += self.unsaved
        self.unsaved = 0
        self._queue.clear()

    async def _save_some(self) -> str:
        """Save the changes of some units, side by side; gives what went wrong, "" when nothing did."""
        faults = await asyncio.gather(*(self._save_unit(key) for key in list(islice(self._queue, _AT_ONCE))))
        return next(filter(None, faults), "")

    async def _save_unit(self, key: str) -> str:
        changes = self._queue[key]
        for name, entry in list(changes.items()):
            _, fault = await call_guarded(partial(self._store.save, key, name, entry), _MAX_SAVE)
            if fault:
                self._queue[key] = self._queue.pop(key)  # the others go first, the next time
                return fault
            if changes[name] is entry:
                del changes[name]
                self.unsaved -= 1
        if not changes:
            del self._queue[key]
        return ""


def make_assignments(source: Statsig | None, life: Lifecycle) -> Assignments | None:
    """Make what handles sticky assignments, if the settings of a source name a store for them."""
    rules = None if source is None else source.rules
    if rules is None or rules.assignments is None:
        return None
    return Assignments(life, rules.assignments, Enforcement(rules.enforce_overrides, rules.enforce_targeting))


def _set(event: asyncio.Event) -> asyncio.Event:
    event.set()
    return event


def _put(entries: Changes | dict[str, Entry], name: str, entry: Entry | None) -> None:
    if entry is None:
        entries.pop(name, None)
    else:
        entries[name] = entry
