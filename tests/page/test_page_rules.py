"""Who sees what, Rules and Overrides, in a real browser."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from asyncsdk import Client, Statsig
from asyncsdk import Rules as RulesSource
from asyncsdk.dev import DevServer

Open = Callable[..., Any]
Http = aiohttp.ClientSession


async def put_users(http: Http, server: DevServer, **users: Any) -> None:
    body = {name: {"user_id": name, **fields} for name, fields in users.items()}
    assert (await http.put(f"{server.url}/__dev/users", json=body)).status == 200


def client_of(server: DevServer) -> Client:
    rules = RulesSource(specs_url=f"{server.url}/v2/download_config_specs", poll_interval=1.0)
    return Client(Statsig("secret-key", rules=rules, log_event_url=server.url))


# --- who sees what ------------------------------------------------------------------------------------------------------


async def test_each_name_has_its_value_and_what_decided(http: Http, server: DevServer, open_tab: Open) -> None:
    await put_users(http, server, ada={"country": "NL"})
    tab = await open_tab("/who?user=ada")
    row = tab.page.get_by_role("row", name="dutch").first
    await row.wait_for()
    assert "open" in await row.inner_text()
    assert "the Netherlands" in await row.inner_text()


async def test_the_reason_is_opened_by_keyboard(http: Http, server: DevServer, open_tab: Open) -> None:
    await put_users(http, server, ada={"country": "NL"})
    tab = await open_tab("/who?user=ada")
    await tab.see("express")
    await tab.press("j", "j", "j", "Enter")
    await tab.see("Gate dutch is open", ".why")
    await tab.see("the user has NL", ".why")
    assert tab.path == "/who?user=ada&open=express"


async def test_a_bucket_is_a_place_on_a_line(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/who?user=ada&open=new_checkout")
    line = tab.page.get_by_role("img", name="bucket").first
    assert "of 10000; pass up to 50 %, fail up to 100 %" in await line.get_attribute("aria-label")


async def test_an_edited_field_changes_the_decisions(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/who?user=ada")
    row = tab.page.get_by_role("row", name="dutch").first
    await row.get_by_text("closed").wait_for()
    await tab.page.get_by_label("country").fill("NL")
    await row.get_by_text("open").wait_for()
    await tab.see("Not saved.")


async def test_custom_fields_are_checked_as_json(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/who?user=ada")
    await tab.page.get_by_text("custom, custom_ids, private").click()
    area = tab.page.get_by_label("More fields as JSON")
    await area.fill('{"custom": {"plan": }}')
    await tab.see("Line 1, column 21.")
    await area.fill('{"colour": "red"}')
    await tab.see("A user has no “colour”")
    await area.fill('{"custom": {"plan": "pro"}}')
    await tab.wait("document.getElementById('a-error').hidden")


async def test_an_edited_user_is_kept_at_the_server(http: Http, server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/who?user=ada")
    await tab.page.get_by_label("country").fill("NL")
    await tab.click("Keep it in")
    await tab.see("from users.json")
    async with http.get(f"{server.url}/__dev/users") as response:
        assert (await response.json())["users"] == {"ada": {"user_id": "ada", "country": "NL"}}


async def test_two_users_are_compared(http: Http, server: DevServer, open_tab: Open) -> None:
    await put_users(http, server, ada={"country": "NL"}, bob={"country": "US"})
    tab = await open_tab("/who?user=ada")
    await tab.see("dutch")
    await tab.press("c", "d")
    await tab.wait(
        "document.querySelectorAll('.dec .differs').length === document.querySelectorAll('.dec .exp').length"
    )
    assert tab.path == "/who?user=ada&vs=bob&diff=1"
    assert "dutch" in await tab.page.locator(".dec").inner_text()


async def test_a_thousand_sample_users_show_the_shares(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/who?user=ada&open=button")
    await tab.click("Run them")
    hist = tab.page.locator(".hist")
    await hist.wait_for()
    assert "Control" in await hist.inner_text()
    assert "Test" in await hist.inner_text()


# --- rules --------------------------------------------------------------------------------------------------------------


async def test_a_gate_flipped_in_the_page_changes_a_running_client(server: DevServer, open_tab: Open) -> None:
    async with client_of(server) as client:
        assert await client.check_gate({"userID": "ada", "country": "NL"}, "dutch")
        tab = await open_tab("/rules")
        await tab.page.get_by_role("switch", name="dutch is on").locator("..").click()
        await tab.see("dutch is off")
        await until_closed(client)


async def until_closed(client: Client) -> None:
    async with asyncio.timeout(5):
        while await client.check_gate({"userID": "ada", "country": "NL"}, "dutch"):
            await asyncio.sleep(0.02)


async def test_a_percentage_is_changed_in_place(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/rules")
    number = tab.page.get_by_role("spinbutton", name="Percentage of “all” in new_checkout")
    await number.fill("75")
    await number.press("Enter")
    await tab.see("1 name differs from ruleset.json")
    await tab.page.reload()
    assert await tab.page.get_by_role("spinbutton").first.input_value() == "75"


async def test_a_mistake_in_json_is_shown_at_its_place(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/rules?name=dutch")
    area = tab.page.get_by_label("Rules of dutch as JSON")
    text = await area.input_value()
    await area.fill(text.replace('"rules": [', '"rules" ['))
    line = text[: text.index('"rules"')].count("\n") + 1
    await tab.see(f"Line {line}, column", ".flag")
    assert await tab.page.locator(".gutter .bad").inner_text() == str(line)
    assert await (await tab.button("Apply")).is_disabled()


async def test_a_mistake_in_the_rules_is_shown_at_its_place(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/rules?name=dutch")
    area = tab.page.get_by_label("Rules of dutch as JSON")
    text = (await area.input_value()).replace('"passPercentage": 100', '"passPercentage": 150')
    await area.fill(text)
    line = text[: text.index("150")].count("\n") + 1
    await tab.see(f"Line {line}, column", ".flag")
    await tab.see("not 150", ".flag")
    await tab.see("Not applied: the rules in use stay as they are.")


async def test_an_edit_says_who_would_see_a_change_before_it_is_applied(
    http: Http, server: DevServer, open_tab: Open
) -> None:
    await put_users(http, server, ada={"country": "NL"}, bob={"country": "US"})
    tab = await open_tab("/rules?name=dutch")
    area = tab.page.get_by_label("Rules of dutch as JSON")
    await area.fill((await area.input_value()).replace('"returnValue": true', '"returnValue": false'))
    await tab.see("1 of 2 named users would change", ".effect")
    await tab.see("open → closed", ".effect")
    await area.press("Control+Enter")
    await tab.see("dutch is in use")


async def test_the_diff_begins_at_the_first_change(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/rules?name=dutch")
    area = tab.page.get_by_label("Rules of dutch as JSON")
    await area.fill((await area.input_value()).replace('"returnValue": true', '"returnValue": false'))
    await tab.page.get_by_text("Diff to file").click()
    await tab.see("equal lines", ".diff")
    assert '"returnValue": true' in await tab.page.locator(".diff .minus").inner_text()
    await tab.page.locator(".fold").first.click()
    await tab.see('"salt"', ".diff")


async def test_rules_are_written_to_the_file_on_demand(server: DevServer, open_tab: Open, tmp_path: Path) -> None:
    tab = await open_tab("/rules")
    await tab.page.get_by_role("switch", name="dutch is on").locator("..").click()
    await tab.click("Write to file")
    await tab.see("same as", ".tools")
    assert json.loads((tmp_path / "ruleset.json").read_text())["feature_gates"]["dutch"]["enabled"] is False


async def test_rules_go_back_to_the_file(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/rules")
    await tab.page.get_by_role("switch", name="dutch is on").locator("..").click()
    await tab.click("Back to the file")
    await tab.see("same as", ".tools")
    assert await tab.page.get_by_role("switch", name="dutch is on").is_checked()


async def test_rules_are_usable_in_a_narrow_window(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/rules?name=dutch", width=400)
    await tab.page.get_by_label("Rules of dutch as JSON").wait_for()
    assert not await tab.is_sideways()
    await tab.click("Close")
    await tab.wait("document.querySelector('aside.panel').hidden && document.activeElement.id === 'r-dutch'")


# --- overrides ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1280, 400])
async def test_an_override_is_set_and_removed(width: int, server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/overrides", width=width)
    await tab.see("Nothing is overridden")
    await tab.page.get_by_label("Name", exact=True).select_option("dutch")
    await tab.page.get_by_label("User", exact=True).fill("bob")
    await tab.click("Override")
    await tab.see("1 in force")
    assert await tab.page.locator("#tabs .badge").count() == 1
    assert not await tab.is_sideways()
    await tab.click("Remove the override of dutch for bob")
    await tab.see("Nothing is overridden")


async def test_an_override_of_a_group_reaches_a_client(server: DevServer, open_tab: Open) -> None:
    tab = await open_tab("/overrides")
    await tab.page.get_by_label("Name", exact=True).select_option("button")
    await tab.page.get_by_label("Value", exact=True).select_option("Test")
    await tab.click("Override")
    await tab.see("1 in force")
    async with client_of(server) as client:
        for user in ("ada", "bob", "cleo"):
            assert (await client.get_experiment(user, "button")).value == {"color": "green"}
