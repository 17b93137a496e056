"""Refreshing ID lists: which bytes of which files are downloaded, bad files, and the cache."""

import asyncio
import logging
from base64 import b64encode
from typing import Any, ClassVar

import orjson
import pytest
from aiohttp import web

from asyncsdk import Rules, Statsig, User
from asyncsdk._refresh import Refresher
from asyncsdk._rules.language.buckets import id_list_key
from asyncsdk.stores import MemoryCache
from refresh.vendor import Vendor, gate, make_refresher, rules, running, serving, statsig, until

IN_LIST = {"type": "unit_id", "operator": "in_segment_list", "targetValue": "vips", "field": None, "idType": "userID"}


def lines(*changes: str) -> bytes:
    """Return the file of a list: `+ada` adds, `-ada` removes."""
    return b"".join(f"{change[0]}{b64encode(id_list_key(change[1:])).decode()}\n".encode() for change in changes)


def manifest(vendor: Vendor, **lists: bytes) -> None:
    found: dict[str, Any] = {}
    for name, content in lists.items():
        found |= vendor.list_of(name, content)
    vendor.manifest = orjson.dumps(found)


def refresher_for(vendor: Vendor, **settings: Any) -> Refresher:
    vendor.body = rules(1, gate("vip", conditions=("c",)), condition_map={"c": IN_LIST})
    return make_refresher(statsig(vendor, id_lists=True, **settings))


def is_vip(refresher: Refresher, name: str) -> bool:
    return refresher.rules.gate(User(name), "vip").value is True


