"""Servers that fill up, and servers that lose what they had: only what they lost is missing, and all goes on."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disks import Ballast, small_disk

from engines.chaos import scenarios
from engines.chaos.scenarios import last_command_before
from engines.chaos.stage import AnyServer, running
from engines.servers import PostgresServer, RedisServer

pytestmark = [pytest.mark.torture, pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TIMEOUT", "1")


@pytest.fixture
def disk() -> Iterator[Path]:
    with (
        tempfile.TemporaryDirectory(prefix="asyncsdk-disk-", ignore_cleanup_errors=True) as folder,
        small_disk(Path(folder) / "disk", 96) as mounted,
    ):
        if mounted is None:
            pytest.skip("mounting a small disk is not permitted")
        yield mounted


@pytest.fixture(params=["redis", "postgres"])
def server_on_disk(request: pytest.FixtureRequest, disk: Path) -> Iterator[AnyServer]:
    """A server with its files on a small disk."""
    server: AnyServer
    if request.param == "redis":
        server = RedisServer(disk, request.getfixturevalue("redis_program"))
    else:
        server = PostgresServer(disk / "server", request.getfixturevalue("postgres_programs"), "--wal-segsize=1")
    with server:
        if isinstance(server, PostgresServer):
            server.migrate("chaos")
        yield server


async def test_a_full_redis_refuses_and_relays_make_room(start_redis: Callable[..., RedisServer]) -> None:
    async with running(start_redis(), relays=2) as stage:
        await scenarios.fill_memory(stage, 1)

    assert stage.audit.is_ok, stage.audit
    assert not stage.audit.missing


async def test_a_full_disk_refuses_and_all_is_delivered_when_there_is_room(
    server_on_disk: AnyServer, disk: Path
) -> None:
    async with running(server_on_disk, relays=2) as stage:
        await scenarios.fill_disk(stage, Ballast(disk, leaves=100_000), 1)

    assert stage.audit.is_ok, stage.audit
    assert not stage.audit.missing


async def test_only_what_was_cut_from_the_file_is_missing(start_redis: Callable[..., RedisServer]) -> None:
    async with running(start_redis(), relays=2) as stage:
        await scenarios.cut_tail(stage, 1)

    assert stage.audit.is_ok, stage.audit
    assert stage.audit.missing


async def test_only_what_was_deleted_is_missing(own_server: AnyServer) -> None:
    async with running(own_server, relays=2) as stage:
        await scenarios.delete(stage, 2)

    assert stage.audit.is_ok, stage.audit


def test_a_command_or_transaction_that_was_cut_does_not_count() -> None:
    command = b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n"
    transaction = b"*1\r\n$5\r\nMULTI\r\n" + command + b"*1\r\n$4\r\nEXEC\r\n"
    content = command + transaction + command
    ends = {last_command_before(content, end) for end in range(len(content) + 1)}

    assert ends == {0, len(command), len(command + transaction), len(content)}
