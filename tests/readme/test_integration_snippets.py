"""The services on the page of the web frameworks and in the README run as printed."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import aiohttp
import django
import django.conf
import django.urls
import pytest

from asyncsdk.dev import DevServer
from asyncsdk.examples import aiohttp_shop
from asyncsdk.examples.__main__ import serving
from asyncsdk.integrations import opentelemetry
from readme.pages import INTEGRATIONS, README, Names, blocks, run, spans, table

AIOHTTP, STARLETTE, LIFESPAN, FASTAPI, LITESTAR, QUART, DJANGO, OPENTELEMETRY = range(8)


async def ask(block: int, *paths: str, page: Path = INTEGRATIONS, user: str = "ada-lovelace") -> list[Any]:
    """Serve the application of a block; return the responses that one browser gets."""
    names: Names = {}
    await run(blocks(page)[block], names)
    jar = aiohttp.CookieJar(unsafe=True)  # of an address without a name
    async with (
        serving(names["app"], 0) as url,
        aiohttp.ClientSession(url, headers={"X-User": user} if user else {}, cookie_jar=jar) as browser,
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
    seen = {"sku": "lamp", "feature_flags": {"button": "Test"}, "asyncsdk_event_id": event.id}  # the id: dev mode
    assert event.body["metadata"] == seen


@pytest.mark.parametrize("block", [AIOHTTP, STARLETTE, FASTAPI])
async def test_an_anonymous_visitor_is_tracked_too(server: DevServer, block: int) -> None:
    server.set_ruleset(aiohttp_shop.RULESET)

    await ask(block, "/product", user="")

    [event] = [event for event in server.accepted("statsig") if event.kind == "event"]
    assert (event.name, len(event.user)) == ("Product Viewed", len(str(uuid4())))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that a recipe runs in, and the only one of a Django project, of which a process has one."""
    site = ModuleType("asyncsdk_test_site")
    monkeypatch.setitem(sys.modules, site.__name__, site)
    if not django.conf.settings.configured:
        django.conf.settings.configure(ROOT_URLCONF=site.__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of-a-test")
        django.setup()
    django.urls.clear_url_caches()
    return site


@pytest.mark.parametrize("block", [LITESTAR, QUART, DJANGO])
async def test_other_frameworks_take_a_recipe_of_ten_lines(server: DevServer, site: ModuleType, block: int) -> None:
    server.set_ruleset(aiohttp_shop.RULESET)
    recipe, names = blocks(INTEGRATIONS)[block], vars(site)
    await run(recipe, names)
    names["urlpatterns"] = [django.urls.path("product", names["product"])]

    async with serving(names["app"], 0) as url, aiohttp.ClientSession(url, headers={"X-User": "ada"}) as browser:
        text = await (await browser.get("/product")).text()

    assert text in ("Buy", "Put into basket")
    assert [(event.name, event.user) for event in server.accepted("statsig")] == [("button", "ada")]
    assert len([line for line in recipe.splitlines() if line]) <= 10


async def test_a_custom_lifespan_has_the_client(server: DevServer) -> None:
    names: Names = {}
    for block in (STARLETTE, LIFESPAN):
        await run(blocks(INTEGRATIONS)[block], names)

    async with serving(names["app"], 0):
        pass

    assert [event.name for event in server.accepted("statsig")] == ["Shop Opened"]


async def test_an_instrumented_client_delivers(server: DevServer) -> None:
    names: Names = {}
    await run(blocks(INTEGRATIONS)[OPENTELEMETRY], names)

    async with names["client"] as client:
        await client.track("ada-lovelace", "Item Viewed")

    assert [event.name for event in server.accepted("statsig")] == ["Item Viewed"]


def test_the_table_of_metrics_has_all_of_them() -> None:
    source = Path(opentelemetry.__file__).read_text()
    made = {f"asyncsdk.{name}" for _, name, *_ in opentelemetry._INSTRUMENTS}
    made |= set(re.findall(r'_histogram\(meter, "([\w.]+)"', source))

    assert {spans(name)[0] for name, _ in table(INTEGRATIONS, "OpenTelemetry")} == made


async def test_a_plain_function_of_fastapi_tracks_too(server: DevServer) -> None:
    server.set_ruleset(aiohttp_shop.RULESET)

    assert await ask(FASTAPI, "/price") == [39.0]

    assert [event.name for event in server.accepted("statsig")] == ["Price Asked", "prices"]


async def test_the_service_of_the_readme_asks_a_gate(server: DevServer) -> None:
    server.set_ruleset(aiohttp_shop.RULESET)

    answers = await ask(2, "/checkout", page=README)

    assert answers[0] in ("new", "old")
    assert [event.name for event in server.accepted("statsig")] == ["new_checkout"]
