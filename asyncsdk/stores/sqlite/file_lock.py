"""Which process owns which file: beside each database is a lock file, locked for as long as its process lives.

A database `host-pid-random.db` has up to five companions with the same stem: `.lock`, `.ballast` and SQLite's `-wal`,
`-shm` and `-journal`. The lock is an flock(2): the kernel releases it when the process ends, even by SIGKILL, and
another process may then take the file over. A child that was forked shares the lock until it ends, too.

Invariants:

1. A database is opened, changed or deleted only by the process that holds its lock.
2. The lock file is created before its database, and deleted after everything else that belongs to it.
3. A lock counts only if its file is still the one at its path. Between `open` and `flock` another process may have
   deleted that file, and a lock on a deleted file protects nothing: `create` and `acquire` compare inodes.

Example: process A creates `a.lock`, locks it, creates `a.db`, and is killed. Process B finds `a.db`, acquires
`a.lock`, delivers the events, deletes `a.db` and then `a.lock`.
"""

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import attrs

try:
    import fcntl
except ImportError:  # pragma: no cover -- Windows
    fcntl = None  # type: ignore[assignment]

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_LOCK, _DATABASE, _BALLAST = ".lock", ".db", ".ballast"


@attrs.define(eq=False, repr=False)
class FileLock:
    """The exclusive right to one database, held until `release` or `delete`.

    Attributes:
        path: The database.
    """

    path: Path
    _descriptor: int

    def __repr__(self) -> str:
        return f"<FileLock {self.path.with_suffix(_LOCK).name}: descriptor {self._descriptor}>"

    @property
    def ballast(self) -> Path:
        """The database's ballast file: see `disk_space`."""
        return self.path.with_suffix(_BALLAST)

    def release(self) -> None:
        """Release the lock, and leave the file to another process."""
        os.close(self._descriptor)

    def delete(self) -> None:
        """Delete the database and all its companions, and release the lock."""
        # The lock file goes last: until then no other process can open what is left.
        for path in (self.ballast, *companions(self.path), self.path, self.path.with_suffix(_LOCK)):
            with suppress(OSError):
                path.unlink()
        self.release()


def open_folder(folder: Path) -> None:
    """Create the folder if it does not exist, accessible to its owner only.

    Raises:
        OSError: It cannot be created.
    """
    if fcntl is None:  # pragma: no cover -- Windows
        msg = "a spool needs POSIX file locks"
        raise OSError(errno.ENOTSUP, msg)
    folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)


def create(folder: Path) -> FileLock:
    """Lock a new file name; the caller creates the database.

    Raises:
        OSError: The folder cannot be written to.
    """
    open_folder(folder)
    while True:
        path = folder / f"{_safe(platform.node())}-{os.getpid()}-{uuid4().hex[:12]}{_DATABASE}"
        lock_path = path.with_suffix(_LOCK)
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # `delete_orphans` of another process may have deleted the lock file before it was locked: try another name.
        with suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == lock_path.stat().st_ino:
                return FileLock(path, descriptor)
        os.close(descriptor)


def acquire(path: Path) -> FileLock | None:
    """Lock an existing database; None if a living process has it, or if it has just been deleted.

    Raises:
        OSError: Its lock file cannot be opened.
    """
    lock_path = path.with_suffix(_LOCK)
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_current = os.fstat(descriptor).st_ino == lock_path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        is_current = False
    if is_current:
        return FileLock(path, descriptor)
    os.close(descriptor)
    return None


def delete_orphans(folder: Path) -> None:
    """Delete lock files without a database: their process was killed while it created or deleted its file."""
    for path in _entries(folder):
        database = path.with_suffix(_DATABASE)
        if path.suffix == _LOCK and not database.exists():
            with suppress(OSError):
                lock = acquire(database)
                if lock is not None:
                    lock.delete()


def list_databases(folder: Path) -> list[Path]:
    """Return the databases of a folder, by the time of their last change, oldest first."""
    dated: list[tuple[int, Path]] = []
    for path in _entries(folder):
        with suppress(OSError):
            if path.suffix == _DATABASE:
                dated.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(dated)]


def database_bytes(folder: Path, exclude: Path | None) -> int:
    """Return the size of all databases of a folder.

    Args:
        folder: The spool's.
        exclude: A database to leave out; None counts all.
    """
    size = 0
    for path in _entries(folder):
        with suppress(OSError):
            if path.suffix == _DATABASE and path != exclude:
                size += path.stat().st_size
    return size


def companions(path: Path) -> tuple[Path, ...]:
    """Return the paths of the files that SQLite may keep beside a database."""
    return tuple(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))


def _entries(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from folder.iterdir()


def _safe(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in name)[:64] or "host"
