"""A disk that records every operation and fails on command: a layer between SQLite and its files.

It registers a VFS of its own (SQLite's table of file operations, https://sqlite.org/vfs.html) with the library that the
`sqlite3` module has loaded. So it sees what SQLite really writes and syncs, in order, and can refuse any of it. From the
recorded steps, `after_power_cut` builds the files as they could be after a power cut.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_int64, c_void_p
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import attrs

OK, FULL = 0, 13
IOERR_READ, IOERR_WRITE, IOERR_FSYNC, IOERR_TRUNCATE, IOERR_DELETE = (10 | n << 8 for n in (1, 3, 4, 6, 10))
CORRUPT = 11

# The library that the `sqlite3` module has loaded.
_LIBRARY = find_library("sqlite3")
_VFS = ("iVersion", "szOsFile", "mxPathname")
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_CLOSE = CFUNCTYPE(c_int, c_void_p)
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)


class _Vfs(ctypes.Structure):
    _fields_ = [
        *((name, c_int) for name in _VFS),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", c_void_p),
        ("xDelete", c_void_p),
        *((f"x{n}", c_void_p) for n in range(14)),
    ]


class _Methods(ctypes.Structure):
    _fields_ = [
        ("iVersion", c_int),
        ("xClose", c_void_p),
        ("xRead", c_void_p),
        ("xWrite", c_void_p),
        ("xTruncate", c_void_p),
        ("xSync", c_void_p),
        *((f"x{n}", c_void_p) for n in range(13)),
    ]


@attrs.define
class Step:
    """One operation on a file, or a mark that the test has set."""

    kind: str
    path: str = ""
    offset: int = 0
    data: bytes = b""
    mark: object = None


@attrs.define
class Disk:
    """The recorded operations, and which ones are to fail.

    Attributes:
        steps: Successful operations and marks, in order.
        refuse: Called with the kind and path of each read, write, sync, truncate and delete before it is done. Returns
            SQLite's result code; `OK` lets it happen.
    """

    steps: list[Step] = attrs.field(factory=list)
    refuse: Callable[[str, str], int] = attrs.field(default=lambda kind, path: OK)

    def mark(self, what: object) -> None:
        self.steps.append(Step("mark", mark=what))

    def fail_at(self, number: int, code: int | None = None, times: int = 1) -> None:
        """Refuse `times` operations, starting with this number, counted from now; reads do not count."""
        codes = {"write": IOERR_WRITE, "sync": IOERR_FSYNC, "truncate": IOERR_TRUNCATE, "delete": IOERR_DELETE}
        calls = 0

        def refuse(kind: str, path: str) -> int:
            nonlocal calls
            calls += kind != "read"
            return (code or codes[kind]) if number <= calls < number + times and kind != "read" else OK

        self.refuse = refuse


class _Layer:
    """The functions that SQLite calls instead of those of its default VFS, which they call in turn."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.sqlite = ctypes.CDLL(_LIBRARY)
        self.sqlite.sqlite3_vfs_find.restype = POINTER(_Vfs)
        self.below = self.sqlite.sqlite3_vfs_find(None)
        self.paths: dict[int, str] = {}
        self.methods: dict[int, tuple[_Methods, _Methods]] = {}
        self.vfs = _Vfs()
        ctypes.memmove(byref(self.vfs), self.below, ctypes.sizeof(_Vfs))
        self.vfs.zName, self.vfs.pNext = b"watched", None
        self.calls: list[Any] = []  # keeps the callbacks alive: SQLite holds only their addresses
        self.vfs.xOpen = self._address(_OPEN, self.open)
        self.vfs.xDelete = self._address(_DELETE, self.delete)

    def _address(self, kind: Any, function: Callable[..., int]) -> int:
        call = kind(function)
        self.calls.append(call)
        address = ctypes.cast(call, c_void_p).value
        assert address is not None
        return address

    def open(self, vfs: int, name: int, file: int, flags: int, out: Any) -> int:
        code: int = _OPEN(self.below.contents.xOpen)(ctypes.addressof(self.below.contents), name, file, flags, out)
        table = c_void_p.from_address(file)
        if code == OK and table.value and name:
            self.paths[file] = os.fsdecode(ctypes.string_at(name))
            if table.value not in self.methods:
                below = _Methods.from_address(table.value)
                mine = _Methods()
                ctypes.memmove(byref(mine), byref(below), ctypes.sizeof(_Methods))
                self.methods[table.value] = (mine, below)
                self._wrap(mine, below)
            table.value = ctypes.addressof(self.methods[table.value][0])
        return code

    def _wrap(self, mine: _Methods, below: _Methods) -> None:
        read_below, write_below, truncate_below = _WRITE(below.xRead), _WRITE(below.xWrite), _TRUNCATE(below.xTruncate)
        close_below = _CLOSE(below.xClose)

        def read(file: int, data: int, size: int, offset: int) -> int:
            return self.disk.refuse("read", self.paths[file]) or int(read_below(file, data, size, offset))

        def write(file: int, data: int, size: int, offset: int) -> int:
            step = Step("write", self.paths[file], offset, ctypes.string_at(data, size))
            return self._do(step, lambda: write_below(file, data, size, offset))

        def truncate(file: int, size: int) -> int:
            return self._do(Step("truncate", self.paths[file], size), lambda: truncate_below(file, size))

        def sync(file: int, flags: int) -> int:
            return self._do(
                Step("sync", self.paths[file]), lambda: OK
            )  # power cuts are simulated, so a real sync would only take time

        def close(file: int) -> int:
            self.paths.pop(file, None)
            return int(close_below(file))

        mine.xRead = self._address(_WRITE, read)
        mine.xWrite, mine.xTruncate = self._address(_WRITE, write), self._address(_TRUNCATE, truncate)
        mine.xSync, mine.xClose = self._address(_SYNC, sync), self._address(_CLOSE, close)

    def delete(self, vfs: int, name: int, sync: int) -> int:
        step = Step("delete", os.fsdecode(ctypes.string_at(name)))
        below = _DELETE(self.below.contents.xDelete)
        return self._do(step, lambda: below(ctypes.addressof(self.below.contents), name, 0))

    def _do(self, step: Step, below: Callable[[], int]) -> int:
        code = self.disk.refuse(step.kind, step.path)
        if code == OK:
            code = int(below())
        if code == OK:
            self.disk.steps.append(step)
        return code


