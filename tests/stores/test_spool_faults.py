"""The spool on a disk that fails: what was kept is there, whatever happened to the rest."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from asyncsdk._model.spooling import SpoolError
from asyncsdk.stores.sqlite import database
from stores.disk import CORRUPT, FULL, IOERR_FSYNC, IOERR_READ, OK, Disk, after_power_cut, watched
from stores.spools import Process, block, dead


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    yield
    Process.end_all()


@pytest.fixture
def _blocks_move_to_their_place_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_CHECKPOINT_FROM_BYTES", 300_000)


def work(process: Process, promised: list[str], on_promise: Callable[[str], None], rounds: int = 12) -> None:
    """Keep, settle and bury things; what a commit has returned for is promised."""
    for number in range(rounds):
        names = [f"{number}-{n}" for n in range(3)]
        try:
            kept = process.keep(block(*names, size=3000))
        except SpoolError:
            continue
        if kept.rows[0] is None:
            continue
        for name in names:
            promised.append(name)
            on_promise(name)
        if number % 4 == 3 and kept.rows[0]:
            promised.remove(names[0])
            with suppress(SpoolError):  # kept for another time
                process.settle(kept.file, progress={kept.rows[0]: 0b001})
                process.bury(dead(f"dead-{number}"))


def nobody(_: str) -> None:
    pass


def survivors(folder: Path) -> set[str]:
    process = Process(folder)
    found = set(process.find())
    process.die()
    return found


@pytest.mark.usefixtures("_blocks_move_to_their_place_often")
@pytest.mark.parametrize("code", [None, FULL], ids=["io-error", "disk-full"])
@pytest.mark.parametrize("times", [1, 40])
def test_nothing_promised_is_lost_whichever_call_fails(tmp_path: Path, code: int | None, times: int) -> None:
    for number in range(1, 90):
        folder = tmp_path / str(number)
        promised: list[str] = []
        with watched() as disk:
            disk.fail_at(number, code, times)
            process = Process(folder)
            work(process, promised, nobody, 10)
            process.die()
            disk.refuse = lambda kind, path: OK
            missing = set(promised) - survivors(folder)
        assert not missing, number


def cut(folder: Path, disk: Disk, points: int, seed: int) -> list[set[str]]:
    """Cut the power at so many points; say what was promised before and is missing after, for each."""
    chance = random.Random(seed)
    losses: list[set[str]] = []
    for point in range(points):
        at = chance.randrange(len(disk.steps))
        keeps: Callable[[], bool] = [lambda: False, lambda: True, lambda: chance.random() < 0.5][point % 3]
        place = folder / str(point) / "spool"
        place.mkdir(parents=True)
        after_power_cut(disk.steps[:at], keeps, place)
        promised = {str(step.mark) for step in disk.steps[:at] if step.kind == "mark"}
        losses.append(promised - survivors(folder / str(point)))
    return losses


def record(folder: Path) -> Disk:
    with watched() as disk:
        process = Process(folder)
        for number in range(60):
            names = [f"{number}-{n}" for n in range(3)]
            kept = process.keep(block(*names, size=random.Random(number).randrange(40_000)))
            assert kept.rows[0] is not None
            for name in names:
                disk.mark(name)
        process.die()
    return disk


@pytest.mark.usefixtures("_blocks_move_to_their_place_often")
@pytest.mark.timeout(60)
def test_no_power_cut_loses_what_was_promised(tmp_path: Path) -> None:
    disk = record(tmp_path / "before")

    assert not any(cut(tmp_path, disk, 60, seed=1))


@pytest.mark.timeout(60)
def test_the_power_cuts_would_find_a_spool_that_does_not_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = [setting.replace("synchronous=FULL", "synchronous=NORMAL") for setting in database._SETTINGS]
    monkeypatch.setattr(database, "_SETTINGS", lazy)
    disk = record(tmp_path / "before")
    monkeypatch.undo()

    assert sum(bool(lost) for lost in cut(tmp_path, disk, 30, seed=1)) > 10


def test_bits_of_the_header_may_flip(tmp_path: Path) -> None:
    first = Process(tmp_path / "first")
    first.keep(block("a", "b"))
    first.files.close()
    [path] = (tmp_path / "first" / "spool").glob("*.db")
    whole = path.read_bytes()
    for bit in range(0, 100 * 8, 3):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        place = tmp_path / str(bit) / "spool"
        place.mkdir(parents=True)
        (place / path.name).write_bytes(damaged)
        process = Process(tmp_path / str(bit))
        assert process.find() in ([], ["a", "b"])
        process.die()


def test_a_file_may_be_cut_off_anywhere(tmp_path: Path) -> None:
    first = Process(tmp_path / "first")
    first.keep(*(block(str(n), size=9000) for n in range(8)))
    first.files.close()
    [path] = (tmp_path / "first" / "spool").glob("*.db")
    whole = path.read_bytes()
    ids = [str(n) for n in range(8)]
    for size in range(0, len(whole), 4111):
        place = tmp_path / str(size) / "spool"
        place.mkdir(parents=True)
        (place / path.name).write_bytes(whole[:size])
        process = Process(tmp_path / str(size))
        assert set(process.find()) <= set(ids)
        assert process.keep(block("new")).rows == [1]
        process.die()


def test_a_failed_file_is_read_from_disk_again_and_another_takes_its_place(tmp_path: Path) -> None:
    with watched() as disk:
        process = Process(tmp_path)
        before = process.keep(block("a"))
        codes = iter([IOERR_FSYNC])
        disk.refuse = lambda kind, path: next(codes, OK) if kind == "sync" else OK
        after = process.keep(block("b"))

        assert after.file != before.file
        assert "a" in process.read(before.file)
        assert process.read(after.file) == ["b"]
        process.die()


def test_what_could_not_be_noted_is_noted_later(tmp_path: Path) -> None:
    with watched() as disk:
        process = Process(tmp_path)
        kept = process.keep(block("a"), block("b"))
        disk.refuse = lambda kind, path: OK if kind == "read" else FULL
        process.settle(kept.file, 1)
        disk.refuse = lambda kind, path: OK
        process.keep(block("c"))
        process.die()

    assert Process(tmp_path).find() == ["b", "c"]


def test_sqlite_is_the_library_that_is_watched() -> None:
    with watched() as disk:
        connection = sqlite3.connect(":memory:")
        connection.close()
        assert disk.steps == []


def leave(folder: Path) -> None:
    process = Process(folder)
    process.keep(*(block(str(n), size=9000) for n in range(8)))
    process.bury(dead("dead"))
    process.die()


@pytest.mark.parametrize("code", [CORRUPT, IOERR_READ])
def test_a_file_that_cannot_be_read_is_set_aside_if_it_is_damaged_and_left_if_not(tmp_path: Path, code: int) -> None:
    for reads in range(0, 30, 2):
        folder = tmp_path / str(reads)
        leave(folder)
        with watched() as disk:
            codes = iter([OK] * reads)
            disk.refuse = lambda kind, path, codes=codes: next(codes, code) if kind == "read" else OK  # type: ignore[misc]
            process = Process(folder)
            with suppress(SpoolError):
                process.find()
            disk.refuse = lambda kind, path: OK
            process.die()
        found = Process(folder).find()

        assert found == [str(n) for n in range(8)] or (code == CORRUPT and list(folder.rglob("quarantine/*.db")))


def test_a_failed_file_that_is_damaged_too_is_set_aside(tmp_path: Path) -> None:
    with watched() as disk:
        process = Process(tmp_path)
        process.keep(block("a"))
        [path] = (tmp_path / "spool").glob("*.db")
        path.write_bytes(b"no database" * 2000)
        path.with_name(path.name + "-wal").write_bytes(b"")
        codes = iter([IOERR_FSYNC])
        disk.refuse = lambda kind, path: next(codes, OK) if kind == "sync" else OK

        assert process.keep(block("b")).usage.quarantined == 1
        process.die()


def test_a_file_that_fails_to_open_again_is_left_to_others(tmp_path: Path) -> None:
    with watched() as disk:
        process = Process(tmp_path)
        process.keep(block("a"))
        codes = iter([IOERR_FSYNC, IOERR_READ, IOERR_READ])
        disk.refuse = lambda kind, path: next(codes, OK) if kind in ("sync", "read") else OK
        process.keep(block("b"))
        disk.refuse = lambda kind, path: OK

        assert "a" in process.find()
        process.die()


def test_dead_letters_stay_where_they_are_until_they_are_safe_elsewhere(tmp_path: Path) -> None:
    leave(tmp_path)
    with watched() as disk:
        process = Process(tmp_path)
        disk.refuse = lambda kind, path: FULL if kind == "write" else OK
        assert process.adopt() == []
        disk.refuse = lambda kind, path: OK
        process.die()
        second = Process(tmp_path)
        assert second.find() == [str(n) for n in range(8)]
        assert second.files._open_files.by_number[second.files._open_files.own].database.dead_letters()[0].events == 1
        second.die()


def test_closing_a_file_that_cannot_be_read_leaves_it(tmp_path: Path) -> None:
    leave(tmp_path)
    with watched() as disk:
        process = Process(tmp_path)
        process.adopt()
        for file in process.files._open_files.by_number.values():
            file.database._connection.execute("PRAGMA shrink_memory")
        disk.refuse = lambda kind, path: IOERR_READ if kind == "read" else OK
        process.files.close()
        disk.refuse = lambda kind, path: OK
        process.die()

    assert Process(tmp_path).find() == [str(n) for n in range(8)]
