"""Sticky assignments: saved, returned, replaced and deleted."""

from typing import Any

import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.explain import explain
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.sticky import AssignmentResult, Enforcement, assign, storage_key, storage_keys
from rules.rulesets import (
    NEVER,
    PUBLIC,
    SAMPLE_BANDIT,
    SAMPLE_EXPERIMENT,
    SAMPLE_GATES,
    UNKNOWN,
    Json,
    experiment,
    field,
    layer,
    loaded,
    make_context,
    rule,
    ruleset,
)

ADA = User("ada")
SAVED: Json = {
    "value": True,
    "json_value": {"p": "saved"},
    "rule_id": "old",
    "group_name": "Old",
    "secondary_exposures": [{"gate": "x", "gateValue": "true", "ruleID": "y"}, 5],
    "undelegated_secondary_exposures": [],
    "config_delegate": "e",
    "explicit_parameters": ["p"],
    "time": 1,
    "configVersion": 3,
}


def sticky(**more: Any) -> Ruleset:
    """A ruleset whose experiment `e` decides layer `l`; `more` are fields of the experiment."""
    return loaded(
        ruleset(
            SAMPLE_GATES,
            {"e": {**SAMPLE_EXPERIMENT, **more}, "bad": experiment(rule("r", [UNKNOWN])), "broken": {"rules": 5}},
            {"l": layer(rule("a", [PUBLIC], configDelegate="e")), "bare": layer(rule("a", [PUBLIC], {"z": 1}))},
        )
    )


def assigned(rules: Ruleset, kind: Any, one: User, name: str, saved: Any, **enforced: bool) -> AssignmentResult:
    """Look a name up with the saved entries of a user."""
    return assign(rules, kind, one, rules.lookup(kind, one, name), saved, enforced=Enforcement(**enforced))


def test_a_first_assignment_is_saved() -> None:
    for kind, name in (("experiment", "e"), ("layer", "l")):
        found = assigned(sticky(), kind, ADA, name, {})

        assert found.save is not None
        assert (found.save["json_value"], found.save["rule_id"], found.save["time"]) == (
            {"p": 1},
            "er",
            1_700_000_000_000,
        )
        assert found.save["explicit_parameters"] == ["p"]


def test_a_saved_value_that_is_not_json_is_explained_without_it() -> None:
    saved = {"e": {**SAVED, "json_value": {"p": object()}}}
    found = assigned(sticky(), "experiment", ADA, "e", saved)

    text = explain(sticky(), "experiment", ADA, "e", found.evaluation).render()

    assert text.startswith("e: (not JSON) (rule old, ")


def test_a_user_outside_the_groups_is_not_saved() -> None:
    rules = loaded(
        ruleset(
            SAMPLE_GATES,
            {"e": experiment(explicitParameters=None)},
            {"l": layer(rule("a", [PUBLIC], {}, isExperimentGroup=True), isActive=True)},
        )
    )

    assert assigned(rules, "experiment", ADA, "e", {}).save is None
    assert assigned(rules, "layer", ADA, "l", {}).save is None


def test_an_experiment_without_owned_parameters_is_saved_with_none() -> None:
    rules = loaded(ruleset({}, {"e": experiment(rule("r", [PUBLIC], isExperimentGroup=True))}))
    found = assigned(rules, "experiment", ADA, "e", {})

    assert found.save is not None
    assert found.save["explicit_parameters"] is None


@pytest.mark.parametrize(("kind", "name"), [("experiment", "e"), ("layer", "l")])
def test_a_saved_assignment_answers(kind: Any, name: str) -> None:
    rules = sticky()

    found = assigned(rules, kind, ADA, name, {name: SAVED}).evaluation

    assert (found.value, found.rule_id, found.group_name, found.version) == ({"p": "saved"}, "old", "Old", 3)
    assert (found.secondary, found.undelegated, rules.reason(found)) == ((("x", "true", "y"),), (), "Persisted")


def test_an_entry_with_malformed_fields_is_harmless() -> None:
    odd = {"explicit_parameters": 5, "secondary_exposures": 5}
    found = assigned(sticky(), "experiment", ADA, "e", {"e": odd}).evaluation

    assert (found.value, found.rule_id, found.version) == ({}, "", None)


@pytest.mark.parametrize("entry", [5, {"json_value": [1]}])
def test_an_entry_that_cannot_answer_is_replaced(entry: Any) -> None:
    found = assigned(sticky(), "experiment", ADA, "e", {"e": entry})

    assert (found.evaluation.rule_id, found.save is None) == ("er", False)


@pytest.mark.parametrize(
    ("kind", "name", "saved"),
    [
        ("experiment", "e", {"e": SAVED}),
        ("layer", "l", {"l": SAVED}),
        ("layer", "l", {"l": {}}),
        ("layer", "bare", {"bare": {**SAVED, "config_delegate": None}}),
        ("layer", "bare", {"bare": {**SAVED, "config_delegate": "broken"}}),
        ("layer", "bare", {"bare": {**SAVED, "config_delegate": "nowhere"}}),
    ],
)
def test_without_a_running_experiment_the_entry_is_deleted(kind: Any, name: str, saved: Any) -> None:
    for _ in range(2):
        found = assigned(sticky(isActive=False), kind, ADA, name, saved)

        assert (found.deletes, found.save, found.evaluation.outcome == "Persisted") == (True, None, False)


