"""Layers that merge the parameters of all their rules."""

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.ruleset import Ruleset
from rules.rulesets import (
    NEVER,
    PUBLIC,
    SAMPLE_BANDIT,
    SAMPLE_EXPERIMENT,
    SAMPLE_GATES,
    Json,
    experiment,
    gate,
    layer,
    loaded,
    passes,
    rule,
    ruleset,
)

ADA = User("ada")


def merging(*rules: Json, configs: Json | None = None) -> Ruleset:
    """A ruleset whose layer `l` merges these rules."""
    made = layer(*rules, defaultValue={"z": 0}, useNewLayerEval=True)
    return loaded(ruleset(SAMPLE_GATES, configs or {"e": SAMPLE_EXPERIMENT}, {"l": made}))


def test_a_merging_layer_takes_parameters_from_every_rule_that_passes() -> None:
    rules = merging(
        rule("a", [NEVER], {"q": 1}), rule("b", [passes("g")], {"r": 2, "s": 2}), rule("c", [PUBLIC], {"s": 3})
    )

    found = rules.layer(ADA, "l")

    assert found.value == {"r": 2, "s": 2, "z": 0}
    assert found.parameter_rules == {"r": "b", "s": "b", "z": "default"}
    assert (found.rule_id, found.allocated_experiment, found.secondary) == ("default", None, (("g", "true", "rg"),))


def test_a_merging_layer_takes_an_experiment_with_its_exposures() -> None:
    rules = merging(
        rule("a", [PUBLIC], {"q": 1}, configDelegate="e", isExperimentGroup=True), rule("b", [PUBLIC], {"r": 2})
    )

    found = rules.layer(ADA, "l")

    assert found.value == {"p": 1, "r": 2, "z": 0}
    assert (found.rule_id, found.group_name, found.allocated_experiment, found.explicit_parameters) == (
        "a",
        "Test",
        "e",
        ("p",),
    )
    assert (found.is_experiment_group, found.secondary, found.undelegated) == (True, (("g", "true", "rg"),), ())


def test_an_ignored_experiment_leaves_no_exposure() -> None:
    rules = merging(rule("a", [PUBLIC], {"p": 9}), rule("b", [PUBLIC], {}, configDelegate="e"), rule("c", [NEVER], {}))

    found = rules.layer(ADA, "l")

    assert (found.value, found.allocated_experiment, found.secondary) == ({"p": 9, "z": 0}, None, ())


def test_a_percentage_applies_to_a_merging_layers_experiment() -> None:
    rules = merging(rule("a", [PUBLIC], {}, 0, configDelegate="e"), rule("b", [PUBLIC], {}, configDelegate="missing"))

    assert rules.layer(ADA, "l").value == {"z": 0}


def test_rules_of_one_id_keep_their_own_parameters() -> None:
    rules = merging(rule("a", [PUBLIC], {"q": 1}), rule("a", [PUBLIC], {"r": 2}))

    found = rules.layer(ADA, "l")

    assert (found.value, found.parameter_rules) == ({"q": 1, "r": 2, "z": 0}, {"q": "a", "r": "a", "z": "default"})


def test_a_merging_layer_over_an_overridden_experiment_says_so() -> None:
    rules = merging(rule("a", [PUBLIC], configDelegate="e"))
    overrides = Overrides().set("experiment", "e", {"p": 7})
    rules = rules.with_context(attrs.evolve(rules.shared_context, overrides=overrides))

    found = rules.layer(ADA, "l")

    assert (found.value, found.explicit_parameters) == ({"p": 7, "z": 0}, ("p",))
    assert rules.reason(found) == "LocalOverride:Recognized"


def test_the_rule_of_a_merging_layer_has_no_suffix() -> None:
    made = {"l": layer(rule("a", [PUBLIC], configDelegate="b"), useNewLayerEval=True)}
    rules = loaded(ruleset({}, {"b": experiment()}, made, cmab_configs={"b": SAMPLE_BANDIT}))

    assert (rules.layer(ADA, "l").rule_id, rules.layer(ADA, "l").allocated_experiment) == ("a", "b")


def test_a_cycle_below_a_merging_layer_ends() -> None:
    cycle = experiment(rule("r", [passes("loop")]))
    made = {"l": layer(rule("a", [PUBLIC], {}, configDelegate="e"), useNewLayerEval=True)}
    rules = loaded(ruleset({"loop": gate(rule("r", [passes("loop")]))}, {"e": cycle}, made))

    assert rules.layer(ADA, "l").outcome.endswith("Depth Exceeded")
