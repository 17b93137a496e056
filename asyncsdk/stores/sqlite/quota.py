"""What the files of a spool may take from the disk."""

from pathlib import Path

import attrs


@attrs.frozen
class Quota:
    """The limits of one spool folder, in bytes.

    `SqliteSpool.open()` makes one from the user's settings, so that the files need to know nothing of them.

    Attributes:
        folder: Where the files are; created when it is first needed.
        max_bytes: Maximum size of all databases of the folder together.
        keep_free: Free bytes of the disk to leave to other programs.
        drops_oldest: Whether a full spool deletes its oldest blocks for new ones; if not, it refuses the new ones.
        dead_bytes: Maximum size of the dead letters that one file keeps.
    """

    folder: Path
    max_bytes: int
    keep_free: int
    drops_oldest: bool
    dead_bytes: int
