"""How much room a spool has, and the ballast that keeps a full disk workable.

SQLite needs room to delete: on a disk that is full to the last byte it cannot. A file of no use is laid beside each
database, and given up when room is needed.
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
_MEASURE_EVERY = 0.1
_NEW = os.O_WRONLY | os.O_CREAT


class DiskSpace:
    """Counts what a folder takes: measured now and then, and added up in between.

    Attributes:
        used: Bytes of all databases.
    """

    def __init__(self, quota: Quota) -> None:
        """Measure nothing yet."""
        self.used = 0
        self._quota = quota
        self._free = 0
        self._measured = float("-inf")
        self._laden: set[Path] = set()

    def make(
        self, incoming: int, own: OpenFile | None, files: Collection[OpenFile]
    ) -> tuple[bool, list[tuple[str, Row]]]:
        """Say whether there is room for so many bytes more, and which blocks had to go for it, and whose they were.

        Args:
            incoming: Bytes.
            own: The file that they would go to; None when there is none yet.
            files: All that this process has open.
        """
        if not incoming:
            return True, []
        if time.monotonic() > self._measured + _MEASURE_EVERY:
            self._measure(own)
        gone: list[tuple[str, Row]] = []
        if self._excess(incoming) > 0:
            for file in files:
                with suppress(sqlite3.Error):
                    file.shrink()
            self._measure(own)
            if self._quota.drops_oldest and own is not None:
                gone = self._drop_oldest(own, incoming)
        fits = self._excess(incoming) <= 0
        if fits:
            self.used += incoming
            self._free -= incoming
        return fits, gone

    def _excess(self, incoming: int) -> int:
        quota = self._quota
        return incoming + max(self.used - quota.max_bytes, quota.keep_free - self._free)

    def _drop_oldest(self, own: OpenFile, incoming: int) -> list[tuple[str, Row]]:
        gone: list[tuple[str, Row]] = []
        with suppress(sqlite3.Error):
            while self._excess(incoming) > 0 and (oldest := own.database.oldest()) is not None:
                own.database.commit((), Settled((oldest[1].id,)), (), 0)
                size = len(oldest[1].body)
                self.used -= size
                self._free += size
                gone.append(oldest)
        return gone

    def _measure(self, own: OpenFile | None) -> None:
        folder = self._quota.folder
        self._measured = time.monotonic()
        self.used = database_bytes(folder, None if own is None else own.claim.path)
        reusable = 0
        if own is not None:
            with suppress(sqlite3.Error):
                used, reusable = own.database.used_and_free_bytes
                self.used += used
        try:
            open_folder(folder)
            state = os.statvfs(folder)
            self._free = state.f_bavail * state.f_frsize + reusable
        except OSError:  # the commit will meet it, too
            self._free = self._quota.keep_free + self._quota.max_bytes

    def has_ballast(self, claim: FileLock) -> bool:
        """Say whether there is ballast beside a file; lay it if there is not, and if the disk has room for it.

        Without it nothing may be added to the file: what is left of the disk is needed for deleting.
        """
        if claim.path not in self._laden:
            try:
                file = os.open(claim.ballast, _NEW, 0o600)
                try:
                    os.posix_fallocate(file, 0, BALLAST_BYTES)
                finally:
                    os.close(file)
            except OSError:
                self.drop_ballast(claim)
                return False
            self._laden.add(claim.path)
        return True

    def drop_ballast(self, claim: FileLock) -> None:
        """Give its room back."""
        self._laden.discard(claim.path)
        with suppress(OSError):
            claim.ballast.unlink()
