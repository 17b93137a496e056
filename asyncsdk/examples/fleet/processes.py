"""The processes of the example: a temporary Postgres, the shop and its relays; started, killed and started again."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import asyncpg

# Debian keeps the programs of a server out of PATH.
_DEBIAN = Path("/usr/lib/postgresql")


def free_port() -> int:
    """Return a port of this machine that is free now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A process that is started again after it was killed."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Prepare; nothing is started.

        Args:
            name: For the report.
            command: The program and its arguments.
            environ: Its environment.
        """
        self.name = name
        self.kills = 0
        self._command = command
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environ, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )

    async def restart(self) -> None:
        """Kill it, as kill -9 does, and start it again."""
        await self.end(signal.SIGKILL)
        self.kills += 1
        await self.start()

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, and return its exit code; 0 if it was not started."""
        if self._process is None:
            return 0
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self._process.wait()


def python(*arguments: str) -> list[str]:
    """Return the command that runs a module with this interpreter."""
    return [sys.executable, "-m", *arguments]


def _search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), *map(str, _DEBIAN.glob("*/bin"))])


@asynccontextmanager
async def temporary_postgres(programs: str | None = None) -> AsyncIterator[str]:
    """Start a Postgres of this machine with files of its own, and yield its address.

    Args:
        programs: The folder of the server's programs; None searches PATH, and where Debian keeps them.

    Raises:
        FileNotFoundError: There is no Postgres server on this machine.
    """
    found = shutil.which("initdb", path=programs or _search_path())
    if found is None:
        msg = "no Postgres server on this machine: install one (apt install postgresql), or give --database"
        raise FileNotFoundError(msg)
    with tempfile.TemporaryDirectory(prefix="asyncsdk-shop-", ignore_cleanup_errors=True) as name:
        folder, prefix = Path(name), list[str]()
        if not os.getuid():  # pragma: no branch -- Postgres refuses to run as root
            user = pwd.getpwnam("nobody")
            os.chown(folder, user.pw_uid, user.pw_gid)
            prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        data, port = str(folder / "data"), free_port()
        initdb = [*prefix, found, "-D", data, "-U", "shop", "-A", "trust", "-N"]
        making = await asyncio.create_subprocess_exec(*initdb, stdout=asyncio.subprocess.DEVNULL, cwd="/")
        await making.wait()
        options = ["-D", data, "-p", str(port), "-k", "", "-c", "listen_addresses=127.0.0.1"]
        server = Process("postgres", [*prefix, str(Path(found).with_name("postgres")), *options], os.environ)
        await server.start()
        try:
            address = f"postgresql://shop@127.0.0.1:{port}/postgres"
            await until_answers(address)
            yield address
        finally:
            await server.end(signal.SIGINT)


async def until_answers(address: str, timeout: float = 30.0) -> None:
    """Wait until a Postgres server answers.

    Raises:
        TimeoutError: It did not within `timeout` seconds.
    """
    async with asyncio.timeout(timeout):
        while True:
            try:
                await (await asyncpg.connect(address)).close()
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
            else:
                return
