"""One open file of a spool: its lock, its database, and the acknowledgements that are not in it yet.

An acknowledgement (`Settled`) says which records of a block have an outcome. It takes two steps:

1. `queue_acks` adds it to `pending_acks`, in memory. A block that is finished has no more progress.
2. `commit` stores all pending acknowledgements, in the same transaction as new blocks; only then are they cleared.

A commit that fails therefore loses no acknowledgement, and a process that is killed between the two steps delivers the
records once more, under the same ids. On a disk that is too full for one large transaction, `commit_acks_in_steps`
stores them in small ones.

Example: after `queue_acks(Settled(progress=[(1, 0b01)]))` and `queue_acks(Settled(finished=[1]))`, what is pending is
`Settled(finished=(1,))`.

The functions at the end classify SQLite's errors: a full disk, damage, or anything else, which is retried later.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

import attrs

from asyncsdk._model.blocks import Block, BlockError, unpack_block
from asyncsdk._model.spooling import Dropped, Settled
from asyncsdk.stores.sqlite.database import VACUUM_FROM, Database
from asyncsdk.stores.sqlite.file_lock import FileLock, has_foreign_companion
from asyncsdk.stores.sqlite.rows import DeadRow, NewRow, Row
from asyncsdk.stores.sqlite.shares import Victim

DISK_FULL, FILE_DELETED = "disk full", "its file was deleted"
# Seconds between two vacuum steps, which limits them to 6 MB a second. The pages of the oldest blocks are at the front
# of the file, so each step has to move pages from its end.
_VACUUM_INTERVAL = 0.25
# Blocks that are acknowledged in one transaction while the disk is full.
_STEP_BLOCKS = 16
# Vacuum steps in one `shrink`: about 16 MB.
_SHRINK_STEPS = 10
# In a larger file, the events of this many blocks are counted and extrapolated.
_SAMPLE_BLOCKS = 100


@attrs.define(eq=False, repr=False)
class OpenFile:
    """One open file.

    Attributes:
        lock: The right to it.
        database: Its content.
        pending_acks: What became of its blocks and is not stored yet.
        destinations: Destinations for which it had blocks at the latest check. An adopted file gets no new blocks, so
            this only shrinks. None before the first check.
    """

    lock: FileLock
    database: Database
    pending_acks: Settled = Settled()
    destinations: Sequence[str] | None = None
    # For each destination, the last block that was deleted to make space: those before it are not searched again.
    _dropped_to: dict[str, int] = attrs.field(factory=dict)
    _vacuumed_at: float = 0.0
    _has_freed_pages: bool = False

    def __repr__(self) -> str:
        acks = f"{len(self.pending_acks.finished)} finished and {len(self.pending_acks.progress)} partly settled blocks"
        return f"<OpenFile {self.lock.path.name}: {acks} to acknowledge>"

    def queue_acks(self, settled: Settled) -> None:
        """Add acknowledgements to those that the next commit stores."""
        finished = (*self.pending_acks.finished, *settled.finished)
        progress = {**dict(self.pending_acks.progress), **dict(settled.progress)}
        for row in finished:  # deleting a block deletes its progress
            progress.pop(row, None)
        self.pending_acks = Settled(finished, tuple(progress.items()))

    def commit(
        self,
        rows: Sequence[NewRow] = (),
        dead: Sequence[DeadRow] = (),
        dead_bytes: int = 0,
        dropped: Mapping[int, str] = MappingProxyType({}),
    ) -> list[int]:
        """Store blocks, dead letters and the pending acknowledgements, all in one transaction.

        Args:
            rows: Blocks to store.
            dead: Dead letters to store.
            dead_bytes: Maximum size of all dead letters of the file.
            dropped: Blocks to delete in favour of the new ones, with their destinations.

        Returns:
            The ids of the blocks.

        Raises:
            sqlite3.Error: Nothing was stored, unless the error was a failed sync, which leaves that unknown.
        """
        acks = self.pending_acks
        if dropped:
            progress = [(row, done) for row, done in acks.progress if row not in dropped]
            acks = Settled((*acks.finished, *dropped), progress)
        ids = self.database.commit(rows, acks, dead, dead_bytes)
        self._dropped_to.update((destination, row) for row, destination in dropped.items())
        self._has_freed_pages |= bool(acks.finished)
        self.pending_acks = Settled()
        return ids

    def drop(self, victim: Victim) -> None:
        """Delete a block in favour of newer ones, with the next acknowledgements."""
        self.queue_acks(Settled((victim.row,)))
        self._dropped_to[victim.destination] = victim.row

    def oldest_blocks(self, destination: str) -> Iterator[Row]:
        """Return the blocks of a destination, oldest first."""
        after = self._dropped_to.get(destination, 0)
        while rows := self.database.read(destination, after, max_bytes=1):
            yield rows[0]
            after = rows[0].id

    def tidy(self, checkpoint_bytes: int, *, should_shrink: bool) -> None:
        """Run one slice of background maintenance; errors are left to the next slice.

        Args:
            checkpoint_bytes: Size of the WAL from which it is moved into the database.
            should_shrink: Whether to return free pages to the file system. An adopted file is deleted when it is
                empty, so shrinking it before would be wasted work.
        """
        now = time.monotonic()
        with suppress(sqlite3.Error):
            self.database.checkpoint_if_due(checkpoint_bytes)
            if should_shrink and self._has_freed_pages and now > self._vacuumed_at + _VACUUM_INTERVAL:
                self._vacuumed_at, self._has_freed_pages = now, self.database.vacuum_step()

    def commit_acks_in_steps(self) -> None:
        """Store the pending acknowledgements in small transactions, returning the space of the WAL after each.

        Raises:
            sqlite3.Error: The disk is too full even for that; acknowledgements that were not stored stay pending.
        """
        self.database.truncate_wal()
        while self.has_pending_acks:
            finished, progress = self.pending_acks.finished, self.pending_acks.progress
            # Finished blocks first, because deleting them frees pages.
            step = Settled(finished[:_STEP_BLOCKS], () if finished else progress[:_STEP_BLOCKS])
            self.database.commit((), step, (), 0)
            self.pending_acks = Settled(finished[_STEP_BLOCKS:], progress if finished else progress[_STEP_BLOCKS:])
            self.database.truncate_wal()

    def shrink(self, min_pages: int = VACUUM_FROM) -> None:
        """Return the space of the WAL and up to 16 MB of free pages to the file system.

        Args:
            min_pages: With fewer free pages than this, they stay.

        Raises:
            sqlite3.Error: The disk is too full even for that.
        """
        self.database.truncate_wal()
        for _ in range(_SHRINK_STEPS):
            if not self.database.vacuum_step(min_pages):
                break
            self.database.truncate_wal()

    @property
    def has_pending_acks(self) -> bool:
        """Whether there are acknowledgements to store."""
        return bool(self.pending_acks.finished or self.pending_acks.progress)

    def is_empty(self) -> bool:
        """Return whether the database is known to be empty; False if it cannot be read now."""
        try:
            return self.database.is_empty
        except sqlite3.Error:
            return False

    def count_waiting(self, destinations: Sequence[str]) -> tuple[dict[str, int], bool]:
        """Count the events that wait for each of these destinations.

        Adopting a file must not read all of it, since the first delivery waits for that: in a large file, the oldest
        100 blocks are counted and extrapolated.

        Returns:
            The counts by destination, 0 where the database cannot be read now, and whether they are exact.
        """
        found, scale = dict.fromkeys(destinations, 0), 1.0
        with suppress(sqlite3.Error):
            for destination, events, done in self.database.counts(_SAMPLE_BLOCKS):
                if destination in found:
                    found[destination] += events - done.bit_count()
            scale = max(1.0, self.database.id_span / _SAMPLE_BLOCKS)
        return {destination: round(events * scale) for destination, events in found.items()}, scale == 1.0

    def close(self) -> FileLock:
        """Close the database, and return its lock for the caller to release."""
        self.database.close()
        return self.lock


class DamagedError(Exception):
    """The file is not a database, or it is damaged."""


def open_database(lock: FileLock) -> Database | None:
    """Open the database of a lock, which is known to be the spool's; None if it cannot be opened now.

    Raises:
        DamagedError: It can never be opened.
        UnknownVersionError: Another version of this package created it.
    """
    if has_foreign_companion(lock.path):
        return None
    try:
        return Database(lock.path)
    except sqlite3.Error as error:
        if is_damage(error):
            raise DamagedError from error
        return None


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error means that a file is not a database, is damaged, or has unexpected tables."""
    return result_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def is_disk_full(error: Exception) -> bool:
    """Return whether an error means that the disk is full."""
    return isinstance(error, sqlite3.Error) and result_code(error) == sqlite3.SQLITE_FULL


def result_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 if the error has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def describe_error(error: sqlite3.Error | OSError) -> str:
    """Return a short description of an error, without any path."""
    if isinstance(error, sqlite3.Error):
        return DISK_FULL if is_disk_full(error) else str(error)
    return error.strerror or type(error).__name__


def unpack_for(destination: str, body: bytes) -> Block:
    """Unpack a block of a destination.

    Raises:
        BlockError: It is damaged, or it belongs to another destination.
    """
    block = unpack_block(body)
    if block.destination != destination:
        raise BlockError
    return block


def count_dropped(victim: Victim) -> Dropped:
    """Count the unsettled records of a block that was deleted; 0 if it is damaged."""
    try:
        records = unpack_block(victim.body).records
    except BlockError:
        return Dropped(victim.file, victim.row, victim.destination, 0)
    left = [kept.is_exposure for position, kept in enumerate(records) if not victim.done >> position & 1]
    return Dropped(victim.file, victim.row, victim.destination, left.count(False), left.count(True))
