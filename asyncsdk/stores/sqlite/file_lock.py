"""Whose file is whose: a lock beside each, held for as long as its process lives.

The kernel lets go of the lock when the process is gone, however it went; then another one takes the file over.
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


@attrs.define(eq=False)
class FileLock:
    """The right to one file, for as long as it is held.

    Attributes:
        path: The database.
    """

    path: Path
    _lock: int

    @property
    def ballast(self) -> Path:
        """A file that takes up room, to be deleted when room is needed to delete anything else."""
        return self.path.with_suffix(_BALLAST)

    def release(self) -> None:
        """Let go of the file, and leave it to whoever comes."""
        os.close(self._lock)

    def delete(self) -> None:
        """Delete the file with all that belongs to it; the lock goes last, so that nobody finds half of it."""
        for path in (self.ballast, *companions(self.path), self.path, self.path.with_suffix(_LOCK)):
            with suppress(OSError):
                path.unlink()
        self.release()


def open_folder(folder: Path) -> None:
    """Make the folder, for its owner only.

    Raises:
        OSError: It cannot be made.
    """
    if fcntl is None:  # pragma: no cover -- Windows
        msg = "a spool needs file locks as POSIX has them"
        raise OSError(errno.ENOTSUP, msg)
    folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)


def make(folder: Path) -> FileLock:
    """Claim a new name; the file itself is not made yet, so that nobody else looks for its lock.

    Raises:
        OSError: The folder cannot be written to.
    """
    open_folder(folder)
    while True:
        path = folder / f"{_safe(platform.node())}-{os.getpid()}-{uuid4().hex[:12]}{_DATABASE}"
        lock_path = path.with_suffix(_LOCK)
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):  # somebody tidied it away before it was held
            if os.fstat(lock).st_ino == lock_path.stat().st_ino:
                return FileLock(path, lock)
        os.close(lock)


def take(path: Path) -> FileLock | None:
    """Claim a file; None when a living process has it, or when it was deleted meanwhile.

    Raises:
        OSError: Its lock cannot be opened.
    """
    lock_path = path.with_suffix(_LOCK)
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_it = os.fstat(lock).st_ino == lock_path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        is_it = False
    if is_it:
        return FileLock(path, lock)
    os.close(lock)  # somebody has it, or had it and deleted the file
    return None


def tidy(folder: Path) -> None:
    """Delete what was left by processes that were killed before they had made their file, or while they deleted it."""
    for path in _inside(folder):
        database = path.with_suffix(_DATABASE)
        if path.suffix == _LOCK and not database.exists():
            with suppress(OSError):
                claim = take(database)
                if claim is not None:
                    claim.delete()


def found(folder: Path) -> list[Path]:
    """Give the databases of a folder, oldest first."""
    dated: list[tuple[int, Path]] = []
    for path in _inside(folder):
        with suppress(OSError):
            if path.suffix == _DATABASE:
                dated.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(dated)]


def database_bytes(folder: Path, but: Path | None) -> int:
    """Count the bytes of the databases of a folder, without `but`."""
    size = 0
    for path in _inside(folder):
        with suppress(OSError):
            if path.suffix == _DATABASE and path != but:
                size += path.stat().st_size
    return size


def companions(path: Path) -> tuple[Path, ...]:
    """Give the files that SQLite keeps beside a database."""
    return tuple(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))


def _inside(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from folder.iterdir()


def _safe(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in name)[:64] or "host"
