"""Overrides that a fleet shares: set in one process, seen by all within a second.

The overrides in use are always those of the engine, as read last, with the changes of this process on top that are not
written yet:

    override_gate ──> in use at once, and in `_unwritten` ──> written ──> notice ──> read by the others

A write replaces the document that was read before. If another process was first, this one reads what that has written,
applies its changes to it, and writes again: both changes stay.

While the engine is unavailable, what was read last stays in use, changes wait, and the log has one line. A damaged
document is an ERROR in the log, and the next change replaces it.

Example: two processes override the gates `a` and `b` at the same time. Both read version 1. The first writes `a`:
version 2. The write of the second says that it replaces version 1, so nothing is written. It reads `a`, and writes `a`
and `b`: version 3, which the first one reads.

Verbs may change overrides from any thread: `_lock` guards the fields and what is in use.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress
from random import uniform
from threading import Lock

from asyncsdk._failures import FailureStreak
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._lookups.evaluator import RulesHolder
from asyncsdk._model.fleet import SharedOverrides
from asyncsdk._model.reports import OverridesHealth
from asyncsdk._retry import waits
from asyncsdk._rules.language.override_document import decode_overrides, encode_overrides
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk.errors import ClientClosedError, QueueFullError
from asyncsdk.vendors.statsig import Statsig

logger = logging.getLogger("asyncsdk.rules")

Change = Callable[[Overrides], Overrides]

MAX_UNWRITTEN = 1_000
# Time between two reads without a notice, and maximum time of one call to the engine, in seconds.
_INTERVAL, _MAX_CALL = 10.0, 5.0
_RETRY_INITIAL, _RETRY_MAX = 0.2, 5.0
_KEPT = "the overrides read last stay in use"


class OverrideSync:
    """Keeps the overrides of a client and those of its fleet the same."""

    def __init__(self, shared: SharedOverrides, project: str, holder: RulesHolder, life: Lifecycle) -> None:
        """Start with the overrides that this process sets.

        Args:
            shared: Where the fleet has them.
            project: Names those of one secret key.
            holder: Uses them.
            life: The client's.
        """
        self._shared, self._project, self._holder, self._life = shared, project, holder, life
        self._lock = Lock()
        self._read = Overrides()
        self._version = ""
        self._unwritten: list[Change] = []
        self._streak = FailureStreak("shared overrides")
        self._notices = FailureStreak("notices of shared overrides")
        self._wake, self._progress = asyncio.Event(), asyncio.Event()
        self._has_read = asyncio.Event()
        self._damage = ""
        self._is_local = False

    def __repr__(self) -> str:
        return f"<OverrideSync version {self._version!r}, {len(self._unwritten)} changes unwritten>"

    @property
    def unwritten(self) -> int:
        """Number of changes of this process that the fleet does not have."""
        return len(self._unwritten)

    def health(self) -> OverridesHealth:
        """Return the state, from any thread."""
        return OverridesHealth(self.unwritten, self._streak.total, self._streak.last_error or self._damage)

    def stop_sharing(self) -> None:
        """Keep the overrides in this process: those of a dev server are none of the fleet's."""
        self._is_local = True
        self._unwritten.clear()
        self._has_read.set()

    def change(self, change: Change) -> None:
        """Apply a change at once, and write it soon; from any thread."""
        with self._lock:
            self._holder.use_overrides(change(self._holder.rules.shared_context.overrides))
            if self._is_local or not (self._life.state == "new" or self._runs_here):
                return
            is_full = len(self._unwritten) >= MAX_UNWRITTEN
            if not is_full:
                self._unwritten.append(change)
        if is_full:
            self._streak.record_failure("too many changes are unwritten", "new ones stay in this process")
        elif self._life.is_on_its_loop:
            self._wake.set()
        else:
            with suppress(ClientClosedError, QueueFullError):  # it is written with the next one
                self._life.call_soon(self._wake.set)

    @property
    def _runs_here(self) -> bool:
        return self._life.takes_events and self._life.is_in_its_process

    async def wait_read(self, timeout: float) -> None:
        """Wait until the overrides of the fleet are in use, or the engine has failed.

        Args:
            timeout: Maximum time, in seconds.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._has_read.wait()

    async def flush(self) -> None:
        """Wait until all changes made before the call are written."""
        last = self._unwritten[-1] if self._unwritten else None
        self._wake.set()
        while last is not None and any(change is last for change in self._unwritten):
            self._progress.clear()
            await self._progress.wait()

    def abandon(self) -> None:
        """Say in the log that changes are lost; called once `run` has ended."""
        if self._unwritten:
            logger.warning("shared overrides: %d changes not written within the close timeout", self.unwritten)

    # --- the tasks --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read and write, until cancelled. May be run again after a crash."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
            while True:
                self._wake.clear()
                try:
                    await self._exchange()
                except Exception as error:  # noqa: BLE001 -- an engine of the user may raise anything
                    self._streak.record_failure(_reason_of(error), _KEPT, refused=getattr(error, "refused", False))
                    self._has_read.set()
                    await asyncio.sleep(next(pauses))
                    continue
                self._streak.record_success()
                self._has_read.set()
                pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_INTERVAL * uniform(0.9, 1.1)):  # noqa: S311 -- spreads load
                        await self._wake.wait()

    async def _listen(self) -> None:
        pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
        while True:
            try:
                async with aclosing(self._shared.notices(self._project)) as notices:  # type: ignore[type-var]
                    async for _ in notices:
                        pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
                        self._notices.record_success()
                        self._wake.set()
            except Exception as error:  # noqa: BLE001 -- as above
                self._notices.record_failure(_reason_of(error), "reading every ten seconds")
            await asyncio.sleep(next(pauses))

    async def _exchange(self) -> None:
        """Read what is new, and write the changes of this process, until there are none."""
        while True:
            await self._read_new()
            changes = tuple(self._unwritten)
            if not changes:
                return
            wanted = _apply(changes, self._read)
            if wanted == self._read and not self._damage:
                self._settle(len(changes), wanted, self._version)
                continue
            async with asyncio.timeout(_MAX_CALL):
                version = await self._shared.write(self._project, encode_overrides(wanted), replaces=self._version)
            if version is not None:
                self._settle(len(changes), wanted, version)

    async def _read_new(self) -> None:
        async with asyncio.timeout(_MAX_CALL):
            copy = await self._shared.read(self._project, self._version)
        if copy.version == self._version:
            return
        try:
            stored = decode_overrides(copy.body or b"[]")
        except ValueError:
            self._version, self._damage = copy.version, "what the engine has is damaged"
            logger.error(  # noqa: TRY400 -- a traceback would say no more
                "shared overrides: %s; %s, and the next change replaces it", self._damage, _KEPT
            )
            return
        self._settle(0, stored, copy.version)

    def _settle(self, written: int, stored: Overrides, version: str) -> None:
        """Record what the engine has, which includes the oldest changes of this process, and use it."""
        with self._lock:
            self._read, self._version, self._damage = stored, version, ""
            del self._unwritten[:written]
            wanted = _apply(self._unwritten, stored)
            if wanted != self._holder.rules.shared_context.overrides:
                self._holder.use_overrides(wanted)
        self._progress.set()


def _apply(changes: "tuple[Change, ...] | list[Change]", overrides: Overrides) -> Overrides:
    for change in changes:
        overrides = change(overrides)
    return overrides


def _reason_of(error: Exception) -> str:
    return "timeout" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def create_override_sync(
    source: Statsig, shared: SharedOverrides, holder: RulesHolder, life: Lifecycle
) -> OverrideSync:
    """Create what shares the overrides of a client with its fleet."""
    return OverrideSync(shared, source.cache_key.rpartition("|")[2], holder, life)
