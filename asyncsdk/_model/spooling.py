"""The interface between a client and its spool: two protocols, and the values that they exchange.

`Spool` is the user's settings. The client calls `open` and passes what it returns, a `SpoolFiles`, to one thread, which
makes all further calls: `adopt` at the start and every 30 s, `commit` for each group of events, `read` when a lane has
space, `tidy` after each of these, `close` at the end.

Words. A *record* is an event (or a bundle of exposures), encoded for one destination. A *block* is the records that one
commit stores for one destination. A record is *settled* when its outcome is known: delivered, or given up. The *settled
positions* of a block are an integer with a bit per record: 0b101 means that its first and third records are settled.

A block's life:

1. `commit` stores it. From then on its events survive a crash.
2. Later commits receive `Settled.progress` for it, while some of its records are settled.
3. A later commit receives it in `Settled.finished`, and deletes it.

If the process ends before 3, another process adopts the file and `read` returns the block with its settled positions.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from asyncsdk._model.blocks import Block
from asyncsdk._model.receipts import Record


class SpoolError(Exception):
    """A commit stored no block, or a read failed; the text is the reason in a few words, without any path."""


@attrs.frozen(eq=False, repr=False)
class NewBlock:
    """Records of one destination, to be stored together.

    Attributes:
        destination: Its label. Events are only ever sent to the destination with the same label.
        records: In the order in which they were accepted.
    """

    destination: str
    records: Sequence[Record]


@attrs.frozen(eq=False, repr=False)
class Settled:
    """Which records of one file are settled.

    Attributes:
        finished: Blocks of which every record is settled; they can be deleted.
        progress: Other blocks, each with its settled positions.
    """

    finished: Sequence[int] = ()
    progress: Sequence[tuple[int, int]] = ()


@attrs.frozen(eq=False, repr=False)
class DeadLetters:
    """Records that were given up, to be kept for a person to examine.

    Attributes:
        destination: Label of the destination that did not get them.
        records: In the order in which they were accepted.
        status: Their outcome, such as `rejected` or `dropped`.
        reason: Why, in a few words.
    """

    destination: str
    records: Sequence[Record]
    status: str
    reason: str


@attrs.frozen(eq=False, repr=False)
class Dropped:
    """A block that was deleted to make space for newer ones.

    Attributes:
        file: Number of its file.
        row: Id of the block.
        destination: Label of its destination.
        events: Number of its events that were not settled; 0 if it was damaged.
        exposures: Number of its exposures that were not settled; 0 if it was damaged.
    """

    file: int
    row: int
    destination: str
    events: int
    exposures: int = 0


@attrs.frozen(eq=False, repr=False)
class Usage:
    """The size of a spool.

    Attributes:
        bytes: Size of all files of the folder, including those of other processes.
        quarantined: Number of damaged blocks and files that this process has quarantined.
        dead_letters: Number of events that this process has given up.
        unclaimed: Number of events in the files of ended processes for destinations that this client does not have, by
            label.
    """

    bytes: int = 0
    quarantined: int = 0
    dead_letters: int = 0
    unclaimed: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen(eq=False, repr=False)
class Committed:
    """The result of a commit.

    Attributes:
        file: Number of the file that has the new blocks.
        rows: Id of each new block; None for a block of which no record was stored, because the spool is full.
        dropped: Blocks that were deleted to make space.
        usage: The size of the spool now.
        cut: For each new block that did not fit, but whose first records did: its position, and their number.
    """

    file: int
    rows: Sequence[int | None]
    dropped: Sequence[Dropped] = ()
    usage: Usage = attrs.field(factory=Usage)
    cut: Mapping[int, int] = attrs.field(factory=dict)

    def stored(self, number: int, records: int) -> int:
        """Return how many of the records of a new block are stored; they are its first ones."""
        return 0 if self.rows[number] is None else self.cut.get(number, records)


@attrs.frozen(eq=False, repr=False)
class StoredBlock:
    """A block that was read.

    Attributes:
        row: Its id.
        done: Its settled positions.
        block: Its content.
    """

    row: int
    done: int
    block: Block


@attrs.frozen(eq=False, repr=False)
class Adopted:
    """A file that was taken over from a process that has ended.

    Attributes:
        file: Its number from now on.
        destinations: Those of the requested destinations that have events in it, each with the number of its events,
            or 0 if that cannot be determined.
        is_exact: Whether the events were counted; otherwise the numbers are estimates.
    """

    file: int
    destinations: Mapping[str, int]
    is_exact: bool = True

    def __str__(self) -> str:
        about = "" if self.is_exact else "about "
        return ", ".join(f"{name} {about}{events:,}" for name, events in self.destinations.items())


class SpoolFiles(Protocol):
    """The files of a spool. One thread makes all calls.

    New blocks go to a file of this process. Files of processes that have ended are adopted, read, and deleted when they
    are empty. Each open file has a number, which is not used again for another file.
    """

    def commit(
        self, blocks: Sequence[NewBlock], settled: Mapping[int, Settled], dead: Sequence[DeadLetters], now_ms: int
    ) -> Committed:
        """Store blocks, settlements and dead letters. New blocks that are reported as stored are on disk.

        Args:
            blocks: New blocks; may be empty.
            settled: Settled records of earlier blocks, by the number of their file.
            dead: Records that were given up. They are among those in `settled`, too.
            now_ms: The time, in milliseconds since 1970.

        Raises:
            SpoolError: No new block was stored. The caller passes settlements and dead letters only once: those that
                could not be stored are to be stored by a later commit.
        """
        ...

    def read(self, file: int, destination: str, after: int, max_bytes: int) -> Sequence[StoredBlock]:
        """Return the blocks of a destination that follow block `after`: at least one, if there is one.

        Args:
            file: Number of the file.
            destination: Label of the destination.
            after: Id of the block that was read last; 0 to start with the oldest.
            max_bytes: Size at which to stop; the last block may exceed it.

        Raises:
            SpoolError: They cannot be read now.
        """
        ...

    def adopt(self, destinations: Sequence[str]) -> Sequence[Adopted]:
        """Take over files of processes that have ended, if they have events for one of these destinations.

        Args:
            destinations: Labels of the client's destinations.

        Returns:
            The files that were adopted by this call.
        """
        ...

    def tidy(self) -> None:
        """Run one slice of background maintenance. Called after each of the other methods, while no caller waits."""
        ...

    def close(self) -> None:
        """Delete empty files, and leave the others to the next process."""
        ...
