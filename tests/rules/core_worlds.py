"""Random rulesets and users for the comparison with statsig-python-core: many references, and fields of odd types.

Names refer to earlier ones only, in this order: gates `g0` to `g2`; experiments `e0`, `e1` and bandit `b0`; gates `g3` to
`g5`; experiments `e2` to `e4` and bandit `b1`; layers. The package overflows its stack, and the process ends, if an
experiment's group or a config mapping leads back to itself.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

from rules.rulesets import Json, condition

GATES = ("g0", "g1", "segment:s", "g2", "g3", "g4", "g5")
EXPERIMENTS = ("e0", "e1", "e2", "e3", "e4")
BANDITS = ("b0", "b1")
LAYERS = ("l0", "l1", "l2")
_ORDER = ("g0", "g1", "segment:s", "g2", "e0", "e1", "b0", "g3", "g4", "g5", "e2", "e3", "e4", "b1", *LAYERS)
_ID_TYPES = ("userID", "userID", "stableID", "companyID", "userid")
_FIELDS = ("email", "userID", "country", "plan", "Plan", "level", "tags", "user_id", "appVersion", "locale")
_WORDS = ("", "a", "A", "nl", "9", "1.2.3", "true", "a@b.c", "Group 1", "pro", "free", "null")
_VALUES: tuple[Any, ...] = (None, True, False, 0, 9, -1, 0.5, 1e3, 2**53 + 1, *_WORDS, [], ["a", 9], [None, "x"], [[1]])
_PARAMETERS = ("p", "q", "r", "s")
_GROUPS = ("Control", "Test", "Group 1")
# Users have these; the package takes no others.
_USER_VALUES: tuple[Any, ...] = (True, False, 0, 9, -1, 0.5, 1e3, 2**53 + 1, *_WORDS, ["a", "9"], [1, 2], {"k": "v"})
_ODD: tuple[Any, ...] = (5, "5", True, None, [], ["x"], {}, {"x": 1}, 1.5, -1)
_USER_FIELDS: tuple[Any, ...] = ("", "a@b.c", "A@B.C", "nl", "NL", "9", "1.2.3", "null", "x" * 80)

# Optional fields of specs: how likely one is present, and its values.
_GATE_FIELDS: dict[str, tuple[float, Sequence[Any]]] = {
    "version": (0.8, range(9)),
    "forwardAllExposures": (0.1, (True, False, None)),
}
_EXPERIMENT_FIELDS: dict[str, tuple[float, Sequence[Any]]] = {
    **_GATE_FIELDS,
    "isActive": (0.75, (True, True, False, None)),
    "hasSharedParams": (0.75, (True, True, False, None)),
    "explicitParameters": (0.75, (["p"], ["q", "p"], [], None)),
}
_LAYER_FIELDS: dict[str, tuple[float, Sequence[Any]]] = {
    **_GATE_FIELDS,
    "explicitParameters": (0.2, (["p"], [])),
    "useNewLayerEval": (0.4, (True, True, False, None)),
}


class World:
    """Builds one ruleset from a seed.

    Attributes:
        chance: The source of randomness.
        conditions: The table of conditions so far.
        is_odd: Fields sometimes have a wrong type.
        asks_bandits: Conditions may test a bandit's group; gates then have no groups.
        is_cyclic: Gates may refer to any gate; there are then no mappings and no conditions on groups.
        has_unknown: Conditions sometimes have an unknown type or operator, or none.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.conditions: dict[str, Json] = {}
        self.is_odd = self.chance.random() < 0.35
        self.asks_bandits = self.chance.random() < 0.5
        self.is_cyclic = self.chance.random() < 0.06
        self.has_unknown = self.chance.random() < 0.35

    def flip(self, likelihood: float) -> bool:
        return self.chance.random() < likelihood

    def pick(self, choices: Sequence[Any]) -> Any:
        return self.chance.choice(choices)

    def build(self) -> Json:
        """Return a ruleset of the newer format (v2)."""
        specs = {name: self.spec(name) for name in _ORDER if name not in BANDITS}
        bandits = {name: self.bandit(name) for name in BANDITS if self.flip(0.7)}
        if bandits and self.asks_bandits and self.flip(0.4):  # a bandit with the name of an experiment wins over it
            bandits["e3"] = self.bandit("e3")
        body: Json = {
            "has_updates": True,
            "time": 1_700_000_000_000,
            "company_id": "c",
            "response_format": "dcs-v2",
            "experiment_to_layer": {},
            "feature_gates": {name: specs[name] for name in GATES},
            "dynamic_configs": {name: specs[name] for name in EXPERIMENTS},
            "layer_configs": {name: specs[name] for name in LAYERS},
            "cmab_configs": bandits,
            "param_stores": self.stores(),
        }
        self.add_mappings(body)
        self.add_settings(body)
        for section in ("feature_gates", "dynamic_configs", "layer_configs"):
            body[section] = self.omit_some(body[section])
            if self.is_odd:
                self.make_odd(body[section])
        body["condition_map"] = self.conditions
        return body

    def omit_some(self, section: Json) -> Json:
        return {name: spec for name, spec in section.items() if not self.flip(0.05)}

    # Specs

    def spec(self, name: str) -> Json:
        is_gate = name in GATES
        value: Callable[[], Any] = (lambda: self.pick((True, False))) if is_gate else self.value
        entity = self.entity(name)
        spec: Json = {
            "type": "feature_gate" if is_gate else "dynamic_config",
            "entity": entity,
            "salt": self.pick(("", "spec", "z" * 64)),
            "enabled": self.flip(0.85),
            "defaultValue": value(),
            "rules": [self.rule(name, number, value) for number in range(self.pick((0, 1, 1, 2, 2, 3, 4)))],
            "idType": self.pick(_ID_TYPES),
            "targetAppIDs": self.pick((None, [], ["app a"], ["app a", "app b"])),
        }
        optional = _LAYER_FIELDS if name in LAYERS else _GATE_FIELDS if is_gate else _EXPERIMENT_FIELDS
        return spec | {
            key: self.pick(choices) for key, (likelihood, choices) in optional.items() if self.flip(likelihood)
        }

    def entity(self, name: str) -> str:
        if name in LAYERS:
            return "layer"
        usual, others = (
            ("feature_gate", ("holdout",)) if name in GATES else ("experiment", ("dynamic_config", "autotune"))
        )
        entity: str = "segment" if name.startswith("segment:") else self.pick(others) if self.flip(0.12) else usual
        return entity

    def value(self) -> Any:
        if self.flip(0.03):
            return self.pick((None, 5, "x", [], True, False))
        return {name: self.pick(_VALUES) for name in _PARAMETERS if self.flip(0.45)}

    def rule(self, name: str, number: int, value: Callable[[], Any], *, references: bool = True) -> Json:
        count = self.pick((0, 1, 1, 1, 2, 3))
        rule: Json = {
            "id": f"r{number}" if self.flip(0.93) else self.pick(("r0", "", "x:id_override", "targetingGate")),
            "name": f"r{number}",
            "passPercentage": self.pick((100, 100, 100, 100, 0, 50, 33.33, 0.5, 100.0)),
            "conditions": [self.intern(self.condition(name, references=references)) for _ in range(count)],
            "returnValue": value(),
            "idType": self.pick(_ID_TYPES),
        }
        if self.flip(0.6):
            rule["salt"] = self.pick(("", "salt", None, "y" * 64))
        # A bandit's group may be that of its targeting gate's rule: it would decide conditions on the bandit's group.
        if self.flip(0.5) and (name not in GATES or not self.asks_bandits):
            rule |= {
                "groupName": self.pick((*_GROUPS, None)),
                "isExperimentGroup": self.pick((True, True, False, None)),
            }
        if self.flip(0.75 if name in LAYERS else 0.04 if name[0] == "e" else 0):
            rule["configDelegate"] = self.pick([*self.earlier(name, (*EXPERIMENTS, *BANDITS)), "missing"])
        if self.flip(0.1):
            rule["samplingRate"] = self.pick((1, 10, None))
        return rule

    def earlier(self, name: str, kinds: Sequence[str]) -> list[str]:
        return [one for one in _ORDER[: _ORDER.index(name)] if one in kinds]

    # Conditions

    def intern(self, found: Json) -> str:
        key = f"k{len(self.conditions)}"
        if self.has_unknown and self.flip(0.02):
            return "absent"
        self.conditions[key] = found
        return key

    def condition(self, name: str, *, references: bool) -> Json:
        gates = self.earlier(name, GATES)
        experiments = self.earlier(name, (*EXPERIMENTS, *(BANDITS if self.asks_bandits else ())))
        if self.is_cyclic and name in GATES:
            gates = [*GATES]
        if references and gates and self.flip(0.45):
            found = condition(
                self.pick(("pass_gate", "pass_gate", "fail_gate")), None, self.pick([*gates, gates[-1], "missing"])
            )
        elif references and experiments and not self.is_cyclic and name[0] != "e" and self.flip(0.15):
            operator = self.pick(("any", "none", "eq", "neq", "str_contains_any", "any_case_sensitive"))
            target = self.pick(([], ["Test"], ["control", "test"], "Test", None, [""]))
            found = condition("experiment_group", operator, target, self.pick([*experiments, "missing"]))
        else:
            found = self.plain_condition()
        if self.has_unknown and self.flip(0.07):
            found[self.pick(("type", "operator"))] = self.pick(("mystery", "multi_pass_gate"))
        return found

    def plain_condition(self) -> Json:
        kind = self.pick(
            (
                "public",
                "public",
                "user_field",
                "user_field",
                "user_field",
                "user_bucket",
                "unit_id",
                "environment_field",
                "target_app",
            )
        )
        if kind == "user_bucket":
            target = self.pick((0, 100, 500, 900, 1000, 33.3, "500"))
            return condition(
                kind,
                self.pick(("lt", "gte", "gt", "lte")),
                target,
                salt=self.pick(("", "s")),
                idType=self.pick(_ID_TYPES),
            )
        operator = self.pick(("any", "any", "none", "eq", "neq", "gt", "lte", "any_case_sensitive", "none_case_sensitive", "str_starts_with_any", "str_contains_none", "version_gte", "array_contains_any", "array_contains_all", "not_array_contains_all"))  # fmt: skip
        target = self.pick(
            (self.pick(_VALUES), [self.pick(_VALUES) for _ in range(self.pick((1, 2, 3)))], list(_WORDS))
        )
        if kind == "target_app" and self.flip(0.7):
            operator, target = (
                self.pick(("any", "none", "eq", "array_contains_any", "str_contains_any")),
                self.pick((["app a"], ["app b"], "app a", ["app a", "app b"])),
            )
        field = "tier" if kind == "environment_field" else self.pick(_FIELDS)
        if self.flip(0.03):
            field = None
        return condition(kind, operator, target, field, idType=self.pick(_ID_TYPES))

    # Bandits, mappings, stores, settings

    def bandit(self, name: str) -> Json:
        """A bandit that draws nothing: it has scores, or splits by a hash, or has one group."""
        groups = [
            {"name": self.pick(_GROUPS), "id": f"{name}{n}", "parameterValues": self.value()}
            for n in range(self.pick((0, 1, 2, 3)))
        ]
        scores: Any = {group["id"]: self.score() for group in groups} if self.flip(0.7) else None
        place = name if name in _ORDER else "b0"
        return {
            "salt": self.pick(("", "bandit")),
            "targetAppIDs": self.pick((None, ["app a"])),
            "defaultValue": self.value(),
            "idType": self.pick(_ID_TYPES),
            "enabled": self.flip(0.85),
            "version": self.pick(range(9)),
            "sampleRate": 1.0 if len(groups) == 1 and self.flip(0.3) else 0.0,
            "higherIsBetter": self.flip(0.5),
            "groups": groups,
            "config": scores,
            "targetingGateName": self.pick([*self.earlier(place, GATES), "missing"]) if self.flip(0.6) else None,
        }

    def score(self) -> Json:
        return {
            "alpha": self.pick((0.0, 1, -0.5)),
            "intercept": self.pick((0, 2, 0.25)),
            "records": self.pick((0, 5)),
            "weightsNumerical": {"level": self.pick((1, -2.5, 0))},
            "weightsCategorical": {"plan": {self.pick(("pro", "9", "true", '["a","9"]')): self.pick((1.0, -3))}}
            if self.flip(0.5)
            else {},
        }

    def add_mappings(self, body: Json) -> None:
        if self.is_cyclic or self.flip(0.5):
            return
        overrides: Json = {}
        rules: Json = {}
        for name in _ORDER:
            same = [
                one
                for one in self.earlier(
                    name, GATES if name in GATES else LAYERS if name in LAYERS else (*EXPERIMENTS, *BANDITS)
                )
                if one[:3] != "seg"
            ]
            if not self.flip(0.25) or not same:
                continue
            mappings = []
            for _ in range(self.pick((1, 1, 2))):
                chosen = []
                for _ in range(self.pick((0, 1, 1, 2))):
                    rule_name = self.pick(("absent", f"m{len(rules)}", f"m{len(rules)}", f"m{len(rules)}"))
                    if rule_name != "absent":
                        # Its conditions refer only to what precedes the name and what it is mapped to.
                        rules[rule_name] = self.rule("g0" if self.flip(0.5) else same[0], 0, lambda: True)
                    chosen.append(
                        {"rule_name": rule_name} | ({"start_time": self.pick((0, 5, 2**42))} if self.flip(0.3) else {})
                    )
                mappings.append({"new_config_name": self.pick([*same, "missing"]), "rules": chosen})
            overrides[name] = mappings
        for name in ("nameless", "nameless_e"):
            if self.flip(0.3):
                rules["all"] = self.rule("g0", 0, lambda: True)
                overrides[name] = [
                    {
                        "new_config_name": self.pick(GATES[:2] if name == "nameless" else EXPERIMENTS),
                        "rules": [{"rule_name": "all"}],
                    }
                ]
        body |= {"overrides": overrides} | ({"override_rules": rules} if self.flip(0.95) else {})

    def stores(self) -> Json:
        parameters: Json = {}
        for number in range(self.pick((0, 2, 5))):
            common: Json = {"param_type": self.pick(("boolean", "string", "number", "object", "array"))}
            kind = self.pick(("static", "gate", "dynamic_config", "experiment", "layer"))
            if kind == "static":
                common |= {"value": self.pick((True, "x", 5, 0.5, {"a": 1}, ["x"], [1, 2]))}
            elif kind == "gate":
                common |= {
                    "gate_name": self.pick((*GATES, "missing")),
                    "pass_value": self.pick(("x", True)),
                    "fail_value": self.pick(("y", 7)),
                }
            else:
                key = {"dynamic_config": "config_name"}.get(kind, f"{kind}_name")
                common |= {
                    key: self.pick(LAYERS if kind == "layer" else EXPERIMENTS),
                    "param_name": self.pick(_PARAMETERS),
                }
            parameters[f"param{number}"] = {"ref_type": kind, **common}
        return {"store": {"parameters": parameters} | self.pick(({}, {"targetAppIDs": ["app a"]}))}

    def add_settings(self, body: Json) -> None:
        if self.flip(0.5):
            body["app_id"] = self.pick(("app a", "app b", ["app a"], ["app a", "app b"], [], None, 5))
        if self.flip(0.4):
            body[self.pick(("sdk_keys_to_app_ids", "hashed_sdk_keys_to_app_ids"))] = {
                key: self.pick(("app a", "app b", ["app a"], ["app a", "x"])) for key in ("k", "107")
            }
        if self.flip(0.3):
            body["default_environment"] = self.pick(("nl", "a", ""))
        if self.flip(0.4):
            triggers = {"g0": self.pick(({}, {"sampling_rate": 1}, {"values": ["x"], "sampling_rate": 0, "other": 1}))}
            info = {
                "sampling_rate": self.pick((0, 1, 1, None)),
                "targeting_gate": self.pick((*GATES[:3], "missing", "missing", None)),
                "recording_blocked": self.pick((True, False, None)),
                "session_recording_event_triggers": self.pick((triggers, None)),
                "session_recording_exposure_triggers": self.pick((triggers, None)),
                "session_recording_privacy_settings": self.pick(
                    (
                        None,
                        {"privacy_mode": "min"},
                        {"privacy_mode": "max", "masked_elements": ["p"], "unmasked_elements": [], "other": 5},
                    )
                ),
            }
            body["session_replay_info"] = {key: value for key, value in info.items() if self.flip(0.7)}

    def make_odd(self, section: Json) -> None:
        """Change the type of some fields of specs and rules, or remove them."""
        for spec in section.values():
            if not self.flip(0.2):
                continue
            target = spec if not spec["rules"] or self.flip(0.5) else self.pick(spec["rules"])
            optional = ("salt", "groupName", "configDelegate", "isExperimentGroup", "samplingRate", "version", "isActive",
                        "targetAppIDs", "forwardAllExposures", "useNewLayerEval")  # fmt: skip
            key = self.pick((*target, *optional))
            target[key] = self.pick(_ODD)


def user(chance: random.Random) -> Json:
    """A user by wire names, with what the package takes."""
    fields: Json = {"userID": chance.choice(("", "u1", "u2", "user three", "9", "ü"))}
    for name in ("email", "country", "locale", "appVersion"):
        if chance.random() < 0.4:
            fields[name] = chance.choice(_USER_FIELDS)
    for name in ("custom", "privateAttributes"):
        if chance.random() < 0.7:
            fields[name] = {
                key: chance.choice(_USER_VALUES)
                for key in ("plan", "Plan", "level", "tags", "email", "user_id")
                if chance.random() < 0.4
            }
    if chance.random() < 0.7:
        fields["customIDs"] = {
            key: chance.choice(("c1", "9", 3, ""))
            for key in ("companyID", "stableID", "stableid")
            if chance.random() < 0.5
        }
    if chance.random() < 0.3:
        fields["statsigEnvironment"] = {"tier": chance.choice(("nl", "a", ""))}
    return fields
