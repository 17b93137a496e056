"""`asyncsdk spool` in any folder: one line for a file that is not the spool's, and the others as usual."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from stores.foreign import NAME, SHAPES, take_state
from stores.spools import Process, block, dead

from asyncsdk.cli import main


@pytest.fixture(autouse=True)
def _kill_all_processes() -> Iterator[None]:
    yield
    Process.kill_all()


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder of a process that was killed."""
    process = Process(tmp_path)
    process.store(block("a"))
    process.give_up(dead("x"))
    process.kill()
    return tmp_path / "spool"


def spool(*arguments: object) -> int:
    return main(["spool", *map(str, arguments)])


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ("a database", "foreign"),
        ("a database with our mark and version", "foreign"),
        ("a link to nothing", "foreign"),
        ("a named pipe", "foreign"),
        ("a folder", "foreign"),
        ("a newer version", "newer"),
        ("our tables without our mark", "older"),
        ("bytes", "damaged"),
        ("an empty file", "empty"),
    ],
)
def test_ls_has_a_line_for_each_file(left: Path, shape: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    SHAPES[shape](left)

    assert spool("ls", left) == 0
    out = capsys.readouterr().out
    assert [line.split()[1] for line in out.splitlines()[1:3]] in ([problem, "idle"], ["idle", problem])
    assert "Amplitude 1, Amplitude 1 dead" in out


@pytest.mark.parametrize("verb", ["show", "export", "replay", "purge --yes"])
def test_other_verbs_name_what_they_leave_out(left: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    SHAPES["bytes"](left)

    assert spool(*verb.split(), left) == 0
    assert f"{NAME}.db: damaged, or not a database" in capsys.readouterr().err


def test_commands_that_look_change_nothing(left: Path) -> None:
    before = take_state(left)
    for verb in ("ls", "show", "show --dead", "export", "export --dead"):
        spool(*verb.split(), left)

    assert take_state(left) == before


def test_a_name_cannot_control_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a\x1b[2J\n\u202e.db").touch()
    spool("ls", tmp_path)
    out = capsys.readouterr().out

    assert "a\\x1b[2J\\n\\u202e.db" in out
    assert "\x1b" not in out


def test_an_event_cannot_control_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Process(tmp_path).store(block("\x1b[2J\x9b", destination="Amp\nlitude"))
    spool("show", tmp_path / "spool")
    shown = capsys.readouterr().out
    spool("export", tmp_path / "spool")
    exported = capsys.readouterr().out

    assert all(c.isprintable() for c in shown.rstrip("\n") + exported.rstrip("\n"))
    assert json.loads(exported)["id"] == "\x1b[2J\x9b"


def test_rows_of_another_type_leave_the_other_files_as_usual(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(left.parent)
    process.store(block("b"))
    process.files._open_files.by_number[1].database._connection.execute("UPDATE block SET events = 'many'")
    process.files.close()

    assert spool("ls", left) == 0
    out = capsys.readouterr().out
    assert "damaged" in out
    assert "Amplitude 1, Amplitude 1 dead" in out
