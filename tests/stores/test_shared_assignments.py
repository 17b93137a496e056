"""`FileAssignments` in one folder for several processes: no save is lost, and none is made without the lock."""

import asyncio
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncsdk.stores import FileAssignments

WRITER = """
import asyncio, sys
from asyncsdk.stores import FileAssignments

async def main(folder, process):
    store = FileAssignments(folder)
    for number in range(40):
        await store.save(f"unit-{number % 3}", f"experiment-{process}-{number}", {"value": True})
        await store.save(f"unit-{number % 3}", "shared", {"by": process} if number % 2 else None)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_four_processes_lose_no_assignment(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n)]) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4

    store = FileAssignments(tmp_path)
    names = {name for number in range(3) for name in await store.load(f"unit-{number}")} - {"shared"}
    assert names == {f"experiment-{process}-{number}" for process in range(4) for number in range(40)}


async def test_two_stores_of_one_process_lose_no_assignment(tmp_path: Path) -> None:
    stores = [FileAssignments(tmp_path), FileAssignments(tmp_path)]
    await asyncio.gather(*(stores[n % 2].save("unit", f"e{n}", {"n": n}) for n in range(40)))

    assert len(await stores[0].load("unit")) == 40


def only_folder_in(folder: Path) -> Path:
    [found] = folder.iterdir()
    return found


async def test_a_save_waits_for_the_lock_and_fails_loudly_without_it(tmp_path: Path) -> None:
    store = FileAssignments(tmp_path, lock_timeout=0.01)
    await store.save("unit", "kept", {"n": 1})
    descriptor = os.open(only_folder_in(tmp_path), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    with pytest.raises(TimeoutError, match="another process holds the lock"):
        await store.save("unit", "other", {"n": 2})

    assert await store.load("unit") == {"kept": {"n": 1}}
    os.close(descriptor)
    await store.save("unit", "other", {"n": 2})
    assert len(await store.load("unit")) == 2
