"""`asyncsdk dev`: its arguments, its banner, and the command that it starts."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from asyncsdk.cli import main
from asyncsdk.cli.dev import command
from asyncsdk.cli.dev.child import run_command
from asyncsdk.dev import DevServer

SHOW = "import os, sys; print(os.environ['ASYNCSDK_DEV_SERVER']); sys.exit(7)"
WAIT = "import signal, sys\nfor n in (signal.SIGINT, signal.SIGTERM): signal.signal(n, lambda *_: sys.exit(9))\nsignal.pause()"


def test_a_command_gets_the_address_and_gives_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dev", "--port", "0", "--", sys.executable, "-c", SHOW]) == 7

    out, err = capfd.readouterr()
    assert out.startswith("http://127.0.0.1:")
    assert f"asyncsdk dev   {out.strip()}/" in err
    assert "in memory, at most 50,000 events" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "--port is a number"),
        (["--max-events", "0"], "--max-events is at least 1"),
        (["--sample"], "--sample writes to the file of --ruleset"),
        (["--ruleset", "/nowhere.json"], "the ruleset cannot be served: /nowhere.json: No such file"),
        (["--override", "{"], "is not JSON"),
        (["--override", "[]"], "takes values by name"),
        (["--override", '{"sale": 1}'], "its value is an object"),
        (["--keep", "/nowhere/file.db"], "events cannot be kept"),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dev", "--port", "0", *arguments]) == 2

    err = capsys.readouterr().err
    assert words in err
    assert (err.startswith("asyncsdk dev: "), err.count("\n")) == (True, 1)


def test_users_that_are_no_users_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "users.json").write_text("[]")

    assert main(["dev", "--port", "0", "--users", str(tmp_path / "users.json")]) == 2
    assert "users are an object" in capsys.readouterr().err


def test_a_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with DevServer() as server:
        port = server.url.rpartition(":")[2]
        assert main(["dev", "--port", port]) == 2
    assert port in capsys.readouterr().err


@pytest.mark.parametrize(("name", "code"), [("/nowhere/none", 127), ("/etc", 126)])
def test_a_command_that_cannot_start_is_told(name: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dev", "--port", "0", "--", name]) == code
    assert f"{name} cannot be started" in capsys.readouterr().err


def test_a_command_that_is_killed_ends_as_in_a_shell() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"

    assert main(["dev", "--port", "0", "--", sys.executable, "-c", code]) == 137


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_is_forwarded(tmp_path: Path, number: signal.Signals) -> None:
    running = asyncio.create_task(run_command([sys.executable, "-c", WAIT + f"  # {tmp_path}"], "http://x"))
    async with asyncio.timeout(20):
        while not _is_ready(tmp_path):
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), number)
        assert await running == 9


def _is_ready(marker: Path) -> bool:
    """Return whether the child with this marker waits for its signal."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(marker).encode() in path.read_bytes():
                status = (path.parent / "status").read_text()
                caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
                return bool(caught >> (signal.SIGTERM - 1) & 1)
        except OSError:
            continue
    return False


async def test_without_a_command_a_signal_ends_it() -> None:
    running = asyncio.create_task(run_command([], "http://x"))
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    assert await running == 0


def arguments(*given: str) -> command.argparse.Namespace:
    parser = command.argparse.ArgumentParser()
    command.configure(parser)
    return parser.parse_args(["--port", "0", *given])


async def test_a_sample_is_written_once_and_served(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    given = arguments(
        "--ruleset", str(file), "--sample", "--override", '{"sale": true}', "--users", str(tmp_path / "u")
    )
    async with command.build(given) as server, aiohttp.ClientSession() as http:
        assert str(file) in command.banner(server, given)
        assert "export ASYNCSDK_DEV_SERVER=" in command.banner(server, given)
        async with http.get(f"{server.url}/__dev/overrides") as response:
            (override,) = (await response.json())["overrides"]
    assert (override["name"], override["by"]) == ("sale", "command line")
    file.write_text('{"feature_gates": {}}')
    command.write_sample(file)
    assert json.loads(file.read_text()) == {"feature_gates": {}}


async def test_kept_events_are_there_after_a_restart(tmp_path: Path) -> None:
    given = arguments("--keep", str(tmp_path / "events.db"), "--max-events", "2")
    for round_ in range(2):
        async with command.build(given) as server, aiohttp.ClientSession() as http:
            assert len(server.events) == 2 * round_
            for n in range(3):
                body = {"verb": "track", "user": "ada-1", "name": f"e{n}", "to": ["amplitude"]}
                async with http.post(f"{server.url}/__dev/try", json=body) as response:
                    sent = await response.json()
            report = {"receipts": [{"id": sent["id"], "verb": "track", "vendors": {}}]}
            async with http.post(f"{server.url}/__dev/clients/1", json=report) as response:
                assert response.status == 200
            assert "events.db, at most 2 events" in server.kept
    async with command.build(given) as server, aiohttp.ClientSession() as http:
        assert [event.name for event in server.events] == ["e1", "e2"]
        async with http.get(f"{server.url}/__dev/events/{sent['id']}") as response:
            assert (await response.json())["story"]["verb"] == "track"


def test_the_file_of_another_program_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE mine (a)")
    before = (tmp_path / "other.db").read_bytes()

    assert main(["dev", "--port", "0", "--keep", str(tmp_path / "other.db")]) == 2
    assert "another program wrote it" in capsys.readouterr().err
    assert (tmp_path / "other.db").read_bytes() == before
