"""The files of a spool, when they have events for destinations that the client does not have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncsdk._model.spooling import Usage
from asyncsdk.stores import inspection
from stores.spools import NOW, Process, block

HOUR = 3600.0
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def _kill_all_processes() -> Iterator[None]:
    yield
    Process.kill_all()


def store(process: Process, *names: str, destination: str, at_ms: int = NOW) -> int:
    return process.files.commit([block(*names, destination=destination)], {}, (), at_ms).rows[0] or 0


def usage(process: Process, at_ms: int = NOW) -> Usage:
    return process.files.commit((), {}, (), at_ms).usage


def test_a_file_with_events_for_us_and_others_is_counted_for_the_others(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    store(first, "a", "b", destination="Amplitude")
    store(first, "c", "d", "e", destination="Removed")
    first.settle(1, progress={2: 0b001})
    first.kill()
    second.adopt()

    assert usage(second).unclaimed == {"Removed": 2}
    assert usage(second).bytes > 0


def test_what_is_left_of_a_block_that_is_too_old_becomes_a_dead_letter(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path, max_age=HOUR)
    row = store(first, "a", "b", "c", destination="Removed")
    store(first, "d", destination="Removed", at_ms=NOW + HOUR_MS)
    first.settle(1, progress={row: 0b001})
    first.kill()
    second.adopt()
    assert (usage(second).unclaimed, usage(second).dead_letters) == ({"Removed": 3}, 0)
    later = usage(second, NOW + HOUR_MS)
    second.files.close()

    assert (later.unclaimed, later.dead_letters) == ({"Removed": 1}, 2)
    folder = tmp_path / "spool"
    assert [event.id for event in inspection.list_events(folder, dead=True)] == ["b", "c"]
    assert [event.id for event in inspection.list_events(folder)] == ["d"]


def test_a_block_that_is_too_old_becomes_a_dead_letter_as_it_is(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path, max_age=HOUR)
    store(first, "a", "b", destination="Removed")
    first.kill()
    second.adopt()
    usage(second)
    later = usage(second, NOW + HOUR_MS)

    assert (later.unclaimed, later.dead_letters) == ({}, 2)


def test_events_that_another_process_has_delivered_are_not_reported_any_more(tmp_path: Path) -> None:
    first, second, third = Process(tmp_path), Process(tmp_path), Process(tmp_path)
    row = store(first, "a", destination="Statsig")
    first.kill()
    second.adopt()
    assert usage(second).unclaimed == {"Statsig": 1}
    [adopted] = third.adopt("Statsig")
    third.settle(adopted.file, row)
    second.adopt()

    assert usage(second).unclaimed == {}


def test_a_damaged_block_of_a_removed_destination_is_quarantined(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    store(first, "a", destination="Removed")
    first.files._open_files.by_number[1].database._connection.execute("UPDATE block SET body = zeroblob(100)")
    first.kill()
    second.adopt()

    assert (usage(second).unclaimed, usage(second).quarantined) == ({}, 1)
