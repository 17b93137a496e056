"""The two formats in which Statsig serves a ruleset, and the conversions between them.

| | v1 | v2 |
|---|---|---|
| requested by | statsig 0.72.1 (Python), statsig-node 6.5.1 | statsig-python-core 0.24.0 |
| specs | lists, each spec with its `name` | objects by name |
| conditions | inside the rules | one table, `condition_map`; rules have its keys |
| experiments of a layer | `layers`: layer -> experiments | `experiment_to_layer`: experiment -> layer |
| a disabled spec | its rules do not run | its rules run before the default (holdouts) |
| a gate's rule that denies | has the value true, and passes 0 percent of users | has the value false |

The last two rows are differences in meaning, which the conversions preserve. Example: a disabled v2 gate with one rule
becomes an enabled v1 gate with that rule and a last rule `disabled` that no user passes.

Two limits: fractions of a percent are kept in v1, although Statsig rounds them there; and v1 cannot express a gate that
is true by default for users whom a rule's percentage leaves out.
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Literal

import orjson

from asyncsdk.dev.received_event import Json

Format = Literal["v1", "v2"]

GATES = "feature_gates"
SECTIONS = (GATES, "dynamic_configs", "layer_configs")
RULES = "override_rules"
TABLE = "condition_map"

_V2_ONLY = (TABLE, "experiment_to_layer", "response_format")
# `hashed_sdk_key_used` names the key of the download; the dev server serves rules for any key.
_V1_ONLY = ("layers", "hashed_sdk_key_used")
# A type that no SDK knows, so that SDKs treat it like a condition that is missing from the table.
_MISSING = {"type": "missing_condition", "operator": None, "targetValue": None, "field": None, "idType": "userID"}


class BrokenRulesetError(Exception):
    """A ruleset that is in neither format; the text says why."""


def format_of(ruleset: Mapping[str, Json]) -> Format:
    """Return the format of a ruleset, checking its structure as far as conversions rely on it.

    Raises:
        BrokenRulesetError: It is in neither format.
    """
    found = {section: ruleset[section] for section in SECTIONS if section in ruleset}
    if not found:
        msg = f"it has none of {', '.join(SECTIONS)}"
        raise BrokenRulesetError(msg)
    found_format: Format = "v1" if any(isinstance(specs, list) for specs in found.values()) else "v2"
    for section, specs in found.items():
        if not isinstance(specs, list if found_format == "v1" else dict):
            msg = f"{section} is not {'a list' if found_format == 'v1' else 'an object'}"
            raise BrokenRulesetError(msg)
        for name, spec in _named(specs):
            _check(name, spec)
    if not isinstance(ruleset.get(TABLE, {}), dict):
        msg = f"{TABLE} is not an object"
        raise BrokenRulesetError(msg)
    return found_format


def as_v1(ruleset: Mapping[str, Json]) -> dict[str, Json]:
    """Convert a ruleset from v2 to v1."""
    table = ruleset.get(TABLE, {})

    def inline(key: Json) -> Json:
        return table.get(key, _MISSING) if isinstance(key, str) else key

    layers: dict[str, list[str]] = {}
    for experiment, layer in _object(ruleset.get("experiment_to_layer")).items():
        layers.setdefault(str(layer), []).append(experiment)
    sections = {
        section: [
            {"name": name, **_disabled_as_v1(section, _with_conditions(spec, inline))}
            for name, spec in _specs(ruleset, section)
        ]
        for section in SECTIONS
    }
    kept = {key: value for key, value in ruleset.items() if key not in _V2_ONLY}
    return {**kept, **sections, **_override_rules(ruleset, inline), "layers": layers}


def as_v2(ruleset: Mapping[str, Json]) -> dict[str, Json]:
    """Convert a ruleset from v1 to v2."""
    table: dict[str, Json] = {}

    def intern(condition: Json) -> Json:
        # Derived from the condition, so that equal conditions are kept once.
        key = str(int.from_bytes(sha256(orjson.dumps(condition)).digest()[:6]))
        table[key] = condition
        return key

    layers = _object(ruleset.get("layers")).items()
    sections = {
        section: {name: _disabled_as_v2(_with_conditions(spec, intern)) for name, spec in _specs(ruleset, section)}
        for section in SECTIONS
    }
    kept = {key: value for key, value in ruleset.items() if key not in _V1_ONLY}
    return {
        **kept,
        **sections,
        **_override_rules(ruleset, intern),
        TABLE: table,
        "experiment_to_layer": {str(name): layer for layer, experiments in layers for name in _list(experiments)},
        "response_format": "dcs-v2",
    }


CONVERSIONS: Mapping[tuple[Format, Format], Callable[[Mapping[str, Json]], Mapping[str, Json]]] = {
    ("v1", "v1"): lambda ruleset: {key: value for key, value in ruleset.items() if key != "hashed_sdk_key_used"},
    ("v1", "v2"): as_v2,
    ("v2", "v1"): as_v1,
    ("v2", "v2"): lambda ruleset: {TABLE: {}, **{section: {} for section in SECTIONS}, **ruleset},
}
"""Conversions by source and target format. A ruleset is normalised even if the two are the same."""


def _check(name: Json, spec: Json) -> None:
    """Check a spec's structure as far as conversions rely on it."""
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


def _with_conditions(spec: dict[str, Json], convert: Callable[[Json], Json]) -> dict[str, Json]:
    """Return a spec with every condition of its rules converted."""
    return {**spec, "rules": [_converted(rule, convert) for rule in spec.get("rules", [])]}


def _converted(rule: dict[str, Json], convert: Callable[[Json], Json]) -> dict[str, Json]:
    return {**rule, "conditions": [convert(condition) for condition in _list(rule.get("conditions"))]}


def _override_rules(ruleset: Mapping[str, Json], convert: Callable[[Json], Json]) -> dict[str, Json]:
    rules = _object(ruleset.get(RULES))
    return {RULES: {name: _converted(rule, convert) for name, rule in rules.items() if isinstance(rule, dict)}}


def _disabled_as_v2(spec: dict[str, Json]) -> dict[str, Json]:
    """Return a spec without rules if it is disabled: v1 does not run them, but v2 would."""
    return spec if spec.get("enabled", True) else {**spec, "rules": []}


def _disabled_as_v1(section: str, spec: dict[str, Json]) -> dict[str, Json]:
    """Express a v2 spec's `enabled` and `defaultValue` in v1, which may need a last rule that matches every user."""
    enabled, default, is_gate = spec.get("enabled", True), spec.get("defaultValue"), section == GATES
    is_true_by_default = is_gate and default is True
    rules = [_false_rule_as_v1(rule) for rule in spec["rules"]] if is_gate else spec["rules"]
    # 1. Enabled: v1 means the same, unless it is a gate that is true by default.
    if enabled and not is_true_by_default:
        return {**spec, "rules": rules}
    # 2. Disabled without rules: v1 means the same, with the same exception.
    if not enabled and not rules and not is_true_by_default:
        return {**spec, "rules": rules}
    # 3. Otherwise the rules have to run, and a last rule has the default.
    last = _rule_for_all("default" if enabled else "disabled", spec, passes=not is_gate or default is True)
    return {**spec, "enabled": True, "rules": [*rules, last], **({"defaultValue": False} if is_gate else {})}


def _false_rule_as_v1(rule: dict[str, Json]) -> dict[str, Json]:
    return {**rule, "passPercentage": 0, "returnValue": True} if rule.get("returnValue") is False else rule


def _rule_for_all(rule_id: str, spec: dict[str, Json], *, passes: bool) -> dict[str, Json]:
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
