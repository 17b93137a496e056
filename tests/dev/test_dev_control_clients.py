"""The control API: clients that report themselves, receipts, re-sending, snapshots."""

from typing import Any

import aiohttp
import pytest

from asyncsdk.dev import DevServer
from dev.control import call, small_ruleset

OUTCOME = {"status": "delivered", "reason": "", "attempts": 1, "code": 200, "bytes": 9, "story": []}
REFUSED = OUTCOME | {"status": "rejected", "reason": "user id too short", "attempts": 0}
REPORT = {
    "name": "shop",
    "sdk": "asyncsdk 0.1",
    "python": "3.12",
    "pid": 7,
    "run": "r1",
    "health": {"state": "running"},
}
RUDDER = {"type": "track", "event": "Order", "userId": "ada-1", "messageId": "m-1", "properties": {"sku": "pot"}}


async def send(server: DevServer, path: str, body: Any, **headers: str) -> None:
    headers.setdefault("Authorization", "Basic a2V5Og==")
    async with aiohttp.ClientSession() as http, http.post(server.url + path, json=body, headers=headers) as response:
        assert response.status < 300, await response.text()


def receipt(event_id: str, **vendors: Any) -> dict[str, Any]:
    return {"id": event_id, "verb": "track", "name": "Order", "user": "bob", "vendors": vendors, "explain": "text"}


async def test_a_client_reports_itself(server: DevServer) -> None:
    answer = await call(server, "clients/shop-7", REPORT)
    await call(server, "clients/shop-7", {"name": "shop"})

    (client,) = (await call(server, "clients"))["clients"]
    assert (client["name"], client["health"], answer) == ("shop", {"state": "running"}, {"interval": 0.25})
    assert client["since"] <= client["last"]


async def test_names_asked_for_are_counted(server: DevServer) -> None:
    server.set_ruleset(small_ruleset())
    asked = [{"name": "sale", "kind": "gate", "count": 3}, {"name": "dark", "kind": "gate", "count": 2}]

    await call(server, "clients/1", {**REPORT, "asked": asked})
    await call(server, "clients/1", {**REPORT, "asked": [{"name": "dark"}, {"name": ""}]})

    found = await call(server, "names")
    assert [(one["name"], one["count"], one["by"]) for one in found["unknown"]] == [("dark", 3, "shop")]
    assert {one["name"]: one["count"] for one in found["names"]}["sale"] == 3
    everything = await call(server, "evaluate", {"users": ["ada"]})
    assert everything["results"][0]["dark"]["kind"] == "unknown"


async def test_a_receipt_is_the_story_of_its_event(server: DevServer) -> None:
    await send(server, "/v1/batch", {"batch": [RUDDER]}, **{"asyncsdk-client": "shop", "asyncsdk-run": "r1"})
    told = receipt("m-1", RudderStack=OUTCOME, Amplitude=REFUSED)
    await call(server, "clients/1", {**REPORT, "receipts": [told]})

    found = await call(server, "events/m-1")

    (row,) = found["events"]
    assert (row["type"], row["client"], row["run"]) == ("track", "shop", "r1")
    assert row["failures"] == [["amplitude", "rejected", "user id too short"]]
    assert found["story"] == told | {"client": "shop"}
    assert (await call(server, "events?q=run:r1 client:shop"))["events"] == [row]


async def test_an_event_that_reached_no_vendor_has_a_row(server: DevServer) -> None:
    told = receipt("m-9", Amplitude=REFUSED, Statsig=OUTCOME | {"status": "skipped", "attempts": 0})
    for _ in range(2):
        await call(server, "clients/1", {**REPORT, "receipts": [told]})

    (row,) = (await call(server, "events?q=is:rejected"))["events"]
    assert (row["vendor"], row["local"], row["user"], row["name"]) == ("amplitude", True, "bob", "Order")
    assert row["reason"] == "by the client, rejected: user id too short"


async def test_an_event_on_its_way_has_no_row_yet(server: DevServer) -> None:
    pending = OUTCOME | {"status": "pending", "attempts": 0}

    await call(server, "clients/1", {**REPORT, "receipts": [receipt("m", Amplitude=REFUSED, Statsig=pending)]})

    assert (await call(server, "events"))["events"] == []
    assert (await call(server, "events/m"))["story"]["verb"] == "track"


