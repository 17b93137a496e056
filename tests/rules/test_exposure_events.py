"""Exposure events: what they report of each kind of lookup."""

import orjson
import pytest

from asyncsdk._rules.exposures import build_exposure, build_layer_exposure
from asyncsdk._rules.loading import load_now
from asyncsdk._rules.ruleset import empty_ruleset
from rules.rulesets import (
    NOW_MS,
    PUBLIC,
    condition,
    experiment,
    gate,
    layer,
    loaded,
    loaded_gates,
    make_context,
    passes,
    rule,
    ruleset,
)
from rules.small_project import ADA, GATES, metadata, project

COMMON = {"reason": "Network:Recognized", "lcut": "1700000000000", "receivedAt": str(NOW_MS)}


def test_the_exposure_of_a_gate() -> None:
    rules = project()

    exposure = build_exposure(rules, rules.gate(ADA, "looks"))

    assert exposure.event_name == "statsig::gate_exposure"
    assert metadata(exposure) == {"gate": "looks", "gateValue": "true", "ruleID": "rl", "configVersion": "3", **COMMON}
    assert orjson.loads(exposure.secondary) == [{"gate": "g", "gateValue": "true", "ruleID": "rg"}]


def test_a_consulted_experiment_is_exposed_with_rule_passed() -> None:
    asks = gate(rule("r", [condition("experiment_group", "none", [], "e")]))
    rules = loaded(ruleset({"asks": asks}, {"e": experiment(rule("re", [PUBLIC], {}))}))

    (consulted,) = rules.gate(ADA, "asks").consulted

    assert metadata(build_exposure(rules, consulted))["rulePassed"] == "true"


def test_the_manual_exposure_of_a_config() -> None:
    rules = project()

    exposure = build_exposure(rules, rules.config(ADA, "c"), manual=True)

    assert exposure.event_name == "statsig::config_exposure"
    expected = {
        "config": "c",
        "ruleID": "default",
        "rulePassed": "false",
        "configVersion": "1",
        "isManualExposure": "true",
    }
    assert metadata(exposure) == {**expected, **COMMON}


@pytest.mark.parametrize(
    ("parameter", "experiment_name", "gates"), [("p", "e", ["holdout", "g"]), ("other", "", ["holdout"])]
)
def test_a_layer_exposure_names_the_experiment_only_for_parameters_that_it_owns(
    parameter: str, experiment_name: str, gates: list[str]
) -> None:
    rules = project()

    exposure = build_layer_exposure(rules, rules.layer(ADA, "l"), parameter)

    fields = metadata(exposure)
    assert (fields["config"], fields["ruleID"], fields["parameterName"]) == ("l", "re", parameter)
    assert (fields["allocatedExperiment"], fields["isExplicitParameter"]) == (
        experiment_name,
        str(bool(experiment_name)).lower(),
    )
    assert [one["gate"] for one in orjson.loads(exposure.secondary)] == gates


def test_a_layer_that_merges_rules_names_the_rule_of_each_parameter() -> None:
    rules = project()
    evaluation = rules.layer(ADA, "m")

    assert [metadata(build_layer_exposure(rules, evaluation, name))["ruleID"] for name in ("q", "z")] == [
        "rm",
        "default",
    ]


def test_a_layer_without_nested_gates_has_no_secondary_exposures() -> None:
    rules = loaded(ruleset({}, {}, {"l": layer(rule("r", [PUBLIC], {"a": 1}))}))

    assert build_layer_exposure(rules, rules.layer(ADA, "l"), "a").secondary == b"[]"


def test_a_mapped_exposure_names_both() -> None:
    overrides = {"g": [{"new_config_name": "looks", "rules": [{"rule_name": "m"}]}]}
    gates = {"g": gate(), "looks": gate(rule("rl", [PUBLIC]))}
    rules = loaded(ruleset(gates, override_rules={"m": rule("m", [PUBLIC])}, overrides=overrides))

    fields = metadata(build_exposure(rules, rules.gate(ADA, "g")))

    assert (fields["gate"], fields["overrideConfigName"]) == ("g", "looks")


def test_an_exposure_without_rules_has_the_reason_uninitialized() -> None:
    rules = empty_ruleset(make_context(), "Uninitialized")

    fields = metadata(build_exposure(rules, rules.gate(ADA, "g")))

    assert fields == {"gate": "g", "gateValue": "false", "ruleID": "", "reason": "Uninitialized"}


def test_a_gate_that_refers_to_itself_is_exposed_by_name() -> None:
    rules = loaded_gates(a=gate(rule("r", [passes("a")])))

    assert metadata(build_exposure(rules, rules.gate(ADA, "a")))["gate"] == "a"


def test_an_exposure_is_built_once_per_ruleset() -> None:
    body = ruleset(GATES)
    first = loaded(body)
    evaluation = first.gate(ADA, "g")
    second = load_now(body + b" ", first.shared_context, previous=first, source="Bootstrap")
    assert second is not None

    assert build_exposure(first, evaluation) is build_exposure(first, evaluation)
    assert second.gate(ADA, "g") is evaluation
    assert metadata(build_exposure(second, evaluation))["reason"] == "Bootstrap:Recognized"
