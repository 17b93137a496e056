"""The files of a spool as the client's spool thread uses them: `SqliteFiles`, which satisfies `SpoolFiles`.

Each process writes new blocks to a file of its own, and drains files that it adopts from processes that have ended.

Invariants:

1. One thread calls everything here; only `__repr__` may be called from others.
2. When `commit` returns, the blocks that it reports are on disk.
3. An acknowledgement is stored together with the dead letters of its commit, or after them, never before. A record
   that was given up stays a waiting record until it is a dead letter: a crash in between may send it once more, but
   cannot lose it.
4. Dead letters of an adopted file are erased there only after they are stored in this process's file.
5. What is damaged is quarantined and counted, and never delivered.

What `adopt` does with a file that it finds (comments in the code refer to these numbers): cases 1 to 6 are those of
`candidates`, which opens it. Then:

7. It is empty: delete it.
8. It has nothing for our destinations: skip it until it changes.
9. Otherwise: keep it open and report its events.

Files that are open are checked again at each call, because draining turns case 9 into case 7 or 8.

Example: process A commits 3 events and is killed. Process B calls `adopt(["Amplitude"])`, gets file number 1 with 3
events, reads them, and commits `{1: Settled(finished=[1])}` after delivery, which empties the file: it is deleted.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from asyncsdk._model.blocks import BlockError, pack_block
from asyncsdk._model.spooling import Adopted, Committed, DeadLetters, NewBlock, Settled, SpoolError, StoredBlock, Usage
from asyncsdk.stores.sqlite import file_lock
from asyncsdk.stores.sqlite.candidates import Candidates
from asyncsdk.stores.sqlite.database import Database
from asyncsdk.stores.sqlite.disk_space import DiskSpace
from asyncsdk.stores.sqlite.identity import list_databases
from asyncsdk.stores.sqlite.open_file import (
    DISK_FULL,
    OpenFile,
    count_dropped,
    describe_error,
    is_damage,
    is_disk_full,
    unpack_for,
)
from asyncsdk.stores.sqlite.open_files import OpenFiles
from asyncsdk.stores.sqlite.quota import Quota
from asyncsdk.stores.sqlite.rows import DeadRow, NewRow, Row
from asyncsdk.stores.sqlite.shares import Victim
from asyncsdk.stores.sqlite.unclaimed import UnclaimedEvents


class _Plan(NamedTuple):
    """What of the blocks of a commit is stored, if not all of them fit.

    Attributes:
        rows: What to store.
        positions: The position of each among the blocks.
        victims: What to delete for them.
        cut: For each row that is only the beginning of its block: its position, and its number of records.
    """

    rows: list[NewRow]
    positions: list[int]
    victims: Sequence[Victim]
    cut: dict[int, int]


class SqliteFiles:
    """The files of a spool; opens nothing before the first call."""

    def __init__(self, quota: Quota) -> None:
        """Take the quota; the first call opens files."""
        self._quota = quota
        self._open_files = OpenFiles(quota.folder)
        self._disk_space = DiskSpace(quota)
        self._pending_dead_letters: list[DeadRow] = []
        self._dead_letter_count = 0
        self._unclaimed = UnclaimedEvents(quota)
        self._candidates = Candidates(self._open_files)

    def __repr__(self) -> str:
        open_files, pending = len(self._open_files.by_number), len(self._pending_dead_letters)
        return (
            f"<SqliteFiles: {open_files} open, {pending} dead letters to store, {self._disk_space.used:,} bytes used>"
        )

    # --- committing -------------------------------------------------------------------------------------------

    def commit(
        self, blocks: Sequence[NewBlock], settled: Mapping[int, Settled], dead: Sequence[DeadLetters], now_ms: int
    ) -> Committed:
        """Satisfy `SpoolFiles.commit` with one transaction per file: one for most commits."""
        files = self._open_files
        self._unclaimed.now_ms = now_ms
        # 1. Queue acknowledgements and dead letters: if the commit fails, a later one stores them.
        for number in settled.keys() & files.by_number.keys():
            files.by_number[number].queue_acks(settled[number])
        for letters in dead:
            body, count = bytes(pack_block(letters.destination, now_ms, letters.records)), len(letters.records)
            self._pending_dead_letters.append(DeadRow(letters.destination, count, letters.status, letters.reason, body))
            self._dead_letter_count += count
        # 2. Find out which of the new blocks fit; old ones may be deleted to make room.
        rows = [
            NewRow(new.destination, len(new.records), pack_block(new.destination, now_ms, new.records))
            for new in blocks
        ]
        plan = None
        if rows:
            plan = self._fit(blocks, rows, now_ms)
        else:
            self._examine_adopted()  # no caller waits for a commit without blocks
        fitting, victims = (rows, ()) if plan is None else (plan.rows, plan.victims)
        # 3. Commit to this process's file, then acknowledge in the others, even if the commit has failed.
        ids: list[int] = []
        try:
            if fitting:
                ids = self._commit_with_retry(fitting, victims)
                if victims:
                    self._drop_from_others(victims)
            elif self._pending_dead_letters:
                self._commit_with_retry(())
        finally:
            self._commit_acks()
        if victims:
            self._shrink_others(victims)
        usage = Usage(
            self._disk_space.used + self._disk_space.unclaimed,
            files.quarantined,
            self._dead_letter_count + self._unclaimed.expired,
            self._unclaimed.events,
        )
        if plan is None:
            return Committed(files.own, ids, (), usage)
        by_position = dict(zip(plan.positions, ids, strict=True))
        stored = [by_position.get(position) for position in range(len(rows))]
        return Committed(files.own, stored, list(map(count_dropped, victims)), usage, plan.cut)

    def _fit(self, blocks: Sequence[NewBlock], rows: Sequence[NewRow], now_ms: int) -> _Plan | None:
        """Return what of the blocks to store, and what to delete for them; None if all of them fit."""
        own = self._open_files.by_number.get(self._open_files.own)
        allocation = self._disk_space.allocate(rows, own, self._open_files.by_number)
        if allocation is None:
            return None
        plan = _Plan([], [], allocation.victims, {})
        for position, (new, row) in enumerate(zip(blocks, rows, strict=True)):
            room = allocation.room_for(row.destination, len(row.body))
            fits = row if room == len(row.body) else _cut(new, row, room, now_ms)
            if fits is not None:
                allocation.store(fits.destination, len(fits.body))
                plan.rows.append(fits)
                plan.positions.append(position)
                if fits is not row:
                    plan.cut[position] = fits.events
        return plan

    def _commit_with_retry(self, rows: Sequence[NewRow], victims: Sequence[Victim] = ()) -> list[int]:
        """Commit to this process's file; after an error, recover from it and try once more."""
        try:
            return self._commit_own(rows, victims)
        except (sqlite3.Error, OSError) as error:
            self._recover(error)
        try:
            return self._commit_own(rows, victims)
        except (sqlite3.Error, OSError) as error:
            self._recover(error)
            raise SpoolError(describe_error(error)) from error

    def _commit_own(self, rows: Sequence[NewRow], victims: Sequence[Victim]) -> list[int]:
        own = self._open_files.own_file()
        if rows and not self._disk_space.ensure_ballast(own.lock):
            with suppress(sqlite3.Error):
                own.shrink()
            if not self._disk_space.ensure_ballast(own.lock):
                raise SpoolError(DISK_FULL)
        if victims:
            dropped = {victim.row: victim.destination for victim in victims if victim.file == self._open_files.own}
            ids = own.commit(rows, self._pending_dead_letters, self._quota.dead_bytes, dropped)
        else:
            ids = own.commit(rows, self._pending_dead_letters, self._quota.dead_bytes)
        self._pending_dead_letters.clear()
        return ids

    def _shrink_others(self, victims: Sequence[Victim]) -> None:
        """Return the space of deleted blocks to the file system: the new blocks are in another file."""
        for number in {victim.file for victim in victims} - {self._open_files.own}:
            if (file := self._open_files.by_number.get(number)) is not None:
                with suppress(sqlite3.Error):
                    file.shrink(min_pages=1)

    def _drop_from_others(self, victims: Sequence[Victim]) -> None:
        """Delete blocks of adopted files; called after the commit, because that may fail."""
        for victim in victims:
            file = self._open_files.by_number.get(victim.file)
            if victim.file != self._open_files.own and file is not None:
                file.drop(victim)

    def _recover(self, error: sqlite3.Error | OSError) -> None:
        """Improve the chances of the next attempt.

        1. The disk is full: give up the ballast, which is enough to delete settled blocks and to shrink the file.
        2. Anything else, such as a failed fsync: what is on disk is unknown, and a second fsync may report success
           without having written. The next attempt writes to a new file, and the failed one is read from disk again.
        """
        own = self._open_files.by_number.get(self._open_files.own)
        if own is None:
            return
        if is_disk_full(error):
            self._disk_space.drop_ballast(own.lock)
            self._commit_acks()
            with suppress(sqlite3.Error):
                own.shrink()
        else:
            self._open_files.retire()

    def _commit_acks(self) -> None:
        """Store the pending acknowledgements of every file, and delete adopted files that this empties."""
        for number, file in list(self._open_files.by_number.items()):
            if self._pending_dead_letters or not file.has_pending_acks:
                continue
            with suppress(sqlite3.Error):  # they stay pending
                self._commit_acks_of(file)
                if number != self._open_files.own and file.is_empty():
                    self._open_files.close(number).delete()

    def _commit_acks_of(self, file: OpenFile) -> None:
        try:
            file.commit()
        except sqlite3.Error:
            # The usual cause is a full disk: the ballast gives enough space for small transactions.
            self._disk_space.drop_ballast(file.lock)
            file.commit_acks_in_steps()

    # --- reading ----------------------------------------------------------------------------------------------

    def read(self, file: int, destination: str, after: int, max_bytes: int) -> Sequence[StoredBlock]:
        """Satisfy `SpoolFiles.read`; damaged blocks are quarantined and skipped."""
        while (opened := self._open_files.by_number.get(file)) is not None:
            try:
                rows = opened.database.read(destination, after, max_bytes)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise SpoolError(describe_error(error)) from error
                self._open_files.quarantine(self._open_files.close(file))
                return ()
            intact = list(self._intact_blocks(opened, destination, rows))
            # An empty result would mean that there are no more blocks: if all of these are damaged, read on.
            if intact or not rows:
                return intact
            after = rows[-1].id
        return ()

    def _intact_blocks(self, file: OpenFile, destination: str, rows: Sequence[Row]) -> Iterator[StoredBlock]:
        for row in rows:
            try:
                yield StoredBlock(row.id, row.done, unpack_for(destination, row.body))
            except BlockError:
                self._open_files.quarantine_block(file, row)
                file.queue_acks(Settled((row.id,)))

    # --- adopting ---------------------------------------------------------------------------------------------

    def adopt(self, destinations: Sequence[str]) -> Sequence[Adopted]:
        """Satisfy `SpoolFiles.adopt`; files that were adopted earlier are checked again."""
        self._disk_space.destinations.update(destinations)
        for number, file in list(self._open_files.by_number.items()):
            with suppress(sqlite3.Error):
                file.shrink()
            if number != self._open_files.own:
                self._check_adopted(number, file, destinations)
        file_lock.delete_orphans(self._quota.folder)
        ours = {file.lock.path for file in self._open_files.by_number.values()}
        adopted: list[Adopted] = []
        paths = list_databases(self._quota.folder)
        for path in paths:
            if path not in ours and (self._candidates.has_changed(path) or self._unclaimed.is_due(path)):
                self._unclaimed.forget(path)
                adopted += self._adopt_file(path, destinations)
        self._unclaimed.forget_others(paths)
        self._disk_space.unclaimed = self._unclaimed.bytes
        return adopted

    def _adopt_file(self, path: Path, destinations: Sequence[str]) -> list[Adopted]:
        """Adopt one file, if its process has ended; the cases are those of this module's docstring."""
        file = self._candidates.open(path)
        if file is None:  # 1 to 6
            return []
        number = self._open_files.add(file)
        wanted = self._check_adopted(number, file, destinations)
        return [Adopted(number, *file.count_waiting(wanted))] if wanted else []

    def _check_adopted(self, number: int, file: OpenFile, destinations: Sequence[str]) -> Sequence[str]:
        """Move the dead letters of an adopted file, and close it if it has no events for us.

        Returns:
            The destinations that the file has events for.
        """
        wanted: Sequence[str] = ()
        try:
            # Only destinations that had blocks before: for any other one, the query would scan the whole file.
            is_new = file.destinations is None
            candidates = destinations if file.destinations is None else file.destinations
            wanted = file.destinations = [name for name in candidates if file.database.has_blocks_for(name)]
            if not (is_new and wanted):  # otherwise the first delivery would wait for it
                self._examine(file)
            self._move_dead_letters(file.database)
            is_empty = file.database.is_empty
        except SpoolError:  # 6: its dead letters cannot be stored now
            wanted = ()
            self._open_files.close(number).release()
        except sqlite3.Error as error:
            wanted = ()
            lock = self._open_files.close(number)
            if is_damage(error):  # 5
                self._open_files.quarantine(lock)
            else:  # 6
                lock.release()
        else:
            if is_empty:  # 7
                self._open_files.close(number).delete()
            elif not wanted:  # 8
                lock = self._open_files.close(number)
                self._unclaimed.include_file(lock.path)
                self._candidates.skip(lock.path)
                lock.release()
        return wanted

    def _examine(self, file: OpenFile) -> None:
        """Count what an adopted file has for destinations that are not the client's."""
        self._unclaimed.examine(file, self._disk_space.destinations, self._open_files.quarantine_block)
        self._disk_space.unclaimed = self._unclaimed.bytes

    def _examine_adopted(self) -> None:
        """Examine open files for the first time, and again all files whose events have become too old."""
        for path in self._unclaimed.due:
            with suppress(OSError):
                self._adopt_file(path, ())
        for number, file in self._open_files.by_number.items():
            with suppress(sqlite3.Error):
                if number != self._open_files.own and file.destinations is not None:
                    self._examine(file)

    def _move_dead_letters(self, database: Database) -> None:
        letters = database.dead_letters()
        if not letters:
            return
        self._pending_dead_letters += letters
        try:
            self._commit_with_retry(())
        except SpoolError:
            del self._pending_dead_letters[-len(letters) :]  # they are still in the adopted file
            raise
        database.erase_dead_letters()

    # --- maintenance and closing ------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Run one slice of background maintenance."""
        for number, file in self._open_files.by_number.items():
            file.tidy(self._quota.checkpoint_bytes, should_shrink=number == self._open_files.own)

    def close(self) -> None:
        """Store pending acknowledgements, delete empty files, and leave the others to the next process."""
        self._commit_acks()
        self._open_files.copy_deleted()
        for number, file in list(self._open_files.by_number.items()):
            self._disk_space.drop_ballast(file.lock)
            is_empty = file.is_empty()
            lock = self._open_files.close(number)
            if is_empty:
                lock.delete()
            else:
                lock.release()


def _cut(new: NewBlock, row: NewRow, room: int, now_ms: int) -> NewRow | None:
    """Return a block of the first records that fit into `room` bytes; None if the first one does not."""
    number = len(new.records) * room // len(row.body)
    while number:
        body = pack_block(new.destination, now_ms, new.records[:number])
        if len(body) <= room:
            return NewRow(new.destination, number, body)
        number = number * 3 // 4
    return None
