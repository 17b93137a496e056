"""Faults, Clients and Try it, in a real browser."""

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from asyncsdk.dev import DevServer
from page.events import to_rudderstack

Open = Callable[..., Any]
Http = aiohttp.ClientSession


@pytest.mark.parametrize("width", [1280, 400])
async def test_a_fault_is_set_counted_and_stopped(width: int, http: Http, server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/faults", width=width)
    await tab.see("All vendors behave")
    await tab.click("Outage")
    await tab.click("Start")
    await tab.see("1 at work")
    await to_rudderstack(http, server, {"messageId": "1"})
    assert [request.status for request in server.requests] == [503]
    assert not await tab.is_sideways()
    await tab.click("Stop the fault of RudderStack")
    await tab.see("All vendors behave")


async def test_the_sentence_and_the_command_say_the_same(http: Http, server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/faults")
    await tab.page.get_by_label("Vendor", exact=True).select_option("statsig")
    await tab.page.get_by_label("How many requests").fill("2")
    await tab.see('"vendor":"statsig","status":429,"retry_after":3,"times":2')


async def test_a_client_that_is_not_there_is_explained(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/clients")
    await tab.see("No client is connected")
    await tab.see(f"export ASYNCSDK_DEV_SERVER={server.url}")


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        ("track", 'await client.track(\n    "ada",\n    "Order Completed",'),
        ("identify", 'await client.identify("ada", {"name": "Ada", "plan": "pro"})'),
        ("page", 'await client.page("ada", "Home", {"products": 4})'),
        ("screen", 'await client.screen("ada", "Basket")'),
        ("group", 'await client.group("ada", "acme", {"plan": "pro"})'),
        ("alias", 'await client.alias("visitor-1", "ada")'),
        ("log_event", 'await client.log_event("ada", "add_to_cart", None, {"sku": "teapot"})'),
    ],
)
async def test_each_verb_has_its_python_and_is_sent(verb: str, code: str, server: DevServer, open_tab: Open) -> None:
    tab = await open_tab(f"/try?verb={verb}&user=ada")
    assert code in await tab.page.locator(".trycode .paste code").inner_text()
    await tab.page.get_by_role("combobox", name="User").fill("ada-lovelace")
    await tab.click("Send")
    await tab.see("RudderStack delivered", ".trycode")
    assert [event.kind for event in server.accepted("rudderstack")] == ["track" if verb == "log_event" else verb]


async def test_an_event_goes_only_where_it_should(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/try")
    await tab.page.get_by_role("checkbox", name="Statsig").uncheck()
    await tab.page.get_by_role("checkbox", name="Amplitude").uncheck()
    await tab.see('integrations={"All": False, "RudderStack": True}')
    await tab.click("Send")
    await tab.see("RudderStack delivered", ".trycode")
    assert {event.vendor for event in server.events} == {"rudderstack"}
    await tab.click("See it in Live", "link")
    await tab.wait_rows("Order Completed")


async def test_wrong_json_is_not_sent(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/try")
    await tab.page.get_by_role("textbox", name="Properties").fill('{"sku": }')
    await tab.see("Line 1, column 9.")
    await tab.click("Send")
    await tab.wait("document.activeElement.id === 'try-json'")
    assert server.events == []


async def test_a_lookup_is_answered_with_its_reason(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/try?verb=check_gate")
    await tab.page.get_by_role("combobox", name="Gate").select_option("dutch")
    await tab.click("Ask")
    await tab.see("Rule the Netherlands", ".trycode")
    assert 'client.check_gate("ada", "dutch")' in await tab.page.locator(".trycode .paste code").inner_text()