async def test_ready_waits_for_the_lists(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada"))
    async with running(refresher_for(vendor)) as refresher:
        assert await refresher.wait_ready(5)

        assert is_vip(refresher, "ada")
        assert not is_vip(refresher, "bob")
        assert refresher.health().id_lists == {"vips": 1}


async def test_lists_are_disabled_by_default(vendor: Vendor) -> None:
    async with running(make_refresher(statsig(vendor))) as refresher:
        await refresher.wait_ready(5)
        await until(lambda: len(vendor.requests) > 2)

    assert not vendor.requests_for("get_id_lists")


async def test_a_custom_manifest_url_is_requested_with_an_empty_post(vendor: Vendor) -> None:
    async with running(refresher_for(vendor)) as refresher:
        await refresher.wait_ready(5)

    request = vendor.requests_for("get_id_lists")[0]
    assert (request.method, request.path, request.headers["Content-Length"]) == ("POST", "/v1/get_id_lists", "0")


async def test_only_the_new_bytes_of_a_file_are_downloaded(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada"))
    async with running(refresher_for(vendor)) as refresher:
        await refresher.wait_ready(5)
        entries = refresher.id_lists.entries["vips"]
        manifest(vendor, vips=lines("+ada", "+bob", "-ada"))
        await until(lambda: is_vip(refresher, "bob"))

        assert not is_vip(refresher, "ada")
        assert refresher.id_lists.entries["vips"] is entries
    downloads = vendor.requests_for("/list/")
    assert [request.headers["Range"] for request in downloads] == ["bytes=0-", "bytes=10-"]
    assert [request.headers["statsig-id-list-file-size"] for request in downloads] == ["10", "30"]
    assert downloads[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("again", [{"generation": "2"}, {"created": 2}])
async def test_a_new_generation_of_a_file_is_downloaded_whole(vendor: Vendor, again: dict[str, Any]) -> None:
    manifest(vendor, vips=lines("+ada", "+eve"))
    async with running(refresher_for(vendor)) as refresher:
        await refresher.wait_ready(5)
        vendor.manifest = orjson.dumps(vendor.list_of("vips", lines("+bob"), **again))
        await until(lambda: is_vip(refresher, "bob"))

        assert not is_vip(refresher, "ada")
        assert refresher.health().id_lists == {"vips": 1}


async def test_a_list_that_left_the_manifest_is_dropped(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada"), others=lines("+eve"))
    async with running(refresher_for(vendor)) as refresher:
        await refresher.wait_ready(5)
        manifest(vendor, others=lines("+eve"))

        await until(lambda: not is_vip(refresher, "ada"))
        assert list(refresher.id_lists.entries) == ["others"]


async def test_a_server_that_ignores_ranges_sends_the_whole_list(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada"))
    async with running(refresher_for(vendor)) as refresher:
        await refresher.wait_ready(5)
        whole = lines("+eve", "+bob")
        manifest(vendor, vips=whole)
        vendor.files["vips"] = web.Response(body=whole)
        await until(lambda: is_vip(refresher, "bob"))

        assert not is_vip(refresher, "ada")


async def test_an_incomplete_line_is_read_again_once_it_is_complete(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada", "+bob")[:-4])
    async with running(refresher_for(vendor)) as refresher:
        await refresher.wait_ready(5)
        assert refresher.health().id_lists == {"vips": 1}
        manifest(vendor, vips=lines("+ada", "+bob", "+eve"))
        await until(lambda: is_vip(refresher, "eve"))

        assert is_vip(refresher, "bob")
    assert vendor.requests_for("/list/")[-1].headers["Range"] == "bytes=10-"


@pytest.mark.parametrize("bad", [b"<html>try later</html>", 404, 500])
async def test_a_list_that_cannot_be_read_does_not_affect_others(vendor: Vendor, bad: Any) -> None:
    manifest(vendor, first=lines("+eve"), vips=lines("+ada"), last=lines("+eve"))
    vendor.files["first"] = bad if isinstance(bad, int) else web.Response(body=bad)
    async with running(refresher_for(vendor, id_lists_interval=60)) as refresher:
        assert await refresher.wait_ready(5)

        assert is_vip(refresher, "ada")
        assert set(refresher.id_lists.entries) == {"vips", "last"}
        assert refresher.health().last_error.startswith("1 of 3 files: ")


async def test_a_list_keeps_its_entries_when_its_file_turns_bad(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada"))
    async with running(refresher_for(vendor)) as refresher:
        await refresher.wait_ready(5)
        manifest(vendor, vips=lines("+ada", "+bob"))
        vendor.files["vips"] = web.Response(body=b"<html>")
        await until(lambda: refresher.health().last_error)

        assert is_vip(refresher, "ada")


@pytest.mark.parametrize("bad", [b"junk", b"[]", 403, 503])
async def test_a_bad_manifest_does_not_change_the_lists(
    vendor: Vendor, bad: bytes | int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asyncsdk")
    manifest(vendor, vips=lines("+ada"))
    async with running(refresher_for(vendor)) as refresher:
        await refresher.wait_ready(5)
        vendor.manifest, good = bad, vendor.manifest
        await until(lambda: refresher.id_lists.polling.streak.failures > 1)
        assert is_vip(refresher, "ada")
        vendor.manifest = good
        await until(lambda: not refresher.health().last_error)

    assert [record.levelname for record in caplog.records] == ["ERROR" if bad == 403 else "WARNING", "INFO"]


async def test_an_empty_response_means_no_changes(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada"))
    async with running(refresher_for(vendor)) as refresher:
        await refresher.wait_ready(5)
        vendor.manifest = 204
        before = len(vendor.requests_for("get_id_lists"))
        await until(lambda: len(vendor.requests_for("get_id_lists")) > before + 2)

        assert is_vip(refresher, "ada")


async def test_without_a_manifest_the_lists_are_not_ready(vendor: Vendor) -> None:
    vendor.manifest = 403
    async with running(refresher_for(vendor)) as refresher:
        await until(lambda: refresher.rules.sections)

        assert not await refresher.wait_ready(0.01)


async def test_three_files_are_downloaded_at_the_same_time(vendor: Vendor) -> None:
    under_way = most = 0

    class Counting(Vendor):
        async def answer(self, request: web.Request) -> web.Response:
            nonlocal under_way, most
            under_way += request.path.startswith("/list/")
            most = max(most, under_way)
            await asyncio.sleep(0.005)
            under_way -= request.path.startswith("/list/")
            return await super().answer(request)

    async with serving(Counting()) as slow:
        manifest(slow, **{f"list_{n}": lines("+ada") for n in range(9)})
        async with running(refresher_for(slow), max_in_flight=20) as refresher:
            assert await refresher.wait_ready(5)

    assert most == 3
    assert len(refresher.id_lists.entries) == 9


# --- the cache ----------------------------------------------------------------------------------------------------


class Clock:
    """A clock that the test sets."""

    now = 1_000_000_000

    def __call__(self) -> int:
        return self.now


async def fill_cache(vendor: Vendor, cache: MemoryCache, *changes: str, **more: bytes) -> None:
    """Fill the cache: run until the lists are saved, stop, and take the vendor down."""
    manifest(vendor, vips=lines(*changes), **more)
    source = statsig(vendor, id_lists=True, cache=cache)
    async with running(refresher_for(vendor, cache=cache)) as refresher:
        assert await refresher.wait_ready(5)
        while await cache.load(source.list_cache_key()) is None:
            await asyncio.sleep(0)
    vendor.script, vendor.manifest = [503] * 10_000, 503
    vendor.requests.clear()


async def test_a_restart_during_an_outage_loads_the_lists_from_the_cache(vendor: Vendor) -> None:
    cache = MemoryCache()
    await fill_cache(vendor, cache, "+ada", "+bob", "-bob")

    async with running(refresher_for(vendor, cache=cache)) as refresher:
        assert await refresher.wait_ready(5)

        assert (is_vip(refresher, "ada"), is_vip(refresher, "bob")) == (True, False)


async def test_after_a_restart_only_new_bytes_are_downloaded(vendor: Vendor) -> None:
    cache = MemoryCache()
    await fill_cache(vendor, cache, "+ada", "+bob", "-bob")
    async with running(refresher_for(vendor, cache=cache)) as refresher:
        assert await refresher.wait_ready(5)
        manifest(vendor, vips=lines("+ada", "+bob", "-bob", "+eve", "-ada"))
        await until(lambda: is_vip(refresher, "eve"))

        assert not is_vip(refresher, "ada")
    assert [request.headers["Range"] for request in vendor.requests_for("/list/")] == ["bytes=30-"]


async def test_offline_lists_come_from_the_cache(vendor: Vendor) -> None:
    cache = MemoryCache()
    await fill_cache(vendor, cache, "+ada")
    source = Statsig("secret-key", offline=True, rules=Rules(id_lists=True, cache=cache))
    async with running(make_refresher(source)) as refresher:
        assert await refresher.wait_ready(5)

        assert is_vip(refresher, "ada")
    assert vendor.requests == []


async def test_a_list_is_saved_every_ten_minutes_and_at_once_when_replaced(vendor: Vendor) -> None:
    cache, clock = MemoryCache(), Clock()
    vendor.body = rules(1, gate("vip", conditions=("c",)), condition_map={"c": IN_LIST})
    source = statsig(vendor, id_lists=True, cache=cache)
    manifest(vendor, vips=lines("+ada"))

    async def sizes() -> int:
        body = await cache.load(source.list_cache_key("vips")) or b""
        return sum(line.startswith(b"+") for line in body.splitlines())

    async with running(make_refresher(source, clock=clock)) as refresher:
        await until(lambda: is_vip(refresher, "ada"))
        manifest(vendor, vips=lines("+ada", "+bob"))
        await until(lambda: is_vip(refresher, "bob"))
        before = len(vendor.requests_for("get_id_lists"))
        await until(lambda: len(vendor.requests_for("get_id_lists")) > before + 1)
        assert await sizes() == 1

        clock.now += 600_000
        manifest(vendor, vips=lines("+ada", "+bob", "+eve"))
        while await sizes() != 3:
            await asyncio.sleep(0)
        vendor.manifest = orjson.dumps(vendor.list_of("vips", lines("+zoe"), generation="2"))
        while await sizes() != 1:
            await asyncio.sleep(0)


@pytest.mark.parametrize("damage", ["manifest", "list", "place", "absent", "no bytes"])
async def test_a_damaged_list_in_the_cache_is_ignored(vendor: Vendor, damage: str) -> None:
    cache = MemoryCache()
    await fill_cache(vendor, cache, "+ada", others=lines("+eve"))
    source = statsig(vendor, id_lists=True, cache=cache)
    key = source.list_cache_key(None if damage == "manifest" else "vips")
    wrong: Any = {"manifest": b"[]", "list": b"junk", "place": b"+abcdefgh\n# 5", "absent": b"", "no bytes": "text"}[
        damage
    ]
    await cache.save(key, wrong)

    async with running(refresher_for(vendor, cache=cache)) as refresher:
        await until(lambda: "others" in refresher.id_lists.entries or refresher.id_lists.polling.streak.failures > 1)
        assert not await refresher.wait_ready(0.01)
        assert not is_vip(refresher, "ada")
        assert ("others" in refresher.id_lists.entries) is (damage != "manifest")
        manifest(vendor, vips=lines("+ada"))
        assert await refresher.wait_ready(5)

        assert is_vip(refresher, "ada")


async def test_a_failing_cache_is_not_tried_for_each_list(vendor: Vendor) -> None:
    class Broken:
        saved: ClassVar[list[str]] = []

        async def load(self, key: str) -> bytes | None:
            return None

        async def save(self, key: str, body: bytes) -> None:
            self.saved.append(key)
            raise ConnectionError

    manifest(vendor, **{f"list_{number}": lines("+ada") for number in range(9)})
    async with running(refresher_for(vendor, cache=Broken())) as refresher:
        assert await refresher.wait_ready(5)
        await until(lambda: len(vendor.requests_for("get_id_lists")) > 1)

    assert len([key for key in Broken.saved if "id_list" in key]) == 1


async def test_the_cache_never_replaces_a_downloaded_list(vendor: Vendor) -> None:
    cache = MemoryCache()
    await fill_cache(vendor, cache, "+eve")
    slow, go_on = MemoryCache(), asyncio.Event()

    class Slow:
        async def load(self, key: str) -> bytes | None:
            await go_on.wait()
            return await cache.load(key)

        save = slow.save

    vendor.script = []
    manifest(vendor, vips=lines("+ada"))
    async with running(refresher_for(vendor, cache=Slow())) as refresher:
        await until(lambda: is_vip(refresher, "ada"))
        go_on.set()
        before = len(vendor.requests)
        await until(lambda: len(vendor.requests) > before + 4)

        assert (is_vip(refresher, "ada"), is_vip(refresher, "eve")) == (True, False)


async def test_a_repr_counts_lists_and_entries(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada", "+bob"), others=lines("+eve"))
    async with running(refresher_for(vendor)) as refresher:
        assert await refresher.wait_ready(5)

    assert repr(refresher.id_lists) == "<IdLists 2 lists, 3 entries, 0 failures in a row>"
