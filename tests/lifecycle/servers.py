"""Real servers as child processes: how each one is started, requested, signalled and ended."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import aiohttp
import attrs

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
# Generous, since machines that run tests may be loaded; a test that waits this long has failed.
PATIENCE = 30.0  # seconds


@attrs.frozen
class Server:
    """The command that starts a server.

    Attributes:
        command: Arguments after `python`.
        workers: Number of processes that answer requests.
    """

    command: Sequence[str]
    workers: int = 1

    def with_options(self, *options: str) -> "Server":
        """Return the same server with further command-line options."""
        return attrs.evolve(self, command=(*self.command, *options))


UVICORN = Server(("-m", "uvicorn", "lifecycle.starlette_app:app", "--port", "0", "--no-access-log"))
GUNICORN = Server(("-m", "gunicorn", "-b", "127.0.0.1:0", "-w", "2", "--no-control-socket"), workers=2)
UVICORN_WORKER = GUNICORN.with_options("-k", "uvicorn_worker.UvicornWorker", "lifecycle.starlette_app:app")
HYPERCORN = Server(("-m", "hypercorn", "lifecycle.starlette_app:app", "-b", "127.0.0.1:0"))

UVICORN_2 = attrs.evolve(UVICORN.with_options("--workers", "2"), workers=2)
HYPERCORN_2 = attrs.evolve(HYPERCORN.with_options("--workers", "2"), workers=2)

SERVERS = {
    "uvicorn": UVICORN.with_options("--loop", "asyncio"),
    "uvicorn with uvloop": UVICORN.with_options("--loop", "uvloop"),
    "uvicorn --workers 4": attrs.evolve(UVICORN.with_options("--workers", "4"), workers=4),
    "gunicorn": UVICORN_WORKER,
    "gunicorn --preload": UVICORN_WORKER.with_options("--preload"),
    "gunicorn -k asgi": GUNICORN.with_options("-k", "asgi", "lifecycle.starlette_app:app"),
    "gunicorn -k aiohttp": GUNICORN.with_options("-k", "aiohttp.GunicornWebWorker", "lifecycle.aiohttp_app:app"),
    "hypercorn": HYPERCORN,
    "aiohttp": Server(("-m", "lifecycle.aiohttp_app")),
}


@attrs.frozen
class Sale:
    """One response of the page `buy`, and the user who requested it."""

    user: str
    id: str
    worker: int
    open: bool


@attrs.frozen
class Stream:
    """An open stream of server-sent events, each carrying the id of an event that the shop tracked for it."""

    response: aiohttp.ClientResponse
    worker: int

    async def read(self, count: int) -> list[str]:
        """Return the ids of the next events of the stream."""
        lines = [await self.response.content.readuntil(b"\n\n") for _ in range(count)]
        return [line.decode().removeprefix("data: ").strip() for line in lines]


@attrs.define
class Running:
    """A running server, in its own process group."""

    server: Server
    process: asyncio.subprocess.Process
    log_file: Path
    session: aiohttp.ClientSession
    _customers: int = 0

    @property
    def log(self) -> str:
        """Everything that its processes have printed so far."""
        return self.log_file.read_text()

    async def logged(self, pattern: str) -> str:
        """Wait until a pattern occurs in the log, and return its first group."""

        def look() -> re.Match[str] | None:
            assert self.process.returncode is None
            return re.search(pattern, self.log)

        return (await until(look))[1]

    async def ask(self, page: str, user: str = "ada.lovelace") -> aiohttp.ClientResponse:
        """Request a page on a new connection, retrying until a worker accepts it."""
        url = await self.logged(r"(http://127\.0\.0\.1:\d+)")
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(aiohttp.ClientConnectionError):
                    return await self.session.get(f"{url}/{page}", headers={"X-User": user})
                await asyncio.sleep(0.01)

    async def sell(self) -> Sale:
        """Request the page `buy` as a new user."""
        self._customers += 1
        user = f"customer-{self._customers}"
        async with await self.ask("buy", user) as response:
            return Sale(user, **await response.json())

    async def sell_until(self, is_enough: Callable[[Sequence[Sale]], bool]) -> list[Sale]:
        """Sell to eight users at a time until `is_enough` holds for the sales so far."""
        sold: list[Sale] = []
        async with asyncio.timeout(PATIENCE):
            while not is_enough(sold):
                sold += await asyncio.gather(*(self.sell() for _ in range(8)))
        return sold

    async def sell_everywhere(self) -> list[Sale]:
        """Sell until every worker has made a sale."""
        return await self.sell_until(lambda sold: len({sale.worker for sale in sold}) == self.server.workers)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Stream"]:
        """Open a stream of server-sent events."""
        async with await self.ask("listen") as response:
            yield Stream(response, int(response.headers["X-Worker"]))
            response.close()  # the stream may never end

    def send_signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to its first process, as Kubernetes does."""
        self.process.send_signal(number)

    def send_signal_to_all(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to all its processes, as systemd does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    async def ended(self) -> None:
        """Wait until all its processes have ended."""
        async with asyncio.timeout(PATIENCE):
            await self.process.wait()
        await until(lambda: not is_group_alive(self.process.pid))


Run = Callable[..., AbstractAsyncContextManager[Running]]


@asynccontextmanager
async def running(server: Server, log_file: Path, **environ: str) -> AsyncIterator[Running]:
    """Run a server, and kill whatever is left of its process group afterwards."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environ = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "ASYNCSDK_DEV_SERVER": "", **environ}
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *server.command,
            cwd=ROOT,
            env={**os.environ, **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    started = Running(server, process, log_file, session)
    try:
        yield started
    finally:
        await session.close()
        started.send_signal_to_all(signal.SIGKILL)
        await started.ended()
        sys.stderr.write(started.log)  # pytest shows it if the test fails


async def until(look: Callable[[], T]) -> T:
    """Poll until `look` returns a true value, and return it."""
    async with asyncio.timeout(PATIENCE):
        while not (found := look()):
            await asyncio.sleep(0.01)
    return found


def is_group_alive(group: int) -> bool:
    """Return whether a process group has a running process; zombies do not count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    states = [_state_and_group(path) for path in Path("/proc").glob("[0-9]*/stat")]
    return not states or any(member_of == group and state != "Z" for state, member_of in states)


def _state_and_group(path: Path) -> tuple[str, int]:
    try:
        fields = path.read_text().rpartition(")")[2].split()
    except OSError:  # the process has just ended
        return "Z", 0
    return fields[0], int(fields[2])
