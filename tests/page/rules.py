"""A ruleset with one name of each sort that the page shows differently."""

import json

from helpers import rule, spec

_BUCKETS = {"salt": "button"}
RULES = json.dumps(
    {
        "has_updates": True,
        "time": 1000,
        "condition_map": {
            "everybody": {"type": "public"},
            "in NL": {"type": "user_field", "operator": "any", "targetValue": ["NL"], "field": "country"},
            "passes dutch": {"type": "pass_gate", "targetValue": "dutch"},
            "first half": {"type": "user_bucket", "operator": "lt", "targetValue": 500, "additionalValues": _BUCKETS},
            "second half": {"type": "user_bucket", "operator": "gte", "targetValue": 500, "additionalValues": _BUCKETS},
        },
        "feature_gates": {
            "new_checkout": spec("feature_gate", False, rule("all", True, "everybody", passPercentage=50), salt="new"),
            "dutch": spec("feature_gate", False, rule("the Netherlands", True, "in NL")),
            "express": spec("feature_gate", False, rule("first the Dutch", True, "passes dutch")),
            "old_banner": spec("feature_gate", False, enabled=False),
        },
        "dynamic_configs": {
            "prices": spec("dynamic_config", {"lamp": 20}, rule("sale", {"lamp": 15}, "in NL")),
            "button": spec(
                "experiment",
                {},
                rule("control", {"color": "blue"}, "first half", groupName="Control"),
                rule("test", {"color": "green"}, "second half", groupName="Test"),
                isActive=True,
            ),
        },
        "layer_configs": {"homepage": spec("layer", {"title": "Hello"})},
        "id_lists": {},
    }
).encode()
