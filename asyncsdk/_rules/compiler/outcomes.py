"""Build the results of a spec: constants, or combinations with nested evaluations.

A spec has few results: two per rule (the user is within the pass percentage, or outside it) and the default. They are
built when the spec is compiled (`rule_result`, `default_result`), and the generated function returns one of them.

Where a rule has evaluated gates or experiments on the way, the result must also report those. Nested evaluations are
constants, too, so that again only few combinations exist: `CombinedResults` is a dict from a tuple of nested
evaluations to the result, which is built when the combination first occurs. Example: a rule of gate `beta` evaluates
gate `staff`, and `staff` has two results. Then

    R1 = CombinedResults(with_nested(<beta passed>))
    R1[<staff open>,]     # <beta passed, secondary=(("staff", "true", "corp"),)>
    R1[<staff closed>,]   # <beta passed, secondary=(("staff", "false", "default"),)>

Two kinds of exposures come from nested evaluations:

1. A **gate** becomes a secondary exposure, with its own secondary exposures before it.
2. An **experiment** whose group was tested becomes `consulted`: the client logs an exposure of its own for it.
"""

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from asyncsdk._model.results import Cause
from asyncsdk._rules.compiler.evaluate import Evaluation, Exposed, merge_exposures
from asyncsdk._rules.language.specs import Rule, Spec

_MAX_COMBINATIONS = 2_000

Kind = str


class CombinedResults(dict[tuple[Evaluation, ...], Evaluation]):
    """Results by the nested evaluations that they depend on, each built when its combination first occurs.

    Beyond 2,000 combinations, new ones are built each time: that bounds the memory and changes no result.
    """

    def __init__(self, build: Callable[[tuple[Evaluation, ...]], Evaluation]) -> None:
        super().__init__()
        self._build = build

    def __missing__(self, nested: tuple[Evaluation, ...]) -> Evaluation:
        built = self._build(nested)
        return self.setdefault(nested, built) if len(self) < _MAX_COMBINATIONS else built


def lets_pass(value: object) -> bool:
    """Return whether a rule's return value lets a user pass: every value does except `false`."""
    return value is not False


def config_value(value: object) -> dict[str, Any]:
    """Return a config's value; anything but a JSON object counts as an empty one."""
    return value if isinstance(value, dict) else {}


def rule_result(spec: Spec, rule: Rule, kind: Kind, cause: Cause, *, passed: bool) -> Evaluation:
    """Build the result of a rule whose conditions hold.

    Args:
        spec: The rule's spec.
        rule: The rule.
        kind: `gate`, `config`, `experiment` or `layer`.
        cause: What decides when this rule does.
        passed: Whether it is for users within the pass percentage; the others get the spec's default.
    """
    value = rule.return_value if passed else spec.default
    # A default opens a gate only if it is `true`: stricter than a rule's value.
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
        is_active=spec.is_active is True,
        is_in_layer=spec.has_shared_params,
        sampling_rate=rule.sampling_rate,
        forward_all=spec.forward_all_exposures,
    )


def default_result(spec: Spec, kind: Kind) -> Evaluation:
    """Build the result where no rule matches."""
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
        is_in_layer=spec.has_shared_params,
        forward_all=spec.forward_all_exposures,
    )


def undecided(name: str, kind: Kind, outcome: str, spec: Spec | None = None) -> Evaluation:
    """Build the result where no rule could decide, with an empty value.

    Args:
        name: What was asked for.
        kind: `gate`, `config`, `experiment` or `layer`.
        outcome: Why, as in `Evaluation.outcome`.
        spec: The spec of that name; None if it is unknown or malformed.
    """
    return Evaluation(
        name,
        False if kind == "gate" else {},
        outcome=outcome,
        version=None if spec is None else spec.version,
        id_type="" if spec is None else spec.id_type,
    )


def combine_causes(outer: Cause, inner: Cause) -> Cause:
    """Return the cause where one decision led to another: the inner one, unless it is the same for every user."""
    return outer if inner == "static" else inner


def with_nested(base: Evaluation) -> Callable[[tuple[Evaluation, ...]], Evaluation]:
    """Return the function that adds to `base` what nested evaluations expose."""

    def build(nested: tuple[Evaluation, ...]) -> Evaluation:
        return attrs.evolve(
            base,
            secondary=merge_exposures((base.secondary, nested_exposures(nested))),
            consulted=consulted_experiments(nested),
            forward_all=base.forward_all or _forwards_all(nested),
        )

    return build


def with_delegate(
    layer: Evaluation, explicit_parameters: tuple[str, ...] | None
) -> Callable[[tuple[Evaluation, ...]], Evaluation]:
    """Return the function that builds a layer's result from its experiment, followed by nested evaluations.

    The value is the experiment's; name, id type and version are the layer's, with two exceptions, as in
    statsig-python-core 0.24.2: 1. a bandit brings its own; 2. if config mapping was tried for the experiment, the layer
    has the experiment's, and loses the exposures of its own rules.

    Args:
        layer: The result of the layer's rule without the experiment.
        explicit_parameters: Those of the experiment that the rule names, even if another spec answers for it.
    """

    def build(parts: tuple[Evaluation, ...]) -> Evaluation:
        experiment = parts[0]
        outer, own = (experiment, ()) if experiment.tried_mapping else (layer, nested_exposures(parts[1:]))
        identity = experiment if experiment.is_bandit else outer
        secondary = merge_exposures((own, experiment.secondary))
        before: tuple[Exposed, ...] | None = None
        # An experiment may itself have an experiment: its own rules then belong to the layer's.
        if experiment.allocated_experiment is not None:
            before = experiment.undelegated
        elif experiment.tried_mapping:
            before = secondary
        return attrs.evolve(
            experiment,
            name=layer.name,
            id_type=identity.id_type,
            version=identity.version,
            cause=combine_causes(layer.cause, experiment.cause),
            consulted=tuple(dict.fromkeys((*experiment.consulted, *consulted_experiments(parts[1:])))),
            secondary=secondary,
            undelegated=merge_exposures((own, before or ())),
            explicit_parameters=explicit_parameters,
            is_active=outer.is_active if experiment.is_active is None else experiment.is_active,
            is_in_layer=outer.is_in_layer if experiment.is_in_layer is None else experiment.is_in_layer,
            forward_all=layer.forward_all or experiment.forward_all or _forwards_all(parts[1:]),
            allocated_experiment=experiment.name,
        )

    return build


def _forwards_all(nested: Iterable[Evaluation]) -> bool:
    """Return whether a nested gate is never sampled, because then the result must not be sampled either."""
    return any(part.forward_all or (part.is_gate and part.sampling_rate is None) for part in nested)


def nested_exposures(nested: Iterable[Evaluation]) -> tuple[Exposed, ...]:
    """Merge the secondary exposures that nested gates add."""
    return merge_exposures(gate.own_exposures() for gate in nested)


def consulted_experiments(nested: Iterable[Evaluation]) -> tuple[Evaluation, ...]:
    """Return the experiments whose group was tested, at any level below, each once."""
    # A dict as an ordered set.
    found: dict[Evaluation, None] = {}
    for part in nested:
        found.update(dict.fromkeys(part.consulted if part.is_gate else (part, *part.consulted)))
    return tuple(found)