_LAYERS: list[_Layer] = []  # a connection that a failed test left open still calls its layer


@contextmanager
def watched() -> Iterator[Disk]:
    """Record the operations of every database that is opened meanwhile; all must be closed at the end."""
    disk = Disk()
    layer = _Layer(disk)
    _LAYERS.append(layer)
    layer.sqlite.sqlite3_vfs_register(byref(layer.vfs), 1)
    try:
        yield disk
    finally:
        layer.sqlite.sqlite3_vfs_register(layer.below, 1)
        layer.sqlite.sqlite3_vfs_unregister(byref(layer.vfs))


def after_power_cut(steps: list[Step], keeps: Callable[[], bool], folder: Path) -> None:
    """Write the files to `folder` as they may be if the power fails after `steps`.

    Writes that were synced are complete. Of the others, each sector of 512 bytes is there if `keeps()` returns True.
    """
    durable: dict[str, bytearray] = {}
    pending: dict[str, list[Step]] = {}
    for step in steps:
        if step.kind in ("write", "truncate"):
            pending.setdefault(step.path, []).append(step)
        elif step.kind == "sync":
            for done in pending.pop(step.path, []):
                _apply(durable.setdefault(step.path, bytearray()), done, lambda: True)
        elif step.kind == "delete":
            durable.pop(step.path, None)
            pending.pop(step.path, None)
    for path, unsynced in pending.items():
        for step in unsynced:
            _apply(durable.setdefault(path, bytearray()), step, keeps)
    for path, data in durable.items():
        (folder / Path(path).name).write_bytes(data)


def _apply(data: bytearray, step: Step, keeps: Callable[[], bool]) -> None:
    if step.kind == "truncate":
        if keeps():
            del data[step.offset :]
            data.extend(bytes(step.offset - len(data)))
        return
    for start in range(0, len(step.data), 512):
        if keeps():
            at = step.offset + start
            data.extend(bytes(max(0, at - len(data))))
            piece = step.data[start : start + 512]
            data[at : at + len(piece)] = piece
