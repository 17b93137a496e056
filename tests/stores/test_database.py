"""One file of a spool, by itself."""

import re
import sys
from pathlib import Path

import pytest

from asyncsdk.stores.sqlite.database import Database
from asyncsdk.stores.sqlite.rows import NewRow

MEGABYTE = 2**20


def bytes_read() -> int:
    """Return how many bytes this process has read so far, cached or not."""
    found = re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text(encoding="ascii"))
    assert found
    return int(found[1])


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("count", ["count_bytes", "count_events"])
def test_counting_reads_no_bodies(tmp_path: Path, count: str) -> None:
    database = Database(tmp_path / "spool.db", "create")
    database.insert([NewRow("Amplitude", 1, bytes(MEGABYTE)) for _ in range(32)])
    database.close()
    database = Database(tmp_path / "spool.db")
    before = bytes_read()

    assert getattr(database, count)() == {"Amplitude": 32 * (MEGABYTE if count == "count_bytes" else 1)}
    assert bytes_read() - before < 4 * MEGABYTE
    database.close()
