"""The command line, apart from its subcommands."""

import runpy
import subprocess
import sys
from types import SimpleNamespace

import pytest

import asyncsdk
from asyncsdk.cli import main


def command(run: object) -> SimpleNamespace:
    return SimpleNamespace(SUMMARY="does something", configure=lambda _: None, run=run)


def test_without_a_command_it_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0

    assert "demo" in capsys.readouterr().out


def test_it_knows_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--version"])

    assert exited.value.code == 0
    assert capsys.readouterr().out == f"asyncsdk {asyncsdk.__version__}\n"


def test_an_unknown_command_is_rejected_with_a_list_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["dmo"])

    assert exited.value.code == 2
    assert "demo" in capsys.readouterr().err


def test_the_exit_code_is_the_commands() -> None:
    assert main(["try"], {"try": command(lambda _: 7)}) == 7


def test_an_interrupt_ends_a_command_without_a_traceback() -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    assert main(["try"], {"try": command(interrupted)}) == 130


def test_a_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--help"])

    assert "Exit code: 0 if everything adds up" in capsys.readouterr().out


def test_the_package_runs_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["asyncsdk"])

    with pytest.raises(SystemExit) as exited:
        runpy.run_module("asyncsdk", run_name="__main__")

    assert exited.value.code == 0


@pytest.mark.process
def test_the_demo_adds_up_in_a_process_of_its_own() -> None:
    ran = subprocess.run([sys.executable, "-m", "asyncsdk", "demo"], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "All 363 events are accounted for" in " ".join(ran.stdout.split())
    assert "7/7  the shop closes with events queued" in ran.stderr
