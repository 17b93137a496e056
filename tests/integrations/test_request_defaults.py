"""Properties and context of a request's events, in each framework; and requests that invalid events do not break."""

from typing import Any

import pytest
from aiohttp import web
from starlette.applications import Starlette

from asyncsdk import Client, ConfigurationError
from asyncsdk.dev import DevServer
from asyncsdk.integrations.aiohttp import setup
from asyncsdk.integrations.starlette import FlagsMiddleware
from integrations.serving import Serve, client_of


def path_of(request: Any) -> dict[str, str]:
    return {"path": request.url.path, "shop": "request"}


async def test_each_event_of_a_request_gets_its_defaults(serve: Serve, vendors: DevServer) -> None:
    client = client_of(vendors, properties={"shop": "client", "region": "eu"})
    async with serve(client, event_properties=path_of, event_context=lambda _: {"tenant": "acme"}) as browser:
        await browser.get("every_verb", "ada.lovelace")
        await browser.get("buy", "bob.ross")

    sent = {event.name: event.body for event in vendors.accepted("rudderstack")}
    for name in ("track", "flags.track", "Bought", "Got a present"):
        page = "/buy" if name in ("Bought", "Got a present") else "/every_verb"
        expected = {"path": page, "shop": "request", "region": "eu"}
        assert sent[name]["properties"].items() >= expected.items()
        assert sent[name]["context"]["tenant"] == "acme"


async def test_outside_of_a_request_there_are_none(serve: Serve, vendors: DevServer, sdk: Client) -> None:
    async with serve(event_properties=path_of) as browser:
        await browser.get("plain")
        await sdk.track("ada.lovelace", "Outside")

    assert "properties" not in vendors.accepted("rudderstack")[0].body


async def test_without_options_the_client_has_none(serve: Serve, sdk: Client) -> None:
    async with serve() as browser:
        await browser.get("buy", "ada.lovelace")
        assert sdk._admission.defaults == ()


async def test_a_function_that_fails_costs_no_event(serve: Serve, vendors: DevServer) -> None:
    async with serve(event_context=lambda _: 1 / 0) as browser:
        await browser.get("buy", "ada.lovelace")

    assert vendors.total("rudderstack") == 3


@pytest.mark.parametrize("option", ["event_properties", "event_context"])
def test_an_async_function_is_refused(option: str) -> None:
    async def wait(_: Any) -> dict[str, str]:
        return {}

    for wrong in (wait, {"tenant": "acme"}):
        with pytest.raises(ConfigurationError, match=f"{option} is a plain function of the request"):
            FlagsMiddleware(Starlette(), **{option: wrong})
        with pytest.raises(ConfigurationError, match=f"{option} is a plain function of the request"):
            setup(web.Application(), Client(), **{option: wrong})


async def test_an_event_of_a_visitor_without_an_id_is_an_error(serve: Serve) -> None:
    async with serve() as browser, browser.ask("buy") as response:
        assert response.status == 500


async def test_it_breaks_no_request_if_the_client_reports(serve: Serve, vendors: DevServer) -> None:
    client = client_of(vendors, on_invalid="report")
    async with serve(client) as browser:
        await browser.get("buy")

        assert client.health().invalid_events == 2
        assert "pages.py" in client.health().last_invalid

    assert [event.name for event in vendors.accepted("rudderstack")] == ["Got a present"]


async def test_a_cookie_gives_each_visitor_an_id(serve: Serve, vendors: DevServer) -> None:
    client = client_of(vendors, on_invalid="report")
    async with serve(client, anonymous_cookie="visitor") as browser:
        await browser.get("buy")

    assert client.health().invalid_events == 0
    assert vendors.total("rudderstack") == 3
