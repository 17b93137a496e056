"""The servers of these tests end with the tests, however these end."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.servers import RedisServer

START = """
import sys, time
from pathlib import Path
from engines.servers import PostgresServer, RedisServer
kind, folder, programs = sys.argv[1:]
server = RedisServer(Path(folder), programs) if kind == "redis" else PostgresServer(Path(folder), Path(programs))
with server:
    print(server.process.pid, flush=True)
    time.sleep(60)
"""


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, within ten seconds; a zombie has."""
    state = Path(f"/proc/{pid}/stat")
    until = time.monotonic() + 10
    while state.exists() and " Z " not in state.read_text():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_no_server_outlives_tests_that_were_killed(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    programs = request.getfixturevalue(f"{kind}_program{'s' if kind == 'postgres' else ''}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3]))}
    command = [sys.executable, "-c", START, kind, str(tmp_path / "server"), str(programs)]
    (tmp_path / "server").mkdir()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as tests:
        assert tests.stdout is not None
        server = int(tests.stdout.readline())
        tests.kill()

    assert is_gone(server)


def test_a_server_that_does_not_start_leaves_no_process(start_redis: Callable[..., RedisServer]) -> None:
    with pytest.raises(AssertionError, match="did not start"):
        start_redis("--no-such-option", "1")


def test_a_server_that_never_gets_ready_is_killed(redis_program: str, tmp_path: Path) -> None:
    class Unready(RedisServer):
        def is_ready(self) -> bool:
            raise KeyboardInterrupt

    server = Unready(tmp_path, redis_program)
    with pytest.raises(KeyboardInterrupt), server:
        pass

    assert server.process is not None
    assert is_gone(server.process.pid)
