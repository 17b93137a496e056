"""Converts evaluations into the public results that a caller gets.

A result depends on the evaluation and the ruleset only, so it is built once and cached in `evaluation.view`, with the
stamp of the ruleset. One field is enough: the kind of an evaluation never changes. The four functions repeat the cache
check because lookups run it: a shared helper would add a call to each.
"""

from collections.abc import Callable

from asyncsdk._model.results import Details, DynamicConfig, Experiment, FeatureGate, Layer
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.ruleset import Ruleset


def gate(rules: Ruleset, evaluation: Evaluation) -> FeatureGate:
    """Return the result of a gate."""
    cached: tuple[object, FeatureGate] | None = evaluation.view
    if cached is None or cached[0] is not rules.stamp:
        result = FeatureGate(
            evaluation.name,
            evaluation.value,
            evaluation.rule_id,
            evaluation.group_name,
            evaluation.id_type,
            _details(rules, evaluation),
        )
        cached = evaluation.view = (rules.stamp, result)
    return cached[1]


def config(rules: Ruleset, evaluation: Evaluation) -> DynamicConfig:
    """Return the result of a dynamic config."""
    cached: tuple[object, DynamicConfig] | None = evaluation.view
    if cached is None or cached[0] is not rules.stamp:
        result = DynamicConfig(
            evaluation.name, evaluation.value, evaluation.rule_id, evaluation.id_type, _details(rules, evaluation)
        )
        cached = evaluation.view = (rules.stamp, result)
    return cached[1]


def experiment(rules: Ruleset, evaluation: Evaluation) -> Experiment:
    """Return the result of an experiment."""
    cached: tuple[object, Experiment] | None = evaluation.view
    if cached is None or cached[0] is not rules.stamp:
        result = Experiment(
            evaluation.name,
            evaluation.value,
            evaluation.rule_id,
            evaluation.id_type,
            evaluation.group_name,
            _details(rules, evaluation),
        )
        cached = evaluation.view = (rules.stamp, result)
    return cached[1]


def layer(rules: Ruleset, evaluation: Evaluation, on_read: Callable[[str], None] | None) -> Layer:
    """Return the result of a layer; `on_read`, unless None, is called with the name of each parameter that is read."""
    cached: tuple[object, Layer] | None = evaluation.view
    if cached is None or cached[0] is not rules.stamp:
        result = Layer(
            evaluation.name,
            evaluation.value,
            rule_id=evaluation.rule_id,
            id_type=evaluation.id_type,
            group=evaluation.group_name,
            allocated_experiment=evaluation.allocated_experiment,
            details=_details(rules, evaluation),
        )
        cached = evaluation.view = (rules.stamp, result)
    return cached[1] if on_read is None else cached[1].with_on_read(on_read)


def _details(rules: Ruleset, evaluation: Evaluation) -> Details:
    """Return why the evaluation has its value, and the version of the ruleset."""
    return Details(rules.reason(evaluation), rules.time_ms, rules.received_at_ms, evaluation.version, evaluation.cause)
