"""Mutation tests: the promises of the spool are broken one at a time, and a test must fail each time."""

import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]


@attrs.frozen
class Mutant:
    """A mistake in the package, and the tests that must detect it.

    Attributes:
        file: A file of the package.
        right: Its code; must occur once.
        wrong: The mistake, in place of `right`.
        detected_by: A file or folder of tests, at least one of which must fail.
    """

    file: str
    right: str
    wrong: str
    detected_by: str


MUTANTS = {
    "acknowledge before the vendor has answered": Mutant(
        "_delivery/spool/spooler.py",
        "reader.accept_block(records, result.file, row)\n",
        "reader.accept_block(records, result.file, row)\n                self._pending_acks.add(records)\n",
        "client/spool",
    ),
    "acknowledge events that no vendor has accepted": Mutant(
        "_delivery/spool/spooler.py", '("spooled", "abandoned")', '("abandoned",)', "client/spool"
    ),
    "do not sync each commit": Mutant(
        "stores/sqlite/schema.py",
        "PRAGMA synchronous=FULL",
        "PRAGMA synchronous=NORMAL",
        "stores/test_spool_faults.py",
    ),
    "adopt files without locking them": Mutant(
        "stores/sqlite/file_lock.py",
        "fcntl.flock(descriptor, how)",
        "pass",
        "stores/test_spool_files.py",
    ),
    "let one caller's cancellation cancel the others": Mutant(
        "_delivery/spool/spooler.py",
        "waiter = asyncio.get_running_loop().create_future()",
        "waiter = (self._open.waiters or [asyncio.get_running_loop().create_future()])[0]",
        "client/spool",
    ),
    "follow redirects": Mutant(
        "_transport.py", "allow_redirects=False", "allow_redirects=True", "client/test_transport.py"
    ),
    "do not verify checksums": Mutant(
        "_model/blocks.py",
        " or zlib.crc32(memoryview(data)[_CHECKED_FROM:]) != checksum",
        "",
        "model/test_model_blocks.py",
    ),
    "let new events overtake those on disk": Mutant(
        "_delivery/spool/reader.py",
        "if self.backlog or self._is_closing or",
        "if self._is_closing or",
        "client/spool",
    ),
    "send settled records again": Mutant(
        "_delivery/spool/positions.py", "if not done >> position & 1", "", "delivery/test_positions.py"
    ),
    "send a vendor's events to the dev server": Mutant(
        "_delivery/spool/setting.py", 'DEV_SUFFIX = " (dev server)"', 'DEV_SUFFIX = ""', "client/spool"
    ),
    "do not keep dead letters": Mutant(
        "_delivery/spool/spooler.py",
        'if status not in ("delivered", "enqueued"):',
        'if status == "spooled":',
        "client/spool",
    ),
    "write to a file again after a failed sync": Mutant(
        "stores/sqlite/files.py",
        "            self._open_files.retire()\n",
        "            pass\n",
        "stores/test_spool_faults.py",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_fits_the_code(name: str) -> None:
    mutant = MUTANTS[name]

    assert (ROOT / "asyncsdk" / mutant.file).read_text().count(mutant.right) == 1
    assert (ROOT / "tests" / mutant.detected_by).exists()


@pytest.mark.torture
@pytest.mark.process
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_detected(name: str, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    for folder in ("asyncsdk", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "asyncsdk" / mutant.file
    path.write_text(path.read_text().replace(mutant.right, mutant.wrong))

    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"tests/{mutant.detected_by}"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, timeout=280, check=False
    )

    assert done.returncode == 1, f"{mutant.detected_by} did not detect it\n{done.stdout.decode()[-2000:]}"
