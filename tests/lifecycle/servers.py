"""Real servers as processes: how each is started, asked, told to end, and ended."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import aiohttp
import attrs

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
# Two cores may be shared by many; a test that waits so long has failed.
PATIENCE = 30.0


@attrs.frozen
class Server:
    """How a server is started.

    Attributes:
        command: After `python`.
        workers: How many processes answer requests.
    """

    command: Sequence[str]
    workers: int = 1

    def given(self, *options: str) -> "Server":
        """Give it further options."""
        return attrs.evolve(self, command=(*self.command, *options))


UVICORN = Server(("-m", "uvicorn", "lifecycle.starlette_app:app", "--port", "0", "--no-access-log"))
GUNICORN = Server(("-m", "gunicorn", "-b", "127.0.0.1:0", "-w", "2", "--no-control-socket"), workers=2)
UVICORN_WORKER = GUNICORN.given("-k", "uvicorn_worker.UvicornWorker", "lifecycle.starlette_app:app")
HYPERCORN = Server(("-m", "hypercorn", "lifecycle.starlette_app:app", "-b", "127.0.0.1:0"))

UVICORN_2 = attrs.evolve(UVICORN.given("--workers", "2"), workers=2)
HYPERCORN_2 = attrs.evolve(HYPERCORN.given("--workers", "2"), workers=2)

SERVERS = {
    "uvicorn": UVICORN.given("--loop", "asyncio"),
    "uvicorn with uvloop": UVICORN.given("--loop", "uvloop"),
    "uvicorn --workers 4": attrs.evolve(UVICORN.given("--workers", "4"), workers=4),
    "gunicorn": UVICORN_WORKER,
    "gunicorn --preload": UVICORN_WORKER.given("--preload"),
    "gunicorn -k asgi": GUNICORN.given("-k", "asgi", "lifecycle.starlette_app:app"),
    "gunicorn -k aiohttp": GUNICORN.given("-k", "aiohttp.GunicornWebWorker", "lifecycle.aiohttp_app:app"),
    "hypercorn": HYPERCORN,
    "aiohttp": Server(("-m", "lifecycle.aiohttp_app")),
}


@attrs.frozen
class Sale:
    """What the page `buy` answers, and to whom."""

    user: str
    id: str
    worker: int
    open: bool


@attrs.frozen
class Stream:
    """Server-sent events, each with the id of an event that was tracked for it."""

    answer: aiohttp.ClientResponse
    worker: int

    async def hear(self, count: int) -> list[str]:
        """Give the next ids."""
        lines = [await self.answer.content.readuntil(b"\n\n") for _ in range(count)]
        return [line.decode().removeprefix("data: ").strip() for line in lines]


@attrs.define
class Running:
    """A server that runs, in a process group of its own."""

    server: Server
    process: asyncio.subprocess.Process
    log_file: Path
    session: aiohttp.ClientSession
    _customers: int = 0

    @property
    def log(self) -> str:
        """All that its processes have printed so far."""
        return self.log_file.read_text()

    async def logged(self, pattern: str) -> str:
        """Wait until a pattern is in the log, and give its first group."""

        def look() -> re.Match[str] | None:
            assert self.process.returncode is None
            return re.search(pattern, self.log)

        return (await until(look))[1]

    async def ask(self, page: str, user: str = "ada.lovelace") -> aiohttp.ClientResponse:
        """Ask for a page, on a connection of its own; again, while no worker takes it."""
        url = await self.logged(r"(http://127\.0\.0\.1:\d+)")
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(aiohttp.ClientConnectionError):
                    return await self.session.get(f"{url}/{page}", headers={"X-User": user})
                await asyncio.sleep(0.01)

    async def sell(self) -> Sale:
        """Sell something to somebody new."""
        self._customers += 1
        user = f"customer-{self._customers}"
        async with await self.ask("buy", user) as answer:
            return Sale(user, **await answer.json())

    async def sell_until(self, is_enough: Callable[[Sequence[Sale]], bool]) -> list[Sale]:
        """Sell, to eight at a time, until it is enough."""
        sold: list[Sale] = []
        async with asyncio.timeout(PATIENCE):
            while not is_enough(sold):
                sold += await asyncio.gather(*(self.sell() for _ in range(8)))
        return sold

    async def sell_everywhere(self) -> list[Sale]:
        """Sell until every worker has sold something."""
        return await self.sell_until(lambda sold: len({sale.worker for sale in sold}) == self.server.workers)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Stream"]:
        """Listen to a stream of server-sent events."""
        async with await self.ask("listen") as answer:
            yield Stream(answer, int(answer.headers["X-Worker"]))
            answer.close()  # it may have no end to wait for

    def tell(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send its first process a signal, as Kubernetes does."""
        self.process.send_signal(number)

    def tell_all(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send all its processes a signal, as systemd does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    async def ended(self) -> None:
        """Wait until its first process has ended, and then all the others."""
        async with asyncio.timeout(PATIENCE):
            await self.process.wait()
        await until(lambda: not is_group_alive(self.process.pid))


@asynccontextmanager
async def running(server: Server, log_file: Path, **environ: str) -> AsyncIterator[Running]:
    """Run a server; none of its processes is left afterwards."""
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
        started.tell_all(signal.SIGKILL)
        await started.ended()
        sys.stderr.write(started.log)  # which pytest shows when the test fails


async def until(look: Callable[[], T]) -> T:
    """Wait until there is something to see."""
    async with asyncio.timeout(PATIENCE):
        while not (found := look()):
            await asyncio.sleep(0.01)
    return found


def is_group_alive(group: int) -> bool:
    """Say whether a process group has any process that runs; one that only nobody has waited for does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    states = [_state_and_group(path) for path in Path("/proc").glob("[0-9]*/stat")]
    return not states or any(its == group and state != "Z" for state, its in states)


def _state_and_group(path: Path) -> tuple[str, int]:
    try:
        fields = path.read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended
        return "Z", 0
    return fields[0], int(fields[2])
