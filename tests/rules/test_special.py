"""Merging layers, config mapping, bandits, local overrides, sticky assignments, parameter stores."""

from typing import Any

import attrs
import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.language.overrides import GroupOverride, Overrides
from asyncsdk._rules.parameters import evaluate_parameter
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.sticky import AssignmentResult, Enforcement, assign, storage_key, storage_keys
from rules.rulesets import (
    NEVER,
    NOW_MS,
    PUBLIC,
    UNKNOWN,
    Json,
    experiment,
    field,
    gate,
    layer,
    loaded,
    loaded_gates,
    make_context,
    passes,
    rule,
    ruleset,
)

ADA = User("ada")
GATES = {"g": gate(rule("rg", [PUBLIC])), "shut": gate()}
TEST = experiment(
    rule("er", [passes("g")], {"p": 1}, groupName="Test", isExperimentGroup=True),
    defaultValue={"p": 0},
    explicitParameters=["p"],
)


def merging(*rules: Json, configs: Json | None = None) -> Ruleset:
    made = layer(*rules, defaultValue={"z": 0}, useNewLayerEval=True)
    return loaded(ruleset(GATES, configs or {"e": TEST}, {"l": made}))


# Merging layers.


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


def test_a_percentage_holds_for_a_merging_layers_experiment() -> None:
    rules = merging(rule("a", [PUBLIC], {}, 0, configDelegate="e"), rule("b", [PUBLIC], {}, configDelegate="missing"))

    assert rules.layer(ADA, "l").value == {"z": 0}


def test_a_merging_layer_in_a_deep_chain_ends() -> None:
    cycle = experiment(rule("r", [passes("loop")]))
    made = {"l": layer(rule("a", [PUBLIC], {}, configDelegate="e"), useNewLayerEval=True)}
    rules = loaded(ruleset({"loop": gate(rule("r", [passes("loop")]))}, {"e": cycle}, made))

    assert rules.layer(ADA, "l").outcome.endswith("Depth Exceeded")


# Config mapping.


def mapped(**override_rules: Json) -> Ruleset:
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


def test_a_mapping_holds_for_nested_gates() -> None:
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


def test_a_broken_mapping_is_none() -> None:
    body = ruleset({"a": gate(rule("r", [PUBLIC]))}, overrides={"a": "MAPPING"}).replace(b'"MAPPING"', b"nonsense")

    assert loaded(body).gate(ADA, "a").value is True


def test_a_layer_whose_experiment_is_mapped_has_the_other_experiments_version() -> None:
    other = experiment(rule("r2", [PUBLIC], {"p": 2}), version=9)
    body = ruleset(
        GATES,
        {"e": TEST, "f": other},
        {"l": layer(rule("a", [PUBLIC], configDelegate="e"))},
        override_rules={"m": rule("m", [PUBLIC])},
        overrides={"e": [{"new_config_name": "f", "rules": [{"rule_name": "m"}]}]},
    )

    found = loaded(body).layer(ADA, "l")

    assert (found.value, found.version, found.allocated_experiment) == ({"p": 2}, 9, "e")


# Bandits.

BANDIT: Json = {
    "salt": "bandit",
    "defaultValue": {"d": 1},
    "idType": "userID",
    "enabled": True,
    "version": 4,
    "sampleRate": 0.0,
    "higherIsBetter": True,
    "groups": [
        {"name": "A", "id": "ga", "parameterValues": {"v": 1}},
        {"name": "B", "id": "gb", "parameterValues": {"v": 2}},
    ],
    "config": None,
    "targetingGateName": None,
}
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
    return loaded(ruleset(GATES, cmab_configs={"b": {**BANDIT, **fields}}), make_context(random=lambda: random))


@pytest.mark.parametrize("fields", [{"enabled": False}, {"groups": []}])
def test_a_bandit_that_is_not_running_gives_its_default(fields: Json) -> None:
    found = bandit(**fields).experiment(ADA, "b")

    assert (found.value, found.rule_id, found.version, found.passed) == ({"d": 1}, "prestart", 4, False)


def test_a_bandit_without_scores_explores_by_bucket() -> None:
    rules = bandit()

    assert {rules.experiment(User(str(n)), "b").rule_id for n in range(20)} == {"ga:explore", "gb:explore"}


@pytest.mark.parametrize(
    ("level", "plan", "higher", "group"),
    [(20, "pro", True, "ga"), (1, "free", True, "gb"), (1, None, False, "ga"), ("x", 5, True, "gb")],
)
def test_a_bandit_gives_the_group_with_the_best_score(level: Any, plan: Any, higher: bool, group: str) -> None:
    rules = bandit(config=SCORES, higherIsBetter=higher)

    found = rules.experiment(User("u", custom={"level": level, "plan": plan, "odd": "x"}), "b")

    assert (found.rule_id, found.group_name) == (group, group[1].upper())


