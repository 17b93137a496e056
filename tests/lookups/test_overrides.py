"""Local overrides: what they accept, whom they apply to, and that lookups and the browser's response agree."""

import json
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from helpers import ADA, rule, ruleset, spec
from helpers import statsig_with_rules as statsig
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk import Client, ConfigurationError, Rules, User
from asyncsdk.dev import DevServer
from asyncsdk.stores import MemoryAssignments

BOB = User("bob", custom_ids={"companyID": "c7"})
AB = ruleset(
    dynamic_configs={
        "prices": spec("dynamic_config", {}, rule("nl", {"price": 9}, "in NL")),
        "ab": spec(
            "experiment",
            {"c": "none"},
            rule("r1", {"c": "red"}, "in NL", groupName="Control", isExperimentGroup=True),
            rule("r2", {"c": "blue"}, "everybody", groupName="Test", isExperimentGroup=True),
            isActive=True,
        ),
    },
    layer_configs={
        "page": spec("layer", {"c": "grey"}, rule("to ab", {"c": "grey"}, "everybody", configDelegate="ab"))
    },
)
NAMES = ["open", "dutch", "nested", "prices", "ab", "page", "store", "new"]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(statsig(offline=True, rules=Rules(bootstrap=AB))) as client:
        yield client


MISTAKES: dict[str, tuple[Any, str]] = {
    "text for a gate": (lambda c: c.override_gate("open", "false"), "`value` of override_gate must be True or False"),
    "a number for a gate": (lambda c: c.override_gate("open", 0), "True or False, not an int"),
    "None for a gate": (lambda c: c.override_gate("open", None), "True or False, not"),
    "a list for a config": (lambda c: c.override_config("prices", [1]), "mapping"),
    "a bool for an experiment": (lambda c: c.override_experiment("ab", True), "mapping"),
    "a group for a layer": (lambda c: c.override_layer("page", "Test"), "mapping"),
    "None for a store": (lambda c: c.override_parameter_store("store", None), "mapping"),
    "an empty list for a config": (lambda c: c.override_config("prices", []), "mapping .*, not a list"),
    "pairs for a config": (lambda c: c.override_config("prices", [("a", 1)]), "mapping"),
    "empty text for a layer": (lambda c: c.override_layer("page", ""), "mapping"),
    "a value without JSON inside": (lambda c: c.override_config("prices", {"x": [object()]}), r"`value\['x'\]\[0\]`"),
    "a value without JSON": (lambda c: c.override_config("prices", {"x": object()}), "JSON"),
    "a name that is not text": (lambda c: c.override_gate(5, True), "`name`"),
    "a blank id": (lambda c: c.override_gate("open", True, user_id=""), "`user_id`"),
    "an id of another type": (lambda c: c.override_gate("open", True, user_id=1.5), "`user_id`"),
    "a blank id to remove": (lambda c: c.remove_override("open", user_id=" "), "`user_id`"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_an_override_that_could_not_apply_is_refused_at_the_call(client: Client, mistake: str) -> None:
    make, message = MISTAKES[mistake]
    with pytest.raises(ConfigurationError, match=message):
        make(client)

    assert await client.check_gate(ADA, "open") is True


async def test_the_values_of_an_override_are_those_of_events(client: Client) -> None:
    client.override_config("prices", {"price": Decimal("1.5"), "box": MappingProxyType({"w": 2**70}), 1: {2}})

    assert (await client.get_config(ADA, "prices")).value == {"price": 1.5, "box": {"w": str(2**70)}, "1": [2]}


async def test_a_number_is_an_id_as_in_a_user(client: Client) -> None:
    client.override_gate("open", False, user_id=7)

    assert [await client.check_gate(user, "open") for user in (7, "7", User(7), 8)] == [False, False, False, True]


async def test_a_parameter_store_is_overridden_as_a_whole_without_exposures(client: Client) -> None:
    client.override_parameter_store("store", {"color": "pink", "size": 2})
    client.override_parameter_store("store", {"color": "bobs"}, user_id="c7")
    hers, his = await client.get_parameter_store(ADA, "store"), await client.get_parameter_store(BOB, "store")

    assert (hers.get("color"), hers.get("size"), hers.get("fixed")) == ("pink", 2, None)
    assert (his.get("color"), his.get("size")) == ("bobs", None)
    assert client._exposures.pending_count == 0
    client.remove_override("store", user_id="c7")
    assert (await client.get_parameter_store(BOB, "store")).get("color") == "pink"
    client.remove_override("store")
    assert (await client.get_parameter_store(BOB, "store")).get("fixed") == "always"


async def test_an_override_by_a_group_that_does_not_exist_is_logged(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.override_experiment("ab", "Blue").override_gate("open", False)

    assert (await client.get_experiment(ADA, "ab")).group == "Control"
    assert "- a local override is ignored: no group 'Blue'" in client.explain(ADA, "ab").render()
    assert caplog.messages == [
        "override of the experiment 'ab': no group 'Blue'; its groups are 'Control', 'Test'. The rules decide"
    ]
    client.override_experiment("ab", "Test").override_experiment("none", "Test")
    assert caplog.messages[1:] == [
        "override of the experiment 'none': no group 'Test'; the rules have no such experiment. The rules decide"
    ]


async def test_such_an_override_made_before_the_rules_is_logged_when_they_arrive(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client(statsig(offline=True, rules=Rules(bootstrap=AB))).override_experiment("ab", "Blue")
    assert not caplog.messages

    async with client:
        assert sum("no group 'Blue'" in message for message in caplog.messages) == 1


async def test_such_an_override_is_logged_when_new_rules_lose_the_group(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        client = Client(statsig(offline=True, rules=Rules(bootstrap=AB))).override_experiment("ab", "Test")
        async with client:
            body = json.loads(AB)
            del body["dynamic_configs"]["ab"]["rules"][1]
            await client._refresher._install(json.dumps(body | {"time": 2000}).encode(), "Bootstrap")  # type: ignore[union-attr]

    assert sum("no group 'Test'" in message for message in caplog.messages) == 1


# --- the browser's response agrees ------------------------------------------------------------------------------------


async def lookups_of(client: Client, user: User) -> dict[str, Any]:
    found = {}
    for name in NAMES:
        gate = await client.get_gate(user, name, exposure=False)
        experiment, layer = await client.get_experiment(user, name), await client.get_layer(user, name, exposure=False)
        config = await client.get_config(user, name)
        dynamic = experiment if "experiment" in client.bind(user).kinds_of(name) else config
        found[name] = [gate.value, dynamic.value, dynamic.rule_id, layer.value, layer.rule_id]
    return found


def response_of(client: Client, user: User) -> dict[str, Any]:
    body = json.loads(client.bootstrap(user, hash="none"))
    nothing = {"value": {}, "rule_id": ""}
    found = {}
    for name in NAMES:
        dynamic, layer = body["dynamic_configs"].get(name, nothing), body["layer_configs"].get(name, nothing)
        gate = body["feature_gates"].get(name, {"value": False})
        found[name] = [gate["value"], dynamic["value"], dynamic["rule_id"], layer["value"], layer["rule_id"]]
    return found


values = st.dictionaries(st.sampled_from("cp"), st.integers(-9, 9) | st.text() | st.none(), max_size=2)
units = st.sampled_from([None, "ada-lovelace", "bob", "c7", "nobody"])
calls = st.one_of(
    st.tuples(st.just("override_gate"), st.sampled_from(["open", "dutch", "new"]), st.booleans(), units),
    st.tuples(st.just("override_config"), st.sampled_from(["prices"]), values, units),
    st.tuples(st.just("override_experiment"), st.sampled_from(["ab", "new"]), values | st.just("Test"), units),
    st.tuples(st.just("override_layer"), st.sampled_from(["page", "new"]), values, units),
    st.tuples(st.just("override_parameter_store"), st.sampled_from(["store", "new"]), values, units),
)


@given(st.lists(calls, max_size=6), st.lists(st.sampled_from(["Control", "Test"]), max_size=1))
async def test_lookups_and_the_browser_agree_under_overrides_and_sticky_groups(
    given_calls: list[tuple[str, str, Any, str | None]], sticky: list[str]
) -> None:
    store = MemoryAssignments()
    entry = {"json_value": {"c": "kept"}, "rule_id": "old", "group_name": "Old", "value": True, "config_delegate": "ab"}
    for _ in sticky:
        await store.save("bob:userID", "ab", entry)
        await store.save("bob:userID", "page", entry)
    async with Client(statsig(offline=True, rules=Rules(bootstrap=AB, assignments=store))) as client:
        for verb, name, value, user_id in given_calls:
            getattr(client, verb)(name, value, user_id=user_id)
        await client.load_assignments(BOB)

        for user in (ADA, BOB, User("eve")):
            seen = response_of(client, user)
            assert seen == await lookups_of(client, user)
            everything = await client.get_all(user)
            assert {name: one[0] for name, one in seen.items() if one[0]} == {
                name: True for name, gate in everything.gates.items() if gate
            }
            assert everything.experiments["ab"].value == seen["ab"][1]
            assert everything.layers["page"].value == seen["page"][3]


async def test_the_browser_reads_an_overridden_parameter_store(client: Client) -> None:
    client.override_parameter_store("store", {"a": "x", "b": 1, "c": [1], "d": {}, "e": True, "f": None}, user_id="bob")
    client.override_parameter_store("new", {"a": 2.5})
    his = json.loads(client.bootstrap(BOB, hash="none"))["param_stores"]
    hers = json.loads(client.bootstrap(ADA, hash="none"))["param_stores"]

    assert {name: (one["ref_type"], one["param_type"], one["value"]) for name, one in his["store"].items()} == {
        "a": ("static", "string", "x"),
        "b": ("static", "number", 1),
        "c": ("static", "array", [1]),
        "d": ("static", "object", {}),
        "e": ("static", "boolean", True),
    }
    assert his["new"] == hers["new"] == {"a": {"name": "a", "ref_type": "static", "param_type": "number", "value": 2.5}}
    assert set(hers["store"]) == {"color", "fixed", "beta"}


async def test_a_client_does_not_see_an_overridden_parameter_store_of_another_app() -> None:
    body = json.loads(AB) | {"sdk_keys_to_app_ids": {"client-a": "a"}}
    body["param_stores"]["store"]["targetAppIDs"] = ["b"]
    async with Client(statsig(offline=True, rules=Rules(bootstrap=body))) as client:
        client.override_parameter_store("store", {"color": "x"}).override_parameter_store("own", {"color": "y"})

        stores = json.loads(client.bootstrap(ADA, hash="none", client_key="client-a"))["param_stores"]
        assert [*stores] == ["own"]


async def test_the_browser_s_response_can_leave_overrides_out(client: Client) -> None:
    plain = client.bootstrap(ADA)
    client.override_gate("open", False).override_gate("new", True).override_parameter_store("store", {})

    assert client.bootstrap(ADA, include_local_overrides=False) == plain
    assert client.bootstrap(ADA) != plain


async def test_neither_the_response_nor_all_results_assign_a_group() -> None:
    store = MemoryAssignments()
    async with Client(statsig(offline=True, rules=Rules(bootstrap=AB, assignments=store))) as client:
        await client.load_assignments(BOB)
        client.bootstrap(BOB)
        await client.get_all(BOB)
        assert client.health().assignments.unsaved == 0  # type: ignore[union-attr]
        await client.get_experiment(BOB, "ab")
        assert client.health().assignments.unsaved == 1  # type: ignore[union-attr]


async def test_a_name_overridden_as_the_other_kind_is_read_so_by_the_browser(client: Client) -> None:
    client.override_experiment("prices", {"price": 1}).override_config("ab", {"c": "config"})
    body = json.loads(client.bootstrap(ADA, hash="none"))["dynamic_configs"]
    assert (body["prices"]["value"], body["ab"]["value"]) == ({"price": 1}, {"c": "config"})

    client.override_config("prices", {"price": 2}).override_experiment("ab", "Test")
    body = json.loads(client.bootstrap(ADA, hash="none"))["dynamic_configs"]
    assert (body["prices"]["value"], body["ab"]["value"]) == ({"price": 2}, {"c": "blue"})


async def test_overrides_outlive_a_refresh_in_the_response_too(client: Client) -> None:
    client.override_gate("open", False).override_gate("new", True)
    before = json.loads(client.bootstrap(ADA, hash="none"))["feature_gates"]
    await client._refresher._install(json.dumps(json.loads(AB) | {"time": 2000}).encode(), "Bootstrap")  # type: ignore[union-attr]

    assert client.health().rules.time_ms == 2000  # type: ignore[union-attr]
    assert json.loads(client.bootstrap(ADA, hash="none"))["feature_gates"] == before
