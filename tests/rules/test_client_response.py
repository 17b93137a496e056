"""The client-initialize response: which names it has, and each kind of entry."""

from typing import Any

import orjson
import pytest

from asyncsdk._model.users import User
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.language.buckets import djb2
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.ruleset import Ruleset, empty_ruleset
from rules.rulesets import (
    PUBLIC,
    SAMPLE_BANDIT,
    UNKNOWN,
    Json,
    condition,
    config,
    experiment,
    gate,
    loaded,
    loaded_gates,
    make_context,
    passes,
    rule,
    ruleset,
)
from rules.small_project import ADA, CONFIGS, GATES, project


def response(rules: Ruleset, user: User = ADA, **options: Any) -> Json:
    body: Json = orjson.loads(
        client_response(client_view(rules, **{"hash": "none", **options}), user, {"sdkType": "x"})
    )
    return body


def test_a_response_has_only_names_for_clients_and_no_private_attributes() -> None:
    body = response(
        project(),
        User("ada", custom={"a": 1}, private_attributes={"secret": 1, "odd": {}}, custom_ids={"companyID": 5}),
    )

    assert list(body["feature_gates"]) == ["g", "looks"]
    assert list(body["dynamic_configs"]) == ["c", "e", "bare"]
    assert (body["has_updates"], body["time"], body["hash_used"]) == (True, 1_700_000_000_000, "none")
    assert body["evaluated_keys"] == {"userID": "ada", "customIDs": {"companyID": "5"}}
    assert body["user"] == {"userID": "ada", "customIDs": {"companyID": "5"}, "custom": {"a": 1}}
    assert body["pa_hash"] == str((djb2("secret:1") + djb2("odd:")) % 2**32)
    assert "secret" not in orjson.dumps(body).decode()