@pytest.mark.parametrize(("chance", "group"), [(0.1, "ga:explore"), (0.9, "gb:explore"), (1.0, "gb:explore")])
def test_a_bandit_explores_some(chance: float, group: str) -> None:
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


@pytest.mark.parametrize("fields", [{"groups": 5}, {"groups": [5]}, {"enabled": None}])
def test_a_malformed_bandit_is_unsupported(fields: Json) -> None:
    assert bandit(**fields).experiment(ADA, "b").outcome == "Unsupported"


def test_a_bandit_with_an_endless_gate_ends() -> None:
    gates = {"loop": gate(rule("r", [passes("loop")]))}
    rules = loaded(ruleset(gates, cmab_configs={"b": {**BANDIT, "targetingGateName": "loop"}}))

    assert rules.experiment(ADA, "b").outcome.endswith("Depth Exceeded")


# Local overrides.


def overridden(overrides: Overrides) -> Ruleset:
    gates = {**GATES, "looks": gate(rule("r", [passes("g")]))}
    rules = loaded(ruleset(gates, {"e": TEST}, {"l": layer(rule("a", [PUBLIC], configDelegate="e"))}))
    return rules.with_context(attrs.evolve(rules.shared_context, overrides=overrides))


def test_an_override_answers_instead_of_the_rules() -> None:
    rules = overridden(Overrides().set("gate", "g", False).set("gate", "fresh", True).set("config", "c", {"x": 1}))

    found = rules.gate(ADA, "g")

    assert (found.value, found.rule_id, found.id_type, rules.reason(found)) == (
        False,
        "override",
        "",
        "LocalOverride:Recognized",
    )
    assert (rules.gate(ADA, "fresh").value, rules.config(ADA, "c").value, rules.config(ADA, "c").passed) == (
        True,
        {"x": 1},
        False,
    )


def test_an_override_holds_for_nested_gates_and_experiments_of_layers() -> None:
    rules = overridden(Overrides().set("gate", "g", False).set("experiment", "e", {"p": 7}))

    assert rules.gate(ADA, "looks").secondary == (("g", "false", "override"),)
    assert (rules.layer(ADA, "l").value, rules.layer(ADA, "l").rule_id) == ({"p": 7}, "override")


def test_an_override_for_an_id_comes_before_one_for_everybody() -> None:
    overrides = Overrides().set("gate", "g", False, "ada").set("gate", "g", False, "c1").set("gate", "g", True)
    rules = overridden(overrides)

    assert [rules.gate(one, "g").value for one in (ADA, User("bob", custom_ids={"companyID": "c1"}), User("bob"))] == [
        False,
        False,
        True,
    ]


def test_an_override_for_one_id_leaves_the_others_to_the_rules() -> None:
    rules = overridden(Overrides().set("gate", "g", False, "bob"))

    assert (rules.gate(ADA, "g").rule_id, rules.gate(User("bob"), "g").rule_id) == ("rg", "override")


def test_an_override_by_group_takes_the_groups_value() -> None:
    found = overridden(Overrides().set("experiment", "e", GroupOverride("Test"))).experiment(ADA, "e")

    assert (found.value, found.rule_id, found.group_name) == ({"p": 1}, "override", "Test")


def test_an_override_by_an_unknown_group_is_ignored() -> None:
    rules = overridden(
        Overrides().set("experiment", "e", GroupOverride("x")).set("experiment", "no", GroupOverride("x"))
    )

    assert (rules.experiment(ADA, "e").rule_id, rules.experiment(ADA, "no").outcome) == ("er", "Unrecognized")


def test_overrides_can_be_taken_back() -> None:
    overrides = Overrides().set("gate", "g", False, "ada").set("gate", "g", False, "bob").set("gate", "g", True)

    one, whole = overrides.remove("gate", "g", "ada"), overrides.remove("gate", "g")

    assert dict(one.of("gate", "g")) == {"bob": False, None: True}
    assert (dict(whole.of("gate", "g")), dict(whole.remove("gate", "x").of("gate", "x"))) == ({}, {})


def test_an_endless_gate_may_hold_overridden_names() -> None:
    rules = loaded(ruleset({"a": gate(rule("r", [passes("b")])), "b": gate(rule("r", [passes("a")]))}))
    rules = rules.with_context(attrs.evolve(rules.shared_context, overrides=Overrides().set("gate", "a", True, "ada")))

    assert rules.gate(ADA, "b").value is True
    assert rules.gate(User("bob"), "b").outcome.endswith("Depth Exceeded")


# Sticky assignments.

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
    return loaded(
        ruleset(
            GATES,
            {"e": {**TEST, **more}, "bad": experiment(rule("r", [UNKNOWN])), "broken": {"rules": 5}},
            {"l": layer(rule("a", [PUBLIC], configDelegate="e")), "bare": layer(rule("a", [PUBLIC], {"z": 1}))},
        )
    )


