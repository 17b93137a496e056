"""The files of a spool: what is committed is found again, by whoever comes; what is damaged is set aside."""

import fcntl
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
from asyncsdk.stores import SqliteSpool
from asyncsdk.stores.sqlite import disk_space, file_lock, open_file
from stores.spools import NOW, Process, block, dead


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    yield
    Process.end_all()


def databases(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.db"))


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A folder in which a process has died."""
    process = Process(tmp_path)
    process.keep(block("a", "b"), block("c"))
    process.die()
    return tmp_path


def test_what_was_committed_is_found_in_order(left: Path) -> None:
    assert Process(left).find() == ["a", "b", "c"]


def test_what_is_settled_is_not_found_again(tmp_path: Path) -> None:
    first = Process(tmp_path)
    kept = first.keep(block("a", "b"), block("c"), block("d", "e"))
    first.settle(kept.file, kept.rows[1] or 0, progress={kept.rows[2] or 0: 0b01})
    first.die()

    assert Process(tmp_path).find() == ["a", "b", "e"]


def test_reading_goes_on_after_a_block_and_stops_at_a_size(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.keep(*(block(str(n), size=1000) for n in range(5)))

    assert process.read(kept.file, most=2500) == ["0", "1", "2"]
    assert process.read(kept.file, after=kept.rows[2] or 0) == ["3", "4"]
    assert process.read(kept.file, after=kept.rows[4] or 0) == []
    assert process.read(99) == []


def test_each_destination_finds_its_own(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.keep(block("a"), block("b", destination="Statsig"))

    assert process.read(kept.file) == ["a"]
    assert process.read(kept.file, "Statsig") == ["b"]


def test_only_the_owner_may_read_the_folder_and_its_files(left: Path) -> None:
    paths = [left / "spool", *(left / "spool").iterdir()]

    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o700, 0o600}


def test_nothing_is_made_before_the_first_event(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.adopt()
    process.files.close()

    assert list(tmp_path.iterdir()) == []


# --- ownership ----------------------------------------------------------------------------------------------------


def test_the_file_of_a_living_process_is_its_own(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.keep(block("a"))

    assert Process(tmp_path).adopt() == []


def test_one_of_many_takes_over_a_file(left: Path) -> None:
    found = [Process(left).find() for _ in range(4)]

    assert sorted(found) == [[], [], [], ["a", "b", "c"]]


def test_a_drained_file_is_deleted(left: Path) -> None:
    process = Process(left)
    [adopted] = process.adopt()
    process.settle(adopted.file, 1, 2)

    assert list((left / "spool").iterdir()) == []


def test_a_file_without_events_for_us_is_left_to_others(left: Path) -> None:
    process = Process(left)

    assert process.adopt("Statsig") == process.adopt("Statsig") == []
    assert Process(left).find() == ["a", "b", "c"]


def test_what_waits_in_a_file_is_counted_when_it_is_taken_over(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    kept = first.keep(block("a", "b", "c"), block("d", destination="Statsig"), block("e"), block("f"))
    first.settle(kept.file, 3, progress={1: 0b01})
    first.die()

    [adopted] = second.adopt("Amplitude", "RudderStack", "Statsig")

    assert str(adopted) == "Amplitude 3, Statsig 1"


def test_what_waits_in_a_large_file_is_judged_by_its_oldest_blocks(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    first.keep(*(block("a", "b") for _ in range(400)))
    first.die()

    [adopted] = second.adopt("Amplitude")

    assert str(adopted) == "Amplitude about 800"


def test_a_file_that_has_none_left_for_us_is_let_go(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    first.keep(block("a"), block("b", destination="Statsig"))
    first.die()
    [adopted] = second.adopt("Amplitude")
    second.settle(adopted.file, 1)

    assert second.adopt("Amplitude") == []
    assert Process(tmp_path).find("Statsig") == ["b"]


def test_an_empty_file_that_was_left_is_deleted(tmp_path: Path) -> None:
    first = Process(tmp_path)
    kept = first.keep(block("a"))
    first.settle(kept.file, kept.rows[0] or 0)
    first.die()
    Process(tmp_path).adopt()

    assert databases(tmp_path) == []


def test_a_lock_without_a_file_is_tidied_away(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.keep(block("a"))
    [path] = databases(tmp_path)
    process.die()
    path.unlink()
    path.touch()
    taker = Process(tmp_path)
    path.unlink()
    taker.files._adopt_file(path, ["Amplitude"])

    assert [p.suffix for p in (tmp_path / "spool").iterdir() if p.suffix == ".lock"] == []


def test_a_lock_whose_file_was_never_made_is_tidied_away(tmp_path: Path) -> None:
    living = Process(tmp_path)
    living.keep(block("a"))
    (tmp_path / "spool/killed-1-0.lock").touch()
    Process(tmp_path).adopt()

    assert [path.stem for path in (tmp_path / "spool").glob("*.lock")] == [databases(tmp_path)[0].stem]


def test_a_lock_that_somebody_holds_stays(tmp_path: Path) -> None:
    lock = file_lock.create(tmp_path)
    file_lock.delete_orphans(tmp_path)

    assert list(tmp_path.glob("*.lock")) == [lock.path.with_suffix(".lock")]
    lock.release()


def test_a_name_that_is_tidied_away_before_it_is_held_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, tidied = fcntl.flock, list[Path]()

    def slow(file: int, how: int) -> None:
        if not tidied:
            tidied.extend(tmp_path.glob("*.lock"))
            tidied[0].unlink()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    lock = file_lock.create(tmp_path)
    lock.release()

    assert [path.stem for path in tmp_path.glob("*.lock")] == [lock.path.stem] != [tidied[0].stem]


def test_closing_deletes_what_is_empty_and_leaves_the_rest(tmp_path: Path) -> None:
    empty, full = Process(tmp_path), Process(tmp_path)
    kept = empty.keep(block("a"))
    empty.settle(kept.file, kept.rows[0] or 0)
    full.keep(block("b"))
    empty.files.close()
    full.files.close()

    assert len(databases(tmp_path)) == 1
    assert Process(tmp_path).find() == ["b"]


def test_what_is_left_of_a_deleted_file_is_kept_in_another_at_the_end(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.keep(block("a", "b"), block("c"))
    process.settle(kept.file, progress={1: 0b01})
    shutil.rmtree(tmp_path / "spool")
    with pytest.raises(SpoolError, match="deleted"):
        process.keep(block("d"))
    process.keep(block("e"))
    assert process.read(kept.file) == ["b", "c"]
    process.files.close()

    assert Process(tmp_path).find() == ["e", "b", "c"]


def test_a_folder_that_cannot_be_made_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")

    with pytest.raises(SpoolError, match="File exists"):
        Process(tmp_path).keep(block("a"))


def test_a_lock_that_was_deleted_meanwhile_is_nobodys(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [path] = databases(left)
    flock = fcntl.flock

    def slow(file: int, how: int) -> None:
        path.with_suffix(".lock").unlink()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", slow)

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
    process.bury(dead("a", "b"))
    process.die()

    assert letters(tmp_path) == [("rejected", "status 400", 2)]


def test_dead_letters_outlive_the_file_they_were_in(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    first.bury(dead("a"))
    first.die()
    second.adopt()
    second.die()

    assert letters(tmp_path) == [("rejected", "status 400", 1)]
    assert len(databases(tmp_path)) == 1


def test_the_oldest_dead_letters_go_when_there_are_too_many(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=1_000_000)
    for number in range(4):
        process.bury(dead(*(str(n) for n in range(number + 1)), size=15_000 // (number + 1)))
    process.die()

    assert [events for _, _, events in letters(tmp_path)] == [2, 3, 4]


# --- room ---------------------------------------------------------------------------------------------------------


def fill(process: Process, blocks: int = 200) -> list[Any]:
    return [process.keep(block(str(n), size=20_000)) for n in range(blocks)]


@pytest.mark.parametrize("policy", ["drop_newest", "reject"])
def test_a_full_spool_keeps_no_more(tmp_path: Path, policy: str) -> None:
    process = Process(tmp_path, max_bytes=1_000_000, when_full=policy)
    outcomes = [kept.rows[0] is not None for kept in fill(process)]

    assert 20 < sum(outcomes) < 60
    assert outcomes == sorted(outcomes, reverse=True)


def test_a_full_spool_drops_the_oldest_if_told_to(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=1_000_000, when_full="drop_oldest")
    kept = fill(process)
    dropped = [row.row for one in kept for row in one.dropped]

    assert all(one.rows[0] is not None for one in kept)
    assert dropped == sorted(dropped)
    assert process.read(kept[-1].file)[-1] == "199"


def test_room_that_was_given_back_is_used_again(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=1_000_000)
    kept = [one for one in fill(process) if one.rows[0] is not None]
    process.settle(kept[0].file, *(one.rows[0] or 0 for one in kept))
    process.files._disk_space._measured = float("-inf")

    assert process.keep(block("again")).rows[0] is not None


def test_what_was_written_moves_to_its_place_in_between(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.files.commit([block("a", size=5_000_000)], {}, (), NOW)
    [path] = databases(tmp_path)
    assert path.stat().st_size < 1_000_000

    process.files.tidy()

    assert path.stat().st_size > 5_000_000
    assert process.read(kept.file) == ["a"]


def test_a_file_shrinks_when_it_is_drained(tmp_path: Path) -> None:
    process = Process(tmp_path)
    kept = process.keep(*(block(str(n), size=20_000) for n in range(1500)))
    [path] = databases(tmp_path)
    process.files._open_files.by_number[1].database.truncate_wal()
    before = path.stat().st_size
    process.settle(kept.file, *(row for row in kept.rows if row))
    process.adopt()
    between = path.stat().st_size
    process.adopt()

    assert before > 2 * between > 5 * path.stat().st_size


def test_a_disk_that_others_have_filled_counts_as_full(tmp_path: Path) -> None:
    assert Process(tmp_path, keep_free=10**18).keep(block("a")).rows == [None]


def test_nothing_is_added_without_ballast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(tmp_path)
    process.keep(block("a"))
    [ballast] = (tmp_path / "spool").glob("*.ballast")
    assert ballast.stat().st_size == disk_space.BALLAST_BYTES
    process.files._disk_space.drop_ballast(process.files._open_files.by_number[1].lock)
    ballast.mkdir()

    with pytest.raises(SpoolError, match="disk full"):
        process.keep(block("b"))
    monkeypatch.setattr(open_file.OpenFile, "shrink", lambda _: ballast.rmdir())
    assert process.keep(block("c")).rows == [2]


def test_what_damaged_blocks_hold_cannot_be_counted_when_they_go(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=1_000_000, when_full="drop_oldest")
    process.keep(block("a", size=20_000))
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
def test_a_damaged_block_is_set_aside_and_the_others_are_read(tmp_path: Path, query: str) -> None:
    first = Process(tmp_path)
    first.keep(block("a"), block("b"), block("c", destination="Statsig"))
    first.die()
    edit(tmp_path, query)
    second = Process(tmp_path)

    assert second.find() == ["b"]
    assert second.keep().usage.quarantined == 1
    assert len(list((tmp_path / "spool" / "quarantine").glob("*.block"))) == 1


def test_a_file_of_nothing_but_damage_is_read_to_its_end(left: Path) -> None:
    edit(left, "UPDATE block SET body = x'00'")

    assert Process(left).find() == []


@pytest.mark.parametrize("damage", [b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside_whole(left: Path, damage: bytes) -> None:
    [path] = databases(left)
    path.write_bytes(damage)
    process = Process(left)

    assert process.adopt() == []
    assert (left / "spool" / "quarantine" / path.name).read_bytes() == damage
    assert process.keep(block("d")).usage.quarantined == 1
    assert databases(left) != [path]


def test_a_damaged_file_that_cannot_be_moved_stays(left: Path) -> None:
    [path] = databases(left)
    path.write_bytes(b"no database" * 100)
    (left / "spool" / "quarantine").write_text("a file where the folder should be")
    process = Process(left)

    assert process.adopt() == process.adopt() == []
    assert path.exists()


def test_a_page_that_is_damaged_costs_the_file_and_no_more(tmp_path: Path) -> None:
    first = Process(tmp_path)
    first.keep(*(block(str(n), size=20_000) for n in range(50)))
    first.die()
    [path] = databases(tmp_path)
    data = bytearray(path.read_bytes())
    data[16_384:] = b"\xff" * len(data[16_384:])
    path.write_bytes(data)
    second = Process(tmp_path)

    assert second.find() == []
    assert second.keep(block("a")).rows == [1]


def test_the_file_of_a_later_version_is_left_alone(left: Path) -> None:
    edit(left, "PRAGMA user_version = 2")

    assert Process(left).adopt() == []
    edit(left, "PRAGMA user_version = 1")
    assert Process(left).find() == ["a", "b", "c"]


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{"max_bytes": 10}, {"max_bytes": True}, {"max_age": 0}, {"max_age": "1"}, {"when_full": "x"}, {"keep_free": -1}],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="SqliteSpool must be"):
        SqliteSpool(tmp_path, **settings)


def test_settling_what_is_unknown_does_nothing(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.files.commit((), {7: Settled((1,))}, (), NOW)

    assert process.keep(block("a")).rows == [1]


def test_dead_letters_get_a_twentieth_of_the_spool(tmp_path: Path) -> None:
    assert Process(tmp_path, max_bytes=2_000_000).files._quota.dead_bytes == 100_000
