"""What connected clients report: their health, the receipts of their events, and the names that they ask for."""

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from asyncsdk.dev import DevServer
from page.events import to_rudderstack

Open = Callable[..., Any]
Http = aiohttp.ClientSession
ID = "0fd02d30-8f26-4e1d-ab52-8005dba7eb67"
RECEIPT = {
    "id": ID,
    "verb": "track",
    "name": "Order",
    "user": "ada",
    "changed": ["properties['email']"],
    "explain": "track 'Order'\n  RudderStack: 297 bytes",
    "vendors": {
        "RudderStack": {"status": "delivered", "reason": "", "attempts": 1},
        "Amplitude": {"status": "rejected", "reason": "id too short", "attempts": 0},
    },
}
HEALTH = {
    "destinations": {
        "Amplitude": {
            "state": "retrying", "queued_events": 212, "queued_bytes": 88_400, "oldest": 6.4, "retry_in": 2.1, "retries": 3,
            "last_error": "status 429", "counts": {"delivered": 1200, "rejected": {"id too short": 2}, "dropped": {"queue full": 18}},
        }
    },
    "rules": {"source": "Network", "age": 71.0, "last_error": "status 503", "failures": 7, "names": 14},
    "spool": {"state": "ok", "waiting": 212, "bytes": 131_072},
}  # fmt: skip


async def report(http: Http, server: DevServer, **more: Any) -> None:
    body = {"name": "shop", "sdk": "asyncsdk 1.0", "python": "3.12.1", "pid": 48213, **more}
    assert (await http.post(f"{server.url}/__dev/clients/shop-1", json=body)).status == 200


async def test_the_panel_shows_what_the_receipt_says(http: Http, server: DevServer, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": ID, "properties": {"email": "[redacted]"}})
    await report(http, server, receipts=[RECEIPT])
    tab = await open_tab(f"/live?event={ID}")
    await tab.see("rejected before sending: id too short", ".outcome")
    await tab.see("Middleware changed", "#p-body")
    await tab.see('"email"', ".j-changed")
    await tab.click("explain()", "tab")
    await tab.see("RudderStack: 297 bytes", "#p-body")


async def test_a_receipt_that_comes_later_changes_the_row(http: Http, server: DevServer, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": ID})
    tab = await open_tab("/live")
    await tab.wait_rows("Order")
    await tab.see("No failure")
    await report(http, server, receipts=[RECEIPT])
    await tab.see("Amplitude: id too short", ".space")
    await tab.see("1 failure")


@pytest.mark.parametrize("width", [1280, 400])
async def test_a_client_shows_its_queues_its_rules_and_its_spool(
    width: int, http: Http, server: DevServer, open_tab: Open
) -> None:
    await report(http, server, health=HEALTH)
    tab = await open_tab("/clients", width=width)
    for text in (
        "shop",
        "Python 3.12.1, pid 48213",
        "retrying",
        "212",
        "queue full 18",
        "the last 7 tries failed: status 503",
        "Spool ok: 212 events",
    ):
        await tab.see(text)
    assert not await tab.is_sideways()


async def test_a_name_that_the_rules_do_not_have_becomes_a_gate(http: Http, server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/rules")
    await report(http, server, asked=[{"name": "dark_mode", "kind": "gate", "count": 14}])
    await tab.see("asked 14 times by shop")
    await tab.click("Make this gate")
    await tab.page.get_by_role("switch", name="dark_mode is on").wait_for()
    assert not await tab.page.locator(".notice").count()


async def test_names_that_were_never_asked_for_are_found(http: Http, server: DevServer, open_tab: Open) -> None:
    await report(http, server, asked=[{"name": "new_checkout", "kind": "gate", "count": 3}])
    tab = await open_tab("/rules?show=unused")
    names = tab.page.locator(".rl .exp")
    await names.first.wait_for()
    assert await names.all_inner_texts() == ["express", "old_banner", "prices", "button", "homepage"]


@pytest.mark.parametrize("vendor", ["Amplitude", "Statsig"])
async def test_an_event_is_sent_again_to_another_vendor(
    vendor: str, http: Http, server: DevServer, open_tab: Open
) -> None:
    await to_rudderstack(http, server, {"messageId": ID, "userId": "ada-lovelace"})
    tab = await open_tab(f"/live?event={ID}")
    await tab.page.get_by_text("Re-send to").click()
    await tab.page.locator(".menu-items").get_by_role("button", name=vendor).click()
    await tab.see(f"Sent to {vendor} again")
    assert [event.user for event in server.accepted(vendor.lower())] == ["ada-lovelace"]


async def test_a_snapshot_is_saved_and_loaded(http: Http, server: DevServer, open_tab: Open) -> None:
    await to_rudderstack(http, server, {"messageId": ID})
    tab = await open_tab("/live")
    await tab.wait_rows("Order")
    await tab.page.locator(".server summary").click()
    async with tab.page.expect_download() as download:
        await tab.click("Save a snapshot", "link")
    file = await (await download.value).path()
    await tab.click("Delete events and faults")
    await tab.see("Nothing has arrived yet")
    await tab.page.get_by_label("Snapshot to load").set_input_files(file)
    await tab.wait_rows("Order")