def assigned(rules: Ruleset, kind: Any, one: User, name: str, saved: Any, **enforced: bool) -> AssignmentResult:
    return assign(rules, kind, one, rules.lookup(kind, one, name), saved, enforced=Enforcement(**enforced))


def test_a_first_assignment_is_to_be_saved() -> None:
    for kind, name in (("experiment", "e"), ("layer", "l")):
        found = assigned(sticky(), kind, ADA, name, {})

        assert found.save is not None
        assert (found.save["json_value"], found.save["rule_id"], found.save["time"]) == (
            {"p": 1},
            "er",
            1_700_000_000_000,
        )
        assert found.save["explicit_parameters"] == ["p"]


def test_a_user_outside_of_the_groups_is_not_saved() -> None:
    rules = loaded(
        ruleset(
            GATES,
            {"e": experiment(explicitParameters=None)},
            {"l": layer(rule("a", [PUBLIC], {}, isExperimentGroup=True), isActive=True)},
        )
    )

    assert assigned(rules, "experiment", ADA, "e", {}).save is None
    assert assigned(rules, "layer", ADA, "l", {}).save is None


def test_saving_without_owned_parameters_says_so() -> None:
    rules = loaded(ruleset({}, {"e": experiment(rule("r", [PUBLIC], isExperimentGroup=True))}))
    found = assigned(rules, "experiment", ADA, "e", {})

    assert found.save is not None
    assert found.save["explicit_parameters"] is None


@pytest.mark.parametrize(("kind", "name"), [("experiment", "e"), ("layer", "l")])
def test_what_was_saved_answers(kind: Any, name: str) -> None:
    rules = sticky()

    found = assigned(rules, kind, ADA, name, {name: SAVED}).evaluation

    assert (found.value, found.rule_id, found.group_name, found.version) == ({"p": "saved"}, "old", "Old", 3)
    assert (found.secondary, found.undelegated, rules.reason(found)) == ((("x", "true", "y"),), (), "Persisted")


def test_an_odd_entry_does_no_harm() -> None:
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
def test_nothing_is_deleted_where_nothing_is(kind: Any, name: str) -> None:
    found = assigned(sticky(isActive=False), kind, ADA, name, {})

    assert (found.deletes, found.save) == (False, None)


def test_a_layer_may_keep_an_experiment_that_its_rules_no_longer_give() -> None:
    found = assigned(sticky(), "layer", ADA, "bare", {"bare": SAVED}).evaluation

    assert (found.value, found.allocated_experiment) == ({"p": "saved"}, "e")


def test_what_overrides_mappings_and_bandits_answer_is_not_sticky() -> None:
    bandits = {"b": {**BANDIT, "config": None}}
    mapping = {"e": [{"new_config_name": "f", "rules": [{"rule_name": "or"}]}]}
    body = ruleset(
        GATES,
        {"e": TEST, "f": TEST},
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
def test_an_override_rule_may_win_over_what_was_saved(rules: str, wins: bool) -> None:
    known = loaded(
        ruleset(
            GATES,
            {"e": {**TEST, "rules": OVERRIDDEN[rules]}},
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
def test_a_user_who_is_no_longer_targeted_may_lose_it(targeting: list[Json], value: Json) -> None:
    first = rule("first", [NEVER]) if targeting != [UNKNOWN] else rule("first", [])
    rules = loaded(
        ruleset(
            GATES,
            {"e": {**TEST, "rules": [first, rule("targetingGate", targeting, {"p": 0})]}},
            {"l": layer(rule("a", [PUBLIC], configDelegate="e"))},
        )
    )

    for kind, name in (("experiment", "e"), ("layer", "l")):
        found = assigned(rules, kind, ADA, name, {name: SAVED}, targeting=True)
        assert found.evaluation.value == value


def test_an_entry_that_names_no_experiment_is_weighed_against_nothing() -> None:
    entry = {**SAVED, "config_delegate": None}

    assert assigned(sticky(), "layer", ADA, "l", {"l": entry}, targeting=True).evaluation.rule_id == "old"


def test_without_targeting_rules_nobody_is_left_out() -> None:
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
    assert list(storage_keys(User(device_id="d"))) == []


# Parameter stores.

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
def test_a_parameter_is_what_it_refers_to(name: str, value: Any, kind: Any) -> None:
    layers = {"l": layer(rule("a", [PUBLIC], configDelegate="e"))}
    rules = loaded(ruleset(GATES, {"e": TEST}, layers, param_stores={"s": {"parameters": STORE}}))

    found = evaluate_parameter(rules, ADA, "s", name)

    assert (found.value, found.kind) == (value, kind)
    assert (found.evaluation is None) is (kind is None)


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
