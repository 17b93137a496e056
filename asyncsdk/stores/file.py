"""Stores in a folder of this machine. Files appear whole or not at all, and only their owner may read them."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import orjson

from asyncsdk._threads import in_thread

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


@attrs.frozen
class FileCache:
    """Keeps rules in a folder, a file each, for the next start.

    Several processes may share the folder; who writes last wins.

    Attributes:
        folder: Made when it is first needed, for its owner only.
    """

    folder: Path = attrs.field(converter=Path)

    async def load(self, key: str) -> bytes | None:
        """Give what was saved under `key`; None when nothing was."""
        return await in_thread(lambda: _read(self._path(key)))

    async def save(self, key: str, body: bytes) -> None:
        """Replace what is kept under `key`."""
        await in_thread(lambda: _replace(self._path(key), body))

    def _path(self, key: str) -> Path:
        return self.folder / f"rules-{_file_name(key)}.json"


@attrs.frozen
class FileAssignments:
    """Keeps sticky assignments in a folder, a file per unit.

    Processes that share the folder may overwrite each other's assignments of one unit.

    Attributes:
        folder: Made when it is first needed, for its owner only.
    """

    folder: Path = attrs.field(converter=Path)
    _writing: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False, repr=False, eq=False)

    async def load(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Give a unit's assignments, by name; empty when there are none."""
        return await in_thread(lambda: _assignments(self._path(key)))

    async def save(self, key: str, name: str, assignment: Mapping[str, Any] | None) -> None:
        """Keep one assignment of a unit; None deletes it."""
        async with self._writing:
            await in_thread(lambda: _change(self._path(key), name, assignment))

    def _path(self, key: str) -> Path:
        name = _file_name(key)
        return self.folder / name[:2] / f"{name}.json"


@attrs.define(eq=False, repr=False)
class WatchedFile:
    """A file that is read again when it changes.

    Attributes:
        path: Which.
    """

    path: Path
    _seen: tuple[int, int] | None = attrs.field(default=None, init=False)

    async def news(self) -> bytes | None:
        """Give what the file has, if it changed since the last call; else None.

        Raises:
            OSError: It cannot be read.
        """
        return await in_thread(self._look)

    def _look(self) -> bytes | None:
        seen, self._seen = self._seen, None
        state = self.path.stat()
        now = (state.st_mtime_ns, state.st_size)
        body = self.path.read_bytes() if now != seen else None
        self._seen = now
        return body


def _file_name(key: str) -> str:
    """Give a name that any file system takes, and that tells nothing."""
    return sha256(key.encode("utf-8", "replace")).hexdigest()[:40]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _replace(path: Path, body: bytes) -> None:
    """Write a file beside `path`, of mode 0600, and move it there once it is on disk."""
    path.parent.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
    written = path.with_name(f".new-{uuid4().hex}")
    try:
        with os.fdopen(os.open(written, _NEW, _FILE_MODE), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
    except BaseException:
        with suppress(OSError):
            written.unlink()
        raise


def _assignments(path: Path) -> dict[str, dict[str, Any]]:
    """Read a unit's file; one that is damaged counts as empty, and is replaced by the next save."""
    try:
        found = orjson.loads(_read(path) or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _change(path: Path, name: str, assignment: Mapping[str, Any] | None) -> None:
    found = _assignments(path)
    if assignment is not None:
        found[name] = dict(assignment)
    elif found.pop(name, None) is None:
        return
    if found:
        path.parents[1].mkdir(_FOLDER_MODE, parents=True, exist_ok=True)  # a parent made along with another is open
        _replace(path, orjson.dumps(found))
    else:
        path.unlink(missing_ok=True)
