"""Compile layers that merge their rules (`useNewLayerEval` in the ruleset).

An ordinary layer takes all its parameters from the first rule that matches. A merging layer runs all its rules, and
each parameter comes from the first matching rule that sets it; the layer's default sets the rest. At most one
experiment takes part: that of the first matching rule, if it has one.

Like other results, a merged one is a constant: `CombinedResults` builds it once per combination of the rules'
evaluations. Therefore a run only collects those, in this order: for each rule the evaluation of its conditions, as a
gate, directly followed by its experiment's evaluation if the gate is open.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import attrs

from asyncsdk._model.results import Cause
from asyncsdk._model.users import User
from asyncsdk._rules.compiler import outcomes
from asyncsdk._rules.compiler.evaluate import LOCAL_OVERRIDE, Evaluation, Run, merge_exposures
from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.compiler.rules import compile_rules_in_steps
from asyncsdk._rules.language.specs import Rule, Spec
from asyncsdk._rules.sliced import Steps

_RULES_PER_STEP = 20


@attrs.define(eq=False, repr=False)
class _Merge:
    """A layer's result while it is being merged.

    Attributes:
        value: The parameters set so far.
        rules: The rule that set each of them.
        experiment: The experiment that takes part.
        rule_id: The rule of that experiment.
        passed: A rule has matched that has no experiment, or whose experiment takes part.
        cause: What decided about the first rule that matched.
        is_group: The experiment's rule is an experiment group.
        explicit_parameters: Parameters that the experiment owns.
        identity: The evaluation that id type and version come from: that of a bandit or an experiment for which config
            mapping was tried, even one that does not take part. None for the layer's own.
        is_overridden: A local override answered for an experiment.
    """

    value: dict[str, Any] = attrs.Factory(dict)
    rules: dict[str, str] = attrs.Factory(dict)
    experiment: Evaluation | None = None
    rule_id: str = "default"
    passed: bool = False
    cause: Cause | None = None
    is_group: bool = False
    explicit_parameters: tuple[str, ...] | None = None
    identity: Evaluation | None = None
    is_overridden: bool = False

    def observe(self, experiment: Evaluation) -> None:
        """Record what an experiment leaves behind, even if it does not take part."""
        if experiment.tried_mapping or experiment.is_bandit:
            self.identity, self.is_overridden = experiment, False
        self.is_overridden |= experiment.outcome == LOCAL_OVERRIDE

    def add(self, parameters: Any, rule_id: str) -> None:
        """Set those parameters that no earlier rule has set."""
        for name, value in outcomes.config_value(parameters).items():
            if name not in self.value:
                self.value[name] = value
                self.rules[name] = rule_id


def compile_merging_layer(linker: Linker, spec: Spec) -> Steps[Run]:
    """Compile a layer that merges its rules, yielding between steps."""
    experiments: list[Spec | None] = []
    rules: list[tuple[Run, Run | None]] = []
    for rule in spec.rules:
        delegate = yield from linker.delegate_in_steps(rule)
        experiments.append(None if delegate is None else delegate[1])
        rules.append(((yield from _compile_rule(linker, spec, rule)), None if delegate is None else delegate[0]))
        if len(rules) % _RULES_PER_STEP == 0:
            yield
    results = outcomes.CombinedResults(_merger(spec, experiments))

    def run(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
        parts: list[Evaluation] = []
        for matches, delegate in rules:
            match = matches(user, level, memory)
            parts.append(match)
            if match.value and delegate is not None:
                parts.append(delegate(user, level + 1, memory))
        return results[tuple(parts)]

    return run


def _compile_rule(linker: Linker, spec: Spec, rule: Rule) -> Steps[Run]:
    """Compile a rule to a gate that is open if the rule matches."""
    gate = attrs.evolve(rule, delegate=None, return_value=True)
    return (yield from compile_rules_in_steps(linker, attrs.evolve(spec, default=False, rules=(gate,)), "gate"))


def _merger(spec: Spec, experiments: Sequence[Spec | None]) -> Callable[[tuple[Evaluation, ...]], Evaluation]:
    """Return the function that merges what a run has collected; `experiments` are those of the rules."""
    default = outcomes.default_result(spec, "layer")

    def merge(parts: tuple[Evaluation, ...]) -> Evaluation:
        merged, exposures = _Merge(), []
        undelegated = merge_exposures(part.secondary for part in parts if part.is_gate)
        rules = zip(spec.rules, experiments, strict=True)
        for part, following in zip_longest(parts, parts[1:]):
            # Gates are the rules, in order; an experiment is handled with the gate before it.
            if not part.is_gate:
                continue
            rule, experiment = next(rules)
            exposures.append(part.secondary)
            # 1. The rule does not match: it only leaves its exposures.
            if part.value is not True:
                continue
            merged.cause = merged.cause or part.cause
            # 2. The rule has an experiment. One that does not take part leaves no exposures.
            if following is not None and not following.is_gate:
                merged.observe(following)
                if not merged.passed and merged.value.keys().isdisjoint(following.value):
                    exposures.append(following.secondary)
                    merged.experiment, merged.rule_id, merged.passed = following, part.rule_id, True
                    merged.is_group = part.is_experiment_group
                    merged.explicit_parameters = None if experiment is None else experiment.explicit_parameters
                    merged.add(following.value, part.rule_id)
            # 3. The rule has none: its own parameters count.
            else:
                merged.passed = True
                merged.add(rule.return_value, rule.id)
        merged.add(spec.default, "default")
        return _merged_result(default, merged, merge_exposures(exposures), undelegated)

    return merge


def _merged_result(
    default: Evaluation, merged: _Merge, secondary: tuple[Any, ...], undelegated: tuple[Any, ...]
) -> Evaluation:
    experiment, identity = merged.experiment, merged.identity or default
    result = attrs.evolve(
        default,
        id_type=identity.id_type,
        version=identity.version,
        mapped_to=identity.mapped_to,
        outcome=LOCAL_OVERRIDE if merged.is_overridden else default.outcome,
        value=merged.value,
        rule_id=merged.rule_id,
        passed=merged.passed,
        cause=merged.cause or default.cause,
        is_experiment_group=merged.is_group,
        secondary=secondary,
        undelegated=undelegated,
        explicit_parameters=merged.explicit_parameters,
        parameter_rules=merged.rules,
    )
    if experiment is None:
        return result
    return attrs.evolve(
        result,
        group_name=experiment.group_name,
        cause=outcomes.combine_causes(result.cause, experiment.cause),
        allocated_experiment=experiment.name,
    )
