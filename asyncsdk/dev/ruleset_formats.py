"""The two forms in which Statsig serves a ruleset, and the way from each to the other.

v2, which statsig-python-core 0.24.0 asks for, has specs by name, and rules that name their conditions in one table.
v1, which statsig 0.72.1 (Python) and statsig-node 6.5.1 ask for, has lists of specs with the conditions inside. They
differ in meaning, too: a disabled spec of v1 keeps rules that must not run, where those of v2 do run (holdouts); and a
gate's rule that says no is in v1 one that nobody passes.

Kept from v2, although Statsig itself rounds it for v1: a fraction of a percent. Cannot be said in v1: a gate that is
true by default, but not for whom a rule's percentage leaves out.
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Literal

import orjson

from asyncsdk.dev.messages import Json

Form = Literal["v1", "v2"]

GATES = "feature_gates"
SECTIONS = (GATES, "dynamic_configs", "layer_configs")
RULES = "override_rules"
TABLE = "condition_map"

_V2_ONLY = (TABLE, "experiment_to_layer", "response_format")
_V1_ONLY = ("layers", "hashed_sdk_key_used")
# What no SDK knows, so that they treat the rule as they treat a condition that is missing from the table.
_MISSING = {"type": "missing_condition", "operator": None, "targetValue": None, "field": None, "idType": "userID"}


class BrokenRulesetError(Exception):
    """A ruleset that no form describes; the text says where."""


def form_of(ruleset: Mapping[str, Json]) -> Form:
    """Tell the form of a ruleset, after a look at its outline.

    Raises:
        BrokenRulesetError: It is of neither.
    """
    found = {section: ruleset[section] for section in SECTIONS if section in ruleset}
    if not found:
        msg = f"it has none of {', '.join(SECTIONS)}"
        raise BrokenRulesetError(msg)
    form: Form = "v1" if any(isinstance(specs, list) for specs in found.values()) else "v2"
    for section, specs in found.items():
        if not isinstance(specs, list if form == "v1" else dict):
            msg = f"{section} is not {'a list' if form == 'v1' else 'an object'}"
            raise BrokenRulesetError(msg)
        for name, spec in _named(specs):
            _check(name, spec)
    if not isinstance(ruleset.get(TABLE, {}), dict):
        msg = f"{TABLE} is not an object"
        raise BrokenRulesetError(msg)
    return form


def as_v1(ruleset: Mapping[str, Json]) -> dict[str, Json]:
    """Turn v2 into v1."""
    table = ruleset.get(TABLE, {})

    def inline(key: Json) -> Json:
        return table.get(key, _MISSING) if isinstance(key, str) else key

    layers: dict[str, list[str]] = {}
    for experiment, layer in _object(ruleset.get("experiment_to_layer")).items():
        layers.setdefault(str(layer), []).append(experiment)
    sections = {
        section: [
            {"name": name, **_disabled_as_v1(section, _with(spec, inline))} for name, spec in _specs(ruleset, section)
        ]
        for section in SECTIONS
    }
    kept = {key: value for key, value in ruleset.items() if key not in _V2_ONLY}
    return {**kept, **sections, **_override_rules(ruleset, inline), "layers": layers}


def as_v2(ruleset: Mapping[str, Json]) -> dict[str, Json]:
    """Turn v1 into v2."""
    table: dict[str, Json] = {}

    def intern(condition: Json) -> Json:
        key = str(int.from_bytes(sha256(orjson.dumps(condition)).digest()[:6]))
        table[key] = condition
        return key

    layers = _object(ruleset.get("layers")).items()
    sections = {
        section: {name: _disabled_as_v2(_with(spec, intern)) for name, spec in _specs(ruleset, section)}
        for section in SECTIONS
    }
    kept = {key: value for key, value in ruleset.items() if key not in _V1_ONLY}
    return {
        **kept,
        **sections,
        **_override_rules(ruleset, intern),
        TABLE: table,
        "experiment_to_layer": {str(one): layer for layer, several in layers for one in _list(several)},
        "response_format": "dcs-v2",
    }


FORMS: Mapping[tuple[Form, Form], Callable[[Mapping[str, Json]], Mapping[str, Json]]] = {
    ("v1", "v1"): lambda ruleset: {key: value for key, value in ruleset.items() if key != "hashed_sdk_key_used"},
    ("v1", "v2"): as_v2,
    ("v2", "v1"): as_v1,
    ("v2", "v2"): lambda ruleset: {TABLE: {}, **{section: {} for section in SECTIONS}, **ruleset},
}
"""By the form that there is and the one that is wanted."""


def _check(name: Json, spec: Json) -> None:
    """Look as closely at a spec as turning it into the other form needs."""
    rules = spec.get("rules", []) if isinstance(spec, dict) else None
    if not isinstance(name, str) or not isinstance(rules, list):
        msg = f"the spec {name!r} is not one"
        raise BrokenRulesetError(msg)
    for rule in rules:
        if not isinstance(rule, dict) or not isinstance(rule.get("conditions", []), list):
            msg = f"a rule of {name!r} is not one"
            raise BrokenRulesetError(msg)


def _named(specs: Json) -> Iterator[tuple[Json, Json]]:
    if isinstance(specs, dict):
        return iter(specs.items())
    return ((spec.get("name") if isinstance(spec, dict) else None, spec) for spec in specs)


def _specs(ruleset: Mapping[str, Json], section: str) -> Iterator[tuple[str, dict[str, Json]]]:
    for name, spec in _named(ruleset.get(section, {})):
        yield name, {key: value for key, value in spec.items() if key != "name"}


def _with(owner: dict[str, Json], change: Callable[[Json], Json]) -> dict[str, Json]:
    """Change the conditions of a spec's rules."""
    return {**owner, "rules": [_rule_with(rule, change) for rule in owner.get("rules", [])]}


