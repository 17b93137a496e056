"""The control API: the names of the ruleset, edits in place, and what they change."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from asyncsdk import Client, Rules, Statsig
from asyncsdk.dev import DevServer
from dev.control import call, small_ruleset


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.json"
    path.write_bytes(orjson.dumps(small_ruleset()))
    return path


@pytest.fixture
async def server(file: Path) -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=file) as server:
        yield server


async def gate(server: DevServer, name: str, **user: Any) -> bool:
    """Ask a client of the server, as an app would."""
    rules = Rules(specs_url=f"{server.url}/v2/download_config_specs")
    async with Client(Statsig("secret-k", rules=rules, log_event_url=server.url)) as client:
        return await client.check_gate({"userID": "ada", **user}, name)


async def names(server: DevServer) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in (await call(server, "names"))["names"]}


async def test_names_say_what_can_be_changed_in_place(server: DevServer) -> None:
    found = await names(server)

    assert list(found) == ["sale", "held", "button", "prices", "page"]
    assert found["sale"]["percentage"] == {"rule": "share", "label": "a share", "value": 40}
    assert found["held"]["percentage"]["rule"] == "all"
    assert [(part["label"], part["from"], part["to"]) for part in found["button"]["groups"]] == [
        ("Control", 0, 0.5), ("Test", 0.5, 1),
    ]  # fmt: skip
    assert (found["prices"]["percentage"], found["button"]["inside"], found["sale"]["inside"]) == (None, True, False)
    assert not any(one["differs"] for one in found.values())


async def test_off_takes_the_rules_out_and_on_puts_them_back(server: DevServer) -> None:
    before = (await call(server, "ruleset/sale"))["spec"]

    await call(server, "ruleset/sale", {"enabled": False}, method="PATCH")
    assert await gate(server, "sale", country="NL") is False
    assert (await names(server))["sale"]["differs"]
    await call(server, "ruleset/sale", {"enabled": False}, method="PATCH")
    await call(server, "ruleset/sale", {"enabled": True}, method="PATCH")

    assert await gate(server, "sale", country="NL") is True
    assert (await call(server, "ruleset/sale"))["spec"] == before


async def test_off_keeps_holdouts(server: DevServer) -> None:
    await call(server, "ruleset/held", {"enabled": False}, method="PATCH")

    spec = (await call(server, "ruleset/held"))["spec"]

    assert [rule["id"] for rule in spec["rules"]] == ["out"]
    assert [rule["id"] for rule in spec["rulesWhenOn"]] == ["out", "all"]


async def test_rules_that_wait_are_not_served_but_written(server: DevServer, file: Path) -> None:
    await call(server, "ruleset/sale", {"enabled": False}, method="PATCH")
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/v2/download_config_specs/k.json") as response:
        served = await response.json()
    await call(server, "ruleset/file", method="PUT")

    async with DevServer(ruleset=file) as later:
        await call(later, "ruleset/sale", {"enabled": True}, method="PATCH")
        assert await gate(later, "sale", country="NL") is True
    assert "rulesWhenOn" not in served["feature_gates"]["sale"]


async def test_a_percentage_is_changed_in_place(server: DevServer) -> None:
    await call(server, "ruleset/sale", {"percentage": {"value": 100}}, method="PATCH")
    assert await gate(server, "sale") is True
    await call(server, "ruleset/sale", {"percentage": {"rule": "share", "value": 0}}, method="PATCH")
    assert await gate(server, "sale") is False
    await call(server, "ruleset/sale", {"percentage": {"rule": "none", "value": 0}}, method="PATCH", status=404)
    await call(server, "ruleset/sale", {"percentage": {"value": 101}}, method="PATCH", status=400)


async def test_a_dry_run_says_which_named_users_would_change(server: DevServer) -> None:
    await call(server, "users", {"ada": {"user_id": "ada"}, "bob": {"user_id": "bob", "country": "NL"}}, method="PUT")
    spec = (await call(server, "ruleset/prices"))["spec"]
    spec["rules"][0]["id"] = "new"

    found = await call(server, "ruleset/prices?dry_run=1", {"spec": spec}, method="PATCH")

    assert found["changes"] == [{"name": "prices", "user": "bob", "old": "nl", "new": "new"}]
    assert (found["dry_run"], found["users"], (await names(server))["prices"]["differs"]) == (True, 2, False)


async def test_a_mistake_has_path_line_and_column(server: DevServer) -> None:
    spec = (await call(server, "ruleset/sale"))["spec"]
    spec["rules"][1]["passPercentage"] = 150
    body = json.dumps({"spec": spec}, indent=1).encode()

    refused = await call(server, "ruleset/sale", body, method="PATCH", status=422)

    line = next(n for n, text in enumerate(body.decode().split("\n"), 1) if "150" in text)
    assert refused["errors"] == [
        {"path": "rules.1.passPercentage", "line": line, "column": body.decode().split("\n")[line - 1].index("150") + 1,
         "text": "passPercentage is a number from 0 to 100, not 150"},
    ]  # fmt: skip
    assert not (await names(server))["sale"]["differs"]


async def test_text_that_is_not_json_has_a_place_too(server: DevServer) -> None:
    refused = await call(server, "ruleset", b'{\n  "a": ,}', method="PUT", status=400)

    assert (refused["errors"][0]["line"], refused["errors"][0]["column"]) == (2, 8)


async def test_the_whole_ruleset_is_replaced_and_reverted(server: DevServer) -> None:
    ruleset = small_ruleset() | {"layer_configs": {}}
    ruleset["feature_gates"]["sale"]["defaultValue"] = True

    await call(server, "ruleset", ruleset, method="PUT")
    diff = await call(server, "ruleset/diff")
    whole = await call(server, "ruleset")
    await call(server, "ruleset/file", method="DELETE")

    assert [(one["section"], one["name"]) for one in diff["changes"]] == [
        ("feature_gates", "sale"), ("layer_configs", "page"),
    ]  # fmt: skip
    assert (whole["differs"], whole["ruleset"]["layer_configs"]) == (True, {})
    assert (await call(server, "ruleset/diff"))["changes"] == []
    await call(server, "ruleset", whole, method="PUT")
    await call(server, "ruleset", [], method="PUT", status=400)
    ruleset["feature_gates"]["sale"]["rules"] = 1
    await call(server, "ruleset", ruleset, method="PUT", status=400)
    ruleset["feature_gates"]["sale"]["rules"] = [{"conditions": []}]
    refused = await call(server, "ruleset", ruleset, method="PUT", status=422)
    assert refused["errors"][0]["path"] == "feature_gates.sale.rules.0"


async def test_other_changes_of_the_ruleset_are_in_the_diff(server: DevServer) -> None:
    await call(server, "ruleset", small_ruleset() | {"app_id": "x", "time": 5}, method="PUT")

    changes = (await call(server, "ruleset/diff"))["changes"]

    assert {one["section"]: (one["old"], one["new"]) for one in changes} == {"app_id": (None, "x"), "time": (1000, 5)}


async def test_a_name_is_made_and_removed(server: DevServer) -> None:
    await call(server, "ruleset/dark_mode", {})
    assert await gate(server, "dark_mode") is False
    await call(server, "ruleset/dark_mode", {"percentage": {"value": 100}}, method="PATCH")
    assert await gate(server, "dark_mode") is True
    await call(server, "ruleset/dark_mode", {}, status=409)
    await call(server, "ruleset/dark_mode", method="DELETE")

    await call(server, "ruleset/dark_mode", status=404)
    await call(server, "ruleset/sale", {"nothing": 1}, method="PATCH", status=400)


async def test_a_changed_file_keeps_the_edits_of_other_names(server: DevServer, file: Path) -> None:
    await call(server, "ruleset/sale", {"percentage": {"value": 7}}, method="PATCH")
    await call(server, "ruleset/held", method="DELETE")
    changed = small_ruleset()
    changed["dynamic_configs"]["prices"]["defaultValue"] = {"price": 99}
    changed["feature_gates"]["held"]["version"] = 2
    file.write_bytes(orjson.dumps(changed))

    found = await names(server)

    assert found["sale"]["percentage"]["value"] == 7
    assert (await call(server, "ruleset/prices"))["spec"]["defaultValue"] == {"price": 99}
    assert "held" not in found


async def test_written_rules_are_those_of_the_file(server: DevServer, file: Path) -> None:
    await call(server, "ruleset/sale", {"percentage": {"value": 7}}, method="PATCH")

    await call(server, "ruleset/file", method="PUT")

    assert orjson.loads(file.read_bytes())["feature_gates"]["sale"]["rules"][1]["passPercentage"] == 7
    assert not (await call(server, "names"))["differs"]
    assert [path.name for path in file.parent.iterdir()] == ["rules.json"]


async def test_a_file_of_v1_is_written_as_v1(tmp_path: Path) -> None:
    path = tmp_path / "v1.json"
    sale = {"name": "sale", "salt": "", "rules": [], "enabled": True, "defaultValue": False, "entity": "feature_gate"}
    path.write_bytes(orjson.dumps({"feature_gates": [sale], "dynamic_configs": [], "layer_configs": []}))
    async with DevServer(ruleset=path) as server:
        await call(server, "ruleset/new", {})
        await call(server, "ruleset/file", method="PUT")

    assert [one["name"] for one in orjson.loads(path.read_bytes())["feature_gates"]] == ["sale", "new"]


async def test_without_a_file_nothing_is_written() -> None:
    async with DevServer(ruleset=small_ruleset()) as server:
        refused = await call(server, "ruleset/file", method="PUT", status=409)

        assert "--ruleset FILE" in refused["error"]


async def test_a_file_that_cannot_be_written_is_as_it_was(server: DevServer, file: Path) -> None:
    before = file.read_bytes()
    await call(server, "ruleset/sale", {"percentage": {"value": 7}}, method="PATCH")
    beside = file.with_name(f".{file.name}.{__import__('os').getpid()}.tmp")
    beside.mkdir()

    with pytest.raises(AssertionError, match="not written"):
        await call(server, "ruleset/file", method="PUT")
    assert file.read_bytes() == before


async def test_a_malformed_spec_has_no_groups() -> None:
    ruleset = small_ruleset()
    ruleset["dynamic_configs"]["button"]["rules"][0]["id"] = 7
    async with DevServer(ruleset=ruleset) as server:
        assert (await names(server))["button"]["groups"] == []
