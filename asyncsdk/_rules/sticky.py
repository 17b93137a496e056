"""Sticky assignments: a user stays in the group of an experiment, or of a layer's experiment, once it was given.

What was saved is loaded before (`await client.load_assignments(user)`), and what is to be saved is returned: nothing
here does IO.

Source: statsig-python-core 0.24.0 with a `PersistentStorage`, as observed: when an entry answers, when it is deleted,
what is saved, and under which key.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import PERSISTED, Evaluation, Exposed, Run, TooDeepError, UnsupportedError
from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.compiler.rules import compile_rules
from asyncsdk._rules.exposures import exposures_to_json
from asyncsdk._rules.language.conditions import unit_id_fetcher
from asyncsdk._rules.language.specs import MalformedError, Spec
from asyncsdk._rules.language.values import as_object, as_text
from asyncsdk._rules.ruleset import Ruleset

_USER_ID = "userID"

Entry = Mapping[str, Any]
"""One assignment, as Statsig's SDKs write it."""
SavedAssignments = Mapping[str, Entry]
"""Assignments of one unit, by name of the experiment or layer."""


@attrs.frozen(eq=False, repr=False)
class Enforcement:
    """What wins over an assignment.

    Attributes:
        overrides: An override rule of the experiment that matches now.
        targeting: A targeting rule of the experiment that leaves the user out now.
    """

    overrides: bool = False
    targeting: bool = False


@attrs.frozen(eq=False, repr=False)
class AssignmentResult:
    """What a lookup with sticky assignments answers, and what it changes.

    Attributes:
        evaluation: The answer.
        save: What to save under the name; None saves nothing.
        deletes: Whether to delete what is saved under the name.
    """

    evaluation: Evaluation
    save: Entry | None = None
    deletes: bool = False


def storage_key(user: User, id_type: str) -> str | None:
    """Give the key under which a unit's assignments are kept, `{unit id}:{id type}`; None for a user without it."""
    unit = as_text(unit_id_fetcher(id_type)(user))
    return f"{unit}:{_USER_ID if id_type.lower() == 'userid' else id_type}" if unit else None


def storage_keys(user: User) -> Iterator[str]:
    """Give the keys of all units that a user belongs to."""
    for id_type in (_USER_ID, *(as_object(user.custom_ids) or ())):
        key = storage_key(user, id_type)
        if key is not None:
            yield key


def assign(
    rules: Ruleset,
    kind: Literal["experiment", "layer"],
    user: User,
    live: Evaluation,
    saved: SavedAssignments,
    *,
    enforced: Enforcement = Enforcement(),
) -> AssignmentResult:
    """Say what an experiment or layer answers a user who may already be in a group. Never raises.

    Args:
        rules: The ruleset.
        kind: What is asked for.
        user: The user.
        live: What the rules answer without assignments.
        saved: The unit's assignments.
        enforced: What wins over them.
    """
    # An answer of local overrides has no id type; a bandit has no spec.
    if not live.id_type or live.mapped_to is not None or (kind == "experiment" and not _is_known(rules, live.name)):
        return AssignmentResult(live)
    entry = _read_entry(saved, live.name)
    experiment = live.name if kind == "experiment" else as_text((entry or {}).get("config_delegate")) or ""
    runs = _is_active(rules, experiment)
    if runs is None:  # nothing is said of that: what answers now counts
        runs = live.is_active is True and (kind == "experiment" or live.allocated_experiment is not None)
    if not runs:
        return AssignmentResult(live, deletes=live.name in saved)
    if entry is None:
        return AssignmentResult(
            live, save=_to_entry(rules, live) if live.is_experiment_group and live.is_active else None
        )
    if enforced.overrides and _matches(rules, experiment, _is_override, user):
        return AssignmentResult(live)
    if enforced.targeting and _matches(rules, experiment, _is_targeting, user):
        return AssignmentResult(live)
    return AssignmentResult(_from_entry(live, entry))


