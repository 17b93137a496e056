"""A small project with names of each kind, as the server would send it."""

from typing import Any

import orjson

from rules.rulesets import (
    NEVER,
    PUBLIC,
    condition,
    config,
    experiment,
    fails,
    field,
    gate,
    layer,
    passes,
    rule,
    ruleset,
)

WORLD: dict[str, Any] = orjson.loads(
    ruleset(
        {
            "public": gate(rule("everyone", [PUBLIC])),
            "staff": gate(rule("mail", [field("email", "str_ends_with_any", ["@example.com"])])),
            "segment:dutch": {**gate(rule("nl", [field("country", "any", ["NL"])])), "entity": "segment"},
            "checkout": gate(
                rule("holdout", [fails("public")], value=False),
                rule("staff", [passes("staff"), passes("segment:dutch")]),
                rule("rest", [field("appVersion", "version_gte", "2.1")], share=50, salt="rest"),
            ),
            "pattern": gate(
                rule("r", [field("email", "str_matches", "^a.*z$"), condition("unit_id", "in_segment_list", "staff")])
            ),
            "time": gate(
                rule("r", [condition("current_time", "after", 5), condition("ip_based", "none", ["CA"], "country")])
            ),
            "agent": gate(
                rule(
                    "r",
                    [
                        condition("ua_based", "any", ["axios"], "browser_name"),
                        condition("environment_field", "any", ["x"], "tier"),
                    ],
                )
            ),
        },
        {
            "prices": config(
                rule("dutch", [passes("segment:dutch")], {"currency": "EUR"}), defaultValue={"currency": "USD"}
            ),
            "e0": experiment(
                rule("targetingGate", [fails("public")], {"color": "grey"}),
                rule(
                    "a",
                    [condition("user_bucket", "lt", 500, salt="e0")],
                    {"color": "red"},
                    groupName="A",
                    isExperimentGroup=True,
                ),
                rule(
                    "b",
                    [condition("user_bucket", "lt", 1000, salt="e0")],
                    {"color": "blue"},
                    groupName="B",
                    isExperimentGroup=True,
                ),
                explicitParameters=["color"],
                hasSharedParams=True,
            ),
        },
        {
            "home": layer(
                rule(
                    "slice",
                    [condition("user_bucket", "any", [str(n) for n in range(800)], salt="home")],
                    configDelegate="e0",
                ),
                defaultValue={"color": "green", "size": 1},
            ),
            "merging": layer(
                rule("m1", [NEVER], {"x": 1}),
                rule("m2", [PUBLIC], {}, configDelegate="e0"),
                rule("m3", [PUBLIC], {"y": 2}),
                useNewLayerEval=True,
            ),
        },
        override_rules={"or": rule("or", [field("userID", "any", ["u"])])},
        overrides={"prices": [{"new_config_name": "e0", "rules": [{"rule_name": "or"}]}]},
        param_stores={
            "store": {
                "parameters": {"a": {"ref_type": "gate", "gate_name": "public", "pass_value": 1, "fail_value": 2}}
            }
        },
        cmab_configs={
            "bandit": {
                "salt": "s",
                "defaultValue": {},
                "idType": "userID",
                "enabled": True,
                "version": 1,
                "sampleRate": 0.5,
                "higherIsBetter": True,
                "groups": [{"name": "A", "id": "ga", "parameterValues": {"v": 1}}],
                "config": {
                    "ga": {
                        "alpha": 1,
                        "intercept": 1,
                        "records": 1,
                        "weightsNumerical": {"level": 1},
                        "weightsCategorical": {},
                    }
                },
                "targetingGateName": "public",
            }
        },
        session_replay_info={"sampling_rate": 0.5, "targeting_gate": "public"},
        sdk_keys_to_app_ids={"x": "y"},
        sdk_configs={"sampling_mode": "on"},
    )
)
