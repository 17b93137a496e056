"""Compares evaluations with the vendor's package: generated rulesets and users, cycles, bandits, overrides, user agents."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.exposures import exposures_to_json
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.language.user_agent import parse
from asyncsdk._rules.ruleset import Ruleset
from rules.agents import AGENTS
from rules.rulesets import PUBLIC, condition, experiment, gate, layer, loaded, make_context, passes, rule, ruleset, user
from rules.strategies import EXPERIMENTS, GATES, LAYERS, rulesets, users

pytest.importorskip("statsig_python_core")
from rules.oracle import Oracle, as_core

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(120)]
EXAMPLES = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
four_users = st.lists(users(), min_size=4, max_size=4)


def undelegated(found: Evaluation) -> Any:
    return exposures_to_json(found.secondary if found.undelegated is None else found.undelegated)


def compare_gate(rules: Ruleset, one: Any, name: str, entry: Any) -> None:
    found = rules.gate(one, name)
    ours = (found.value, found.rule_id, exposures_to_json(found.secondary), found.id_type)
    assert ours == (entry["value"], entry["rule_id"], entry["secondary_exposures"], entry["id_type"]), name


def compare_config(rules: Ruleset, one: Any, name: str, entry: Any) -> None:
    found = rules.experiment(one, name)
    ours = (found.value, found.rule_id, exposures_to_json(found.secondary), found.id_type)
    assert ours == (entry["value"], entry["rule_id"], entry["secondary_exposures"], entry["id_type"]), name
    assert entry.get("passed", found.passed) == found.passed
    if "is_user_in_experiment" in entry:
        theirs = (entry.get("group_name"), entry["is_user_in_experiment"], entry["is_experiment_active"])
        assert (found.group_name, found.is_experiment_group, bool(found.is_active)) == theirs


def compare_layer(rules: Ruleset, one: Any, name: str, entry: Any) -> None:
    found = rules.layer(one, name)
    ours = (
        found.value,
        found.rule_id,
        found.id_type,
        found.group_name,
        found.allocated_experiment,
        found.parameter_rules,
    )
    keys = ("value", "rule_id", "id_type", "group_name", "allocated_experiment_name", "parameter_rule_ids")
    assert ours == tuple(entry.get(key) for key in keys), name
    assert list(found.explicit_parameters or ()) == entry["explicit_parameters"]
    for mine, theirs in (
        (exposures_to_json(found.secondary), entry["secondary_exposures"]),
        (undelegated(found), entry["undelegated_secondary_exposures"]),
    ):
        if found.parameter_rules is None:
            assert mine == theirs
        else:  # in the package, a merging layer also has the exposures of an ignored experiment
            assert [one_exposed for one_exposed in theirs if one_exposed in mine] == mine


COMPARISONS = {"feature_gates": compare_gate, "dynamic_configs": compare_config, "layer_configs": compare_layer}


@EXAMPLES
@given(rulesets(), four_users)
def test_generated_rulesets_evaluate_alike(world: dict[str, Any], people: list[dict[str, Any]]) -> None:
    body = orjson.dumps(world)
    oracle, rules = Oracle(body, "staging"), loaded(body, make_context(environment={"tier": "staging"}))
    try:
        for fields in people:
            one, expected = user(fields), oracle.response(fields)
            for section, compare in COMPARISONS.items():
                for name, entry in expected[section].items():
                    compare(rules, one, name, entry)
            segment = oracle.client.get_feature_gate(as_core(fields), "segment:s")
            assert (rules.gate(one, "segment:s").value, rules.gate(one, "segment:s").rule_id) == (
                segment.value,
                segment.rule_id,
            )
    finally:
        oracle.close()


@EXAMPLES
@given(rulesets(cyclic=True, unknown=True), four_users)
def test_cyclic_and_unknown_rules_end_alike(world: dict[str, Any], people: list[dict[str, Any]]) -> None:
    body = orjson.dumps(world)
    oracle, rules = Oracle(body), loaded(body)
    try:
        for fields in people:
            one, theirs = user(fields), as_core(fields)
            for name in GATES:
                compare_ended(rules, rules.gate(one, name), oracle.client.get_feature_gate(theirs, name))
            for name in EXPERIMENTS:
                compare_ended(rules, rules.experiment(one, name), oracle.client.get_experiment(theirs, name))
            for name in LAYERS:
                compare_ended(rules, rules.layer(one, name), oracle.client.get_layer(theirs, name))
    finally:
        oracle.close()


def compare_ended(rules: Ruleset, found: Evaluation, there: Any) -> None:
    """Compare outcomes, and values if there was a decision; without one the package returns leftovers."""
    is_decided = there.details.reason.endswith((":Recognized", ":IdListInMemory"))
    assert (found.outcome == "Recognized") is is_decided
    if is_decided:
        shown = there.to_dict()
        assert (found.value, found.rule_id) == (shown.get("value", shown.get("__value")), there.rule_id)


def chain(length: int) -> dict[str, Any]:
    gates = {f"g{n}": gate(rule("r", [passes(f"g{n - 1}")])) for n in range(1, length)}
    return {"g0": gate(rule("r", [PUBLIC]))} | gates


def test_the_depth_limit_is_the_same() -> None:
    body = ruleset(chain(70))
    oracle, rules = Oracle(body), loaded(body)

    for n in range(60, 70):
        there = oracle.client.get_feature_gate(as_core({"userID": "u"}), f"g{n}")
        found = rules.gate(user({"userID": "u"}), f"g{n}")
        assert (found.value, found.rule_id) == (there.value, there.rule_id)
    oracle.close()


SPECIAL = ruleset(
    {
        "g": gate(rule("rg", [PUBLIC])),
        "old": gate(),
        "new": gate(rule("rn", [passes("g")]), version=7),
        "looks": gate(rule("rl", [passes("old")])),
        "asks": gate(rule("ra", [condition("experiment_group", "any", ["test"], "e")])),
    },
    {
        "e": experiment(rule("re", [passes("g")], {"p": 1}, groupName="Test", isExperimentGroup=True), version=9),
        "f": experiment(),
    },
    {
        "l": layer(rule("rl", [PUBLIC], configDelegate="e"), version=4),
        "m": layer(rule("rm", [PUBLIC], configDelegate="f"), version=4),
    },
    override_rules={"or": rule("or", [PUBLIC])},
    overrides={
        "old": [{"new_config_name": "new", "rules": [{"rule_name": "or"}]}],
        "f": [{"new_config_name": "e", "rules": [{"rule_name": "or", "start_time": 5}]}],
    },
    cmab_configs={
        name: {
            "salt": "s",
            "targetAppIDs": [],
            "defaultValue": {"d": 1},
            "idType": "userID",
            "enabled": True,
            "version": 4,
            "sampleRate": 0.0,
            "higherIsBetter": name != "low",
            "groups": [
                {"name": "A", "id": "ga", "parameterValues": {"v": 1}},
                {"name": "B", "id": "gb", "parameterValues": {"v": 2}},
            ],
            "config": None if name in ("even", "aimed", "missed") else {"ga": _score(1, 2), "gb": _score(10, 1)},
            "targetingGateName": {"aimed": "g", "missed": "nowhere"}.get(name),
        }
        for name in ("even", "aimed", "missed", "high", "low")
        for _score in [
            lambda alpha, weight: {
                "alpha": alpha,
                "intercept": 2,
                "records": 5,
                "weightsNumerical": {"level": weight},
                "weightsCategorical": {"plan": {"pro": 5.0}},
            }
        ]
    },
)


@pytest.mark.parametrize("overridden", [False, True])
def test_mappings_bandits_overrides_and_groups_evaluate_alike(overridden: bool) -> None:
    oracle, overrides = Oracle(SPECIAL), Overrides()
    if overridden:
        oracle.client.override_gate("g", False)
        oracle.client.override_experiment("e", {"p": "over"})
        overrides = overrides.set("gate", "g", False).set("experiment", "e", {"p": "over"})
    rules = loaded(SPECIAL, make_context(overrides=overrides))
    for fields in ({"userID": f"u{n}", "custom": {"level": n, "plan": "pro" if n % 2 else "free"}} for n in range(30)):
        one, theirs = user(fields), as_core(fields)
        for name in ("g", "old", "looks", "asks"):
            there = oracle.client.get_feature_gate(theirs, name)
            found = rules.gate(one, name)
            assert (found.value, found.rule_id, found.id_type, found.version) == (
                there.value,
                there.rule_id,
                there.id_type,
                there.details.version if found.rule_id != "override" else None,
            )
        for name in ("e", "f", "even", "aimed", "missed", "high", "low"):
            there = oracle.client.get_experiment(theirs, name)
            found = rules.experiment(one, name)
            assert (found.value, found.rule_id, found.group_name) == (there.value, there.rule_id, there.group_name)
        for name in ("l", "m"):
            shown = oracle.client.get_layer(theirs, name)
            found = rules.layer(one, name)
            assert (found.value, found.rule_id, found.version) == (
                shown.to_dict()["__value"],
                shown.rule_id,
                shown.details.version,
            )
    oracle.close()


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.lists(st.sampled_from([word for agent in AGENTS for word in agent.split()]), min_size=1, max_size=9).map(
            " ".join
        ),
        max_size=60,
    )
)
def test_user_agents_are_read_alike(agents: list[str]) -> None:
    fields = ("os_name", "os_version", "browser_name", "browser_version")
    answers = {(field, getattr(parse(agent), field)) for agent in (*agents, *AGENTS) for field in fields}
    asks = {
        f"{field}:{value}": gate(rule("r", [condition("ua_based", "any_case_sensitive", [value], field)]))
        for field, value in answers
    }
    oracle = Oracle(ruleset(asks))
    try:
        for agent in (*agents, *(agent for agent in AGENTS if agent)):
            one, parsed = as_core({"userID": "u", "userAgent": agent}), parse(agent)
            assert all(oracle.client.check_gate(one, f"{field}:{getattr(parsed, field)}") for field in fields), agent
    finally:
        oracle.close()
