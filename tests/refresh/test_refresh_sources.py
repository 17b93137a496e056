"""Rules from other sources than the network: a bootstrap body or file, the cache; and no source at all."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from asyncsdk._refresh import Refresher
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk.stores.file import FileCache, WatchedFile
from asyncsdk.stores.memory import MemoryCache
from asyncsdk.vendors.statsig import Rules, Statsig
from refresh.vendor import ADA, NOTHING_NEW, Vendor, gate, make_refresher, rules, running, statsig, until


def passes(refresher: Refresher, name: str = "gate") -> bool:
    return refresher.rules.gate(ADA, name).value is True


# --- a bootstrap body ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bootstrap", [rules(), rules().decode(), orjson.loads(rules())], ids=["bytes", "text", "mapping"]
)
async def test_bootstrap_rules_are_used_without_a_network(bootstrap: object) -> None:
    async with running(make_refresher(statsig(bootstrap=bootstrap, offline=True))) as refresher:
        assert await refresher.wait_ready(5)

        assert passes(refresher)
        assert refresher.health().source == "Bootstrap"


async def test_the_network_continues_from_the_bootstrap(vendor: Vendor) -> None:
    vendor.body = rules(8, gate("new"))
    async with running(make_refresher(statsig(vendor, bootstrap=rules(3)))) as refresher:
        await until(lambda: passes(refresher, "new"))

    assert vendor.requests[0].query["sinceTime"] == "3"
    assert refresher.health().source == "Network"


@pytest.mark.parametrize("bootstrap", [b"junk", NOTHING_NEW])
async def test_a_bootstrap_that_is_not_a_ruleset_is_logged(bootstrap: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with running(make_refresher(statsig(bootstrap=bootstrap, offline=True))) as refresher:
        assert not await refresher.wait_ready(5)

    assert refresher.health().last_error
    assert refresher.health().source == "NoValues"
    assert len(caplog.records) == 1


async def test_a_restart_of_the_task_does_not_install_the_bootstrap_again(vendor: Vendor) -> None:
    vendor.body = rules(3, gate("new"))
    refresher = make_refresher(statsig(vendor, bootstrap=rules(3, gate("old"))))
    async with running(refresher):
        await until(lambda: passes(refresher, "new"))
    async with running(refresher):
        await asyncio.sleep(0)

        assert passes(refresher, "new")


# --- a bootstrap file ---------------------------------------------------------------------------------------------


async def test_a_file_is_installed_each_time_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(rules(9))
    async with running(make_refresher(statsig(bootstrap=file, offline=True))) as refresher:
        assert await refresher.wait_ready(5)
        file.write_bytes(rules(1, gate("older-but-meant")))

        await until(lambda: passes(refresher, "older-but-meant"))


async def test_an_unchanged_file_is_installed_once(tmp_path: Path) -> None:
    reads: list[bytes | None] = []

    class RecordedFile(WatchedFile):
        async def read_if_changed(self) -> bytes | None:
            reads.append(await super().read_if_changed())
            return reads[-1]

    file = tmp_path / "rules.json"
    file.write_bytes(rules())
    refresher = make_refresher(statsig(bootstrap=file, offline=True))
    refresher._bootstrap._file = RecordedFile(file)
    async with running(refresher):
        await until(lambda: len(reads) > 3)

    assert reads[0] == rules()
    assert not any(reads[1:])


async def test_a_broken_file_is_logged_once_and_leaves_the_last_good_rules(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asyncsdk")
    file = tmp_path / "rules.json"
    file.write_bytes(rules())
    async with running(make_refresher(statsig(bootstrap=file, offline=True))) as refresher:
        await refresher.wait_ready(5)
        file.write_bytes(rules(2)[:-9])
        await until(lambda: refresher.health().last_error)
        assert passes(refresher)
        file.write_bytes(rules(3, gate("mended")))
        await until(lambda: passes(refresher, "mended") and not refresher.health().last_error)

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_file_that_appears_later_is_installed(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    async with running(make_refresher(statsig(bootstrap=file, offline=True))) as refresher:
        assert not await refresher.wait_ready(5)
        assert refresher.health().last_error == "cannot read the file: FileNotFoundError"
        file.write_bytes(rules())

        await until(lambda: passes(refresher))


async def test_a_file_that_disappears_and_comes_back_unchanged_recovers(tmp_path: Path) -> None:
    file, away = tmp_path / "rules.json", tmp_path / "away.json"
    file.write_bytes(rules())
    async with running(make_refresher(statsig(bootstrap=file, offline=True))) as refresher:
        await refresher.wait_ready(5)
        file.rename(away)
        await until(lambda: refresher.health().last_error)
        away.rename(file)
        await until(lambda: not refresher.health().last_error)


# --- the cache ----------------------------------------------------------------------------------------------------


async def test_a_restart_during_an_outage_uses_the_cache(vendor: Vendor, tmp_path: Path) -> None:
    async with running(make_refresher(statsig(vendor, cache=FileCache(tmp_path)))) as before:
        await until(lambda: list(tmp_path.glob("rules-*")))
        assert await before.wait_ready(5)

    vendor.script = [503] * 10_000
    async with running(make_refresher(statsig(vendor, cache=FileCache(tmp_path)))) as after:
        assert await after.wait_ready(5)

        assert passes(after)
        assert after.rules.reason(after.rules.gate(ADA, "gate")) == "Adapter(DataStore):Recognized"


async def test_the_cache_is_used_until_the_network_responds(vendor: Vendor) -> None:
    cache = MemoryCache()
    source = statsig(vendor, cache=cache)
    await cache.save(source.cache_key, rules(3, gate("cached")))
    vendor.hold = asyncio.Event()
    vendor.body = rules(4, gate("fresh"))
    async with running(make_refresher(source)) as refresher:
        assert await refresher.wait_ready(5)
        assert passes(refresher, "cached")
        vendor.hold.set()

        await until(lambda: passes(refresher, "fresh"))
    assert await cache.load(source.cache_key) == vendor.body


async def test_the_cache_never_replaces_rules(vendor: Vendor) -> None:
    go_on = asyncio.Event()

    class Slow(MemoryCache):
        async def load(self, key: str) -> bytes | None:
            await go_on.wait()
            return rules(99, gate("cached"))

    async with running(make_refresher(statsig(vendor, cache=Slow()))) as refresher:
        await refresher.wait_ready(5)
        go_on.set()
        await until(lambda: len(vendor.requests) > 3)

        assert refresher.health().source == "Network"


async def test_with_a_bootstrap_the_cache_is_not_read() -> None:
    cache = MemoryCache()
    source = statsig(bootstrap=rules(), cache=cache, offline=True)
    await cache.save(source.cache_key, rules(99, gate("cached")))
    async with running(make_refresher(source)) as refresher:
        await refresher.wait_ready(5)

        assert passes(refresher)


async def test_a_cancellation_raised_by_the_cache_is_a_failure_of_it(vendor: Vendor) -> None:
    class Cancelled(MemoryCache):
        async def save(self, key: str, body: bytes) -> None:
            raise asyncio.CancelledError

    vendor.body = rules(1, gate("first"))
    async with running(make_refresher(statsig(vendor, cache=Cancelled()))) as refresher:
        await refresher.wait_ready(5)
        vendor.body = rules(2, gate("second"))

        await until(lambda: passes(refresher, "second"))
        assert refresher.health().cache_failures


async def test_a_cancellation_raised_by_a_watcher_is_logged(vendor: Vendor) -> None:
    def watch(_: object) -> None:
        raise asyncio.CancelledError

    vendor.body = rules(1, gate("first"))
    refresher = make_refresher(statsig(vendor))
    refresher.subscribe(watch)
    async with running(refresher):
        await refresher.wait_ready(5)
        vendor.body = rules(2, gate("second"))

        await until(lambda: passes(refresher, "second"))


class FailingCache:
    """A cache that always fails."""

    def __init__(self) -> None:
        self.calls = 0

    async def load(self, key: str) -> bytes | None:
        self.calls += 1
        raise OSError

    async def save(self, key: str, body: bytes) -> None:
        self.calls += 1
        raise RuntimeError


async def test_a_failing_cache_is_logged_once(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    cache = FailingCache()
    async with running(make_refresher(statsig(vendor, cache=cache))) as refresher:
        await until(lambda: cache.calls == 2)
        vendor.body = rules(2, gate("new"))
        await until(lambda: refresher.health().cache_failures == 3)
        assert passes(refresher, "new")

    assert cache.calls == 3
    assert len(caplog.records) == 1


async def test_a_damaged_ruleset_in_the_cache_is_a_failure_of_it(vendor: Vendor) -> None:
    cache = MemoryCache()
    source = statsig(cache=cache, offline=True)
    await cache.save(source.cache_key, b"junk")
    async with running(make_refresher(source)) as refresher:
        assert not await refresher.wait_ready(5)

    assert refresher.health().cache_failures == 1


@pytest.mark.parametrize("kind", [bytearray, bytes.decode])
async def test_a_cache_that_does_not_return_bytes_is_logged(
    kind: Callable[[bytes], Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Other(MemoryCache):
        async def load(self, key: str) -> Any:
            return kind(rules(1, gate("kept")))

    async with running(make_refresher(statsig(cache=Other(), offline=True))) as refresher:
        assert not await refresher.wait_ready(5)

    assert refresher.health().cache_failures == 1
    assert "`load` must return bytes or None, not " in caplog.text


# --- no source ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [statsig(offline=True, id_lists=True), Statsig("secret-key", rules=None)])
async def test_without_any_source_waiting_ends_at_once(source: Statsig) -> None:
    class NoFetcher:
        async def fetch(self, request: object) -> object:
            raise AssertionError

    refresher = Refresher(source)
    task = asyncio.create_task(refresher.run(NoFetcher()))  # type: ignore[arg-type] # must not be used

    assert not await refresher.wait_ready(5)
    assert refresher.health().source == "NoValues"
    task.cancel()
    await asyncio.wait([task])


def test_the_intervals_are_those_of_the_settings() -> None:
    refresher = Refresher(Statsig("secret-key", rules=Rules(poll_interval=30, id_lists_interval=90)))

    assert (refresher.polling.interval, refresher.id_lists.polling.interval) == (30, 90)


# --- the shared context -------------------------------------------------------------------------------------------


async def test_overrides_apply_at_once_and_to_later_rules(vendor: Vendor) -> None:
    async with running(make_refresher(statsig(vendor))) as refresher:
        await refresher.wait_ready(5)
        refresher.use_overrides(Overrides().set("gate", "gate", value=False))
        assert not passes(refresher)
        vendor.body = rules(2, gate("gate"), gate("new"))
        await until(lambda: passes(refresher, "new"))

        assert not passes(refresher)
        refresher.use_overrides(Overrides())
        assert passes(refresher)


async def test_overrides_set_while_rules_are_loading_apply(vendor: Vendor) -> None:
    vendor.body = rules(1, gate("gate"), *[gate(f"gate-{n}") for n in range(4000)])  # takes many steps
    refresher = make_refresher(statsig(vendor))
    async with running(refresher):
        await until(refresher._install_lock.locked)
        refresher.use_overrides(Overrides().set("gate", "gate", value=False))
        await until(lambda: refresher.is_ready)

        assert refresher.rules.raw("feature_gates", "gate")
        assert not passes(refresher)


def conditional(kind: str, field: str | None, target: list[str]) -> bytes:
    condition = {"type": kind, "operator": "any", "field": field, "targetValue": target, "additionalValues": {}}
    return rules(1, gate("gate", conditions=("c",)), condition_map={"c": condition})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"environment": "staging"}, True),
        ({"environment": "production"}, False),
        ({}, False),
    ],
)
async def test_the_environment_is_that_of_the_settings(source: dict[str, str], expected: bool) -> None:
    body = conditional("environment_field", "tier", ["staging"])
    refresher = make_refresher(Statsig("secret-key", offline=True, rules=Rules(bootstrap=body), **source))
    async with running(refresher):
        await refresher.wait_ready(5)

    assert passes(refresher) is expected


async def test_custom_fields_of_every_user_are_those_of_the_settings() -> None:
    body = conditional("user_field", "plan", ["pro"])
    async with running(
        make_refresher(statsig(offline=True, bootstrap=body, global_custom={"plan": "pro"}))
    ) as refresher:
        await refresher.wait_ready(5)

    assert passes(refresher)


async def test_the_country_table_is_loaded_before_rules_that_need_it() -> None:
    body = conditional("ip_based", "country", ["NL"])
    async with running(make_refresher(statsig(offline=True, bootstrap=body))) as refresher:
        await refresher.wait_ready(5)

        assert refresher._countries._complete
        assert not passes(refresher)
