"""All results of a user, the names of a project, the groups of experiments, and manual exposures of stores."""

import asyncio
from typing import Any

import pytest
from helpers import ADA, amplitude, rudderstack, rule, ruleset, spec
from helpers import statsig_with_rules as statsig

from asyncsdk import Client, Experiment, Names, Rules, User
from asyncsdk.dev import DevServer

BOB = User("bob")


def exposures(server: DevServer) -> list[tuple[str, Any, Any]]:
    seen = [event.body for event in server.accepted("statsig") if event.kind.endswith("_exposure")]
    fields = [(one["eventName"].removeprefix("statsig::"), one["metadata"]) for one in seen]
    return [
        (name, data.get("parameterName") or data.get("gate"), data.get("isManualExposure")) for name, data in fields
    ]


async def test_all_results_are_those_of_the_lookups_and_report_no_exposure(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        everything = await client.get_all(ADA)
        store = everything.parameter_stores["store"]
        assert [store.get("color"), store.get("fixed"), everything.layers["page"].get("color")] == [
            "green",
            "always",
            "green",
        ]
        assert (await client.flush()).destinations["Statsig"].exposures is None

        for name, gate in everything.gates.items():
            assert gate == await client.get_gate(ADA, name)
        for name, config in everything.configs.items():
            assert config == await client.get_config(ADA, name)
        assert everything.experiments == {"button": await client.get_experiment(ADA, "button")}
        assert everything.layers == {"page": await client.get_layer(ADA, "page")}
    assert [[*everything.gates], [*everything.configs]] == [["dutch", "nested", "open"], ["prices"]]


async def test_all_results_do_not_notify_watchers(server: DevServer) -> None:
    seen: list[str] = []
    client = Client(statsig(server)).on_evaluation(lambda _, result: seen.append(result.name))
    async with client:
        (await client.get_all(ADA)).parameter_stores["store"].get("beta")

    assert not seen


async def test_all_results_and_names_include_overrides() -> None:
    async with Client(statsig(offline=True)) as client:
        client.override_gate("new", True).override_experiment("trial", {"x": 1}).override_parameter_store(
            "own", {"a": 1}
        )
        everything, names = await client.get_all(BOB), await client.get_names()

    assert names == Names(
        gates=("dutch", "nested", "new", "open"),
        configs=("prices",),
        experiments=("button", "trial"),
        layers=("page",),
        parameter_stores=("own", "store"),
    )
    assert (everything.gates["new"].value, everything.experiments["trial"].value) == (True, {"x": 1})
    assert everything.parameter_stores["own"].get("a") == 1


async def test_without_rules_there_are_no_names_and_no_results() -> None:
    client = Client()

    assert await client.get_names() == Names()
    assert not (await client.get_all(ADA)).gates
    assert (await client.get_experiment_groups("x")).is_active is None
    assert (await client.get_experiment_by_group("x", "Test")).details.reason == "NoValues"


async def test_while_a_client_starts_the_catalogue_waits_for_the_rules(server: DevServer) -> None:
    server.set_ruleset(ruleset())
    client = Client(statsig(rules=Rules(specs_url=f"{server.url}/v2/download_config_specs/", poll_interval=60)))
    starting = asyncio.create_task(client.start())
    await asyncio.sleep(0)

    names, groups, group = await asyncio.gather(
        client.get_names(), client.get_experiment_groups("button"), client.get_experiment_by_group("button", "Test")
    )
    assert ("open" in names.gates, len(groups.groups), group.rule_id) == (True, 1, "green")
    await starting
    await client.aclose()


async def test_the_groups_of_an_experiment_have_getters() -> None:
    async with Client(statsig(offline=True)) as client:
        found = await client.get_experiment_groups("button")
        (group,) = found.groups
        value = group.value
        value["color"] = "changed"

        assert (found.name, found.is_active, group.name, group.rule_id, group.id_type) == (
            *("button", True, "Test", "green", "userID"),
        )
        assert (group.get_string("color"), group.get_number("size"), group.get_bool("size", False)) == (
            "green",
            2,
            False,
        )
        assert not (await client.get_experiment_groups("prices")).groups


@pytest.mark.parametrize(("group", "rule_id"), [("Test", None), (None, "green")])
async def test_an_experiment_is_looked_up_by_its_group(group: str | None, rule_id: str | None) -> None:
    async with Client(statsig(offline=True)) as client:
        found = await client.get_experiment_by_group("button", group, rule_id=rule_id)

    assert isinstance(found, Experiment)
    assert (found.group, found.rule_id, found.get("size")) == ("Test", "green", 2)
    assert found.details.reason == "Bootstrap:Recognized"


async def test_a_malformed_experiment_has_a_name_and_no_groups() -> None:
    configs = {"bad": spec("experiment", {}) | {"rules": "none"}}
    async with Client(statsig(offline=True, rules=Rules(bootstrap=ruleset(dynamic_configs=configs)))) as client:
        assert (await client.get_names()).experiments == ("bad",)
        assert not (await client.get_experiment_groups("bad")).groups
        assert (await client.get_all(ADA)).experiments["bad"].details.reason == "Bootstrap:Unsupported"


@pytest.mark.parametrize("name", ["button", "prices", "open", "none"])
async def test_an_unknown_group_has_no_parameters(name: str) -> None:
    async with Client(statsig(offline=True)) as client:
        for found in (
            await client.get_experiment_by_group(name, "None"),
            await client.get_experiment_by_group(name, rule_id="none"),
            await client.get_experiment_by_group(name),
        ):
            assert (found.group, found.rule_id, found.value) == (None, "", {})
            assert found.details.reason == "Bootstrap:Unrecognized"


# --- manual exposures of a parameter store's parameter ----------------------------------------------------------------


async def test_a_manual_exposure_of_a_store_s_parameter_is_that_of_what_it_refers_to(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        client.log_exposure(ADA, "store", "color")
        client.log_exposure(ADA, "store", "beta")
        client.log_exposure(ADA, "store", "fixed")

    assert exposures(server) == [("layer_exposure", "color", "true"), ("gate_exposure", "open", "true")]


@pytest.mark.parametrize(("parameter", "says"), [(None, "needs the parameter"), ("none", "has no parameter 'none'")])
async def test_a_manual_exposure_without_such_a_parameter_is_logged_once(
    server: DevServer, caplog: pytest.LogCaptureFixture, parameter: str | None, says: str
) -> None:
    async with Client(statsig(server)) as client:
        for _ in range(3):
            client.log_exposure(ADA, "store", parameter)

    assert exposures(server) == []
    assert sum(says in message for message in caplog.messages) == 1


@pytest.mark.parametrize(("parameter", "seen"), [(None, "gate_exposure"), ("color", "layer_exposure")])
async def test_a_store_with_the_name_of_a_gate_is_known_by_its_parameter(
    server: DevServer, parameter: str | None, seen: str
) -> None:
    gates = {"store": spec("feature_gate", False, rule("all", True, "everybody"))}
    async with Client(statsig(server, rules=Rules(bootstrap=ruleset(feature_gates=gates)))) as client:
        client.log_exposure(ADA, "store", parameter)

    assert [name for name, _, _ in exposures(server)] == [seen]


# --- no exposures at all ----------------------------------------------------------------------------------------------


async def test_a_client_without_exposures_reports_none_and_its_rules_and_events_go_on(server: DevServer) -> None:
    vendors = [statsig(server), rudderstack(server, exposures="all"), amplitude(server, exposures="all")]
    async with Client(*vendors, exposures=False) as client:
        assert await client.check_gate(ADA, "open")
        assert (await client.get_layer(ADA, "page")).get("color") == "green"
        assert client.bind(ADA).get_experiment("button").group == "Test"
        client.log_exposure(ADA, "prices")
        await client.track(ADA, "Signed Up")
        report = await client.flush()

    assert {name: (one.exposures, one.delivered) for name, one in report.destinations.items()} == dict.fromkeys(
        ("Statsig", "RudderStack", "Amplitude"), (None, 1)
    )
