"""Every Python block of the pages runs as printed, and does what the page says."""

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from asyncsdk import Amplitude, Client, Identify, Limits, Revenue, Rules, Statsig, User
from asyncsdk.dev import DevServer
from readme.pages import (
    CODEGEN,
    COMING_FROM,
    COMING_FROM_PYTHON,
    CONFIGURATION,
    ENGINES,
    EVENTS,
    INTEGRATIONS,
    LOOKUPS,
    OPENFEATURE,
    PAGES,
    README,
    SCRIPTS,
    TESTING,
    Names,
    blocks,
    run,
    spans,
    table,
)

VENDORS = ("rudderstack", "amplitude", "statsig")
RUNNABLE = {
    README: 4,
    CONFIGURATION: 6,
    SCRIPTS: 11,
    LOOKUPS: 1,
    EVENTS: 3,
    COMING_FROM: 16,
    COMING_FROM_PYTHON: 21,
    CODEGEN: 1,
    INTEGRATIONS: 9,
    TESTING: 9,
    OPENFEATURE: 1,
    ENGINES: 1,  # in tests/engines/test_outbox_page.py
}


def test_every_page_with_python_is_run_here() -> None:
    assert {page: len(found) for page in PAGES if (found := blocks(page))} == RUNNABLE


def test_ten_runnable_lines_come_before_line_35() -> None:
    lines = README.read_text().splitlines()
    start = lines.index("```python")

    assert lines.index("```", start) < 35


