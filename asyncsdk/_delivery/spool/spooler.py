"""Between admission and the lanes, when a client has a spool: accepted events are written to disk first, in groups.

The path of an event:
    1. `put` adds it to the open group (`_open`); its caller waits for the group.
    2. `_commit` hands the group to the spool's thread, which writes it in one transaction, and opens the next one. One
       commit is under way at a time: however many callers wait, each waits for two commits at most.
    3. `_on_committed` gives each block to its lane's `SpoolReader` and wakes the callers, some per turn of the loop.
    4. The lane delivers it; `_acknowledge` collects what was settled for the next commit, which deletes it from disk.

States: idle, or busy (`_is_busy`) from `_commit` until the callers of that group have been released. While busy nothing
else is committed; `_release` starts the next commit if there is something to write. While idle an alarm is set if
anything is to be written. It is due at once for events, and after `_MAX_DELAY` for exposures and acknowledgements, for
which no caller waits.

If a commit fails, its events stay in memory (`_keep_in_memory`). The next commit tries the disk again; if that fails
too, events of the next `_RETRY_DELAY` seconds stay in memory without another attempt. Callers are released in any case,
even after a bug: a spool must never block them.

Who may change what: everything here runs on the client's event loop, in short callbacks. The spool's one thread runs
`SpoolFiles` only (commit, read, adopt), and its results come back as callbacks.

Example: 200 callers track at once. The first starts a commit in the next turn of the loop, which takes all 200 into one
group. Callers that come while it is written share the next one.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from asyncsdk._delivery.batching import split_exposures
from asyncsdk._delivery.lane import Lane
from asyncsdk._delivery.spool.commit_group import CommitGroup, ReaderBlocks
from asyncsdk._delivery.spool.positions import PendingAcks, to_spooled
from asyncsdk._delivery.spool.reader import SpoolReader
from asyncsdk._delivery.spool.status import SpoolStatus
from asyncsdk._model.receipts import Receipt, Record, Status
from asyncsdk._model.reports import SpoolHealth
from asyncsdk._model.spooling import Adopted, Committed, DeadLetters, NewBlock, StoredBlock
from asyncsdk._model.stores import Spool
from asyncsdk._threads import Worker
from asyncsdk.errors import QueueFullError

logger = logging.getLogger("asyncsdk.spool")

# Seconds that acknowledgements and exposures wait for a commit of events to join, before they get one of their own.
_MAX_DELAY = 0.1
# Seconds from a failed commit until the disk is tried again; only the first in a row is tried again at once.
_RETRY_DELAY = 5.0
# Seconds between two searches for files of ended processes.
SCAN_INTERVAL = 30.0
# Maximum bytes that wait for a commit; beyond it, events whose caller does not wait are dropped.
_MAX_BYTES = 64 * 1024 * 1024
# Bytes read at a time: with more, draining a large spool would block the event loop for longer.
_READ_BYTES = 256 * 1024
# Callers released per turn of the event loop, so that thousands of them do not block it.
_WAITERS_PER_TURN = 100
# The reason for dropping events that had room neither on disk nor in memory.
_FULL = "spool full"


class Spooler:
    """Writes accepted events to disk, gives them to the lanes, and deletes them when they are settled."""

    def __init__(self, spool: Spool, lanes: Sequence[Lane]) -> None:
        """Create a spooler; no file is opened and no thread started before the first event.

        Args:
            spool: The settings, and the files that they open.
            lanes: The client's lanes, in order.
        """
        self._spool = spool
        self._files = spool.open()
        self._worker = Worker(self._files.tidy, self._files.close)
        self._readers = [SpoolReader(lane, self._read) for lane in lanes]
        self._pending_acks = PendingAcks()
        self._dead_letters: list[DeadLetters] = []
        self._open = self._new_group()
        self._is_busy = False
        self._in_commit = 0
        self._alarm: asyncio.Handle | None = None
        self._retry_at = 0.0
        self._status = SpoolStatus(str(getattr(spool, "folder", "")))
        # Set, and replaced by a new one, after each commit and each read.
        self._changed = asyncio.Event()
        # Called in each turn of the loop that releases callers.
        self.on_release: Callable[[], object] = lambda: None
        for reader in self._readers:
            reader.lane.deadline = spool.max_age
            reader.lane.ledger.on_records_settled = partial(self._acknowledge, reader)

    def __repr__(self) -> str:
        state = f"committing {self._in_commit}" if self._is_busy else "idle"
        return f"<Spooler {state}, open {self._open!r}, {self.unsent} events unsent, {len(self._readers)} lanes>"

    def set_label_suffix(self, suffix: str) -> None:
        """Append a suffix to the names under which events are stored, to separate them from those without it."""
        for reader in self._readers:
            reader.label = reader.lane.destination.name + suffix

    # --- accepting --------------------------------------------------------------------------------------------

    def put_nowait(self, receipt: Receipt) -> Receipt:
        """Accept an event without waiting; it is on disk with the next commit."""
        group = self._open
        for number, outcome in enumerate(receipt.outcomes):
            # 1. Admission has settled it for this destination.
            if not isinstance(outcome, Record):
                self._readers[number].lane.ledger.count_refused(receipt.event_id, outcome)
                continue
            record = receipt.outcomes[number] = to_spooled(outcome, receipt.event_id)
            # 2. The disk does not keep up.
            if group.bytes > _MAX_BYTES:
                self._readers[number].refuse(record, "queue full")
            # 3. The usual case.
            else:
                group.add(number, record)
        if group.bytes:
            self._commit_soon(0.0)
        return receipt

    async def put(self, receipt: Receipt) -> Receipt:
        """Accept an event, and wait until it is on disk or was refused.

        Raises:
            QueueFullError: The spool is full for some destinations, and its setting is to raise. For these the event is
                counted as dropped; the others get it.
        """
        if all(not isinstance(outcome, Record) for outcome in receipt.outcomes):
            return self.put_nowait(receipt)
        # A future per caller: one that is cancelled must not cancel the others.
        waiter = asyncio.get_running_loop().create_future()
        self._open.waiters.append(waiter)
        self.put_nowait(receipt)
        await waiter
        if self._spool.rejects:
            self._check_refused(receipt)
        return receipt

    @staticmethod
    def _check_refused(receipt: Receipt) -> None:
        """Raise if the spool was full for some destinations of an event."""
        deliveries = receipt.deliveries
        refused = [name for name, delivery in deliveries.items() if delivery is not None and delivery.reason == _FULL]
        if not refused:
            return
        others = [name for name, delivery in deliveries.items() if delivery is None or delivery.status == "delivered"]
        get_it = f"; it goes to {', '.join(others)}, so do not track it again" if others else ""
        msg = f"the spool is full: the event is dropped for {', '.join(refused)}{get_it}"
        raise QueueFullError(msg)

    def exposure_intake(self, lane: Lane) -> Callable[[Sequence[Record]], bool]:
        """Return the function that accepts exposures for a lane: all of its argument, or none."""
        return partial(self._offer_exposures, next(n for n, reader in enumerate(self._readers) if reader.lane is lane))

    def _offer_exposures(self, number: int, records: Sequence[Record]) -> bool:
        """Accept exposures, if there is room; return whether they were accepted."""
        if self._open.bytes > _MAX_BYTES:
            return False
        for record in records:
            for part in split_exposures(record):  # on disk, each is a record that is settled by itself
                self._open.add(number, to_spooled(part, ""))
        self._commit_soon(_MAX_DELAY)
        return True

    # --- commits ----------------------------------------------------------------------------------------------

    def _new_group(self) -> CommitGroup:
        return CommitGroup([[] for _ in self._readers])

    def _commit_soon(self, delay: float) -> None:
        """Set the alarm for the next commit, or bring it forward.

        Args:
            delay: Seconds from now, at most; 0 is after this turn of the event loop.
        """
        if self._is_busy:
            return  # `_release` sets it
        alarm, loop = self._alarm, asyncio.get_running_loop()
        # A plain Handle is due at once, a TimerHandle later.
        if not delay and (alarm is None or isinstance(alarm, asyncio.TimerHandle)):
            if alarm is not None:
                alarm.cancel()
            self._alarm = loop.call_soon(self._commit)
        elif alarm is None:
            self._alarm = loop.call_later(delay, self._commit)

    def _commit(self) -> None:
        """Hand the open group, acknowledgements and dead letters to the spool's thread."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._is_busy = None, True
        group, self._open = self._open, self._new_group()
        dead, self._dead_letters = self._dead_letters, []
        blocks = group.blocks(self._readers)
        if time.monotonic() < self._retry_at:
            # Acknowledgements are tried all the same: the files keep them for a later commit.
            self._keep_in_memory(blocks)
            blocks = []
        new = [NewBlock(reader.label, records) for reader, records in blocks]
        self._in_commit = sum(len(records) for _, records in blocks)
        work = partial(self._files.commit, new, self._pending_acks.drain(), dead, int(time.time() * 1000))
        on_done, on_error = partial(self._on_committed, group, blocks), partial(self._on_commit_error, group, blocks)
        self._worker.submit(work, on_done, on_error)

    def _on_committed(self, group: CommitGroup, blocks: ReaderBlocks, result: Committed) -> None:
        self._status.record_usage(result.usage)
        try:
            if blocks:
                fits: dict[str, bool] = {}
                for number, (reader, records) in enumerate(blocks):
                    name = reader.lane.destination.name
                    fits[name] = fits.get(name, True) and result.stored(number, len(records)) == len(records)
                self._status.record("", fits)
            self._admit_blocks(blocks, result)
        finally:
            self._release(group)

    def _admit_blocks(self, blocks: ReaderBlocks, result: Committed) -> None:
        """Give the blocks that were written to their lanes, keep the others in memory, and settle deleted ones."""
        # 1. Deleted blocks first: they are older.
        for dropped in result.dropped:
            for reader in (reader for reader in self._readers if reader.label == dropped.destination):
                reader.drop_deleted(dropped.file, dropped.row, dropped.events, dropped.exposures)
        for number, ((reader, block), row) in enumerate(zip(blocks, result.rows, strict=True)):
            stored = result.stored(number, len(block))
            records, unstored = (block, ()) if stored == len(block) else (block[:stored], block[stored:])
            # 2. A block that was written.
            if row is not None:
                reader.accept_block(records, result.file, row)
            # 3. Records without room on disk stay in memory, if their lane has room.
            reader.accept_unstored(unstored, _FULL)

    def _on_commit_error(self, group: CommitGroup, blocks: ReaderBlocks, error: Exception) -> None:
        try:
            self._status.record(str(error) or type(error).__name__)
            self._retry_at = 0.0 if self._status.may_heal_at_once else time.monotonic() + _RETRY_DELAY
            self._keep_in_memory(blocks)
        finally:
            self._release(group)

    @staticmethod
    def _keep_in_memory(blocks: ReaderBlocks) -> None:
        for reader, records in blocks:
            reader.accept_unstored(records)

    def _release(self, group: CommitGroup) -> None:
        """Wake the callers of the group, some in each turn of the loop; then become idle, or commit the next group."""
        group.release(_WAITERS_PER_TURN)
        self.on_release()
        if group.waiters:
            asyncio.get_running_loop().call_soon(partial(self._release, group))
            return
        self._is_busy, self._in_commit = False, 0
        self._wake_waiters()
        if self._open.bytes or self._open.waiters:
            self._commit_soon(0.0)
        elif self._pending_acks or self._dead_letters:
            self._commit_soon(_MAX_DELAY)

    def _wake_waiters(self) -> None:
        """Make `flush` and `close` check again."""
        self._changed.set()
        self._changed = asyncio.Event()

    # --- reading ----------------------------------------------------------------------------------------------

    def scan(self) -> None:
        """Adopt the files of ended processes, if there are any, and let each lane read on."""
        if self._spool.may_have_events():
            labels = [reader.label for reader in self._readers]
            work = partial(self._files.adopt, labels)
            self._worker.submit(work, self._on_adopted, partial(self._on_read_error, None))
        for reader in self._readers:
            reader.read_more()

    def _on_adopted(self, found: Sequence[Adopted]) -> None:
        self._status.record_read("", adopts=True)
        for adopted in found:
            logger.info("spool: adopted events of an ended process: %s", adopted)
            for reader in (reader for reader in self._readers if reader.label in adopted.destinations):
                reader.adopt_file(adopted.file)
        # An empty commit, to learn the size of the spool. Submitted after the first reads, so as not to delay delivery.
        work = partial(self._files.commit, (), {}, (), int(time.time() * 1000))
        self._worker.submit(work, lambda result: self._status.record_usage(result.usage), lambda _: None)

    def _read(self, reader: SpoolReader, file: int, after: int) -> None:
        work = partial(self._files.read, file, reader.label, after, _READ_BYTES)
        self._worker.submit(work, partial(self._on_read, reader), partial(self._on_read_error, reader))

    def _on_read(self, reader: SpoolReader, found: Sequence[StoredBlock]) -> None:
        self._status.record_read("")
        reader.receive(found)
        self._wake_waiters()

    def _on_read_error(self, reader: SpoolReader | None, error: Exception) -> None:
        """Log a failed read, or adoption (no reader); the next scan or settled event tries again."""
        self._status.record_read(str(error) or type(error).__name__, adopts=reader is None)
        if reader is not None:
            reader.read_failed()

    # --- settled events ---------------------------------------------------------------------------------------

    def _acknowledge(self, reader: SpoolReader, records: Collection[Record], status: Status, reason: str) -> None:
        """Delete settled records from disk with the next commit.

        1. Spooled and abandoned ones stay on disk: the next process sends them.
        2. Delivered ones, and those that an engine has stored, are deleted.
        3. Rejected and dropped ones are deleted too, and kept as dead letters.
        """
        if status in ("spooled", "abandoned"):
            return
        if status not in ("delivered", "enqueued"):
            self._dead_letters.append(DeadLetters(reader.label, list(records), status, reason))
        self._pending_acks.add(records)
        self._commit_soon(_MAX_DELAY)
        reader.read_more()

    # --- flush, close and health ------------------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        """Number of events and exposures of this process that are on disk only, or on their way there."""
        on_disk = sum(reader.backlog.own_count for reader in self._readers)
        return on_disk + sum(map(len, self._open.records)) + self._in_commit

    async def flush(self, lane: Lane, closing_at: float | None = None) -> None:
        """Send without linger, and wait until everything accepted for a lane before the call is settled.

        Args:
            lane: The lane.
            closing_at: As for `Lane.flush`.
        """
        reader = next(reader for reader in self._readers if reader.lane is lane)
        # 1. Everything accepted is written.
        while self._is_busy or self._open.bytes:
            self._commit_soon(0.0)
            await self._changed.wait()
        # 2. The lane takes the backlog, as much at a time as it has room for.
        while reader.backlog.own_count:
            changed = self._changed  # taken before the flush, so that a read during it is not missed
            await lane.flush(closing_at)
            if closing_at is not None and lane.is_blocked_until(closing_at):
                break
            reader.read_more()
            if reader.backlog.own_count:
                await changed.wait()
        # 3. The rest is in the lane.
        await lane.flush(closing_at)

    async def close(self) -> None:
        """Write and count what is left, and end the thread; called after the lanes' workers have ended."""
        while self._is_busy:
            await self._changed.wait()
        for reader in self._readers:
            reader.settle_admitted()
        self._commit()
        while self._is_busy:
            await self._changed.wait()
        for reader in self._readers:
            reader.settle_backlog()
        await self._worker.stop()

    def health(self) -> SpoolHealth:
        """Return the state of the spool."""
        return self._status.health(sum(reader.backlog.own_count for reader in self._readers))
