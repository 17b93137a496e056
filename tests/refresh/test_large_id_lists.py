"""ID lists of any size: read while they arrive, resumed after a failure, bounded; and whom the key is sent to."""

import asyncio
from base64 import b64encode
from typing import Any

import orjson
import pytest
from aiohttp import web

from asyncsdk import Rules, Statsig
from asyncsdk._model.compact_ids import SMALL, CompactIds
from asyncsdk._refresh import Refresher
from asyncsdk.errors import ConfigurationError
from asyncsdk.stores import MemoryCache
from asyncsdk.vendors._base import Request, Response
from refresh.test_refresh_id_lists import is_vip, lines, manifest, refresher_for
from refresh.vendor import Vendor, running, serving, until


def many(count: int) -> bytes:
    keys = b64encode(b"".join(number.to_bytes(6) for number in range(count)))
    return b"".join(b"+%b\n" % keys[at : at + 8] for at in range(0, len(keys), 8))


async def test_a_file_larger_than_other_downloads_is_read(vendor: Vendor) -> None:
    # 34 MB: more than `fetch` would hold. Most of it is long lines that match no unit, which makes the test fast.
    manifest(vendor, vips=lines("+ada") + b"+%b\n" % (b"x" * 990) * 34_500 + many(1_000) + lines("+eve"))
    async with running(refresher_for(vendor), timeout=60.0) as refresher:
        await until(lambda: refresher.id_lists.entries)

        await until(lambda: is_vip(refresher, "eve"))
        assert is_vip(refresher, "ada")
        assert refresher.health().id_lists == {"vips": 1_002}


async def test_a_list_that_grows_large_becomes_compact(vendor: Vendor) -> None:
    manifest(vendor, vips=many(SMALL - 100))
    async with running(refresher_for(vendor)) as refresher:
        await refresher.wait_ready(10)
        assert isinstance(refresher.id_lists.entries["vips"], set)
        manifest(vendor, vips=many(SMALL + 100) + lines("+ada", "+eve", "-eve"))
        await until(lambda: isinstance(refresher.id_lists.entries["vips"], CompactIds))

        await until(lambda: is_vip(refresher, "ada"))
        assert not is_vip(refresher, "eve")
        assert refresher.health().id_lists == {"vips": SMALL + 101}


async def test_a_large_list_survives_a_restart(vendor: Vendor) -> None:
    cache = MemoryCache()
    manifest(vendor, vips=many(SMALL + 100) + lines("+ada"))
    async with running(refresher_for(vendor, cache=cache)) as refresher:
        await until(lambda: refresher.id_lists._saved_ms)

    vendor.manifest = 503
    async with running(refresher_for(vendor, cache=cache)) as restarted:
        assert await restarted.wait_ready(10)
        assert (is_vip(restarted, "ada"), is_vip(restarted, "bob")) == (True, False)
        assert restarted.health().id_lists == {"vips": SMALL + 101}


class Breaking(Vendor):
    """Sends half of what is left of a list, and then drops the connection."""

    async def answer(self, request: web.Request) -> Any:
        if not request.path.startswith("/list/") or len(self.requests_for("/list/")) > 2:
            return await super().answer(request)
        self.requests.append(request)
        body = self.file(request).body
        response = web.StreamResponse(status=206, headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        await asyncio.sleep(0.01)
        assert request.transport is not None
        request.transport.abort()
        return response


async def test_a_download_that_breaks_off_goes_on_where_it_ended() -> None:
    async with serving(Breaking()) as vendor:
        manifest(vendor, vips=lines(*(f"+u{number}" for number in range(8_000))))
        async with running(refresher_for(vendor)) as refresher:
            await until(lambda: refresher.health().failures or refresher.id_lists.polling.streak.failures)
            assert not refresher.id_lists.entries
            await until(lambda: refresher.id_lists.entries)

        assert refresher.health().id_lists == {"vips": 8_000}
        assert is_vip(refresher, "u7999")
    starts = [request.headers["Range"] for request in vendor.requests_for("/list/")]
    assert starts == sorted(set(starts), key=lambda start: int(start[6:-1]))
    assert len(starts) == 4


async def test_a_file_that_is_too_large_is_an_error_and_keeps_its_entries(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada"), others=lines("+ada"))
    async with running(refresher_for(vendor, max_id_list_bytes=25)) as refresher:
        await refresher.wait_ready(5)
        manifest(vendor, vips=lines("+ada", "+bob", "+eve"), others=lines("+ada", "+bob"))
        await until(lambda: refresher.health().last_error)

        message = "'vips': its file of 30 bytes reaches `max_id_list_bytes`, 25"
        assert refresher.health().last_error == f"1 of 2 files: {message}"
        assert (is_vip(refresher, "ada"), is_vip(refresher, "bob")) == (True, False)
        assert refresher.health().id_lists == {"vips": 1, "others": 2}


async def test_a_file_that_is_larger_than_its_manifest_says_is_cut_off(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada"))
    vendor.files["vips"] = web.Response(status=206, body=many(10_000))
    async with running(refresher_for(vendor, max_id_list_bytes=5_000)) as refresher:
        await until(lambda: refresher.health().last_error)

        assert refresher.health().last_error == "1 of 1 files: answer too large"
        assert not refresher.id_lists.entries


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "1"])
def test_a_maximum_that_is_no_number_of_bytes_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_id_list_bytes"):
        Rules(max_id_list_bytes=wrong)


# --- other hosts --------------------------------------------------------------------------------------------------


async def test_a_list_at_another_host_is_fetched_without_the_key(vendor: Vendor) -> None:
    manifest(vendor, vips=lines("+ada"))
    async with serving(Vendor()) as other:
        other.files = vendor.files
        vendor.manifest = vendor.manifest.replace(vendor.url.encode(), other.url.encode())
        async with running(refresher_for(vendor)) as refresher:
            assert await refresher.wait_ready(5)
            assert is_vip(refresher, "ada")

    [request] = other.requests
    assert "secret-key" not in str(request.headers)
    assert all("secret-key" in str(request.headers) for request in vendor.requests)


class Https:
    """A vendor at https addresses, whose manifest names a file at an http one."""

    def __init__(self) -> None:
        self.streamed: list[str] = []
        entry = {"size": 10, "url": "http://api.statsigcdn.com/vips", "fileID": "1", "creationTime": 1}
        self.manifest = orjson.dumps({"vips": entry})

    async def fetch(self, _: Request) -> Response:
        return Response(200, body=self.manifest)

    async def stream(self, request: Request, *_: Any) -> Response:
        self.streamed.append(request.url)
        return Response(200)


@pytest.mark.parametrize("is_dev_server", [False, True])
async def test_http_never_follows_https_except_to_a_dev_server(is_dev_server: bool) -> None:
    vendor, refresher = Https(), Refresher(Statsig("secret-key", rules=Rules(id_lists=True)))
    refresher.id_lists.accepts_http = is_dev_server

    answer = await refresher.id_lists._sync(vendor)

    message = "1 of 1 files: 'vips': its file is at an http address, but the manifest at an https one"
    assert answer.reason == ("" if is_dev_server else message)
    assert bool(vendor.streamed) is is_dev_server
