"""Evaluations in the form that a caller gets. Made once per evaluation and ruleset, for both are constants.

An evaluation is of one kind for good, so there is one view of it.
"""

from collections.abc import Callable

from asyncsdk._model.results import Details, DynamicConfig, Experiment, FeatureGate, Layer
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.ruleset import Ruleset


def gate(rules: Ruleset, found: Evaluation) -> FeatureGate:
    """Show a gate."""
    kept: tuple[object, FeatureGate] | None = found.view
    if kept is None or kept[0] is not rules.stamp:
        made = FeatureGate(
            found.name, found.value, found.rule_id, found.group_name, found.id_type, _details(rules, found)
        )
        kept = found.view = (rules.stamp, made)
    return kept[1]


def config(rules: Ruleset, found: Evaluation) -> DynamicConfig:
    """Show a dynamic config."""
    kept: tuple[object, DynamicConfig] | None = found.view
    if kept is None or kept[0] is not rules.stamp:
        made = DynamicConfig(found.name, found.value, found.rule_id, found.id_type, _details(rules, found))
        kept = found.view = (rules.stamp, made)
    return kept[1]


def experiment(rules: Ruleset, found: Evaluation) -> Experiment:
    """Show an experiment."""
    kept: tuple[object, Experiment] | None = found.view
    if kept is None or kept[0] is not rules.stamp:
        made = Experiment(
            found.name, found.value, found.rule_id, found.id_type, found.group_name, _details(rules, found)
        )
        kept = found.view = (rules.stamp, made)
    return kept[1]


def layer(rules: Ruleset, found: Evaluation, on_read: Callable[[str], None] | None) -> Layer:
    """Show a layer; `on_read` is told of each parameter that is read, None tells nobody."""
    kept: tuple[object, Layer] | None = found.view
    if kept is None or kept[0] is not rules.stamp:
        made = Layer(
            found.name,
            found.value,
            rule_id=found.rule_id,
            id_type=found.id_type,
            group=found.group_name,
            allocated_experiment=found.allocated_experiment,
            details=_details(rules, found),
        )
        kept = found.view = (rules.stamp, made)
    return kept[1] if on_read is None else kept[1].with_on_read(on_read)


def _details(rules: Ruleset, found: Evaluation) -> Details:
    """Say why an evaluation came out as it did, and by which ruleset."""
    return Details(rules.reason(found), rules.time_ms, rules.received_at_ms, found.version, found.cause)
