"""Reads and edits the files of a spool from outside, beside running programs: for the command `asyncsdk spool`.

1. What the spool did not write is named, with the reason, and never opened for writing.
2. Looking (`list_files`, `list_events`) writes nothing to the folder, not even a lock file: a file that is idle and has
   no WAL is read in place, any other from a copy.
3. Editing (`replay`, `purge`) takes the lock of a file first, and leaves those of running processes as they are.
4. Whatever one file contains, the others are processed: its problem is reported.
"""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import attrs

from asyncsdk._model.blocks import BlockError, unpack_block
from asyncsdk.stores.sqlite import file_lock
from asyncsdk.stores.sqlite.database import Database, UnknownVersionError
from asyncsdk.stores.sqlite.identity import identify
from asyncsdk.stores.sqlite.names import DATABASE
from asyncsdk.stores.sqlite.rows import NewRow

_MAX_COPIES = 20

OnProblem = Callable[[str, str], None]
"""Called with the name of a file that is left out, in whole or in part, and the reason."""


def _ignore(name: str, reason: str) -> None:
    """Report a problem to no one."""


class _LeftOutError(Exception):
    """A file is not to be opened; the text is the reason."""


@attrs.frozen
class SpoolFile:
    """One file of a spool.

    Attributes:
        name: File name.
        in_use: Whether a running process has it.
        bytes: Size of the database.
        waiting: Number of events and exposures without an outcome, by destination.
        dead: Number of dead letters, by destination.
        problem: Why it cannot be read, in one word: `foreign`, `newer`, `older`, `damaged` or `unreadable`; empty for
            a file of this spool.
        reason: The problem in a few words.
    """

    name: str
    in_use: bool
    bytes: int
    waiting: Mapping[str, int] = attrs.field(factory=dict)
    dead: Mapping[str, int] = attrs.field(factory=dict)
    problem: str = ""
    reason: str = ""


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
    """Yield each database of the folder, oldest first: those of the spool with their counts, others with the reason.

    Raises:
        OSError: The folder cannot be listed.
    """
    for path in _list_databases(folder):
        found = identify(path)
        if found.kind == "missing":  # since it was listed
            continue
        size = path.lstat().st_size if path.is_symlink() or path.exists() else 0
        if found.kind != "spool":
            yield SpoolFile(path.name, in_use=False, bytes=size, problem=found.kind, reason=found.reason)
            continue
        try:
            yield _count(path, size)
        except _FAILURES as error:
            yield SpoolFile(path.name, in_use=False, bytes=size, problem="damaged", reason=_describe(error))


def list_events(folder: Path, *, dead: bool = False, on_problem: OnProblem = _ignore) -> Iterator[SpooledEvent]:
    """Yield events, in each file oldest first; the damaged blocks of a file are left out, and reported.

    Args:
        folder: The spool's.
        dead: Whether to yield the dead letters instead of the waiting events.
        on_problem: Called for each file that is left out, in whole or in part.

    Raises:
        OSError: The folder cannot be listed.
    """
    for path in _list_databases(folder):
        with _reporting(path, on_problem), _open_or_copy(path) as (database, _):
            damaged: list[BlockError] = []
            try:
                yield from _dead_letters(database, damaged) if dead else _waiting(database, damaged)
            finally:  # also where reading the rest of the file fails
                if damaged:
                    on_problem(path.name, f"{len(damaged):,} damaged blocks are left out")


def replay(folder: Path, on_progress: Callable[[int], None], on_problem: OnProblem = _ignore) -> int:
    """Turn dead letters into waiting events, for the next program that adopts files of this folder.

    Dead letters in the files of running programs are not changed.

    Args:
        folder: The spool's.
        on_progress: Called with the number of events of each step.
        on_problem: Called for each file that is left out.

    Returns:
        The number of events.

    Raises:
        OSError: The folder cannot be listed.
    """
    return _edit_all(folder, lambda database: _requeue(folder, database, on_progress), on_problem)


def purge(folder: Path, *, everything: bool = False, on_problem: OnProblem = _ignore) -> int:
    """Delete dead letters, and overwrite their content. Files of running programs are not changed.

    Args:
        folder: The spool's.
        everything: Whether to delete waiting events, too.
        on_problem: Called for each file that is left out.

    Returns:
        The number of events deleted.

    Raises:
        OSError: The folder cannot be listed.
    """

    def erase(database: Database) -> int:
        events = sum(row.events for row in database.dead_letters())
        database.erase_dead_letters()
        if everything:
            events += sum(count - done.bit_count() for _, count, done in database.counts())
            database.erase_blocks()
        return events

    return _edit_all(folder, erase, on_problem)


