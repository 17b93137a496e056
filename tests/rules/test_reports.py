"""What is reported and shown: exposures, client responses, explanations, results."""

from typing import Any

import attrs
import orjson
import pytest

from asyncsdk._model.results import Details, DynamicConfig, Experiment, FeatureGate, Layer, ParameterStore
from asyncsdk._model.users import User
from asyncsdk._rules import public_results as views
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.explain import explain
from asyncsdk._rules.exposure_window import AUTOMATIC, ExposureWindow
from asyncsdk._rules.exposures import build_exposure, build_layer_exposure
from asyncsdk._rules.language.buckets import djb2
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.loading import load_now
from asyncsdk._rules.ruleset import Ruleset, empty_ruleset
from rules.rulesets import (
    NEVER,
    NOW_MS,
    PUBLIC,
    UNKNOWN,
    Json,
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
GATES = {
    "g": gate(rule("rg", [PUBLIC])),
    "looks": gate(rule("rl", [passes("g")]), version=3),
    "holdout": {**gate(rule("h", [PUBLIC], share=0)), "entity": "holdout"},
    "segment:s": {**gate(), "entity": "segment"},
}
CONFIGS = {
    "c": config(rule("rc", [fails("looks")], {"n": 1}), defaultValue={"n": 2}),
    "e": experiment(
        rule("re", [passes("g")], {"p": 1}, groupName="Test", isExperimentGroup=True),
        hasSharedParams=True,
        explicitParameters=["p"],
        idType="stableID",
    ),
    "bare": experiment(hasSharedParams=True, isActive=False),
}
LAYERS = {
    "l": layer(rule("rl", [passes("holdout")], {"q": 0}), rule("rd", [PUBLIC], configDelegate="e")),
    "m": layer(rule("rm", [PUBLIC], {"q": 1}), defaultValue={"z": 0}, useNewLayerEval=True),
}


def project(**more: Any) -> Ruleset:
    return loaded(ruleset(GATES, CONFIGS, LAYERS, **more), received_at_ms=NOW_MS)


def metadata(exposure: Any) -> Json:
    found: Json = orjson.loads(exposure.metadata)
    return found


# Exposures.

COMMON = {"reason": "Network:Recognized", "lcut": "1700000000000", "receivedAt": str(NOW_MS)}


def test_a_gates_exposure() -> None:
    rules = project()

    found = build_exposure(rules, rules.gate(ADA, "looks"))

    assert found.event_name == "statsig::gate_exposure"
    assert metadata(found) == {"gate": "looks", "gateValue": "true", "ruleID": "rl", "configVersion": "3", **COMMON}
    assert orjson.loads(found.secondary) == [{"gate": "g", "gateValue": "true", "ruleID": "rg"}]


def test_a_configs_exposure() -> None:
    rules = project()

    found = build_exposure(rules, rules.config(ADA, "c"), manual=True)

    assert found.event_name == "statsig::config_exposure"
    expected = {
        "config": "c",
        "ruleID": "default",
        "rulePassed": "false",
        "configVersion": "1",
        "isManualExposure": "true",
    }
    assert metadata(found) == {**expected, **COMMON}


@pytest.mark.parametrize(
    ("parameter", "experiment_name", "gates"), [("p", "e", ["holdout", "g"]), ("other", "", ["holdout"])]
)
def test_a_layers_exposure_is_its_experiments_only_for_the_parameters_it_owns(
    parameter: str, experiment_name: str, gates: list[str]
) -> None:
    rules = project()

    found = build_layer_exposure(rules, rules.layer(ADA, "l"), parameter)

    fields = metadata(found)
    assert (fields["config"], fields["ruleID"], fields["parameterName"]) == ("l", "re", parameter)
    assert (fields["allocatedExperiment"], fields["isExplicitParameter"]) == (
        experiment_name,
        str(bool(experiment_name)).lower(),
    )
    assert [one["gate"] for one in orjson.loads(found.secondary)] == gates


def test_a_merging_layers_exposure_names_the_parameters_rule() -> None:
    rules = project()
    found = rules.layer(ADA, "m")

    assert [metadata(build_layer_exposure(rules, found, name))["ruleID"] for name in ("q", "z")] == ["rm", "default"]


def test_a_layer_without_nested_gates_has_one_list_of_exposures() -> None:
    rules = loaded(ruleset({}, {}, {"l": layer(rule("r", [PUBLIC], {"a": 1}))}))

    assert build_layer_exposure(rules, rules.layer(ADA, "l"), "a").secondary == b"[]"


def test_a_mapped_exposure_names_both() -> None:
    overrides = {"g": [{"new_config_name": "looks", "rules": [{"rule_name": "m"}]}]}
    gates = {"g": gate(), "looks": gate(rule("rl", [PUBLIC]))}
    rules = loaded(ruleset(gates, override_rules={"m": rule("m", [PUBLIC])}, overrides=overrides))

    fields = metadata(build_exposure(rules, rules.gate(ADA, "g")))

    assert (fields["gate"], fields["overrideConfigName"]) == ("g", "looks")


def test_before_a_ruleset_an_exposure_says_so() -> None:
    rules = empty_ruleset(make_context(), "Uninitialized")

    fields = metadata(build_exposure(rules, rules.gate(ADA, "g")))

    assert fields == {"gate": "g", "gateValue": "false", "ruleID": "", "reason": "Uninitialized"}


def test_an_endless_gate_is_exposed_by_name() -> None:
    rules = loaded_gates(a=gate(rule("r", [passes("a")])))

    assert metadata(build_exposure(rules, rules.gate(ADA, "a")))["gate"] == "a"


def test_an_exposure_is_made_once_per_ruleset() -> None:
    body = ruleset(GATES)
    first = loaded(body)
    found = first.gate(ADA, "g")
    second = load_now(body + b" ", first.shared_context, previous=first, source="Bootstrap")
    assert second is not None

    assert build_exposure(first, found) is build_exposure(first, found)
    assert second.gate(ADA, "g") is found
    assert metadata(build_exposure(second, found))["reason"] == "Bootstrap:Recognized"


# De-duplication and sampling.


def test_the_same_exposure_is_new_once_per_window() -> None:
    rules, recent = project(), ExposureWindow()
    found = rules.gate(ADA, "g")

    first = [recent.is_new(ADA, found), recent.is_new(User("ada"), found), recent.is_new(User("bob"), found)]
    recent.reset()

    assert (first, recent.is_new(ADA, found)) == ([True, False, True], True)


def test_a_manual_exposure_is_no_repetition() -> None:
    found, recent = project().gate(ADA, "g"), ExposureWindow()

    assert [
        recent.is_new(ADA, found),
        recent.is_new_kind(ADA, found, ("", True)),
        recent.is_new_kind(ADA, found, ("", True)),
    ] == [True, True, False]


def test_other_ids_outcomes_and_parameters_are_other_exposures() -> None:
    rules, recent = project(), ExposureWindow()
    found = rules.layer(ADA, "l")

    assert recent.is_new_kind(ADA, found, ("p", False))
    assert recent.is_new_kind(ADA, found, ("q", False))
    assert recent.is_new_kind(User("ada", custom_ids={"companyID": 5}), found, ("p", False))
    assert not recent.is_new_kind(User("ada", custom_ids={"companyID": "5"}), found, ("p", False))


def test_what_was_looked_at_on_the_way_makes_no_other_exposure() -> None:
    asks = gate(rule("r", [passes("country")]), rule("same", [PUBLIC]))
    rules = loaded_gates(country=gate(rule("nl", [field("country", "any", ["NL"])]), rule("be", [NEVER])), g=asks)
    recent = ExposureWindow()

    one, other = rules.gate(User("ada", country="NL"), "g"), rules.gate(User("ada", country="NL"), "g")

    assert (recent.is_new(ADA, one), recent.is_new(ADA, other)) == (True, False)


def test_unknown_names_are_not_merged() -> None:
    rules, recent = project(), ExposureWindow()

    assert [recent.is_new(ADA, rules.gate(ADA, name)) for name in ("x", "y", "x")] == [True, True, False]


def test_an_exposure_that_could_not_be_queued_is_new_again() -> None:
    rules, recent = project(), ExposureWindow()
    found = rules.gate(ADA, "g")
    recent.forget_one(ADA, found, AUTOMATIC)

    first = recent.is_new(ADA, found)
    recent.forget_one(ADA, found, AUTOMATIC)

    assert (first, recent.is_new(ADA, found)) == (True, True)


def test_an_id_that_is_no_key_is_new_each_time() -> None:
    found, recent, odd = project().gate(ADA, "g"), ExposureWindow(), User(["ada"])  # type: ignore[arg-type] # that is the test

    recent.forget_one(odd, found, AUTOMATIC)

    assert recent.is_new(odd, found)
    assert recent.is_new(odd, found)
    assert recent.is_new_kind(odd, found, ("p", False))


def test_a_full_window_starts_anew() -> None:
    found, recent = project().gate(ADA, "g"), ExposureWindow(max_exposures=2)

    assert recent.is_new(ADA, found)
    recent.count(1)
    assert not recent.is_new(ADA, found)
    recent.count(1)
    assert recent.is_new(ADA, found)


def sampled(mode: str, user: User, **spec: Any) -> list[Any]:
    gates = {"g": gate(rule("r", [PUBLIC], samplingRate=10), **spec)}
    rules = loaded(ruleset(gates, sdk_configs={"sampling_mode": mode}))
    recent, found = ExposureWindow(), rules.gate(user, "g")
    return [recent.sampling(rules, User(str(number)), found) for number in range(500)]


def test_sampling_keeps_the_first_and_some_of_the_rest() -> None:
    first, *rest = sampled("on", ADA)

    kept = [one for one in rest if one is not None]
    assert first == {}
    assert 10 < len(kept) < 120
    assert kept[0]["samplingRate"] == 10


def test_sampling_tells_visitors_apart() -> None:
    gates = {"g": gate(rule("r", [PUBLIC], samplingRate=10))}
    rules, recent = loaded(ruleset(gates, sdk_configs={"sampling_mode": "on"})), ExposureWindow()
    found = rules.gate(ADA, "g")
    recent.sampling(rules, ADA, found)

    kept = [recent.sampling(rules, User(anonymous_id=str(number)), found) is not None for number in range(500)]

    assert set(kept) == {True, False}


def test_shadow_sampling_only_says_what_it_would_do() -> None:
    rest = sampled("shadow", ADA)[1:]

    assert {one["shadowLogged"] for one in rest} == {"logged", "dropped"}


@pytest.mark.parametrize(("mode", "spec"), [("none", {}), ("on", {"forwardAllExposures": True})])
def test_without_a_mode_or_when_all_are_forwarded_nothing_is_sampled(mode: str, spec: Json) -> None:
    assert all(one == {} for one in sampled(mode, ADA, **spec))


def test_default_rules_have_a_rate_of_their_own() -> None:
    gates = {"g": gate(), "plain": gate(rule("r", [PUBLIC]))}
    rules = loaded(ruleset(gates, sdk_configs={"sampling_mode": "on", "special_case_sampling_rate": 5}))
    recent = ExposureWindow()

    kept = [recent.sampling(rules, User(str(number)), rules.gate(ADA, "g")) is not None for number in range(200)]

    assert 5 < sum(kept) < 120
    assert all(recent.sampling(rules, User(str(number)), rules.gate(ADA, "plain")) == {} for number in range(50))


def test_what_passed_a_gate_without_a_rate_is_not_sampled() -> None:
    gates = {
        "free": gate(rule("r", [PUBLIC])),
        "rated": gate(rule("r", [PUBLIC], samplingRate=10)),
        "one": gate(rule("r", [passes("free")], samplingRate=10)),
        "two": gate(rule("r", [passes("rated")], samplingRate=10)),
    }
    rules = loaded(ruleset(gates))

    assert [rules.gate(ADA, name).forward_all for name in ("one", "two")] == [True, False]


# Client responses.


def response(rules: Ruleset, user: User = ADA, **options: Any) -> Json:
    found: Json = orjson.loads(
        client_response(client_view(rules, **{"hash": "none", **options}), user, {"sdkType": "x"})
    )
    return found


def test_a_client_response_holds_what_is_for_clients() -> None:
    found = response(
        project(),
        User("ada", custom={"a": 1}, private_attributes={"secret": 1, "odd": {}}, custom_ids={"companyID": 5}),
    )

    assert list(found["feature_gates"]) == ["g", "looks"]
    assert list(found["dynamic_configs"]) == ["c", "e", "bare"]
    assert (found["has_updates"], found["time"], found["hash_used"]) == (True, 1_700_000_000_000, "none")
    assert found["evaluated_keys"] == {"userID": "ada", "customIDs": {"companyID": "5"}}
    assert found["user"] == {"userID": "ada", "customIDs": {"companyID": 5}, "custom": {"a": 1}}
    assert found["pa_hash"] == str((djb2("secret:1") + djb2("odd:")) % 2**32)
    assert "secret" not in orjson.dumps(found).decode()


def test_an_entry_of_each_kind() -> None:
    found = response(project())
    gone = {"name", "id_type"}

    shown = {
        name: {k: v for k, v in found["dynamic_configs"][name].items() if k not in gone} for name in ("c", "e", "bare")
    }
    exposed = [{"gate": "g", "gateValue": "true", "ruleID": "rg"}]

    assert found["feature_gates"]["looks"] == {
        "name": "looks",
        "value": True,
        "rule_id": "rl",
        "secondary_exposures": exposed,
        "id_type": "userID",
    }
    assert shown["c"] == {
        "value": {"n": 2},
        "rule_id": "default",
        "group": "default",
        "is_device_based": False,
        "passed": False,
        "secondary_exposures": [*exposed, {"gate": "looks", "gateValue": "true", "ruleID": "rl"}],
    }
    assert shown["e"] == {
        "value": {"p": 1},
        "rule_id": "re",
        "group": "re",
        "group_name": "Test",
        "is_device_based": True,
        "is_in_layer": True,
        "is_user_in_experiment": True,
        "is_experiment_active": True,
        "explicit_parameters": ["p"],
        "secondary_exposures": exposed,
    }
    assert (shown["bare"]["is_experiment_active"], "explicit_parameters" in shown["bare"]) == (False, False)
    assert found["layer_configs"]["l"]["allocated_experiment_name"] == "e"
    assert found["layer_configs"]["m"]["parameter_rule_ids"] == {"q": "rm", "z": "default"}


@pytest.mark.parametrize(
    ("hash_name", "name"), [("djb2", "103"), ("sha256", "zQqmHobDqKIOY9TiwN18+JBGWyhUBV+VOamv/GjDodA="), ("none", "g")]
)
def test_names_are_hashed(hash_name: str, name: str) -> None:
    stores = {"s": {"parameters": {"a": {"ref_type": "gate", "gate_name": "g"}, "b": 5}}, "odd": 5}
    found = response(project(param_stores=stores), hash=hash_name)

    assert len(found["feature_gates"]) == 2
    key = next(iter(found["param_stores"]))
    if hash_name != "sha256":
        assert found["feature_gates"][name]["name"] == name
        assert found["param_stores"][key] == {
            "a": {"name": "a", "ref_type": "gate", "gate_name": name},
            "b": {"name": "b"},
        }


def test_a_client_response_closes_gates_it_cannot_decide() -> None:
    gates = {
        "g": gate(rule("r", [PUBLIC, UNKNOWN])),
        "asks": gate(rule("r", [condition("experiment_group", "any", [], "e")])),
    }
    found = response(loaded(ruleset(gates, {"e": experiment(rule("r", [UNKNOWN]))})))

    assert [(one["value"], one["rule_id"]) for one in found["feature_gates"].values()] == [(False, ""), (False, "")]
    assert found["dynamic_configs"]["e"]["value"] == {}


def test_an_endless_gate_leaves_the_response() -> None:
    found = response(loaded_gates(a=gate(rule("r", [passes("a")])), b=gate(rule("r", [PUBLIC]))))

    assert list(found["feature_gates"]) == ["b"]


def test_a_malformed_spec_leaves_the_response() -> None:
    body = ruleset({"a": gate(), "b": gate()}).replace(b'"enabled":true', b'"enabled":"x"', 1)

    assert list(response(loaded(body))["feature_gates"]) == ["b"]


def test_no_ruleset_has_no_updates() -> None:
    found = response(empty_ruleset(make_context()), User())

    assert (found["has_updates"], found["feature_gates"], found["evaluated_keys"]) == (False, {}, {})


APPS: Json = {
    "a": gate(targetAppIDs=["app a"]),
    "b": gate(targetAppIDs=["app b"]),
    "none": gate(),
    "sees": gate(rule("r", [condition("target_app", "any", ["app a"])]), targetAppIDs=["app a", "app b"]),
}


@pytest.mark.parametrize(
    ("options", "more", "names"),
    [
        ({}, {}, ["a", "b", "none", "sees"]),
        ({"app": "app a"}, {}, ["a", "sees"]),
        ({"client_key": "k"}, {"sdk_keys_to_app_ids": {"k": "app b"}}, ["b", "sees"]),
        ({"client_key": "k"}, {"sdk_keys_to_app_ids": {}}, ["a", "b", "none", "sees"]),
        ({"client_key": "a"}, {"hashed_sdk_keys_to_app_ids": {"97": "app a"}}, ["a", "sees"]),
        ({"client_key": "k"}, {"app_id": ["app a", "x"]}, ["a", "sees"]),
    ],
)
def test_a_client_sees_its_app_only(options: Json, more: Json, names: list[str]) -> None:
    found = response(loaded(ruleset(APPS, **more)), **options)

    assert list(found["feature_gates"]) == names
    assert found["feature_gates"]["sees"]["value"] is (
        options.get("app") == "app a" or "hashed_sdk_keys_to_app_ids" in more
    )


def test_bandits_are_in_the_response() -> None:
    bandit = {
        "groups": [],
        "enabled": False,
        "defaultValue": {"d": 1},
        "idType": "userID",
        "salt": "s",
        "targetAppIDs": ["x"],
    }
    rules = loaded(ruleset(GATES, CONFIGS, cmab_configs={"b": bandit, "c": bandit}))

    entry = response(rules)["dynamic_configs"]["b"]

    assert (entry["value"], entry["rule_id"], "is_user_in_experiment" in entry) == ({"d": 1}, "prestart", False)
    assert "b" not in response(rules, app="y")["dynamic_configs"]


def test_overrides_are_in_the_response_when_asked_for() -> None:
    rules = loaded(ruleset(GATES), make_context(overrides=Overrides().set("gate", "g", False)))

    values = [response(rules, include_overrides=asked)["feature_gates"]["g"]["value"] for asked in (False, True)]

    assert values == [True, False]


def test_a_response_tells_the_environment_and_global_fields() -> None:
    rules = loaded(ruleset(GATES), make_context(environment={"tier": "staging"}, global_custom={"app": "x", "a": 0}))
    view = client_view(rules)

    first, second = (orjson.loads(client_response(view, User("ada", custom={"a": 1}), {})) for _ in range(2))

    assert first == second
    assert first["user"] == {"userID": "ada", "custom": {"app": "x", "a": 1}, "statsigEnvironment": {"tier": "staging"}}


def test_a_user_that_is_not_json_is_shown_as_text() -> None:
    found = response(project(), User("ada", custom={"x": {1, 2}}, email="e"))

    assert found["user"] == {"userID": "ada", "email": "e"}


def test_views_are_kept_but_not_without_bound() -> None:
    rules = project()
    first = client_view(rules)
    assert client_view(rules) is first

    for number in range(30):
        client_view(rules, app=str(number))

    assert len(rules.views) <= 20


REPLAY = {
    "sampling_rate": 0.6,
    "recording_blocked": False,
    "targeting_gate": "g",
    "session_recording_event_triggers": {"buy": {"values": ["x"], "sampling_rate": 0.1}},
    "session_recording_exposure_triggers": {"g": {"sampling_rate": 1}},
    "session_recording_privacy_settings": {"mode": "min"},
}


def test_session_replay_settings_are_carried() -> None:
    found = response(project(session_replay_info=REPLAY), hash="djb2")

    assert found["can_record_session"] is True
    assert (
        found["session_recording_rate"],
        found["recording_blocked"],
        found["passes_session_recording_targeting"],
    ) == (0.6, False, True)
    assert found["session_recording_event_triggers"] == {"buy": {"values": ["x"], "passes_sampling": False}}
    assert found["session_recording_exposure_triggers"] == {"103": {"passes_sampling": True}}
    assert found["session_recording_privacy_settings"] == {"mode": "min"}


@pytest.mark.parametrize("more", [{"recording_blocked": True}, {"targeting_gate": "missing"}, {"sampling_rate": 0.4}])
def test_a_session_may_not_be_recorded(more: Json) -> None:
    assert response(project(session_replay_info={**REPLAY, **more}))["can_record_session"] is False


def test_replay_settings_may_be_bare() -> None:
    found = response(project(session_replay_info={"session_recording_event_triggers": {"x": {}}}))

    assert (found["can_record_session"], found["session_recording_event_triggers"]) == (True, {"x": {}})


def test_the_time_of_a_response_is_told_when_known() -> None:
    rules = project()

    assert orjson.loads(client_response(client_view(rules), ADA, {}, 5))["generated_at"] == 5


# Explanations.


def test_an_explanation_is_a_tree_with_buckets() -> None:
    gates = {
        "staff": gate(rule("mail", [field("email", "str_ends_with_any", ["@example.com"])])),
        "g": gate(
            rule("first", [NEVER]),
            rule("half", [passes("staff"), condition("user_bucket", "lt", 900, salt="s")], share=50, groupName="G"),
        ),
    }

    found = explain(loaded_gates(**gates), "gate", ADA, "g")

    assert found.render().splitlines() == [
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
    assert [step.bucket for step in found.steps[1].steps] == [None, 60, 1455]


def test_private_attributes_are_not_shown() -> None:
    rules = loaded_gates(g=gate(rule("r", [field("Plan", "any", ["gold"])])))

    text = explain(rules, "gate", User("x", private_attributes={"plan": "gold"}), "g").render()

    assert '+ Plan (private) any ["gold"]' in text


def test_a_long_or_odd_value_is_shortened() -> None:
    rules = loaded_gates(g=gate(rule("r", [field("plan", "any", ["x" * 100]), field("odd", "any", [])])))

    text = explain(rules, "gate", User("x", custom={"odd": {1}}), "g").render()

    assert "..." in text
    assert "odd (not JSON) any []" in text


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
        {"e": experiment(rule("r", [PUBLIC], groupName="Test"))},
        override_rules={"m": rule("m", [PUBLIC])},
        overrides=mapping,
    )
    rules = loaded(body, make_context(overrides=Overrides().set("gate", "over", True)))

    assert expected in explain(rules, "gate", ADA, name).render()


def test_layers_and_bandits_can_be_explained() -> None:
    rules = project(cmab_configs={"b": {"groups": [], "enabled": True}})

    assert "experiment e decides" in explain(rules, "layer", ADA, "l").render()
    assert "no rule matched" in explain(rules, "layer", ADA, "m").render()
    assert "a bandit picks the group" in explain(rules, "experiment", ADA, "b").render()
    assert explain(rules, "config", ADA, "c").render().startswith('c: {"n":2} (rule default')


# Results.


def test_a_gate_is_its_value() -> None:
    rules = project()

    found = views.gate(rules, rules.gate(ADA, "g"))

    assert bool(found)
    assert views.gate(rules, rules.gate(ADA, "g")).details is found.details
    assert found == FeatureGate(
        "g", True, "rg", None, "userID", Details("Network:Recognized", 1_700_000_000_000, NOW_MS, 1, "static")
    )
    assert not FeatureGate("x")


def test_configs_and_experiments_are_shown_once_per_ruleset() -> None:
    rules = project()
    config_found, experiment_found = rules.config(ADA, "c"), rules.experiment(ADA, "e")

    shown = views.config(rules, config_found), views.experiment(rules, experiment_found)

    assert views.config(rules, config_found) is shown[0]
    assert views.experiment(rules, experiment_found) is shown[1]
    assert (shown[0].value, shown[1].value, shown[1].group) == ({"n": 2}, {"p": 1}, "Test")
    assert shown[1].details.reason == "Network:Recognized"


def test_reading_a_layers_parameter_is_reported_and_its_value_is_not() -> None:
    rules, read = project(), []
    found = views.layer(rules, rules.layer(ADA, "l"), read.append)

    values = [found.get_number("p", 0), found.get_string("p", "x"), found.get_bool("missing", True), found.value]

    assert values == [1, "x", True, {"p": 1}]
    assert (read, found.allocated_experiment, found.group) == (["p"], "e", "Test")
    assert Layer("x", {"a": 1}).get("a") == 1


VALUES = {"s": "text", "n": 1, "f": 1.5, "b": True, "a": [1, {"x": 1}], "o": {"k": [1]}, "z": None}


@pytest.mark.parametrize("kind", [DynamicConfig, Experiment, Layer])
def test_getters_give_values_of_their_type_else_the_fallback(kind: Any) -> None:
    shown = kind("x", VALUES)

    assert (
        shown.get_string("s", "d"),
        shown.get_string("n", "d"),
        shown.get_string("z", "d"),
        shown.get_string("gone"),
    ) == ("text", "d", "d", None)
    assert (shown.get_number("n", 0), shown.get_number("f", 0), shown.get_number("s", 7)) == (1, 1.5, 7)
    assert (shown.get_bool("b", False), shown.get_bool("s", False)) == (True, False)
    assert (shown.get_array("a", []), shown.get_array("o", [9])) == ([1, {"x": 1}], [9])
    assert (shown.get_object("o", {}), shown.get_object("a", {})) == ({"k": [1]}, {})
    assert (shown.get("n"), shown.get("n", "d"), shown.get("n", 5), shown.get("gone", 5), shown.get("s", object)) == (
        1,
        "d",
        1,
        5,
        "text",
    )


def test_a_store_finds_its_parameters_by_asking() -> None:
    values = {"a": 1, "b": "x"}
    store = ParameterStore("s", lambda name, kinds: values[name] if values[name].__class__ in kinds else None)

    assert (store.get_number("a", 0), store.get_string("a", "d"), ParameterStore("s").get("a", "d")) == (1, "d", "d")


def test_a_number_is_no_bool() -> None:
    shown = DynamicConfig("x", {"n": 1, "b": True})

    assert (shown.get_bool("n", False), shown.get_number("b", 5)) == (False, 5)


@pytest.mark.parametrize("kind", [DynamicConfig, Experiment, Layer])
def test_nobody_can_change_the_rules_through_a_result(kind: Any) -> None:
    shown = kind("x", {"a": [1], "o": {"k": [1]}})

    shown.get_array("a").append(2)
    shown.get_object("o")["k"].append(2)
    shown.value["a"].append(2)

    assert shown.value == {"a": [1], "o": {"k": [1]}}


def test_memory_on_a_user_starts_with_the_second_lookup_and_is_bounded() -> None:
    rules = loaded(ruleset({f"g{number}": gate(rule("r", [PUBLIC])) for number in range(700)}))
    one = User("x")

    rules.gate(one, "g0")
    assert not one._memo
    for number in range(700):
        assert rules.gate(one, f"g{number}").value is True

    assert one._memo
    assert len(one._memo) <= 500
    assert rules.gate(one, "g699") is rules.gate(one, "g699")
    assert attrs.evolve(one)._memo is None
