"""The folder `quarantine`: damaged blocks and files, kept whole for a person to examine, and never read again.

A damaged block is copied (its row is deleted later, like that of a settled block). A damaged file is moved, together
with what SQLite keeps beside it. Neither may fail: if the disk has no space for a copy, the damage is only counted.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from asyncsdk.stores.sqlite.file_lock import FileLock, companions
from asyncsdk.stores.sqlite.rows import Row

FOLDER = "quarantine"
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def quarantine_block(folder: Path, path: Path, row: Row) -> None:
    """Copy a damaged block of the database `path` to the quarantine of the spool in `folder`."""
    with suppress(OSError):
        target = _make_folder(folder) / f"{path.stem}-{row.id}.block"
        with os.fdopen(os.open(target, _CREATE, _FILE_MODE), "wb") as file:
            file.write(row.body)


def quarantine_file(folder: Path, lock: FileLock) -> None:
    """Move a damaged database to the quarantine of the spool in `folder`, and release its lock."""
    with suppress(OSError):
        target = _make_folder(folder)
        for path in () if lock.is_replaced else (lock.path, *companions(lock.path)):
            if not os.path.lexists(target / path.name):
                with suppress(FileNotFoundError):
                    path.rename(target / path.name)
    if os.path.lexists(lock.path):
        # It could not be moved, and `delete` would destroy it.
        lock.release()
    else:
        lock.delete()


def _make_folder(folder: Path) -> Path:
    quarantine = folder / FOLDER
    quarantine.mkdir(_FOLDER_MODE, exist_ok=True)
    if quarantine.is_symlink():
        raise FileExistsError(errno.EEXIST, "a link", str(quarantine))
    return quarantine
