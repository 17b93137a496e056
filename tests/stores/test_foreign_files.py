"""A spool in a folder of the application: what the spool did not write is never opened for writing, moved or deleted."""

import errno
import fcntl
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsdk import ConfigurationError
from asyncsdk._model.spooling import SpoolError
from asyncsdk.stores import FileAssignments, FileCache, SqliteSpool, inspection
from asyncsdk.stores.sqlite.candidates import Candidates
from asyncsdk.stores.sqlite.identity import database_bytes, identify
from asyncsdk.stores.sqlite.open_files import OpenFiles
from asyncsdk.stores.sqlite.schema import APPLICATION_ID
from stores.foreign import NAME, SHAPES, take_state, use, write_database
from stores.spools import Process, block, dead


@pytest.fixture(autouse=True)
def _kill_all_processes() -> Iterator[None]:
    yield
    Process.kill_all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The database of a process that was killed."""
    process = Process(tmp_path)
    process.store(block("a"))
    process.kill()
    [path] = (tmp_path / "spool").glob("*.db")
    return path


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_foreign_is_changed_moved_or_deleted(folder: Path, shape: str) -> None:
    SHAPES[shape](folder)
    before = take_state(folder.parent)

    use(folder)

    after = take_state(folder.parent)
    assert {name: after.get(name) for name in before} == before


_STEMS = st.sampled_from([NAME, "web-1-0123456789ac", "shop", "web-1", "a b-1-0123456789ab", "WEB-1-0123456789AB"])
_SUFFIXES = st.sampled_from([".db", ".lock", ".ballast", ".db-wal", ".db-shm", ".db-journal", ".block", ""])
_CONTENTS = st.one_of(st.binary(max_size=200), st.binary(max_size=99).map(b"SQLite format 3\0".__add__), st.none())
_FILES = st.dictionaries(
    st.tuples(st.sampled_from(["", "quarantine/", "sub/"]), _STEMS, _SUFFIXES).map("".join), _CONTENTS, max_size=6
)


@pytest.mark.timeout(120)
@settings(max_examples=15, deadline=None)
@given(files=_FILES)
def test_no_folder_of_foreign_files_is_changed(files: dict[str, bytes | None]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "spool"
        for name, content in files.items():
            if content is None:
                write_database(folder / name)
            else:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
        before = take_state(folder)

        use(folder)

        after = take_state(folder)
        assert {name: after.get(name) for name in before} == before


def test_a_database_that_another_program_has_open_is_not_touched(folder: Path) -> None:
    with closing(sqlite3.connect(folder / f"{NAME}.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE orders (id)")
        before = take_state(folder)
        use(folder)

        assert {name: take_state(folder).get(name) for name in before} == before


def test_foreign_files_take_no_room_from_the_spool(folder: Path, left: Path) -> None:
    own = left.stat().st_size
    for shape in ("a database", "a database with our mark and version", "bytes"):
        SHAPES[shape](folder)

    assert database_bytes(folder, None) == own


def test_a_foreign_file_with_a_name_of_our_form_is_logged_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    SHAPES["a database with a name of our form"](folder)
    process = Process(folder.parent)
    process.adopt()
    os.utime(folder / f"{NAME}.db")
    process.adopt()

    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"spool: {folder}/{NAME}.db is left as it is (not a database of asyncsdk)"
    ]


def test_a_spool_written_before_files_were_marked_is_kept_and_named(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    SHAPES["our tables without our mark"](folder)

    assert Process(folder.parent).adopt() == []
    assert "an asyncsdk that did not mark its files yet" in caplog.text
    [file] = inspection.list_files(folder)
    assert file.problem == "older"


def test_a_file_that_took_the_place_of_an_open_one_is_not_deleted(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.store(block("a"))
    [path] = (tmp_path / "spool").glob("*.db")
    path.unlink()
    write_database(path)
    before = path.read_bytes()
    process.settle(kept.file, 1)
    process.files.close()

    assert path.read_bytes() == before


def test_a_wal_that_is_a_link_is_not_written_through(left: Path, caplog: pytest.LogCaptureFixture) -> None:
    wal = left.with_name(f"{left.name}-journal")
    wal.symlink_to(left.parent / "target")

    assert Process(left.parents[1]).adopt() == []
    assert wal.is_symlink()
    assert "is left as it is" in caplog.text


def test_a_damaged_file_with_a_lock_of_another_program_is_left_as_it_is(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    SHAPES["bytes"](folder)
    SHAPES["a lock with content"](folder)
    before = take_state(folder)

    assert Process(folder.parent).adopt() == []
    assert take_state(folder) == before
    assert "is left as it is (damaged, or not a database)" in caplog.text


def test_a_lock_file_with_other_content_outlives_its_database(left: Path) -> None:
    left.with_suffix(".lock").write_bytes(b"of another program")
    process = Process(left.parents[1])
    [adopted] = process.adopt()
    process.settle(adopted.file, 1)
    process.files.close()

    assert not left.exists()
    assert left.with_suffix(".lock").read_bytes() == b"of another program"


def test_a_damaged_file_that_is_in_the_quarantine_already_stays(left: Path) -> None:
    (left.parent / "quarantine").mkdir()
    (left.parent / "quarantine" / left.name).write_bytes(b"before")
    left.write_bytes(b"damaged" * 1000)
    Process(left.parents[1]).adopt()

    assert left.read_bytes() == b"damaged" * 1000
    assert (left.parent / "quarantine" / left.name).read_bytes() == b"before"


def test_a_spool_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "spool").symlink_to(tmp_path / "disk")
    process = Process(tmp_path)
    process.store(block("a"))
    process.kill()

    assert Process(tmp_path).adopt_and_read() == ["a"]


def test_quarantine_is_not_written_through_a_link(left: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (left.parent / "quarantine").symlink_to(tmp_path / "target")
    left.write_bytes(b"damaged" * 1000)
    Process(tmp_path).adopt()

    assert left.read_bytes() == b"damaged" * 1000
    assert list((tmp_path / "target").iterdir()) == []


def unfinished(mark: int) -> bytes:
    """Return a database that has no tables yet."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"PRAGMA application_id={mark}")
        database.execute("CREATE TABLE x (y)")
        database.execute("DROP TABLE x")
        return database.serialize()


