"""All files of a spool that this process has: its own, and those of processes that are gone."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from asyncsdk._model.blocks import BlockError, pack_block
from asyncsdk._model.spooling import (
    Adopted,
    Committed,
    DeadLetters,
    NewBlock,
    Settled,
    SpoolError,
    StoredBlock,
    Usage,
)
from asyncsdk.stores.sqlite import file_lock as ownership
from asyncsdk.stores.sqlite.database import Database, UnknownVersionError
from asyncsdk.stores.sqlite.disk_space import DiskSpace
from asyncsdk.stores.sqlite.open_file import (
    DISK_FULL,
    DamagedError,
    OpenFile,
    block_of,
    is_damage,
    is_full,
    loss_of,
    name_of,
    open_file,
)
from asyncsdk.stores.sqlite.open_files import OpenFiles
from asyncsdk.stores.sqlite.quota import Quota
from asyncsdk.stores.sqlite.rows import DeadRow, NewRow, Row


class SqliteFiles:
    """Satisfies `SpoolFiles`; opens nothing before the first call."""

    def __init__(self, quota: Quota) -> None:
        """Open nothing yet."""
        self._quota = quota
        self._shelf = OpenFiles(quota.folder)
        self._room = DiskSpace(quota)
        self._unburied: list[DeadRow] = []
        self._buried = 0
        # Files with nothing for us, and when they were changed last.
        self._not_ours: dict[Path, int] = {}

    # --- keeping ----------------------------------------------------------------------------------------------

    def commit(
        self, blocks: Sequence[NewBlock], settled: Mapping[int, Settled], dead: Sequence[DeadLetters], now_ms: int
    ) -> Committed:
        """Keep blocks and note what became of others, in one transaction per file: one for most commits."""
        for number in settled.keys() & self._shelf.files.keys():
            self._shelf.files[number].owe(settled[number])
        for letters in dead:
            body, count = bytes(pack_block(letters.destination, now_ms, letters.records)), len(letters.records)
            self._unburied.append(DeadRow(letters.destination, count, letters.status, letters.reason, body))
            self._buried += count
        rows = [
            NewRow(new.destination, len(new.records), pack_block(new.destination, now_ms, new.records))
            for new in blocks
        ]
        fits, gone = self._room.make(
            sum(len(row.body) for row in rows), self._shelf.files.get(self._shelf.own), self._shelf.files.values()
        )
        dropped = [loss_of(self._shelf.own, destination, row) for destination, row in gone]
        kept: list[int | None] = [None] * len(rows)
        try:
            if rows and fits:
                kept = list(self._keep(rows))
            elif self._unburied:
                self._keep(())
        finally:
            self._note_settled()
        return Committed(self._shelf.own, kept, dropped, Usage(self._room.used, self._shelf.quarantined, self._buried))

    def _keep(self, rows: Sequence[NewRow]) -> list[int]:
        """Commit to the own file; if that fails once, remedy it and try again."""
        try:
            return self._commit_own(rows)
        except (sqlite3.Error, OSError) as error:
            self._remedy(error)
        try:
            return self._commit_own(rows)
        except (sqlite3.Error, OSError) as error:
            self._remedy(error)
            raise SpoolError(name_of(error)) from error

    def _commit_own(self, rows: Sequence[NewRow]) -> list[int]:
        own = self._shelf.own_file()
        if rows and not self._room.has_ballast(own.claim):
            with suppress(sqlite3.Error):
                own.shrink()
            if not self._room.has_ballast(own.claim):
                raise SpoolError(DISK_FULL)
        ids = own.commit(rows, self._unburied, self._quota.dead_bytes)
        self._unburied.clear()
        return ids

    def _remedy(self, error: sqlite3.Error | OSError) -> None:
        """Make the next attempt likelier: give up the ballast of a full disk, the file of a failing one.

        After a failed fsync nobody knows what is on disk: the data is written once more, to another file, and what
        the failed one has is read from disk again.
        """
        file = self._shelf.files.get(self._shelf.own)
        if file is None:
            return
        if is_full(error):
            self._room.drop_ballast(file.claim)
            self._note_settled()
            with suppress(sqlite3.Error):
                file.shrink()
        else:
            self._shelf.retire()

    def _note_settled(self) -> None:
        """Tell each file what became of its blocks, once dead letters are safe; one that is empty then is deleted."""
        for number, file in list(self._shelf.files.items()):
            if self._unburied or not file.owes:
                continue
            with suppress(sqlite3.Error):  # it stays owed
                self._note_in(file)
                if number != self._shelf.own and file.is_empty():
                    self._shelf.close(number).delete()

    def _note_in(self, file: OpenFile) -> None:
        try:
            file.commit()
        except sqlite3.Error:
            self._room.drop_ballast(file.claim)
            file.note_bit_by_bit()

    # --- reading ----------------------------------------------------------------------------------------------

    def read(self, file: int, destination: str, after: int, max_bytes: int) -> Sequence[StoredBlock]:
        """Give the next blocks of a destination. What is damaged is set aside, counted, and never given.

        Raises:
            SpoolError: It cannot be read now.
        """
        while (known := self._shelf.files.get(file)) is not None:
            try:
                rows = known.database.read(destination, after, max_bytes)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise SpoolError(name_of(error)) from error
                self._shelf.set_aside(self._shelf.close(file))
                return ()
            good = list(self._good(known, destination, rows))
            if good or not rows:
                return good
            after = rows[-1].id
        return ()

    def _good(self, file: OpenFile, destination: str, rows: Sequence[Row]) -> Iterator[StoredBlock]:
        for row in rows:
            try:
                yield StoredBlock(row.id, row.done, block_of(destination, row.body))
            except BlockError:
                self._shelf.set_aside_block(file, row)
                file.owe(Settled((row.id,)))

    # --- files of processes that are gone ---------------------------------------------------------------------

    def adopt(self, destinations: Sequence[str]) -> Sequence[Adopted]:
        """Take over what processes that are gone have left; files with nothing for us are left to others."""
        for number, file in list(self._shelf.files.items()):
            with suppress(sqlite3.Error):
                file.shrink()
            if number != self._shelf.own:
                self._take_in(number, file, destinations)
        ownership.tidy(self._quota.folder)
        mine = {file.claim.path for file in self._shelf.files.values()}
        adopted: list[Adopted] = []
        for path in ownership.found(self._quota.folder):
            with suppress(OSError):
                if path not in mine and self._not_ours.get(path) != path.stat().st_mtime_ns:
                    adopted += self._open(path, destinations)
        return adopted

    def _open(self, path: Path, destinations: Sequence[str]) -> list[Adopted]:
        """Open a file, if its process is gone."""
        claim = ownership.take(path)
        if claim is None:
            return []
        if not path.exists():
            claim.delete()
            return []
        try:
            database = open_file(claim)
        except DamagedError:
            self._shelf.set_aside(claim)
            return []
        except UnknownVersionError:
            self._leave(claim)
            return []
        if database is None:
            claim.release()
            return []
        file = OpenFile(claim, database)
        number = self._shelf.add(file)
        wanted = self._take_in(number, file, destinations)
        return [Adopted(number, *file.waiting(wanted))] if wanted else []

    def _take_in(self, number: int, file: OpenFile, destinations: Sequence[str]) -> Sequence[str]:
        """Take the dead letters of another process's file, and keep it open if it has events for us; say for whom."""
        wanted: Sequence[str] = ()
        try:
            self._take_dead_letters(file.database)
            # Where there are none for one of them, all of the file is looked through.
            asked = destinations if file.wanted is None else file.wanted
            wanted = file.wanted = [name for name in asked if file.database.has(name)]
            is_empty = file.database.is_empty
        except SpoolError:
            self._shelf.close(number).release()
        except sqlite3.Error as error:
            claim = self._shelf.close(number)
            if is_damage(error):
                self._shelf.set_aside(claim)
            else:
                claim.release()
        else:
            if is_empty:
                self._shelf.close(number).delete()
            elif not wanted:
                self._leave(self._shelf.close(number))
        return wanted

    def _take_dead_letters(self, database: Database) -> None:
        letters = database.dead()
        if not letters:
            return
        self._unburied += letters
        try:
            self._keep(())
        except SpoolError:
            del self._unburied[-len(letters) :]  # they are still where they were
            raise
        database.forget_dead()

    def _leave(self, claim: ownership.FileLock) -> None:
        with suppress(OSError):
            self._not_ours[claim.path] = claim.path.stat().st_mtime_ns
        claim.release()

    # --- the end ----------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Do a little of what nobody waits for."""
        for number, file in self._shelf.files.items():
            file.tidy(gives_back=number == self._shelf.own)

    def close(self) -> None:
        """Delete what is empty, and leave the rest to whoever comes."""
        self._note_settled()
        self._shelf.save()
        for number, file in list(self._shelf.files.items()):
            self._room.drop_ballast(file.claim)
            is_empty = file.is_empty()
            claim = self._shelf.close(number)
            if is_empty:
                claim.delete()
            else:
                claim.release()
