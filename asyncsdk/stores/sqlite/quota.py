"""The limits of a spool folder, as its files need to know them."""

from pathlib import Path

import attrs

from asyncsdk._model.values import Value


@attrs.frozen(eq=False, repr=False)
class Quota(Value):
    """How much of the disk one spool folder may use; `SqliteSpool.open()` derives it from the user's settings.

    Attributes:
        folder: The folder of the files; created when it is first needed.
        max_bytes: Maximum size of all databases in the folder together, in bytes.
        keep_free: Bytes of the disk to leave to other programs.
        drops_oldest: Whether a full spool deletes its oldest blocks to make space; if not, it refuses new ones.
        dead_bytes: Maximum size of the dead letters in one file, in bytes.
        max_age: Maximum time for which an event waits, in seconds.
        checkpoint_bytes: Size of the WAL from which the background checkpoints it: well before SQLite would do it
            inside a commit.
    """

    folder: Path
    max_bytes: int
    keep_free: int
    drops_oldest: bool
    dead_bytes: int
    max_age: float = float("inf")
    checkpoint_bytes: int = 2 * 1024 * 1024
