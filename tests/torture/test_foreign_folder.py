"""Workers that are killed while their spool is a folder with files of the application."""

from pathlib import Path

import pytest
from stores.foreign import SHAPES, take_state

from asyncsdk.dev import DevServer
from torture.oracle import VENDORS
from torture.test_full_spool import kill_workers, missing_after_drain

pytestmark = [pytest.mark.torture, pytest.mark.process]


@pytest.mark.timeout(300)
async def test_kills_lose_nothing_and_change_no_foreign_file(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    for shape in (
        "a database",
        "a database with our mark and version",
        "a lock",
        "ballast",
        "a file called quarantine",
    ):
        SHAPES[shape](folder)
    before = take_state(folder)
    async with DevServer(keep=1_000_000, keep_bytes=10**9) as server:
        promised = await kill_workers(server, folder)
        missing = await missing_after_drain(server, folder, promised, VENDORS)

    assert missing == dict.fromkeys(VENDORS, 0)
    assert take_state(folder) == before
