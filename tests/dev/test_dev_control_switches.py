"""The control API: overrides that every client gets, and faults."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from asyncsdk import Client, Rules, Statsig
from asyncsdk.dev import DevServer, Fault
from asyncsdk.dev.faults import FaultSchedule, StandingFault
from dev.control import call, small_ruleset

EVENT = {"api_key": "k", "events": [{"event_type": "e", "user_id": "ada-1"}]}


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=small_ruleset()) as server:
        yield server


async def seen(server: DevServer, user: str = "ada") -> dict[str, Any]:
    """Return what a client of the server sees."""
    rules = Rules(specs_url=f"{server.url}/v2/download_config_specs")
    async with Client(Statsig("secret-k", rules=rules, log_event_url=server.url)) as client:
        experiment = await client.get_experiment(user, "button")
        return {
            "sale": await client.check_gate(user, "sale"),
            "dark": await client.check_gate(user, "dark"),
            "button": (experiment.group, experiment.value),
            "prices": (await client.get_config(user, "prices")).value,
            "page": (await client.get_layer(user, "page")).value,
            "rule": experiment.rule_id,
        }


async def post(server: DevServer) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.post(f"{server.url}/2/httpapi", json=EVENT) as response:
        return response.status, response.headers.get("Retry-After", "")


async def test_an_override_for_all_users_and_one_for_a_user(server: DevServer) -> None:
    await call(server, "overrides", {"name": "sale", "value": True}, method="PUT")
    await call(server, "overrides/sale", {"value": False, "user": "bob"}, method="PUT")

    assert ((await seen(server))["sale"], (await seen(server, "bob"))["sale"]) == (True, False)
    found = (await call(server, "overrides"))["overrides"]
    assert [(one["name"], one["kind"], one["value"], one["user"], one["by"]) for one in found] == [
        ("sale", "gate", False, "bob", "api"), ("sale", "gate", True, None, "api"),
    ]  # fmt: skip


async def test_every_kind_can_be_overridden(server: DevServer) -> None:
    for name, value in {"button": "Test", "prices": {"price": 9}, "page": {"color": "pink"}, "dark": True}.items():
        await call(server, f"overrides/{name}", {"value": value}, method="PUT")

    found = await seen(server)

    assert (found["dark"], found["button"], found["rule"]) == (True, ("Test", {"color": "red"}), "override")
    assert (found["prices"], found["page"]) == ({"price": 9}, {"color": "pink"})


async def test_removed_overrides_no_longer_apply(server: DevServer) -> None:
    before = await seen(server)
    for user in (None, "ada", "bob"):
        await call(server, "overrides/prices", {"value": {"price": 9}, "user": user}, method="PUT")
    assert await call(server, "overrides/prices?user=ada", method="DELETE") == {"removed": 1}
    assert (await seen(server))["prices"] == {"price": 9}
    assert await call(server, "overrides/prices", method="DELETE") == {"removed": 2}

    await call(server, "overrides", {"name": "new", "value": {"a": 1}}, method="PUT")
    assert await call(server, "overrides", method="DELETE") == {"removed": 1}
    assert await seen(server) == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"value": True}, "has a name"),
        ({"name": "sale", "value": 1}, "is a gate: its value is true or false"),
        ({"name": "prices", "value": True}, "is a config: its value is an object"),
        ({"name": "button", "value": "None"}, "Control, Test, not 'None'"),
        ({"name": "new", "kind": "experiment", "value": "A"}, "no groups, not 'A'"),
        ({"name": "x", "kind": "store", "value": {}}, "kind is one of gate"),
        ({"name": 1, "value": {}}, "name has to be text"),
    ],
)
async def test_an_override_that_does_not_fit_is_refused(server: DevServer, body: dict[str, Any], words: str) -> None:
    assert words in (await call(server, "overrides", body, method="PUT", status=400))["error"]


async def test_a_fault_is_shown_with_its_hits(server: DevServer) -> None:
    fault = {"vendor": "amplitude", "status": 429, "retry_after": 3, "times": 2}
    added = await call(server, "faults", fault)

    assert await post(server) == (429, "3")
    (shown,) = (await call(server, "faults"))["faults"]

    assert added["hits"] == 0
    assert {key: shown[key] for key in (*fault, "left", "hits", "probability", "end")} == fault | {
        "left": 1, "hits": 1, "probability": 1, "end": "answer",
    }  # fmt: skip


async def test_a_fault_that_is_used_up_is_still_shown(server: DevServer) -> None:
    await call(server, "faults", {"vendor": "amplitude", "status": 503, "times": 1})

    assert [await post(server), await post(server)] == [(503, ""), (200, "")]
    (shown,) = (await call(server, "faults"))["faults"]
    assert (shown["left"], shown["times"]) == (0, 1)
    await call(server, f"faults/{shown['id']}", method="DELETE")
    await call(server, f"faults/{shown['id']}", method="DELETE", status=404)
    assert (await call(server, "faults"))["faults"] == []


async def test_a_put_replaces_all_faults(server: DevServer) -> None:
    server.fault("amplitude", Fault(500))
    script = {"vendor": "amplitude", "script": [503, None, {"status": 413}]}

    found = await call(server, "faults", [script, {"vendor": "any", "end": "garbage"}], method="PUT")

    assert (found["scripts"], [one["end"] for one in found["faults"]]) == ({"amplitude": 3}, ["garbage"])
    assert [(await post(server))[0] for _ in range(3)] == [503, 200, 413]
    assert await call(server, "faults", {}, method="PUT") == {"faults": [], "scripts": {}}


async def test_a_script_is_added(server: DevServer) -> None:
    assert await call(server, "faults", {"vendor": None, "script": [503]}) == {"vendor": None, "script": 1}
    assert [(await post(server))[0] for _ in range(2)] == [503, 200]
    await call(server, "faults", {"vendor": "amplitude", "end": "lost_reply"})
    assert await call(server, "faults", method="DELETE") == {"removed": 1}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "a fault is an object"),
        ({"vendor": "mixpanel"}, "vendor is one of rudderstack"),
        ({"end": "explode"}, "end is one of answer"),
        ({"status": 99}, "status is an HTTP status"),
        ({"status": True}, "status has to be a whole number"),
        ({"delay": -1}, "delay is a number of seconds"),
        ({"times": 0}, "times is at least 1"),
        ({"probability": 2}, "probability is a number from 0 to 1"),
        ({"retry_after": [1]}, "retry_after is a number"),
        ({"retry_after": "a\nb"}, "without control characters"),
        ({"script": ["no"]}, "a step of a script"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(server: DevServer, body: Any, words: str) -> None:
    assert words in (await call(server, "faults", body, status=400))["error"]


def test_a_probability_is_the_share_of_requests() -> None:
    schedule = FaultSchedule()
    schedule.add_standing(StandingFault(None, Fault(end="refuse"), probability=0.3))

    hits = sum(bool(schedule.next_fault("v", None) or schedule.next_fault("v", object())) for _ in range(3000))  # type: ignore[arg-type]

    assert 750 < hits < 1050


def test_faults_that_are_used_up_are_forgotten_in_the_end() -> None:
    schedule = FaultSchedule()
    for _ in range(40):
        schedule.add_standing(StandingFault("v", Fault(503), 1))
        assert schedule.next_fault("v", None) is None
        schedule.next_fault("v", object())  # type: ignore[arg-type]

    assert len(schedule.standing) == 21
