"""An integration whose package is missing says how to install it."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from asyncsdk.integrations._extras import PACKAGES, needs_extra

ROOT = Path(__file__).parents[2]
# Module, the missing package, and the extra that has it.
CASES = [
    ("starlette", "starlette", "starlette"),
    ("fastapi", "fastapi", "fastapi"),
    ("fastapi", "starlette", "fastapi"),
    ("openfeature", "openfeature", "openfeature"),
    ("opentelemetry", "opentelemetry", "otel"),
]
PROGRAM = """
import importlib, sys
for module, package, _ in {cases}:
    loaded = set(sys.modules)
    sys.modules[package] = None
    try:
        importlib.import_module(f"asyncsdk.integrations.{{module}}")
    except ModuleNotFoundError as error:
        print(error)
    for name in {{*sys.modules}} - loaded | {{package}}:
        if name.partition(".")[0] in ("asyncsdk", package):
            sys.modules.pop(name)
"""


def test_a_missing_package_names_the_extra() -> None:
    command = [sys.executable, "-c", PROGRAM.format(cases=CASES)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=ROOT)

    assert ran.stdout.splitlines() == [
        f"{package} is not installed: pip install 'asyncsdk[{extra}]'" for _, package, extra in CASES
    ]


@pytest.mark.parametrize("extra", PACKAGES)
def test_the_name_of_the_module_is_kept(extra: str) -> None:
    package = PACKAGES[extra][0]

    with pytest.raises(ModuleNotFoundError, match=re.escape(f"asyncsdk[{extra}]")) as caught, needs_extra(extra):
        raise ModuleNotFoundError("no", name=f"{package}.part")

    assert caught.value.name == f"{package}.part"


def test_another_missing_package_is_another_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'nothing'"), needs_extra("otel"):
        importlib.import_module("nothing")


def test_the_extras_are_those_of_the_project() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    for extra, packages in PACKAGES.items():
        assert any(re.split(r"[->]", required)[0] in packages for required in extras[extra])