def test_an_entry_of_each_kind() -> None:
    body = response(project())
    common = {"name", "id_type"}

    shown = {
        name: {k: v for k, v in body["dynamic_configs"][name].items() if k not in common} for name in ("c", "e", "bare")
    }
    exposed = [{"gate": "g", "gateValue": "true", "ruleID": "rg"}]

    assert body["feature_gates"]["looks"] == {
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
    assert body["layer_configs"]["l"]["allocated_experiment_name"] == "e"
    assert body["layer_configs"]["m"]["parameter_rule_ids"] == {"q": "rm", "z": "default"}


@pytest.mark.parametrize(
    ("hash_name", "name"), [("djb2", "103"), ("sha256", "zQqmHobDqKIOY9TiwN18+JBGWyhUBV+VOamv/GjDodA="), ("none", "g")]
)
def test_names_are_hashed(hash_name: str, name: str) -> None:
    stores = {"s": {"parameters": {"a": {"ref_type": "gate", "gate_name": "g"}, "b": 5}}, "odd": 5}
    body = response(project(param_stores=stores), hash=hash_name)

    assert len(body["feature_gates"]) == 2
    key = next(iter(body["param_stores"]))
    if hash_name != "sha256":
        assert body["feature_gates"][name]["name"] == name
        assert body["param_stores"][key] == {
            "a": {"name": "a", "ref_type": "gate", "gate_name": name},
            "b": {"name": "b"},
        }


def test_a_gate_that_cannot_be_decided_is_closed() -> None:
    gates = {
        "g": gate(rule("r", [PUBLIC, UNKNOWN])),
        "asks": gate(rule("r", [condition("experiment_group", "any", [], "e")])),
    }
    body = response(loaded(ruleset(gates, {"e": experiment(rule("r", [UNKNOWN]))})))

    assert [(one["value"], one["rule_id"]) for one in body["feature_gates"].values()] == [
        (False, ""),
        (False, "default"),
    ]
    assert body["dynamic_configs"]["e"]["value"] == {}


def test_a_condition_on_an_experiments_group_is_evaluated_as_in_lookups() -> None:
    asks = condition("experiment_group", "any", ["test"], "e")
    rules = loaded(ruleset(GATES | {"asks": gate(rule("ra", [asks]))}, CONFIGS))

    entry = response(rules)["feature_gates"]["asks"]

    assert (entry["value"], entry["rule_id"]) == (rules.gate(ADA, "asks").value, "ra") == (True, "ra")


def test_a_mapped_experiment_is_described_as_the_one_that_answers() -> None:
    new = experiment(rule("rn", [PUBLIC]), isActive=False, hasSharedParams=True, explicitParameters=["n"])
    rules = loaded(
        ruleset(
            GATES,
            {**CONFIGS, "new": new},
            override_rules={"m": rule("m", [PUBLIC])},
            overrides={"e": [{"new_config_name": "new", "rules": [{"rule_name": "m"}]}]},
        )
    )

    entry = response(rules)["dynamic_configs"]["e"]

    assert (entry["rule_id"], entry["explicit_parameters"]) == ("rn", ["n"])
    assert (entry["is_in_layer"], entry["is_experiment_active"]) == (True, False)


def test_explicit_parameters_need_no_layer() -> None:
    entry = response(loaded(ruleset({}, {"e": experiment(explicitParameters=["p"])})))["dynamic_configs"]["e"]

    assert (entry["explicit_parameters"], "is_in_layer" in entry) == (["p"], False)


@pytest.mark.parametrize("value", [None, True, 5, "x", []])
def test_a_config_whose_value_is_no_object_is_empty(value: Any) -> None:
    body = response(loaded(ruleset({}, {"c": config(rule("r", [PUBLIC], value))})))

    assert body["dynamic_configs"]["c"]["value"] == {}


def test_an_overridden_gate_has_no_id_type() -> None:
    rules = loaded(ruleset(GATES), make_context(overrides=Overrides().set("gate", "g", False)))

    assert "id_type" not in response(rules, include_overrides=True)["feature_gates"]["g"]


def test_a_gate_that_refers_to_itself_is_omitted() -> None:
    body = response(loaded_gates(a=gate(rule("r", [passes("a")])), b=gate(rule("r", [PUBLIC]))))

    assert list(body["feature_gates"]) == ["b"]


def test_a_malformed_spec_is_omitted() -> None:
    body = ruleset({"a": gate(), "b": gate()}).replace(b'"enabled":true', b'"enabled":"x"', 1)

    assert list(response(loaded(body))["feature_gates"]) == ["b"]


def test_without_rules_there_are_no_updates() -> None:
    body = response(empty_ruleset(make_context()), User())

    assert (body["has_updates"], body["feature_gates"], body["evaluated_keys"]) == (False, {}, {})


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
        ({"client_key": "k"}, {"app_id": "app b"}, ["b", "sees"]),
        ({"client_key": "k"}, {"app_id": ["app a", "app b"]}, []),
        ({"client_key": "k"}, {"sdk_keys_to_app_ids": {"k": ["app a"]}}, []),
        ({"client_key": "k"}, {"app_id": 5}, []),
    ],
)
def test_a_client_sees_the_names_of_its_app_only(options: Json, more: Json, names: list[str]) -> None:
    body = response(loaded(ruleset(APPS, **more)), **options)

    assert list(body["feature_gates"]) == names
    if names:
        assert body["feature_gates"]["sees"]["value"] is (
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


def test_a_bandit_replaces_the_entry_of_a_config_with_its_name() -> None:
    bandit = {**SAMPLE_BANDIT, "enabled": False}

    entry = response(loaded(ruleset({}, {"b": config()}, cmab_configs={"b": bandit})))["dynamic_configs"]["b"]

    assert (entry["rule_id"], "passed" in entry) == ("prestart", False)


def test_overrides_apply_if_requested() -> None:
    rules = loaded(ruleset(GATES), make_context(overrides=Overrides().set("gate", "g", False)))

    values = [response(rules, include_overrides=asked)["feature_gates"]["g"]["value"] for asked in (False, True)]

    assert values == [True, False]


def test_a_response_has_the_environment_and_global_fields() -> None:
    rules = loaded(ruleset(GATES), make_context(environment={"tier": "staging"}, global_custom={"app": "x", "a": 0}))
    view = client_view(rules)

    first, second = (orjson.loads(client_response(view, User("ada", custom={"a": 1}), {})) for _ in range(2))

    assert first == second
    assert first["user"] == {"userID": "ada", "custom": {"app": "x", "a": 1}, "statsigEnvironment": {"tier": "staging"}}


def test_fields_of_a_user_that_have_no_json_are_omitted() -> None:
    body = response(project(), User("ada", custom={"x": {1, 2}, "y": object()}, email="e"))

    assert body["user"] == {"userID": "ada", "email": "e", "custom": {"x": [1, 2]}}


def test_views_are_cached_up_to_a_limit() -> None:
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
    "session_recording_event_triggers": {"buy": {"values": ["x"], "sampling_rate": 0.1, "note": "internal"}},
    "session_recording_exposure_triggers": {"g": {"sampling_rate": 1}},
    "session_recording_privacy_settings": {"privacy_mode": "min", "masked_elements": ["p"], "note": "internal"},
}


def test_session_replay_settings_are_in_the_response() -> None:
    body = response(project(session_replay_info=REPLAY), hash="djb2")

    assert body["can_record_session"] is True
    assert (
        body["session_recording_rate"],
        body["recording_blocked"],
        body["passes_session_recording_targeting"],
    ) == (0.6, False, True)
    assert body["session_recording_event_triggers"] == {"buy": {"values": ["x"], "passes_sampling": False}}
    assert body["session_recording_exposure_triggers"] == {"103": {"passes_sampling": True}}
    assert body["session_recording_privacy_settings"] == {"privacy_mode": "min", "masked_elements": ["p"]}


@pytest.mark.parametrize("more", [{"recording_blocked": True}, {"targeting_gate": "missing"}, {"sampling_rate": 0.4}])
def test_a_session_is_not_recorded_if_blocked_untargeted_or_unsampled(more: Json) -> None:
    assert response(project(session_replay_info={**REPLAY, **more}))["can_record_session"] is False


def test_most_session_replay_settings_are_optional() -> None:
    body = response(project(session_replay_info={"session_recording_event_triggers": {"x": {}}}))

    assert (body["can_record_session"], body["session_recording_event_triggers"]) == (True, {"x": {}})


def test_a_response_has_the_time_if_it_is_given() -> None:
    rules = project()

    assert orjson.loads(client_response(client_view(rules), ADA, {}, 5))["generated_at"] == 5
