"""The files that this process has open, by the numbers under which the client knows them.

Numbers start at 1 and are never reused, so an acknowledgement that arrives after its file was closed cannot reach
another file. At most one is the process's own file, to which new blocks go (`own`; 0 if there is none). The others
were adopted from processes that have ended, or are earlier own files that failed: both are only drained.

How the process's own file changes:

1. `own_file` creates it for the first block.
2. `own_file` detects that it was deleted, raises once, and creates another at the next call.
3. `retire` demotes it after an I/O error; the next call of `own_file` creates another.
4. `close` closes it, at the end or because it is damaged.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path

from asyncsdk._model.spooling import SpoolError
from asyncsdk.stores.sqlite import file_lock
from asyncsdk.stores.sqlite.database import Database
from asyncsdk.stores.sqlite.file_lock import FileLock
from asyncsdk.stores.sqlite.open_file import FILE_DELETED, DamagedError, OpenFile, open_database
from asyncsdk.stores.sqlite.quarantine import quarantine_block, quarantine_file
from asyncsdk.stores.sqlite.rows import Row


class OpenFiles:
    """This process's own file, and the files that are being drained.

    Attributes:
        by_number: The open files.
        own: Number of this process's own file; 0 if there is none.
        quarantined: How many damaged blocks and files were quarantined.
    """

    def __init__(self, folder: Path) -> None:
        """Start without any files."""
        self.by_number: dict[int, OpenFile] = {}
        self.own = 0
        self.quarantined = 0
        self._folder = folder
        self._last_number = 0

    def __repr__(self) -> str:
        return f"<OpenFiles: {len(self.by_number)} open, own is {self.own}, {self.quarantined} quarantined>"

    def own_file(self) -> OpenFile:
        """Return this process's own file; create it for the first block, or if the earlier one was deleted.

        Raises:
            SpoolError: That file was deleted since the last call. This is reported once, because its blocks are
                no longer safe on disk; the next call creates another file.
            sqlite3.Error: It cannot be created now.
            OSError: The folder cannot be written to.
        """
        if self.own:
            if not self.by_number[self.own].database.is_deleted:
                return self.by_number[self.own]
            self.own = 0
            raise SpoolError(FILE_DELETED)
        lock = file_lock.create(self._folder)
        try:
            database = Database(lock.path, "create")
        except BaseException:
            lock.delete()
            raise
        lock.inode = database.inode
        self.own = self.add(OpenFile(lock, database))
        return self.by_number[self.own]

    def add(self, file: OpenFile) -> int:
        """Add an open file, and return its number."""
        self._last_number += 1
        self.by_number[self._last_number] = file
        return self._last_number

    def close(self, number: int) -> FileLock:
        """Close a file, and return its lock for the caller to release."""
        if number == self.own:
            self.own = 0
        return self.by_number.pop(number).close()

    def retire(self) -> None:
        """Reopen this process's own file for draining only; new blocks go to another file.

        After a failed sync, SQLite's cache may hold pages that never reached the disk, so the file is closed and read
        from disk again. It keeps its number and its pending acknowledgements.
        """
        number, self.own = self.own, 0
        file = self.by_number.pop(number)
        lock = file.close()
        if lock.is_replaced:
            lock.release()
            return
        try:
            database = open_database(lock)
        except DamagedError:
            self.quarantine(lock)
            return
        if database is None:
            lock.release()
        else:
            self.by_number[number] = OpenFile(lock, database, file.pending_acks)

    def copy_deleted(self) -> None:
        """Copy the blocks of files that were deleted into one that exists, before they are closed for good."""
        deleted = [
            number for number, file in self.by_number.items() if file.database.is_deleted and not file.is_empty()
        ]
        if self.own in deleted:
            self.own = 0
        for number in deleted:
            with suppress(sqlite3.Error, OSError, SpoolError):
                self.own_file().database.copy_blocks_from(self.by_number[number].database)
                self.by_number[number].database.erase_blocks()

    def quarantine(self, lock: FileLock) -> None:
        """Move a damaged file to the quarantine, and count it."""
        self.quarantined += 1
        quarantine_file(self._folder, lock)

    def quarantine_block(self, file: OpenFile, row: Row) -> None:
        """Copy a damaged block to the quarantine, and count it."""
        self.quarantined += 1
        quarantine_block(self._folder, file.lock.path, row)
