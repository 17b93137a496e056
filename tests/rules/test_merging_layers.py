"""Layers that merge the parameters of all their rules."""

from asyncsdk._model.users import User
from asyncsdk._rules.ruleset import Ruleset
from rules.rulesets import (
    NEVER,
    PUBLIC,
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


def test_a_cycle_below_a_merging_layer_ends() -> None:
    cycle = experiment(rule("r", [passes("loop")]))
    made = {"l": layer(rule("a", [PUBLIC], {}, configDelegate="e"), useNewLayerEval=True)}
    rules = loaded(ruleset({"loop": gate(rule("r", [passes("loop")]))}, {"e": cycle}, made))

    assert rules.layer(ADA, "l").outcome.endswith("Depth Exceeded")
