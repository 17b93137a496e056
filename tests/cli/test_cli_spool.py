"""`asyncsdk spool`: what it says of a folder, and what it leaves alone."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stores.spools import Process, block, dead

from asyncsdk.cli import main
from asyncsdk.cli._progress import bar
from asyncsdk.stores import inspection


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    yield
    Process.end_all()


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A folder in which a process has died: three events wait, one of them is settled, and two are dead."""
    process = Process(tmp_path)
    kept = process.keep(block("a", "b"), block("c", destination="Statsig"))
    process.settle(kept.file, progress={1: 0b01})
    process.bury(dead("x", "y"))
    process.die()
    return tmp_path / "spool"


@pytest.fixture
def in_use(tmp_path: Path) -> Iterator[Path]:
    """A folder that a process works in."""
    process = Process(tmp_path)
    process.keep(block("a", "b"))
    process.bury(dead("x"))
    yield tmp_path / "spool"
    process.die()


def spool(*arguments: object) -> int:
    return main(["spool", *map(str, arguments)])


def test_ls_counts_what_waits_and_what_is_dead(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("ls", left) == 0

    assert "left" in (out := capsys.readouterr().out)
    assert "Amplitude 1, Statsig 1, Amplitude 2 dead" in out


def test_a_file_in_use_is_read_from_a_copy(in_use: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("ls", in_use) == 0

    assert "in use" in (out := capsys.readouterr().out)
    assert "Amplitude 2, Amplitude 1 dead" in out


def test_a_copy_is_made_again_when_the_file_changes_meanwhile(in_use: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, copied = shutil.copyfile, []

    def meddle(source: Path, target: Path) -> None:
        copy(source, target)
        copied.append(source.name)
        if len(copied) < 3:
            os.utime(source, ns=(len(copied), len(copied)))

    monkeypatch.setattr(shutil, "copyfile", meddle)

    assert [event.id for event in inspection.list_events(in_use)] == ["a", "b"]
    assert len(copied) > 3
    monkeypatch.setattr(inspection, "_MAX_COPIES", 0)
    with pytest.raises(FileNotFoundError):
        list(inspection.list_files(in_use / "nothing")) or inspection._copy(in_use / "no.db", in_use).stat()


def test_a_file_in_use_is_never_changed(in_use: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("replay", in_use) == spool("purge", in_use, "--all", "--yes") == 0

    assert "0 of 1 dead letters" in (out := capsys.readouterr().out)
    assert "0 events deleted" in out


def test_show_names_events_and_not_what_is_in_them(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool("show", left)
    waiting = capsys.readouterr().out
    spool("show", left, "--dead", "--limit", 1)
    gone = capsys.readouterr().out

    assert [line.split()[3] for line in waiting.splitlines()] == ["b", "c"]
    assert "rejected: status 400" in gone
    assert "and more" in gone


def test_where_nothing_waits_the_dead_letters_are_pointed_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = Process(tmp_path)
    process.bury(dead("x", "y"))
    process.die()

    spool("show", tmp_path / "spool")

    assert capsys.readouterr().out == "nothing waits; 2 dead letters: see --dead\n"


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("ls", tmp_path) == spool("show", tmp_path) == spool("show", tmp_path, "--dead") == 0

    said = f"there is no file of a spool in {tmp_path}\nnothing waits\nthere are no dead letters\n"
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


def test_replayed_dead_letters_are_found_by_the_next_program(left: Path) -> None:
    spool("replay", left)

    assert sorted(Process(left.parent).find()) == ["b", "x", "y"]
    assert list(inspection.list_events(left, dead=True)) == []


def test_replaying_nothing_makes_no_file(left: Path) -> None:
    spool("purge", left, "--yes")
    assert spool("replay", left) == 0
    assert len(list(left.glob("*.db"))) == 1
    spool("purge", left, "--all", "--yes")

    assert spool("replay", left) == 0
    assert list(left.glob("*.db")) == []


def test_purge_deletes_dead_letters_only_unless_told_otherwise(left: Path) -> None:
    assert spool("purge", left) == 2
    assert spool("purge", left, "--yes") == 0
    assert [event.id for event in inspection.list_events(left)] == ["b", "c"]
    assert list(inspection.list_events(left, dead=True)) == []


def test_what_is_purged_is_not_in_the_file_any_more(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.keep(block("waits"))
    process.bury(dead("Ada", size=100_000), dead("Grace"))
    process.die()

    spool("purge", tmp_path / "spool", "--yes")

    [database] = (tmp_path / "spool").glob("*.db")
    content = database.read_bytes()
    assert b"waits" in content
    assert b"Ada" not in content
    assert b"xxxx" not in content
    assert b"Grace" not in content


def test_damaged_blocks_are_left_out(left: Path) -> None:
    process = Process(left.parent)
    [adopted] = process.adopt()
    process.files._open_files.by_number[adopted.file].database._connection.execute(
        "UPDATE block SET body = x'00' WHERE id = 1"
    )
    process.die()

    assert [event.id for event in inspection.list_events(left)] == ["c"]


def test_a_folder_that_is_none_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool("ls", tmp_path / "nothing") == 2
    assert "is no folder" in capsys.readouterr().err


def test_without_rich_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with bar("work", 2) as advance:
        advance(1)
