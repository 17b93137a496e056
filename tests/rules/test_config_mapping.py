"""Config mapping: some users of a name get the evaluation of another spec."""

from typing import Any

import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.ruleset import Ruleset
from rules.rulesets import (
    NEVER,
    NOW_MS,
    PUBLIC,
    SAMPLE_BANDIT,
    SAMPLE_EXPERIMENT,
    SAMPLE_GATES,
    UNKNOWN,
    Json,
    experiment,
    fails,
    gate,
    layer,
    loaded,
    passes,
    rule,
    ruleset,
)

ADA = User("ada")


def mapped(**override_rules: Json) -> Ruleset:
    """A ruleset that maps `old` and `nameless` to `new` by these rules; some of its entries are malformed."""
    gates = {
        "old": gate(rule("ro", [NEVER])),
        "new": gate(rule("rn", [passes("g")]), version=7),
        "g": gate(rule("rg", [PUBLIC])),
        "looks": gate(rule("rl", [passes("old")])),
    }
    names = [
        {
            "rule_name": name,
            **({"start_time": 5} if name == "started" else {"start_time": NOW_MS + 1} if name == "later" else {}),
        }
        for name in override_rules
    ]
    overrides = {
        name: [
            {"new_config_name": "missing", "rules": names},
            {"new_config_name": "new", "rules": [{"rule_name": "absent"}, 5, *names]},
            5,
        ]
        for name in ("old", "nameless")
    }
    return loaded(ruleset(gates, override_rules=override_rules, overrides={**overrides, "g": 5, "shut": "x"}))


def test_a_mapping_below_a_gate_is_not_the_gates() -> None:
    found = mapped(m=rule("m", [PUBLIC])).gate(ADA, "looks")

    assert (found.secondary[-1][0], found.mapped_to) == ("old", None)


@pytest.mark.parametrize("name", ["old", "nameless"])
def test_a_mapping_sends_a_name_to_another_spec(name: str) -> None:
    rules = mapped(started=rule("m", [PUBLIC]))

    found = rules.gate(ADA, name)

    assert (found.name, found.value, found.rule_id, found.version, found.mapped_to) == (name, True, "rn", 7, "new")


def test_a_mapping_applies_to_nested_gates() -> None:
    found = mapped(m=rule("m", [PUBLIC])).gate(ADA, "looks")

    assert (found.value, found.secondary) == (True, (("g", "true", "rg"), ("old", "true", "rn")))


@pytest.mark.parametrize(
    "unmet",
    [
        {"m": rule("m", [NEVER])},
        {"m": rule("m", [UNKNOWN])},
        {"later": rule("m", [PUBLIC])},
        {"m": {"id": 5, "conditions": []}},
        {"m": rule("m", [PUBLIC], share=0)},
    ],
)
def test_a_mapping_that_does_not_apply_changes_nothing(unmet: Json) -> None:
    rules = mapped(**unmet)

    assert (rules.gate(ADA, "old").rule_id, rules.gate(ADA, "nameless").outcome) == ("default", "Unrecognized")
    assert rules.gate(ADA, "g").value is True


def test_a_mapping_to_itself_ends() -> None:
    body = ruleset(
        {"a": gate()},
        override_rules={"m": rule("m", [PUBLIC])},
        overrides={"a": [{"new_config_name": "a", "rules": [{"rule_name": "m"}]}]},
    )

    assert loaded(body).gate(ADA, "a").outcome.endswith("Depth Exceeded")


def test_a_malformed_mapping_is_ignored() -> None:
    body = ruleset({"a": gate(rule("r", [PUBLIC]))}, overrides={"a": "MAPPING"}).replace(b'"MAPPING"', b"nonsense")

    assert loaded(body).gate(ADA, "a").value is True


OLD = {**SAMPLE_EXPERIMENT, "version": 8, "idType": "companyID"}
NEW = experiment(rule("r2", [fails("shut")], {"p": 2}), version=9, idType="stableID", explicitParameters=["n"])


def layer_over(override_rule: Json, *, merges: bool = False, start_time: int = 0) -> Ruleset:
    """A ruleset with layer `l`, whose experiment `e` is mapped to `f` by this rule."""
    made = layer(rule("a", [passes("g")], configDelegate="e"), version=1, useNewLayerEval=merges)
    mapping = {"new_config_name": "f", "rules": [{"rule_name": "m", "start_time": start_time}]}
    rules = {"m": override_rule}
    return loaded(
        ruleset(SAMPLE_GATES, {"e": OLD, "f": NEW}, {"l": made}, override_rules=rules, overrides={"e": [mapping]})
    )


@pytest.mark.parametrize(
    ("override_rule", "value", "id_type", "version", "exposed"),
    [
        (rule("m", [PUBLIC]), {"p": 2}, "stableID", 9, (("shut", "false", "default"),)),
        (rule("m", [NEVER]), {"p": 1}, "companyID", 8, (("g", "true", "rg"),)),
    ],
)
def test_a_layer_takes_over_from_an_experiment_for_which_mapping_was_tried(
    override_rule: Json, value: Json, id_type: str, version: int, exposed: Any
) -> None:
    found = layer_over(override_rule).layer(ADA, "l")

    assert (found.value, found.id_type, found.version, found.allocated_experiment) == (value, id_type, version, "e")
    assert (found.secondary, found.undelegated, found.explicit_parameters) == (exposed, exposed, ("p",))


def test_a_merging_layer_takes_over_too_but_keeps_its_exposures() -> None:
    found = layer_over(rule("m", [PUBLIC]), merges=True).layer(ADA, "l")

    assert (found.id_type, found.version, found.mapped_to, found.explicit_parameters) == ("stableID", 9, "f", ("p",))
    assert found.undelegated == (("g", "true", "rg"),)


def test_a_layer_over_a_bandit_that_is_mapped_in_vain_has_its_exposures() -> None:
    mapping = {"new_config_name": "missing", "rules": [{"rule_name": "m"}]}
    body = ruleset(
        SAMPLE_GATES,
        {"b": experiment()},
        {"l": layer(rule("a", [passes("g")], configDelegate="b"))},
        override_rules={"m": rule("m", [PUBLIC])},
        overrides={"b": [mapping]},
        cmab_configs={"b": {**SAMPLE_BANDIT, "targetingGateName": "missing"}},
    )

    assert loaded(body).layer(ADA, "l").undelegated == (("missing", "false", ""),)


def test_a_layer_over_an_experiment_with_an_experiment_has_the_exposures_of_both_rules() -> None:
    outer = experiment(rule("o", [passes("g")], configDelegate="f"))
    made = layer(rule("a", [passes("g2")], configDelegate="e"))
    gates = {**SAMPLE_GATES, "g2": gate(rule("r", [PUBLIC]))}

    found = loaded(ruleset(gates, {"e": outer, "f": NEW}, {"l": made})).layer(ADA, "l")

    assert (found.value, found.undelegated) == ({"p": 2}, (("g2", "true", "r"), ("g", "true", "rg")))


def test_a_mapping_that_has_not_started_leaves_a_layer_alone() -> None:
    found = layer_over(rule("m", [PUBLIC]), start_time=NOW_MS + 1).layer(ADA, "l")

    assert (found.id_type, found.version, found.undelegated) == ("userID", 1, (("g", "true", "rg"),))