@pytest.mark.parametrize(
    "body",
    [{"receipts": [1]}, {"receipts": [{"id": ""}]}, {"receipts": [{"id": "a", "vendors": {"S": {}}}]}, {"asked": [1]}],
)
async def test_a_report_that_is_not_one_is_refused(server: DevServer, body: Any) -> None:
    await call(server, "clients/1", body, status=400)


async def test_other_sdks_are_known_from_their_requests(server: DevServer) -> None:
    headers = {"statsig-sdk-type": "py-core", "statsig-sdk-version": "0.24", "statsig-api-key": "k"}
    await send(server, "/v1/log_event", {"events": []}, **headers)
    await send(server, "/v1/rgstr?k=c&st=javascript-client&sv=3.1", {"events": []})
    for _ in range(3):
        await send(server, "/v1/batch", {"batch": [RUDDER]}, **{"User-Agent": ""})

    found = (await call(server, "clients"))["clients"]
    assert [client["sdk"] for client in found] == ["statsig py-core 0.24", "statsig javascript-client 3.1"]


async def test_only_the_latest_clients_are_kept(server: DevServer) -> None:
    for number in range(205):
        await call(server, f"clients/{number}", REPORT)

    assert len((await call(server, "clients"))["clients"]) == 200


# --- sending --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "rows"),
    [
        ("track", [("statsig", "Order"), ("rudderstack", "Order"), ("amplitude", "Order")]),
        ("log_event", [("statsig", "Order"), ("rudderstack", "Order"), ("amplitude", "Order")]),
        ("identify", [("rudderstack", "plan"), ("amplitude", "plan")]),
        ("group", [("rudderstack", "plan"), ("amplitude", "plan")]),
        ("page", [("statsig", "page_view"), ("rudderstack", "Order"), ("amplitude", "Viewed Order Page")]),
        ("screen", [("statsig", "screen_view"), ("rudderstack", "Order"), ("amplitude", "Viewed Order Screen")]),
        ("alias", [("rudderstack", "Order")]),
    ],
)
async def test_a_person_sends_an_event(server: DevServer, verb: str, rows: list[tuple[str, str]]) -> None:
    body = {"verb": verb, "user": "ada-1", "name": "Order", "properties": {"plan": "pro"}, "value": 2}

    answer = await call(server, "try", body)

    found = (await call(server, "events"))["events"]
    assert [(row["vendor"], row["name"]) for row in found] == rows
    assert {row["verdict"] for row in found} == {"accepted"}
    assert list(answer["sent"]) == [vendor for vendor, _ in rows]


@pytest.mark.parametrize("source", ["statsig", "rudderstack", "amplitude"])
@pytest.mark.parametrize("verb", ["track", "identify", "group", "page"])
async def test_a_stored_event_is_sent_to_another_vendor(server: DevServer, source: str, verb: str) -> None:
    body = {"verb": verb, "user": "ada-1", "name": "Order", "properties": {"plan": "pro"}, "to": [source]}
    async with aiohttp.ClientSession() as http, http.post(f"{server.url}/__dev/try", json=body) as response:
        if response.status == 409:
            assert (source, verb) in {("statsig", "identify"), ("statsig", "group")}
            return
    for vendor in ("rudderstack", "amplitude"):
        answer = await call(server, "events/1/send", {"to": vendor})
        assert answer["sent"] == {vendor: 200}

    assert {event.user for event in server.events} == {"ada-1"}
    assert all("pro" in str(event.body) for event in server.events)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("try", {"verb": "buy", "user": "a"}, 400), ("try", {"verb": "track"}, 400),
        ("try", {"verb": "track", "user": "a", "to": ["mixpanel"]}, 400),
        ("try", {"verb": "track", "user": "a", "to": []}, 400),
        ("try", {"verb": "track", "user": "a", "value": []}, 400),
        ("try", {"verb": "alias", "user": "a", "to": ["statsig"]}, 409), ("events/1/send", {"to": "statsig"}, 404),
    ],
)  # fmt: skip
async def test_what_cannot_be_sent_is_told(server: DevServer, path: str, body: Any, status: int) -> None:
    await call(server, path, body, status=status)


# --- wait and assert ------------------------------------------------------------------------------------------


