"""`asyncsdk diff` in several processes: the same result, and nothing left behind."""

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from rules.rulesets import loaded

from asyncsdk.cli import main
from asyncsdk.cli._users import NamedUser, read_user
from asyncsdk.cli.diff import compare, helpers
from asyncsdk.cli.diff.helper import serve
from asyncsdk.cli.diff.tasks import Circumstances
from cli.diff_rules import OLD, USERS, edited

NEW = edited(
    ("feature_gates", "holdout", 0, "passPercentage", 60),
    ("feature_gates", "staff", 0, "returnValue", False),
    ("dynamic_configs", "prices", 0, "returnValue", {"currency": "BTC"}),
)
NEW["param_stores"]["store"]["parameters"] = {
    "hue": {"ref_type": "gate", "gate_name": "checkout", "pass_value": 1, "fail_value": [2]},
    "size": {"ref_type": "layer", "layer_name": "home", "param_name": "size"},
    "gone": {"ref_type": "experiment", "experiment_name": "missing", "param_name": "x"},
}


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    for name, body in (("old", OLD), ("new", NEW), ("users", USERS)):
        (tmp_path / f"{name}.json").write_bytes(orjson.dumps(body))
    return [
        "diff",
        *(str(tmp_path / f"{name}.json") for name in ("old", "new")),
        "--users",
        str(tmp_path / "users.json"),
    ]


def planned() -> compare.Plan:
    context = Circumstances(0).shared_context()
    old, new = (loaded(orjson.dumps(one), context) for one in (OLD, NEW))
    users = [NamedUser(str(fields["userID"]), read_user(fields)) for fields in USERS]
    return compare.plan((old, new), users, lambda _: True, 3)


@pytest.mark.parametrize("output", [[], ["--json"]], ids=["text", "json"])
def test_any_number_of_jobs_prints_the_same(
    output: list[str], command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for jobs in ("1", "2", "3"):
        assert main([*command, *output, "--jobs", jobs]) == 1
        printed.append(capsys.readouterr())

    assert "store" in printed[0].out
    assert printed[0] == printed[1] == printed[2]


def test_tasks_of_a_helper_that_cannot_start_are_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    found = planned().run(Circumstances(0), 2, lambda _: None)

    assert found == planned().run(Circumstances(0), 1, lambda _: None)


def test_tasks_of_a_helper_that_fails_are_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    found = planned().run(Circumstances(0), 2, lambda _: None)

    assert found == planned().run(Circumstances(0), 1, lambda _: None)


def test_a_comparison_that_is_given_up_ends_its_helpers() -> None:
    plan = planned()
    answers = helpers.compare_in_helpers(plan.comparer, Circumstances(0), dict(enumerate(plan.tasks)), 2)

    assert next(answers)
    answers.close()

    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # it has no children, not even ended ones


def test_a_helper_answers_until_its_questions_end() -> None:
    plan, answers = planned(), io.BytesIO()
    setup = plan.comparer.pack(), Circumstances(0)

    serve(io.BytesIO(b"".join(map(pickle.dumps, (setup, plan.tasks[:2], plan.tasks[2:])))), answers)

    answers.seek(0)
    first, rest = pickle.load(answers), pickle.load(answers)  # noqa: S301 -- what `serve` wrote
    assert first + rest == [plan.comparer.compare(task) for task in plan.tasks]


def test_it_uses_the_processors_that_it_may() -> None:
    assert 1 <= helpers.cpus() <= (os.cpu_count() or 1)


def test_a_script_without_a_main_guard_can_run_it(command: list[str], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"from asyncsdk.cli import main\nprint('code', main({[*command, '--jobs', '2']!r}))\n")

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)

    assert (done.stdout.count("code 1"), done.stderr) == (1, "")


def test_less_than_one_job_is_one_line_and_exit_code_2(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--jobs", "0"]) == 2

    assert capsys.readouterr().err == "asyncsdk diff: --jobs is a number of processes, at least 1\n"
