"""`asyncsdk spool`: what it prints about a folder, and what it changes."""

import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from stores.spools import Process, block, dead

from asyncsdk.cli import main
from asyncsdk.cli._progress import progress_bar
from asyncsdk.stores import inspection


@pytest.fixture(autouse=True)
def _kill_all_processes() -> Iterator[None]:
    yield
    Process.kill_all()


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder of a process that has ended: three events, one of them settled, and two dead letters."""
    process = Process(tmp_path)
    kept = process.store(block("a", "b"), block("c", destination="Statsig"))
    process.settle(kept.file, progress={1: 0b01})
    process.give_up(dead("x", "y"))
    process.kill()
    return tmp_path / "spool"


@pytest.fixture
def in_use(tmp_path: Path) -> Iterator[Path]:
    """The folder of a running process."""
    process = Process(tmp_path)
    process.store(block("a", "b"))
    process.give_up(dead("x"))
    yield tmp_path / "spool"
    process.kill()


def spool(*arguments: object) -> int:
    return main(["spool", *map(str, arguments)])


def test_ls_counts_what_waits_and_what_is_dead(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("ls", left) == 0

    assert "idle" in (out := capsys.readouterr().out)
    assert "Amplitude 1, Statsig 1, Amplitude 2 dead" in out


def test_a_file_in_use_is_read_from_a_copy(in_use: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("ls", in_use) == 0

    assert "in use" in (out := capsys.readouterr().out)
    assert "Amplitude 2, Amplitude 1 dead" in out


@pytest.mark.parametrize(("changes", "copies"), [(3, 4), (1000, 20)])  # it gives up after 20
def test_a_file_that_changes_while_it_is_copied_is_copied_again(
    in_use: Path, monkeypatch: pytest.MonkeyPatch, changes: int, copies: int
) -> None:
    copy, copied = shutil.copyfile, []

    def copy_and_touch(source: Path, target: Path) -> None:
        copy(source, target)
        copied.append(source.name)
        if len(copied) < changes:
            os.utime(source, ns=(len(copied), len(copied)))

    monkeypatch.setattr(shutil, "copyfile", copy_and_touch)

    assert [event.id for event in inspection.list_events(in_use)] == ["a", "b"]
    assert len(copied) >= copies


def test_a_file_that_is_deleted_while_the_folder_is_listed_is_left_out(tmp_path: Path) -> None:
    for _ in range(2):
        process = Process(tmp_path)
        process.store(block("a"))
        process.kill()
    files = inspection.list_files(tmp_path / "spool")
    first = next(files)
    for path in (tmp_path / "spool").glob("*.db"):
        if path.name != first.name:
            path.unlink()

    assert list(files) == []


def test_an_interrupted_replay_leaves_the_dead_letters_as_they_are(left: Path) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    before = {path.name for path in left.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        inspection.replay(left, interrupt)

    assert [event.id for event in inspection.list_events(left, dead=True)] == ["x", "y"]
    assert {path.name for path in left.iterdir()} == before


def test_a_file_beside_which_is_a_link_is_left_out(left: Path) -> None:
    [path] = left.glob("*.db")
    path.with_name(f"{path.name}-journal").symlink_to(left / "target")
    problems: list[tuple[str, str]] = []

    assert list(inspection.list_events(left, on_problem=lambda *problem: problems.append(problem))) == []
    assert problems == [(path.name, "what is beside it is not a regular file")]


def test_a_file_in_use_is_never_changed(in_use: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("replay", in_use) == spool("purge", in_use, "--all", "--yes") == 0

    assert "0 of 1 dead letters" in (out := capsys.readouterr().out)
    assert "0 events deleted" in out


def test_show_lists_events_without_their_content(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool("show", left)
    waiting = capsys.readouterr().out
    spool("show", left, "--dead", "--limit", 1)
    dead_letters = capsys.readouterr().out

    assert [line.split()[3] for line in waiting.splitlines()] == ["b", "c"]
    assert "rejected: status 400" in dead_letters
    assert "and more" in dead_letters


def test_show_mentions_dead_letters_if_no_event_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(tmp_path)
    process.give_up(dead("x", "y"))
    process.kill()

    spool("show", tmp_path / "spool")

    assert capsys.readouterr().out == "no waiting events; 2 dead letters (list them with --dead)\n"


def test_an_empty_folder_is_reported_as_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("ls", tmp_path) == spool("show", tmp_path) == spool("show", tmp_path, "--dead") == 0

    said = f"no spool files in {tmp_path}\nno waiting events\nno dead letters\n"
    assert capsys.readouterr().out == said


def test_export_writes_json_lines(left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool("export", left)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    spool("export", left, "--output", tmp_path / "out.jsonl", "--dead")

    assert [(line["destination"], line["id"], line["event"]) for line in lines] == [
        ("Amplitude", "b", {}),
        ("Statsig", "c", {}),
    ]
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["x", "y"]


def test_an_export_that_cannot_be_written_is_an_error(
    left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spool("export", left, "--output", tmp_path / "nothing" / "out.jsonl") == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_a_time_after_the_year_9999_is_shown_as_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(tmp_path)
    process.files.commit([block("a")], {}, (), 10**18)
    process.kill()

    assert spool("show", tmp_path / "spool") == 0
    assert capsys.readouterr().out.startswith(f"{10**18} ms  Amplitude")


def test_replayed_dead_letters_are_found_by_the_next_program(left: Path) -> None:
    spool("replay", left)

    assert sorted(Process(left.parent).adopt_and_read()) == ["b", "x", "y"]
    assert list(inspection.list_events(left, dead=True)) == []


def test_replaying_nothing_makes_no_file(left: Path) -> None:
    spool("purge", left, "--yes")
    assert spool("replay", left) == 0
    assert len(list(left.glob("*.db"))) == 1
    spool("purge", left, "--all", "--yes")

    assert spool("replay", left) == 0
    assert list(left.glob("*.db")) == []


def test_purge_deletes_only_dead_letters_by_default(left: Path) -> None:
    assert spool("purge", left) == 2
    assert spool("purge", left, "--yes") == 0
    assert [event.id for event in inspection.list_events(left)] == ["b", "c"]
    assert list(inspection.list_events(left, dead=True)) == []


def test_purged_events_are_overwritten_in_the_file(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.store(block("waits"))
    process.give_up(dead("Ada", size=100_000), dead("Grace"))
    process.kill()

    spool("purge", tmp_path / "spool", "--yes")

    [database] = (tmp_path / "spool").glob("*.db")
    content = database.read_bytes()
    assert b"waits" in content
    assert b"Ada" not in content
    assert b"xxxx" not in content
    assert b"Grace" not in content


def damage(folder: Path, statement: str) -> None:
    [path] = folder.glob("*.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_damaged_blocks_are_left_out_and_said(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(left, "UPDATE block SET body = x'00' WHERE id = 1")

    assert [event.id for event in inspection.list_events(left)] == ["c"]
    assert spool("show", left) == 0
    shown = capsys.readouterr()
    assert "1 damaged blocks are left out" in shown.err
    assert len(shown.out.splitlines()) == 1


def test_damaged_dead_letters_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(tmp_path)
    process.give_up(dead("Ada"), dead("Grace"))
    process.kill()
    damage(tmp_path / "spool", "UPDATE dead SET body = x'00'")

    assert spool("show", tmp_path / "spool", "--dead") == 0
    assert "2 damaged blocks are left out" in capsys.readouterr().err


def test_a_path_that_is_not_a_folder_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("ls", tmp_path / "nothing") == 2
    assert "not a folder" in capsys.readouterr().err


def test_without_rich_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with progress_bar("work", 2) as advance:
        advance(1)


def test_purge_deletes_what_a_removed_destination_has_left(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("purge", left, "--destination", "Statsig", "--yes") == 0
    assert "1 events deleted" in capsys.readouterr().out
    assert spool("purge", left, "--destination", "Removed", "--yes") == 0
    assert "0 events deleted" in capsys.readouterr().out

    assert [event.destination for event in inspection.list_events(left)] == ["Amplitude"]
    assert spool("purge", left, "--destination", "Amplitude", "--yes") == 0
    assert "3 events deleted" in capsys.readouterr().out
    assert list(left.iterdir()) == []


def test_purge_of_a_destination_has_to_be_confirmed(left: Path) -> None:
    assert spool("purge", left, "--destination", "Statsig") == 2

    assert len(list(inspection.list_events(left))) == 2


def test_ls_shows_what_no_running_program_has(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("ls", left) == 0

    assert "in no running program: Amplitude 1, Statsig 1" in capsys.readouterr().out
