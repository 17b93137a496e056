"""The wheel has what the dev server reads at run time: the page, the API's document, the sample ruleset."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "asyncsdk" / "dev" / "page"

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in the wheel, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "asyncsdk", source / "asyncsdk", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("needs hatchling, which pip could not install")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_has_every_file_of_the_page(names: set[str]) -> None:
    files = {file.relative_to(ROOT).as_posix() for file in PAGE.rglob("*") if file.is_file()}

    assert len(files) > 20
    assert files - names == set()


@pytest.mark.parametrize("name", ["dev/control/openapi.json", "examples/shop_ruleset.json", "py.typed"])
def test_the_wheel_has_what_is_read_at_run_time(name: str, names: set[str]) -> None:
    assert f"asyncsdk/{name}" in names
