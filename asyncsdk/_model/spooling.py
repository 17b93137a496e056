"""What a client and its spool say to each other, and the seam between them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from asyncsdk._model.blocks import Block
from asyncsdk._model.receipts import Record


class SpoolError(Exception):
    """Nothing of it could be put on disk; the text is the reason in a few words."""


@attrs.frozen(eq=False, repr=False)
class NewBlock:
    """Records of one destination, to be kept together.

    Attributes:
        destination: Its label: events of one label never go to another.
        records: In the order in which they were accepted; their chunks are there.
    """

    destination: str
    records: Sequence[Record]


@attrs.frozen(eq=False, repr=False)
class Settled:
    """What became of blocks of one file.

    Attributes:
        finished: Blocks of which every record has its fate.
        progress: The others: block to its settled positions, a bit each.
    """

    finished: Sequence[int] = ()
    progress: Sequence[tuple[int, int]] = ()


@attrs.frozen(eq=False, repr=False)
class DeadLetters:
    """Records that were given up, to be kept for a person to look at.

    Attributes:
        destination: Whose they are.
        records: Which.
        status: Their fate.
        reason: Why.
    """

    destination: str
    records: Sequence[Record]
    status: str
    reason: str


@attrs.frozen(eq=False, repr=False)
class Dropped:
    """A block that was deleted to make room for newer ones.

    Attributes:
        file: Number of its file.
        row: Number of the block.
        destination: Whose it was.
        events: How many events of it had no fate.
        exposures: How many exposures of it had none.
    """

    file: int
    row: int
    destination: str
    events: int
    exposures: int = 0


@attrs.frozen(eq=False, repr=False)
class Usage:
    """What a spool takes.

    Attributes:
        bytes: Of all files of the folder, those of other processes too.
        quarantined: Damaged blocks and files that this process has set aside.
        dead_letters: Events that this process has given up.
    """

    bytes: int = 0
    quarantined: int = 0
    dead_letters: int = 0


@attrs.frozen(eq=False, repr=False)
class Committed:
    """What a commit did.

    Attributes:
        file: Number of the file that has the new blocks.
        rows: Number of each new block; None for one that found no room.
        dropped: What was deleted to make room.
        usage: What the spool takes now.
    """

    file: int
    rows: Sequence[int | None]
    dropped: Sequence[Dropped] = ()
    usage: Usage = attrs.field(factory=Usage)


@attrs.frozen(eq=False, repr=False)
class StoredBlock:
    """A block that was read.

    Attributes:
        row: Its number.
        done: Its settled positions, a bit each.
        block: What is in it.
    """

    row: int
    done: int
    block: Block


@attrs.frozen(eq=False, repr=False)
class Adopted:
    """A file of a process that is gone.

    Attributes:
        file: The number it has from now on.
        destinations: Which of those that were asked for have events in it, and how many; 0 if that cannot be known.
        is_exact: Whether they were counted.
    """

    file: int
    destinations: Mapping[str, int]
    is_exact: bool = True

    def __str__(self) -> str:
        about = "" if self.is_exact else "about "
        return ", ".join(f"{name} {about}{events:,}" for name, events in self.destinations.items())


class SpoolFiles(Protocol):
    """The files of a spool, as one thread uses them: nothing here is called from two threads.

    What is accepted goes into a file of this process; files of processes that are gone are taken over.
    """

    def commit(
        self, blocks: Sequence[NewBlock], settled: Mapping[int, Settled], dead: Sequence[DeadLetters], now_ms: int
    ) -> Committed:
        """Keep blocks and note what became of others; what is kept is on disk when this returns.

        What was settled is noted by a later commit if this one cannot.

        Raises:
            SpoolError: No block was kept.
        """
        ...

    def read(self, file: int, destination: str, after: int, max_bytes: int) -> Sequence[StoredBlock]:
        """Give the next blocks of a destination after block `after`: at least one, if there is one.

        Raises:
            SpoolError: They cannot be read now.
        """
        ...

    def adopt(self, destinations: Sequence[str]) -> Sequence[Adopted]:
        """Take over files of processes that are gone, if they have events for one of `destinations`."""
        ...

    def tidy(self) -> None:
        """Do a little of what nobody waits for; called after each of the others."""
        ...

    def close(self) -> None:
        """Delete what is empty, and leave the rest to whoever comes."""
        ...


class Spool(Protocol):
    """Where accepted events are kept until every vendor has them, as `Client(spool=...)` takes it: its settings."""

    @property
    def rejects(self) -> bool:
        """Whether a verb raises when the spool is full; otherwise its event is dropped and counted."""
        ...

    @property
    def max_age(self) -> float:
        """Longest that an event is tried, in seconds."""
        ...

    def may_have_events(self) -> bool:
        """Say, without waiting, whether a process that is gone may have left some."""
        ...

    def open(self) -> SpoolFiles:
        """Give the files, for one thread; nothing is opened before it uses them."""
        ...
