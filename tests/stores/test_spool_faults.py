"""The spool on a failing disk: committed events are never lost."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from asyncsdk._model.spooling import SpoolError
from stores.disk import CORRUPT, FULL, IOERR_FSYNC, IOERR_READ, OK, Disk, after_power_cut, watched
from stores.spools import Process, block, dead

# Bytes in the WAL from which it is checkpointed here, so that a few commits are enough.
_FREQUENTLY = 300_000


@pytest.fixture(autouse=True)
def _kill_all_processes() -> Iterator[None]:
    yield
    Process.kill_all()


def work(process: Process, promised: list[str], on_promise: Callable[[str], None], rounds: int = 12) -> None:
    """Store, settle and give up events. Those of a commit that has returned are promised."""
    for number in range(rounds):
        names = [f"{number}-{n}" for n in range(3)]
        try:
            kept = process.store(block(*names, size=3000))
        except SpoolError:
            continue
        if kept.rows[0] is None:
            continue
        for name in names:
            promised.append(name)
            on_promise(name)
        if number % 4 == 3 and kept.rows[0]:
            promised.remove(names[0])
            with suppress(SpoolError):  # stored by a later commit
                process.settle(kept.file, progress={kept.rows[0]: 0b001})
                process.give_up(dead(f"dead-{number}"))


def ignore(_: str) -> None:
    pass


def survivors(folder: Path) -> set[str]:
    process = Process(folder)
    found = set(process.adopt_and_read())
    process.kill()
    return found


@pytest.mark.parametrize("code", [None, FULL], ids=["io-error", "disk-full"])
@pytest.mark.parametrize("times", [1, 40])
def test_no_promised_event_is_lost_whichever_call_fails(tmp_path: Path, code: int | None, times: int) -> None:
    for number in range(1, 90):
        folder = tmp_path / str(number)
        promised: list[str] = []
        with watched() as disk:
            disk.fail_at(number, code, times)
            process = Process(folder, checkpoint_bytes=_FREQUENTLY)
            work(process, promised, ignore, 10)
            process.kill()
            disk.refuse = lambda kind, path: OK
            missing = set(promised) - survivors(folder)
        assert not missing, number


def cut(folder: Path, disk: Disk, points: int, seed: int) -> list[set[str]]:
    """Cut the power at this many random points, and return which promised events are missing after each."""
    chance = random.Random(seed)
    losses: list[set[str]] = []
    for point in range(points):
        at = chance.randrange(len(disk.steps))
        keeps: Callable[[], bool] = [lambda: False, lambda: True, lambda: chance.random() < 0.5][point % 3]
        target = folder / str(point) / "spool"
        target.mkdir(parents=True)
        after_power_cut(disk.steps[:at], keeps, target)
        promised = {str(step.mark) for step in disk.steps[:at] if step.kind == "mark"}
        losses.append(promised - survivors(folder / str(point)))
    return losses


def record(folder: Path) -> Disk:
    with watched() as disk:
        process = Process(folder, checkpoint_bytes=_FREQUENTLY)
        for number in range(60):
            names = [f"{number}-{n}" for n in range(3)]
            kept = process.store(block(*names, size=random.Random(number).randrange(40_000)))
            assert kept.rows[0] is not None
            for name in names:
                disk.mark(name)
        process.kill()
    return disk


@pytest.mark.timeout(60)
def test_no_power_cut_loses_a_promised_event(tmp_path: Path) -> None:
    disk = record(tmp_path / "before")

    assert not any(cut(tmp_path, disk, 60, seed=1))


@pytest.mark.timeout(60)
def test_the_power_cuts_detect_commits_that_are_not_synced(tmp_path: Path) -> None:
    disk = record(tmp_path / "before")
    disk.steps = [step for step in disk.steps if step.kind != "sync" or not step.path.endswith("-wal")]

    assert sum(bool(lost) for lost in cut(tmp_path, disk, 30, seed=1)) > 10


def test_flipped_bits_in_the_header_never_change_events(tmp_path: Path) -> None:
    first = Process(tmp_path / "first")
    first.store(block("a", "b"))
    first.files.close()
    [path] = (tmp_path / "first" / "spool").glob("*.db")
    whole = path.read_bytes()
    for bit in range(0, 100 * 8, 3):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        folder = tmp_path / str(bit) / "spool"
        folder.mkdir(parents=True)
        (folder / path.name).write_bytes(damaged)
        process = Process(tmp_path / str(bit))
        assert process.adopt_and_read() in ([], ["a", "b"])
        process.kill()


def test_a_file_may_be_truncated_anywhere(tmp_path: Path) -> None:
    first = Process(tmp_path / "first")
    first.store(*(block(str(n), size=9000) for n in range(8)))
    first.files.close()
    [path] = (tmp_path / "first" / "spool").glob("*.db")
    whole = path.read_bytes()
    ids = [str(n) for n in range(8)]
    for size in range(0, len(whole), 4111):
        folder = tmp_path / str(size) / "spool"
        folder.mkdir(parents=True)
        (folder / path.name).write_bytes(whole[:size])
        process = Process(tmp_path / str(size))
        assert set(process.adopt_and_read()) <= set(ids)
        assert process.store(block("new")).rows == [1]
        process.kill()


def test_a_failed_file_is_reopened_and_another_takes_its_place(tmp_path: Path) -> None:
    with watched() as disk:
        process = Process(tmp_path)
        before = process.store(block("a"))
        codes = iter([IOERR_FSYNC])
        disk.refuse = lambda kind, path: next(codes, OK) if kind == "sync" else OK
        after = process.store(block("b"))

        assert after.file != before.file
        assert "a" in process.read(before.file)
        assert process.read(after.file) == ["b"]
        process.kill()


def test_settlements_that_could_not_be_stored_are_stored_later(tmp_path: Path) -> None:
    with watched() as disk:
        process = Process(tmp_path)
        kept = process.store(block("a"), block("b"))
        disk.refuse = lambda kind, path: OK if kind == "read" else FULL
        process.settle(kept.file, 1)
        disk.refuse = lambda kind, path: OK
        process.store(block("c"))
        process.kill()

    assert Process(tmp_path).adopt_and_read() == ["b", "c"]


def test_a_database_in_memory_does_not_touch_the_disk() -> None:
    with watched() as disk:
        connection = sqlite3.connect(":memory:")
        connection.close()
        assert disk.steps == []


def leave_events(folder: Path) -> None:
    process = Process(folder)
    process.store(*(block(str(n), size=9000) for n in range(8)))
    process.give_up(dead("dead"))
    process.kill()


@pytest.mark.parametrize("code", [CORRUPT, IOERR_READ])
def test_a_file_that_cannot_be_read_is_quarantined_only_if_it_is_damaged(tmp_path: Path, code: int) -> None:
    for reads in range(0, 30, 2):
        folder = tmp_path / str(reads)
        leave_events(folder)
        with watched() as disk:
            codes = iter([OK] * reads)
            disk.refuse = lambda kind, path, codes=codes: next(codes, code) if kind == "read" else OK  # type: ignore[misc]
            process = Process(folder)
            with suppress(SpoolError):
                process.adopt_and_read()
            disk.refuse = lambda kind, path: OK
            process.kill()
        found = Process(folder).adopt_and_read()

        assert found == [str(n) for n in range(8)] or (code == CORRUPT and list(folder.rglob("quarantine/*.db")))


def test_a_failed_file_that_is_also_damaged_is_quarantined(tmp_path: Path) -> None:
    with watched() as disk:
        process = Process(tmp_path)
        process.store(block("a"))
        [path] = (tmp_path / "spool").glob("*.db")
        path.write_bytes(b"no database" * 2000)
        path.with_name(path.name + "-wal").write_bytes(b"")
        codes = iter([IOERR_FSYNC])
        disk.refuse = lambda kind, path: next(codes, OK) if kind == "sync" else OK

        assert process.store(block("b")).usage.quarantined == 1
        process.kill()


def test_a_failed_file_whose_place_another_has_taken_is_released(tmp_path: Path) -> None:
    with watched() as disk:
        process = Process(tmp_path)
        before = process.store(block("a"))
        [path] = (tmp_path / "spool").glob("*.db")
        codes = iter([IOERR_FSYNC])

        def replace(kind: str, _: str) -> int:
            code = next(codes, OK) if kind == "sync" else OK
            if code:
                path.unlink()
                path.write_bytes(b"of another program")
            return code

        disk.refuse = replace
        after = process.store(block("b"))

        assert process.read(before.file) == []
        assert process.read(after.file) == ["b"]
        assert path.read_bytes() == b"of another program"
        process.kill()


def test_a_failed_file_that_cannot_be_reopened_is_released(tmp_path: Path) -> None:
    with watched() as disk:
        process = Process(tmp_path)
        process.store(block("a"))
        codes = iter([IOERR_FSYNC, IOERR_READ, IOERR_READ])
        disk.refuse = lambda kind, path: next(codes, OK) if kind in ("sync", "read") else OK
        process.store(block("b"))
        disk.refuse = lambda kind, path: OK

        assert "a" in process.adopt_and_read()
        process.kill()


def test_dead_letters_stay_in_an_adopted_file_until_they_are_stored_elsewhere(tmp_path: Path) -> None:
    leave_events(tmp_path)
    with watched() as disk:
        process = Process(tmp_path)
        disk.refuse = lambda kind, path: FULL if kind == "write" else OK
        assert process.adopt() == []
        disk.refuse = lambda kind, path: OK
        process.kill()
        second = Process(tmp_path)
        assert second.adopt_and_read() == [str(n) for n in range(8)]
        assert second.files._open_files.by_number[second.files._open_files.own].database.dead_letters()[0].events == 1
        second.kill()


def test_closing_does_not_delete_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    leave_events(tmp_path)
    with watched() as disk:
        process = Process(tmp_path)
        process.adopt()
        for file in process.files._open_files.by_number.values():
            file.database._connection.execute("PRAGMA shrink_memory")
        disk.refuse = lambda kind, path: IOERR_READ if kind == "read" else OK
        process.files.close()
        disk.refuse = lambda kind, path: OK
        process.kill()

    assert Process(tmp_path).adopt_and_read() == [str(n) for n in range(8)]
