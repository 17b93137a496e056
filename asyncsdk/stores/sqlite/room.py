"""How much room a spool has, and the ballast that keeps a full disk workable.

SQLite needs room to delete: on a disk that is full to the last byte it cannot. A file of no use is laid beside each
database, and given up when room is needed.
"""

import os
import sqlite3
import time
from contextlib import suppress

from asyncsdk.stores.sqlite.opened import Opened
from asyncsdk.stores.sqlite.ownership import Claim, database_bytes, open_folder
from asyncsdk.stores.sqlite.settings import SqliteSpool

BALLAST_BYTES = 1024 * 1024
# Free bytes that are needed to lay it anew, in its own size.
_LAY_FROM = 3
_MEASURE_EVERY = 0.1
_NEW = os.O_WRONLY | os.O_CREAT


class Room:
    """Counts what a folder takes: measured now and then, and added up in between.

    Attributes:
        used: Bytes of all databases.
    """

    def __init__(self, settings: SqliteSpool) -> None:
        """Measure nothing yet."""
        self.used = 0
        self._settings = settings
        self._free = 0
        self._measured = float("-inf")

    def excess(self, incoming: int, own: Opened | None) -> int:
        """Say how many bytes too many there would be with `incoming` more; 0 or less when there is room."""
        now = time.monotonic()
        if now > self._measured + _MEASURE_EVERY:
            self._measured = now
            self._measure(own)
            if own is not None and not own.claim.ballast.exists():
                self.lay_ballast(own.claim)
        excess = max(self.used + incoming - self._settings.max_bytes, self._settings.keep_free + incoming - self._free)
        if excess <= 0:
            self.used += incoming
            self._free -= incoming
        return excess

    def gave_back(self, size: int) -> None:
        """Note that so many bytes may be used again."""
        self.used -= size
        self._free += size

    def _measure(self, own: Opened | None) -> None:
        folder = self._settings.folder
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
            self._free = self._settings.keep_free + self._settings.max_bytes

    def lay_ballast(self, claim: Claim) -> None:
        """Take up some room, if there is plenty; without it a full disk is only harder to get out of."""
        if self._free < _LAY_FROM * BALLAST_BYTES:
            return
        with suppress(OSError):
            file = os.open(claim.ballast, _NEW, 0o600)
            try:
                os.posix_fallocate(file, 0, BALLAST_BYTES)
            finally:
                os.close(file)

    def drop_ballast(self, claim: Claim) -> None:
        """Give its room back."""
        with suppress(OSError):
            claim.ballast.unlink()
