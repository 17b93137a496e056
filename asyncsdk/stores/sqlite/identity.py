"""Whether a file was written by the spool. All others in the folder are the application's, and are left as they are.

A file is the spool's if all of this holds, in this order; nothing before the last check can change it:

1. Its name has the spool's own form: `host-pid-random.db`, with twelve hexadecimal digits.
2. It is a regular file with one name: a link would lead to a file that is somewhere else, too.
3. Its header has the spool's `application_id` (https://sqlite.org/pragma.html#pragma_application_id).
4. Its tables are the spool's.

The last two are read with `immutable=1`: SQLite then takes no lock, creates no `-wal` or `-shm` file and recovers
nothing. It ignores the WAL, but the tables are created before a file gets one, and never change.

Example: `shop.db` is foreign by its name; a copy of it called `web-1-0123456789ab.db` is foreign by its header.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import attrs

from asyncsdk._model.values import Value
from asyncsdk.stores.sqlite.names import is_spool_name
from asyncsdk.stores.sqlite.schema import APPLICATION_ID, TABLES, VERSION

Kind = Literal["spool", "empty", "unfinished", "newer", "older", "foreign", "damaged", "unreadable", "missing"]


_UNFINISHED: "tuple[Kind, str]" = ("unfinished", "its creation was interrupted")


@attrs.frozen(eq=False, repr=False)
class Identity(Value):
    """What a file is.

    Attributes:
        kind: `spool`, or why it is not to be opened.
        reason: Why, in a few words; empty for the spool's own.
        inode: Its device and inode.
    """

    kind: Kind
    reason: str = ""
    inode: tuple[int, int] = (0, 0)


def identify(path: Path) -> Identity:
    """Return what a file is, without changing anything; it is opened for reading only."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return Identity("missing", "it was deleted")
    except OSError as error:
        return Identity("unreadable", error.strerror or type(error).__name__)
    try:
        kind, reason = _judge_state(path, state) or _read_marks(
            path, (state.st_dev, state.st_ino), state.st_size, state.st_mtime_ns
        )
    except sqlite3.Error as error:
        kind, reason = "unreadable", str(error)
    return Identity(kind, reason, (state.st_dev, state.st_ino))


def _judge_state(path: Path, state: os.stat_result) -> tuple[Kind, str] | None:
    """Return the kind of a file that need not be opened, and the reason; None for others."""
    if not is_spool_name(path.name):
        return "foreign", "not a file of asyncsdk"
    if not stat.S_ISREG(state.st_mode):
        return "foreign", "a link" if stat.S_ISLNK(state.st_mode) else "not a regular file"
    if state.st_nlink > 1:
        return "foreign", f"one of {state.st_nlink} hard links to the same file"
    return None if state.st_size else ("empty", "empty")


# A spool that is nearly full is measured ten times a second: only files that have changed are opened again.
@lru_cache(maxsize=256)
def _read_marks(path: Path, inode: tuple[int, int], size: int, mtime_ns: int) -> tuple[Kind, str]:  # noqa: ARG001
    """Return the kind of a file by its content, and a reason.

    Raises:
        sqlite3.Error: It cannot be read now.
    """
    try:
        with closing(connect(path, "mode=ro&immutable=1")) as connection:
            # Otherwise a database whose checkpoint was interrupted, so that its end is missing, counts as damaged.
            connection.execute("PRAGMA writable_schema=ON")
            [(mark,)] = connection.execute("PRAGMA application_id").fetchall()
            [(version,)] = connection.execute("PRAGMA user_version").fetchall()
            tables = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return _UNFINISHED if _has_journal(path) else ("damaged", "damaged, or not a database")
        raise
    return _judge_marks(path, mark, version, tables)


def _judge_marks(path: Path, mark: int, version: int, tables: set[str]) -> tuple[Kind, str]:
    # Its process was killed while it created the file: the tables are not committed yet.
    if not tables and ((mark == APPLICATION_ID and version in (0, VERSION)) or (mark == 0 and _has_journal(path))):
        return _UNFINISHED
    if mark == APPLICATION_ID and version != VERSION:
        return "newer", f"written by another version of asyncsdk (format {version}, this one reads {VERSION})"
    if mark == APPLICATION_ID and tables == TABLES:
        return "spool", ""
    if mark == 0 and tables == TABLES:
        return "older", "written by an asyncsdk that did not mark its files yet; only that version reads it"
    if mark == 0 and not tables and path.with_name(path.name + "-wal").exists():
        # That version created the tables in the WAL, which is not read here.
        return "foreign", "no database of asyncsdk, or one of an asyncsdk that did not mark its files yet"
    return "foreign", "not a database of asyncsdk"


def _has_journal(path: Path) -> bool:
    """Return whether a database has a rollback journal. One in WAL mode, as the spool's are, has none."""
    with suppress(OSError):
        return stat.S_ISREG(path.with_name(f"{path.name}-journal").lstat().st_mode)
    return False


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database that exists.

    Args:
        path: The database.
        mode: Parameters of its URI, such as `mode=rw`.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{mode}"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, cached_statements=32)


def list_databases(folder: Path) -> list[Path]:
    """Return what is named like a spool's database, by the time of its last change, oldest first."""
    dated: list[tuple[int, Path]] = []
    for path in entries(folder):
        with suppress(OSError):
            if is_spool_name(path.name):
                dated.append((path.lstat().st_mtime_ns, path))
    return [path for _, path in sorted(dated)]


def database_bytes(folder: Path, exclude: Path | None) -> int:
    """Return the size of all databases that the spool wrote to a folder.

    Args:
        folder: The spool's.
        exclude: A database to leave out; None counts all.
    """
    size = 0
    for path in entries(folder):
        with suppress(OSError):
            if is_spool_name(path.name) and path != exclude and identify(path).kind in ("spool", "newer"):
                size += path.lstat().st_size
    return size


def entries(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder; nothing if it cannot be listed."""
    with suppress(OSError):
        yield from folder.iterdir()
