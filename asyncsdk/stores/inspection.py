"""Looks into a spool's folder from outside, beside running programs: for the command `asyncsdk spool`.

A file whose process runs is read from a copy, and never changed; of any other, the lock is taken first.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs

from asyncsdk._model.blocks import BlockError, unpack_block
from asyncsdk.stores.sqlite import file_lock as ownership
from asyncsdk.stores.sqlite.database import Database
from asyncsdk.stores.sqlite.rows import NewRow

_TRIES = 20


@attrs.frozen
class SpoolFile:
    """One file of a spool.

    Attributes:
        name: Of the file.
        in_use: Whether its process runs.
        bytes: Its size.
        waiting: Events and exposures that have no fate yet, by destination.
        dead: Dead letters, by destination.
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
        destination: Whose it is.
        id: Its id; empty for an exposure.
        time_ms: When it was put on disk, in milliseconds since 1970.
        body: As the vendor would get it: JSON.
        status: `waiting`; of a dead letter, its fate.
        reason: Why it is dead.
    """

    destination: str
    id: str
    time_ms: int
    body: bytes = attrs.field(repr=False)
    status: str = "waiting"
    reason: str = ""


def list_files(folder: Path) -> Iterator[SpoolFile]:
    """Tell what is in each file, oldest first."""
    for path in ownership.found(folder):
        with _opened(path) as (database, in_use):
            waiting, dead = Counter[str](), Counter[str]()
            for destination, events, done in database.counts():
                waiting[destination] += events - done.bit_count()
            for row in database.dead():
                dead[row.destination] += row.events
            yield SpoolFile(path.name, in_use, path.stat().st_size, waiting, dead)


def list_events(folder: Path, *, dead: bool = False) -> Iterator[SpooledEvent]:
    """Give the events that wait, or the dead letters; oldest first in each file. What is damaged is left out."""
    for path in ownership.found(folder):
        with _opened(path) as (database, _):
            yield from _dead_letters(database) if dead else _waiting(database)


def replay(folder: Path, tell: Callable[[int], None]) -> int:
    """Let dead letters wait for delivery again, in a file for the next program that looks; give their number.

    Dead letters of a program that runs stay where they are.

    Args:
        folder: The spool's.
        tell: Called with how many more are done.
    """
    return sum(_change(path, lambda database: _revive(folder, database, tell)) for path in ownership.found(folder))


def purge(folder: Path, *, everything: bool = False) -> int:
    """Delete dead letters, or all events, of programs that do not run; give their number."""

    def empty(database: Database) -> int:
        events = sum(row.events for row in database.dead())
        database.forget_dead()
        if everything:
            events += sum(count - done.bit_count() for _, count, done in database.counts())
            database.forget_blocks()
        return events

    return sum(_change(path, empty) for path in ownership.found(folder))


def _waiting(database: Database) -> Iterator[SpooledEvent]:
    for row in database.blocks():
        yield from _events(row.body, "waiting", "", row.done)


def _dead_letters(database: Database) -> Iterator[SpooledEvent]:
    for row in database.dead():
        yield from _events(row.body, row.status, row.reason)


def _events(body: bytes, status: str, reason: str, done: int = 0) -> Iterator[SpooledEvent]:
    try:
        block = unpack_block(body)
    except BlockError:
        return
    for position, kept in enumerate(block.records):
        if not done >> position & 1:
            yield SpooledEvent(block.destination, kept.id, block.time_ms, kept.chunk + b"}", status, reason)


def _revive(folder: Path, database: Database, tell: Callable[[int], None]) -> int:
    letters = database.dead()
    if not letters:
        return 0
    claim = ownership.make(folder)
    fresh = Database(claim.path)
    try:
        for row in letters:
            fresh.keep([NewRow(row.destination, row.events, row.body)])
            tell(row.events)
    finally:
        fresh.close()
        claim.release()
    database.forget_dead()
    return sum(row.events for row in letters)


def _change(path: Path, work: Callable[[Database], int]) -> int:
    """Do something to a file that nobody uses; one that is empty then is deleted."""
    claim = ownership.take(path)
    if claim is None:
        return 0
    is_empty = False
    try:
        database = Database(path)
        try:
            events = work(database)
            is_empty = database.is_empty
        finally:
            database.close()
    finally:
        if is_empty:
            claim.delete()
        else:
            claim.release()
    return events


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Database, bool]]:
    """Open a file, or a copy of one that is in use; say whether it is."""
    claim = ownership.take(path)
    if claim is not None:
        database = Database(path)
        try:
            yield database, False
        finally:
            database.close()
            claim.release()
        return
    with tempfile.TemporaryDirectory() as folder:
        database = Database(_copied(path, Path(folder)))
        try:
            yield database, True
        finally:
            database.close()


def _copied(path: Path, folder: Path) -> Path:
    """Copy a file with its WAL; the copies fit together if the file itself did not change meanwhile."""
    for _ in range(_TRIES):
        before = path.stat().st_mtime_ns
        for source in [path, *filter(Path.exists, ownership.companions(path))]:
            shutil.copyfile(source, folder / source.name)
        if path.stat().st_mtime_ns == before:
            break
    return folder / path.name
