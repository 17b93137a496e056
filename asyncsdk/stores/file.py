"""Stores in a local folder.

A file is written under another name, synced and renamed, so it appears whole or not at all. Only its owner may read it.
File names are hashes of the keys, because keys may hold secrets, user ids, and characters that no file system accepts.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import orjson

from asyncsdk._model.values import Value
from asyncsdk._threads import in_thread
from asyncsdk.stores._folders import absolute_folder

try:
    import fcntl
except ImportError:  # pragma: no cover -- Windows
    import msvcrt

    fcntl = None  # type: ignore[assignment]

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_MAX_LOCK_PAUSE = 0.02
"""Maximum pause between two attempts to lock a folder, in seconds."""
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL


@attrs.frozen(eq=False, repr=False)
class FileCache(Value):
    """Keeps rulesets in a folder, one file each, for the next start.

    Several processes may share the folder; the last write wins.

    Attributes:
        folder: Created when it is first needed, accessible to its owner only. A relative path is resolved at once.
    """

    folder: Path = attrs.field(converter=absolute_folder)

    async def load(self, key: str) -> bytes | None:
        """Return what was saved under `key`; None if nothing was."""
        return await in_thread(lambda: _read(self._path(key)))

    async def save(self, key: str, body: bytes) -> None:
        """Save `body` under `key`, replacing what was there."""
        await in_thread(lambda: _replace(self._path(key), body))

    def _path(self, key: str) -> Path:
        return self.folder / f"rules-{_file_name(key)}.json"


@attrs.frozen(eq=False, repr=False)
class FileAssignments(Value):
    """Keeps sticky assignments in a folder, one file per unit.

    Several processes may share the folder. A save reads a unit's file and replaces it under a lock of its subfolder, so
    that none overwrites the change of another. Where locks fail, as on some network file systems, so does the save: it
    is counted, logged and repeated, and never made without the lock.

    Attributes:
        folder: Created when it is first needed, accessible to its owner only. A relative path is resolved at once.
        lock_timeout: Maximum time to wait for another process that saves, in seconds. The client gives up a save after
            five seconds, and repeats it.
    """

    folder: Path = attrs.field(converter=absolute_folder)
    lock_timeout: float = attrs.field(default=4.0, kw_only=True)

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a unit's assignments by name; empty if there are none."""
        return await in_thread(lambda: _assignments(self._path(key)))

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        """Save one assignment of a unit; None deletes it."""
        await in_thread(lambda: _change(self._path(key), name, assignment, self.lock_timeout, lambda _: True))

    async def compare_and_set(
        self, key: str, name: str, expected: Mapping[str, Any] | None, assignment: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """Save one assignment if the stored one is `expected`; return what is stored afterwards."""
        return await in_thread(
            lambda: _change(self._path(key), name, assignment, self.lock_timeout, lambda found: found == expected)
        )

    def _path(self, key: str) -> Path:
        name = _file_name(key)
        return self.folder / name[:2] / f"{name}.json"


@attrs.define(eq=False, repr=False)
class WatchedFile:
    """A file that is read again when its modification time or size changes.

    Attributes:
        path: The file.
    """

    path: Path
    _last_state: tuple[int, int] | None = attrs.field(default=None, init=False)

    async def read_if_changed(self) -> bytes | None:
        """Return the content of the file if it changed since the last call, else None.

        Raises:
            OSError: The file cannot be read. The next call that succeeds returns its content, changed or not.
        """
        return await in_thread(self.read_if_changed_blocking)

    def read_if_changed_blocking(self) -> bytes | None:
        """Like `read_if_changed`, in the caller's thread."""
        # Cleared until the read has succeeded: after an error, an unchanged file is read again.
        last, self._last_state = self._last_state, None
        stat = self.path.stat()
        state = (stat.st_mtime_ns, stat.st_size)
        body = self.path.read_bytes() if state != last else None
        self._last_state = state
        return body


def _file_name(key: str) -> str:
    """Return a file name that is valid everywhere and does not reveal the key."""
    # 40 digits are 160 bits: enough to make collisions impossible in practice.
    return sha256(key.encode("utf-8", "replace")).hexdigest()[:40]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _replace(path: Path, body: bytes) -> None:
    """Write a new file of mode 0600 beside `path`, sync it, and rename it to `path`."""
    path.parent.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
    temporary = path.with_name(f".new-{uuid4().hex}")
    try:
        with os.fdopen(os.open(temporary, _CREATE, _FILE_MODE), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _assignments(path: Path) -> dict[str, dict[str, Any]]:
    """Read a unit's file. A damaged file counts as empty; the next save replaces it."""
    try:
        found = orjson.loads(_read(path) or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _change(
    path: Path,
    name: str,
    assignment: Mapping[str, Any] | None,
    lock_timeout: float,
    may_change: Callable[[Mapping[str, Any] | None], bool],
) -> Mapping[str, Any] | None:
    """Change one assignment in a unit's file if `may_change` says so of the current one; return what it is afterwards.

    Raises:
        OSError: The file cannot be locked, read or written. It is as before.
    """
    # Created first, because `mkdir(parents=True)` applies the mode to the last folder only, not to its parents.
    path.parents[1].mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
    path.parent.mkdir(_FOLDER_MODE, exist_ok=True)
    with _locked(path.parent, lock_timeout):
        found = _assignments(path)
        current = found.get(name)
        if not may_change(current) or (assignment is None and current is None):
            return current
        if assignment is not None:
            found[name] = dict(assignment)
        else:
            del found[name]
        if found:
            _replace(path, orjson.dumps(found))
        else:
            path.unlink(missing_ok=True)
        return assignment


@contextmanager
def _locked(folder: Path, timeout: float) -> Iterator[None]:
    """Hold the lock of a folder.

    Raises:
        OSError: Another process has had the lock for `timeout` seconds, or files cannot be locked here.
    """
    descriptor = _open_lock(folder)
    try:
        deadline, pause = time.monotonic() + timeout, 0.0005
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process holds the lock", str(folder))
            # This is a thread of its own: a lock that waits could not be given up.
            time.sleep(pause)
            pause = min(2 * pause, _MAX_LOCK_PAUSE)
        yield
    finally:
        os.close(descriptor)  # which releases the lock


def _open_lock(folder: Path) -> int:
    """Return a descriptor to lock: the folder itself where that is possible, as on local POSIX file systems."""
    if fcntl is not None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        except BlockingIOError:
            return descriptor
        except OSError:  # pragma: no cover -- NFS: a lock needs a descriptor that may write
            os.close(descriptor)
        else:
            return descriptor
    # A file that is never deleted: a lock on a deleted file protects nothing.
    return os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, _FILE_MODE)  # pragma: no cover


def _try_lock(descriptor: int) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:  # pragma: no cover -- Windows
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except BlockingIOError:
        return False
    except PermissionError:  # pragma: no cover -- how Windows says that it is locked
        if fcntl is not None:
            raise
        return False
    return True
