"""Fetching whole responses over real sockets: decompression, and the names of errors."""

import asyncio
import gzip
import random
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._decompression import decompressor_for
from asyncsdk._transport import MAX_FETCHED_BYTES, Transport
from asyncsdk.vendors._base import Limits, Request, Response
from refresh.vendor import Vendor, serving

BIG = random.Random(7).randbytes(300_000) + b"x" * 3_000_000  # in part incompressible
TEXT = b"".join(b"line %d\n" % number for number in range(9999))


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport(Limits(timeout=2.0))
    yield transport
    await transport.aclose()


async def fetch(transport: Transport, vendor: Vendor, answer: object, **limits: int) -> Response:
    vendor.script = [answer]
    request = Request(f"{vendor.url}/v2/specs", "/v2/canonical?a=b", {"X-Mine": "1"}, b"", method="GET")
    return await transport.fetch(request, **limits)


def trouble_of(response: Response) -> str:
    assert (response.status, response.body) == (0, b"")
    return response.error


def compressed(body: bytes, coding: str = "gzip") -> web.Response:
    return web.Response(body=body, headers={"Content-Encoding": coding})


@pytest.mark.parametrize(
    "answer",
    [
        lambda: BIG,
        lambda: compressed(gzip.compress(BIG)),
        lambda: compressed(zlib.compress(BIG), "deflate"),
        lambda: compressed(zlib.compress(BIG, wbits=-15), "deflate"),
        lambda: compressed(gzip.compress(BIG), "GZIP"),
    ],
)
async def test_a_response_is_returned_whole_and_decompressed(
    vendor: Vendor, transport: Transport, answer: object
) -> None:
    response = await fetch(transport, vendor, answer())  # type: ignore[operator] # each is a function

    assert (response.status, response.body == BIG) == (200, True)


@pytest.mark.parametrize("size", [96 * 1024 - 1, 96 * 1024, 96 * 1024 + 1, 2 * 96 * 1024])
async def test_responses_of_any_size_are_decompressed(vendor: Vendor, transport: Transport, size: int) -> None:
    response = await fetch(transport, vendor, compressed(gzip.compress(b"x" * size)))

    assert response.body == b"x" * size


@pytest.mark.parametrize("answer", [b"", 204, 304, 503])
async def test_a_response_may_be_empty(vendor: Vendor, transport: Transport, answer: object) -> None:
    assert (await fetch(transport, vendor, answer)).body == b""


async def test_an_empty_response_may_name_a_content_encoding(vendor: Vendor, transport: Transport) -> None:
    response = await fetch(transport, vendor, compressed(b""))

    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (compressed(gzip.compress(BIG)[:-100]), "connection lost"),
        (compressed(b"plain text"), "answer cannot be decompressed"),
        (compressed(gzip.compress(TEXT)[:500] + b"junk" * 500), "answer cannot be decompressed"),
        (compressed(b"x", "br"), "answer cannot be decompressed"),
    ],
)
async def test_a_response_that_cannot_be_decompressed_has_an_error(
    vendor: Vendor, transport: Transport, answer: web.Response, trouble: str
) -> None:
    assert trouble_of(await fetch(transport, vendor, answer)) == trouble


@pytest.mark.parametrize("answer", [b"x" * 1001, compressed(gzip.compress(b"x" * 50_000_000))])
async def test_a_response_that_is_too_large_is_an_error(vendor: Vendor, transport: Transport, answer: object) -> None:
    assert trouble_of(await fetch(transport, vendor, answer, max_bytes=1000)) == "answer too large"
    assert MAX_FETCHED_BYTES >= 20_000_000


async def test_a_truncated_response_is_a_lost_connection(transport: Transport) -> None:
    class Breaking(Vendor):
        async def answer(self, request: web.Request) -> web.Response:
            cut = web.StreamResponse(headers={"Content-Length": "100"})
            await cut.prepare(request)
            await cut.write(b"x")
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

    async with serving(Breaking()) as vendor:
        assert trouble_of(await fetch(transport, vendor, b"")) == "connection lost"


