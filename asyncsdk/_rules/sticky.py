"""Sticky assignments: a user stays in the group of an experiment, or of a layer's experiment, once it was given.

What was saved is loaded before (`await client.load_assignments(user)`), and what is to be saved is returned: nothing
here does IO.
"""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compile import compile_rules
from asyncsdk._rules.conditions import unit_id
from asyncsdk._rules.evaluate import Evaluation, Exposed, TooDeepError, UnsupportedError
from asyncsdk._rules.linking import Linker
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk._rules.specs import MalformedError, Spec
from asyncsdk._rules.values import as_object, text

_TARGETING_RULES = ("targetingGate", "inlineTargetingRules")

Saved = Mapping[str, Mapping[str, Any]]
"""Assignments of one unit, by name of the experiment or layer, as Statsig's SDKs write them."""


@attrs.frozen
class Assigned:
    """What a lookup with sticky assignments answers, and what it changes.

    Attributes:
        evaluation: The answer.
        key: Under which key the unit's assignments are kept.
        save: What to save under the name; None saves nothing.
        deletes: Whether to delete what is saved under the name.
    """

    evaluation: Evaluation
    key: str
    save: Mapping[str, Any] | None = None
    deletes: bool = False


def storage_key(user: User, id_type: str) -> str:
    """Give the key under which a unit's assignments are kept: `{unit id}:{id type}`."""
    kind = "userID" if id_type.lower() == "userid" else id_type
    return f"{text(unit_id(id_type)(user)) or ''}:{kind}"


def assign(
    rules: Ruleset,
    kind: Literal["experiment", "layer"],
    user: User,
    name: str,
    saved: Saved | None,
    *,
    enforce_overrides: bool = False,
    enforce_targeting: bool = False,
) -> Assigned:
    """Evaluate an experiment or layer for a user who may already be in a group. Never raises.

    Args:
        rules: The ruleset.
        kind: What is asked for.
        user: The user.
        name: The experiment or layer.
        saved: The unit's saved assignments; None means that this lookup is not sticky.
        enforce_overrides: An override rule that matches now wins over what was saved.
        enforce_targeting: A user whom the targeting now leaves out loses what was saved.
    """
    live = rules.lookup(kind, user, name)
    spec = _spec(rules, kind, name)
    key = storage_key(user, live.id_type if spec is None else spec.id_type)
    entry = as_object((saved or {}).get(name))
    if kind == "experiment":
        keeps = spec is not None and spec.is_active is True
    else:
        keeps = entry is None or _is_active(rules, entry.get("config_delegate"))
    if saved is None or not keeps:
        return Assigned(live, key, deletes=True)
    if entry is None:
        return Assigned(live, key, _saved(rules, live) if _is_worth_saving(kind, live) else None)
    if enforce_overrides and live.rule_id.endswith("override"):
        return Assigned(live, key)
    if enforce_targeting and _is_left_out(rules, kind, user, name, entry):
        return Assigned(live, key)
    return Assigned(_restored(live, entry), key)


def _spec(rules: Ruleset, kind: str, name: Any) -> Spec | None:
    try:
        return Linker(rules, ()).spec(kind, name) if isinstance(name, str) else None
    except MalformedError:
        return None


def _is_active(rules: Ruleset, experiment: Any) -> bool:
    spec = _spec(rules, "experiment", experiment)
    return spec is not None and spec.is_active is True


def _is_worth_saving(kind: str, live: Evaluation) -> bool:
    is_in = live.is_experiment_group and live.is_active is True
    return is_in and (kind == "experiment" or live.allocated_experiment is not None)


def _is_left_out(rules: Ruleset, kind: str, user: User, name: str, entry: Mapping[str, Any]) -> bool:
    """Say whether one of the experiment's targeting rules, looked at alone, now catches the user."""
    spec = _spec(rules, "experiment", name if kind == "experiment" else entry.get("config_delegate"))
    targeting = tuple(rule for rule in spec.rules if rule.id in _TARGETING_RULES) if spec is not None else ()
    if spec is None or not targeting:
        return False
    only = attrs.evolve(
        spec,
        default=False,
        rules=tuple(attrs.evolve(rule, return_value=True, pass_percentage=100, delegate=None) for rule in targeting),
    )
    try:
        return bool(compile_rules(Linker(rules, ()), only, "gate")(user, 0, None).value)
    except (UnsupportedError, TooDeepError, RecursionError):
        return False


def _saved(rules: Ruleset, found: Evaluation) -> dict[str, Any]:
    """Write an assignment as Statsig's SDKs do."""
    undelegated = found.secondary if found.undelegated is None else found.undelegated
    explicit = found.explicit_parameters
    return {
        "value": found.passed,
        "json_value": found.value,
        "rule_id": found.rule_id,
        "group_name": found.group_name,
        "secondary_exposures": _written(found.secondary),
        "undelegated_secondary_exposures": _written(undelegated),
        "config_delegate": found.allocated_experiment,
        "explicit_parameters": None if explicit is None else list(explicit),
        "time": rules.time_ms,
        "config_version": found.version,
    }


def _restored(live: Evaluation, entry: Mapping[str, Any]) -> Evaluation:
    version = entry.get("config_version", entry.get("configVersion"))
    explicit = entry.get("explicit_parameters")
    return attrs.evolve(
        live,
        value=dict(as_object(entry.get("json_value")) or {}),
        rule_id=text(entry.get("rule_id")) or "",
        passed=entry.get("value") is True,
        group_name=text(entry.get("group_name")),
        outcome="Persisted",
        secondary=_read(entry.get("secondary_exposures")),
        undelegated=_read(entry.get("undelegated_secondary_exposures")),
        allocated_experiment=text(entry.get("config_delegate")),
        explicit_parameters=tuple(map(str, explicit)) if isinstance(explicit, list) else None,
        cause="split",
        is_experiment_group=True,
        parameter_rules=None,
        version=version if isinstance(version, int) else None,
    )


def _written(exposed: tuple[Exposed, ...]) -> list[dict[str, str]]:
    return [{"gate": gate, "gateValue": value, "ruleID": rule_id} for gate, value, rule_id in exposed]


def _read(exposures: Any) -> tuple[Exposed, ...]:
    found = []
    for exposure in exposures if isinstance(exposures, list) else ():
        match exposure:
            case {"gate": str(gate), "gateValue": str(value), "ruleID": str(rule_id)}:
                found.append((gate, value, rule_id))
    return tuple(found)
