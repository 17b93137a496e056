"""Servers for the tests of engines: one of each kind per test process, or a skip with a reason."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from asyncsdk.engines import Engine, Memory, Postgres, Redis
from engines.chaos.stage import AnyServer, setting
from engines.servers import PostgresServer, RedisServer, postgres_bin

Engines = Callable[[], Engine]


@pytest.fixture(scope="session")
def redis_program() -> str:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("needs redis-server or valkey-server")
    return program


@pytest.fixture(scope="session")
def redis_server(redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), redis_program) as server:
        yield server


@pytest.fixture
def start_redis(redis_program: str, tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """A function that starts a server with options of the test's own; it ends with the test."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(RedisServer(tmp_path, redis_program, *options))


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    programs = postgres_bin()
    if programs is None:
        pytest.skip("needs a Postgres server")
    return programs


@pytest.fixture(scope="session")
def postgres_server(postgres_programs: Path) -> Iterator[PostgresServer]:
    folder = tempfile.TemporaryDirectory(prefix="asyncsdk-pg-", ignore_cleanup_errors=True)
    with folder as path, PostgresServer(Path(path) / "server", postgres_programs) as server:
        yield server


@pytest.fixture
def own_postgres(postgres_programs: Path) -> Iterator[PostgresServer]:
    """A server that the test may kill."""
    folder = tempfile.TemporaryDirectory(prefix="asyncsdk-pg-", ignore_cleanup_errors=True)
    with folder as path, PostgresServer(Path(path) / "server", postgres_programs) as server:
        yield server


@pytest.fixture(params=["memory", "redis", "postgres"])
def make_engine(request: pytest.FixtureRequest) -> Engines:
    return maker_of(request.param, request)


@pytest.fixture
async def engines(make_engine: Engines) -> AsyncIterator[Engines]:
    """A function that returns another engine on the same server each time, as another process would have."""
    made: list[Engine] = []

    def another() -> Engine:
        made.append(make_engine())
        return made[-1]

    yield another
    for engine in made:
        await engine.aclose()


def maker_of(kind: str, request: pytest.FixtureRequest) -> Engines:
    """Return a function that makes engines which share a place that no other test uses."""
    place = f"t{abs(hash(request.node.nodeid)) % 10**12}"
    if kind == "memory":
        shared = Memory()
        return lambda: shared
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        return lambda: Redis(server.url, prefix=place)
    database: PostgresServer = request.getfixturevalue("postgres_server")
    database.migrate(place)
    return lambda: Postgres(database.dsn, table=place)


@pytest.fixture(params=["redis", "postgres"])
def own_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AnyServer:
    """A server that the test may kill; `shop.make_engine()` returns an engine on it."""
    server: AnyServer
    if request.param == "redis":
        server = request.getfixturevalue("start_redis")()
    else:
        server = request.getfixturevalue("own_postgres")
        server.migrate("chaos")
    monkeypatch.setenv("SHOP_ENGINE", setting(server, "chaos"))
    return server
