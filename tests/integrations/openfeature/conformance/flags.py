"""The flags of OpenFeature's conformance suites, as rules of Statsig.

Names, types, variants and conditions are those of the specification's repository (`specification/assets`, v0.9.0):
 `gherkin/test-flags.json` (appendix B) and `provider-tck/flags/canonical-flags.json` (appendix F). A
boolean flag is a gate, any other a config with one parameter, `value`; its variants are rules.
"""

import json
from collections.abc import Mapping
from typing import Any

import attrs
from helpers import rule, spec

TEMPLATE = {"showImages": True, "title": "Check out these pics!", "imagesPerPage": 100}
BALLMER = {"type": "user_field", "field": "email", "operator": "any_case_sensitive", "targetValue": ["ballmer@macrosoft.com"]}  # fmt: skip
NO_CUSTOMER = {"type": "user_field", "field": "customer", "operator": "any", "targetValue": ["false"]}
HIT = {"type": "user_field", "field": "userID", "operator": "any_case_sensitive", "targetValue": ["5c3d8535-f81a-4478-a6d3-afaa4d51199e"]}  # fmt: skip


@attrs.frozen
class Flag:
    """A flag: a variant for all users, or for those who meet a condition; the others get `otherwise`."""

    variant: str
    value: Any
    condition: Mapping[str, Any] | None = None
    otherwise: Any = None
    enabled: bool = True

    def as_spec(self, condition: str) -> dict[str, Any]:
        is_gate = isinstance(self.value, bool)
        default = self.value if self.condition is None else self.otherwise
        value, default = (self.value, default) if is_gate else ({"value": self.value}, {"value": default})
        rules = [rule(self.variant, value, condition)] if self.enabled else []
        default = default if self.enabled else False if is_gate else {}
        return spec("feature_gate" if is_gate else "dynamic_config", default, *rules, enabled=self.enabled)


FLAGS = {
    "boolean-flag": Flag("on", True),
    "string-flag": Flag("greeting", "hi"),
    "integer-flag": Flag("ten", 10),
    "float-flag": Flag("half", 0.5),
    "object-flag": Flag("template", TEMPLATE),
    "wrong-flag": Flag("one", "uno"),
    "boolean-zero-flag": Flag("zero", False),
    "string-zero-flag": Flag("zero", ""),
    "integer-zero-flag": Flag("zero", 0),
    "float-zero-flag": Flag("zero", 0.0),
    "object-zero-flag": Flag("zero", {}),
    "boolean-targeted-zero-flag": Flag("zero", False, BALLMER, False),
    "string-targeted-zero-flag": Flag("zero", "", BALLMER, ""),
    "integer-targeted-zero-flag": Flag("zero", 0, BALLMER, 0),
    "float-targeted-zero-flag": Flag("zero", 0.0, BALLMER, 0.0),
    "object-targeted-zero-flag": Flag("zero", {}, BALLMER, {}),
    "context-aware": Flag("internal", "INTERNAL", NO_CUSTOMER, "EXTERNAL"),
    "targeting-key-flag": Flag("hit", "hit", HIT, "miss"),
    "large-integer-flag": Flag("max-int32", 2147483647),
    "huge-integer-flag": Flag("max-safe", 9007199254740991),
    "integral-float-flag": Flag("ten", 10.0),
    "disabled-boolean-flag": Flag("on", True, enabled=False),
    "disabled-string-flag": Flag("greeting", "hi", enabled=False),
    "disabled-integer-flag": Flag("ten", 10, enabled=False),
    "disabled-float-flag": Flag("half", 0.5, enabled=False),
    "changing-flag": Flag("foo", "foo"),
}


def ruleset(time: int = 1000, **changes: Flag) -> bytes:
    """Build a ruleset of all flags; names in `changes` have `_` for `-`."""
    flags = FLAGS | {name.replace("_", "-"): flag for name, flag in changes.items()}
    conditions: dict[str, Any] = {"everybody": {"type": "public"}}
    gates: dict[str, Any] = {}
    configs: dict[str, Any] = {}
    for name, flag in flags.items():
        condition = "everybody" if flag.condition is None else name
        if flag.condition is not None:
            conditions[name] = flag.condition
        (gates if isinstance(flag.value, bool) else configs)[name] = flag.as_spec(condition)
    body = {"has_updates": True, "time": time, "condition_map": conditions, "layer_configs": {}}
    return json.dumps({**body, "feature_gates": gates, "dynamic_configs": configs}).encode()
