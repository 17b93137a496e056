"""The services of the page on web frameworks, and that of the README, run as printed."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from asyncsdk.dev import DevServer
from asyncsdk.examples import aiohttp_shop
from asyncsdk.examples.__main__ import serving
from readme.pages import INTEGRATIONS, README, Names, blocks, run

AIOHTTP, STARLETTE, FASTAPI = range(3)


async def ask(block: int, *paths: str, page: Path = INTEGRATIONS) -> list[Any]:
    """Serve the application of a block; give what its pages answer to one browser."""
    names: Names = {}
    await run(blocks(page)[block], names)
    jar = aiohttp.CookieJar(unsafe=True)  # of an address without a name
    async with (
        serving(names["app"], 0) as url,
        aiohttp.ClientSession(url, headers={"X-User": "ada-lovelace"}, cookie_jar=jar) as browser,
    ):
        answers = []
        for path in paths:
            async with browser.get(path) as answer:
                answers.append(await answer.json())
        return answers


@pytest.mark.parametrize("block", [AIOHTTP, STARLETTE, FASTAPI])
async def test_what_a_user_saw_travels_with_the_event(server: DevServer, block: int) -> None:
    server.set_ruleset(aiohttp_shop.RULESET)

    answers = await ask(block, *(["/login"] if block == STARLETTE else []), "/product")

    assert answers[-1] == "Put into basket"
    [event] = [event for event in server.accepted("statsig") if event.kind == "event"]
    assert (event.name, event.user) == ("Product Viewed", "ada-lovelace")
    assert event.body["metadata"] == {"sku": "lamp", "feature_flags": {"button": "Test"}}


async def test_a_plain_function_of_fastapi_tracks_too(server: DevServer) -> None:
    server.set_ruleset(aiohttp_shop.RULESET)

    assert await ask(FASTAPI, "/price") == [39.0]

    assert [event.name for event in server.accepted("statsig")] == ["Price Asked", "prices"]


async def test_the_service_of_the_readme_asks_a_gate(server: DevServer) -> None:
    server.set_ruleset(aiohttp_shop.RULESET)

    answers = await ask(2, "/checkout", page=README)

    assert answers[0] in ("new", "old")
    assert [event.name for event in server.accepted("statsig")] == ["new_checkout"]
