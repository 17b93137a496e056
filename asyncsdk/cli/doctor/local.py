"""What is on this machine: versions, and the folder of the spool."""

import platform
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile

from asyncsdk._version import __version__
from asyncsdk.cli.doctor.findings import Finding
from asyncsdk.stores import SqliteSpool
from asyncsdk.stores.inspection import SpoolFile, list_files

_PACKAGES = ("aiohttp", "orjson", "attrs", "isal", "uvloop")


def check_versions() -> Finding:
    """Return the versions that a report of a fault should name."""
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:  # pragma: no cover -- the extras of the tests' environment are installed
            continue
    return Finding("ok", "versions", f"asyncsdk {__version__}, Python {platform.python_version()}, {', '.join(found)}")


def check_spool(folder: Path, keep_free: int | None = None) -> Iterator[Finding]:
    """Yield what is found in the folder of a spool; no file is left there.

    Args:
        folder: The folder.
        keep_free: Bytes of the disk that the spool leaves free; None takes its default.
    """
    if folder.exists() and not folder.is_dir():
        yield Finding("failure", "spool", f"{folder} is not a folder", "Pass a folder of this machine.")
        return
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with TemporaryFile(dir=existing):
            files, free = list(list_files(existing)), shutil.disk_usage(existing).free
    except OSError as error:
        advice = "Give this user the right to read and write there, or choose another folder."
        yield Finding("failure", "spool", f"{existing}: {error.strerror}", advice)
        return
    if existing != folder:
        yield Finding("ok", "spool", f"{folder} does not exist yet, and the client creates it")
        files = []
    else:
        yield Finding("ok", "spool", f"{folder} can be written")
    least = SqliteSpool(folder).keep_free if keep_free is None else keep_free
    if free < least:
        advice = "The spool counts as full: free some, or choose another disk."
        yield Finding(
            "failure", "spool disk", f"{free / 1e6:,.0f} MB are free, and {least / 1e6:,.0f} are kept", advice
        )
    else:
        yield Finding("ok", "spool disk", f"{free / 1e6:,.0f} MB are free")
    yield from _check_files(files)


def _check_files(files: list[SpoolFile]) -> Iterator[Finding]:
    for file in files:
        if file.problem:
            advice = "The spool leaves it as it is: see `asyncsdk spool ls`."
            yield Finding("warning", "spool file", f"{file.name}: {file.problem}: {file.reason}", advice)
    waiting, dead = Counter[str](), Counter[str]()
    for file in files:
        waiting.update(file.waiting)
        dead.update(file.dead)
    if any(waiting.values()):
        is_idle = not any(file.in_use for file in files)
        advice = "No program uses the folder: the next one that does delivers them." if is_idle else ""
        yield Finding("warning" if is_idle else "ok", "spool events", f"waiting: {_counts(waiting)}", advice)
    if any(dead.values()):
        advice = "See why with `asyncsdk spool show --dead`, and send them again with `asyncsdk spool replay`."
        yield Finding("warning", "spool dead letters", _counts(dead), advice)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)
