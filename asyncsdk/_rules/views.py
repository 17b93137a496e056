"""Evaluations in the form that a caller gets. Made once per evaluation and ruleset, for both are constants."""

from collections.abc import Callable

from asyncsdk._model.results import Details, DynamicConfig, Experiment, FeatureGate, Layer
from asyncsdk._rules.evaluate import Evaluation
from asyncsdk._rules.ruleset import Ruleset


def details(rules: Ruleset, found: Evaluation) -> Details:
    """Say why an evaluation came out as it did, and by which ruleset."""
    kept: tuple[object, Details] | None = found.notes.get("details")
    if kept is None or kept[0] is not rules.stamp:
        made = Details(rules.reason(found), rules.time_ms, rules.received_at_ms, found.version, found.cause)
        kept = found.notes["details"] = (rules.stamp, made)
    return kept[1]


def gate(rules: Ruleset, found: Evaluation) -> FeatureGate:
    """Show a gate."""
    return FeatureGate(found.name, found.value, found.rule_id, found.group_name, found.id_type, details(rules, found))


def config(rules: Ruleset, found: Evaluation) -> DynamicConfig:
    """Show a dynamic config."""
    kept: tuple[object, DynamicConfig] | None = found.notes.get("config")
    if kept is None or kept[0] is not rules.stamp:
        made = DynamicConfig(found.name, found.value, found.rule_id, found.id_type, details(rules, found))
        kept = found.notes["config"] = (rules.stamp, made)
    return kept[1]


def experiment(rules: Ruleset, found: Evaluation) -> Experiment:
    """Show an experiment."""
    kept: tuple[object, Experiment] | None = found.notes.get("experiment")
    if kept is None or kept[0] is not rules.stamp:
        made = Experiment(
            found.name, found.value, found.rule_id, found.id_type, found.group_name, details(rules, found)
        )
        kept = found.notes["experiment"] = (rules.stamp, made)
    return kept[1]


def layer(rules: Ruleset, found: Evaluation, on_read: Callable[[str], None]) -> Layer:
    """Show a layer; `on_read` is told of each parameter that is read."""
    return Layer(
        found.name,
        found.value,
        on_read,
        found.rule_id,
        found.id_type,
        found.group_name,
        found.allocated_experiment,
        details(rules, found),
    )