async def test_a_redirect_is_not_followed(vendor: Vendor, transport: Transport) -> None:
    response = await fetch(transport, vendor, web.Response(status=302, headers={"Location": f"{vendor.url}/elsewhere"}))

    assert (response.status, len(vendor.requests)) == (302, 1)


async def test_a_slow_response_times_out(vendor: Vendor) -> None:
    vendor.hold = asyncio.Event()
    transport = Transport(Limits(timeout=0.05))

    assert (await fetch(transport, vendor, b"")).error == "timeout"

    await transport.aclose()


async def test_a_request_has_its_headers_and_no_body(vendor: Vendor, transport: Transport) -> None:
    await fetch(transport, vendor, b"")

    [request] = vendor.requests
    assert (request.method, request.path_qs, request.headers["X-Mine"]) == ("GET", "/v2/specs", "1")
    assert request.headers["User-Agent"].startswith("asyncsdk/")
    assert "Content-Type" not in request.headers
    assert vendor.bodies == [b""]


async def test_a_dev_server_is_requested_at_the_canonical_path(vendor: Vendor) -> None:
    transport = Transport(Limits(timeout=2.0), vendor.url)
    request = Request("https://vendor.example.com/mine", "/v2/canonical?a=b", {}, b"", method="GET")

    await transport.fetch(request)

    assert vendor.requests[0].path_qs == "/v2/canonical?a=b"
    await transport.aclose()


MEMBERS = [gzip.compress(TEXT[:at]) for at in (0, 1, 50_000)] + [gzip.compress(BIG)]


@pytest.mark.parametrize("padding", [b"", b"\0" * 300])
async def test_a_gzip_body_of_several_members_is_read_whole(
    vendor: Vendor, transport: Transport, padding: bytes
) -> None:
    response = await fetch(transport, vendor, compressed(padding.join(MEMBERS) + padding))

    assert response.body == TEXT[:1] + TEXT[:50_000] + BIG


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=4), st.lists(st.integers(0, 200), max_size=6))
def test_members_are_found_wherever_the_parts_are_cut(texts: list[bytes], cuts: list[int]) -> None:
    whole = b"\0".join(map(gzip.compress, texts))
    edges = [0, *sorted(cuts), len(whole)]
    decompressor = decompressor_for("gzip")

    parts = [whole[start:end] for start, end in pairwise(edges)]
    found = b"".join(piece for part in parts for piece in decompressor.pieces(part))

    assert (found, decompressor.is_complete) == (b"".join(texts), True)


def test_a_member_may_begin_with_the_last_byte_of_a_part() -> None:
    decompressor = decompressor_for("gzip")
    whole, cut = gzip.compress(b"a") + gzip.compress(b"b"), len(gzip.compress(b"a")) + 1

    assert decompressor is not None
    assert b"".join([*decompressor.pieces(whole[:cut]), *decompressor.pieces(whole[cut:])]) == b"ab"


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_few_bytes_after_the_data_are_ignored(
    vendor: Vendor, transport: Transport, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    response = await fetch(transport, vendor, compressed(pack(TEXT) + b"\r\n" * 20, coding))

    assert response.body == TEXT


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
@pytest.mark.parametrize("more", [b"\0", b"x", b"\x1f"])
async def test_endless_data_after_the_end_is_an_error(
    transport: Transport, coding: str, pack: Callable[[bytes], bytes], more: bytes
) -> None:
    class Endless(Vendor):
        async def answer(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
            response = web.StreamResponse(headers={"Content-Encoding": coding})
            await response.prepare(request)
            await response.write(pack(TEXT))
            with suppress(ConnectionError):
                while True:
                    await response.write(more * 50_000)
            return response

    async with serving(Endless()) as vendor:
        assert (await fetch(transport, vendor, b"")).error == "answer cannot be decompressed"


async def test_compressed_data_without_content_is_bounded(vendor: Vendor, transport: Transport) -> None:
    empty = compressed(gzip.compress(b"") * 500)

    assert trouble_of(await fetch(transport, vendor, empty, max_bytes=5_000)) == "answer too large"
