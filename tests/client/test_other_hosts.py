"""What servers that no setting names are sent, with real TLS servers: neither the secret key nor the user's headers."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs
import pytest
import trustme
from aiohttp import web
from helpers import ADA, quick, ruleset

from asyncsdk import Amplitude, Client, HttpSettings, RudderStack, Rules, Statsig
from asyncsdk._rules.language.buckets import id_list_key

KEY, GATEWAY = "secret-of-statsig", "secret-of-gateway"
LIST = f"+{b64encode(id_list_key('ada')).decode()}\n"


@attrs.define
class Site:
    """A server: its URL, the headers of all requests to it by path, and what it answers, by path."""

    url: str = ""
    seen: dict[str, dict[str, str]] = attrs.Factory(dict)
    answers: dict[str, Callable[[], web.Response]] = attrs.Factory(dict)

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.seen[request.path] = dict(request.headers)
        for path, build in self.answers.items():
            if request.path.startswith(path):
                return build()
        return web.Response(text="OK")

    def secrets(self) -> set[str]:
        text = repr(self.seen)
        return {secret for secret in (KEY, GATEWAY) if secret in text}


@pytest.fixture
async def sites() -> AsyncIterator[tuple[Callable[[str], Any], ssl.SSLContext]]:
    """A function that starts a site with `https` or `http`, and the context that trusts them."""
    authority, trusting = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trusting)
    async with AsyncExitStack() as stack:
        yield (lambda scheme: stack.enter_async_context(site(scheme, authority))), trusting


@asynccontextmanager
async def site(scheme: str, authority: trustme.CA) -> AsyncIterator[Site]:
    found, context = Site(), None
    if scheme == "https":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
    found.url = f"{scheme}://localhost:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


def manifest_of(url: str) -> Callable[[], web.Response]:
    entry = {"name": "vips", "size": len(LIST), "url": url, "creationTime": 1, "fileID": "f"}
    return lambda: web.json_response({"vips": entry})


def statsig_at(own: Site) -> Statsig:
    specs, lists = f"{own.url}/v2/download_config_specs", f"{own.url}/v1/get_id_lists"
    rules = Rules(specs_url=specs, id_lists=True, id_lists_url=lists)
    return Statsig(KEY, rules=rules, log_event_url=own.url, limits=quick())


def client_of(*destinations: Any, trusting: ssl.SSLContext) -> Client:
    http = HttpSettings(ssl=trusting, headers={"X-Gateway": GATEWAY, "Cookie": f"session={GATEWAY}"})
    return Client(*destinations, http=http, close_timeout=0.1, start_timeout=0.1)


@pytest.mark.parametrize("place", ["own", "other"])
async def test_secrets_go_to_the_file_of_a_list_only_at_a_server_of_the_settings(sites: Any, place: str) -> None:
    start, trusting = sites
    own, other = await start("https"), await start("https")
    holder = own if place == "own" else other
    own.answers = {"/v2/": lambda: web.Response(body=ruleset()), "/v1/get_id_lists": manifest_of(f"{holder.url}/list")}
    holder.answers["/list"] = lambda: web.Response(text=LIST)

    async with client_of(statsig_at(own), trusting=trusting) as client:
        assert await client.wait_ready(5)
        assert client.health().rules.id_lists == {"vips": 1}

    assert own.secrets() == {KEY, GATEWAY}
    assert other.secrets() == set()
    assert ("/list" in other.seen) is (place == "other")


async def test_a_list_at_an_http_address_is_not_fetched_if_the_manifest_was_at_an_https_one(sites: Any) -> None:
    start, trusting = sites
    own, plain = await start("https"), await start("http")
    own.answers = {"/v2/": lambda: web.Response(body=ruleset()), "/v1/get_id_lists": manifest_of(f"{plain.url}/list")}

    async with client_of(statsig_at(own), trusting=trusting) as client:
        while not client.health().rules.last_error:
            await asyncio.sleep(0.01)

    assert plain.seen == {}


@pytest.mark.parametrize(
    ("status", "scheme"), [(301, "http"), (302, "https"), (303, "http"), (307, "http"), (308, "https")]
)
async def test_no_redirect_is_followed_to_another_server(sites: Any, status: int, scheme: str) -> None:
    start, trusting = sites
    own, other = await start("https"), await start(scheme)
    own.answers = {"/": lambda: web.Response(status=status, headers={"Location": f"{other.url}/there"})}
    destinations = (
        statsig_at(own),
        RudderStack("key", own.url, limits=quick()),
        Amplitude("key", url=own.url, limits=quick()),
    )

    async with client_of(*destinations, trusting=trusting) as client:
        await client.track(ADA, "a")
        wanted = {"batch", "get_id_lists", "log_event", "httpapi"}
        while not {path.rpartition("/")[2] for path in own.seen} >= wanted:
            await asyncio.sleep(0.01)

    assert other.seen == {}


async def test_a_redirect_of_a_list_leads_nowhere(sites: Any) -> None:
    start, trusting = sites
    own, other = await start("https"), await start("https")
    own.answers = {
        "/v2/": lambda: web.Response(body=ruleset()),
        "/v1/get_id_lists": manifest_of(f"{own.url}/list"),
        "/list": lambda: web.Response(status=302, headers={"Location": f"{other.url}/list"}),
    }

    async with client_of(statsig_at(own), trusting=trusting) as client:
        while "/list" not in own.seen:
            await asyncio.sleep(0.01)
        assert client.health().rules.id_lists == {}

    assert other.seen == {}
