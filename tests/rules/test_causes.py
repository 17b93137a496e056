"""Causes of evaluations, in the terms that OpenFeature and OpenTelemetry share."""

import json
from typing import Any

import pytest

from asyncsdk._model.users import User
from asyncsdk._rules import public_results
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.sticky import assign
from rules.rulesets import (
    NEVER,
    PUBLIC,
    UNKNOWN,
    condition,
    config,
    experiment,
    field,
    gate,
    layer,
    loaded,
    loaded_gates,
    make_context,
    rule,
    ruleset,
)

ADA = User("ada", country="NL")
DUTCH = field("country", "any", ["NL"])
EVERY_BUCKET = condition("user_bucket", "lt", 1000, salt="s")
GROUPS = experiment(rule("a", [EVERY_BUCKET], {"color": "red"}, groupName="A", isExperimentGroup=True))
BANDIT = {
    "salt": "s",
    "defaultValue": {},
    "idType": "userID",
    "enabled": True,
    "groups": [{"name": "A", "id": "ga", "parameterValues": {"v": 1}}],
}


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        (gate(rule("all", [PUBLIC])), "static"),
        (gate(), "static"),
        (gate(rule("dutch", [DUTCH])), "targeting_match"),
        (gate(rule("never", [NEVER]), rule("rest", [PUBLIC])), "targeting_match"),
        (gate(rule("never", [NEVER])), "default"),
        (gate(rule("half", [PUBLIC], share=50)), "split"),
        (gate(rule("half", [DUTCH], share=50)), "split"),
        (gate(rule("none", [PUBLIC], share=0)), "static"),
        (gate(rule("bucket", [EVERY_BUCKET])), "split"),
        (gate(rule("group", [PUBLIC], isExperimentGroup=True)), "split"),
        (gate(enabled=False), "disabled"),
        (gate(rule("mystery", [UNKNOWN])), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps([rule["id"] for rule in value["rules"]]),
)
def test_the_cause_of_a_gate(spec: Any, cause: str) -> None:
    assert loaded_gates(g=spec).gate(ADA, "g").cause == cause


def test_an_unknown_name_has_no_cause() -> None:
    assert loaded_gates().gate(ADA, "g").cause == ""


@pytest.mark.parametrize("merges", [False, True])
@pytest.mark.parametrize(
    ("rules", "cause"),
    [
        ([rule("all", [PUBLIC], {"x": 1})], "static"),
        ([rule("dutch", [DUTCH], {"x": 1})], "targeting_match"),
        ([rule("never", [NEVER], {"x": 1})], "default"),
        ([rule("all", [PUBLIC], configDelegate="groups")], "split"),
        ([rule("all", [PUBLIC], configDelegate="same")], "static"),
        ([rule("dutch", [DUTCH], configDelegate="same")], "targeting_match"),
    ],
    ids=str,
)
def test_the_cause_of_a_layer_is_that_of_the_last_decision(rules: list[Any], cause: str, merges: bool) -> None:
    same = experiment(rule("all", [PUBLIC], {"color": "red"}))
    layers = {"l": layer(*rules, useNewLayerEval=merges)}

    assert loaded(ruleset(None, {"groups": GROUPS, "same": same}, layers)).layer(ADA, "l").cause == cause


@pytest.mark.parametrize(("target", "cause"), [("same", "targeting_match"), ("none", "default")])
def test_the_cause_of_a_mapping(target: str, cause: str) -> None:
    specs = {"c": config(), "same": config(rule("all", [PUBLIC], {})), "none": config(rule("never", [NEVER], {}))}
    mapping = {"c": [{"new_config_name": target, "rules": [{"rule_name": "dutch"}]}]}
    rules = loaded(ruleset(None, specs, overrides=mapping, override_rules={"dutch": rule("dutch", [DUTCH])}))

    assert rules.config(ADA, "c").cause == cause


@pytest.mark.parametrize(
    ("more", "cause"), [({}, "split"), ({"targetingGateName": "g"}, "targeting_match"), ({"enabled": False}, "static")]
)
def test_the_cause_of_a_bandit(more: dict[str, Any], cause: str) -> None:
    rules = loaded(ruleset({"g": gate(rule("never", [NEVER]))}, cmab_configs={"b": BANDIT | more}))

    assert rules.experiment(ADA, "b").cause == cause


def test_the_cause_of_an_override_is_static() -> None:
    rules = loaded(ruleset(), make_context(overrides=Overrides().set("gate", "g", True)))

    assert rules.gate(ADA, "g").cause == "static"


def test_the_cause_of_a_sticky_assignment_is_a_split() -> None:
    rules = loaded(ruleset(None, {"e": experiment(rule("never", [NEVER], {}))}))
    saved = {"e": {"value": True, "json_value": {"color": "red"}, "rule_id": "a"}}

    assert assign(rules, "experiment", ADA, rules.experiment(ADA, "e"), saved).evaluation.cause == "split"


def test_the_details_of_a_result_have_the_cause() -> None:
    rules = loaded_gates(g=gate(rule("dutch", [DUTCH])))

    assert public_results.gate(rules, rules.gate(ADA, "g")).details.cause == "targeting_match"
