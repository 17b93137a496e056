"""A ruleset means the same in both formats."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk import User
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.loading import load_now
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk.dev.ruleset_formats import BrokenRulesetError, as_v1, as_v2, format_of
from asyncsdk.dev.ruleset_versions import next_version
from asyncsdk.examples import aiohttp_shop
from dev.rulesets import TABLE, rule, ruleset, spec

ADA, BOB = User("ada"), User("bob")


def evaluated(value: dict[str, Any]) -> Ruleset:
    body = next_version(orjson.dumps(value), None).body("v2")
    rules = load_now(body, SharedContext(clock=lambda: 0, random=lambda: 0.5))
    assert rules is not None
    return rules


def both(gate: dict[str, Any]) -> list[tuple[object, str]]:
    """Return value and rule of a gate for Ada and Bob, after a conversion to v1 and back."""
    there = as_v1(ruleset({"g": gate}))
    assert format_of(there) == "v1"
    rules = evaluated(there)
    return [(rules.gate(user, "g").value, rules.gate(user, "g").rule_id) for user in (ADA, BOB)]


@pytest.mark.parametrize(
    ("gate", "answers"),
    [
        (spec(rule(["ada"])), [(True, "rule"), (False, "default")]),
        (spec(rule(["ada"], value=False), rule(["all"], name="rest")), [(False, "rule"), (True, "rest")]),
        (spec(rule(["ada"], share=0)), [(False, "rule"), (False, "default")]),
        (spec(default=True), [(True, "default"), (True, "default")]),
        (spec(rule(["ada"], value=False), default=True), [(False, "rule"), (True, "default")]),
        (spec(enabled=False), [(False, "disabled"), (False, "disabled")]),
        (spec(enabled=False, default=True), [(True, "disabled"), (True, "disabled")]),
        (spec(rule(["ada"]), enabled=False), [(True, "rule"), (False, "disabled")]),
        (spec(rule(["ada"]), enabled=False, default=True), [(True, "rule"), (True, "disabled")]),
        (spec(rule(["missing condition"])), [(False, ""), (False, "")]),
    ],
)
def test_a_gate_means_the_same_in_v1(gate: dict[str, Any], answers: list[tuple[object, str]]) -> None:
    assert both(gate) == answers


def test_a_rule_that_denies_passes_no_user_in_v1() -> None:
    (gate,) = as_v1(ruleset({"g": spec(rule(["ada"], value=False))}))["feature_gates"]

    (denying,) = gate["rules"]
    assert (denying["passPercentage"], denying["returnValue"]) == (0, True)
    assert denying["conditions"] == [TABLE["ada"]]


@pytest.mark.parametrize("rules", [(), (rule(["ada"], {"n": 2}),)])
def test_a_disabled_config_means_the_same_in_v1(rules: tuple[dict[str, Any], ...]) -> None:
    config = spec(*rules, default={"n": 1}, entity="dynamic_config", enabled=False)
    found = evaluated(as_v1(ruleset(configs={"c": config})))

    values = [found.config(user, "c") for user in (ADA, BOB)]

    assert [value.value for value in values] == [{"n": 2} if rules else {"n": 1}, {"n": 1}]
    assert values[1].rule_id == "disabled"


def test_a_disabled_spec_of_v1_keeps_rules_that_do_not_run() -> None:
    gate = spec(rule([TABLE["ada"]]), name="g", enabled=False)
    found = evaluated({"feature_gates": [gate], "dynamic_configs": [], "layer_configs": []})

    assert (found.gate(ADA, "g").value, found.gate(ADA, "g").rule_id) == (False, "disabled")


def test_conditions_of_v1_are_kept_once() -> None:
    gates = [spec(rule([TABLE["all"], TABLE["ada"]]), rule([TABLE["ada"]]), name="g")]

    there = as_v2({"feature_gates": gates})

    assert sorted(there["condition_map"].values(), key=str) == sorted(TABLE.values(), key=str)
    first, second = there["feature_gates"]["g"]["rules"]
    assert first["conditions"][1:] == second["conditions"]
    assert "name" not in there["feature_gates"]["g"]


def test_layers_name_their_experiments_in_v1() -> None:
    there = as_v1(ruleset(experiment_to_layer={"a": "l", "b": "l", "c": "m"}))

    assert there["layers"] == {"l": ["a", "b"], "m": ["c"]}
    assert as_v2(there)["experiment_to_layer"] == {"a": "l", "b": "l", "c": "m"}


def test_the_rules_of_overrides_are_converted_too() -> None:
    there = as_v1(ruleset(override_rules={"o": rule(["ada"]), "broken": None}))

    assert there["override_rules"]["o"]["conditions"] == [TABLE["ada"]]
    assert set(as_v2(there)["override_rules"]) == {"o"}


def test_a_ruleset_of_another_key_is_for_any_key() -> None:
    value = {"feature_gates": [], "hashed_sdk_key_used": "1", "time": 5}
    version = next_version(orjson.dumps(value), None)

    assert not any(b"hashed_sdk_key_used" in version.body(target) for target in ("v1", "v2"))
    assert version.body("v1") is version.body("v1")


def test_missing_sections_are_filled_in() -> None:
    found = orjson.loads(next_version(b'{"feature_gates":{}}', None).body("v2"))

    assert found.items() >= {"has_updates": True, "time": 1, "layer_configs": {}, "condition_map": {}}.items()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["all", "g", "name", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["g", "name", "rules"]), inner),
    max_leaves=4,
)
RULE = JSON | st.fixed_dictionaries({}, optional={"conditions": JSON, "returnValue": JSON})
SPEC = JSON | st.fixed_dictionaries(
    {}, optional={"name": JSON, "rules": st.lists(RULE, max_size=2), "enabled": JSON, "defaultValue": JSON}
)
SPECS = JSON | st.lists(SPEC, max_size=2) | st.dictionaries(st.sampled_from("gh"), SPEC, max_size=2)
OTHERS = ["condition_map", "layers", "experiment_to_layer", "override_rules", "time", "checksum"]
RULESET = st.fixed_dictionaries(
    {"feature_gates": SPECS}, optional={"dynamic_configs": SPECS, **dict.fromkeys(OTHERS, JSON | SPECS)}
)


@given(RULESET)
def test_every_accepted_ruleset_can_be_served_in_both_formats(value: Any) -> None:
    with suppress(BrokenRulesetError):
        version = next_version(orjson.dumps(value), None)

        assert format_of(orjson.loads(version.body("v2"))) == "v2"
        assert format_of(orjson.loads(version.body("v1"))) == "v1"


def users(vectors: Path) -> list[User]:
    names = {"userID": "user_id", "appVersion": "app_version", "userAgent": "user_agent", "customIDs": "custom_ids"}
    names |= {"privateAttributes": "private_attributes", "statsigEnvironment": "statsig_environment"}
    found = orjson.loads((vectors / "statsig" / "users_200.json").read_bytes())
    return [User(**{names.get(key, key): value for key, value in user.items()}) for user in found]


def test_real_projects_mean_the_same_in_v1(vectors: Path) -> None:
    value = orjson.loads((vectors / "statsig" / "core" / "eval_proj_dcs.json").read_bytes())
    there, back = evaluated(value), evaluated(as_v1(value))

    differing = {
        (kind, name)
        for kind, section in (("gate", "feature_gates"), ("config", "dynamic_configs"), ("layer", "layer_configs"))
        for name in there.names(section)
        for user in users(vectors)[::4]
        for first, second in [(there.lookup(kind, user, name), back.lookup(kind, user, name))]
        if (first.value, first.rule_id) != (second.value, second.rule_id)
    }

    assert differing == set()


def test_the_shops_ruleset_means_the_same_in_v1() -> None:
    value = orjson.loads(Path(aiohttp_shop.__file__).with_name("shop_ruleset.json").read_bytes())
    there, back = evaluated(value), evaluated(as_v1(value))

    for user in (ADA, BOB):
        assert [there.gate(user, name).value for name in value["feature_gates"]] == [
            back.gate(user, name).value for name in value["feature_gates"]
        ]
