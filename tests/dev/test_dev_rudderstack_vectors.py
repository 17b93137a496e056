"""Recorded requests of RudderStack's gateway, replayed over HTTP."""

import base64
import gzip
import io
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from asyncsdk.dev import DevServer, Fault, RudderStackServer

KEY = "test-write-key"
BASIC = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()

# Recorded cases that differ on purpose, and why.
DUPLICATE_KEYS = "orjson, which reads the body, uses the last of duplicate keys"
DEPTH = "nothing deeper than orjson and the standard library read is accepted; the vendor documents 200 levels"
LIMITER = "the recording counts rejected events against the limit too, unlike the gateway's own limiter"
EXCEPTIONS = {
    "body_duplicate_keys": DUPLICATE_KEYS,
    "depth_9000": DEPTH,
    "rate_limit_5_events_request_2_with_1": LIMITER,
}
# The optional de-duplication, which the recording lacks, does not store the second event.
STORED = {"messageId_duplicate_in_batch": 1}


def event_of(size: int) -> bytes:
    """Build a batch of one event with exactly `size` bytes."""
    frame = b'{"batch":[{"userId":"u","type":"track","event":"%s"}]}'
    return frame % (b"x" * (size - len(frame) + 2))


def events(count: int) -> bytes:
    return json.dumps({"batch": [{"userId": "u", "type": "track"}] * count}).encode()


# Bodies that the recording only describes.
BODIES = {
    "size_at_limit": event_of(4_096_000),
    "size_over_limit": event_of(4_096_001),
    "size_over_limit_gzipped": gzip.compress(event_of(4_096_001)),
    "size_4MiB": event_of(4_194_304),
    "event_33kb": event_of(33_792),
    "event_1mb": event_of(1_048_576),
    "count_2600": events(2600),
    "count_20000": events(20_000),
    "depth_12000": b'{"batch":[{"userId":"u","a":' + b'{"a":' * 12_000 + b"1" + b"}" * 12_001 + b"]}",
}
FAULTS = {
    "store_error": Fault(500, body="tx error\n"),
    "store_deadline": Fault(504),
}

CLOCK = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def recorded(*, limiter: bool) -> list[Any]:
    folder = os.environ.get("ASYNCSDK_VECTORS")
    if not folder:
        return [pytest.param({}, marks=pytest.mark.skip("ASYNCSDK_VECTORS names no folder of recorded vectors"))]
    text = (Path(folder) / "rudderstack" / "gateway_http_vectors.json").read_text()
    cases = json.loads(text, parse_int=float64)
    chosen = [case for case in cases if case["name"].startswith("rate_limit") == limiter]
    return [pytest.param(case, id=case["name"]) for case in chosen if case["name"] not in EXCEPTIONS]


def float64(digits: str) -> int | float:
    """Parse an integer as the gateway does, which uses 64-bit floats."""
    return int(digits) if len(digits) < 17 else float(digits)


def body_of(case: dict[str, Any]) -> bytes:
    request = case["request"]
    if "body_utf8" in request:
        return str(request["body_utf8"]).encode()
    if "body_base64" in request:
        return base64.b64decode(request["body_base64"])
    return BODIES[case["name"]]


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body[:10]
    yield body[10:]


def assert_stored(found: dict[str, Any], recorded: dict[str, Any]) -> None:
    for key, value in recorded.items():
        if value == "<random uuid4>":
            assert UUID4.fullmatch(found[key])
        elif isinstance(value, str) and value.startswith("<server clock"):
            assert CLOCK.fullmatch(found[key])
        else:
            assert found[key] == value
    assert found.keys() == recorded.keys()


async def assert_answer(response: aiohttp.ClientResponse, recorded: dict[str, Any]) -> None:
    assert (response.status, await response.text()) == (recorded["status"], recorded["body"])
    assert {name: response.headers.get(name) for name in recorded["headers"]} == recorded["headers"]
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize("case", recorded(limiter=False))
async def test_a_recorded_request_is_answered_and_stored_as_recorded(case: dict[str, Any]) -> None:
    plane = RudderStackServer(keys={KEY, "disabled-write-key"}, disabled_keys={"disabled-write-key"})
    request, body = case["request"], body_of(case)
    headers = request.get("headers", {"Authorization": BASIC})

    async with DevServer(vendors=[plane], keep=30_000) as server, aiohttp.ClientSession() as http:
        server.script("rudderstack", FAULTS.get(case["name"]))
        async with http.request(
            request["method"],
            server.url + request["path"],
            data=in_pieces(body) if request.get("chunked") else io.BytesIO(body),
            headers=headers,
            skip_auto_headers=["Content-Type"],
        ) as response:
            await assert_answer(response, case["response"])
        accepted = server.accepted("rudderstack")

    wanted = [stored["event"] for stored in case.get("stored", [])]
    kept = STORED.get(case["name"], case.get("stored_count", len(wanted)))
    assert len(accepted) == kept
    for event, stored in zip(accepted, wanted, strict=False):
        assert_stored(event.stored, stored)


async def test_the_rate_limit_counts_events(vectors: Path) -> None:
    cases = [case.values[0] for case in recorded(limiter=True)]
    assert vectors
    assert cases

    async with (
        DevServer(vendors=[RudderStackServer(rate_limit=5)]) as server,
        aiohttp.ClientSession() as http,
    ):
        for case in cases:
            count = int(case["name"].rpartition("_")[2])
            async with http.post(
                f"{server.url}/v1/batch", data=events(count), headers={"Authorization": BASIC}
            ) as response:
                await assert_answer(response, case["response"])
