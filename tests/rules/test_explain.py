"""Explanations of lookups."""

import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.explain import explain
from asyncsdk._rules.language.overrides import Overrides
from rules.rulesets import (
    NEVER,
    PUBLIC,
    UNKNOWN,
    condition,
    experiment,
    fails,
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
from rules.small_project import ADA, project


def test_an_explanation_is_a_tree_with_buckets() -> None:
    gates = {
        "staff": gate(rule("mail", [field("email", "str_ends_with_any", ["@example.com"])])),
        "g": gate(
            rule("first", [NEVER]),
            rule("half", [passes("staff"), condition("user_bucket", "lt", 900, salt="s")], share=50, groupName="G"),
        ),
    }

    explanation = explain(loaded_gates(**gates), "gate", ADA, "g")

    assert explanation.render().splitlines() == [
        "g: open (rule half, Network:Recognized)",
        "  - rule first",
        '    - userID "ada" any ["nobody"]',
        "  + rule half (G)",
        "    + pass_gate staff",
        "      + rule mail",
        '        + email "ada@example.com" str_ends_with_any ["@example.com"]',
        "    + user_bucket 60 lt 900",
        "    + bucket 1455 of 10000, 50 % pass",
    ]
    assert [step.bucket for step in explanation.steps[1].steps] == [None, 60, 1455]


def test_private_attributes_are_not_shown() -> None:
    rules = loaded_gates(g=gate(rule("r", [field("Plan", "any", ["gold"])])))

    text = explain(rules, "gate", User("x", private_attributes={"plan": "gold"}), "g").render()

    assert '+ Plan (private) any ["gold"]' in text


def test_values_that_are_long_or_not_json_are_abbreviated() -> None:
    rules = loaded_gates(g=gate(rule("r", [field("plan", "any", ["x" * 100]), field("odd", "any", [])])))

    text = explain(rules, "gate", User("x", custom={"odd": {1, 2}}), "g").render()

    assert "..." in text
    assert "odd [1,2] any []" in text


def test_an_override_since_the_evaluation_is_not_shown() -> None:
    body = ruleset({"g": gate(rule("r", [PUBLIC]))})
    earlier = loaded(body).gate(ADA, "g")
    rules = loaded(body, make_context(overrides=Overrides().set("gate", "g", False)))

    assert explain(rules, "gate", ADA, "g", earlier).render().splitlines()[1] == "  + rule r"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("missing", "- the ruleset has no such name"),
        ("off", "+ it is disabled"),
        ("off", "+ no rule matched: default value"),
        ("absent", "? a condition that is missing in the ruleset"),
        ("mystery", "? unknown condition mystery, operator None"),
        ("broken", "? malformed spec: enabled is not of type bool"),
        ("nogate", "+ fail_gate missing: no such gate"),
        ("looks", "? pass_gate mystery: Unsupported"),
        ("seesbroken", "+ fail_gate broken"),
        ("asksodd", "+ group of odd null none"),
        ("loop", "? deeper levels are not shown"),
        ("over", "+ a local override applies"),
        ("mapped", "+ config mapping evaluates off instead"),
        ("list", '- unit_id "ada" in_segment_list "staff"'),
        ("group", '+ group of e "Test" any ["test"]'),
        ("oddgroup", "? unknown operator None"),
        ("public", "+ everyone"),
    ],
)
def test_everything_can_be_explained(name: str, expected: str) -> None:
    gates = {
        "off": gate(enabled=False),
        "absent": gate(rule("r", ["absent"])),  # type: ignore[list-item]
        "mystery": gate(rule("r", [UNKNOWN])),
        "broken": gate(enabled="x"),
        "nogate": gate(rule("r", [fails("missing")])),
        "looks": gate(rule("r", [passes("mystery")])),
        "seesbroken": gate(rule("r", [fails("broken")])),
        "asksodd": gate(rule("r", [condition("experiment_group", "none", ["test"], "odd")])),
        "loop": gate(rule("r", [passes("loop")])),
        "over": gate(),
        "mapped": gate(),
        "list": gate(rule("r", [condition("unit_id", "in_segment_list", "staff")])),
        "group": gate(rule("r", [condition("experiment_group", "any", ["test"], "e")])),
        "oddgroup": gate(rule("r", [condition("experiment_group", None, [], "e")])),
        "public": gate(rule("r", [PUBLIC])),
    }
    mapping = {"mapped": [{"new_config_name": "off", "rules": [{"rule_name": "m"}]}]}
    body = ruleset(
        gates,
        {"e": experiment(rule("r", [PUBLIC], groupName="Test")), "odd": experiment(rule("r", [UNKNOWN]))},
        override_rules={"m": rule("m", [PUBLIC])},
        overrides=mapping,
    )
    rules = loaded(body, make_context(overrides=Overrides().set("gate", "over", True)))

    assert expected in explain(rules, "gate", ADA, name).render()


def test_a_layer_with_a_malformed_experiment_decides_itself() -> None:
    layers = {"l": layer(rule("a", [PUBLIC], {"p": 1}, configDelegate="e"))}
    rules = loaded(ruleset({}, {"e": experiment(enabled="x")}, layers))

    assert "+ rule a\n" in explain(rules, "layer", ADA, "l").render() + "\n"


def test_layers_and_bandits_can_be_explained() -> None:
    rules = project(cmab_configs={"b": {"groups": [], "enabled": True}})

    assert "experiment e decides" in explain(rules, "layer", ADA, "l").render()
    assert "no rule matched" in explain(rules, "layer", ADA, "m").render()
    assert "a bandit picks the group" in explain(rules, "experiment", ADA, "b").render()
    assert explain(rules, "config", ADA, "c").render().startswith('c: {"n":2} (rule default')