def _read_entry(saved: SavedAssignments, name: str) -> Entry | None:
    """Read what is saved under a name; what cannot be an answer counts as absent."""
    entry = as_object(saved.get(name))
    value = None if entry is None else entry.get("json_value")
    return entry if value is None or as_object(value) is not None else None


def _is_override(rule_id: str) -> bool:
    return rule_id.endswith("override")


def _is_targeting(rule_id: str) -> bool:
    return rule_id in ("targetingGate", "inlineTargetingRules")


def _is_known(rules: Ruleset, experiment: str) -> bool:
    return rules.raw("dynamic_configs", experiment) is not None


def _is_active(rules: Ruleset, experiment: str) -> bool | None:
    """Say whether an experiment is active; None when the rules do not."""
    if not _is_known(rules, experiment):
        return None
    key = ("runs", experiment)
    if key not in rules.derived:
        spec = _read_spec(rules, experiment)
        rules.derived[key] = None if spec is None else spec.is_active
    said: bool | None = rules.derived[key]
    return said


def _matches(rules: Ruleset, experiment: str, is_wanted: Callable[[str], bool], user: User) -> bool:
    """Say whether some of an experiment's rules, looked at alone, let the user pass now."""
    if not _is_known(rules, experiment):
        return False
    key = (is_wanted, experiment)
    run: Run | None = rules.derived.get(key)
    if run is None:
        run = rules.derived[key] = _compile_rules(rules, experiment, is_wanted)
    try:
        return run(user, 0, None).passed
    except (UnsupportedError, TooDeepError, RecursionError):
        return False


def _compile_rules(rules: Ruleset, experiment: str, is_wanted: Callable[[str], bool]) -> Run:
    spec = _read_spec(rules, experiment) or Spec(experiment)
    some = tuple(rule for rule in spec.rules if is_wanted(rule.id))
    return compile_rules(Linker(rules, ()), attrs.evolve(spec, rules=some), "experiment")


def _read_spec(rules: Ruleset, experiment: str) -> Spec | None:
    try:
        return Linker(rules, ()).spec("experiment", experiment)
    except MalformedError:
        return None


def _to_entry(rules: Ruleset, found: Evaluation) -> dict[str, Any]:
    """Write an assignment as Statsig's SDKs do."""
    undelegated = found.secondary if found.undelegated is None else found.undelegated
    explicit = found.explicit_parameters
    return {
        "value": found.passed,
        "json_value": found.value,
        "rule_id": found.rule_id,
        "group_name": found.group_name,
        "secondary_exposures": exposures_to_json(found.secondary),
        "undelegated_secondary_exposures": exposures_to_json(undelegated),
        "config_delegate": found.allocated_experiment,
        "explicit_parameters": None if explicit is None else list(explicit),
        "time": rules.time_ms,
        "config_version": found.version,
    }


def _from_entry(live: Evaluation, entry: Mapping[str, Any]) -> Evaluation:
    version = entry.get("config_version", entry.get("configVersion"))
    explicit = entry.get("explicit_parameters")
    return attrs.evolve(
        live,
        value=dict(as_object(entry.get("json_value")) or {}),
        rule_id=as_text(entry.get("rule_id")) or "",
        passed=entry.get("value") is True,
        group_name=as_text(entry.get("group_name")),
        outcome=PERSISTED,
        secondary=_read_exposures(entry.get("secondary_exposures")),
        undelegated=_read_exposures(entry.get("undelegated_secondary_exposures")),
        allocated_experiment=as_text(entry.get("config_delegate")),
        explicit_parameters=tuple(map(str, explicit)) if isinstance(explicit, list) else None,
        cause="split",
        is_experiment_group=True,
        parameter_rules=None,
        version=version if isinstance(version, int) else None,
    )


def _read_exposures(exposures: Any) -> tuple[Exposed, ...]:
    found = []
    for exposure in exposures if isinstance(exposures, list) else ():
        match exposure:
            case {"gate": str(gate), "gateValue": str(value), "ruleID": str(rule_id)}:
                found.append((gate, value, rule_id))
    return tuple(found)
