"""Parameter stores."""

from typing import Any

import attrs
import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.parameters import evaluate_parameter
from rules.rulesets import (
    PUBLIC,
    SAMPLE_EXPERIMENT,
    SAMPLE_GATES,
    Json,
    layer,
    loaded,
    loaded_gates,
    make_context,
    rule,
    ruleset,
)

ADA = User("ada")


STORE: Json = {
    "static": {"ref_type": "static", "value": "x"},
    "gate": {"ref_type": "gate", "gate_name": "g", "pass_value": "P", "fail_value": "F"},
    "shut": {"ref_type": "gate", "gate_name": "shut", "pass_value": "P", "fail_value": "F"},
    "config": {"ref_type": "dynamic_config", "config_name": "e", "param_name": "p"},
    "experiment": {"ref_type": "experiment", "experiment_name": "e", "param_name": "p"},
    "layer": {"ref_type": "layer", "layer_name": "l", "param_name": "p"},
    "aimless": {"ref_type": "layer", "layer_name": "l"},
    "odd": {"ref_type": ["x"]},
    "unknown": {"ref_type": "x"},
    "nameless": {"ref_type": "gate"},
    "junk": 5,
}


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("static", "x", None),
        ("gate", "P", "gate"),
        ("shut", "F", "gate"),
        ("config", 1, "config"),
        ("experiment", 1, "experiment"),
        ("layer", 1, "layer"),
        ("aimless", None, "layer"),
        ("odd", None, None),
        ("unknown", None, None),
        ("nameless", None, None),
        ("junk", None, None),
        ("missing", None, None),
    ],
)
def test_a_parameter_has_the_value_it_refers_to(name: str, value: Any, kind: Any) -> None:
    layers = {"l": layer(rule("a", [PUBLIC], configDelegate="e"))}
    rules = loaded(ruleset(SAMPLE_GATES, {"e": SAMPLE_EXPERIMENT}, layers, param_stores={"s": {"parameters": STORE}}))

    found = evaluate_parameter(rules, ADA, "s", name)

    assert (found.value, found.kind) == (value, kind)
    assert (found.evaluation is None) is (kind is None)


def test_a_stores_array_keeps_fractions() -> None:
    stores = {"s": {"parameters": {"a": {"ref_type": "static", "param_type": "array", "value": [0.5, 1]}}}}

    assert evaluate_parameter(loaded(ruleset(param_stores=stores)), ADA, "s", "a").value == [0.5, 1]


def test_an_unknown_or_broken_store_has_no_values() -> None:
    body = ruleset(param_stores={"a": 5, "b": {"parameters": 5}, "c": "BROKEN"}).replace(b'"BROKEN"', b"broken")
    rules = loaded(body)

    assert [evaluate_parameter(rules, ADA, name, "x").value for name in ("a", "b", "c", "d")] == [None] * 4


def test_a_store_may_be_overridden() -> None:
    rules = loaded_gates()
    rules = rules.with_context(
        attrs.evolve(rules.shared_context, overrides=Overrides().set("parameter_store", "s", {"x": 1}))
    )

    assert evaluate_parameter(rules, ADA, "s", "x").value == 1


def test_an_override_of_a_store_for_every_user_applies_to_an_unusable_one_too() -> None:
    both = Overrides().set("parameter_store", "s", {"x": 1}, "ada").set("parameter_store", "s", {"x": 2})
    rules = loaded(ruleset(), make_context(overrides=both))
    unusable = User("ada", custom=5)  # type: ignore[arg-type]

    assert [evaluate_parameter(rules, one, "s", "x").value for one in (ADA, unusable)] == [1, 2]
