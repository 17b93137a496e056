"""Where damaged things go: out of the way, whole, for a person to look at."""

import os
from contextlib import suppress
from pathlib import Path

from asyncsdk.stores.sqlite.file_lock import FileLock, companions
from asyncsdk.stores.sqlite.rows import Row

FOLDER = "quarantine"
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def set_aside_block(folder: Path, path: Path, row: Row) -> None:
    """Copy a damaged block of the file `path`; without room for that, it is only counted."""
    with suppress(OSError):
        target = _place(folder) / f"{path.stem}-{row.id}.block"
        with os.fdopen(os.open(target, _NEW, _FILE_MODE), "wb") as file:
            file.write(row.body)


def set_aside_file(folder: Path, claim: FileLock) -> None:
    """Move a damaged file out of the way, with what SQLite keeps beside it."""
    with suppress(OSError):
        target = _place(folder)
        for path in (claim.path, *companions(claim.path)):
            with suppress(FileNotFoundError):
                path.rename(target / path.name)
    if claim.path.exists():  # it could not be moved; nobody should try again and again
        claim.release()
    else:
        claim.delete()


def _place(folder: Path) -> Path:
    place = folder / FOLDER
    place.mkdir(_FOLDER_MODE, exist_ok=True)
    return place
