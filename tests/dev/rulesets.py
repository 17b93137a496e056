"""Small rulesets in format v2."""

from typing import Any

import orjson

Json = dict[str, Any]

TABLE: Json = {
    "all": {"type": "public", "idType": "userID"},
    "ada": {"type": "user_field", "idType": "userID", "field": "userID", "operator": "any", "targetValue": ["ada"]},
}


def rule(conditions: list[Any], value: Any = True, share: float = 100, name: str = "rule") -> Json:  # noqa: FBT002 -- any JSON
    return {
        "id": name,
        "name": name,
        "idType": "userID",
        "conditions": conditions,
        "passPercentage": share,
        "returnValue": value,
    }


def spec(*rules: Json, default: Any = False, entity: str = "feature_gate", **more: Any) -> Json:
    kind = "feature_gate" if entity in ("feature_gate", "holdout", "segment") else "dynamic_config"
    common = {"type": kind, "entity": entity, "idType": "userID", "salt": "salt", "enabled": True}
    return {**common, "defaultValue": default, "rules": list(rules), **more}


def ruleset(gates: Json | None = None, configs: Json | None = None, **more: Any) -> Json:
    return {
        "has_updates": True,
        "time": 1000,
        "feature_gates": gates or {},
        "dynamic_configs": configs or {},
        "layer_configs": {},
        "condition_map": TABLE,
        **more,
    }


ON = ruleset({"new_checkout": spec(rule(["all"]))})
OFF = ruleset({"new_checkout": spec()})


def as_bytes(value: Any) -> bytes:
    return orjson.dumps(value)
