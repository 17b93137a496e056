"""The constant results of a spec, and those that also depend on what was looked at on the way."""

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from asyncsdk._model.results import Cause
from asyncsdk._rules.compiler.evaluate import Evaluation, Exposed, merge_exposures
from asyncsdk._rules.language.specs import Rule, Spec

_MAX_COMBINATIONS = 2_000

Kind = str


class CombinedResults(dict[tuple[Evaluation, ...], Evaluation]):
    """Results by the nested evaluations that they depend on: made when a combination is first met.

    Evaluations are constants, so few combinations exist; past 2,000 of them new ones are no longer kept.
    """

    def __init__(self, make: Callable[[tuple[Evaluation, ...]], Evaluation]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, nested: tuple[Evaluation, ...]) -> Evaluation:
        made = self._make(nested)
        return self.setdefault(nested, made) if len(self) < _MAX_COMBINATIONS else made


def lets_pass(value: object) -> bool:
    """Say whether a rule's return value lets a user pass: everything does but `false`."""
    return value is not False


def config_value(value: object) -> dict[str, Any]:
    """Give a config's value; what is no object counts as an empty one."""
    return value if isinstance(value, dict) else {}


def rule_result(spec: Spec, rule: Rule, kind: Kind, cause: Cause, *, passed: bool) -> Evaluation:
    """Make the result of a rule that matched, for those who pass its percentage or those who do not."""
    value = rule.return_value if passed else spec.default
    truth = lets_pass(value) if passed else value is True
    return Evaluation(
        spec.name,
        truth if kind == "gate" else config_value(value),
        rule.id,
        truth,
        rule.group_name,
        spec.id_type,
        spec.version,
        cause,
        explicit_parameters=spec.explicit_parameters,
        is_experiment_group=rule.is_experiment_group,
        is_active=spec.is_active,
        sampling_rate=rule.sampling_rate,
        forward_all=spec.forward_all_exposures,
    )


def default_result(spec: Spec, kind: Kind) -> Evaluation:
    """Make the result where no rule matches."""
    return Evaluation(
        spec.name,
        spec.default is True if kind == "gate" else config_value(spec.default),
        "default" if spec.enabled else "disabled",
        passed=spec.default is True,
        id_type=spec.id_type,
        version=spec.version,
        cause="disabled" if not spec.enabled else "default" if spec.rules else "static",
        explicit_parameters=spec.explicit_parameters,
        is_active=spec.is_active,
        forward_all=spec.forward_all_exposures,
    )


def undecided(name: str, kind: Kind, outcome: str, spec: Spec | None = None) -> Evaluation:
    """Make the result where nothing could be decided."""
    return Evaluation(
        name,
        False if kind == "gate" else {},
        outcome=outcome,
        version=None if spec is None else spec.version,
        id_type="" if spec is None else spec.id_type,
    )


def combine_causes(outer: Cause, inner: Cause) -> Cause:
    """Say what decided where one decision led to another: the inner one, unless that is the same for everybody."""
    return outer if inner == "static" else inner


def with_nested(base: Evaluation) -> Callable[[tuple[Evaluation, ...]], Evaluation]:
    """Make results that also tell of the gates and experiments that were looked at."""

    def make(nested: tuple[Evaluation, ...]) -> Evaluation:
        return attrs.evolve(
            base,
            secondary=merge_exposures((base.secondary, nested_exposures(nested))),
            consulted=consulted_experiments(nested),
            forward_all=base.forward_all or _forwards(nested),
        )

    return make


def _forwards(nested: Iterable[Evaluation]) -> bool:
    """Say whether a gate on the way is never sampled, which makes what looked at it never sampled."""
    return any(part.forward_all or (part.is_gate and part.sampling_rate is None) for part in nested)


def nested_exposures(nested: Iterable[Evaluation]) -> tuple[Exposed, ...]:
    """Join what nested gates expose."""
    return merge_exposures(gate.own_exposures() for gate in nested)


def consulted_experiments(nested: Iterable[Evaluation]) -> tuple[Evaluation, ...]:
    """Give the experiments whose group was looked at, here or further down, each once."""
    found: dict[Evaluation, None] = {}
    for part in nested:
        found.update(dict.fromkeys(part.consulted if part.is_gate else (part, *part.consulted)))
    return tuple(found)


def with_delegate(layer: Evaluation) -> Callable[[tuple[Evaluation, ...]], Evaluation]:
    """Make a layer's results out of its experiment's: the value is the experiment's, the version the layer's."""

    def make(parts: tuple[Evaluation, ...]) -> Evaluation:
        experiment, own = parts[0], nested_exposures(parts[1:])
        return attrs.evolve(
            experiment,
            name=layer.name,
            id_type=layer.id_type,
            version=layer.version if experiment.mapped_to is None else experiment.version,
            cause=combine_causes(layer.cause, experiment.cause),
            consulted=tuple(dict.fromkeys((*experiment.consulted, *consulted_experiments(parts[1:])))),
            secondary=merge_exposures((own, experiment.secondary)),
            undelegated=own,
            forward_all=layer.forward_all or experiment.forward_all or _forwards(parts[1:]),
            allocated_experiment=experiment.name,
        )

    return make
