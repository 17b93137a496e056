"""`asyncsdk doctor --spool`: what it finds in the folder of a spool."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stores.spools import Process, block, dead

from asyncsdk.cli.doctor.findings import Finding
from asyncsdk.cli.doctor.local import check_spool
from asyncsdk.dev import DevServer
from cli.doctor.run import doctor, states


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    yield Process(tmp_path)
    Process.kill_all()


def found(folder: Path, keep_free: int | None = None) -> dict[str, tuple[str, str]]:
    def shown(finding: Finding) -> tuple[str, str]:
        return finding.state, finding.text

    return {finding.check: shown(finding) for finding in check_spool(folder, keep_free)}


def test_a_folder_that_is_not_there_is_created_later(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"

    assert found(folder, 0)["spool"] == ("ok", f"{folder} does not exist yet, and the client creates it")
    assert not folder.parent.exists()


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert found(tmp_path / "file") == {"spool": ("failure", f"{tmp_path / 'file'} is not a folder")}


def test_a_folder_that_cannot_be_written_is_said() -> None:
    [(state, text)] = found(Path("/proc/self/spool")).values()

    assert (state, text.startswith("/proc/self: ")) == ("failure", True)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    state, text = found(tmp_path, 10**18)["spool disk"]

    assert (state, text.endswith(" MB are free, and 1,000,000,000,000 are kept")) == ("failure", True)


def test_events_that_wait_for_a_running_program_are_counted(process: Process, tmp_path: Path) -> None:
    process.store(block("a", "b"), block("c", destination="Statsig"))

    assert found(tmp_path / "spool", 0)["spool events"] == ("ok", "waiting: Amplitude 2, Statsig 1")


def test_events_that_wait_for_no_program_are_a_warning(process: Process, tmp_path: Path) -> None:
    process.store(block("a"))
    process.kill()

    assert found(tmp_path / "spool", 0)["spool events"] == ("warning", "waiting: Amplitude 1")


def test_dead_letters_are_a_warning(process: Process, tmp_path: Path) -> None:
    process.give_up(dead("x", "y"))

    assert found(tmp_path / "spool", 0)["spool dead letters"] == ("warning", "Amplitude 2")


def test_foreign_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "shop-1-0123456789ab.db").write_text("not a database")

    state, text = found(tmp_path, 0)["spool file"]

    assert (state, text.startswith("shop-1-0123456789ab.db: ")) == ("warning", True)


@pytest.mark.parametrize("is_option", [True, False])
def test_the_command_examines_the_folder(
    healthy: DevServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_option: bool,
) -> None:
    if not is_option:
        monkeypatch.setenv("ASYNCSDK_SPOOL", str(tmp_path))

    results = doctor(capsys, *(["--spool", str(tmp_path)] if is_option else []))

    assert states(results, "spool") == ["ok"]
