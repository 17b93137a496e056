"""Real servers on loopback: Redis or Valkey, and Postgres, started and killed by the tests."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

from asyncsdk.engines import Postgres

STARTUP = 60.0


def free_port() -> int:
    """Return a port below 55536: that of a cluster's bus is 10000 above it."""
    while True:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            if port < 55536:
                return port


def ends_with_us(command: Sequence[str], by: str = "SIGKILL") -> list[str]:
    """Return the command of a process that gets a signal when this one ends, however it ends; on Linux only."""
    return ["setpriv", "--pdeathsig", by, *command] if shutil.which("setpriv") else list(command)


class Server:
    """A server process of a test; it is started when its context is entered, and killed when that is left.

    Attributes:
        process: The process; None before the first start.
    """

    process: "subprocess.Popen[bytes] | None" = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def launch(self, command: Sequence[str]) -> None:
        """Start the process, and wait until it is ready; if it is not, kill it."""
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = self.process = subprocess.Popen(command, start_new_session=True, cwd="/", **silent)
        until = time.monotonic() + STARTUP
        try:
            while not self.is_ready():
                assert process.poll() is None, "the server did not start"
                assert time.monotonic() < until, "the server is not ready"
                time.sleep(0.02)
        except BaseException:
            self.kill()
            raise

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Kill the process and its children, if it still runs."""
        if self.process is not None and self.is_running():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class RedisServer(Server):
    """A `redis-server` (or `valkey-server`) with its files in a folder."""

    def __init__(self, folder: Path, program: str, *options: str) -> None:
        self.port = free_port()
        self.folder = folder
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program, self._options = program, options

    def start(self) -> None:
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += [
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--save",
            "",
            "--maxmemory-policy",
            "noeviction",
        ]
        self.launch(ends_with_us([*command, *self._options]))

    def is_ready(self) -> bool:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self.port), 1.0)) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        return False


def postgres_bin() -> Path | None:
    """Return the folder of the newest Postgres server of this machine."""
    for pattern in ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin"):
        folders = [path for path in Path("/").glob(pattern[1:]) if (path / "initdb").exists()]
        if folders:
            return max(folders)
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class PostgresServer(Server):
    """A Postgres server with its files in a folder; as another user if we are root, whom Postgres refuses."""

    def __init__(self, folder: Path, programs: Path, *options: str) -> None:
        """Prepare.

        Args:
            folder: Is created.
            programs: The folder of the server's programs.
            *options: Options of `initdb`.
        """
        self.port = free_port()
        self.folder = folder
        self._options = options
        self.dsn = f"postgresql://relay@127.0.0.1:{self.port}/postgres"
        self._programs = programs

    def __enter__(self) -> Self:
        self.create()
        return super().__enter__()

    def create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            # The user has to reach it through folders that only root may enter.
            for parent in (self.folder, *self.folder.parents):
                if parent.owner() == "root" and parent != Path("/"):
                    parent.chmod(parent.stat().st_mode | 0o011)
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
            self.folder.chmod(0o700)
        command = self._as_user("initdb", "-D", str(self.folder / "data"), "-U", "relay", "-A", "trust", "-N")
        command = [*command, *self._options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        options = ["-D", str(self.folder / "data"), "-p", str(self.port), "-k", "", "-c", "listen_addresses=127.0.0.1"]
        settings = ["-c", "max_connections=200", "-c", "max_prepared_transactions=10"]
        command = self._as_user("postgres", *options, *settings)
        until = time.monotonic() + STARTUP
        while True:
            try:
                return self.launch(command)
            except AssertionError:  # children of a killed server, in sessions of their own, still use its memory
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def is_ready(self) -> bool:
        command = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return not subprocess.run(command, check=False).returncode

    def _as_user(self, program: str, *arguments: str) -> Sequence[str]:
        command = [str(self._programs / program), *arguments]
        if os.getuid():
            return ends_with_us(command, "SIGQUIT")
        nobody = pwd.getpwnam("nobody")
        ids = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        return ["setpriv", "--pdeathsig", "SIGQUIT", *ids, *command]

    def migrate(self, table: str = "asyncsdk_events") -> None:
        asyncio.run(self._migrate(table))

    async def _migrate(self, table: str) -> None:
        engine = Postgres(self.dsn, table=table)
        await engine.migrate()
        await engine.aclose()
