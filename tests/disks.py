"""A disk that is soon full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path | None]:
    """Mount a disk in memory at a folder, which is created; yield None where mounting is not permitted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


class Ballast:
    """A file that takes the room of a disk.

    Args:
        disk: The disk.
        leaves: Bytes that it leaves free.
    """

    def __init__(self, disk: Path, leaves: int = 0) -> None:
        self._disk, self._leaves = disk, leaves
        self._file = disk / "ballast"

    def add(self) -> None:
        """Take the room."""
        free = os.statvfs(self._disk)
        size = free.f_bavail * free.f_frsize - self._leaves
        with self._file.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, size))

    def remove(self) -> None:
        """Make room again."""
        self._file.unlink()
