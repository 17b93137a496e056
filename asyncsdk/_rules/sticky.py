"""Sticky assignments: a user keeps the group of an experiment, or of a layer's experiment, while the experiment runs.

Nothing here does I/O: the caller passes the saved assignments of the unit, loaded before by
`await client.load_assignments(user)`, and `assign` returns what to save or delete.

An assignment of a name has two states, saved or not. `assign` numbers the cases:

    case                                                     result             saved entry
    1. overridden, mapped, or a bandit                       the live one       unchanged
    2. the experiment is not active                          the live one       deleted
    3. nothing saved, the user is in an experiment group     the live one       the live one is saved
    4. nothing saved, the user is not                        the live one       none
    5. saved, but an enforced rule matches                   the live one       unchanged
    6. saved                                                 the saved group    unchanged

Example: ada gets group "blue" of `button` (case 3). The allocation then changes so that the rules say "red": ada stays
in "blue" (case 6), new users get "red". The experiment ends: ada gets the default, and the entry is deleted (case 2).

Source: statsig-python-core 0.24.0 with a `PersistentStorage`, as observed: when a saved entry is used, when it is
deleted, what is saved, and under which key.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import attrs

from asyncsdk._model.user_view import ids_of
from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import PERSISTED, Evaluation, Exposed, Run, TooDeepError
from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.compiler.rules import compile_rules
from asyncsdk._rules.exposures import exposures_to_json
from asyncsdk._rules.language.specs import MalformedError, Spec
from asyncsdk._rules.language.values import as_object, as_text
from asyncsdk._rules.patterns.errors import UnsupportedError
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk.errors import InvalidEventError

_USER_ID = "userID"

Entry = Mapping[str, Any]
"""One assignment, in the format of Statsig's SDKs."""
SavedAssignments = Mapping[str, Entry]
"""Assignments of one unit, by the name of the experiment or layer."""


@attrs.frozen(eq=False, repr=False)
class Enforcement:
    """Rules of the experiment that take precedence over a saved assignment.

    Attributes:
        overrides: Whether an override rule does, if it matches the user now.
        targeting: Whether a targeting rule does, if it excludes the user now.
    """

    overrides: bool = False
    targeting: bool = False


@attrs.frozen(eq=False, repr=False)
class AssignmentResult:
    """The result of a lookup with sticky assignments.

    Attributes:
        evaluation: The evaluation to use.
        save: The entry to save under the name; None if there is nothing to save.
        deletes: Whether to delete the entry that is saved under the name.
    """

    evaluation: Evaluation
    save: Entry | None = None
    deletes: bool = False


def storage_key(user: User, id_type: str) -> str | None:
    """Return the storage key of a unit, `{unit id}:{id type}`; None if the user has no id of that type."""
    unit = user.unit_id(id_type)
    return f"{unit}:{_USER_ID if id_type.lower() == 'userid' else id_type}" if unit else None


def storage_keys(user: User) -> Iterator[str]:
    """Yield the storage keys of all units of a user."""
    user_key = storage_key(user, _USER_ID)  # prepares the user
    if user_key is not None:
        yield user_key
    for id_type in ids_of(user) or ():
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
    """Decide between the live evaluation of an experiment or layer and a saved assignment. Never raises.

    Args:
        rules: The ruleset.
        kind: The kind of the name.
        user: The user.
        live: The evaluation of the rules alone.
        saved: The saved assignments of the unit.
        enforced: Rules that take precedence over them.
    """
    # Case 1. An evaluation of a local override has no id type; a bandit has no spec.
    if not live.id_type or live.mapped_to is not None or (kind == "experiment" and not _is_known(rules, live.name)):
        return AssignmentResult(live)
    entry = _read_entry(saved, live.name)
    experiment = live.name if kind == "experiment" else as_text((entry or {}).get("config_delegate")) or ""
    runs = _is_active(rules, experiment)
    if runs is None:  # the rules do not say: use the experiment of the live evaluation
        runs = live.is_active is True and (kind == "experiment" or live.allocated_experiment is not None)
    if not runs:  # case 2
        return AssignmentResult(live, deletes=live.name in saved)
    if entry is None:  # cases 3 and 4
        return AssignmentResult(
            live, save=_to_entry(rules, live) if live.is_experiment_group and live.is_active else None
        )
    # Case 5
    if enforced.overrides and _matches(rules, experiment, _is_override, user):
        return AssignmentResult(live)
    if enforced.targeting and _matches(rules, experiment, _is_targeting, user):
        return AssignmentResult(live)
    return AssignmentResult(_from_entry(live, entry))  # case 6


def _read_entry(saved: SavedAssignments, name: str) -> Entry | None:
    """Return the entry saved under a name; None if there is none, or if its value is not a JSON object."""
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
    """Return whether an experiment is active; None if the rules do not say."""
    if not _is_known(rules, experiment):
        return None
    key = ("active", experiment)
    if key not in rules.derived:
        spec = _read_spec(rules, experiment)
        rules.derived[key] = None if spec is None else spec.is_active
    active: bool | None = rules.derived[key]
    return active


def _matches(rules: Ruleset, experiment: str, is_wanted: Callable[[str], bool], user: User) -> bool:
    """Return whether those rules of an experiment that are wanted, evaluated alone, pass the user now."""
    if not _is_known(rules, experiment):
        return False
    # The predicate itself is part of the key: overrides and targeting rules are compiled separately.
    key = (is_wanted, experiment)
    run: Run | None = rules.derived.get(key)
    if run is None:
        run = rules.derived[key] = _compile_rules(rules, experiment, is_wanted)
    try:
        return run(user, 0, None).passed
    except (UnsupportedError, TooDeepError, RecursionError, InvalidEventError):
        return False


def _compile_rules(rules: Ruleset, experiment: str, is_wanted: Callable[[str], bool]) -> Run:
    """Compile the experiment with its wanted rules only."""
    spec = _read_spec(rules, experiment) or Spec(experiment)
    wanted = tuple(rule for rule in spec.rules if is_wanted(rule.id))
    return compile_rules(Linker(rules, ()), attrs.evolve(spec, rules=wanted), "experiment")


def _read_spec(rules: Ruleset, experiment: str) -> Spec | None:
    try:
        return Linker(rules, ()).spec("experiment", experiment)
    except MalformedError:
        return None


def _to_entry(rules: Ruleset, evaluation: Evaluation) -> dict[str, Any]:
    """Return an assignment in the format of Statsig's SDKs."""
    undelegated = evaluation.secondary if evaluation.undelegated is None else evaluation.undelegated
    explicit = evaluation.explicit_parameters
    return {
        "value": evaluation.passed,
        "json_value": evaluation.value,
        "rule_id": evaluation.rule_id,
        "group_name": evaluation.group_name,
        "secondary_exposures": exposures_to_json(evaluation.secondary),
        "undelegated_secondary_exposures": exposures_to_json(undelegated),
        "config_delegate": evaluation.allocated_experiment,
        "explicit_parameters": None if explicit is None else list(explicit),
        "time": rules.time_ms,
        "config_version": evaluation.version,
    }


def _from_entry(live: Evaluation, entry: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation that an entry records. A store may return anything, so each field is checked."""
    # Node's SDK writes `configVersion`, the others `config_version`.
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
        is_active=True,
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
