"""The codings of requests' bodies, which other SDKs name in a header or in the query."""

import base64
import gzip
import sys
import zlib
from collections.abc import Callable

import aiohttp
import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk.dev import DevServer, content_coding
from asyncsdk.dev.messages import MAX_BODY, BrokenBodyError, OversizedBodyError, UnsupportedCodingError

EVENTS = b'{"events": [{"eventName": "Order", "time": 1, "user": {"userID": "ada"}}]}'


def raw_deflate(body: bytes) -> bytes:
    state = zlib.compressobj(wbits=-15)
    return state.compress(body) + state.flush()


def reverse(body: bytes) -> bytes:
    return base64.b64encode(body)[::-1]


CODINGS: dict[str, tuple[Callable[[bytes], bytes], dict[str, str], str]] = {
    "none": (bytes, {}, ""),
    "identity": (bytes, {"Content-Encoding": "identity"}, ""),
    "gzip": (gzip.compress, {"Content-Encoding": "gzip"}, ""),
    "x-gzip": (gzip.compress, {"Content-Encoding": "X-GZIP"}, ""),
    "deflate": (zlib.compress, {"Content-Encoding": "deflate"}, ""),
    "raw deflate": (raw_deflate, {"Content-Encoding": "deflate"}, ""),
    "zstd": (zstandard.compress, {"Content-Encoding": "zstd"}, ""),
    "br": (brotli.compress, {"Content-Encoding": "br"}, ""),
    "two": (lambda body: gzip.compress(brotli.compress(body)), {"Content-Encoding": "br, gzip"}, ""),
    "gzip in the query": (gzip.compress, {}, "&gz=1"),
    "reversed in the query": (reverse, {}, "&se=1"),
}


@pytest.mark.parametrize("coding", CODINGS)
async def test_statsig_takes_a_coding(server: DevServer, http: aiohttp.ClientSession, coding: str) -> None:
    encode, headers, query = CODINGS[coding]

    async with http.post(
        f"{server.url}/v1/rgstr?k=client-key{query}", data=encode(EVENTS), headers=headers
    ) as response:
        assert response.status == 202

    (request,) = server.requests
    assert [event.name for event in server.accepted("statsig")] == ["Order"]
    assert (request.plain, request.plain_size, request.json["events"][0]["time"]) == (EVENTS, len(EVENTS), 1)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br"])
@given(body=st.binary(max_size=300), size=st.integers(1, 40))
def test_a_truncated_body_is_broken(coding: str, body: bytes, size: int) -> None:
    encoded = CODINGS[coding][0](body)

    assert content_coding.decode(encoded, coding, {}) == body
    with pytest.raises(BrokenBodyError):
        content_coding.decode(encoded[: -min(size, len(encoded) - 1)], coding, {})


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br"])
def test_what_is_not_in_the_coding_is_broken(coding: str) -> None:
    with pytest.raises(BrokenBodyError):
        content_coding.decode(b"\xff\xfe\xfd not compressed", coding, {})


def test_text_that_is_not_base64_is_broken() -> None:
    with pytest.raises(BrokenBodyError):
        content_coding.decode(b"!", "", {"se": "1"})


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br"])
def test_a_bomb_ends_at_the_limit(coding: str) -> None:
    compress = {"br": lambda body: brotli.compress(body, quality=1)}.get(coding, CODINGS[coding][0])

    with pytest.raises(OversizedBodyError):
        content_coding.decode(compress(bytes(MAX_BODY + 1)), coding, {})


def test_an_unknown_coding_is_named() -> None:
    with pytest.raises(UnsupportedCodingError, match="lzma"):
        content_coding.decode(b"", "lzma", {})


async def test_a_coding_whose_package_is_missing_says_what_to_install(
    server: DevServer, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    headers = {"Content-Encoding": "zstd", "statsig-api-key": "k"}

    async with http.post(f"{server.url}/v1/log_event", data=zstandard.compress(EVENTS), headers=headers) as response:
        assert response.status == 415
        assert "pip install 'asyncsdk[dev-server]'" in await response.text()

    assert server.requests[0].plain == server.requests[0].wire


@pytest.mark.parametrize(
    "body", [b'{"sdkKey": "k", "events": []}', b'{"statsigMetadata": {"sdkKey": "k"}, "events": []}']
)
async def test_the_key_may_be_in_the_body(server: DevServer, http: aiohttp.ClientSession, body: bytes) -> None:
    async with http.post(f"{server.url}/v1/log_event", data=body) as response:
        assert response.status == 202
    async with http.post(f"{server.url}/v1/log_event", data=b'{"events": []}') as response:
        assert response.status == 401