@pytest.mark.parametrize(
    ("content", "has_journal"),
    [(b"", False), (unfinished(APPLICATION_ID), False), (unfinished(0), True), (b"half a page" * 100, True)],
    ids=["empty", "marked", "no mark", "half a page"],
)
def test_a_file_whose_creation_was_interrupted_is_deleted(left: Path, content: bytes, *, has_journal: bool) -> None:
    left.write_bytes(content)
    left.with_name(f"{left.name}-wal").unlink(missing_ok=True)
    if has_journal:
        left.with_name(f"{left.name}-journal").write_bytes(b"journal")

    Process(left.parents[1]).adopt()

    assert list(left.parent.iterdir()) == []


def test_a_file_without_tables_that_no_lock_shows_to_be_ours_stays(left: Path) -> None:
    left.write_bytes(unfinished(0))
    left.with_suffix(".lock").unlink()
    left.with_name(f"{left.name}-journal").write_bytes(b"journal")

    Process(left.parents[1]).adopt()

    assert left.exists()


# --- looking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_lock", [True, False])
def test_looking_writes_nothing(left: Path, *, has_lock: bool) -> None:
    Process(left.parents[1]).give_up(dead("x"))
    if not has_lock:
        left.with_suffix(".lock").unlink()
    before = take_state(left.parent)

    found = [*inspection.list_events(left.parent), *inspection.list_events(left.parent, dead=True)]

    assert [event.id for event in found] == ["a", "x"]
    assert len(list(inspection.list_files(left.parent))) == 2
    assert take_state(left.parent) == before


# --- locks that fail ----------------------------------------------------------------------------------------------


def _fail(*_: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def test_locks_that_fail_leave_no_file_and_no_descriptor(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(left.parents[1])
    before, descriptors = take_state(left.parent), len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(fcntl, "flock", _fail)
    for _ in range(3):
        with pytest.raises(SpoolError, match="No locks available"):
            process.store(block("b"))
        process.adopt()
        list(inspection.list_files(left.parent))
        inspection.purge(left.parent)

    assert take_state(left.parent) == before
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_a_lock_file_is_not_left_by_an_adoption_that_fails(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left.with_suffix(".lock").unlink()
    monkeypatch.setattr(fcntl, "flock", _fail)

    assert Process(left.parents[1]).adopt() == []
    assert list(left.parent.glob("*.lock")) == []


# --- the folder ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", [SqliteSpool, FileCache, FileAssignments])
def test_a_relative_folder_is_resolved_at_once(
    store: type[SqliteSpool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = store("data")
    monkeypatch.chdir("/")

    assert made.folder == tmp_path / "data"


@pytest.mark.parametrize("folder", ["~/data", "~/a/../data"])
def test_the_home_folder_is_expanded(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert SqliteSpool(folder).folder.resolve() == tmp_path / "data"


def test_the_home_folder_of_an_unknown_user_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="begins with `~`, and there is no such home folder"):
        FileCache("~no-such-user/data")


@pytest.mark.parametrize("folder", ["a\0b", None, 3, b"bytes"])
def test_a_folder_that_is_not_a_path_is_rejected(folder: object) -> None:
    with pytest.raises(ConfigurationError, match="must be a path"):
        SqliteSpool(folder)  # type: ignore[arg-type]


def test_a_relative_folder_needs_a_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")

    with pytest.raises(ConfigurationError, match="absolute path"):
        SqliteSpool("data")


def test_a_folder_with_very_many_files_is_searched_in_the_thread(folder: Path) -> None:
    for number in range(2_000):
        (folder / str(number)).touch()

    assert SqliteSpool(folder).may_have_events()


def test_identifying_a_file_that_is_gone(tmp_path: Path) -> None:
    assert identify(tmp_path / f"{NAME}.db").kind == "missing"


def test_identifying_a_file_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    found = identify(tmp_path / "file" / f"{NAME}.db")
    assert (found.kind, found.reason) == ("unreadable", "Not a directory")


def test_a_file_that_is_gone_has_not_changed(tmp_path: Path) -> None:
    assert not Candidates(OpenFiles(tmp_path)).has_changed(tmp_path / f"{NAME}.db")