def _list_databases(folder: Path) -> list[Path]:
    """Return what ends in `.db`, by the time of its last change, oldest first."""
    dated: list[tuple[int, Path]] = []
    for path in folder.iterdir():
        with suppress(OSError):
            if path.suffix == DATABASE:
                dated.append((path.lstat().st_mtime_ns, path))
    return [path for _, path in sorted(dated)]


# What reading a file may raise, whatever it contains: a row of another type than expected is a TypeError.
_FAILURES = (
    _LeftOutError,
    UnknownVersionError,
    sqlite3.Error,
    OSError,
    BlockError,
    ValueError,
    TypeError,
    ArithmeticError,
)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return (
        str(error)
        if isinstance(error, _LeftOutError | UnknownVersionError | sqlite3.Error)
        else f"damaged: {type(error).__name__}"
    )


@contextmanager
def _reporting(path: Path, on_problem: OnProblem) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        on_problem(path.name, _describe(error))


def _count(path: Path, size: int) -> SpoolFile:
    with _open_or_copy(path) as (database, in_use):
        waiting, dead = Counter[str](), Counter[str]()
        for destination, events, done in database.counts():
            waiting[destination] += events - done.bit_count()
        for row in database.dead_letters():
            dead[row.destination] += row.events
        return SpoolFile(path.name, in_use, size, waiting, dead)


def purge_destination(folder: Path, destination: str, on_problem: OnProblem = _ignore) -> int:
    """Delete the waiting events and dead letters of a destination, such as one that was removed.

    Their content is overwritten. Files of running programs are not changed.

    Args:
        folder: The spool's.
        destination: Its label, as `list_files` shows it.
        on_problem: Called for each file that is left out.

    Returns:
        The number of events deleted.

    Raises:
        OSError: The folder cannot be listed.
    """
    return _edit_all(folder, lambda database: database.erase_destination(destination), on_problem)


def _waiting(database: Database, damaged: list[BlockError]) -> Iterator[SpooledEvent]:
    for row in database.blocks():
        yield from _events(row.body, "waiting", "", damaged, row.done)


def _dead_letters(database: Database, damaged: list[BlockError]) -> Iterator[SpooledEvent]:
    for row in database.dead_letters():
        yield from _events(row.body, row.status, row.reason, damaged)


def _events(body: bytes, status: str, reason: str, damaged: list[BlockError], done: int = 0) -> Iterator[SpooledEvent]:
    """Yield the events of a block that are not done; add what is wrong with the block to `damaged`."""
    try:
        block = unpack_block(body)
    except BlockError as error:
        damaged.append(error)
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
    try:
        with closing(Database(lock.path, "create")) as target:
            lock.inode = target.inode
            for row in letters:
                target.insert([NewRow(row.destination, row.events, row.body)])
                on_progress(row.events)
    except BaseException:
        lock.delete()
        raise
    lock.release()
    database.erase_dead_letters()
    return sum(row.events for row in letters)


def _edit_all(folder: Path, change: Callable[[Database], int], on_problem: OnProblem) -> int:
    events = 0
    for path in _list_databases(folder):
        with _reporting(path, on_problem):
            events += _edit(path, change)
    return events


def _edit(path: Path, change: Callable[[Database], int]) -> int:
    """Apply a change to a file that is not in use, and delete the file if it is empty then."""
    _check(path)
    lock = file_lock.acquire(path)
    if lock is None:
        return 0
    is_empty = False
    try:
        lock.inode = _check(path)  # again: only now no other process can change it
        with closing(Database(path)) as database:
            events = change(database)
            is_empty = database.is_empty
    finally:
        if is_empty:
            lock.delete()
        else:
            lock.release()
    return events


def _check(path: Path) -> tuple[int, int]:
    """Return the inode of a file of the spool.

    Raises:
        _LeftOutError: It is not one, or SQLite would write to something that is not the spool's.
    """
    found = identify(path)
    if found.kind != "spool":
        raise _LeftOutError(found.reason)
    if file_lock.has_foreign_companion(path):
        msg = "what is beside it is not a regular file"
        raise _LeftOutError(msg)
    return found.inode


@contextmanager
def _open_or_copy(path: Path) -> Iterator[tuple[Database, bool]]:
    """Open a file for reading, or a copy of it; yields the database and whether the file is in use."""
    _check(path)
    with file_lock.keep_from_others(path) as is_kept:
        if is_kept and not any(companion.exists() for companion in file_lock.companions(path)):
            with closing(Database(path, "read")) as database:
                yield database, False
            return
        with tempfile.TemporaryDirectory() as folder, closing(Database(_copy(path, Path(folder)))) as database:
            yield database, is_kept is False


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
