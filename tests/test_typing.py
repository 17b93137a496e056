"""Type checkers accept the public surface as its users write it: `tests/typing`, and the Python of the pages."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest
from readme.pages import EVENTS, INTEGRATIONS, LOOKUPS, README, ROOT, blocks

import asyncsdk

TYPING = Path(__file__).parent / "typing"


def test_every_public_name_is_used_as_a_user_would() -> None:
    used = set(re.findall(r"\w+", (TYPING / "api.py").read_text()))

    assert set(asyncsdk.__all__) - used == {"__version__"}


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.parametrize("checker", ["pyright", "basedpyright"])
def test_strict_pyright_accepts_what_users_write(tmp_path: Path, checker: str) -> None:
    _write_blocks(tmp_path)
    shutil.copytree(TYPING, tmp_path / "typing_")  # pyright checks only what is below its settings
    settings = {"extraPaths": [str(ROOT)], "pythonVersion": "3.11", "typeCheckingMode": "strict"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))

    found = _check([checker, "--pythonpath", sys.executable, "-p", str(tmp_path)], at=tmp_path)

    assert found.returncode == 0, found.stdout


@pytest.mark.process
@pytest.mark.timeout(120)
def test_mypy_accepts_the_python_of_the_pages(tmp_path: Path) -> None:
    found = _check(["mypy", "--strict", "--config-file=", *_write_blocks(tmp_path)], at=ROOT)

    assert found.returncode == 0, found.stdout


# A block that goes on from a client is checked as a function; what would be global there is local here, and unused.
AFTER_A_CLIENT = """# pyright: reportUnusedVariable=false
from asyncsdk import Client


async def page(client: Client) -> None:
"""


# Django has no types; Quart's documented `app.asgi_app = ...` assigns to a method.
UNTYPED = re.compile("^from (django|quart)", re.MULTILINE)


def _write_blocks(folder: Path) -> list[str]:
    """Write each block of Python as a module; return the files."""
    typed = [block for block in blocks(INTEGRATIONS) if "import Client" in block and not UNTYPED.search(block)]
    modules = blocks(README) + typed
    modules += [AFTER_A_CLIENT + indent(block, "    ") for page in (LOOKUPS, EVENTS) for block in blocks(page)]
    files = [folder / f"block_{number}.py" for number in range(len(modules))]
    for file, module in zip(files, modules, strict=True):
        file.write_text(module)
    return [str(file) for file in files]


def _check(command: list[str], at: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", *command]
    return subprocess.run(arguments, cwd=at, capture_output=True, text=True, check=False, timeout=120)
