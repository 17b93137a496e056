"""What type checkers say to programs that use the generated module: right ones pass, every mistake is an error.

Each checker runs once, over all modules and programs.
"""

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from helpers import ruleset
from readme.pages import ROOT

from cli.codegen.projects import ODD_NAMES, PLAN, module_of, odd_plan, odd_ruleset

PROGRAMS = Path(__file__).parent / "programs"
CHECKERS = {
    "mypy": ["-m", "mypy", "--strict", "--config-file=", "--cache-dir=.mypy"],
    "pyright": ["-m", "pyright", f"--pythonpath={sys.executable}"],
    "ty": ["-m", "ty", "check", f"--python={sys.prefix}", f"--extra-search-path={ROOT}", "--output-format=concise"],
}
# The file and line of an error, in the output of any of them.
ERROR = re.compile(r"(\w+\.py):(\d+)(?::\d+)?:? (?:- )?error")
GATES = [f"gate_{number}" for number in range(2_000)]
TYPES = ("Any", "NotRequired", "bool", "date", "float", "list", "str")
ODD = [name for name in ODD_NAMES if name]  # pyright knows no parameters without a name

Findings = dict[str, set[int]]

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def _modules() -> dict[str, str]:
    return {
        "app_flags.py": module_of(ruleset(), PLAN),
        "odd_names.py": module_of(odd_ruleset(ODD[::4]), odd_plan(ODD[1::4])),
        "names_of_types.py": module_of(
            {"dynamic_configs": {"a": {"defaultValue": dict.fromkeys(TYPES, 1) | {"list": [], "str": ""}}}},
            {"Booked": {"properties": {name: {"type": "string", "format": "date"} for name in TYPES}}},
        ),
        "without_names.py": module_of({"feature_gates": {}}, {"events": []}),
        "many_gates.py": module_of({"feature_gates": {name: {} for name in GATES}}),
        "many_calls.py": "\n".join(
            [
                "from many_gates import AppFlags",
                "def use(flags: AppFlags) -> None:",
                *(f"    flags.check_gate('{name}')" for name in GATES),
                "    flags.check_gate('gate')",
            ]
        ),
    }


@pytest.fixture(scope="module", params=CHECKERS)
def findings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """The lines with errors, by file."""
    if request.param == "ty":
        pytest.importorskip("ty", reason="ty has no build for this platform")
    folder = tmp_path_factory.mktemp(request.param)
    shutil.copytree(PROGRAMS, folder, dirs_exist_ok=True)
    for name, text in _modules().items():
        (folder / name).write_text(text)
    settings = {"extraPaths": [str(ROOT)], "pythonVersion": "3.11", "typeCheckingMode": "strict"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    files = sorted(file.name for file in folder.glob("*.py"))
    ran = subprocess.run(
        [sys.executable, *CHECKERS[request.param], *files],
        cwd=folder, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    print(ran.stdout, ran.stderr)  # noqa: T201 -- shown if a test fails
    found: Findings = defaultdict(set)
    for file, line in ERROR.findall(ran.stdout):
        found[file].add(int(line))
    return found


@pytest.mark.parametrize(
    "file", ["app_flags.py", "odd_names.py", "names_of_types.py", "without_names.py", "many_gates.py"]
)
def test_checkers_accept_a_generated_module(findings: Findings, file: str) -> None:
    assert findings[file] == set()


def test_checkers_accept_a_right_program(findings: Findings) -> None:
    assert findings["right.py"] == set()


def test_checkers_refuse_every_mistake(findings: Findings) -> None:
    lines = (PROGRAMS / "wrong.py").read_text().splitlines()
    first = next(number for number, line in enumerate(lines, 2) if line.startswith("async def wrong"))

    assert findings["wrong.py"] == set(range(first, len(lines) + 1))


def test_checkers_find_one_misspelt_gate_among_2_000(findings: Findings) -> None:
    assert findings["many_calls.py"] == {len(GATES) + 3}
