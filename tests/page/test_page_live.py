"""Live: one timeline of what the vendors received, in a real browser."""

import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from asyncsdk.dev import DevServer, Fault
from page.events import exposure, to_amplitude, to_rudderstack, to_statsig

Open = Callable[..., Any]
Http = aiohttp.ClientSession
ID = "0fd02d30-8f26-4e1d-ab52-8005dba7eb67"


async def test_an_empty_list_teaches_the_first_steps(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/")
    await tab.see("Nothing has arrived yet")
    await tab.see(f"export ASYNCSDK_DEV_SERVER={server.url}")


async def test_an_event_of_all_vendors_is_one_row(server: DevServer, http: Http, open_tab: Open) -> None:
    tab = await open_tab("/live")
    await to_rudderstack(http, server, {"messageId": ID})
    await to_amplitude(http, server, {"insert_id": ID})
    await tab.wait_rows("Order")
    await tab.see("RudderStack: accepted, Amplitude: accepted", ".space")


async def test_an_event_is_on_the_page_200_ms_after_it_arrived(server: DevServer, http: Http, open_tab: Open) -> None:
    tab = await open_tab("/live")
    await tab.see("Nothing has arrived yet")
    delays = []
    for number in range(5):
        began = time.monotonic()
        await to_rudderstack(http, server, {"event": f"Event {number}", "messageId": str(number)})
        await tab.see(f"Event {number}", ".space")
        delays.append(time.monotonic() - began)
    assert min(delays) <= 0.2


async def test_stored_events_are_there_when_the_page_opens(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"event": "Old", "messageId": "1"}, {"event": "New", "messageId": "2"})
    await (await open_tab("/live")).wait_rows("New", "Old")


async def test_the_query_is_in_the_address(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"event": "Order", "messageId": "1"}, {"event": "View", "messageId": "2"})
    tab = await open_tab("/live?q=name:View")
    await tab.wait_rows("View")
    await tab.page.get_by_label("Search events").fill("name:Order")
    await tab.wait_rows("Order")
    assert tab.path == "/live?q=name:Order"


