"""The space that a spool may use, and the ballast that keeps it working on a full disk.

Quota. The spool is full if its databases exceed `max_bytes`, or if the disk has less than `keep_free` left. Both are
measured every 0.1 s, since that lists the folder; in between, the bytes of each commit are added, and if half of
`max_bytes` is used, the open files and the disk are measured. If new blocks do not fit:

1. Free pages of the open files are returned to the file system, at most every 0.1 s.
2. What is left is divided among the blocks, and old ones may be chosen to be deleted: see `shares`.
3. What does not fit is not stored.

Nothing is deleted here: the commit of the new blocks deletes the old ones, so that it does both or neither.

Ballast. SQLite needs space to delete rows, so on a disk that is full to the last byte nothing could be drained. A file
of 2 MB is therefore allocated beside each database that blocks are added to, and deleted when space is needed. Nothing
may be added to a database without ballast, or deleting would use up what is left.
"""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from asyncsdk.stores.sqlite.file_lock import FileLock, open_folder
from asyncsdk.stores.sqlite.identity import database_bytes
from asyncsdk.stores.sqlite.open_file import OpenFile
from asyncsdk.stores.sqlite.quota import Quota
from asyncsdk.stores.sqlite.rows import NewRow
from asyncsdk.stores.sqlite.shares import Allocation, Victim

_MEASURE_INTERVAL = 0.1


class DiskSpace:
    """Decides which new blocks fit.

    Attributes:
        used: Bytes of all databases of the folder, as measured or estimated.
        destinations: Labels that share the spool: those of the client.
        unclaimed: Bytes of events for other destinations, which are not part of `used`.
    """

    def __init__(self, quota: Quota) -> None:
        """Take the quota; the first call of `allocate` measures."""
        self.used = 0
        self.destinations: set[str] = set()
        self.unclaimed = 0
        self._quota = quota
        self._free = 0
        # Bytes of the databases that are not open here.
        self._closed = 0
        self._measured = self._shrunk = float("-inf")
        self._with_ballast: set[Path] = set()

    def __repr__(self) -> str:
        return f"<DiskSpace {self.used:,} of {self._quota.max_bytes:,} bytes used, {self._free:,} free on the disk>"

    def allocate(
        self, rows: Sequence[NewRow], own: OpenFile | None, files: Mapping[int, OpenFile]
    ) -> Allocation | None:
        """Find out whether new blocks fit.

        Args:
            rows: The new blocks.
            own: The file that will store them; None if there is none yet.
            files: All files that this process has open, by number.

        Returns:
            None if all of them fit; otherwise what divides the space among them.
        """
        now, incoming = time.monotonic(), 0
        for row in rows:
            self.destinations.add(row.destination)
            incoming += len(row.body)
        if now > self._measured + _MEASURE_INTERVAL:
            self._measure(own, files.values())
        # The usual case, without looking at any destination: what is kept for each is less than half.
        shared = self._quota.drops_oldest or len(self.destinations) == 1
        common = self._quota.max_bytes if shared else self._quota.max_bytes // 2
        if self.used + incoming <= common and self._free - incoming >= self._quota.keep_free:
            self.used += incoming
            self._free -= incoming
            return None
        blocks = [(row.destination, len(row.body)) for row in rows]
        self._refresh(own, files.values())  # the estimate omits what is unused in pages, up to a quarter of them
        allocation = self._divide(own, files)
        if not allocation.fits_all(blocks) and now > self._shrunk + _MEASURE_INTERVAL:
            self._shrunk = now
            for file in files.values():
                with suppress(sqlite3.Error):
                    file.shrink()
            self._measure(own, files.values())
            allocation = self._divide(own, files)
        return None if allocation.fits_all(blocks) else allocation

    def _divide(self, own: OpenFile | None, files: Mapping[int, OpenFile]) -> Allocation:
        sizes, freed = Counter[str](), 0
        for file in files.values():
            with suppress(sqlite3.Error):
                sizes.update(file.database.count_bytes())
                settled = file.database.bytes_of(file.pending_acks.finished)
                sizes.subtract(settled)
                # The commit that stores the new blocks deletes these first.
                freed += settled.total() if file is own else 0
        # This process's file last: what was adopted is older.
        oldest_first = sorted(files.items(), key=lambda item: item[1] is own)

        def find_oldest(destination: str) -> Iterator[Victim]:
            for number, file in oldest_first:
                with suppress(sqlite3.Error):
                    for row in file.oldest_blocks(destination):
                        yield Victim(number, row.id, destination, row.body, row.done)

        left, left_on_disk = self._quota.max_bytes - self.used + freed, self._free - self._quota.keep_free + freed
        return Allocation(self._quota, left, left_on_disk, self.destinations, sizes, find_oldest)

    def _measure(self, own: OpenFile | None, files: Collection[OpenFile]) -> None:
        self._measured = time.monotonic()
        self._closed = database_bytes(self._quota.folder, None if own is None else own.lock.path)
        for file in files:
            with suppress(OSError):
                self._closed -= 0 if file is own else file.lock.path.stat().st_size
        self._refresh(own, files)

    def _refresh(self, own: OpenFile | None, files: Collection[OpenFile]) -> None:
        """Measure the open files and the disk, which costs a few system calls, but not the folder."""
        self.used, reusable = self._closed - self.unclaimed, 0
        for file in files:
            with suppress(sqlite3.Error):
                # Free pages do not count: new blocks fill those of this process's file; other files give theirs back.
                used, free = file.database.used_and_free_bytes
                self.used += used
                reusable += free if file is own else 0
        try:
            open_folder(self._quota.folder)
            state = os.statvfs(self._quota.folder)
            self._free = state.f_bavail * state.f_frsize + reusable
        except OSError:  # the commit fails with the same error, and reports it
            self._free = self._quota.keep_free + self._quota.max_bytes

    def ensure_ballast(self, lock: FileLock) -> bool:
        """Return whether a database has ballast, after allocating it if necessary; False if the disk is too full."""
        if lock.path not in self._with_ballast:
            try:
                lock.allocate_ballast()
            except OSError:
                self.drop_ballast(lock)
                return False
            self._with_ballast.add(lock.path)
        return True

    def drop_ballast(self, lock: FileLock) -> None:
        """Delete the ballast of a database, which leaves its space for deleting rows."""
        self._with_ballast.discard(lock.path)
        lock.delete_ballast()
