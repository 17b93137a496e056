"""Reads and edits the files of a spool from outside, beside running programs: for the command `asyncsdk spool`.

Each function takes a file's lock first. A file whose lock is held belongs to a running process: it is read from a copy,
and never changed.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs

from asyncsdk._model.blocks import BlockError, unpack_block
from asyncsdk.stores.sqlite import file_lock
from asyncsdk.stores.sqlite.database import Database
from asyncsdk.stores.sqlite.rows import NewRow

_MAX_COPIES = 20


@attrs.frozen
class SpoolFile:
    """One file of a spool.

    Attributes:
        name: File name.
        in_use: Whether a running process has it.
        bytes: Size of the database.
        waiting: Number of events and exposures without an outcome, by destination.
        dead: Number of dead letters, by destination.
    """

    name: str
    in_use: bool
    bytes: int
    waiting: Mapping[str, int]
    dead: Mapping[str, int]


@attrs.frozen
class SpooledEvent:
    """One event of a spool.

    Attributes:
        destination: Label of its destination.
        id: Its id; empty for an exposure.
        time_ms: When it was stored, in milliseconds since 1970.
        body: JSON, as the vendor gets it.
        status: `waiting`, or the outcome of a dead letter.
        reason: Why it is a dead letter; empty for one that waits.
    """

    destination: str
    id: str
    time_ms: int
    body: bytes = attrs.field(repr=False)
    status: str = "waiting"
    reason: str = ""


def list_files(folder: Path) -> Iterator[SpoolFile]:
    """Yield each file with its counts, oldest first."""
    for path in file_lock.list_databases(folder):
        with _open_or_copy(path) as (database, in_use):
            waiting, dead = Counter[str](), Counter[str]()
            for destination, events, done in database.counts():
                waiting[destination] += events - done.bit_count()
            for row in database.dead_letters():
                dead[row.destination] += row.events
            yield SpoolFile(path.name, in_use, path.stat().st_size, waiting, dead)


def list_events(folder: Path, *, dead: bool = False) -> Iterator[SpooledEvent]:
    """Yield events, in each file oldest first; damaged blocks are skipped.

    Args:
        folder: The spool's.
        dead: Whether to yield the dead letters instead of the waiting events.
    """
    for path in file_lock.list_databases(folder):
        with _open_or_copy(path) as (database, _):
            yield from _dead_letters(database) if dead else _waiting(database)


def replay(folder: Path, on_progress: Callable[[int], None]) -> int:
    """Turn dead letters into waiting events, for the next program that adopts files of this folder.

    Dead letters in the files of running programs are not changed.

    Args:
        folder: The spool's.
        on_progress: Called with the number of events of each step.

    Returns:
        The number of events.
    """
    return sum(
        _edit(path, lambda database: _requeue(folder, database, on_progress))
        for path in file_lock.list_databases(folder)
    )


def purge(folder: Path, *, everything: bool = False) -> int:
    """Delete dead letters, and overwrite their content. Files of running programs are not changed.

    Args:
        folder: The spool's.
        everything: Whether to delete waiting events, too.

    Returns:
        The number of events deleted.
    """

    def erase(database: Database) -> int:
        events = sum(row.events for row in database.dead_letters())
        database.erase_dead_letters()
        if everything:
            events += sum(count - done.bit_count() for _, count, done in database.counts())
            database.erase_blocks()
        return events

    return sum(_edit(path, erase) for path in file_lock.list_databases(folder))


def _waiting(database: Database) -> Iterator[SpooledEvent]:
    for row in database.blocks():
        yield from _events(row.body, "waiting", "", row.done)


def _dead_letters(database: Database) -> Iterator[SpooledEvent]:
    for row in database.dead_letters():
        yield from _events(row.body, row.status, row.reason)


def _events(body: bytes, status: str, reason: str, done: int = 0) -> Iterator[SpooledEvent]:
    try:
        block = unpack_block(body)
    except BlockError:
        return
    for position, kept in enumerate(block.records):
        if not done >> position & 1:
            # A chunk has no closing brace, so that `Destination.frame` can add fields to it.
            yield SpooledEvent(block.destination, kept.id, block.time_ms, kept.chunk + b"}", status, reason)


def _requeue(folder: Path, database: Database, on_progress: Callable[[int], None]) -> int:
    """Copy the dead letters of a file into a new file as waiting blocks, then erase them here.

    In this order, a crash in between leaves copies with the same ids, and loses nothing.
    """
    letters = database.dead_letters()
    if not letters:
        return 0
    lock = file_lock.create(folder)
    target = Database(lock.path)
    try:
        for row in letters:
            target.insert([NewRow(row.destination, row.events, row.body)])
            on_progress(row.events)
    finally:
        target.close()
        lock.release()
    database.erase_dead_letters()
    return sum(row.events for row in letters)


def _edit(path: Path, change: Callable[[Database], int]) -> int:
    """Apply a change to a file that is not in use, and delete the file if it is empty then."""
    lock = file_lock.acquire(path)
    if lock is None:
        return 0
    is_empty = False
    try:
        database = Database(path)
        try:
            events = change(database)
            is_empty = database.is_empty
        finally:
            database.close()
    finally:
        if is_empty:
            lock.delete()
        else:
            lock.release()
    return events


@contextmanager
def _open_or_copy(path: Path) -> Iterator[tuple[Database, bool]]:
    """Open a file, or a copy of a file in use; yields the database and whether the file is in use."""
    lock = file_lock.acquire(path)
    if lock is not None:
        database = Database(path)
        try:
            yield database, False
        finally:
            database.close()
            lock.release()
        return
    with tempfile.TemporaryDirectory() as folder:
        database = Database(_copy(path, Path(folder)))
        try:
            yield database, True
        finally:
            database.close()


def _copy(path: Path, folder: Path) -> Path:
    """Copy a database with its WAL.

    A checkpoint during the copy moves pages from the WAL to the database, so that the two copies may not match. It
    changes the database's modification time: the copy is repeated until that stays the same, at most 20 times.
    """
    for _ in range(_MAX_COPIES):
        before = path.stat().st_mtime_ns
        for source in [path, *filter(Path.exists, file_lock.companions(path))]:
            shutil.copyfile(source, folder / source.name)
        if path.stat().st_mtime_ns == before:
            break
    return folder / path.name
