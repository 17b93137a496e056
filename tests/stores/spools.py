"""What the tests of the spool have in common."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

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
    """The files of a spool as a process has them; `die` lets go of the locks and writes nothing more."""

    living: ClassVar[list["Process"]] = []

    def __init__(self, folder: Path, **settings: Any) -> None:
        files = spool(folder, **settings).open()
        assert isinstance(files, SqliteFiles)
        self.files = files
        self.living.append(self)

    def keep(self, *blocks: NewBlock, dead: Sequence[DeadLetters] = ()) -> Committed:
        committed = self.files.commit(blocks, {}, dead, NOW)
        self.files.tidy()
        return committed

    def settle(self, file: int, *finished: int, progress: Mapping[int, int] | None = None) -> None:
        self.files.commit((), {file: Settled(finished, tuple((progress or {}).items()))}, (), NOW)
        self.files.tidy()

    def bury(self, *letters: DeadLetters) -> None:
        self.files.commit((), {}, letters, NOW)

    def adopt(self, *destinations: str) -> list[Adopted]:
        return list(self.files.adopt(destinations or ("Amplitude",)))

    def read(self, file: int, destination: str = "Amplitude", after: int = 0, most: int = 10**9) -> list[str]:
        """Give the ids that are read and not settled."""
        return [
            kept.id
            for stored in self.files.read(file, destination, after, most)
            for position, kept in enumerate(stored.block.records)
            if not stored.done >> position & 1
        ]

    def find(self, destination: str = "Amplitude") -> list[str]:
        """Take over all there is, and read it."""
        return [name for adopted in self.adopt(destination) for name in self.read(adopted.file, destination)]

    def die(self) -> None:
        for file in self.files._open_files.by_number.values():
            file.close().release()
        self.files._open_files.by_number.clear()

    @classmethod
    def end_all(cls) -> None:
        """Close what a test has left open."""
        while cls.living:
            cls.living.pop().die()
