"""The Redis engine, apart from the contract: lost streams, full and refusing servers, addresses."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import redis.asyncio
import trustme

from asyncsdk import ConfigurationError
from asyncsdk.engines import EngineError, Redis
from asyncsdk.engines._redis_urls import connect, parse_address
from engines.servers import RedisServer, ends_with_us, free_port

StartRedis = Callable[..., RedisServer]
SECRET = "s3cret-password"


@pytest.fixture
async def raw(redis_server: RedisServer) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_server.url, protocol=2) as client:
        yield client


@pytest.fixture
async def engine(redis_server: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    engine = Redis(redis_server.url, prefix=request.node.name)
    yield engine
    await engine.aclose()


@pytest.fixture
def locked_server(start_redis: StartRedis, tmp_path: Path) -> RedisServer:
    """A server without AOF, with little memory, a password, and a user who may do nothing."""
    rights = [f"user default on >{SECRET} ~* &* +@all", f"user guest on >{SECRET} ~* +ping +info"]
    (tmp_path / "acl").write_text("\n".join(rights) + "\n")
    options = ["--appendonly", "no", "--maxmemory", "3mb", "--aclfile", str(tmp_path / "acl")]
    return start_redis(*options, "--maxmemory-policy", "allkeys-lru")


async def test_a_deleted_stream_is_created_again_and_said(
    engine: Redis, raw: redis.asyncio.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.take("d", 1, 0.0, 1.0)
    assert "was deleted" not in caplog.text
    waiting = asyncio.create_task(engine.take("d", 1, 10.0, 10.0))
    await asyncio.sleep(0.1)
    await raw.delete(engine._key("d"))
    await asyncio.sleep(0.1)
    await engine.put("d", [b"1"])

    assert [one.entry for one in await waiting] == [b"1"]
    assert "was deleted; it is created again" in caplog.text


async def test_a_destroyed_group_starts_again_at_the_first_entry(engine: Redis, raw: redis.asyncio.Redis) -> None:
    await engine.put("d", [b"1", b"2"])
    (first,) = await engine.take("d", 1, 0.0, 10.0)
    await raw.xgroup_destroy(engine._key("d"), "relay")

    assert [one.entry for one in await engine.take("d", 9, 1.0, 10.0)] == [b"1", b"2"]
    await engine.ack("d", [first.lease])


async def test_what_was_put_before_the_first_relay_is_delivered(engine: Redis) -> None:
    await engine.put("d", [b"1"])

    assert (await engine.stats("d")).waiting == 1
    assert len(await engine.take("d", 1, 0.0, 1.0)) == 1


async def test_a_pending_entry_that_was_deleted_is_skipped(engine: Redis, raw: redis.asyncio.Redis) -> None:
    await engine.put("d", [b"1", b"2"])
    first, _ = await engine.take("d", 2, 0.0, 0.05)
    await raw.xdel(engine._key("d"), first.lease)
    await asyncio.sleep(0.1)

    assert [one.entry for one in await engine.take("d", 9, 2.0, 0.05)] == [b"2"]


async def test_only_consumers_that_owe_nothing_are_deleted(redis_server: RedisServer, raw: redis.asyncio.Redis) -> None:
    idle, owing, last = (Redis(redis_server.url, prefix="sweep") for _ in range(3))
    key = last._key("d")
    await owing.put("d", [b"1"])
    await owing.take("d", 1, 0.0, 100.0)
    await idle.take("d", 1, 0.0, 100.0)
    await asyncio.sleep(0.1)
    last._sweep_after, last._sweep_interval = 0.05, 0.0
    for _ in range(2):
        last._claim_at.clear()
        await last.take("d", 1, 0.0, 100.0)
    names = {consumer["name"].decode() for consumer in await raw.xinfo_consumers(key, "relay")}

    assert owing._consumer in names
    assert idle._consumer not in names
    for one in (owing, last, idle):
        await one.aclose()
    left = {consumer["name"].decode() for consumer in await raw.xinfo_consumers(key, "relay")}
    assert left == {owing._consumer} or left == names - {last._consumer}


async def test_a_full_server_refuses_and_keeps_what_it_has(locked_server: RedisServer) -> None:
    url = f"redis://:{SECRET}@127.0.0.1:{locked_server.port}/0"
    engine = Redis(url)
    client = redis.asyncio.Redis.from_url(url)
    await client.config_set("maxmemory-policy", "noeviction")
    with pytest.raises(EngineError, match="maxmemory"):
        for _ in range(100):
            await engine.put("d", [b"x" * 200_000])
    stats = await engine.stats("d")
    await client.aclose()
    await engine.aclose()

    assert stats.waiting > 3


async def test_settings_that_lose_events_are_named(locked_server: RedisServer) -> None:
    engine = Redis(f"redis://:{SECRET}@127.0.0.1:{locked_server.port}/0")
    warnings = await engine.open()
    await engine.aclose()

    assert [warning.split()[0] for warning in warnings] == ["maxmemory-policy", "appendonly"]


async def test_a_good_server_has_no_warnings(engine: Redis) -> None:
    assert await engine.open() == ()


@pytest.mark.parametrize(
    ("login", "problem"),
    [(":wrong@", "WRONGPASS|invalid"), ("", "NOAUTH|Authentication"), (f"guest:{SECRET}@", "no permissions|NOPERM")],
)
async def test_a_login_that_is_refused_needs_a_person(locked_server: RedisServer, login: str, problem: str) -> None:
    engine = Redis(f"redis://{login}127.0.0.1:{locked_server.port}/0")
    with pytest.raises(EngineError, match=problem) as caught:
        await engine.put("d", [b"1"])
    await engine.aclose()

    assert caught.value.refused
    assert SECRET not in str(caught.value)


async def test_fsync_needs_a_server_with_a_disk(locked_server: RedisServer) -> None:
    engine = Redis(f"redis://:{SECRET}@127.0.0.1:{locked_server.port}/0", durability="fsync")
    with pytest.raises(EngineError, match="appendonly yes"):
        await engine.put("d", [b"1"])
    stats = await engine.stats("d")
    await engine.aclose()

    assert stats.waiting == 0


async def test_fsync_waits_for_the_disk_or_says_that_it_cannot(redis_server: RedisServer) -> None:
    engine = Redis(redis_server.url, prefix="fsync", durability="fsync")
    (outcome,) = await asyncio.gather(engine.put("d", [b"1", b"2"]), return_exceptions=True)
    waiting = (await engine.stats("d")).waiting
    await engine.aclose()

    # Redis 7.0 has no WAITAOF; it must refuse before it writes.
    assert (outcome, waiting) == (None, 2) or ("needs WAITAOF" in str(outcome) and waiting == 0)


async def test_missing_replicas_are_an_error(redis_server: RedisServer) -> None:
    engine = Redis(redis_server.url, prefix="replicas", replicas=1, timeout=0.2)
    with pytest.raises(EngineError, match="0 of 1 replicas"):
        await engine.put("d", [b"1"])
    await engine.aclose()


@pytest.mark.parametrize(("reply", "problem"), [([0, 0], "did not write"), ([1, 0], "0 of 1 replicas")])
def test_the_reply_of_waitaof_is_checked(reply: list[int], problem: str) -> None:
    engine = Redis("redis://127.0.0.1", durability="fsync", replicas=1)
    with pytest.raises(EngineError, match=problem):
        engine._check_copies(reply)


def test_enough_copies_are_accepted() -> None:
    Redis("redis://127.0.0.1", durability="fsync", replicas=1)._check_copies([1, 2])


async def test_a_server_that_is_away_is_an_error_at_once() -> None:
    engine = Redis(f"redis://127.0.0.1:{free_port()}")
    for call in (engine.open(), engine.put("d", [b"1"]), engine.take("d", 1, 5.0, 1.0), engine.stats("d")):
        with pytest.raises(EngineError, match="connection refused"):
            await call
    await engine.aclose()


async def test_a_server_that_does_not_answer_is_a_timeout() -> None:
    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    engine = Redis(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=0.2)
    with pytest.raises(EngineError, match="timeout"):
        await engine.put("d", [b"1"])
    await engine.aclose()
    server.close()


async def test_an_engine_survives_a_restart_of_its_server(start_redis: StartRedis) -> None:
    server = start_redis()
    engine = Redis(server.url)
    await engine.put("d", [b"1"])
    await engine.take("d", 1, 0.0, 0.1)
    server.kill()
    with pytest.raises(EngineError):
        await engine.put("d", [b"2"])
    server.start()
    (again,) = await engine.take("d", 1, 5.0, 0.1)
    await engine.aclose()

    assert (again.entry, again.deliveries) == (b"1", 2)


async def test_a_server_that_still_reads_its_files_is_asked_again(start_redis: StartRedis) -> None:
    server = start_redis("--key-load-delay", "100")  # microseconds; it answers every 1,024 keys
    engine = Redis(server.url)
    await engine.put("d", [b"x"] * 5_000)
    server.kill()
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    answers = set()
    while not starting.done():
        try:
            answers.add(str(list(await engine.open())))
        except EngineError as error:
            answers.add(str(error))
    await starting
    await engine.aclose()

    assert "Redis is loading the dataset in memory" in answers
    assert answers <= {"[]", "connection refused", "connection lost", "Redis is loading the dataset in memory"}


async def test_tls_with_an_authority_of_ones_own(start_redis: StartRedis, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    port = free_port()
    files = [("cert", "cert.pem"), ("key", "key.pem"), ("ca-cert", "ca.pem")]
    tls = [part for name, file in files for part in (f"--tls-{name}-file", str(tmp_path / file))]
    start_redis("--tls-port", str(port), "--tls-auth-clients", "no", *tls)
    engine = Redis(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path / 'ca.pem'}")
    await engine.put("d", [b"1"])
    stranger = Redis(f"rediss://127.0.0.1:{port}/0")
    with pytest.raises(EngineError):
        await stranger.put("d", [b"1"])
    for one in (engine, stranger):
        await one.aclose()


async def test_sentinel_finds_the_server(
    redis_program: str, redis_server: RedisServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    port = free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor shop 127.0.0.1 {redis_server.port} 1\n")
    sentinel = ends_with_us([redis_program, str(config), "--sentinel"])
    process = subprocess.Popen(sentinel, stdout=subprocess.DEVNULL)
    request.addfinalizer(process.wait)  # after the next one
    request.addfinalizer(process.kill)
    engine = Redis(f"redis+sentinel://127.0.0.1:{port}/shop/0", prefix="sentinel")
    for attempt in range(100):
        try:
            await engine.put("d", [b"%d" % attempt])
            break
        except EngineError:
            await asyncio.sleep(0.1)
    taken = await engine.take("d", 10, 0.0, 1.0)
    await engine.aclose()

    assert taken


async def test_a_cluster_of_one_server(start_redis: StartRedis) -> None:
    server = start_redis("--cluster-enabled", "yes")
    async with redis.asyncio.Redis(port=server.port) as raw:
        await raw.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while b"cluster_state:ok" not in await raw.execute_command("CLUSTER", "INFO"):
            await asyncio.sleep(0.05)
    engine = Redis(f"redis+cluster://127.0.0.1:{server.port}", shards=4)
    assert await engine.open() == ()
    for number in range(4):
        await engine.put(f"d#{number}", [b"1", b"2"])
    taken = await engine.take("d#3", 5, 1.0, 1.0)
    await engine.extend("d#3", [taken[0].lease], 1.0)
    await engine.ack("d#3", [one.lease for one in taken])
    stats = await engine.stats("d#3")
    await engine.aclose()

    assert ([one.entry for one in taken], stats.waiting) == ([b"1", b"2"], 0)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://host",
        "redis://",
        "redis+sentinel://host:26379",
        "redis://host:port",
        5,
        "redis://:x@:70000",
    ],
)
def test_an_address_of_another_form_is_refused_without_repeating_it(url: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Redis(url)  # type: ignore[arg-type]
    assert "@" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://ada:{SECRET}@cache:6380/3", "Redis(cache:6380)"),
        (f"valkeys://ada:{SECRET}@cache", "Redis(cache:6379)"),
        ("unix:///run/redis.sock?db=2", "Redis(/run/redis.sock)"),
        (f"redis+sentinel://:{SECRET}@a,b:1/shop/2?sentinel_password={SECRET}", "Redis(a:26379,b:1/shop)"),
        (f"rediss+cluster://:{SECRET}@a:1,[::1]:2?ssl_ca_certs=/ca.pem", "Redis(a:1,::1:2)"),
    ],
)
def test_a_repr_shows_where_but_no_password(url: str, shown: str) -> None:
    assert repr(Redis(url)) == shown
    assert SECRET not in repr(parse_address(url))


def test_parameters_of_tls_and_sentinel_reach_the_client() -> None:
    url = "rediss+sentinel://ada:p@a:1/shop/2?sentinel_password=q&ssl_ca_certs=/ca.pem"
    master = connect(parse_address(url), 1.0, 2.0)
    pool = master.connection_pool
    settings = pool.connection_kwargs
    watcher = pool.sentinel_manager.sentinels[0].connection_pool.connection_kwargs

    assert (settings["username"], settings["db"], settings["socket_timeout"]) == ("ada", 2, 3.0)
    assert (watcher["password"], watcher["ssl_ca_certs"]) == ("q", "/ca.pem")


@pytest.mark.parametrize(
    "settings",
    [
        {"durability": "disk"},
        {"replicas": -1},
        {"replicas": True},
        {"shards": 0},
        {"timeout": 0},
        {"timeout": "3"},
        {"url": "redis+cluster://a", "durability": "fsync"},
        {"url": "redis+cluster://a", "replicas": 1},
    ],
)
def test_a_wrong_setting_is_a_configuration_error(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        Redis(**{"url": "redis://127.0.0.1", **settings})  # type: ignore[arg-type]


def test_an_engine_works_on_one_loop_after_another(redis_server: RedisServer) -> None:
    engine = Redis(redis_server.url, prefix="loops")

    async def put_and_close() -> int:
        await engine.put("d", [b"1"])
        waiting = (await engine.stats("d")).waiting
        await engine.aclose()
        return waiting

    assert [asyncio.run(put_and_close()), asyncio.run(put_and_close())] == [1, 2]


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'asyncsdk\[redis\]'"):
        Redis("redis://127.0.0.1")
