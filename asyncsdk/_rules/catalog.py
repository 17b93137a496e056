"""What a ruleset contains, without a user: its names, and the groups of its experiments.

Source: statsig-python-core 0.24.2, as observed: which entities each of its lists has (a segment or a holdout is in
none), which rules are groups, and that the first rule with a group's name represents it, even if it is an override
rule of the console.
"""

from collections.abc import Iterable, Iterator

from asyncsdk._model.catalog import ExperimentGroup, ExperimentGroups, Names
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.compiler.outcomes import config_value, undecided
from asyncsdk._rules.language.overrides import GroupOverride
from asyncsdk._rules.language.specs import MalformedError, Rule, Spec, read_fields, read_spec
from asyncsdk._rules.ruleset import Ruleset


def list_names(rules: Ruleset) -> Names:
    """Return the names of a ruleset and its local overrides. The first call reads each spec."""
    found: Names | None = rules.derived.get(list_names)
    if found is None:
        dynamic, overridden = _names_by_entity(rules, "dynamic_configs"), rules.shared_context.overrides.names
        found = rules.derived[list_names] = Names(
            gates=_joined(_names_by_entity(rules, "feature_gates").get("feature_gate"), overridden("gate")),
            configs=_joined(dynamic.get("dynamic_config"), overridden("config")),
            experiments=_joined(dynamic.get("experiment"), overridden("experiment")),
            autotunes=_joined(dynamic.get("autotune"), rules.names("cmab_configs")),
            layers=_joined(rules.names("layer_configs"), overridden("layer")),
            parameter_stores=_joined(rules.names("param_stores"), overridden("parameter_store")),
        )
    return found


def _names_by_entity(rules: Ruleset, section: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    # A spec without an entity is an ordinary one, as in a ruleset that a person wrote.
    ordinary = "feature_gate" if section == "feature_gates" else "dynamic_config"
    for name in rules.names(section):
        found.setdefault(str(read_fields(rules.raw(section, name), name).get("entity", ordinary)), []).append(name)
    return found


def _joined(names: Iterable[str] | None, more: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*(names or ()), *more}))


def experiment_groups(rules: Ruleset, name: str) -> ExperimentGroups:
    """Return the groups of an experiment; none for a name that is not one."""
    spec = _experiment(rules, name)
    if spec is None:
        return ExperimentGroups(name)
    groups = tuple(
        ExperimentGroup(rule.group_name or "", config_value(rule.return_value), rule.id, rule.id_type)
        for rule in spec.rules
        if rule.is_experiment_group
    )
    return ExperimentGroups(name, spec.is_active, groups)


def find_group(rules: Ruleset, name: str, group: str | None, rule_id: str | None) -> Evaluation:
    """Return what an experiment has for a group: the first rule with this group name, or with this id.

    Args:
        rules: The ruleset.
        name: The experiment.
        group: Name of the group; None looks it up by `rule_id`.
        rule_id: Id of the group's rule.
    """
    spec = _experiment(rules, name)
    for rule in () if spec is None else spec.rules:
        if rule.id == rule_id if group is None else rule.group_name == group:
            return _group_evaluation(name, rule)
    return undecided(name, "experiment", "Unrecognized")


def missing_groups(rules: Ruleset) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the overrides that cannot apply: the experiment, the group that it does not have, and those that it has."""
    overrides = rules.shared_context.overrides
    for name in overrides.names("experiment"):
        for value in overrides.of("experiment", name).values():
            if isinstance(value, GroupOverride):
                spec = _experiment(rules, name)
                known = () if spec is None else tuple(rule.group_name for rule in spec.rules if rule.group_name)
                if value.name not in known:
                    yield name, value.name, tuple(dict.fromkeys(known))


def _group_evaluation(name: str, rule: Rule) -> Evaluation:
    return Evaluation(
        name, config_value(rule.return_value), rule.id, group_name=rule.group_name, id_type=rule.id_type, cause="static"
    )


def _experiment(rules: Ruleset, name: str) -> Spec | None:
    raw = rules.raw("dynamic_configs", name)
    try:
        spec = None if raw is None else read_spec(raw, name, inline=rules.is_inline)
    except MalformedError:
        return None
    return spec if spec is not None and spec.entity == "experiment" else None
