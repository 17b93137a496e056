"""Edits of a ruleset in its v2 form: one spec, its switch, its percentage, and overrides. Pure.

Functions return a changed copy, which shares what did not change.

**Off.** In v2, `enabled: false` does not stop the rules of a spec: they are its holdouts. So a spec that is switched
off has its other rules taken out. They wait in a field of their own, `rulesWhenOn`, which is never served, but written
to the file: a spec can be switched on again after a restart.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import attrs

from asyncsdk.dev.received_event import Json
from asyncsdk.dev.ruleset_formats import SECTIONS, TABLE

Kind = Literal["gate", "config", "experiment", "layer"]
Ruleset = Mapping[str, Json]

WAITING_RULES = "rulesWhenOn"
_SECTION_OF: Mapping[Kind, str] = dict(zip(("gate", "config", "layer"), SECTIONS, strict=True)) | {  # type: ignore[assignment]
    "experiment": "dynamic_configs"
}
_EVERYONE = "asyncsdk_everyone"
OVERRIDE = "override"
"""Id of the rule that an override adds."""


@attrs.frozen
class Found:
    """A name of a ruleset.

    Attributes:
        name: The name.
        kind: Its kind.
        section: The section that it is in.
        spec: What the section has for it.
    """

    name: str
    kind: Kind
    section: str
    spec: Mapping[str, Json]


@attrs.frozen
class Override:
    """A value that is served instead of what the rules say.

    Attributes:
        kind: What is overridden.
        name: Its name.
        value: True or False for a gate, else an object.
        user: The user id that it is for; None for all users.
        group: Group name of the value; None if it is not that of a group.
        since: When it was set, in milliseconds since 1970.
        by: Who set it: `page`, `command line`, or `api`.
    """

    kind: Kind
    name: str
    value: Json
    user: str | None = None
    group: str | None = None
    since: int = 0
    by: str = "api"


def names(ruleset: Ruleset) -> Iterator[Found]:
    """Yield all names: gates without segments and holdouts, then configs, experiments and layers."""
    for section in SECTIONS:
        for name, spec in ruleset.get(section, {}).items():
            kind = kind_of(section, spec)
            if kind != "gate" or spec.get("entity", "feature_gate") == "feature_gate":
                yield Found(name, kind, section, spec)


def kind_of(section: str, spec: Mapping[str, Json]) -> Kind:
    """Return the kind of a spec."""
    if section == "dynamic_configs":
        return "experiment" if spec.get("entity") == "experiment" else "config"
    return "gate" if section == "feature_gates" else "layer"


def find(ruleset: Ruleset, name: str, kind: str | None = None) -> Found | None:
    """Return a name; None if there is none. Of several kinds, the first is taken, unless a kind is given."""
    for section in SECTIONS:
        spec = ruleset.get(section, {}).get(name)
        if spec is not None and kind in (None, kind_of(section, spec)):
            return Found(name, kind_of(section, spec), section, spec)
    return None


def with_spec(ruleset: Ruleset, section: str, name: str, spec: Mapping[str, Json] | None) -> Ruleset:
    """Return a ruleset with another spec; None removes the name."""
    specs = {key: value for key, value in ruleset.get(section, {}).items() if key != name or spec is not None}
    return {**ruleset, section: specs if spec is None else {**specs, name: spec}}


def switched(ruleset: Ruleset, found: Found, *, on: bool) -> Mapping[str, Json]:
    """Return a spec that is on or off."""
    spec = found.spec
    if on:
        rest = {key: value for key, value in spec.items() if key != WAITING_RULES}
        return {**rest, "enabled": True, "rules": spec.get(WAITING_RULES, spec.get("rules", []))}
    if WAITING_RULES in spec:
        return {**spec, "enabled": False}
    rules = spec.get("rules", [])
    kept = [rule for rule in rules if is_holdout(ruleset, rule)]
    return {**spec, "enabled": False, "rules": kept, WAITING_RULES: rules}


def is_holdout(ruleset: Ruleset, rule: Mapping[str, Json]) -> bool:
    """Return whether a rule keeps the users of a holdout out: it asks for a gate that is one."""
    table, gates = ruleset.get(TABLE, {}), ruleset.get("feature_gates", {})
    conditions = (table.get(key) if isinstance(key, str) else key for key in rule.get("conditions", []))
    targets = (c.get("targetValue") for c in conditions if isinstance(c, dict) and c.get("type") == "pass_gate")
    return any(isinstance(target, str) and gates.get(target, {}).get("entity") == "holdout" for target in targets)


def percentage_rule(ruleset: Ruleset, spec: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """Return the rule whose percentage is the one to change in place; None if no rule stands out.

    That is the first with less than 100 percent, else the first for all users. Groups and delegates are left out.
    """
    table = ruleset.get(TABLE, {})
    rules = [rule for rule in spec.get("rules", []) if not rule.get("configDelegate") and rule.get("groupName") is None]
    partial = next((rule for rule in rules if rule.get("passPercentage", 100) < 100), None)
    if partial is not None and not is_holdout(ruleset, partial):
        return partial  # type: ignore[no-any-return]
    for rule in rules:
        types = [table.get(key, {}).get("type") for key in rule.get("conditions", []) if isinstance(key, str)]
        if all(kind == "public" for kind in types):
            return rule  # type: ignore[no-any-return]
    return None


def with_percentage(spec: Mapping[str, Json], rule_id: str, value: float) -> Mapping[str, Json] | None:
    """Return a spec with another percentage of a rule; None if it has no such rule."""
    rules = spec.get("rules", [])
    if not any(rule.get("id") == rule_id for rule in rules):
        return None
    changed = [{**rule, "passPercentage": value} if rule.get("id") == rule_id else rule for rule in rules]
    return {**spec, "rules": changed}


def new_gate(name: str) -> Mapping[str, Json]:
    """Return a gate that is closed for all users, by a rule whose percentage can be raised."""
    rule = {
        "id": "everyone", "name": "everyone", "salt": "", "idType": "userID", "conditions": [_EVERYONE],
        "passPercentage": 0, "returnValue": True,
    }  # fmt: skip
    return {
        "type": "feature_gate", "entity": "feature_gate", "idType": "userID", "salt": name, "enabled": True,
        "version": 1, "defaultValue": False, "rules": [rule],
    }  # fmt: skip


def with_gate(ruleset: Ruleset, name: str) -> Ruleset:
    """Return a ruleset with one gate more, which is closed for all users."""
    table = {**ruleset.get(TABLE, {}), _EVERYONE: _public()}
    return with_spec({**ruleset, TABLE: table}, "feature_gates", name, new_gate(name))


def served(ruleset: Ruleset, overrides: Sequence[Override]) -> Ruleset:
    """Return a ruleset as clients get it: without waiting rules, and with a rule first for each override."""
    for section in SECTIONS:
        if any(WAITING_RULES in spec for spec in ruleset.get(section, {}).values()):
            specs = {
                name: {key: value for key, value in spec.items() if key != WAITING_RULES}
                for name, spec in ruleset[section].items()
            }
            ruleset = {**ruleset, section: specs}
    # Rules are put in front one by one: first those for all users, so that those for one user come before them.
    for override in sorted(overrides, key=lambda one: one.user is not None):
        ruleset = _overridden(ruleset, override)
    return ruleset


def inside_names(ruleset: Ruleset) -> set[str]:
    """Return the names that other rules use: gates and experiments in conditions, and experiments of layers."""
    used = set(ruleset.get("experiment_to_layer", {}))
    conditions = list(ruleset.get(TABLE, {}).values())
    for found in names(ruleset):
        for rule in found.spec.get("rules", []):
            used.add(rule.get("configDelegate"))
            conditions += [key for key in rule.get("conditions", []) if isinstance(key, dict)]
    for condition in conditions:
        if isinstance(condition, dict) and condition.get("type") in ("pass_gate", "fail_gate", "experiment_group"):
            is_group = condition["type"] == "experiment_group"
            used.update([condition.get("field" if is_group else "targetValue")])
    return {name for name in used if isinstance(name, str)}


def _public() -> Mapping[str, Json]:
    return {"type": "public", "operator": None, "targetValue": None, "field": None, "idType": "userID"}


def _overridden(ruleset: Ruleset, override: Override) -> Ruleset:
    key = _EVERYONE if override.user is None else f"asyncsdk_user_{override.user}"
    condition = _public() if override.user is None else {
        "type": "unit_id", "operator": "any_case_sensitive", "targetValue": [override.user], "field": None,
        "idType": "userID", "additionalValues": {},
    }  # fmt: skip
    rule = {
        "id": OVERRIDE, "name": OVERRIDE, "salt": OVERRIDE, "idType": "userID", "conditions": [key],
        "passPercentage": 100, "returnValue": override.value,
    }  # fmt: skip
    if override.group is not None:
        rule |= {"groupName": override.group, "isExperimentGroup": True}
    section = _SECTION_OF[override.kind]
    found = find(ruleset, override.name, override.kind)
    spec = _empty_spec(override) if found is None else found.spec
    ruleset = {**ruleset, TABLE: {**ruleset.get(TABLE, {}), key: condition}}
    return with_spec(ruleset, section, override.name, {**spec, "rules": [rule, *spec.get("rules", [])]})


def _empty_spec(override: Override) -> Mapping[str, Json]:
    is_gate = override.kind == "gate"
    return {
        "type": "feature_gate" if is_gate else "dynamic_config",
        "entity": {"gate": "feature_gate", "config": "dynamic_config"}.get(override.kind, override.kind),
        "idType": "userID", "salt": override.name, "enabled": True, "version": 1,
        "defaultValue": False if is_gate else {}, "rules": [],
    }  # fmt: skip