async def test_the_first_lines_run_without_an_account(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ASYNCSDK_DEV_SERVER", raising=False)

    await run(blocks(README)[0], {"__name__": "__main__"})

    assert _without_id_time_and_sizes(capsys.readouterr().out) == _without_id_time_and_sizes(
        _printed_below_the_first_block()
    )


def _printed_below_the_first_block() -> str:
    _, _, rest = README.read_text().partition(blocks(README)[0] + "```\n")
    return dedent(rest.partition("\n\nFrom a clone")[0])


def _without_id_time_and_sizes(story: str) -> str:
    return re.sub(r"id .*|[\d,]+ bytes", "", story).strip()


async def test_a_service_delivers_to_all_vendors(server: DevServer) -> None:
    names: Names = {}
    await run(blocks(README)[1], names)

    await names["main"]()

    assert [server.total(vendor) for vendor in VENDORS] == [1, 1, 2]  # Statsig hears of the gate, too


async def _client_of_the_readme() -> Names:
    names: Names = {}
    await run(blocks(README)[1], names)
    names["client"] = names["create_client"]()
    await names["client"].start()
    return names


async def test_what_the_rules_say_is_looked_up(server: DevServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.set_ruleset(STATSIG_RULES)
    names = await _client_of_the_readme()

    await run(blocks(LOOKUPS)[0], names)

    await names["client"].aclose()
    assert (names["price"], bool(names["gate"])) == (15.95, True)
    assert b"new_checkout" not in names["first_state"]  # names are hashed
    [opened] = [event.body for event in server.accepted("amplitude")]
    assert opened["event_properties"] == {"feature_flags": {"new_checkout": True}}
    assert capsys.readouterr().out.startswith("new_checkout: open (rule all, Network:Recognized)")


async def test_the_test_of_the_readme_passes() -> None:
    names: Names = {}
    await run(blocks(README)[3], names)

    await names["test_a_purchase_is_tracked"]()


async def test_what_became_of_an_event_is_printed(server: DevServer, capsys: pytest.CaptureFixture[str]) -> None:
    names = await _client_of_the_readme()

    await run(blocks(EVENTS)[0], names)

    await names["client"].aclose()
    printed = capsys.readouterr().out
    assert printed.startswith("delivered\ntrack 'Item Viewed'")
    assert "\nStatsig: accepted 1, delivered 1; RudderStack: accepted 1, delivered 1; Amplitude: " in printed
    assert printed.endswith("\nok\n")


async def test_the_middleware_changes_and_drops_events(server: DevServer) -> None:
    names = await _client_of_the_readme()

    await run(blocks(EVENTS)[1], names)

    async with names["client"] as client:
        await client.track("ada-lovelace", "Sign Up", {"password": "secret"}, context={"traits": {"plan": "pro"}})
        await client.track("ada-lovelace", "Looked at", extra={"internal": True})
    [event] = [event.body for event in await server.received("rudderstack")]
    assert event["properties"] == {"password": "[redacted]"}
    assert event["context"].items() >= {"app": {"name": "shop"}, "traits": {"plan": "pro"}}.items()


async def test_an_object_is_a_whole_event(server: DevServer) -> None:
    names = await _client_of_the_readme()

    await run(blocks(EVENTS)[2], names)

    await names["client"].aclose()
    [event] = [event.body for event in await server.received("rudderstack")]
    assert (event["event"], event["properties"]) == ("Order Completed", {"sku": "A", "revenue": 19.95})


# What the vendors' pages document that the snippets send: what a page names, in the vendor's own form.
RUDDERSTACK: list[dict[str, Any]] = [
    {
        "type": "identify",
        "userId": "123456",
        "traits": {"name": "Name Username", "email": "name@website.com", "plan": "Free", "friends": 21},
    },
    {
        "type": "track",
        "userId": "123456",
        "event": "Item Viewed",
        "properties": {"revenue": 19.95, "shippingMethod": "Premium"},
    },
    {
        "type": "page",
        "userId": "12345",
        "category": "Food",
        "name": "Pizza",
        "properties": {"url": "https://dominos.com", "title": "Pizza", "referrer": "https://google.com"},
    },
    {
        "type": "group",
        "userId": "12345",
        "groupId": "1",
        "traits": {"name": "Company", "description": "Google"},
    },
    {"type": "alias", "previousId": "old_id", "userId": "new_id"},
]
OF_EVERY_MESSAGE = {"channel", "context", "integrations", "messageId", "originalTimestamp", "sentAt"}
AMPLITUDE = {
    "event_type": "Node.js Event",
    "user_id": "datamonster@gmail.com",
    "location_lat": 37.77,
    "location_lng": -122.39,
    "ip": "127.0.0.1",
    "event_properties": {"keyString": "valueString", "keyInt": 11, "keyBool": True},
}
OF_EVERY_EVENT = {"insert_id", "library", "time"}


async def _run_page(page: Path, server: DevServer) -> Names:
    names: Names = {}
    for block in blocks(page):
        await run(block, names)
    return names


async def test_rudderstack_gets_what_its_node_page_documents(server: DevServer) -> None:
    await _run_page(COMING_FROM, server)

    sent = [event.body for event in server.accepted("rudderstack")]
    order = [message["type"] for message in RUDDERSTACK]
    plain = [{key: value for key, value in body.items() if key not in OF_EVERY_MESSAGE} for body in sent]
    assert sorted(plain, key=lambda body: order.index(body["type"])) == RUDDERSTACK
    assert all(body.keys() >= OF_EVERY_MESSAGE for body in sent)


async def test_amplitude_gets_what_its_node_page_documents(server: DevServer) -> None:
    await _run_page(COMING_FROM, server)

    first, second = [event.body for event in server.accepted("amplitude")]
    assert {key: value for key, value in first.items() if key not in OF_EVERY_EVENT} == AMPLITUDE
    assert first.keys() >= OF_EVERY_EVENT
    assert second["event_type"] == "Sign Up"


async def test_amplitude_s_middleware_logs_and_filters(server: DevServer, capsys: pytest.CaptureFixture[str]) -> None:
    names = await _run_page(COMING_FROM, server)

    printed = capsys.readouterr().out
    assert "extra={'build': 7}" in printed
    assert "Filtered event: debug timing" in printed
    assert names["report"].destinations["Amplitude"].dropped == {"middleware": 1}


def a_rule(value: Any) -> dict[str, Any]:
    return {"id": "all", "name": "all", "passPercentage": 100, "conditions": ["all"], "returnValue": value}


ITEM = {"name": "Teapot", "price": 15.95, "discount": True}
STATSIG_RULES = {
    "feature_gates": {"new_checkout": {"enabled": True, "defaultValue": False, "rules": [a_rule(True)]}},
    "dynamic_configs": {
        name: {"enabled": True, "defaultValue": {}, "rules": [a_rule(ITEM)]} for name in ("item", "prices")
    },
    "condition_map": {"all": {"type": "public"}},
}
STATSIG_USER = {
    "userID": "123456",
    "email": "name@website.com",
    "ip": "192.0.2.1",
    "userAgent": "Mozilla/5.0",
    "country": "NL",
    "locale": "nl-NL",
    "appVersion": "1.2.3",
    "custom": {"plan": "pro"},
}


async def test_statsig_s_rules_answer_as_its_node_page_documents(
    server: DevServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.set_ruleset(STATSIG_RULES)

    names = await _run_page(COMING_FROM, server)

    assert names["started"].ready
    assert capsys.readouterr().out.endswith("new code branch\n")
    assert [names[name] for name in ("item_name", "price", "should_discount")] == ["Teapot", 15.95, True]


async def test_without_rules_the_fallbacks_of_statsig_s_node_page_hold(
    server: DevServer, capsys: pytest.CaptureFixture[str]
) -> None:
    names = await _run_page(COMING_FROM, server)

    assert capsys.readouterr().out.endswith("fallback, default behavior\n")
    assert [names[name] for name in ("item_name", "price", "should_discount")] == ["Awesome Product!", 10.0, False]


async def test_statsig_gets_what_its_node_page_documents(server: DevServer) -> None:
    server.set_ruleset(STATSIG_RULES)

    await _run_page(COMING_FROM, server)

    found = {event.kind: event for event in server.accepted("statsig")}
    assert {kind: event.name for kind, event in found.items()} == {
        "gate_exposure": "new_checkout",
        "config_exposure": "item",
        "event": "add_to_cart",
    }
    sent = found["event"].body
    metadata = {"sku": "A", "asyncsdk_event_id": found["event"].id}  # the id: dev mode
    assert (sent["value"], sent["metadata"], sent["user"]) == (19.99, metadata, STATSIG_USER)


async def test_the_calls_beside_statsig_s_run(server: DevServer) -> None:
    server.set_ruleset(STATSIG_RULES)
    names: Names = {"Client": Client, "Path": Path, "Rules": Rules, "Statsig": Statsig, "user": User("123456")}

    async with Client(Statsig("secret-key")) as names["client"]:
        for row in table(COMING_FROM, "Statsig") + table(COMING_FROM, "Statsig", 1):
            for call in spans(row[1]):
                await run(call, names)

    assert sorted(event.name for event in server.accepted("statsig")) == ["button", "new_checkout", "new_checkout"]


async def test_either_way_to_name_the_eu_gives_one_address() -> None:
    names: Names = {}
    await run("from asyncsdk import Amplitude\nzone = Amplitude('k', zone='EU')", names)
    await run("url = Amplitude('k', url='https://api.eu.amplitude.com/2/httpapi')", names)

    requests = [names[name].frame([b"{"], 0) for name in ("zone", "url")]

    assert requests[0] == requests[1]


async def test_the_calls_beside_amplitude_s_builders_run(server: DevServer) -> None:
    calls = [spans(row[1])[0] for row in table(COMING_FROM, "Middleware") if row[1].startswith("`await ")]

    async with Client(Amplitude("api-key", limits=Limits(linger=0))) as client:
        for call in calls:
            await run(call, {"client": client, "Identify": Identify, "Revenue": Revenue})

    names = [event.name for event in server.accepted("amplitude")]
    assert names == ["$identify", "$identify", "$groupidentify", "revenue_amount"]


def test_the_pages_tell_the_figures_of_the_code() -> None:
    limits, text = Limits(), README.read_text()

    assert f"at most {limits.max_queued_events:,} events and {limits.max_queued_bytes >> 20} MiB" in text
    assert f"after {limits.deadline / 60:.0f} minutes" in text
    assert f"probed every {limits.probe_interval / 60:.0f} minutes" in EVENTS.read_text()
