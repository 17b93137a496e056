"""The control API: named users, what they see and why."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from asyncsdk.dev import DevServer
from asyncsdk.dev.control.calls import CallError
from asyncsdk.dev.control.people import NamedUsers
from asyncsdk.errors import ConfigurationError
from dev.control import call, small_ruleset

ADA = {"user_id": "ada", "country": "NL"}


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=small_ruleset()) as server:
        yield server


async def decision(server: DevServer, name: str, user: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await call(server, "evaluate", {"users": [user], "names": [name]}))["results"][0][name]
    return found


async def test_a_decision_has_value_rule_and_tree(server: DevServer) -> None:
    found = await decision(server, "sale", ADA)

    assert {key: found[key] for key in ("kind", "value", "rule", "reason", "place", "via")} == {
        "kind": "gate", "value": True, "rule": "dutch", "reason": "Network:Recognized", "place": None, "via": None,
    }  # fmt: skip
    (step,) = found["tree"]
    assert (step["t"], step["label"], step["holds"], step["passes"]) == ("rule", "dutch", True, True)
    (condition,) = step["steps"]
    assert {key: condition[key] for key in ("t", "subject", "op", "target", "value", "holds")} == {
        "t": "condition", "subject": "country", "op": "is any of", "target": ["NL"], "value": "NL", "holds": True,
    }  # fmt: skip


async def test_a_percentage_has_the_place_of_the_bucket(server: DevServer) -> None:
    found = await decision(server, "sale", {"user_id": "grace"})

    place, share = found["place"], found["tree"][1]["steps"][-1]
    assert (place["of"], place["at"], share["at"]) == (10_000, place["bucket"] / 10_000, place["bucket"])
    assert [(part["label"], part["to"]) for part in place["parts"]] == [("pass", 0.4), ("fail", 1.0)]
    assert found["value"] is (place["bucket"] < 4_000) is place["parts"][0]["on"]
    assert (share["t"], share["pass"], found["label"]) == ("bucket", 40, "a share")


async def test_a_group_has_its_borders_in_a_layer_too(server: DevServer) -> None:
    for name in ("button", "page"):
        found = await decision(server, name, {"user_id": "grace"})
        parts = found["place"]["parts"]
        assert [(part["label"], part["from"], part["to"]) for part in parts] == [("Control", 0, 0.5), ("Test", 0.5, 1)]
        assert [part["label"] for part in parts if part["on"]] == [found["group"]]
    assert found["via"] == "button"


async def test_a_private_value_is_not_shown(server: DevServer) -> None:
    found = await decision(server, "prices", {"user_id": "ada", "private_attributes": {"country": "NL"}})

    assert found["value"] == {"price": 2}
    assert "value" not in found["tree"][0]["steps"][0]
    assert "NL" not in found["tree"][0]["steps"][0]["text"].partition("any")[0]


async def test_names_of_users_and_statsigs_form_are_users(server: DevServer) -> None:
    await call(server, "users", {"ada": ADA}, method="PUT")

    found = await call(server, "evaluate", {"users": ["ada", {"userID": "x", "country": "NL"}, "nobody"]})

    assert [result["prices"]["value"]["price"] for result in found["results"]] == [2, 2, 1]
    assert list(found["results"][0]) == ["sale", "held", "button", "prices", "page"]


async def test_unknown_names_are_decided_too(server: DevServer) -> None:
    await call(server, "overrides/dark", {"value": True, "user": "ada"}, method="PUT")

    assert (await decision(server, "nothing", ADA))["kind"] == "unknown"
    found = (await call(server, "evaluate", {"users": [ADA]}))["results"][0]["dark"]
    assert (found["kind"], found["value"], found["rule"]) == ("gate", True, "override")


async def test_a_view_of_two_users_is_an_address(server: DevServer) -> None:
    await call(server, "users", {"ada": ADA}, method="PUT")

    both = await call(server, "evaluate?user=ada&vs=bob")
    first = await call(server, "evaluate")

    assert [user["user_id"] for user in both["users"]] == ["ada", "bob"]
    assert first["users"] == [ADA]


async def test_sample_users_are_counted_by_group(server: DevServer) -> None:
    found = await call(server, "evaluate/sample", {"n": 1000, "like": [{"country": "DE"}]})

    assert found["names"]["held"] == {"open": 1000}
    assert 300 < found["names"]["sale"]["open"] < 500
    assert set(found["names"]["button"]) == {"Control", "Test"}
    assert found["names"]["prices"] == {"default": 1000}
    await call(server, "users", {"ada": ADA}, method="PUT")
    assert (await call(server, "evaluate/sample", {"n": 9, "names": ["prices"]}))["names"] == {"prices": {"nl": 9}}
    assert (await call(server, "evaluate/sample", {"n": 9, "like": ["ada"]}))["names"]["prices"] == {"nl": 9}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("evaluate", {}, "users is a list"),
        ("evaluate", {"users": [{"user_id": "a", "plan": 1}]}, "this is not a user"),
        ("evaluate", {"users": [{"user_id": []}]}, "this is not a user"),
        ("evaluate", {"users": [1]}, "a user is an object"),
        ("evaluate", {"users": ["a"], "names": [1]}, "names is a list of names"),
        ("evaluate", [], "not a JSON object"),
        ("evaluate", b"{", "not JSON"),
        ("evaluate/sample", {"n": 0}, "n is a number from 1"),
        ("evaluate/sample", {"like": [1]}, "like is a list of users"),
    ],
)
async def test_a_mistake_is_told(server: DevServer, path: str, body: Any, words: str) -> None:
    assert words in (await call(server, path, body, method="POST", status=400))["error"]


async def test_users_that_are_not_are_refused(server: DevServer) -> None:
    assert "bob: " in (await call(server, "users", {"bob": {"plan": 1}}, method="PUT", status=400))["error"]
    await call(server, "users", [], method="PUT", status=400)
    await call(server, "users", {"users": {"ada": ADA}, "file": ""}, method="PUT")
    assert await call(server, "users") == {"users": {"ada": ADA}, "file": ""}


def test_users_of_a_file_follow_it(tmp_path: Path) -> None:
    users = NamedUsers(tmp_path / "users.json")
    users.load()
    assert users.all() == {}
    users.replace({"ada": ADA})
    assert orjson.loads((tmp_path / "users.json").read_bytes()) == {"ada": ADA}
    (tmp_path / "users.json").write_bytes(b'{"bob": {}}')
    assert list(users.all()) == ["bob"]
    (tmp_path / "users.json").write_bytes(b"broken")
    assert list(users.all()) == ["bob"]


def test_a_file_without_users_is_told(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_bytes(b"broken")

    with pytest.raises(ConfigurationError, match="cannot be read"):
        NamedUsers(tmp_path / "users.json").load()
    with pytest.raises(CallError, match="cannot be written"):
        NamedUsers(tmp_path / "none" / "users.json").replace({})
