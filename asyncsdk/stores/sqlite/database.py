"""One file of a spool: an SQLite database with a single connection, used by a single thread.

Invariants:

1. A commit is on disk when it returns: WAL mode with `synchronous=FULL` costs one fsync for each commit.
2. The new blocks, settlements and dead letters of one commit share a transaction: all of them are stored, or none.
3. The file has one connection, because its lock is exclusive. The WAL-reset bug of SQLite 3.7 to 3.51.2 needs a
   second connection to the same file, so it cannot occur here.
4. Block ids grow, and are never reused while the file is open. What `commit` caches (the next id, the size of the dead
   letters) changes only after COMMIT.

Example: `commit([row], ...)` stores block 1. `commit((), Settled(progress=[(1, 0b01)]), ...)` records that its first
record is settled. `commit((), Settled(finished=[1]), ...)` deletes it.

Two chores are kept out of commits, because callers wait for commits: moving pages from the WAL to the database
(`checkpoint_if_due`), and returning free pages to the file system (`vacuum_step`).
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from asyncsdk._model.blocks import pack_settled, unpack_settled
from asyncsdk._model.spooling import Settled
from asyncsdk.stores.sqlite.identity import connect
from asyncsdk.stores.sqlite.rows import DeadRow, NewRow, Row
from asyncsdk.stores.sqlite.schema import APPLICATION_ID, LAYOUT, PAGE_BYTES, SCHEMA, SETTINGS, VERSION

# Estimate of what a commit writes to the WAL besides its blocks: pages of the tables and of the free list.
_OVERHEAD = 4 * PAGE_BYTES
# Fewer free pages than this are not worth a vacuum. More than 96 at once would overflow SQLite's page cache into the
# WAL.
VACUUM_FROM, _VACUUM_PAGES = 32, 96


_UNKNOWN = "written by another version of asyncsdk, or by another program"


class UnknownVersionError(Exception):
    """The file was written by another version of this package, or another program, and must not be changed."""


class Database:
    """One open file. Its methods raise `sqlite3.Error`."""

    def __init__(self, path: Path, mode: Literal["create", "write", "read"] = "write") -> None:
        """Open a file; SQLite recovers from the WAL what an earlier process had committed.

        Args:
            path: The file.
            mode: `create` for a file that does not exist yet, `write` for one that `identify` has found to be the
                spool's, `read` for one without a WAL that is never changed through this object.

        Raises:
            UnknownVersionError: It has no mark of this version of the package.
            sqlite3.Error: It cannot be opened.
            OSError: It cannot be created, or exists already.
        """
        self.path = path
        self._next_id = 0
        self._wal_bytes = 0
        # Size of all dead letters; None until it is first needed, because measuring it reads each row.
        self._dead_letter_bytes: int | None = None
        # Size of the blocks of each destination; None until `count_bytes` is called: it costs a query per deletion.
        self._bytes: Counter[str] | None = None
        if mode == "create":
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            self._open(mode)
        except BaseException:
            if mode == "create":
                path.unlink(missing_ok=True)
            raise

    def _open(self, mode: str) -> None:
        state = self.path.lstat()
        self.inode = (state.st_dev, state.st_ino)
        self._connection = connect(self.path, "mode=ro&immutable=1" if mode == "read" else "mode=rw")
        try:
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            if mode == "create":
                self._create_tables()
            elif (self._fetch_int("PRAGMA application_id"), self._fetch_int("PRAGMA user_version")) != (
                APPLICATION_ID,
                VERSION,
            ):
                raise UnknownVersionError(_UNKNOWN)  # noqa: TRY301 -- the connection must be closed
            for setting in () if mode == "read" else SETTINGS:
                self._connection.execute(setting)
            if mode == "create":
                self._sync_folder()
            self._next_id = 1 + self._fetch_int("SELECT max(id) FROM block")
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        # From memory only: a query would fail in another thread, and could block in a debugger.
        return f"<Database {self.path.name}: next block {self._next_id}, about {self._wal_bytes:,} bytes in the WAL>"

    def _create_tables(self) -> None:
        # Before the file gets a WAL: `identify` finds the mark and the tables in the database itself.
        for setting in LAYOUT:
            self._connection.execute(setting)
        with self._transaction():
            for statement in SCHEMA:
                self._connection.execute(statement)

    def _sync_folder(self) -> None:
        # Syncing a file does not sync its name: without this, a power cut could remove the whole file, or bring back
        # the journal of its tables.
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @property
    def is_deleted(self) -> bool:
        """Whether the file was deleted or replaced; its content can be read until it is closed."""
        try:
            state = self.path.lstat()
        except OSError:
            return True
        return (state.st_dev, state.st_ino) != self.inode

    # --- writing ----------------------------------------------------------------------------------------------

    def commit(self, rows: Sequence[NewRow], settled: Settled, dead: Sequence[DeadRow], dead_bytes: int) -> list[int]:
        """Store blocks, settlements and dead letters in one transaction, and return the ids of the blocks.

        Args:
            rows: Blocks to store.
            settled: Blocks to delete, and the progress of others.
            dead: Dead letters to store.
            dead_bytes: Maximum size of all dead letters; the oldest are deleted until they fit.
        """
        execute, executemany = self._connection.execute, self._connection.executemany
        ids, dead_letter_bytes = range(self._next_id, self._next_id + len(rows)), self._dead_letter_bytes
        with self._transaction():
            deleted = self.bytes_of(settled.finished)
            # Before the new blocks, which then go into the pages that this frees.
            if settled.finished:
                executemany("DELETE FROM block WHERE id = ?", ((number,) for number in settled.finished))
                executemany("DELETE FROM progress WHERE block = ?", ((number,) for number in settled.finished))
            if settled.progress:
                executemany(
                    "INSERT OR REPLACE INTO progress VALUES (?, ?)",
                    ((number, pack_settled(done)) for number, done in settled.progress),
                )
            for number, row in zip(ids, rows, strict=True):
                execute("INSERT INTO block VALUES (?, ?, ?, ?)", (number, row.destination, row.events, row.body))
            if dead:
                dead_letter_bytes = self._insert_dead_letters(dead, dead_bytes)
        # Only now: a transaction that was rolled back must leave the cached values as they were.
        self._next_id, self._dead_letter_bytes = ids.stop, dead_letter_bytes
        self._wal_bytes += _OVERHEAD + sum(len(row.body) for row in rows)
        if self._bytes is not None:
            for row in rows:
                self._bytes[row.destination] += len(row.body)
            self._bytes.subtract(deleted)
        return list(ids)

    def bytes_of(self, ids: Sequence[int]) -> Counter[str]:
        """Return the size of some blocks by destination; nothing while `count_bytes` has not been called."""
        found = Counter[str]()
        if self._bytes is not None:
            for number in ids:
                # `length` reads the row's header, not its body.
                query = "SELECT destination, length(body) FROM block WHERE id = ?"
                for destination, size in self._connection.execute(query, (number,)):
                    found[destination] += size
        return found

    def _insert_dead_letters(self, dead: Sequence[DeadRow], max_bytes: int) -> int:
        """Store dead letters, delete the oldest while they exceed `max_bytes`, and return the size of the rest."""
        size = self._dead_letter_bytes
        if size is None:
            size = self._fetch_int("SELECT total(length(body)) FROM dead")
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

    def insert(self, rows: Sequence[NewRow]) -> list[int]:
        """Store blocks, and return their ids."""
        return self.commit(rows, Settled(), (), 0)

    def copy_blocks_from(self, other: "Database") -> None:
        """Store all blocks of another file, with their progress, under new ids."""
        query = "SELECT destination, events, body, done FROM block LEFT JOIN progress ON block = id ORDER BY id"
        rows = other._connection.execute(query)  # noqa: SLF001 -- of the same class
        with self._transaction():
            self._bytes = None
            for number, (destination, events, body, done) in enumerate(rows, self._next_id):
                self._connection.execute("INSERT INTO block VALUES (?, ?, ?, ?)", (number, destination, events, body))
                if done is not None:
                    self._connection.execute("INSERT INTO progress VALUES (?, ?)", (number, done))
                self._next_id = number + 1

    def erase_blocks(self) -> None:
        """Delete all blocks, and overwrite their content in the file."""
        with self._secure_delete(), self._transaction():
            self._bytes = None
            self._connection.execute("DELETE FROM block")
            self._connection.execute("DELETE FROM progress")

    def erase_destination(self, destination: str) -> int:
        """Delete the blocks and dead letters of a destination, overwrite their content, and return how many events."""
        events = self.count_events()[destination]
        query = "SELECT total(events) FROM dead WHERE destination = ?"
        events += self._fetch_int(query, destination)
        with self._secure_delete(), self._transaction():
            self._bytes = self._dead_letter_bytes = None
            execute, blocks = self._connection.execute, "SELECT id FROM block WHERE destination = ?"
            execute(f"DELETE FROM progress WHERE block IN ({blocks})", (destination,))  # noqa: S608 -- no values in it
            execute("DELETE FROM block WHERE destination = ?", (destination,))
            execute("DELETE FROM dead WHERE destination = ?", (destination,))
        return events

    def erase_dead_letters(self) -> None:
        """Delete all dead letters, and overwrite their content in the file."""
        self._dead_letter_bytes = None
        with self._secure_delete():
            self._connection.execute("DELETE FROM dead")

    # --- reading ----------------------------------------------------------------------------------------------

    def read(self, destination: str, after: int, max_bytes: int) -> list[Row]:
        """Return the blocks of a destination that follow block `after`: at least one, if there is one.

        Args:
            destination: Label of the destination.
            after: Id of a block; 0 starts with the oldest.
            max_bytes: Stops after the block that reaches this size.
        """
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

    def count_bytes(self) -> Counter[str]:
        """Return the size of the blocks of each destination.

        The first call reads a page of each block, and makes each deletion look up a size; later calls cost nothing.
        """
        if self._bytes is None:
            # Not with GROUP BY: its sorter would read and copy each body, 1 s for 200 MB instead of 3 ms.
            found = Counter[str]()
            for destination, size in self._connection.execute("SELECT destination, length(body) FROM block"):
                found[destination] += size
            self._bytes = found
        return self._bytes

    def count_events(self) -> Counter[str]:
        """Return the number of unsettled records of each destination; reads a page of each block."""
        found = Counter(
            dict(self._connection.execute("SELECT destination, sum(events) FROM block GROUP BY destination"))
        )
        for destination, done in self._connection.execute(
            "SELECT destination, done FROM progress JOIN block ON block.id = block"
        ):
            found[destination] -= unpack_settled(done).bit_count()
        return found

    def has_blocks_for(self, destination: str) -> bool:
        """Return whether there are blocks for a destination."""
        return bool(self._fetch_int("SELECT EXISTS (SELECT 1 FROM block WHERE destination = ?)", destination))

    def counts(self, limit: int = -1) -> list[tuple[str, int, int]]:
        """Return destination, number of records and settled positions of each block.

        Args:
            limit: Maximum number of blocks, oldest first; -1 returns all.
        """
        rows = self._connection.execute(
            "SELECT destination, events, done FROM block LEFT JOIN progress ON block = id ORDER BY id LIMIT ?", (limit,)
        )
        return [(destination, events, unpack_settled(done)) for destination, events, done in rows]

    @property
    def id_span(self) -> int:
        """Upper bound of the number of blocks: the range of their ids, which is much cheaper than counting them."""
        return self._fetch_int("SELECT 1 + (SELECT max(id) FROM block) - (SELECT min(id) FROM block)")

    def blocks(self) -> Iterator[Row]:
        """Return all blocks, oldest first."""
        rows = self._connection.execute("SELECT id, body, done FROM block LEFT JOIN progress ON block = id ORDER BY id")
        return (Row(number, bytes(body), unpack_settled(done)) for number, body, done in rows)

    def dead_letters(self) -> list[DeadRow]:
        """Return the dead letters, oldest first."""
        rows = self._connection.execute("SELECT destination, events, status, reason, body FROM dead ORDER BY id")
        return [DeadRow(*row) for row in rows]

    @property
    def is_empty(self) -> bool:
        """Whether there are neither blocks nor dead letters."""
        return not self._fetch_int("SELECT EXISTS (SELECT 1 FROM block) OR EXISTS (SELECT 1 FROM dead)")

    @property
    def used_and_free_bytes(self) -> tuple[int, int]:
        """Bytes of the pages in use, and of the free pages that the file keeps for later blocks."""
        free = self._fetch_int("PRAGMA freelist_count")
        return PAGE_BYTES * (self._fetch_int("PRAGMA page_count") - free), PAGE_BYTES * free

    # --- maintenance ------------------------------------------------------------------------------------------

    def vacuum_step(self, min_pages: int = VACUUM_FROM) -> bool:
        """Return some free pages to the file system; False if there are fewer than `min_pages`."""
        if self._fetch_int("PRAGMA freelist_count") < min_pages:
            return False
        # As a script, because that runs to its end: of a single statement, Python 3.11 executes only the first step,
        # which is one page.
        self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
        return True

    def checkpoint_if_due(self, min_bytes: int) -> None:
        """Move the WAL into the database once about `min_bytes` are in it, so that no commit has to."""
        if self._wal_bytes >= min_bytes:
            self._wal_bytes = 0
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def truncate_wal(self) -> None:
        """Move the WAL into the database, and return the WAL's bytes to the file system."""
        self._wal_bytes = 0
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the connection; pages that cannot be moved into the database stay in the WAL."""
        with suppress(sqlite3.Error):
            self._connection.close()

    @contextmanager
    def _secure_delete(self) -> Iterator[None]:
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

    def _fetch_int(self, query: str, *values: str) -> int:
        row: tuple[int | float | None] = self._connection.execute(query, values).fetchone()
        return int(row[0] or 0)