@pytest.mark.parametrize(
    ("kind", "name"), [("experiment", "e"), ("layer", "l"), ("layer", "bare"), ("experiment", "nowhere")]
)
def test_nothing_is_deleted_without_an_entry(kind: Any, name: str) -> None:
    found = assigned(sticky(isActive=False), kind, ADA, name, {})

    assert (found.deletes, found.save) == (False, None)


def test_a_layer_may_keep_an_experiment_that_its_rules_no_longer_give() -> None:
    found = assigned(sticky(), "layer", ADA, "bare", {"bare": SAVED}).evaluation

    assert (found.value, found.allocated_experiment) == ({"p": "saved"}, "e")


def test_answers_of_overrides_mappings_and_bandits_are_not_sticky() -> None:
    bandits = {"b": {**SAMPLE_BANDIT, "config": None}}
    mapping = {"e": [{"new_config_name": "f", "rules": [{"rule_name": "or"}]}]}
    body = ruleset(
        SAMPLE_GATES,
        {"e": SAMPLE_EXPERIMENT, "f": SAMPLE_EXPERIMENT},
        overrides=mapping,
        override_rules={"or": rule("or", [PUBLIC])},
        cmab_configs=bandits,
    )
    rules = loaded(body, make_context(overrides=Overrides().set("experiment", "f", {"p": "over"})))

    for name in ("e", "f", "b"):
        found = assigned(rules, "experiment", ADA, name, {name: SAVED})
        assert (found.evaluation.outcome == "Persisted", found.save, found.deletes) == (False, None, False)


OVERRIDDEN = {
    "wins": [rule("first", [NEVER]), rule("x:id_override", [field("userID", "any", ["ada"])], {"p": 9})],
    "no pass": [rule("x:override", [PUBLIC], {"p": 9}, 0)],
    "false": [rule("x:override", [PUBLIC], False)],
    "unknown": [rule("x:override", [UNKNOWN], {"p": 9})],
    "none": [rule("other", [PUBLIC], {"p": 9})],
}


@pytest.mark.parametrize(("rules", "wins"), [(name, name == "wins") for name in OVERRIDDEN])
def test_an_override_rule_may_win_over_a_saved_assignment(rules: str, wins: bool) -> None:
    known = loaded(
        ruleset(
            SAMPLE_GATES,
            {"e": {**SAMPLE_EXPERIMENT, "rules": OVERRIDDEN[rules]}},
            {"l": layer(rule("a", [PUBLIC], configDelegate="e"))},
        )
    )

    for kind, name in (("experiment", "e"), ("layer", "l")):
        for _ in range(2):
            found = assigned(known, kind, ADA, name, {name: SAVED}, overrides=True)
            assert found.evaluation.value == ({"p": 9} if wins else {"p": "saved"})
            assert found.save is None
        assert assigned(known, kind, User("bob"), name, {name: SAVED}, overrides=True).evaluation.rule_id == "old"


@pytest.mark.parametrize(
    ("targeting", "value"), [([PUBLIC], {"p": 0}), ([NEVER], {"p": "saved"}), ([UNKNOWN], {"p": "saved"})]
)
def test_a_user_who_is_no_longer_targeted_may_lose_the_assignment(targeting: list[Json], value: Json) -> None:
    first = rule("first", [NEVER]) if targeting != [UNKNOWN] else rule("first", [])
    rules = loaded(
        ruleset(
            SAMPLE_GATES,
            {"e": {**SAMPLE_EXPERIMENT, "rules": [first, rule("targetingGate", targeting, {"p": 0})]}},
            {"l": layer(rule("a", [PUBLIC], configDelegate="e"))},
        )
    )

    for kind, name in (("experiment", "e"), ("layer", "l")):
        found = assigned(rules, kind, ADA, name, {name: SAVED}, targeting=True)
        assert found.evaluation.value == value


@pytest.mark.parametrize("rule_id", ["x:override", "targetingGate"])
@pytest.mark.parametrize("before", [[rule("first", [PUBLIC])], []], ids=["decided before", "undecided"])
def test_an_enforced_rule_that_reads_a_value_without_json_leaves_the_assignment(rule_id: str, before: Any) -> None:
    rules = [*before, rule(rule_id, [field("x", "any", ["a"])], {"p": 9})]
    known = loaded(ruleset({}, {"e": {**SAMPLE_EXPERIMENT, "rules": rules}}))
    user = User("ada", custom={"x": object()})

    found = assigned(known, "experiment", user, "e", {"e": SAVED}, overrides=True, targeting=True)

    assert (found.evaluation.value, found.save, found.deletes) == ({"p": "saved"}, None, False)


def test_an_entry_without_an_experiment_is_not_checked_for_targeting() -> None:
    entry = {**SAVED, "config_delegate": None}

    assert assigned(sticky(), "layer", ADA, "l", {"l": entry}, targeting=True).evaluation.rule_id == "old"


def test_without_targeting_rules_every_user_keeps_the_assignment() -> None:
    assert assigned(sticky(), "experiment", ADA, "e", {"e": SAVED}, targeting=True).evaluation.rule_id == "old"


def test_a_storage_key_names_unit_and_type() -> None:
    one = User("ada", custom_ids={"companyID": 5, "empty": ""})

    assert [storage_key(one, kind) for kind in ("userID", "userid", "companyID", "x", "empty")] == [
        "ada:userID",
        "ada:userID",
        "5:companyID",
        None,
        None,
    ]
    assert list(storage_keys(one)) == ["ada:userID", "5:companyID"]
    assert list(storage_keys(User(device_id="d"))) == ["d:stableID"]
    assert list(storage_keys(User())) == []
