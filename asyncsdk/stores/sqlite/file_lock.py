"""Which process owns which file: beside each database is a lock file, locked for as long as its process lives.

A database `host-pid-random.db` has up to five companions with the same stem: `.lock`, `.ballast` and SQLite's `-wal`,
`-shm` and `-journal`. The lock is an flock(2): the kernel releases it when the process ends, even by SIGKILL, and
another process may then take the file over. A child that was forked shares the lock until it ends, too.

Invariants:

1. A database is opened for writing, changed or deleted only by the process that holds its lock.
2. The lock file is created before its database, and deleted after everything else that belongs to it.
3. A lock counts only if its file is still the one at its path. Between `open` and `flock` another process may have
   deleted that file, and a lock on a deleted file protects nothing: `create` and `acquire` compare inodes.
4. Only what the spool wrote is deleted: a lock file by its content, which names its database; a database by its inode,
   once `identity` or the lock file has shown whose it is; what belongs to it if it is a regular file, and its ballast
   if that is all zeros. Nothing is opened through a link, and a lock file that exists is opened for reading only.
5. A call that fails leaves no descriptor open and no file behind.

Example: process A creates `a.lock`, locks it, creates `a.db`, and is killed. Process B finds `a.db`, acquires
`a.lock`, delivers the events, deletes `a.db` and then `a.lock`.
"""

import errno
import os
import platform
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import attrs

from asyncsdk.stores.sqlite.identity import entries
from asyncsdk.stores.sqlite.names import DATABASE, is_spool_name

try:
    import fcntl
except ImportError:  # pragma: no cover -- Windows
    fcntl = None  # type: ignore[assignment]