async def test_waiting_ends_with_the_events(server: DevServer) -> None:
    await send(server, "/v1/batch", {"batch": [RUDDER]})

    assert (await call(server, "events/wait?q=name:Order"))["count"] == 1
    late = await call(server, "events/wait?q=name:Order&count=2&within=0.05", status=408)
    assert (late["count"], late["error"]) == (1, "1 of 2 events within 0.05 s")
    await call(server, "events/wait?q=nme:Order", status=400)


async def test_an_assertion_holds(server: DevServer) -> None:
    await send(server, "/v1/batch", {"batch": [RUDDER, RUDDER | {"messageId": "m-2", "userId": "bob"}]})

    for body in (
        {"name": "Order"},
        {"name": "Order", "count": 2},
        {"q": "user:bob", "is": "accepted", "count": 1},
        {"user": "ada-1", "properties": {"sku": "pot", "properties.sku": "pot"}},
        {"name": "Refund", "count": 0},
    ):
        assert (await call(server, "assert", body))["events"] is not None


async def test_a_failed_assertion_has_the_nearest_misses(server: DevServer) -> None:
    others = [RUDDER | {"messageId": str(n), "event": "Visit", "properties": {}} for n in range(9)]
    await send(server, "/v1/batch", {"batch": [RUDDER, *others]})

    body = {"name": "Order", "user": "ada-1", "is": "accepted", "properties": {"sku": "cup"}}
    failed = await call(server, "assert", body, status=417)

    assert failed["error"] == "expected at least 1, found 0"
    assert failed["misses"][0]["event"]["id"] == "m-1"
    assert failed["misses"][0]["fields"] == [{"field": "sku", "expected": "cup", "got": "pot"}]
    assert [len(miss["fields"]) for miss in failed["misses"]] == [1, 2, 2, 2, 2]


async def test_a_count_that_is_wrong_is_told(server: DevServer) -> None:
    await send(server, "/v1/batch", {"batch": [RUDDER]})

    failed = await call(server, "assert", {"name": "Order", "count": 2, "within": 0.05}, status=417)
    assert (failed["count"], failed["misses"], failed["error"]) == (1, [], "expected 2, found 1")
    near = await call(server, "assert", {"q": "name:Visit user:ada", "within": 0}, status=417)
    assert near["misses"][0]["fields"] == [{"field": "name", "expected": "name:Visit", "got": "Order"}]


@pytest.mark.parametrize("body", [{"nme": "x"}, {"q": "nme:x"}, {"count": -1}, {"within": 61}, {"name": 1}])
async def test_an_assertion_that_cannot_be_read_is_refused(server: DevServer, body: Any) -> None:
    await call(server, "assert", body, status=400)


# --- snapshots ------------------------------------------------------------------------------------------------


async def test_a_snapshot_is_loaded_by_another_server(server: DevServer) -> None:
    server.set_ruleset(small_ruleset())
    await send(server, "/v1/batch", {"batch": [RUDDER]})
    await call(server, "overrides/button", {"value": "Test", "user": "ada"}, method="PUT")
    await call(server, "users", {"ada": {"user_id": "ada"}}, method="PUT")
    await call(server, "clients/1", {**REPORT, "receipts": [receipt("m-1", RudderStack=OUTCOME)]})
    snapshot = await call(server, "snapshot")

    async with DevServer() as other:
        assert await call(other, "snapshot", snapshot) == {"events": 1}
        assert await call(other, "events/m-1") == await call(server, "events/m-1")
        assert (await call(other, "users"))["users"] == {"ada": {"user_id": "ada"}}
        assert (await call(other, "overrides"))["overrides"][0]["value"] == {"color": "red"}
        assert other.events[0].body == RUDDER


@pytest.mark.parametrize(
    "change",
    [{"format": "x"}, {"events": [1]}, {"ruleset": {}}, {"users": {"a": 1}}, {"overrides": [1]}, {"events": {}}],
)
async def test_a_snapshot_that_is_broken_changes_nothing(server: DevServer, change: Any) -> None:
    await send(server, "/v1/batch", {"batch": [RUDDER]})
    snapshot = await call(server, "snapshot")

    await call(server, "snapshot", snapshot | change, status=400)

    assert len(server.events) == 1