async def test_a_chip_adds_its_word_and_takes_it_away(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": "1"})
    tab = await open_tab("/live")
    await tab.click("Amplitude")
    await tab.see("No event matches")
    await tab.click("Amplitude")
    await tab.wait_rows("Order")
    assert tab.path == "/live"


async def test_a_misspelt_word_is_explained_and_ignored(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": "1"})
    tab = await open_tab("/live?q=vendr:amplitude")
    await tab.wait_rows("Order")
    await tab.see("There is no “vendr:”. Did you mean “vendor:”?")


async def test_the_words_that_exclude_everything_are_named(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": "1"})
    tab = await open_tab("/live?q=name:Order user:bob")
    await tab.see("No event matches")
    await tab.click("user:bob")
    await tab.wait_rows("Order")


async def test_payloads_are_searched_at_the_server(server: DevServer, http: Http, open_tab: Open) -> None:
    tab = await open_tab("/live?q=prop:sku=tea")
    await to_rudderstack(
        http,
        server,
        {"event": "A", "messageId": "1", "properties": {"sku": "teapot"}},
        {"event": "B", "messageId": "2"},
    )
    await tab.wait_rows("A")


@pytest.mark.parametrize(
    "query",
    [
        "vendor:rudder",
        "is:rejected",
        "-name:A",
        "user:ada,bob type:track",
        "attempt:>1",
        "size:<1k",
        '"the word"',
        "name:a -user:bob",
        "is:nonsense",
        "request:1",
    ],
)
async def test_page_and_api_find_the_same(query: str, server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(
        http, server, {"event": "A", "messageId": "1"}, {"event": "the word", "messageId": "2", "userId": "bob"}
    )
    await to_rudderstack(http, server, {"event": "A", "messageId": "1"})
    await to_amplitude(http, server, {"event_type": "B"}, {"event_type": "C", "time": "never"})
    tab = await open_tab("/live?by=arrival")
    await tab.page.get_by_label("Search events").fill(query)
    async with http.get(f"{server.url}/__dev/events", params={"q": query}) as response:
        expected = [event["name"] for event in reversed((await response.json())["events"])]
    await tab.wait_rows(*expected)


async def test_a_paused_list_counts_what_waits(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"event": "Before", "messageId": "1"})
    tab = await open_tab("/live")
    await tab.wait_rows("Before")
    await tab.press("p")
    await to_rudderstack(http, server, {"event": "After", "messageId": "2"}, {"event": "Later", "messageId": "3"})
    await tab.see("Paused, 2 waiting")
    assert await tab.rows() == ["Before"]
    await tab.press("p")
    await tab.wait_rows("Later", "After", "Before")


async def test_a_selected_row_stays_where_it_is(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"event": "First", "messageId": "1"})
    tab = await open_tab("/live")
    await tab.wait_rows("First")
    await tab.press("j")
    await to_rudderstack(http, server, {"event": "Second", "messageId": "2"})
    await tab.see("1 new event")
    assert await tab.rows() == ["First"]
    await tab.press("Home")
    await tab.wait_rows("Second", "First")


async def test_f_opens_the_first_failure_at_the_vendor_at_fault(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"event": "Fine", "messageId": ID})
    await to_amplitude(http, server, {"event_type": "Wrong", "time": "never"}, {"event_type": "Innocent"})
    tab = await open_tab("/live")
    await tab.wait_rows("Innocent", "Wrong", "Fine")
    await tab.see("batch refused for another event, not stored")
    await tab.press("f")
    await tab.see("Wrong", "aside h2")
    await tab.see("invalid field: time", ".outcome")


async def test_the_panel_shows_payload_request_and_answer(server: DevServer, http: Http, open_tab: Open) -> None:
    server.script("rudderstack", 503)
    for _ in range(2):
        await to_rudderstack(http, server, {"messageId": ID, "properties": {"sku": "teapot"}})
    tab = await open_tab(f"/live?event={ID}")
    await tab.see('"teapot"', "#p-body")
    await tab.click("Request", "tab")
    await tab.see("Attempt 2", "#p-body")
    await tab.see("waited", "#p-body")
    await tab.page.locator("summary", has_text="Attempt 1").click()
    await tab.see("POST /v1/batch", "#p-body")
    assert "write-key" not in await tab.page.locator("#p-body").inner_text()


async def test_exposures_are_beside_the_events_of_the_same_user(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_statsig(http, server, exposure("new_checkout", True), exposure("new_checkout", False, "bob"))
    await to_rudderstack(http, server, {"messageId": ID})
    tab = await open_tab(f"/live?event={ID}")
    await tab.click("Same user", "tab")
    lanes = tab.page.locator(".lanes [role=listitem]")
    assert await lanes.count() == 2
    assert "new_checkout" in await lanes.last.inner_text()


async def test_tabs_of_the_panel_are_moved_through_with_arrows(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": ID})
    tab = await open_tab("/live")
    await tab.wait_rows("Order")
    await tab.press("j", "Enter")
    await tab.see("accepted", "aside.panel")  # until then it is drawn again
    await tab.page.get_by_role("tab", name="Payload").focus()
    await tab.press("ArrowRight", "ArrowRight", "ArrowRight")
    await tab.see("did not post its receipt")
    await tab.press("Escape")
    await tab.wait("document.querySelector('aside.panel').hidden && document.activeElement.matches('.grid')")


async def test_a_suggestion_is_taken_by_keyboard(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": "1"})
    tab = await open_tab("/live")
    await tab.wait_rows("Order")
    await tab.press("/", *"vend", "ArrowDown", "Enter", "ArrowDown", "Enter")
    await tab.wait("document.getElementById('q').value === 'vendor:rudderstack '")
    await tab.press("Escape", "Escape")
    await tab.wait("document.getElementById('q').value === ''")


async def test_highlighting_keeps_all_rows(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"event": "A", "messageId": "1"}, {"event": "B", "messageId": "2"})
    tab = await open_tab("/live?q=name:A&show=highlight")
    await tab.wait_rows("B", "A")
    await tab.press("n")
    assert await tab.page.locator(".r.hit.sel .nm").inner_text() == "A"


async def test_g_shows_a_row_for_each_arrival(server: DevServer, http: Http, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": ID})
    await to_amplitude(http, server, {"insert_id": ID})
    tab = await open_tab("/live")
    await tab.wait_rows("Order")
    await tab.press("g")
    await tab.wait_rows("Order", "Order")
    assert tab.path == "/live?by=arrival"


async def test_a_narrow_window_has_two_lines_a_row_and_no_sideways_scrolling(
    server: DevServer, http: Http, open_tab: Open
) -> None:
    await to_rudderstack(
        http, server, {"event": "An event with quite a long name, longer than the window", "messageId": "1"}
    )
    tab = await open_tab("/live", width=400)
    row = await tab.see("An event with quite a long name", ".space")
    await row.click()
    await tab.see('"messageId"', "#p-body")
    assert not await tab.is_sideways()
    assert await tab.page.locator("aside.panel").evaluate("(el) => el.getBoundingClientRect().width") == 400
    await tab.click("Close")
    await tab.wait("document.querySelector('aside.panel').hidden")


async def test_ten_thousand_events_need_few_elements(server: DevServer, http: Http, open_tab: Open) -> None:
    for start in range(0, 10_000, 2_000):
        await to_rudderstack(
            http, server, *({"event": f"E{n}", "messageId": str(n)} for n in range(start, start + 2_000))
        )
    tab = await open_tab("/live")
    await tab.see("10,000", ".facets")
    await tab.press("End")
    await tab.see("E0", ".space")
    assert await tab.page.locator(".space .r").count() < 60


async def test_a_fault_that_keeps_events_shows_as_a_copy(server: DevServer, http: Http, open_tab: Open) -> None:
    server.script("rudderstack", Fault.lost_reply())
    with pytest.raises(aiohttp.ClientError):
        await to_rudderstack(http, server, {"messageId": ID})
    await to_rudderstack(http, server, {"messageId": ID})
    tab = await open_tab("/live?by=arrival")
    await tab.see("copy, ignored", ".space")


async def test_a_row_has_the_verb_and_name_of_the_vendor_that_knows_them(
    server: DevServer, http: Http, open_tab: Open
) -> None:
    await to_statsig(http, server, {"eventName": "home_viewed", "metadata": {"asyncsdk_event_id": ID}})
    await to_rudderstack(http, server, {"event": "Home", "messageId": ID})
    tab = await open_tab("/live")
    await tab.wait_rows("Home")
    assert await tab.page.locator(".space .r:not([hidden]) .type").inner_text() == "track"
