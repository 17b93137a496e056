"""One file of a spool: an SQLite database with a single connection, used by a single thread.

A commit is on disk when it returns (WAL, `synchronous=FULL`: one fsync). The file is locked exclusively, so there is
never a second connection, which the defect of SQLite 3.7 to 3.51.2 in resetting the WAL would need.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from asyncsdk._model.blocks import pack_settled, unpack_settled
from asyncsdk._model.spooling import Settled
from asyncsdk.stores.sqlite.rows import DeadRow, NewRow, Row

VERSION = 1
_PAGE = 16_384
# So much waits in the WAL for its place in the file, as far as can be told; with 8 MB, a commit has to move it.
_MOVE_FROM, _CHECKPOINT_PAGES, _WAL_BYTES = 2 * 1024 * 1024, 500, 8 * 1024 * 1024
# What a commit writes besides blocks: pages of tables and of the list of free ones.
_OVERHEAD = 4 * _PAGE
# Free pages that are worth giving back, and how many at once: with more, SQLite's cache would spill into the WAL.
_VACUUM_FROM, _VACUUM_PAGES = 32, 96

_SETTINGS = (
    f"PRAGMA page_size={_PAGE}",
    "PRAGMA auto_vacuum=INCREMENTAL",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=1",  # macOS: an fsync that the drive cannot put off
    f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}",
    f"PRAGMA journal_size_limit={_WAL_BYTES}",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA secure_delete=OFF",  # distributions build it in, and each block would be written twice more, as zeros
    "PRAGMA temp_store=MEMORY",
)
_SCHEMA = (
    "CREATE TABLE block (id INTEGER PRIMARY KEY, destination TEXT NOT NULL, events INTEGER NOT NULL, body BLOB)",
    "CREATE TABLE progress (block INTEGER PRIMARY KEY, done BLOB)",
    "CREATE TABLE dead (id INTEGER PRIMARY KEY, destination TEXT, events INTEGER, status TEXT, reason TEXT, body BLOB)",
    f"PRAGMA user_version={VERSION}",
)


class UnknownVersionError(Exception):
    """The file was made by another version, and is none of ours to touch."""


class Database:
    """One open file. What it raises is SQLite's: `sqlite3.Error`."""

    def __init__(self, path: Path) -> None:
        """Open a file, or make it; what its process had committed is there again.

        Raises:
            UnknownVersionError: Another version made it.
        """
        self.path = path
        self._in_wal = 0
        # Bytes of the dead letters; None while nobody has asked: to count them takes a look at each.
        self._buried: int | None = None
        path.touch(mode=0o600)
        self._inode = path.stat().st_ino
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, cached_statements=32)
        try:
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            version = self._number("PRAGMA user_version")
            if version not in (0, VERSION):
                raise UnknownVersionError  # noqa: TRY301 -- the connection must be closed
            for setting in _SETTINGS:
                self._connection.execute(setting)
            if version == 0:
                self._make()
            self._next = 1 + self._number("SELECT max(id) FROM block")
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        with self._transaction():
            for statement in _SCHEMA:
                self._connection.execute(statement)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # or the file might be gone after a power cut, however well it was synced
        finally:
            os.close(folder)

    @property
    def is_gone(self) -> bool:
        """Whether somebody has deleted the file; what is in it can be read for as long as it is open."""
        try:
            return self.path.stat().st_ino != self._inode
        except OSError:
            return True

    def commit(self, rows: Sequence[NewRow], settled: Settled, dead: Sequence[DeadRow], dead_bytes: int) -> list[int]:
        """Keep blocks, settle others, and file dead letters: all of it or nothing; give the numbers of the blocks.

        Args:
            rows: Blocks to keep.
            settled: Blocks to forget, and progress of others.
            dead: Dead letters to keep.
            dead_bytes: The oldest dead letters are forgotten when there are more bytes of them.
        """
        execute, executemany = self._connection.execute, self._connection.executemany
        ids, buried = range(self._next, self._next + len(rows)), self._buried
        with self._transaction():
            for number, row in zip(ids, rows, strict=True):
                execute("INSERT INTO block VALUES (?, ?, ?, ?)", (number, row.destination, row.events, row.body))
            if settled.finished:
                executemany("DELETE FROM block WHERE id = ?", ((number,) for number in settled.finished))
                executemany("DELETE FROM progress WHERE block = ?", ((number,) for number in settled.finished))
            if settled.progress:
                executemany(
                    "INSERT OR REPLACE INTO progress VALUES (?, ?)",
                    ((number, pack_settled(done)) for number, done in settled.progress),
                )
            if dead:
                buried = self._bury(dead, dead_bytes)
        self._next, self._buried = ids.stop, buried
        self._in_wal += _OVERHEAD + sum(len(row.body) for row in rows)
        return list(ids)

    def _bury(self, dead: Sequence[DeadRow], max_bytes: int) -> int:
        """Keep dead letters, and forget the oldest ones if there are too many; give the bytes of all of them."""
        size = self._number("SELECT total(length(body)) FROM dead") if self._buried is None else self._buried
        size += sum(len(row.body) for row in dead)
        self._connection.executemany(
            "INSERT INTO dead (destination, events, status, reason, body) VALUES (?, ?, ?, ?, ?)",
            ((row.destination, row.events, row.status, row.reason, row.body) for row in dead),
        )
        while size > max_bytes:
            oldest, its_size = self._connection.execute("SELECT id, length(body) FROM dead ORDER BY id").fetchone()
            self._connection.execute("DELETE FROM dead WHERE id = ?", (oldest,))
            size -= its_size
        return size

    def keep(self, rows: Sequence[NewRow]) -> list[int]:
        """Keep blocks, and nothing else."""
        return self.commit(rows, Settled(), (), 0)

    def take_over(self, other: "Database") -> None:
        """Keep all blocks of another file, with what is settled of them."""
        query = "SELECT destination, events, body, done FROM block LEFT JOIN progress ON block = id ORDER BY id"
        rows = other._connection.execute(query)  # noqa: SLF001 -- of the same kind
        with self._transaction():
            for number, (destination, events, body, done) in enumerate(rows, self._next):
                self._connection.execute("INSERT INTO block VALUES (?, ?, ?, ?)", (number, destination, events, body))
                if done is not None:
                    self._connection.execute("INSERT INTO progress VALUES (?, ?)", (number, done))
                self._next = number + 1

    def read(self, destination: str, after: int, max_bytes: int) -> list[Row]:
        """Give the blocks of a destination that follow number `after`: at least one, if there is one."""
        found: list[Row] = []
        size = 0
        rows = self._connection.execute(
            "SELECT id, body, done FROM block LEFT JOIN progress ON block = id"
            " WHERE id > ? AND destination = ? ORDER BY id",
            (after, destination),
        )
        for number, body, done in rows:
            found.append(Row(number, bytes(body), unpack_settled(done)))
            size += len(body)
            if size >= max_bytes:
                break
        rows.close()
        return found

    def oldest(self) -> tuple[str, Row] | None:
        """Give the oldest block, and whose it is; None when there is none."""
        found = self._connection.execute(
            "SELECT destination, id, body, done FROM block LEFT JOIN progress ON block = id ORDER BY id LIMIT 1"
        ).fetchone()
        return None if found is None else (found[0], Row(found[1], bytes(found[2]), unpack_settled(found[3])))

    def has(self, destination: str) -> bool:
        """Say whether there are events for a destination."""
        return bool(self._number("SELECT EXISTS (SELECT 1 FROM block WHERE destination = ?)", destination))

    def counts(self, most: int = -1) -> list[tuple[str, int, int]]:
        """Give destination, number of records and settled positions of all blocks, or of the oldest ones."""
        rows = self._connection.execute(
            "SELECT destination, events, done FROM block LEFT JOIN progress ON block = id ORDER BY id LIMIT ?", (most,)
        )
        return [(destination, events, unpack_settled(done)) for destination, events, done in rows]

    @property
    def span(self) -> int:
        """Most blocks that there can be."""
        return self._number("SELECT 1 + (SELECT max(id) FROM block) - (SELECT min(id) FROM block)")

    def blocks(self) -> Iterator[Row]:
        """Give all blocks, oldest first."""
        rows = self._connection.execute("SELECT id, body, done FROM block LEFT JOIN progress ON block = id ORDER BY id")
        return (Row(number, bytes(body), unpack_settled(done)) for number, body, done in rows)

    def forget_blocks(self) -> None:
        """Delete all blocks, and leave nothing of them in the file."""
        with self._erasing(), self._transaction():
            self._connection.execute("DELETE FROM block")
            self._connection.execute("DELETE FROM progress")

    def dead(self) -> list[DeadRow]:
        """Give the dead letters, oldest first."""
        rows = self._connection.execute("SELECT destination, events, status, reason, body FROM dead ORDER BY id")
        return [DeadRow(*row) for row in rows]

    def forget_dead(self) -> None:
        """Delete all dead letters, and leave nothing of them in the file."""
        self._buried = None
        with self._erasing():
            self._connection.execute("DELETE FROM dead")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it: no block and no dead letter."""
        return not self._number("SELECT EXISTS (SELECT 1 FROM block) OR EXISTS (SELECT 1 FROM dead)")

    @property
    def used_and_free_bytes(self) -> tuple[int, int]:
        """Bytes that are in use, and bytes of the file that are used for nothing, and will be again."""
        free = self._number("PRAGMA freelist_count")
        return _PAGE * (self._number("PRAGMA page_count") - free), _PAGE * free

    def tidy(self) -> bool:
        """Give some free pages back to the file system, if there are many; False when there are not."""
        if self._number("PRAGMA freelist_count") < _VACUUM_FROM:
            return False
        # A script is run to its end; of a single statement, Python 3.11 would take the first step only: one page.
        self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
        return True

    def move_on(self) -> None:
        """Move what is in the WAL to its place, if it is much: a commit would have to, otherwise."""
        if self._in_wal >= _MOVE_FROM:
            self._in_wal = 0
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def checkpoint(self) -> None:
        """Move what is in the WAL to its place, and give the WAL's bytes back."""
        self._in_wal = 0
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the connection; what could not be written stays in the WAL."""
        with suppress(sqlite3.Error):
            self._connection.close()

    @contextmanager
    def _erasing(self) -> Iterator[None]:
        self._connection.execute("PRAGMA secure_delete=ON").fetchall()
        try:
            yield
        finally:
            self._connection.execute("PRAGMA secure_delete=OFF").fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def _number(self, query: str, *values: str) -> int:
        row: tuple[int | float | None] = self._connection.execute(query, values).fetchone()
        return int(row[0] or 0)
