"""The user and the ruleset of the lookup benchmarks: one spec per timed lookup."""

import json
from typing import Any

CUSTOM = {"plan": "pro", "level": 9, "beta": True, "team": "red", "score": 1.5}
MANY = CUSTOM | {f"field_{number}": f"value {number}" for number in range(25)}
USER: dict[str, Any] = {"email": "ada@example.com", "country": "NL", "app_version": "1.3.0", "custom": CUSTOM}


def condition(
    kind: str, operator: str | None = None, target: Any = None, field: str | None = None, salt: str = ""
) -> Any:
    """Return a condition."""
    return {
        "type": kind,
        "operator": operator,
        "targetValue": target,
        "field": field,
        "additionalValues": {"salt": salt},
        "idType": "userID",
    }


def rule(name: str, conditions: list[Any], value: Any = True, share: float = 100, **more: Any) -> Any:  # noqa: FBT002
    """Return a rule."""
    common = {"id": name, "name": name, "salt": "c0ffee00-1111-2222-3333-444444444444", "idType": "userID"}
    return {**common, "conditions": conditions, "returnValue": value, "passPercentage": share, **more}


def spec(entity: str, *rules: Any, **more: Any) -> Any:
    """Return a spec."""
    kind = "feature_gate" if entity == "feature_gate" else "dynamic_config"
    default = False if kind == "feature_gate" else {}
    common = {"type": kind, "entity": entity, "salt": "f00dface-aaaa-bbbb-cccc-dddddddddddd", "enabled": True}
    return {**common, "defaultValue": default, "rules": list(rules), "idType": "userID", "version": 1, **more}


def project(copies: int = 0) -> bytes:
    """Return the ruleset, with `copies` of each spec beside the specs themselves."""
    public = [condition("public")]
    detailed = [
        condition("user_field", "any", ["US", "NL", "BE"], "country"),
        condition("user_field", "str_ends_with_any", ["@example.com", "@example.org"], "email"),
        condition("user_field", "version_gte", "1.2.0", "appVersion"),
    ]
    gates = {
        "public": spec("feature_gate", rule("all", public)),
        "detailed": spec("feature_gate", rule("some", detailed)),
        "half": spec("feature_gate", rule("half", public, share=50)),
        "most": spec("feature_gate", rule("most", public, share=99)),
        "listed": spec("feature_gate", rule("listed", [condition("unit_id", "in_segment_list", "members")])),
        "off": spec("feature_gate", rule("none", [condition("user_field", "any", ["x"], "userID")])),
        "nested": spec(
            "feature_gate",
            rule(
                "deep",
                [
                    condition("pass_gate", None, "public"),
                    condition("pass_gate", None, "detailed"),
                    condition("fail_gate", None, "off"),
                    condition("pass_gate", None, "most"),
                ],
            ),
        ),
    }
    bucket = "exp00000-aaaa-bbbb-cccc-dddddddddddd"
    configs = {
        "config": spec("dynamic_config", rule("all", public, {"title": "hello", "price": 10})),
        "experiment": spec(
            "experiment",
            rule(
                "a",
                [condition("user_bucket", "lt", 500, None, bucket)],
                {"p": 1},
                groupName="A",
                isExperimentGroup=True,
            ),
            rule(
                "b",
                [condition("user_bucket", "lt", 1000, None, bucket)],
                {"p": 2},
                groupName="B",
                isExperimentGroup=True,
            ),
            isActive=True,
            explicitParameters=["p"],
        ),
    }
    sliced = json.loads(json.dumps(configs["experiment"]))
    sliced["rules"].insert(0, rule("slice", [condition("user_bucket", "gte", 999, None, "layer000")], {}))
    configs["sliced"] = sliced
    for section in (gates, configs):
        section |= {
            f"{name} {number}": json.loads(json.dumps(one)) for number in range(copies) for name, one in section.items()
        }
    layers = {"layer": spec("layer", rule("delegates", public, {}, configDelegate="experiment"))}
    return written({"gates": gates, "configs": configs, "layers": layers})


def written(specs: dict[str, Any]) -> bytes:
    """Return a ruleset in the form that the server sends: specs, and one table of their conditions."""
    table: dict[str, Any] = {}
    sections = {
        "feature_gates": specs.get("gates", {}),
        "dynamic_configs": specs.get("configs", {}),
        "layer_configs": specs.get("layers", {}),
    }
    for section in sections.values():
        for one in section.values():
            for found in one["rules"]:
                keys = [str(len(table) + place) for place in range(len(found["conditions"]))]
                table |= dict(zip(keys, found["conditions"], strict=True))
                found["conditions"] = keys
    body = {"has_updates": True, "time": 1, "company_id": "c", "response_format": "dcs-v2", "experiment_to_layer": {}}
    return json.dumps({**body, **sections, "condition_map": table}).encode()
