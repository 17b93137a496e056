"""The files that this process has open, by the numbers under which a client knows them."""

import sqlite3
from contextlib import suppress
from pathlib import Path

from asyncsdk._model.spooling import SpoolError
from asyncsdk.stores.sqlite import file_lock as ownership
from asyncsdk.stores.sqlite.database import Database
from asyncsdk.stores.sqlite.open_file import DELETED, DamagedError, OpenFile, open_file
from asyncsdk.stores.sqlite.quarantine import set_aside_block, set_aside_file
from asyncsdk.stores.sqlite.rows import Row


class OpenFiles:
    """Its own file, and those that it has taken over.

    Attributes:
        files: By number; no number is used again.
        own: Number of the file that new blocks go to; 0 while there is none.
        quarantined: Damaged blocks and files that were set aside.
    """

    def __init__(self, folder: Path) -> None:
        """Begin with none."""
        self.files: dict[int, OpenFile] = {}
        self.own = 0
        self.quarantined = 0
        self._folder = folder
        self._last_number = 0

    def own_file(self) -> OpenFile:
        """Give the file of this process; make it for the first block, or after somebody has deleted it.

        Raises:
            SpoolError: It was deleted since the last call: nobody is to take what was in it for safe.
            sqlite3.Error: It cannot be made now.
            OSError: The folder cannot be written to.
        """
        if self.own:
            if not self.files[self.own].database.is_gone:
                return self.files[self.own]
            self.own = 0
            raise SpoolError(DELETED)
        claim = ownership.make(self._folder)
        try:
            database = Database(claim.path)
        except BaseException:
            claim.delete()
            raise
        self.own = self.add(OpenFile(claim, database))
        return self.files[self.own]

    def add(self, file: OpenFile) -> int:
        """Give a file its number."""
        self._last_number += 1
        self.files[self._last_number] = file
        return self._last_number

    def close(self, number: int) -> ownership.FileLock:
        """Close a file; the right to it is handed back."""
        if number == self.own:
            self.own = 0
        return self.files.pop(number).close()

    def retire(self) -> None:
        """Read what the own file has from disk again, and let new blocks go to another."""
        number, self.own = self.own, 0
        file = self.files.pop(number)
        claim = file.close()
        try:
            database = open_file(claim)
        except DamagedError:
            self.set_aside(claim)
            return
        if database is None:
            claim.release()
        else:
            self.files[number] = OpenFile(claim, database, file.owed)

    def save(self) -> None:
        """Put what is left of files that somebody has deleted into one that is there, at the end."""
        gone = [number for number, file in self.files.items() if file.database.is_gone and not file.is_empty()]
        if self.own in gone:
            self.own = 0
        for number in gone:
            with suppress(sqlite3.Error, OSError, SpoolError):
                self.own_file().database.take_over(self.files[number].database)
                self.files[number].database.forget_blocks()

    def set_aside(self, claim: ownership.FileLock) -> None:
        """Move a damaged file out of the way."""
        self.quarantined += 1
        set_aside_file(self._folder, claim)

    def set_aside_block(self, file: OpenFile, row: Row) -> None:
        """Copy a damaged block out of the way."""
        self.quarantined += 1
        set_aside_block(self._folder, file.claim.path, row)