BALLAST_BYTES = 2 * 1024 * 1024
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_LOCK, _BALLAST = ".lock", ".ballast"
# Without O_NONBLOCK, opening a named pipe would wait for a writer.
_EXISTING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@attrs.define(eq=False, repr=False)
class FileLock:
    """The exclusive right to one database, held until `release` or `delete`.

    Attributes:
        path: The database.
        is_ours: Whether the lock file's content shows that the spool created it.
        inode: Device and inode of the database once it is known to be the spool's; None before. Another file at its
            path is neither moved nor deleted.
    """

    path: Path
    _descriptor: int
    is_ours: bool
    inode: tuple[int, int] | None = None
    _ballast_inode: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"<FileLock {self.path.with_suffix(_LOCK).name}: descriptor {self._descriptor}>"

    @property
    def ballast(self) -> Path:
        """The database's ballast file: see `disk_space`."""
        return self.path.with_suffix(_BALLAST)

    @property
    def is_replaced(self) -> bool:
        """Whether the file at the path is another than the one that is known to be the spool's."""
        try:
            return _inode(self.path.lstat()) != self.inode
        except OSError:
            return False

    def allocate_ballast(self) -> None:
        """Create the ballast.

        Raises:
            OSError: The disk is too full, or there is such a file.
        """
        descriptor = os.open(self.ballast, _NEW, _FILE_MODE)
        try:
            self._ballast_inode = _inode(os.fstat(descriptor))
            os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
        finally:
            os.close(descriptor)

    def delete_ballast(self) -> None:
        """Delete the ballast; another file of that name has other content, and is left as it is."""
        with suppress(OSError):
            state = _regular(self.ballast)
            if state is not None and (_inode(state) == self._ballast_inode or self._is_ballast(state)):
                self.ballast.unlink()

    def _is_ballast(self, state: os.stat_result) -> bool:
        """Return whether a file may be the ballast of an ended process."""
        return state.st_size <= BALLAST_BYTES and self.ballast.read_bytes() == bytes(state.st_size)

    def release(self) -> None:
        """Release the lock, and leave the file to another process."""
        os.close(self._descriptor)

    def delete(self) -> None:
        """Delete the database and all its companions, and release the lock."""
        # The lock file goes last: until then no other process can open what is left.
        if not self.is_replaced:
            self.delete_ballast()
            for path in (*companions(self.path), self.path):
                _unlink(path)
            if self.is_ours:
                _unlink(self.path.with_suffix(_LOCK))
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
        OSError: The folder cannot be written to, or its file system has no locks.
    """
    open_folder(folder)
    while True:
        path = folder / f"{_safe(platform.node())}-{os.getpid()}-{uuid4().hex[:12]}{DATABASE}"
        lock = _create_lock(path, should_wait=True)
        # `delete_orphans` of another process may have deleted the lock file before it was locked: try another name.
        if lock is not None:
            return lock


def acquire(path: Path, *, may_create: bool = True) -> FileLock | None:
    """Lock an existing database; None if a living process has it, or if it has just been deleted.

    Args:
        path: The database.
        may_create: Whether to create a lock file that is missing: only for a database that is known to be the spool's.

    Raises:
        OSError: Its lock file cannot be opened, is not a regular file, or cannot be locked.
    """
    try:
        descriptor = os.open(path.with_suffix(_LOCK), _EXISTING)
    except FileNotFoundError:
        return _create_lock(path, should_wait=False) if may_create else None
    try:
        if _lock(descriptor, path.with_suffix(_LOCK), fcntl.LOCK_EX | fcntl.LOCK_NB):
            return FileLock(path, descriptor, os.pread(descriptor, 200, 0) == _content(path))
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


@contextmanager
def keep_from_others(path: Path) -> Iterator[bool | None]:
    """Keep other processes from taking a database over while it is read, without writing anything.

    Yields:
        True if that has succeeded, False if a living process has the database, None if it has no lock file, or one
        that cannot be locked.
    """
    try:
        descriptor = os.open(path.with_suffix(_LOCK), _EXISTING)
    except OSError:
        yield None
        return
    try:
        try:
            is_locked = _lock(descriptor, path.with_suffix(_LOCK), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            is_locked = None
        yield is_locked
    finally:
        os.close(descriptor)


def delete_orphans(folder: Path) -> None:
    """Delete lock files without a database: their process was killed while it created or deleted its file."""
    for path in entries(folder):
        database = path.with_suffix(DATABASE)
        if is_spool_name(path.name, _LOCK) and not os.path.lexists(database):
            with suppress(OSError):
                lock = acquire(database, may_create=False)
                # Again: it may have been created before the lock was acquired.
                if lock is not None and lock.is_ours and not os.path.lexists(database):
                    lock.delete()
                elif lock is not None:
                    lock.release()


def companions(path: Path) -> tuple[Path, ...]:
    """Return the paths of the files that SQLite may keep beside a database."""
    return tuple(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))


def has_lock_file(path: Path) -> bool:
    """Return whether a database has a lock file."""
    return os.path.lexists(path.with_suffix(_LOCK))


def has_foreign_companion(path: Path) -> bool:
    """Return whether a path that SQLite would write to has a link, a folder or a device."""
    return any(os.path.lexists(companion) and _regular(companion) is None for companion in companions(path))


def _create_lock(path: Path, *, should_wait: bool) -> FileLock | None:
    """Create and lock the lock file of a database; None if another process has deleted it, or has locked it first."""
    lock_path = path.with_suffix(_LOCK)
    try:
        descriptor = os.open(lock_path, _NEW, _FILE_MODE)
    except FileExistsError:  # pragma: no cover -- a race with another process
        return None
    try:
        how = fcntl.LOCK_EX if should_wait else fcntl.LOCK_EX | fcntl.LOCK_NB
        if _lock(descriptor, lock_path, how):
            os.write(descriptor, _content(path))
            os.fsync(descriptor)  # after a power cut, too, it has to show whose the database is
            return FileLock(path, descriptor, is_ours=True)
    except BaseException:
        _unlink(lock_path)
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _lock(descriptor: int, path: Path, how: int) -> bool:
    """Lock an open file; False if a living process has it, or if it is no longer the one at its path.

    Raises:
        OSError: It cannot be locked.
    """
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        msg = "its lock is not a regular file"
        raise OSError(errno.EINVAL, msg)
    try:
        fcntl.flock(descriptor, how)
        return _inode(state) == _inode(path.lstat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _content(path: Path) -> bytes:
    return f"asyncsdk spool: the lock of {path.name}\n".encode()


def _regular(path: Path) -> os.stat_result | None:
    """Return the state of a regular file; None for anything else, such as a link."""
    with suppress(OSError):
        state = path.lstat()
        if stat.S_ISREG(state.st_mode):
            return state
    return None


def _unlink(path: Path) -> None:
    with suppress(OSError):
        if _regular(path) is not None:
            path.unlink()


def _inode(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _safe(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in name)[:64] or "host"
