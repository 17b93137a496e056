"""Config mapping: some users of a name get the evaluation of another spec."""

import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.ruleset import Ruleset
from rules.rulesets import (
    NEVER,
    NOW_MS,
    PUBLIC,
    SAMPLE_EXPERIMENT,
    SAMPLE_GATES,
    UNKNOWN,
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


def test_a_layer_whose_experiment_is_mapped_has_the_other_experiments_version() -> None:
    other = experiment(rule("r2", [PUBLIC], {"p": 2}), version=9)
    body = ruleset(
        SAMPLE_GATES,
        {"e": SAMPLE_EXPERIMENT, "f": other},
        {"l": layer(rule("a", [PUBLIC], configDelegate="e"))},
        override_rules={"m": rule("m", [PUBLIC])},
        overrides={"e": [{"new_config_name": "f", "rules": [{"rule_name": "m"}]}]},
    )

    found = loaded(body).layer(ADA, "l")

    assert (found.value, found.version, found.allocated_experiment) == ({"p": 2}, 9, "e")
