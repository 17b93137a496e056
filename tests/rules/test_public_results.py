"""The results that callers get."""

from typing import Any

import pytest

from asyncsdk._model.results import Details, DynamicConfig, Experiment, FeatureGate, Layer, ParameterStore
from asyncsdk._rules import public_results
from rules.rulesets import (
    NOW_MS,
)
from rules.small_project import ADA, project


def test_a_gate_result_has_the_truth_of_its_value() -> None:
    rules = project()

    result = public_results.gate(rules, rules.gate(ADA, "g"))

    assert bool(result)
    assert public_results.gate(rules, rules.gate(ADA, "g")).details is result.details
    assert result == FeatureGate(
        "g", True, "rg", None, "userID", Details("Network:Recognized", 1_700_000_000_000, NOW_MS, 1, "static")
    )
    assert not FeatureGate("x")


def test_results_are_built_once_per_ruleset() -> None:
    rules = project()
    config_evaluation, experiment_evaluation = rules.config(ADA, "c"), rules.experiment(ADA, "e")

    result = public_results.config(rules, config_evaluation), public_results.experiment(rules, experiment_evaluation)

    assert public_results.config(rules, config_evaluation) is result[0]
    assert public_results.experiment(rules, experiment_evaluation) is result[1]
    assert (result[0].value, result[1].value, result[1].group) == ({"n": 2}, {"p": 1}, "Test")
    assert result[1].details.reason == "Network:Recognized"


def test_reading_a_parameter_of_a_layer_is_reported_and_reading_its_value_is_not() -> None:
    rules, read = project(), []
    result = public_results.layer(rules, rules.layer(ADA, "l"), read.append)

    values = [result.get_number("p", 0), result.get_string("p", "x"), result.get_bool("missing", True), result.value]

    assert values == [1, "x", True, {"p": 1}]
    assert (read, result.allocated_experiment, result.group) == (["p"], "e", "Test")
    assert Layer("x", {"a": 1}).get("a") == 1


VALUES = {"s": "text", "n": 1, "f": 1.5, "b": True, "a": [1, {"x": 1}], "o": {"k": [1]}, "z": None}


@pytest.mark.parametrize("kind", [DynamicConfig, Experiment, Layer])
def test_getters_return_values_of_their_type_or_the_fallback(kind: Any) -> None:
    result = kind("x", VALUES)

    assert (
        result.get_string("s", "d"),
        result.get_string("n", "d"),
        result.get_string("z", "d"),
        result.get_string("gone"),
    ) == ("text", "d", "d", None)
    assert (result.get_number("n", 0), result.get_number("f", 0), result.get_number("s", 7)) == (1, 1.5, 7)
    assert (result.get_bool("b", False), result.get_bool("s", False)) == (True, False)
    assert (result.get_array("a", []), result.get_array("o", [9])) == ([1, {"x": 1}], [9])
    assert (result.get_object("o", {}), result.get_object("a", {})) == ({"k": [1]}, {})
    assert (
        result.get("n"),
        result.get("n", "d"),
        result.get("n", 5),
        result.get("gone", 5),
        result.get("s", object),
    ) == (
        1,
        "d",
        1,
        5,
        "text",
    )


def test_a_parameter_store_looks_up_each_parameter() -> None:
    values = {"a": 1, "b": "x"}
    store = ParameterStore("s", lambda name, kinds: values[name] if values[name].__class__ in kinds else None)

    assert (store.get_number("a", 0), store.get_string("a", "d"), ParameterStore("s").get("a", "d")) == (1, "d", "d")


def test_a_number_is_not_a_bool() -> None:
    result = DynamicConfig("x", {"n": 1, "b": True})

    assert (result.get_bool("n", False), result.get_number("b", 5)) == (False, 5)


@pytest.mark.parametrize("kind", [DynamicConfig, Experiment, Layer])
def test_a_result_cannot_be_used_to_change_the_rules(kind: Any) -> None:
    result = kind("x", {"a": [1], "o": {"k": [1]}})

    result.get_array("a").append(2)
    result.get_object("o")["k"].append(2)
    result.value["a"].append(2)

    assert result.value == {"a": [1], "o": {"k": [1]}}
