"""The command `asyncsdk codegen`: its sources, what it writes, and `--check`."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import ruleset

from asyncsdk.cli import main
from asyncsdk.dev import DevServer
from cli.codegen.projects import PLAN, module_of

Codegen = Callable[..., tuple[int, str]]


@pytest.fixture
def codegen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Codegen:
    """Run the command in a folder with rules and a plan; give the exit code and what was printed."""
    for name in ("STATSIG_SECRET_KEY", "ASYNCSDK_DEV_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.json").write_bytes(ruleset())
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))

    def run(*arguments: str) -> tuple[int, str]:
        code = main(["codegen", *arguments])
        return code, "".join(capsys.readouterr())

    return run


def test_it_writes_the_module_of_a_file(codegen: Codegen, tmp_path: Path) -> None:
    assert codegen("rules.json", "-o", "app_flags.py") == (0, "wrote app_flags.py\n")

    command = "asyncsdk codegen rules.json -o app_flags.py"
    assert (tmp_path / "app_flags.py").read_text() == module_of(ruleset(), command=command)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["app_flags.py", "plan.json", "rules.json"]


def test_without_an_output_it_prints_the_module(codegen: Codegen) -> None:
    assert codegen("rules.json", "--plan", "plan.json") == (
        0,
        module_of(ruleset(), PLAN, "asyncsdk codegen rules.json --plan plan.json"),
    )


def test_a_plan_needs_no_rules(codegen: Codegen) -> None:
    assert codegen("--plan", "plan.json") == (0, module_of(None, PLAN, "asyncsdk codegen --plan plan.json"))


def test_an_unchanged_module_is_not_written_again(codegen: Codegen, tmp_path: Path) -> None:
    codegen("rules.json", "-o", "app_flags.py")
    before = (tmp_path / "app_flags.py").stat().st_mtime_ns

    assert codegen("rules.json", "-o", "app_flags.py") == (0, "app_flags.py is up to date\n")
    assert (tmp_path / "app_flags.py").stat().st_mtime_ns == before


def test_a_check_passes_however_the_same_source_is_spelt(codegen: Codegen, tmp_path: Path) -> None:
    codegen("rules.json", "-o", "app_flags.py")

    assert codegen(str(tmp_path / "rules.json"), "--check", "-o", "app_flags.py") == (0, "app_flags.py is up to date\n")


@pytest.mark.parametrize("current", [b"", b"\xff", None])
def test_a_check_fails_for_a_stale_module_and_writes_nothing(
    codegen: Codegen, tmp_path: Path, current: bytes | None
) -> None:
    file = tmp_path / "app_flags.py"
    if current is not None:
        file.write_bytes(current)

    code, printed = codegen("rules.json", "--check", "-o", "app_flags.py")

    assert (code, "run the command without --check" in printed) == (1, True)
    assert (file.read_bytes() if file.exists() else None) == current


async def _generate(codegen: Codegen, *arguments: str) -> tuple[int, str]:
    return await asyncio.to_thread(codegen, *arguments)


async def test_a_running_dev_server_is_a_source(codegen: Codegen) -> None:
    async with DevServer(ruleset=json.loads(ruleset())) as dev:
        code, printed = await _generate(codegen, dev.url)

    assert (code, printed) == (0, module_of(ruleset(), command=f"asyncsdk codegen {dev.url}"))


async def test_statsig_is_asked_with_the_key_of_the_environment(
    codegen: Codegen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DevServer(ruleset=json.loads(ruleset())) as dev:
        monkeypatch.setenv("ASYNCSDK_DEV_SERVER", dev.url)
        monkeypatch.setenv("STATSIG_SECRET_KEY", "secret-of-mine")
        code, printed = await _generate(codegen, "statsig")
        [request] = dev.requests

    assert (code, printed) == (0, module_of(ruleset(), command="asyncsdk codegen statsig"))
    assert "secret-of-mine" in request.path


async def test_a_refused_key_is_said(codegen: Codegen) -> None:
    async with DevServer() as dev:
        dev.script("statsig-rules", 401)
        code, printed = await _generate(codegen, dev.url)

    assert (code, printed) == (2, f"{dev.url}: no rules: status 401; check STATSIG_SECRET_KEY\n")


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], "codegen needs a source of rules"),
        (["rules.json", "--check"], "--check needs -o"),
        (["none.json"], "none.json: No such file or directory"),
        (["plan.json"], "plan.json: not a ruleset: a ruleset has at least one of"),
        (["no_updates.json"], "no_updates.json: it has no rules"),
        (["--plan", "none.json"], "none.json: No such file or directory"),
        (["--plan", "rules.json"], "rules.json: not a tracking plan that can be read: "),
        (
            ["--plan", "plan.yaml"],
            "plan.yaml: not JSON; export it as JSON",
        ),
        (["--plan", "broken.json"], "broken.json: not JSON: "),
        (["--plan", "plan.json", "--plan", "plan.json"], "plan.json: another plan has the event 'Opened', too"),
        (["statsig"], "statsig: set STATSIG_SECRET_KEY to the project's server secret key"),
        (["http://127.0.0.1:9/?secret"], "http://127.0.0.1:9/: no rules: "),
        (["http://user:word@127.0.0.1:9"], "http://127.0.0.1:9: `specs_url` of Rules"),
        (["rules.json", "-o", "none/app_flags.py"], "none/app_flags.py: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    codegen: Codegen, tmp_path: Path, arguments: list[str], printed: str
) -> None:
    (tmp_path / "no_updates.json").write_text('{"has_updates": false}')
    (tmp_path / "plan.yaml").write_text("version: rudder/v1")
    (tmp_path / "broken.json").write_text("{")

    code, said = codegen(*arguments)

    assert (code, said[: len(printed)], said.count("\n")) == (2, printed, 1)


def test_a_wrong_key_is_said(codegen: Codegen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATSIG_SECRET_KEY", "")
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", "http://example.com")

    code, said = codegen("statsig")

    assert (code, said.startswith("statsig: ASYNCSDK_DEV_SERVER must be")) == (2, True)