def _rule_with(rule: dict[str, Json], change: Callable[[Json], Json]) -> dict[str, Json]:
    return {**rule, "conditions": [change(condition) for condition in _list(rule.get("conditions"))]}


def _override_rules(ruleset: Mapping[str, Json], change: Callable[[Json], Json]) -> dict[str, Json]:
    rules = _object(ruleset.get(RULES))
    return {RULES: {name: _rule_with(rule, change) for name, rule in rules.items() if isinstance(rule, dict)}}


def _disabled_as_v2(spec: dict[str, Json]) -> dict[str, Json]:
    """Drop the rules of a disabled spec: they were not to run."""
    return spec if spec.get("enabled", True) else {**spec, "rules": []}


def _disabled_as_v1(section: str, spec: dict[str, Json]) -> dict[str, Json]:
    """Say with a last rule for everybody what v2 says with `enabled` and `defaultValue`."""
    enabled, default, is_gate = spec.get("enabled", True), spec.get("defaultValue"), section == GATES
    rules = [_denying_as_v1(rule) for rule in spec["rules"]] if is_gate else spec["rules"]
    if enabled and not (is_gate and default is True):
        return {**spec, "rules": rules}
    if not enabled and not rules and not (is_gate and default is True):
        return {**spec, "rules": rules}
    last = _everybody("default" if enabled else "disabled", spec, passes=not is_gate or default is True)
    return {**spec, "enabled": True, "rules": [*rules, last], **({"defaultValue": False} if is_gate else {})}


def _denying_as_v1(rule: dict[str, Json]) -> dict[str, Json]:
    return {**rule, "passPercentage": 0, "returnValue": True} if rule.get("returnValue") is False else rule


def _everybody(rule_id: str, spec: dict[str, Json], *, passes: bool) -> dict[str, Json]:
    default = spec.get("defaultValue")
    id_type = spec.get("idType", "userID")
    public = {"type": "public", "operator": None, "targetValue": None, "field": None, "idType": id_type}
    return {
        "name": rule_id,
        "id": rule_id,
        "salt": "",
        "passPercentage": 100 if passes else 0,
        "conditions": [public],
        "returnValue": default if isinstance(default, dict) else True,
        "idType": id_type,
    }


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
