"""The files of ended processes that this one may take over: which of those in the folder are opened, and how.

What is done with a file that is named like one of the spool's (the numbers stand in the code, too):

1. The spool did not write it, or another version of it did: leave it as it is, until it changes; one WARNING.
2. A living process has its lock: leave it.
3. It was deleted a moment ago: delete its lock file.
4. Its process was killed while it created the file: delete it.
5. It is damaged: quarantine it, if its lock file shows that the spool wrote it.
6. It cannot be opened or read now: release it, and try again at the next call; one WARNING.

Otherwise it is opened, with its lock.
"""

import logging
from contextlib import suppress
from pathlib import Path

from asyncsdk.stores.sqlite import file_lock
from asyncsdk.stores.sqlite.database import Database, UnknownVersionError
from asyncsdk.stores.sqlite.file_lock import FileLock
from asyncsdk.stores.sqlite.identity import Identity, identify
from asyncsdk.stores.sqlite.open_file import DamagedError, OpenFile, open_database
from asyncsdk.stores.sqlite.open_files import OpenFiles

logger = logging.getLogger("asyncsdk.spool")


class Candidates:
    """Opens files of ended processes."""

    def __init__(self, open_files: OpenFiles) -> None:
        """Take the open files, which quarantine what is damaged."""
        self._open_files = open_files
        # Files that are skipped until they change, with the time of their last change.
        self._skipped: dict[Path, int] = {}
        # Files that were left as they are, each with the reason that was logged.
        self._reported: dict[Path, str] = {}

    def __repr__(self) -> str:
        return f"<Candidates: {len(self._skipped)} files skipped>"

    def has_changed(self, path: Path) -> bool:
        """Return whether a file has changed since it was skipped; False if it is gone."""
        with suppress(OSError):
            return self._skipped.get(path) != path.lstat().st_mtime_ns
        return False

    def skip(self, path: Path) -> None:
        """Skip a file until it changes."""
        with suppress(OSError):
            self._skipped[path] = path.lstat().st_mtime_ns

    def open(self, path: Path) -> OpenFile | None:
        """Lock and open a file; None if it is not to be taken over, for one of the reasons above."""
        found = identify(path)
        if found.kind in ("foreign", "older", "newer"):  # 1
            self._report(path, found.reason)
            self.skip(path)
            return None
        try:
            lock = file_lock.acquire(path, may_create=found.kind == "spool")
        except OSError as error:  # 6
            self._report(path, f"its lock: {error.strerror or type(error).__name__}")
            return None
        if lock is None:  # 2
            if found.kind == "damaged" and not file_lock.has_lock_file(path):  # 1
                self._report(path, found.reason)
            return None
        database = self._open_database(lock)
        return None if database is None else OpenFile(lock, database)

    def _open_database(self, lock: FileLock) -> Database | None:
        """Open the database of a lock; if it returns None, the lock was released."""
        found = identify(lock.path)  # again: only now no other process can change it
        is_ours = found.kind == "spool" or lock.is_ours
        if is_ours:
            lock.inode = found.inode
        if found.kind == "missing" or (found.kind in ("empty", "unfinished") and is_ours):  # 3 and 4
            lock.delete()
            return None
        database = None
        try:
            if is_ours and found.kind in ("spool", "damaged"):  # what looks damaged may be complete with its WAL
                database = open_database(lock)
        except DamagedError:  # 5
            self._open_files.quarantine(lock)
            return None
        except UnknownVersionError as error:  # 1
            found = Identity("newer", str(error))
        if database is None:  # 1 and 6
            self._report(lock.path, found.reason or "it cannot be opened now")
            lock.release()
        return database

    def _report(self, path: Path, reason: str) -> None:
        """Log once why a file is left as it is."""
        if self._reported.get(path) != reason:
            self._reported[path] = reason
            logger.warning("spool: %s is left as it is (%s)", path, reason)
