"""Compares lists of names, groups of experiments, and overrides in the browser's response with the vendor's package."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from asyncsdk._model.users import User
from asyncsdk._rules import public_results as views
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.catalog import experiment_groups, find_group, list_names
from asyncsdk._rules.language.overrides import GroupOverride, Overrides
from asyncsdk._rules.parameters import evaluate_parameter
from rules.rulesets import (
    PUBLIC,
    SAMPLE_BANDIT,
    condition,
    config,
    experiment,
    gate,
    layer,
    loaded,
    make_context,
    passes,
    rule,
    ruleset,
)

pytest.importorskip("statsig_python_core")
import statsig_python_core as core

from rules.oracle import Oracle

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(120)]
NL = condition("user_field", "any", ["NL"], "country")
GROUPS = [
    rule("ada:userID:id_override", [NL], {"c": "override"}, groupName="Control"),
    rule("r1", [PUBLIC], {"c": "red"}, 50, groupName="Control", isExperimentGroup=True),
    rule("r2", [PUBLIC], {"c": "blue"}, groupName="Test", isExperimentGroup=True),
    rule("r3", [PUBLIC], {"c": "nameless"}, isExperimentGroup=True),
]
BODY = ruleset(
    {
        "open": gate(rule("all", [PUBLIC])),
        "nested": gate(rule("t", [passes("open")])),
        **{entity: {**gate(rule("r", [PUBLIC])), "entity": entity} for entity in ("segment", "holdout", "experiment")},
    },
    {
        "prices": config(rule("r", [PUBLIC], {"a": 1})),
        "ab": experiment(*GROUPS),
        "off": experiment(GROUPS[2], isActive=False),
        "auto": {**config(rule("r", [PUBLIC], {"a": 1})), "entity": "autotune"},
        "held": {**config(rule("r", [PUBLIC], {"a": 1})), "entity": "holdout"},
    },
    {"page": layer(rule("d", [PUBLIC], configDelegate="ab"))},
    param_stores={
        "store": {"targetAppIDs": [], "parameters": {"a": {"ref_type": "static", "param_type": "string", "value": "b"}}}
    },
    cmab_configs={"bandit": SAMPLE_BANDIT},
)
RULES = loaded(BODY)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    oracle = Oracle(BODY)
    yield oracle
    oracle.close()


def test_the_lists_of_names_are_those_of_the_package_but_for_bandits(oracle: Oracle) -> None:
    names, theirs = list_names(RULES), oracle.client

    assert sorted(theirs.get_feature_gate_list()) == [*names.gates]
    assert sorted(theirs.get_dynamic_config_list()) == [*names.configs]
    assert sorted(theirs.get_experiment_list()) == [*names.experiments]
    assert sorted([*theirs.get_autotune_list(), "bandit"]) == [*names.autotunes]
    assert sorted(theirs.get_layer_list()) == [*names.layers]
    assert sorted(theirs.get_parameter_store_list()) == [*names.parameter_stores]


@pytest.mark.parametrize("name", ["ab", "off", "prices", "auto", "open", "page", "bandit", "none"])
def test_the_groups_of_an_experiment_are_those_of_the_package(oracle: Oracle, name: str) -> None:
    theirs, ours = oracle.client.get_experiment_groups(name), experiment_groups(RULES, name)

    assert ours.is_active == theirs.is_experiment_active
    assert [(one.name, one.rule_id, one.id_type, one.value) for one in ours.groups] == [
        (one.group_name, one.rule_id, one.id_type, one.return_value) for one in theirs.groups
    ]


@pytest.mark.parametrize(
    ("name", "group", "rule_id"),
    [
        *[("ab", group, None) for group in ("Control", "Test", "None")],
        *[("ab", None, rule_id) for rule_id in ("r1", "r3", "ada:userID:id_override", "none")],
        *[(name, "Test", None) for name in ("off", "prices", "none")],
    ],
)
def test_the_lookup_by_group_is_that_of_the_package(
    oracle: Oracle, name: str, group: str | None, rule_id: str | None
) -> None:
    if group is not None:
        theirs = oracle.client.get_experiment_by_group_name(name, group)
    else:
        theirs = oracle.client.get_experiment_by_group_id_advanced(name, rule_id)
    ours = views.experiment(RULES, find_group(RULES, name, group, rule_id))

    assert (ours.value, ours.rule_id, ours.id_type, ours.group, ours.details.version) == (
        theirs.value,
        theirs.rule_id,
        theirs.id_type,
        theirs.group_name,
        theirs.details.version,
    )
    assert ours.details.reason.split(":")[-1] == theirs.details.reason.split(":")[-1]


CALLS: list[tuple[str, str, Any, str | None]] = [
    ("gate", "open", False, None),
    ("gate", "open", True, "bob"),
    ("config", "prices", {"o": 1}, "ada"),
    ("experiment", "ab", {"o": 2}, "ada"),
    ("experiment", "off", GroupOverride("Test"), None),
    ("layer", "page", {"o": 3}, "c7"),
]


@pytest.mark.parametrize("user_id", ["ada", "bob", "eve"])
def test_overrides_in_the_response_are_those_of_the_package(user_id: str) -> None:
    oracle, overrides = Oracle(BODY), Overrides()
    for kind, name, value, unit in CALLS:
        overrides = overrides.set(kind, name, value, unit)  # type: ignore[arg-type] # a kind
        verb = "dynamic_config" if kind == "config" else kind
        if isinstance(value, GroupOverride):
            oracle.client.override_experiment_by_group_name(name, value.name, unit)
        else:
            getattr(oracle.client, f"override_{verb}")(name, value, unit)
    view = client_view(loaded(BODY, make_context(overrides=overrides)), hash="none", include_overrides=True)
    ours = orjson.loads(client_response(view, User(user_id, custom_ids={"companyID": "c7"}), {}))
    fields = {"userID": user_id, "customIDs": {"companyID": "c7"}}
    theirs = oracle.response(fields, include_local_overrides=True)
    oracle.close()

    compared = ("value", "rule_id", "group", "passed", "secondary_exposures", "is_user_in_experiment")
    for section in ("feature_gates", "dynamic_configs", "layer_configs"):
        assert {
            name: [one.get(key) for key in compared] for name, one in ours[section].items() if name != "bandit"
        } == {
            name: [one.get(key) for key in compared]
            for name, one in theirs[section].items()
            if name not in ("bandit", "experiment")
        } | ({"experiment": [True, "r", None, None, [], None]} if section == "feature_gates" else {})


def test_a_parameter_store_is_overridden_as_in_the_package(oracle: Oracle) -> None:
    oracle.client.override_parameter_store("store", {"a": "all"})
    oracle.client.override_parameter_store("store", {"own": "ada's"}, "ada")
    overrides = Overrides().set("parameter_store", "store", {"a": "all"})
    rules = loaded(BODY, make_context(overrides=overrides.set("parameter_store", "store", {"own": "ada's"}, "ada")))

    for user_id in ("ada", "bob"):
        store = oracle.client.get_parameter_store(core.StatsigUser(user_id), "store")
        for name in ("a", "own"):
            assert evaluate_parameter(rules, User(user_id), "store", name).value == (store.get_string(name, "") or None)
