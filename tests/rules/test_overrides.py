"""Local overrides, which answer instead of the rules."""

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.language.overrides import GroupOverride, Overrides
from asyncsdk._rules.ruleset import Ruleset
from rules.rulesets import (
    PUBLIC,
    SAMPLE_EXPERIMENT,
    SAMPLE_GATES,
    gate,
    layer,
    loaded,
    passes,
    rule,
    ruleset,
)

ADA = User("ada")


def overridden(overrides: Overrides) -> Ruleset:
    """A ruleset with overrides: gates, an experiment `e`, and a layer `l` whose experiment it is."""
    gates = {**SAMPLE_GATES, "looks": gate(rule("r", [passes("g")]))}
    rules = loaded(ruleset(gates, {"e": SAMPLE_EXPERIMENT}, {"l": layer(rule("a", [PUBLIC], configDelegate="e"))}))
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


def test_an_override_applies_to_nested_gates_and_experiments_of_layers() -> None:
    rules = overridden(Overrides().set("gate", "g", False).set("experiment", "e", {"p": 7}))

    assert rules.gate(ADA, "looks").secondary == (("g", "false", "override"),)
    assert (rules.layer(ADA, "l").value, rules.layer(ADA, "l").rule_id) == ({"p": 7}, "override")


def test_an_override_for_an_id_wins_over_one_for_every_user() -> None:
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


def test_overrides_can_be_removed() -> None:
    overrides = Overrides().set("gate", "g", False, "ada").set("gate", "g", False, "bob").set("gate", "g", True)

    one, whole = overrides.remove("gate", "g", "ada"), overrides.remove("gate", "g")

    assert dict(one.of("gate", "g")) == {"bob": False, None: True}
    assert (dict(whole.of("gate", "g")), dict(whole.remove("gate", "x").of("gate", "x"))) == ({}, {})


def test_an_override_can_end_a_cycle() -> None:
    rules = loaded(ruleset({"a": gate(rule("r", [passes("b")])), "b": gate(rule("r", [passes("a")]))}))
    rules = rules.with_context(attrs.evolve(rules.shared_context, overrides=Overrides().set("gate", "a", True, "ada")))

    assert rules.gate(ADA, "b").value is True
    assert rules.gate(User("bob"), "b").outcome.endswith("Depth Exceeded")
