"""Build small rulesets for tests, in the vendor's JSON.

Keyword arguments of the builders are fields of the JSON, by their wire names.
"""

from typing import Any

import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.linker import SECTIONS
from asyncsdk._rules.language.country import Countries
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.loading import load_now
from asyncsdk._rules.ruleset import Ruleset

NOW_MS = 1_760_000_000_000
Json = dict[str, Any]
_WIRE = {
    "userID": "user_id",
    "userAgent": "user_agent",
    "appVersion": "app_version",
    "customIDs": "custom_ids",
    "privateAttributes": "private_attributes",
    "statsigEnvironment": "statsig_environment",
}

# Shared, because reading its table takes 30 ms.
_COUNTRIES = Countries()


def make_context(**options: Any) -> SharedContext:
    """A shared context whose clock and random numbers are constant."""
    defaults = {"clock": lambda: NOW_MS, "random": lambda: 0.5, "country": _COUNTRIES.find}
    return SharedContext(**{**defaults, **options})


def user(fields: Json) -> User:
    """A user from a mapping by wire names."""
    return User(**{_WIRE.get(name, name): value for name, value in fields.items()})


def condition(
    kind: str, operator: str | None = None, target: Any = None, field: str | None = None, **more: Any
) -> Json:
    salt = more.pop("salt", None)
    additional = {} if salt is None else {"salt": salt}
    return {
        "type": kind,
        "operator": operator,
        "targetValue": target,
        "field": field,
        "additionalValues": additional,
        "idType": "userID",
        **more,
    }


PUBLIC = condition("public")
NEVER = condition("user_field", "any", ["nobody"], "userID")
UNKNOWN = condition("mystery")
"""A condition of an unknown type; `NEVER` is one that no test user meets."""


def passes(gate: Any) -> Json:
    return condition("pass_gate", None, gate)


def fails(gate: Any) -> Json:
    return condition("fail_gate", None, gate)


def field(name: str, operator: str, target: Any) -> Json:
    return condition("user_field", operator, target, name)


def rule(identity: str, conditions: list[Any], value: Any = True, share: float = 100, **more: Any) -> Json:  # noqa: FBT002 -- reads as JSON
    return {
        "id": identity,
        "name": identity,
        "conditions": conditions,
        "returnValue": value,
        "passPercentage": share,
        "salt": "",
        "idType": "userID",
        **more,
    }


def gate(*rules: Json, **more: Any) -> Json:
    return _spec("feature_gate", "feature_gate", rules, {"defaultValue": False, **more})


def config(*rules: Json, **more: Any) -> Json:
    return _spec("dynamic_config", "dynamic_config", rules, {"defaultValue": {}, **more})


def experiment(*rules: Json, **more: Any) -> Json:
    return _spec("dynamic_config", "experiment", rules, {"defaultValue": {}, "isActive": True, **more})


def layer(*rules: Json, **more: Any) -> Json:
    return _spec("dynamic_config", "layer", rules, {"defaultValue": {}, **more})


def _spec(kind: str, entity: str, rules: tuple[Json, ...], more: Json) -> Json:
    common = {"type": kind, "entity": entity, "salt": "salt", "enabled": True, "idType": "userID", "version": 1}
    return {**common, "rules": list(rules), **more}


def ruleset(gates: Json | None = None, configs: Json | None = None, layers: Json | None = None, **more: Any) -> bytes:
    """A ruleset of the newer format (v2), with its conditions in `condition_map`."""
    table: Json = {}
    sections = {
        "feature_gates": gates or {},
        "dynamic_configs": configs or {},
        "layer_configs": layers or {},
        "override_rules": more.pop("override_rules", {}),
    }
    sections = orjson.loads(orjson.dumps(sections))
    for name, section in sections.items():
        specs = section.values()
        for found in (
            specs
            if name == "override_rules"
            else (rule for spec in specs if isinstance(spec["rules"], list) for rule in spec["rules"])
        ):
            found["conditions"] = [_intern(table, one) for one in found["conditions"]]
    return orjson.dumps(
        {
            "has_updates": True,
            "time": 1_700_000_000_000,
            "company_id": "c",
            "response_format": "dcs-v2",
            "experiment_to_layer": {},
            **sections,
            "condition_map": table,
            **more,
        }
    )


def _intern(table: Json, one: Any) -> str:
    if isinstance(one, str):
        return one
    key = str(len(table))
    table[key] = one
    return key


def loaded(body: bytes, shared_context: SharedContext | None = None, **options: Any) -> Ruleset:
    """Load a ruleset that has updates."""
    found = load_now(body, shared_context or make_context(), **options)
    assert found is not None
    return found


def compile_all(rules: Ruleset) -> None:
    """Compile every name of a ruleset."""
    for kind, section in SECTIONS.items():
        for name in rules.names(section):
            rules.program(kind, name)


def loaded_gates(**gates: Json) -> Ruleset:
    """Load a ruleset that has only gates."""
    return loaded(ruleset(gates))


# Specs that several test files use.

SAMPLE_GATES = {"g": gate(rule("rg", [PUBLIC])), "shut": gate()}
SAMPLE_EXPERIMENT = experiment(
    rule("er", [passes("g")], {"p": 1}, groupName="Test", isExperimentGroup=True),
    defaultValue={"p": 0},
    explicitParameters=["p"],
)
SAMPLE_BANDIT: Json = {
    "salt": "bandit",
    "defaultValue": {"d": 1},
    "idType": "userID",
    "enabled": True,
    "version": 4,
    "sampleRate": 0.0,
    "higherIsBetter": True,
    "groups": [
        {"name": "A", "id": "ga", "parameterValues": {"v": 1}},
        {"name": "B", "id": "gb", "parameterValues": {"v": 2}},
    ],
    "config": None,
    "targetingGateName": None,
}
