"""The contract of web frameworks' integrations, on a real server of each framework."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

import asyncsdk
from asyncsdk import Client, ConfigurationError, User
from asyncsdk.dev import DevServer, Fault
from asyncsdk.integrations import current_flags
from asyncsdk.stores import MemoryAssignments
from integrations.pages import Given
from integrations.serving import FRAMEWORKS, Serve, ask_in_turn, client_of


def sent(vendors: DevServer) -> dict[str, dict[str, Any]]:
    """Return the properties of the events that RudderStack accepted, by name."""
    return {event.name: event.body.get("properties") or {} for event in vendors.accepted("rudderstack")}


def exposures(vendors: DevServer) -> list[tuple[str, str]]:
    """Return user and name of each exposure."""
    return sorted((e.user, e.name) for e in vendors.accepted("statsig") if e.kind.endswith("_exposure"))


def test_every_web_framework_is_tested() -> None:
    """For a new framework, add the pages to `apps/`."""
    integrations = Path(asyncsdk.__file__).with_name("integrations").glob("[!_]*.py")

    assert {path.stem for path in integrations if "def get_flags(" in path.read_text()} == set(FRAMEWORKS)


async def test_the_client_lives_as_long_as_the_application(serve: Serve, sdk: Client) -> None:
    assert sdk.health().state == "new"
    async with serve() as browser:
        assert await browser.get("plain") == "hello"
        assert sdk.health().state == "running"

    assert sdk.health().state == "closed"


async def test_an_orderly_stop_loses_nothing(serve: Serve, vendors: DevServer) -> None:
    async with serve() as browser:
        await asyncio.gather(*(browser.get("buy", f"user-{number}") for number in range(40)))
        assert vendors.total("rudderstack") == 0  # all events are queued

    assert [vendors.total(vendor) for vendor in ("rudderstack", "amplitude")] == [120, 120]
    assert vendors.total("statsig") == 120 + 80  # and their exposures


async def test_a_forced_stop_counts_the_lost_events(serve: Serve, vendors: DevServer) -> None:
    vendors.fault("amplitude", Fault(end="hang"))
    sdk = client_of(vendors, close_timeout=0.3)
    async with serve(sdk) as browser:
        await asyncio.gather(*(browser.get("buy", f"user-{number}") for number in range(40)))

    counts = {name: destination.counts for name, destination in sdk.health().destinations.items()}
    assert (counts["Amplitude"].accepted, counts["Amplitude"].abandoned) == (120, 120)
    assert counts["RudderStack"].delivered == vendors.total("rudderstack") == 120
    assert counts["Statsig"].delivered == 120


async def test_a_request_has_flags_for_its_user(serve: Serve) -> None:
    async with serve() as browser:
        assert await browser.get("gate", "ada.lovelace") == [True, True, True]
        assert await browser.get("gate", "bob.ross") == [False, False, True]


async def test_events_carry_what_their_request_has_read(serve: Serve, vendors: DevServer) -> None:
    async with serve() as browser:
        await browser.get("buy", "ada.lovelace")

    events = sent(vendors)
    assert events["Before"] == {}
    assert events["Bought"] == {"price": 5, "feature_flags": {"hers": True, "button": "Test"}}
    assert events["Got a present"] == {}  # an event of another user


async def test_events_of_other_requests_do_not_carry_it(serve: Serve, vendors: DevServer) -> None:
    async with serve() as browser:
        await browser.get("gate", "ada.lovelace")
        await browser.get("buy", "bob.ross")

    assert sent(vendors)["Before"] == {}


async def test_every_verb_that_has_properties_carries_it(serve: Serve, vendors: DevServer) -> None:
    async with serve() as browser:
        await browser.get("every_verb", "ada.lovelace")

    read = {"feature_flags": {"open": True}}
    assert sent(vendors) == {
        "track": read,
        "page": read,
        "screen": read,
        "log_event": {"value": 1.5, "sku": "A", **read},
        "": {},  # identify
        "flags.track": {"price": 5, **read},
        "own": {"feature_flags": "mine"},
    }


async def test_an_exposure_is_reported_once(serve: Serve, vendors: DevServer) -> None:
    async with serve() as browser:
        await browser.get("gate", "ada.lovelace")
        await browser.get("gate", "ada.lovelace")

    assert exposures(vendors) == [("ada.lovelace", "hers"), ("ada.lovelace", "open")]


async def test_a_request_sees_one_version_of_the_rules(serve: Serve) -> None:
    async with serve() as browser:
        assert await browser.get("refresh", "bob.ross") == [True, True, False, False]
        assert await browser.get("gate", "bob.ross") == [True, True, False]


async def test_requests_at_the_same_time_never_see_each_other(serve: Serve, vendors: DevServer, given: Given) -> None:
    users = ["ada.lovelace", *(f"user-{number}" for number in range(49))]
    given["meeting"] = asyncio.Barrier(len(users))

    async with serve() as browser:
        replies = await asyncio.gather(*(browser.get("meet", user) for user in users))

    assert replies == [[user, user == "ada.lovelace", True] for user in users]
    expected = {user: {"who": user, "feature_flags": {"hers": user == "ada.lovelace"}} for user in users}
    assert {event.user: event.body["properties"] for event in vendors.accepted("rudderstack")} == expected
    assert exposures(vendors) == sorted((user, "hers") for user in users)


async def test_a_task_that_a_request_starts_belongs_to_it(serve: Serve, vendors: DevServer, given: Given) -> None:
    async with serve() as browser:
        await browser.get("later", "ada.lovelace")
        await browser.get("gate", "bob.ross")
        await given["meeting"].wait()
        await asyncio.gather(*given["tasks"])

    assert sent(vendors)["Later"] == {"who": "ada.lovelace", "feature_flags": {"hers": True}}


async def test_outside_requests_there_are_no_flags(serve: Serve) -> None:
    async with serve() as browser:
        await browser.get("gate", "ada.lovelace")

        with pytest.raises(ConfigurationError, match="does not run for a request"):
            current_flags()


async def test_a_failed_request_leaves_no_state(serve: Serve) -> None:
    async with serve() as browser:
        async with browser.ask("fail", "ada.lovelace") as response:
            assert response.status == 500

        assert await browser.get("gate", "bob.ross") == [False, False, True]


@pytest.mark.parametrize("page", ["plain", "gate", "visit"])
async def test_requests_leave_no_cycles_to_the_garbage_collector(serve: Serve, page: str) -> None:
    async with serve() as browser:
        await ask_in_turn(browser.url, page, ["ada.lovelace"] * 20)
        found = []
        gc.disable()
        try:
            for _ in range(3):  # what earlier tests leave is found in the first rounds; cycles of requests in each
                gc.collect()
                await ask_in_turn(browser.url, page, ["ada.lovelace"] * 50)
                found.append(gc.collect())
        finally:
            gc.enable()

    assert min(found) < 50  # fewer than one object per request


# --- streams and sockets --------------------------------------------------------------------------------------


async def test_a_response_is_streamed_part_by_part(serve: Serve, given: Given) -> None:
    async with serve(anonymous_cookie="visitor") as browser, browser.ask("stream", "ada.lovelace") as response:
        first = await response.content.readany()
        await given["meeting"].wait()  # now the second part is sent

        assert (first, await response.content.read()) == (b"ada.lovelace:", b"True")
        assert "visitor" in response.cookies


async def test_a_websocket_has_flags(serve: Serve) -> None:
    async with serve(anonymous_cookie="visitor") as browser, browser.socket("ada.lovelace") as socket:
        replies = []
        for gate in ("hers", "none"):
            await socket.send_str(gate)
            replies.append(await socket.receive_str())

    assert replies == ["ada.lovelace True", "ada.lovelace False"]
    assert "visitor=" in socket._response.headers["Set-Cookie"]


# --- the user ------------------------------------------------------------------------------------------------


async def test_the_user_function_is_called_once_and_only_if_needed(serve: Serve) -> None:
    requests: list[Any] = []

    def user(request: Any) -> str:
        requests.append(request)
        return "ada.lovelace"

    async with serve(user=user) as browser:
        await browser.get("plain")
        assert requests == []
        await browser.get("buy")
        assert len(requests) == 1


async def test_a_user_may_be_awaited(serve: Serve) -> None:
    async def user(request: Any) -> int:
        await asyncio.sleep(0)
        return 7

    async with serve(user=user) as browser:
        assert (await browser.get("whoami"))["user_id"] == 7


async def test_missing_fields_are_filled_in_from_the_request(serve: Serve) -> None:
    headers = {"User_Agent": "test/1", "Accept_Language": "en;q=0.5, nl-NL, de"}

    async with serve() as browser:
        fields = {"ip": "127.0.0.1", "user_agent": "test/1", "locale": "nl-NL"}
        assert await browser.get("whoami", "ada.lovelace", **headers) == {"user_id": "ada.lovelace", **fields}
        assert await browser.get("whoami", **headers) == fields


async def test_fields_that_the_application_sets_are_kept(serve: Serve) -> None:
    known = User("ada.lovelace", ip="192.0.2.7", locale="cy", anonymous_id="a-1", custom={"plan": "pro"})

    async with serve(user=lambda request: known, anonymous_cookie="visitor") as browser:
        fields = await browser.get("whoami", User_Agent="test/1", Accept_Language="nl")

    assert fields == {
        "user_id": "ada.lovelace",
        "ip": "192.0.2.7",
        "user_agent": "test/1",
        "locale": "cy",
        "anonymous_id": "a-1",
        "custom": {"plan": "pro"},
    }
    assert known.user_agent is None


@pytest.mark.parametrize(
    ("proxies", "ip"), [(0, "127.0.0.1"), (1, "198.51.100.2"), (2, "203.0.113.1"), (4, "127.0.0.1")]
)
async def test_only_the_configured_proxies_are_trusted(serve: Serve, proxies: int, ip: str) -> None:
    async with serve(trusted_proxies=proxies) as browser:
        fields = await browser.get("whoami", X_Forwarded_For="10.0.0.66, 203.0.113.1:8080, 198.51.100.2")

    assert fields["ip"] == ip


async def test_headers_that_are_not_text_do_no_harm(serve: Serve, vendors: DevServer) -> None:
    async with serve() as browser:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(browser.url).port)
        writer.write(
            b"GET /visit HTTP/1.1\r\nHost: x\r\nX-User: ada.lovelace\r\nUser-Agent: \xff\xfe\r\nAccept-Language: \xfd\r\n\r\n"
        )
        assert b" 200 " in await reader.readline()
        writer.close()

    assert [event.name for event in vendors.accepted("rudderstack")] == ["Visited"]


async def test_a_user_function_that_returns_another_type_raises(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async with serve(user=lambda request: ["ada.lovelace"]) as browser, browser.ask("gate") as response:
        assert response.status == 500

    assert "must return a User, an id or None, not list" in caplog.text


async def test_users_stay_in_their_assigned_groups(serve: Serve, vendors: DevServer) -> None:
    store = MemoryAssignments()
    await store.save("ada.lovelace:userID", "button", {"json_value": {}, "group_name": "Early", "rule_id": "early"})

    async with serve(client_of(vendors, assignments=store)) as browser:
        assert await browser.get("group", "ada.lovelace") == "Early"
        assert await browser.get("group", "bob.ross") == "Test"
        assert await browser.get("group") == "Test"


# --- visitors -------------------------------------------------------------------------------------------------


async def test_a_returning_visitor_is_identified(serve: Serve) -> None:
    async with serve(anonymous_cookie="visitor") as browser:
        async with browser.ask("whoami") as response:
            cookie = response.cookies["visitor"]
            fields = await response.json()
        async with browser.ask("whoami", Cookie=f"visitor={cookie.value}") as response:
            assert "Set-Cookie" not in response.headers
            assert await response.json() == fields

    assert fields["anonymous_id"] == cookie.value
    assert (cookie["path"], cookie["samesite"], cookie["httponly"], cookie["secure"]) == ("/", "Lax", True, "")


async def test_visitors_differ(serve: Serve) -> None:
    async with serve(anonymous_cookie="visitor") as browser:
        one, other = await browser.get("whoami"), await browser.get("whoami")

    assert one["anonymous_id"] != other["anonymous_id"]


@pytest.mark.parametrize("page", ["plain", "gate"])
async def test_only_requests_that_use_flags_set_a_cookie(serve: Serve, page: str) -> None:
    async with serve(anonymous_cookie="visitor") as browser, browser.ask(page) as response:
        assert ("Set-Cookie" in response.headers) == (page == "gate")


async def test_no_cookie_is_set_by_default(serve: Serve) -> None:
    async with serve() as browser, browser.ask("gate") as response:
        assert "Set-Cookie" not in response.headers


async def test_an_invalid_cookie_is_replaced(serve: Serve) -> None:
    async with serve(anonymous_cookie="visitor") as browser, browser.ask("whoami", Cookie="visitor=<b>") as response:
        fields = await response.json()

        assert fields["anonymous_id"] == response.cookies["visitor"].value != "<b>"
