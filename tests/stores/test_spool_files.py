"""The files of a spool: committed blocks are read back by any later process, and damage is quarantined."""

import fcntl
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncsdk import ConfigurationError
from asyncsdk._model.spooling import Settled, SpoolError
from asyncsdk.stores import Spool, SpoolFiles, SqliteSpool
from asyncsdk.stores.sqlite import file_lock
from stores.disk import OK, watched
from stores.spools import NOW, Process, block, dead


@pytest.fixture(autouse=True)
def _kill_all_processes() -> Iterator[None]:
    yield
    Process.kill_all()


def databases(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.db"))


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder of a process that was killed."""
    process = Process(tmp_path)
    process.store(block("a", "b"), block("c"))
    process.kill()
    return tmp_path


def test_committed_events_are_read_in_order(left: Path) -> None:
    assert Process(left).adopt_and_read() == ["a", "b", "c"]


def test_settled_events_are_not_read_again(tmp_path: Path) -> None:
    first = Process(tmp_path)
    kept = first.store(block("a", "b"), block("c"), block("d", "e"))
    first.settle(kept.file, kept.rows[1] or 0, progress={kept.rows[2] or 0: 0b01})
    first.kill()

    assert Process(tmp_path).adopt_and_read() == ["a", "b", "e"]


def test_reading_continues_after_a_block_and_stops_at_a_size(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.store(*(block(str(n), size=1000) for n in range(5)))

    assert process.read(kept.file, max_bytes=2500) == ["0", "1", "2"]
    assert process.read(kept.file, after=kept.rows[2] or 0) == ["3", "4"]
    assert process.read(kept.file, after=kept.rows[4] or 0) == []
    assert process.read(99) == []


def test_each_destination_reads_its_own_events(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.store(block("a"), block("b", destination="Statsig"))

    assert process.read(kept.file) == ["a"]
    assert process.read(kept.file, "Statsig") == ["b"]


def test_only_the_owner_may_read_the_folder_and_its_files(left: Path) -> None:
    paths = [left / "spool", *(left / "spool").iterdir()]

    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o700, 0o600}


def test_nothing_is_created_before_the_first_event(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.adopt()
    process.files.close()

    assert list(tmp_path.iterdir()) == []


# --- ownership ----------------------------------------------------------------------------------------------------


def test_the_file_of_a_running_process_is_not_adopted(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.store(block("a"))

    assert Process(tmp_path).adopt() == []


def test_one_of_several_processes_adopts_a_file(left: Path) -> None:
    found = [Process(left).adopt_and_read() for _ in range(4)]

    assert sorted(found) == [[], [], [], ["a", "b", "c"]]


def test_a_drained_file_is_deleted(left: Path) -> None:
    process = Process(left)
    [adopted] = process.adopt()
    process.settle(adopted.file, 1, 2)

    assert list((left / "spool").iterdir()) == []


def test_a_file_without_events_for_us_is_left_to_others(left: Path) -> None:
    process = Process(left)

    assert process.adopt("Statsig") == process.adopt("Statsig") == []
    assert Process(left).adopt_and_read() == ["a", "b", "c"]


def test_waiting_events_are_counted_when_a_file_is_adopted(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    kept = first.store(block("a", "b", "c"), block("d", destination="Statsig"), block("e"), block("f"))
    first.settle(kept.file, 3, progress={1: 0b01})
    first.kill()

    [adopted] = second.adopt("Amplitude", "RudderStack", "Statsig")

    assert str(adopted) == "Amplitude 3, Statsig 1"


def test_waiting_events_of_a_large_file_are_estimated_from_its_oldest_blocks(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    first.store(*(block("a", "b") for _ in range(400)))
    first.kill()

    [adopted] = second.adopt("Amplitude")

    assert str(adopted) == "Amplitude about 800"


def test_a_file_with_no_more_events_for_us_is_released(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    first.store(block("a"), block("b", destination="Statsig"))
    first.kill()
    [adopted] = second.adopt("Amplitude")
    second.settle(adopted.file, 1)

    assert second.adopt("Amplitude") == []
    assert Process(tmp_path).adopt_and_read("Statsig") == ["b"]


def test_an_empty_file_of_an_ended_process_is_deleted(tmp_path: Path) -> None:
    first = Process(tmp_path)
    kept = first.store(block("a"))
    first.settle(kept.file, kept.rows[0] or 0)
    first.kill()
    Process(tmp_path).adopt()

    assert databases(tmp_path) == []


def test_a_lock_whose_database_was_deleted_is_deleted(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.store(block("a"))
    [path] = databases(tmp_path)
    process.kill()
    path.unlink()
    path.touch()
    taker = Process(tmp_path)
    path.unlink()
    taker.files._adopt_file(path, ["Amplitude"])

    assert [p.suffix for p in (tmp_path / "spool").iterdir() if p.suffix == ".lock"] == []


def test_a_lock_whose_database_was_never_created_is_deleted(tmp_path: Path) -> None:
    living = Process(tmp_path)
    living.store(block("a"))
    file_lock.create(tmp_path / "spool").release()
    Process(tmp_path).adopt()

    assert [path.stem for path in (tmp_path / "spool").glob("*.lock")] == [databases(tmp_path)[0].stem]


def test_a_lock_that_is_held_is_not_deleted(tmp_path: Path) -> None:
    lock = file_lock.create(tmp_path)
    file_lock.delete_orphans(tmp_path)

    assert list(tmp_path.glob("*.lock")) == [lock.path.with_suffix(".lock")]
    lock.release()


def test_a_lock_file_that_is_deleted_before_it_is_locked_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, deleted = fcntl.flock, list[Path]()

    def delete_first(file: int, how: int) -> None:
        if not deleted:
            deleted.extend(tmp_path.glob("*.lock"))
            deleted[0].unlink()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", delete_first)
    lock = file_lock.create(tmp_path)
    lock.release()

    assert [path.stem for path in tmp_path.glob("*.lock")] == [lock.path.stem] != [deleted[0].stem]


def test_closing_deletes_what_is_empty_and_leaves_the_rest(tmp_path: Path) -> None:
    empty, full = Process(tmp_path), Process(tmp_path)
    kept = empty.store(block("a"))
    empty.settle(kept.file, kept.rows[0] or 0)
    full.store(block("b"))
    empty.files.close()
    full.files.close()

    assert len(databases(tmp_path)) == 1
    assert Process(tmp_path).adopt_and_read() == ["b"]


def test_the_rest_of_a_deleted_file_is_copied_to_another_on_close(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.store(block("a", "b"), block("c"))
    process.settle(kept.file, progress={1: 0b01})
    shutil.rmtree(tmp_path / "spool")
    with pytest.raises(SpoolError, match="deleted"):
        process.store(block("d"))
    process.store(block("e"))
    assert process.read(kept.file) == ["b", "c"]
    process.files.close()

    assert Process(tmp_path).adopt_and_read() == ["e", "b", "c"]


def test_an_own_file_that_was_deleted_is_copied_to_another_on_close(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.store(block("a"))
    shutil.rmtree(tmp_path / "spool")
    process.files.close()

    assert Process(tmp_path).adopt_and_read() == ["a"]


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")

    with pytest.raises(SpoolError, match="File exists"):
        Process(tmp_path).store(block("a"))


def test_a_lock_file_that_was_deleted_while_acquiring_gives_no_lock(
    left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = databases(left)
    flock = fcntl.flock

    def delete_first(file: int, how: int) -> None:
        path.with_suffix(".lock").unlink()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", delete_first)

    assert file_lock.acquire(path) is None


# --- dead letters -------------------------------------------------------------------------------------------------


def letters(folder: Path) -> list[tuple[str, str, int]]:
    found = []
    for path in databases(folder):
        with closing(sqlite3.connect(path)) as connection:
            found += connection.execute("SELECT status, reason, events FROM dead ORDER BY id").fetchall()
    return found


def test_dead_letters_are_kept_with_their_reason(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.give_up(dead("a", "b"))
    process.kill()

    assert letters(tmp_path) == [("rejected", "status 400", 2)]


def test_dead_letters_outlive_the_file_they_were_in(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    first.give_up(dead("a"))
    first.kill()
    second.adopt()
    second.kill()

    assert letters(tmp_path) == [("rejected", "status 400", 1)]
    assert len(databases(tmp_path)) == 1


def test_the_oldest_dead_letters_are_deleted_above_the_limit(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=1_000_000)
    for number in range(4):
        process.give_up(dead(*(str(n) for n in range(number + 1)), size=15_000 // (number + 1)))
    process.kill()

    assert [events for _, _, events in letters(tmp_path)] == [2, 3, 4]


# --- disk space ---------------------------------------------------------------------------------------------------


def fill(process: Process, blocks: int = 200) -> list[Any]:
    return [process.store(block(str(n), size=20_000)) for n in range(blocks)]


@pytest.mark.parametrize("policy", ["drop_newest", "reject"])
def test_a_full_spool_refuses_new_blocks(tmp_path: Path, policy: str) -> None:
    process = Process(tmp_path, max_bytes=1_000_000, when_full=policy)
    outcomes = [kept.rows[0] is not None for kept in fill(process)]

    assert 20 < sum(outcomes) < 60
    assert outcomes == sorted(outcomes, reverse=True)


def test_a_full_spool_drops_the_oldest_blocks_if_configured(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=1_000_000, when_full="drop_oldest")
    kept = fill(process)
    dropped = [row.row for one in kept for row in one.dropped]

    assert all(one.rows[0] is not None for one in kept)
    assert dropped == sorted(dropped)
    assert process.read(kept[-1].file)[-1] == "199"


def test_freed_space_is_used_again(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=1_000_000)
    kept = [one for one in fill(process) if one.rows[0] is not None]
    process.settle(kept[0].file, *(one.rows[0] or 0 for one in kept))
    process.files._disk_space._measured = float("-inf")

    assert process.store(block("again")).rows[0] is not None


def test_tidy_moves_the_wal_into_the_database(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.files.commit([block("a", size=5_000_000)], {}, (), NOW)
    [path] = databases(tmp_path)
    assert path.stat().st_size < 1_000_000

    process.files.tidy()

    assert path.stat().st_size > 5_000_000
    assert process.read(kept.file) == ["a"]


def test_a_file_shrinks_when_it_is_drained(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.store(*(block(str(n), size=20_000) for n in range(1500)))
    [path] = databases(tmp_path)
    process.files._open_files.by_number[1].database.truncate_wal()
    before = path.stat().st_size
    process.settle(kept.file, *(row for row in kept.rows if row))
    process.adopt()
    between = path.stat().st_size
    process.adopt()

    assert before > 2 * between > 5 * path.stat().st_size


def test_a_disk_filled_by_other_programs_counts_as_full(tmp_path: Path) -> None:
    assert Process(tmp_path, keep_free=10**18).store(block("a")).rows == [None]


def test_nothing_is_added_without_ballast(tmp_path: Path) -> None:
    with watched() as disk:
        process = Process(tmp_path)
        process.store(block("a"))
        [ballast] = (tmp_path / "spool").glob("*.ballast")
        assert ballast.stat().st_size == file_lock.BALLAST_BYTES
        process.files._disk_space.drop_ballast(process.files._open_files.by_number[1].lock)
        ballast.mkdir()

        with pytest.raises(SpoolError, match="disk full"):
            process.store(block("b"))
        # Truncating the WAL makes the space that the ballast needs.
        disk.refuse = lambda kind, path: (ballast.is_dir() and kind == "truncate" and ballast.rmdir()) or OK
        assert process.store(block("c")).rows == [2]


def test_events_of_a_damaged_block_are_not_counted_when_it_is_dropped(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=1_000_000, when_full="drop_oldest")
    process.store(block("a", size=20_000))
    process.files._open_files.by_number[1].database._connection.execute("UPDATE block SET body = zeroblob(20000)")
    dropped = [row for one in fill(process) for row in one.dropped]

    assert [row.events for row in dropped[:3]] == [0, 1, 1]


# --- damage -------------------------------------------------------------------------------------------------------


def edit(folder: Path, query: str) -> None:
    [path] = databases(folder)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(query)


@pytest.mark.parametrize(
    "query",
    [
        "UPDATE block SET body = zeroblob(100) WHERE id = 1",
        "UPDATE block SET body = substr(body, 1, length(body) - 1) WHERE id = 1",
        "UPDATE block SET body = (SELECT body FROM block WHERE id = 3) WHERE id = 1",
    ],
)
def test_a_damaged_block_is_quarantined_and_the_others_are_read(tmp_path: Path, query: str) -> None:
    first = Process(tmp_path)
    first.store(block("a"), block("b"), block("c", destination="Statsig"))
    first.kill()
    edit(tmp_path, query)
    second = Process(tmp_path)

    assert second.adopt_and_read() == ["b"]
    assert second.store().usage.quarantined == 1
    assert len(list((tmp_path / "spool" / "quarantine").glob("*.block"))) == 1


def test_a_file_with_only_damaged_blocks_is_read_to_its_end(left: Path) -> None:
    edit(left, "UPDATE block SET body = x'00'")

    assert Process(left).adopt_and_read() == []


@pytest.mark.parametrize("damage", [b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_quarantined_unchanged(left: Path, damage: bytes) -> None:
    [path] = databases(left)
    path.write_bytes(damage)
    process = Process(left)

    assert process.adopt() == []
    assert (left / "spool" / "quarantine" / path.name).read_bytes() == damage
    assert process.store(block("d")).usage.quarantined == 1
    assert databases(left) != [path]


def test_a_damaged_file_that_cannot_be_moved_is_not_deleted(left: Path) -> None:
    [path] = databases(left)
    path.write_bytes(b"no database" * 100)
    (left / "spool" / "quarantine").write_text("a file instead of a folder")
    process = Process(left)

    assert process.adopt() == process.adopt() == []
    assert path.exists()


def test_damaged_pages_do_not_affect_new_files(tmp_path: Path) -> None:
    first = Process(tmp_path)
    first.store(*(block(str(n), size=20_000) for n in range(50)))
    first.kill()
    [path] = databases(tmp_path)
    data = bytearray(path.read_bytes())
    data[16_384:] = b"\xff" * len(data[16_384:])
    path.write_bytes(data)
    second = Process(tmp_path)

    assert second.adopt_and_read() == []
    assert second.store(block("a")).rows == [1]


def test_the_file_of_another_version_is_not_changed(left: Path) -> None:
    edit(left, "PRAGMA user_version = 2")

    assert Process(left).adopt() == []
    edit(left, "PRAGMA user_version = 1")
    assert Process(left).adopt_and_read() == ["a", "b", "c"]


def test_a_version_that_is_only_in_the_wal_is_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Process(tmp_path / "first")
    first.store(block("a"))
    first.files._open_files.by_number[1].database._connection.execute("PRAGMA user_version = 2")
    shutil.copytree(tmp_path / "first/spool", tmp_path / "copy/spool")  # as after a kill: closing empties the WAL
    [path] = databases(tmp_path / "copy")

    assert Process(tmp_path / "copy").adopt() == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM block").fetchall() == [(1,)]
    assert "is left as it is (written by another version of asyncsdk, or by another program)" in caplog.text


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{"max_bytes": 10}, {"max_bytes": True}, {"max_age": 0}, {"max_age": "1"}, {"when_full": "x"}, {"keep_free": -1}],
)
def test_invalid_settings_are_rejected(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="SqliteSpool must be"):
        SqliteSpool(tmp_path, **settings)


def test_settlements_of_an_unknown_file_are_ignored(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.files.commit((), {7: Settled((1,))}, (), NOW)

    assert process.store(block("a")).rows == [1]


def test_dead_letters_get_a_twentieth_of_the_spool(tmp_path: Path) -> None:
    assert Process(tmp_path, max_bytes=2_000_000).files._quota.dead_bytes == 100_000


def test_the_sqlite_spool_satisfies_the_public_protocols(tmp_path: Path) -> None:
    settings: Spool = SqliteSpool(tmp_path)
    files: SpoolFiles = settings.open()

    assert (settings.rejects, settings.max_age, settings.may_have_events()) == (False, 259_200.0, False)
    files.close()


# --- debugging ----------------------------------------------------------------------------------------------------


def test_each_object_shows_its_counts_in_its_repr(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.store(block("a", "b"), block("c"))
    file = process.files._open_files.by_number[kept.file]
    file.queue_acks(Settled((2,), ((1, 0b01),)))
    name = file.lock.path.stem

    assert re.fullmatch(r"<SqliteFiles: 1 open, 0 dead letters to store, [\d,]+ bytes used>", repr(process.files))
    assert repr(process.files._open_files) == "<OpenFiles: 1 open, own is 1, 0 quarantined>"
    assert repr(file) == f"<OpenFile {name}.db: 1 finished and 1 partly settled blocks to acknowledge>"
    assert re.fullmatch(rf"<Database {name}\.db: next block 3, about [\d,]+ bytes in the WAL>", repr(file.database))
    assert re.fullmatch(rf"<FileLock {name}\.lock: descriptor \d+>", repr(file.lock))
    assert re.fullmatch(
        r"<DiskSpace [\d,]+ of 1,000,000,000 bytes used, [\d,]+ free on the disk>", repr(process.files._disk_space)
    )
    assert repr(process.files._candidates) == "<Candidates: 0 files skipped>"
    assert repr(process.files._unclaimed) == "<UnclaimedEvents: 0 in 0 files>"
