"""The space that a spool may use, and the ballast that keeps it working on a full disk.

Quota. The spool is full if its databases exceed `max_bytes`, or if the disk has less than `keep_free` left. Both are
measured at most every 0.1 s, since that lists the folder; in between, the bytes of each commit are added. If new
blocks do not fit:

1. Free pages of the open files are returned to the file system.
2. If they still do not fit and the quota says so (`drops_oldest`), the oldest blocks of the own file are deleted.
3. If that was not enough, the new blocks are refused.

Ballast. SQLite needs space to delete rows, so on a disk that is full to the last byte nothing could be drained. A file
of 2 MB is therefore allocated beside each database that blocks are added to, and deleted when space is needed. Nothing
may be added to a database without ballast, or deleting would use up what is left.
"""

import os
import sqlite3
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from asyncsdk._model.spooling import Settled
from asyncsdk.stores.sqlite.file_lock import FileLock, database_bytes, open_folder
from asyncsdk.stores.sqlite.open_file import OpenFile
from asyncsdk.stores.sqlite.quota import Quota
from asyncsdk.stores.sqlite.rows import Row

BALLAST_BYTES = 2 * 1024 * 1024
_MEASURE_INTERVAL = 0.1
_CREATE = os.O_WRONLY | os.O_CREAT


class DiskSpace:
    """Decides whether new blocks fit.

    Attributes:
        used: Bytes of all databases of the folder, as measured or estimated.
    """

    def __init__(self, quota: Quota) -> None:
        """Take the quota; the first call of `reserve` measures."""
        self.used = 0
        self._quota = quota
        self._free = 0
        self._measured = float("-inf")
        self._with_ballast: set[Path] = set()

    def __repr__(self) -> str:
        return f"<DiskSpace {self.used:,} of {self._quota.max_bytes:,} bytes used, {self._free:,} free on the disk>"

    def reserve(
        self, incoming: int, own: OpenFile | None, files: Collection[OpenFile]
    ) -> tuple[bool, list[tuple[str, Row]]]:
        """Make space for new blocks, if that is possible.

        Args:
            incoming: Bytes of the new blocks.
            own: The file that will store them; None if there is none yet.
            files: All files that this process has open.

        Returns:
            Whether the new blocks fit, and the blocks that were deleted for them, each with its destination.
        """
        if not incoming:
            return True, []
        if time.monotonic() > self._measured + _MEASURE_INTERVAL:
            self._measure(own)
        dropped: list[tuple[str, Row]] = []
        if self._excess(incoming) > 0:
            for file in files:
                with suppress(sqlite3.Error):
                    file.shrink()
            self._measure(own)
            if self._quota.drops_oldest and own is not None:
                dropped = self._drop_oldest(own, incoming)
        fits = self._excess(incoming) <= 0
        if fits:
            self.used += incoming
            self._free -= incoming
        return fits, dropped

    def _excess(self, incoming: int) -> int:
        """Return by how many bytes the quota would be exceeded; 0 or less if it would not."""
        quota = self._quota
        return incoming + max(self.used - quota.max_bytes, quota.keep_free - self._free)

    def _drop_oldest(self, own: OpenFile, incoming: int) -> list[tuple[str, Row]]:
        dropped: list[tuple[str, Row]] = []
        with suppress(sqlite3.Error):
            while self._excess(incoming) > 0 and (oldest := own.database.oldest_block()) is not None:
                own.database.commit((), Settled((oldest[1].id,)), (), 0)
                size = len(oldest[1].body)
                self.used -= size
                self._free += size
                dropped.append(oldest)
        return dropped

    def _measure(self, own: OpenFile | None) -> None:
        folder = self._quota.folder
        self._measured = time.monotonic()
        # Of the own file, only used pages count: new blocks go into its free pages first.
        self.used = database_bytes(folder, None if own is None else own.lock.path)
        reusable = 0
        if own is not None:
            with suppress(sqlite3.Error):
                used, reusable = own.database.used_and_free_bytes
                self.used += used
        try:
            open_folder(folder)
            state = os.statvfs(folder)
            self._free = state.f_bavail * state.f_frsize + reusable
        except OSError:  # the commit fails with the same error, and reports it
            self._free = self._quota.keep_free + self._quota.max_bytes

    def ensure_ballast(self, lock: FileLock) -> bool:
        """Return whether a database has ballast, after allocating it if necessary; False if the disk is too full."""
        if lock.path not in self._with_ballast:
            try:
                file = os.open(lock.ballast, _CREATE, 0o600)
                try:
                    os.posix_fallocate(file, 0, BALLAST_BYTES)
                finally:
                    os.close(file)
            except OSError:
                self.drop_ballast(lock)
                return False
            self._with_ballast.add(lock.path)
        return True

    def drop_ballast(self, lock: FileLock) -> None:
        """Delete the ballast of a database, which leaves its space for deleting rows."""
        self._with_ballast.discard(lock.path)
        with suppress(OSError):
            lock.ballast.unlink()
