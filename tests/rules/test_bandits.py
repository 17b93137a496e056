"""Bandits: groups picked by score, and explored."""

from typing import Any

import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.ruleset import Ruleset
from rules.rulesets import (
    PUBLIC,
    SAMPLE_BANDIT,
    SAMPLE_GATES,
    Json,
    experiment,
    gate,
    layer,
    loaded,
    make_context,
    passes,
    rule,
    ruleset,
)

ADA = User("ada")
SCORES = {
    "ga": {
        "alpha": 1,
        "intercept": 2,
        "records": 5,
        "weightsNumerical": {"level": 2},
        "weightsCategorical": {"plan": {"pro": 5}, "odd": 5},
    },
    "gb": {"alpha": 10, "intercept": 2, "records": 5, "weightsNumerical": {"level": 1}, "weightsCategorical": {}},
}


def bandit(random: float = 0.5, **fields: Any) -> Ruleset:
    """A ruleset with the bandit `b`; every random number is `random`."""
    return loaded(
        ruleset(SAMPLE_GATES, cmab_configs={"b": {**SAMPLE_BANDIT, **fields}}), make_context(random=lambda: random)
    )


@pytest.mark.parametrize("fields", [{"enabled": False}, {"groups": []}])
def test_a_bandit_that_is_not_running_returns_its_default(fields: Json) -> None:
    found = bandit(**fields).experiment(ADA, "b")

    assert (found.value, found.rule_id, found.version, found.passed) == ({"d": 1}, "prestart", 4, False)


def test_a_bandit_without_scores_explores_by_bucket() -> None:
    rules = bandit()

    assert {rules.experiment(User(str(n)), "b").rule_id for n in range(20)} == {"ga:explore", "gb:explore"}


@pytest.mark.parametrize(
    ("level", "plan", "higher", "group"),
    [(20, "pro", True, "ga"), (1, "free", True, "gb"), (1, None, False, "ga"), ("x", 5, True, "gb")],
)
def test_a_bandit_picks_the_group_with_the_best_score(level: Any, plan: Any, higher: bool, group: str) -> None:
    rules = bandit(config=SCORES, higherIsBetter=higher)

    found = rules.experiment(User("u", custom={"level": level, "plan": plan, "odd": "x"}), "b")

    assert (found.rule_id, found.group_name) == (group, group[1].upper())


@pytest.mark.parametrize(("chance", "group"), [(0.1, "ga:explore"), (0.9, "gb:explore"), (1.0, "gb:explore")])
def test_a_bandit_explores_with_a_sample_of_users(chance: float, group: str) -> None:
    assert bandit(chance, config=SCORES, sampleRate=1.0).experiment(ADA, "b").rule_id == group


def test_a_bandit_whose_groups_have_no_score_draws_one() -> None:
    assert bandit(0.9, config={}).experiment(ADA, "b").rule_id == "gb"


def test_a_bandit_may_have_a_targeting_gate() -> None:
    inside, outside = (bandit(targetingGateName=name).experiment(ADA, "b") for name in ("g", "shut"))
    missing, segment = (bandit(targetingGateName=name).experiment(ADA, "b") for name in ("missing", "segment:x"))

    assert inside.rule_id.endswith(":explore")
    assert inside.secondary == (("g", "true", "rg"),)
    assert (outside.rule_id, outside.secondary) == ("inlineTargetingRules", (("shut", "false", "default"),))
    assert (missing.secondary, segment.secondary) == ((("missing", "false", ""),), ())


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (True, "true"),
        (9, "9"),
        (9.5, "9.5"),
        (None, "null"),
        (["a", 9], '["a",9]'),
        ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
    ],
)
def test_a_value_of_any_type_has_a_categorical_weight(value: Any, key: str) -> None:
    scores = {"ga": {"weightsCategorical": {"plan": {key: 5}}}, "gb": {"alpha": 1, "weightsNumerical": {"x": 1}}}
    rules = bandit(config=scores)

    groups = [rules.experiment(one, "b").rule_id for one in (User("u", custom={"plan": value}), ADA)]

    assert groups == ["ga", "gb"]


@pytest.mark.parametrize("is_higher_better", [True, False])
def test_a_score_that_is_not_a_number_is_never_the_best(is_higher_better: bool) -> None:
    scores = {name: {"weightsNumerical": {field: 1}} for name, field in (("ga", "x"), ("gb", "y"))}
    rules = bandit(config=scores, higherIsBetter=is_higher_better)

    assert rules.experiment(User("u", custom={"x": "nan"}), "b").rule_id == "gb"


def test_an_excluded_user_has_no_group() -> None:
    grouped = gate(rule("r", [PUBLIC], value=False, groupName="Gate's"))
    bandits = {"b": {**SAMPLE_BANDIT, "targetingGateName": "grouped"}}

    found = loaded(ruleset({"grouped": grouped}, cmab_configs=bandits)).experiment(ADA, "b")

    assert (found.rule_id, found.group_name) == ("inlineTargetingRules", None)


def test_a_targeting_gate_whose_rule_has_no_id_is_exposed() -> None:
    bandits = {"b": {**SAMPLE_BANDIT, "targetingGateName": "nameless"}}

    found = loaded(ruleset({"nameless": gate(rule("", [PUBLIC]))}, cmab_configs=bandits)).experiment(ADA, "b")

    assert found.secondary == (("nameless", "true", ""),)


def test_a_layers_bandit_brings_its_id_type_and_version() -> None:
    layers = {"l": layer(rule("a", [passes("g")], configDelegate="b"), idType="companyID", version=1)}

    found = loaded(ruleset(SAMPLE_GATES, {"b": experiment()}, layers, cmab_configs={"b": SAMPLE_BANDIT})).layer(
        ADA, "l"
    )

    assert (found.id_type, found.version, found.undelegated) == ("userID", 4, (("g", "true", "rg"),))


def test_a_bandit_answers_for_a_malformed_experiment_of_its_name() -> None:
    found = loaded(ruleset({}, {"b": experiment(rules=5)}, cmab_configs={"b": SAMPLE_BANDIT})).experiment(ADA, "b")

    assert found.rule_id.endswith(":explore")


@pytest.mark.parametrize("fields", [{"groups": 5}, {"groups": [5]}, {"enabled": None}])
def test_a_malformed_bandit_is_unsupported(fields: Json) -> None:
    assert bandit(**fields).experiment(ADA, "b").outcome == "Unsupported"


def test_a_bandit_with_a_cyclic_targeting_gate_ends() -> None:
    gates = {"loop": gate(rule("r", [passes("loop")]))}
    rules = loaded(ruleset(gates, cmab_configs={"b": {**SAMPLE_BANDIT, "targetingGateName": "loop"}}))

    assert rules.experiment(ADA, "b").outcome.endswith("Depth Exceeded")
