"""Files that the spool did not write, and everything that the spool does in a folder that has them."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from asyncsdk.cli import main
from asyncsdk.stores.sqlite.schema import APPLICATION_ID, SCHEMA
from stores.spools import Process, block, dead

NAME = "web-1-0123456789ab"
"""A stem of the form that the spool gives to its files."""


def write_database(path: Path, *statements: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements or ("CREATE TABLE orders (id)", "INSERT INTO orders VALUES (1)"):
            connection.execute(statement)


def _write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def _database(name: str, *statements: str) -> Callable[[Path], None]:
    return lambda folder: write_database(folder / name, *statements)


def _link_to_spool(folder: Path, link: Callable[[Path, Path], None]) -> None:
    process = Process(folder.parent / "elsewhere")
    process.store(block("theirs"))
    process.files.close()
    [path] = (folder.parent / "elsewhere/spool").glob("*.db")
    link(path, folder / path.name)


SHAPES: Mapping[str, Callable[[Path], None]] = {
    "a database": _database("shop.db"),
    "a database with a name of our form": _database(f"{NAME}.db"),
    "a database with our version": _database(f"{NAME}.db", "CREATE TABLE orders (id)", "PRAGMA user_version = 1"),
    "a database with our mark": _database(
        f"{NAME}.db", f"PRAGMA application_id={APPLICATION_ID}", "CREATE TABLE a (b)"
    ),
    "a database with our mark and version": _database(
        f"{NAME}.db", f"PRAGMA application_id={APPLICATION_ID}", "PRAGMA user_version=1", "CREATE TABLE block (id)"
    ),
    "our tables without our mark": _database(f"{NAME}.db", *SCHEMA[:3], "PRAGMA user_version=1"),
    "a newer version": _database(f"{NAME}.db", *SCHEMA, "PRAGMA user_version=99"),
    "an empty file": _write(f"{NAME}.db", b""),
    "bytes": _write(f"{NAME}.db", b"\xff" * 5000),
    "a lock": _write("poetry.lock", b""),
    "a lock with a name of our form": _write(f"{NAME}.lock", b""),
    "a lock with content": _write(f"{NAME}.lock", b"1234\n"),
    "ballast": _write("ship.ballast", bytes(100)),
    "ballast with a name of our form": _write(f"{NAME}.ballast", bytes(100)),
    "a folder": lambda folder: (folder / f"{NAME}.db").mkdir(),
    "a folder instead of a lock": lambda folder: (folder / f"{NAME}.lock").mkdir(),
    "a named pipe": lambda folder: os.mkfifo(folder / f"{NAME}.db"),
    "a named pipe instead of a lock": lambda folder: os.mkfifo(folder / f"{NAME}.lock"),
    "a link to a spool": lambda folder: _link_to_spool(folder, lambda path, link: link.symlink_to(path)),
    "a hard link to a spool": lambda folder: _link_to_spool(folder, lambda path, link: link.hardlink_to(path)),
    "a link to nothing": lambda folder: (folder / f"{NAME}.db").symlink_to(folder / "nothing.db"),
    "a link instead of a lock": lambda folder: (folder / f"{NAME}.lock").symlink_to(folder / "nothing"),
    "a file called quarantine": _write("quarantine", b"mine"),
}


def take_state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return the kind, inode, content and times of everything below a folder; of folders no times."""
    found: dict[str, tuple[object, ...]] = {}
    for path in folder.rglob("*"):
        state, is_link = path.lstat(), path.is_symlink()
        content = path.read_bytes() if path.is_file() and not is_link else b""
        times = (state.st_mtime_ns, state.st_ctime_ns) if is_link or not path.is_dir() else ()
        found[str(path.relative_to(folder))] = (state.st_mode, state.st_ino, content, *times)
    return found


def use(folder: Path) -> None:
    """Do all that the spool does: store, adopt, quarantine, close, and each verb of the command."""
    first, second = Process(folder.parent), Process(folder.parent)
    first.store(block("a", "b"), block("c"))
    first.give_up(dead("x"))
    own = first.files._open_files.by_number[1].lock.path
    run_command(folder, "ls", "show", "export --dead", "replay", "purge --all --yes")
    first.kill()
    run_command(folder, "ls", "show --dead", "export", "replay")
    adopted = second.adopt()
    second.store(block("d"))
    second.files._open_files.by_number[adopted[0].file].database._connection.execute("UPDATE block SET body = x'00'")
    assert second.read(adopted[0].file) == []
    second.files.close()
    own.write_bytes(b"damaged" * 1000)
    second.adopt()
    second.kill()
    run_command(folder, "ls", "show", "export", "replay", "purge --yes", "purge --all --yes")


def run_command(folder: Path, *verbs: str) -> None:
    for verb in verbs:
        assert main(["spool", *verb.split(), str(folder)]) == 0
