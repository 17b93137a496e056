"""What a spool stores and deletes when it is full, or when another program fills the disk."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncsdk._model.spooling import NewBlock, Settled, SpoolError
from stores.spools import Process, block, records

MB = 1_000_000


@pytest.fixture(autouse=True)
def _kill_all_processes() -> Iterator[None]:
    yield
    Process.kill_all()


def fill(process: Process, destination: str = "Amplitude", blocks: int = 60) -> list[Any]:
    return [process.store(block(str(n), destination=destination, size=20_000)) for n in range(blocks)]


def test_a_block_larger_than_what_is_left_is_stored_in_part(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=MB)
    kept = process.store(block(*(str(number) for number in range(100)), size=20_000))

    stored = process.read(kept.file)
    assert 40 < kept.cut[0] == len(stored) < 60
    assert stored == [str(number) for number in range(len(stored))]


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "reject"])
def test_a_destination_that_fills_the_spool_leaves_room_for_another(tmp_path: Path, policy: str) -> None:
    process = Process(tmp_path, max_bytes=MB, when_full=policy)
    process.adopt("Amplitude", "Statsig")
    fill(process)

    kept = [process.store(block(str(n), destination="Statsig", size=20_000)) for n in range(10)]

    assert None not in [one.rows[0] for one in kept]
    assert {row.destination for one in kept for row in one.dropped} <= {"Amplitude"}


def test_the_oldest_blocks_of_an_earlier_process_are_deleted_first(tmp_path: Path) -> None:
    first, second = Process(tmp_path, max_bytes=MB), Process(tmp_path, max_bytes=MB, when_full="drop_oldest")
    fill(first)
    first.kill()
    [adopted] = second.adopt()
    before = len(second.read(adopted.file))
    kept = fill(second, blocks=20)

    assert {row.file for one in kept for row in one.dropped} == {adopted.file}
    assert len(second.read(kept[-1].file)) == 20
    assert 15 <= before - len(second.read(adopted.file)) <= 30  # whole pages are freed


def test_own_blocks_are_deleted_after_the_last_block_of_an_earlier_process(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path, max_bytes=MB, when_full="drop_oldest")
    first.store(block("a", size=20_000))
    first.kill()
    [adopted] = second.adopt()
    own = fill(second, blocks=25)[0].file
    kept = second.store(block("new", size=600_000))

    assert {row.file for row in kept.dropped} == {adopted.file, own}
    assert second.read(own)[-1] == "new"


def test_own_blocks_are_deleted_if_an_earlier_file_cannot_be_read(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path, max_bytes=MB, when_full="drop_oldest")
    first.store(block("a"))
    first.kill()
    [adopted] = second.adopt()
    second.files._open_files.by_number[adopted.file].database._connection.execute("DROP TABLE block")
    kept = fill(second)

    assert {row.file for one in kept for row in one.dropped} == {kept[0].file}
    assert second.read(kept[-1].file)[-1] == "59"


def test_nothing_of_a_block_is_stored_if_its_first_event_does_not_fit(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=MB)
    stored = process.read(fill(process, blocks=25)[0].file)
    large = NewBlock("Amplitude", [*records("large", size=600_000), *records(*(f"small-{n}" for n in range(400)))])
    kept = process.store(large)

    assert kept.rows == [None]
    assert process.read(kept.file) == stored


def test_a_large_block_replaces_those_of_another_destination_if_its_own_has_none(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=MB, when_full="drop_oldest")
    fill(process, "Statsig", blocks=25)
    kept = process.store(block("large", size=700_000))

    assert kept.rows != [None]
    assert {row.destination for row in kept.dropped} == {"Statsig"}


def test_of_two_blocks_that_are_larger_than_the_spool_the_first_is_stored(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=MB, when_full="drop_oldest")
    kept = process.store(block("first", size=700_000), block("second", size=700_000))

    assert (kept.rows, kept.dropped) == ([1, None], [])


def test_a_drained_own_file_has_its_room_back_in_the_same_commit(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=MB)
    kept = [one for one in fill(process) if one.rows[0]]
    process.files._open_files.by_number[kept[0].file].queue_acks(Settled([one.rows[0] for one in kept]))

    assert [one.rows[0] is not None for one in fill(process, blocks=30)] == [True] * 30


def test_no_old_block_is_deleted_while_another_program_fills_the_disk(tmp_path: Path) -> None:
    process = Process(tmp_path, keep_free=_free(tmp_path) - 200 * MB, when_full="drop_oldest")
    kept = fill(process)
    with (tmp_path / "of another program").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 400 * MB)
        process.files._disk_space._measured = float("-inf")
        more = fill(process, blocks=20)
        os.ftruncate(file.fileno(), 0)

    assert [one.rows for one in more] == [[None]] * 20
    assert [one.dropped for one in more] == [[]] * 20
    assert len(process.read(kept[0].file)) == 60


def test_no_old_block_is_deleted_for_one_that_cannot_be_written(tmp_path: Path) -> None:
    process = Process(tmp_path, max_bytes=MB, when_full="drop_oldest")
    kept = fill(process)
    stored = len(process.read(kept[0].file))
    own = process.files._open_files.by_number[kept[0].file]
    process.files._disk_space.drop_ballast(own.lock)
    own.lock.ballast.mkdir()

    with pytest.raises(SpoolError, match="disk full"):
        process.store(block("new", size=20_000))
    assert len(process.read(kept[0].file)) == stored


def _free(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
