"""A database that this process has the right to, and what it has yet to be told."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress

import attrs

from asyncsdk._model.blocks import Block, BlockError, unpack_block
from asyncsdk._model.spooling import Dropped, Settled
from asyncsdk.stores.sqlite.database import Database
from asyncsdk.stores.sqlite.file_lock import FileLock
from asyncsdk.stores.sqlite.rows import DeadRow, NewRow, Row

DISK_FULL, DELETED = "disk full", "its file was deleted"
# A file gives pages back a few at a time, this many seconds apart: 6 MB a second. The oldest blocks stand in front, so
# what follows them has to be written again for that.
_TIDY_EVERY = 0.25
# Blocks that are deleted at once when room is short.
_FEW = 16
# Some 16 MB.
_SHRINK_STEPS = 10
# Blocks by which the size of a larger file is judged.
_SAMPLE = 100


@attrs.define(eq=False)
class OpenFile:
    """One open file.

    Attributes:
        claim: The right to it.
        database: Its content.
        owed: What became of its blocks, and is not noted in it yet.
        wanted: For whom it had events at the latest look; they do not become more. None before the first.
    """

    claim: FileLock
    database: Database
    owed: Settled = Settled()
    wanted: Sequence[str] | None = None
    _tidied: float = 0.0
    _has_freed: bool = False

    def owe(self, news: Settled) -> None:
        """Remember what became of blocks."""
        finished = (*self.owed.finished, *news.finished)
        progress = {**dict(self.owed.progress), **dict(news.progress)}
        for row in finished:
            progress.pop(row, None)
        self.owed = Settled(finished, tuple(progress.items()))

    def commit(self, rows: Sequence[NewRow] = (), dead: Sequence[DeadRow] = (), dead_bytes: int = 0) -> list[int]:
        """Keep blocks and dead letters, and note what is owed: all of it or nothing.

        Raises:
            sqlite3.Error: Nothing was done, as far as can be known.
        """
        ids = self.database.commit(rows, self.owed, dead, dead_bytes)
        self._has_freed |= bool(self.owed.finished)
        self.owed = Settled()
        return ids

    def tidy(self, *, gives_back: bool) -> None:
        """Do a little of what nobody waits for.

        Args:
            gives_back: The file is to become smaller; one that will be deleted when it is empty need not.
        """
        now = time.monotonic()
        with suppress(sqlite3.Error):  # the next one may do it
            self.database.move_on()
            if gives_back and self._has_freed and now > self._tidied + _TIDY_EVERY:
                self._tidied, self._has_freed = now, self.database.tidy()

    def note_bit_by_bit(self) -> None:
        """Note what is owed in transactions that need little room, and give that back after each.

        Raises:
            sqlite3.Error: Not even that is possible; what was not noted is still owed.
        """
        self.database.checkpoint()
        while self.owes:
            finished, progress = self.owed.finished, self.owed.progress
            part = Settled(finished[:_FEW], () if finished else progress[:_FEW])
            self.database.commit((), part, (), 0)
            self.owed = Settled(finished[_FEW:], progress if finished else progress[_FEW:])
            self.database.checkpoint()

    def shrink(self) -> None:
        """Give to the file system what can be given.

        Raises:
            sqlite3.Error: Not even that is possible.
        """
        self.database.checkpoint()
        for _ in range(_SHRINK_STEPS):
            if not self.database.tidy():
                break
            self.database.checkpoint()

    @property
    def owes(self) -> bool:
        """Whether there is something to be noted."""
        return bool(self.owed.finished or self.owed.progress)

    def is_empty(self) -> bool:
        """Say whether there is surely nothing in it."""
        try:
            return self.database.is_empty
        except sqlite3.Error:
            return False

    def waiting(self, destinations: Sequence[str]) -> tuple[dict[str, int], bool]:
        """Say what waits for each of these destinations, and whether it was counted.

        Of a large file it is judged by the oldest blocks: the first delivery waits for it. 0 where that is not
        possible now.
        """
        found, share = dict.fromkeys(destinations, 0), 1.0
        with suppress(sqlite3.Error):
            for destination, events, done in self.database.counts(_SAMPLE):
                if destination in found:
                    found[destination] += events - done.bit_count()
            share = max(1.0, self.database.span / _SAMPLE)
        return {destination: round(events * share) for destination, events in found.items()}, share == 1.0

    def close(self) -> FileLock:
        """Close the database; the right to it is handed back."""
        self.database.close()
        return self.claim


class DamagedError(Exception):
    """The file is no database, or not whole."""


def open_file(claim: FileLock) -> Database | None:
    """Open the file of a claim; None when that is not possible now.

    Raises:
        DamagedError: It never will be.
        UnknownVersionError: Another version made it, and is to read it.
    """
    try:
        return Database(claim.path)
    except sqlite3.Error as error:
        if is_damage(error):
            raise DamagedError from error
        return None


def is_damage(error: sqlite3.Error) -> bool:
    """Say whether an error means that a file is no database, not whole, or that its tables are not ours."""
    return code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def is_full(error: Exception) -> bool:
    """Say whether an error means that the disk is full."""
    return isinstance(error, sqlite3.Error) and code_of(error) == sqlite3.SQLITE_FULL


def code_of(error: sqlite3.Error) -> int:
    """Give SQLite's primary result code; 0 when there is none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def name_of(error: sqlite3.Error | OSError) -> str:
    """Name a failure in a few words that hold no path."""
    if isinstance(error, sqlite3.Error):
        return DISK_FULL if is_full(error) else str(error)
    return error.strerror or type(error).__name__


def block_of(destination: str, body: bytes) -> Block:
    """Read a block of a destination.

    Raises:
        BlockError: It is damaged, or another's.
    """
    block = unpack_block(body)
    if block.destination != destination:
        raise BlockError
    return block


def loss_of(file: int, destination: str, row: Row) -> Dropped:
    """Count what goes with a block."""
    try:
        records = unpack_block(row.body).records
    except BlockError:
        return Dropped(file, row.id, destination, 0)
    left = [kept.is_exposure for position, kept in enumerate(records) if not row.done >> position & 1]
    return Dropped(file, row.id, destination, left.count(False), left.count(True))
