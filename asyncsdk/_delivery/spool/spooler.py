"""Between admission and the lanes, when a client has a spool: what is accepted goes to disk first, in groups.

While one commit is under way, the next group gathers: however many wait, each of them waits for one or two commits.
Everything here runs on the client's loop, in short callbacks; the spool's one thread does the rest.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from asyncsdk._delivery.batching import split_exposures
from asyncsdk._delivery.lane import Lane
from asyncsdk._delivery.spool.commit_group import CommitGroup, Parts
from asyncsdk._delivery.spool.positions import PendingAcks, to_spooled
from asyncsdk._delivery.spool.reader import SpoolReader
from asyncsdk._delivery.spool.status import SpoolStatus
from asyncsdk._model.receipts import Receipt, Record, Status
from asyncsdk._model.reports import SpoolHealth
from asyncsdk._model.spooling import Adopted, Committed, DeadLetters, NewBlock, Spool, StoredBlock
from asyncsdk._threads import Worker
from asyncsdk.errors import QueueFullError

logger = logging.getLogger("asyncsdk.spool")

# Acknowledgements and exposures wait so long, in seconds, for a commit that has to be made anyway.
_MAX_DELAY = 0.1
# A spool that failed is tried again after so many seconds.
_RETRY_DELAY = 5.0
# It looks for files of processes that are gone each so many seconds.
SCAN_INTERVAL = 30.0
# Most bytes that wait for a commit; with more, what does not wait for it is dropped.
_MAX_BYTES = 64 * 1024 * 1024
# What is read from disk at once: with more of it, a turn of the loop is long while a large spool is drained.
_READ_BYTES = 256 * 1024
# So many callers go on in one turn of the loop, for the sake of all others.
_WAITERS_PER_TURN = 100


class Spooler:
    """Puts what is accepted on disk, lets the lanes have it, and forgets it when it has its fate."""

    def __init__(self, spool: Spool, lanes: Sequence[Lane]) -> None:
        """Prepare; nothing is opened, and no thread started, before the first event."""
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
        self._status = SpoolStatus()
        self._changed = asyncio.Event()
        for reader in self._readers:
            reader.lane.deadline = spool.max_age
            reader.lane.ledger.on_records_settled = partial(self._acknowledge, reader)

    def set_label_suffix(self, suffix: str) -> None:
        """Keep events apart from those that go to other addresses under the same names."""
        for reader in self._readers:
            reader.label = reader.lane.destination.name + suffix

    # --- the way in -------------------------------------------------------------------------------------------

    def put_nowait(self, receipt: Receipt) -> Receipt:
        """Take an event without waiting: it is on disk with the next commit."""
        group = self._open
        for number, outcome in enumerate(receipt.outcomes):
            if not isinstance(outcome, Record):
                self._readers[number].lane.ledger.count_refused(receipt.event_id, outcome)
                continue
            record = receipt.outcomes[number] = to_spooled(outcome, receipt.event_id)
            if group.bytes > _MAX_BYTES:
                self._readers[number].refuse(record, "queue full")
            else:
                group.add(number, record)
        if group.bytes:
            self._commit_soon(0.0)
        return receipt

    async def put(self, receipt: Receipt) -> Receipt:
        """Take an event, and return when it is on disk, or has been refused.

        Raises:
            QueueFullError: The spool is full, and its setting is to say so; the event is counted as dropped.
        """
        if all(not isinstance(outcome, Record) for outcome in receipt.outcomes):
            return self.put_nowait(receipt)
        waiter = asyncio.get_running_loop().create_future()
        self._open.waiters.append(waiter)
        self.put_nowait(receipt)
        if not await waiter and self._spool.rejects:
            msg = "the spool is full"
            raise QueueFullError(msg)
        return receipt

    def exposure_intake(self, lane: Lane) -> Callable[[Sequence[Record]], bool]:
        """Give what takes exposures for a lane, all or none."""
        return partial(self._offer_exposures, next(n for n, reader in enumerate(self._readers) if reader.lane is lane))

    def _offer_exposures(self, number: int, records: Sequence[Record]) -> bool:
        """Take exposures, if there is room; they are in no hurry to be on disk."""
        if self._open.bytes > _MAX_BYTES:
            return False
        for record in records:
            for part in split_exposures(record):
                self._open.add(number, to_spooled(part, ""))
        self._commit_soon(_MAX_DELAY)
        return True

    # --- commits ----------------------------------------------------------------------------------------------

    def _new_group(self) -> CommitGroup:
        return CommitGroup([[] for _ in self._readers])

    def _commit_soon(self, patience: float) -> None:
        """Commit what has gathered: after this turn of the loop, or at the latest after `patience` seconds."""
        if self._is_busy:
            return
        alarm, loop = self._alarm, asyncio.get_running_loop()
        if not patience and (alarm is None or isinstance(alarm, asyncio.TimerHandle)):
            if alarm is not None:
                alarm.cancel()
            self._alarm = loop.call_soon(self._commit)
        elif alarm is None:
            self._alarm = loop.call_later(patience, self._commit)

    def _commit(self) -> None:
        """Give the group, and what became of earlier ones, to the thread."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._is_busy = None, True
        group, self._open = self._open, self._new_group()
        dead, self._dead_letters = self._dead_letters, []
        parts = group.parts(self._readers)
        if time.monotonic() < self._retry_at:
            self._keep_in_memory(parts)
            parts = []
        blocks = [NewBlock(reader.label, part) for reader, part in parts]
        self._in_commit = sum(len(part) for _, part in parts)
        work = partial(self._files.commit, blocks, self._pending_acks.drain(), dead, int(time.time() * 1000))
        self._worker.submit(
            work, partial(self._on_committed, group, parts), partial(self._on_commit_error, group, parts)
        )

    def _on_committed(self, group: CommitGroup, parts: Parts, result: Committed) -> None:
        self._status.usage = result.usage
        has_room = all(row is not None for row in result.rows)
        try:
            if parts:
                self._status.record("", is_full=not has_room)
            self._admit_blocks(parts, result)
        finally:  # whatever goes wrong, nobody waits for ever
            self._release(group, has_room=has_room)

    def _admit_blocks(self, parts: Parts, result: Committed) -> None:
        """Let the lanes have what is on disk now, and count what found no room."""
        for dropped in result.dropped:
            for reader in (reader for reader in self._readers if reader.label == dropped.destination):
                reader.drop_deleted(dropped.file, dropped.row, dropped.events, dropped.exposures)
        for (reader, records), row in zip(parts, result.rows, strict=True):
            if row is not None:
                reader.accept_block(records, result.file, row)
            else:
                for record in records:
                    reader.refuse(record, "spool full")

    def _on_commit_error(self, group: CommitGroup, parts: Parts, error: Exception) -> None:
        self._retry_at = time.monotonic() + _RETRY_DELAY
        try:
            self._status.record(str(error) or type(error).__name__, is_full=False)
            self._keep_in_memory(parts)
        finally:
            self._release(group, has_room=True)

    @staticmethod
    def _keep_in_memory(parts: Parts) -> None:
        for reader, records in parts:
            for record in records:
                reader.accept_unstored(record)

    def _release(self, group: CommitGroup, *, has_room: bool) -> None:
        """Let those go on who waited for the group, some in each turn of the loop, and begin with the next group."""
        group.release(_WAITERS_PER_TURN, has_room=has_room)
        if group.waiters:
            asyncio.get_running_loop().call_soon(partial(self._release, group, has_room=has_room))
            return
        self._is_busy, self._in_commit = False, 0
        self._wake_waiters()
        if self._open.bytes or self._open.waiters:
            self._commit_soon(0.0)
        elif self._pending_acks or self._dead_letters:
            self._commit_soon(_MAX_DELAY)

    def _wake_waiters(self) -> None:
        """Let those look again who wait for something to change."""
        self._changed.set()
        self._changed = asyncio.Event()

    # --- from disk --------------------------------------------------------------------------------------------

    def scan(self) -> None:
        """Take over what processes that are gone have left, if there are any files."""
        if self._spool.may_have_events():
            labels = [reader.label for reader in self._readers]
            self._worker.submit(
                partial(self._files.adopt, labels), self._on_adopted, partial(self._on_read_error, None)
            )
        for reader in self._readers:
            reader.read_more()

    def _on_adopted(self, found: Sequence[Adopted]) -> None:
        for adopted in found:
            logger.info("took over events of a process that ended: %s", adopted)
            for reader in (reader for reader in self._readers if reader.label in adopted.destinations):
                reader.adopt_file(adopted.file)

    def _read(self, reader: SpoolReader, file: int, after: int) -> None:
        work = partial(self._files.read, file, reader.label, after, _READ_BYTES)
        self._worker.submit(work, partial(self._on_read, reader), partial(self._on_read_error, reader))

    def _on_read(self, reader: SpoolReader, found: Sequence[StoredBlock]) -> None:
        reader.receive(found)
        self._wake_waiters()

    def _on_read_error(self, reader: SpoolReader | None, error: Exception) -> None:
        """Say so; the next look, or the next fate, tries again."""
        logger.error("the spool cannot be read (%s)", error)
        if reader is not None:
            reader.read_failed()

    # --- fates ------------------------------------------------------------------------------------------------

    def _acknowledge(self, reader: SpoolReader, records: Collection[Record], status: Status, reason: str) -> None:
        """Forget on disk what has its fate; what was given up is kept as a dead letter."""
        if status in ("spooled", "abandoned"):
            return
        if status != "delivered":
            self._dead_letters.append(DeadLetters(reader.label, list(records), status, reason))
        self._pending_acks.add(records)
        self._commit_soon(_MAX_DELAY)
        reader.read_more()

    # --- the end ----------------------------------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        """How many events and exposures of this process are on disk only, or on their way there."""
        return (
            sum(reader.backlog.own_count for reader in self._readers)
            + sum(map(len, self._open.records))
            + self._in_commit
        )

    async def flush(self, lane: Lane, closing_at: float | None = None) -> None:
        """Send at once, and return when all that a lane was given before the call has met its fate."""
        reader = next(reader for reader in self._readers if reader.lane is lane)
        while self._is_busy or self._open.bytes:
            self._commit_soon(0.0)
            await self._changed.wait()
        while reader.backlog.own_count:
            news = self._changed
            await lane.flush(closing_at)
            if closing_at is not None and lane.is_blocked_until(closing_at):
                break
            reader.read_more()
            if reader.backlog.own_count:
                await news.wait()
        await lane.flush(closing_at)

    async def close(self) -> None:
        """Put the rest on disk, count it, and end the thread. The lanes have ended before."""
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
        """Tell how the spool is doing."""
        return self._status.health(sum(reader.backlog.own_count for reader in self._readers))
