"""Helpers for tests of the spool."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs

from asyncsdk._model.receipts import Record
from asyncsdk._model.spooling import Adopted, Committed, DeadLetters, NewBlock, Settled
from asyncsdk.stores import SqliteSpool
from asyncsdk.stores.sqlite.files import SqliteFiles

NOW = 1_700_000_000_000


def records(*ids: str, size: int = 0) -> list[Record]:
    return [Record("user", name, b"{" + b"x" * size, 0.0) for name in ids]


def block(*ids: str, destination: str = "Amplitude", size: int = 0) -> NewBlock:
    return NewBlock(destination, records(*ids, size=size))


def dead(*ids: str, size: int = 0) -> DeadLetters:
    return DeadLetters("Amplitude", records(*ids, size=size), "rejected", "status 400")


def spool(folder: Path, **settings: Any) -> SqliteSpool:
    return SqliteSpool(folder / "spool", keep_free=settings.pop("keep_free", 0), **settings)


class Process:
    """The spool files of a process. `kill` releases its locks without writing anything more."""

    running: ClassVar[list["Process"]] = []

    def __init__(self, folder: Path, *, checkpoint_bytes: int | None = None, **settings: Any) -> None:
        files = spool(folder, **settings).open()
        assert isinstance(files, SqliteFiles)
        if checkpoint_bytes is not None:
            files = SqliteFiles(attrs.evolve(files._quota, checkpoint_bytes=checkpoint_bytes))
        self.files = files
        self.running.append(self)

    def store(self, *blocks: NewBlock, dead: Sequence[DeadLetters] = ()) -> Committed:
        committed = self.files.commit(blocks, {}, dead, NOW)
        self.files.tidy()
        return committed

    def settle(self, file: int, *finished: int, progress: Mapping[int, int] | None = None) -> None:
        self.files.commit((), {file: Settled(finished, tuple((progress or {}).items()))}, (), NOW)
        self.files.tidy()

    def give_up(self, *letters: DeadLetters) -> None:
        self.files.commit((), {}, letters, NOW)

    def adopt(self, *destinations: str) -> list[Adopted]:
        return list(self.files.adopt(destinations or ("Amplitude",)))

    def read(self, file: int, destination: str = "Amplitude", after: int = 0, max_bytes: int = 10**9) -> list[str]:
        """Return the ids of the unsettled records in the next blocks."""
        return [
            stored.id
            for found in self.files.read(file, destination, after, max_bytes)
            for position, stored in enumerate(found.block.records)
            if not found.done >> position & 1
        ]

    def adopt_and_read(self, destination: str = "Amplitude") -> list[str]:
        """Adopt all files, and return the ids of their unsettled records."""
        return [name for adopted in self.adopt(destination) for name in self.read(adopted.file, destination)]

    def kill(self) -> None:
        for file in self.files._open_files.by_number.values():
            file.close().release()
        self.files._open_files.by_number.clear()

    @classmethod
    def kill_all(cls) -> None:
        """Kill the processes that a test has left running."""
        while cls.running:
            cls.running.pop().kill()
