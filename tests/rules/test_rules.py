"""Rules: order, percentages, nesting, segments, delegation, and the pitfalls of the ruleset language."""

from typing import Any

import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.language.buckets import bucketer, id_list_key
from rules.rulesets import (
    NEVER,
    NOW_MS,
    PUBLIC,
    SAMPLE_BANDIT,
    SAMPLE_GATES,
    UNKNOWN,
    condition,
    config,
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

ADA = User("ada", email="ada@example.com", country="NL")


def test_the_first_rule_that_matches_decides() -> None:
    rules = loaded_gates(g=gate(rule("a", [NEVER]), rule("b", [PUBLIC], groupName="B"), rule("c", [PUBLIC])))

    found = rules.gate(ADA, "g")

    assert (found.value, found.rule_id, found.group_name, found.version) == (True, "b", "B", 1)


def test_all_conditions_of_a_rule_must_hold() -> None:
    rules = loaded_gates(
        g=gate(rule("a", [field("email", "str_ends_with_any", ["@example.com"]), field("country", "any", ["be"])]))
    )

    assert rules.gate(ADA, "g").rule_id == "default"
    assert rules.gate(User("bob", email="b@example.com", country="BE"), "g").rule_id == "a"


def test_a_rule_without_conditions_matches() -> None:
    assert loaded_gates(g=gate(rule("a", []))).gate(ADA, "g").rule_id == "a"


def test_without_a_match_the_default_is_returned() -> None:
    rules = loaded_gates(on=gate(rule("a", [NEVER]), defaultValue=True), off=gate(enabled=False))

    assert (rules.gate(ADA, "on").value, rules.gate(ADA, "on").rule_id) == (True, "default")
    assert (rules.gate(ADA, "off").value, rules.gate(ADA, "off").rule_id) == (False, "disabled")


def test_a_disabled_spec_still_runs_its_holdouts() -> None:
    rules = loaded_gates(g=gate(rule("holdout", [PUBLIC], value=False), enabled=False, defaultValue=True))

    assert (rules.gate(ADA, "g").value, rules.gate(ADA, "g").rule_id) == (False, "holdout")


def test_a_return_value_opens_a_gate_unless_it_is_false() -> None:
    rules = loaded_gates(g=gate(rule("a", [PUBLIC], value={})), d=gate(defaultValue={}))

    assert rules.gate(ADA, "g").value is True
    assert rules.gate(ADA, "d").value is False


def test_a_failed_percentage_ends_with_this_rule_and_the_default() -> None:
    rules = loaded_gates(g=gate(rule("a", [PUBLIC], share=0, groupName="G"), rule("b", [PUBLIC])))

    found = rules.gate(ADA, "g")

    assert (found.value, found.rule_id, found.group_name) == (False, "a", "G")


@pytest.mark.parametrize(("salt", "hashed"), [(None, "salt.a"), ("", "salt."), ("other", "salt.other")])
def test_a_percentage_counts_buckets_under_the_rules_salt(salt: str | None, hashed: str) -> None:
    rules = loaded_gates(g=gate(rule("a", [PUBLIC], share=33.33, salt=salt)))
    bucket = bucketer(hashed, 10_000)

    for number in range(200):
        unit = f"user {number}"
        assert rules.gate(User(unit), "g").value is (bucket(unit) < 3333)


def test_a_rule_may_count_by_a_custom_id() -> None:
    rules = loaded_gates(g=gate(rule("a", [PUBLIC], share=50, idType="companyID")))
    bucket = bucketer("salt.", 10_000)

    for unit in ("c1", "c2", "c3", "c4"):
        assert rules.gate(User("x", custom_ids={"companyID": unit}), "g").value is (bucket(unit) < 5000)
    assert rules.gate(User("x"), "g").value is (bucket("") < 5000)


def test_experiment_groups_share_one_hash() -> None:
    groups = [condition("user_bucket", "lt", limit, salt="exp") for limit in (300, 600, 1000)]
    rules = loaded(ruleset({}, {"e": experiment(*(rule(str(n), [one], {"n": n}) for n, one in enumerate(groups)))}))
    bucket = bucketer("exp", 1000)

    for number in range(100):
        unit = f"user {number}"
        found = bucket(unit)
        assert rules.experiment(User(unit), "e").value == {"n": 0 if found < 300 else 1 if found < 600 else 2}


@pytest.mark.parametrize(
    ("operator", "target"),
    [("any", ["7", "12", "007", "1000"]), ("none", {"7": True}), ("eq", 7), ("gte", 500), ("lt", 1e305), ("any", "7")],
)
def test_a_bucket_condition_compares_like_any_other(operator: str, target: object) -> None:
    from asyncsdk._rules.language.operators import OPERATORS

    rules = loaded_gates(g=gate(rule("a", [condition("user_bucket", operator, target, salt="s")])))
    bucket, row = bucketer("s", 1000), OPERATORS[operator]
    prepared = row.prepare(target)

    for number in range(2000):
        unit = f"user {number}"
        assert rules.gate(User(unit), "g").value is row.test(bucket(unit), prepared)


def test_a_gate_may_depend_on_another() -> None:
    rules = loaded_gates(
        a=gate(rule("ra", [field("country", "any", ["NL"])])),
        b=gate(rule("rb", [passes("a")])),
        c=gate(rule("rc", [fails("a")])),
        d=gate(rule("rd", [passes("b"), fails("c")])),
    )

    found = rules.gate(ADA, "d")

    assert found.value is True
    assert found.secondary == (("a", "true", "ra"), ("b", "true", "rb"), ("c", "false", "default"))


def test_conditions_do_not_stop_at_the_first_that_fails() -> None:
    rules = loaded_gates(a=gate(rule("ra", [PUBLIC])), b=gate(rule("rb", [NEVER, passes("a")])))

    assert rules.gate(ADA, "b").secondary == (("a", "true", "ra"),)


def test_exposures_name_each_gate_once() -> None:
    rules = loaded_gates(
        a=gate(rule("ra", [PUBLIC])),
        b=gate(rule("rb", [passes("a")])),
        c=gate(rule("rc", [passes("a"), passes("b"), passes("a")])),
    )

    assert rules.gate(ADA, "c").secondary == (("a", "true", "ra"), ("b", "true", "rb"))


def test_segments_are_not_exposed_but_the_gates_they_use_are() -> None:
    rules = loaded(
        ruleset(
            {
                "a": gate(rule("ra", [PUBLIC])),
                "segment:s": gate(rule("rs", [passes("a")])),
                "b": gate(rule("rb", [passes("segment:s")])),
            }
        )
    )

    assert rules.gate(ADA, "b").secondary == (("a", "true", "ra"),)


@pytest.mark.parametrize("name", ["missing", "", None, 5])
def test_a_missing_gate_counts_as_closed_and_is_not_exposed(name: object) -> None:
    rules = loaded_gates(a=gate(rule("ra", [passes(name)])), b=gate(rule("rb", [fails(name)])))

    assert (rules.gate(ADA, "a").value, rules.gate(ADA, "b").value) == (False, True)
    assert rules.gate(ADA, "b").secondary == ()


def test_a_cycle_of_gates_ends_with_an_error() -> None:
    rules = loaded_gates(
        a=gate(rule("ra", [passes("b")])), b=gate(rule("rb", [fails("a")])), c=gate(rule("rc", [NEVER, passes("c")]))
    )

    for name in "abc":
        found = rules.gate(ADA, name)
        assert (found.value, found.rule_id) == (False, "")
        assert rules.reason(found) == "Error:Statsig Evaluation Depth Exceeded"


def test_a_cycle_that_is_not_reached_is_harmless() -> None:
    assert loaded_gates(a=gate(rule("ra", [PUBLIC]), rule("rb", [passes("a")]))).gate(ADA, "a").rule_id == "ra"


def test_sixty_four_levels_below_the_top_are_allowed() -> None:
    chain = {"g0": gate(rule("r", [PUBLIC]))} | {f"g{n}": gate(rule("r", [passes(f"g{n - 1}")])) for n in range(1, 80)}
    rules = loaded(ruleset(chain))

    assert rules.gate(ADA, "g64").value is True
    assert len(rules.gate(ADA, "g64").secondary) == 64
    assert rules.gate(ADA, "g65").outcome.endswith("Depth Exceeded")


def test_the_end_of_a_long_chain_may_be_missing() -> None:
    chain = {"g0": gate(rule("r", [fails("missing")]))} | {
        f"g{n}": gate(rule("r", [passes(f"g{n - 1}")])) for n in range(1, 26)
    }

    for top in ("g23", "g24", "g25"):
        assert loaded(ruleset(chain)).gate(ADA, top).value is True


def test_gates_that_multiply_are_evaluated_once_each() -> None:
    chain = {"g0": gate(rule("r", [PUBLIC]))}
    for n in range(1, 50):
        chain[f"g{n}"] = gate(rule("r", [passes(f"g{n - 1}"), passes(f"g{max(0, n - 2)}")]))

    assert loaded(ruleset(chain)).gate(ADA, "g49").value is True


@pytest.mark.parametrize(
    "unknown", [UNKNOWN, field("email", "mystery", []), condition("user_field", None, "x", "email"), "absent"]
)
def test_a_gate_with_an_unknown_condition_is_closed(unknown: object) -> None:
    rules = loaded_gates(g=gate(rule("a", [PUBLIC, unknown]), rule("b", [PUBLIC])))  # type: ignore[list-item]

    found = rules.gate(ADA, "g")

    assert (found.value, found.rule_id, found.secondary) == (False, "", ())
    assert rules.reason(found) == "Network:Unsupported"


def test_an_earlier_match_wins_over_an_unknown_condition() -> None:
    assert loaded_gates(g=gate(rule("a", [PUBLIC]), rule("b", [UNKNOWN]))).gate(ADA, "g").rule_id == "a"


def test_a_gate_that_depends_on_an_unsupported_one_is_unsupported() -> None:
    rules = loaded_gates(a=gate(rule("ra", [UNKNOWN])), b=gate(rule("rb", [fails("a")])))

    assert (rules.gate(ADA, "b").value, rules.gate(ADA, "b").outcome) == (False, "Unsupported")


def test_a_config_returns_its_rules_value() -> None:
    rules = loaded(
        ruleset(
            {},
            {"c": config(rule("a", [NEVER], {"n": 1}), defaultValue={"n": 2}), "odd": config(rule("a", [PUBLIC], 5))},
        )
    )

    assert (rules.config(ADA, "c").value, rules.config(ADA, "c").passed) == ({"n": 2}, False)
    assert (rules.config(ADA, "odd").value, rules.config(ADA, "odd").passed) == ({}, True)


def test_an_unknown_name_is_unrecognized() -> None:
    rules = loaded_gates()

    for found in (rules.gate(ADA, "x"), rules.config(ADA, "x"), rules.experiment(ADA, "x"), rules.layer(ADA, "x")):
        assert (bool(found.value), found.rule_id, rules.reason(found)) == (False, "", "Network:Unrecognized")


EXPERIMENT = {
    "e": experiment(
        rule(
            "er",
            [field("country", "any", ["NL"]), passes("g")],
            {"p": 1},
            groupName="Test",
            isExperimentGroup=True,
            idType="companyID",
        ),
        defaultValue={"p": 0},
        explicitParameters=["p"],
        idType="companyID",
        version=9,
    )
}


def test_a_layers_experiment_decides_but_the_layer_keeps_its_version() -> None:
    gates = {"g": gate(rule("rg", [PUBLIC])), "own": gate(rule("ro", [PUBLIC]))}
    rules = loaded(
        ruleset(
            gates, EXPERIMENT, {"l": layer(rule("lr", [passes("own")], {"p": 5}, 0, configDelegate="e"), version=4)}
        )
    )

    found = rules.layer(ADA, "l")

    assert (found.value, found.rule_id, found.group_name, found.is_experiment_group) == ({"p": 1}, "er", "Test", True)
    assert (found.version, found.id_type, found.allocated_experiment) == (4, "userID", "e")
    assert found.explicit_parameters == ("p",)
    assert found.secondary == (("own", "true", "ro"), ("g", "true", "rg"))
    assert found.undelegated == (("own", "true", "ro"),)


def test_a_layers_experiment_may_fall_through() -> None:
    rules = loaded(ruleset({}, EXPERIMENT, {"l": layer(rule("lr", [PUBLIC], configDelegate="e"))}))

    found = rules.layer(User("x"), "l")

    assert (found.value, found.rule_id, found.allocated_experiment) == ({"p": 0}, "default", "e")


def test_an_absent_experiment_leaves_the_rule_to_the_layer() -> None:
    rules = loaded(ruleset({}, {}, {"l": layer(rule("lr", [PUBLIC], {"p": 5}, configDelegate="e"))}))

    found = rules.layer(ADA, "l")

    assert (found.value, found.rule_id, found.allocated_experiment) == ({"p": 5}, "lr", None)


def test_a_layer_with_an_unsupported_experiment_is_unsupported() -> None:
    rules = loaded(
        ruleset({}, {"e": experiment(rule("r", [UNKNOWN]))}, {"l": layer(rule("lr", [PUBLIC], configDelegate="e"))})
    )

    found = rules.layer(ADA, "l")

    assert (found.value, found.outcome, found.allocated_experiment) == ({}, "Unsupported", None)


def test_a_condition_may_test_an_experiment_group() -> None:
    asks = condition("experiment_group", "any", ["test"], "e")
    gates = {
        "g": gate(),
        "yes": gate(rule("r", [asks])),
        "no": gate(rule("r", [condition("experiment_group", "none", ["test"], "x")])),
    }
    configs = {"e": experiment(rule("er", [fails("g")], {}, groupName="Test"))}
    rules = loaded(ruleset(gates, configs, {"l": layer(rule("lr", [asks], configDelegate="e"))}))

    found = rules.gate(ADA, "yes")

    assert (found.value, found.secondary, [one.name for one in found.consulted]) == (True, (), ["e"])
    assert rules.gate(ADA, "no").value is True
    assert [one.name for one in rules.layer(ADA, "l").consulted] == ["e"]
    assert (
        loaded_gates(g=gate(rule("r", [condition("experiment_group", None, [], "e")]))).gate(ADA, "g").outcome
        == "Unsupported"
    )


def test_no_experiment_has_no_group() -> None:
    rules = loaded_gates(
        **{name: gate(rule("r", [condition("experiment_group", name, ["test"])])) for name in ("any", "none")}
    )

    assert (rules.gate(ADA, "any").value, rules.gate(ADA, "none").value) == (False, True)


@pytest.mark.parametrize(("experiment_name", "outcome"), [("odd", "Unsupported"), ("missing", "Unrecognized")])
def test_an_experiment_that_cannot_answer_has_no_group_and_is_exposed(experiment_name: str, outcome: str) -> None:
    gates = {
        "none": gate(rule("r", [condition("experiment_group", "none", ["test"], experiment_name)])),
        "any": gate(rule("r", [condition("experiment_group", "any", ["test"], experiment_name)])),
    }
    rules = loaded(ruleset(gates, {"odd": experiment(rule("r", [UNKNOWN]))}))

    found = rules.gate(ADA, "none")

    assert (found.value, rules.gate(ADA, "any").value, rules.gate(ADA, "any").rule_id) == (True, False, "default")
    assert [(one.name, one.outcome) for one in found.consulted] == [(experiment_name, outcome)]


def test_an_unsupported_gate_exposes_no_experiment() -> None:
    asks = gate(rule("r", [condition("experiment_group", "none", ["x"], "e"), UNKNOWN]))

    found = loaded(ruleset({"g": asks}, {"e": experiment()})).gate(ADA, "g")

    assert (found.outcome, found.consulted) == ("Unsupported", ())


def test_a_cycle_through_an_experiments_group_ends() -> None:
    gates = {"g": gate(rule("r", [condition("experiment_group", "none", ["x"], "e")]))}
    rules = loaded(ruleset(gates, {"e": experiment(rule("r", [passes("g")]))}))

    assert rules.gate(ADA, "g").outcome.endswith("Depth Exceeded")


def test_an_evaluation_that_is_nested_too_deeply_has_the_specs_version() -> None:
    found = loaded_gates(a=gate(rule("r", [passes("a")]), version=7)).gate(ADA, "a")

    assert (found.rule_id, found.id_type, found.version) == ("", "userID", 7)


@pytest.mark.parametrize("target", [5, None, ["g"], {"g": 1}])
def test_a_reference_that_is_not_text_is_the_gate_without_a_name(target: Any) -> None:
    gates = {"g": gate(rule("rg", [PUBLIC])), "asks": gate(rule("r", [passes(target)]))}

    values = [loaded_gates(**gates, **more).gate(ADA, "asks").value for more in ({}, {"": gates["g"]})]

    assert values == [False, True]


def test_a_spec_without_a_version_has_none() -> None:
    plain = gate(rule("r", [passes("g")]))
    del plain["version"]
    rules = loaded(ruleset({**SAMPLE_GATES, "plain": plain}))

    assert (rules.gate(ADA, "g").version, rules.gate(ADA, "plain").version) == (1, None)


def test_a_bandit_alone_is_no_experiment_of_a_layer() -> None:
    layers = {"l": layer(rule("a", [PUBLIC], {"p": 5}, configDelegate="b"))}

    found = loaded(ruleset({}, {}, layers, cmab_configs={"b": SAMPLE_BANDIT})).layer(ADA, "l")

    assert (found.value, found.allocated_experiment) == ({"p": 5}, None)


def test_a_value_that_several_rules_use_is_fetched_once() -> None:
    class CountingText(str):
        compared = 0
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            CountingText.compared += 1
            return super().__eq__(other)

    rules = loaded_gates(g=gate(*(rule(f"r{n}", [field("plan", "any", [f"plan {n}"])]) for n in range(3))))

    found = rules.gate(User("u", custom={CountingText("plan"): "plan 2"}), "g")

    assert (found.value, found.rule_id, CountingText.compared) == (True, "r2", 2)  # `in`, then the value itself


def test_an_id_list_is_read_for_each_lookup() -> None:
    entries = {id_list_key("ada")}
    lists = {"staff": entries}
    asks = [condition(kind, "in_segment_list", "staff", "userID") for kind in ("unit_id", "user_field")]
    negated = condition("unit_id", "not_in_segment_list", "absent")
    rules = loaded(
        ruleset(
            {
                "g": gate(rule("r", [*asks, negated])),
                "odd": gate(rule("r", [condition("unit_id", "in_segment_list", 5)])),
            }
        ),
        make_context(id_lists=lists),
    )

    assert [rules.gate(ADA, "g").value, rules.gate(ADA, "g").value, rules.gate(User("bob"), "g").value] == [
        True,
        True,
        False,
    ]
    entries.clear()
    assert rules.gate(ADA, "g").value is False
    assert rules.gate(ADA, "odd").value is False


def test_current_time_is_the_clocks() -> None:
    clock = [NOW_MS]
    rules = loaded(
        ruleset({"g": gate(rule("r", [condition("current_time", "after", NOW_MS)]))}),
        make_context(clock=lambda: clock[0]),
    )

    before = [rules.gate(ADA, "g").value for _ in range(3)]
    clock[0] += 1

    assert (before, rules.gate(ADA, "g").value) == ([False] * 3, True)


def test_environment_comes_from_the_user_the_options_and_the_ruleset() -> None:
    ask = {
        "g": gate(rule("r", [condition("environment_field", "any", ["staging"], "Tier")])),
        "none": gate(rule("r", [condition("environment_field", "eq", None)])),
    }
    plain, default = loaded(ruleset(ask)), loaded(ruleset(ask, default_environment="staging"))
    option = loaded(ruleset(ask, default_environment="x"), make_context(environment={"tier": "staging"}))

    assert [one.gate(ADA, "g").value for one in (plain, default, option)] == [False, True, True]
    assert option.gate(User("x", statsig_environment={"Tier": "production"}), "g").value is False
    assert plain.gate(User("x", statsig_environment={"Tier": "staging"}), "g").value is True
    assert plain.gate(User("x", statsig_environment=5), "g").value is False  # type: ignore[arg-type]
    assert plain.gate(ADA, "none").value is True


def test_a_target_app_is_the_rulesets() -> None:
    ask = {"g": gate(rule("r", [condition("target_app", "any", ["web"])]))}

    assert loaded(ruleset(ask, app_id="web")).gate(ADA, "g").value is True
    assert loaded(ruleset(ask)).gate(ADA, "g").value is False


def test_rules_that_cannot_be_reached_are_not_compiled() -> None:
    rules = loaded_gates(g=gate(rule("a", []), rule("b", [UNKNOWN])))

    assert rules.gate(ADA, "g").rule_id == "a"
