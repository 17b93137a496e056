"""Compile layers that merge their rules (`useNewLayerEval` in the ruleset).

An ordinary layer takes all its parameters from the first rule that matches. A merging layer runs all its rules, and
each parameter comes from the first matching rule that sets it; the layer's default sets the rest. At most one
experiment takes part: that of the first matching rule, if it has one.

Like other results, a merged one is a constant: `CombinedResults` builds it once per combination of the rules'
evaluations. Therefore a run only collects those, in this order: for each rule the evaluation of its conditions, as a
gate, directly followed by its experiment's evaluation if the gate is open.
"""

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import attrs

from asyncsdk._model.results import Cause
from asyncsdk._model.users import User
from asyncsdk._rules.compiler import outcomes
from asyncsdk._rules.compiler.evaluate import Evaluation, Run, merge_exposures
from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.compiler.rules import compile_rules
from asyncsdk._rules.language.specs import Rule, Spec


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
    """

    value: dict[str, Any] = attrs.Factory(dict)
    rules: dict[str, str] = attrs.Factory(dict)
    experiment: Evaluation | None = None
    rule_id: str = "default"
    passed: bool = False
    cause: Cause | None = None
    is_group: bool = False

    def add(self, parameters: Any, rule_id: str) -> None:
        """Set those parameters that no earlier rule has set."""
        for name, value in outcomes.config_value(parameters).items():
            if name not in self.value:
                self.value[name] = value
                self.rules[name] = rule_id


def compile_merging_layer(linker: Linker, spec: Spec) -> Run:
    """Compile a layer that merges its rules."""
    rules = [_compile_rule(linker, spec, rule) for rule in spec.rules]
    results = outcomes.CombinedResults(_merger(spec))

    def run(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
        parts: list[Evaluation] = []
        for matches, delegate in rules:
            match = matches(user, level, memory)
            parts.append(match)
            if match.value and delegate is not None:
                parts.append(delegate(user, level + 1, memory))
        return results[tuple(parts)]

    return run


def _compile_rule(linker: Linker, spec: Spec, rule: Rule) -> tuple[Run, Run | None]:
    """Compile a rule to a gate that is open if the rule matches, and its experiment if it has one."""
    delegate = None if rule.delegate is None else linker.run_of("experiment", rule.delegate)
    gate = attrs.evolve(rule, delegate=None, return_value=True)
    matches = compile_rules(linker, attrs.evolve(spec, default=False, rules=(gate,)), "gate")
    return matches, delegate


def _merger(spec: Spec) -> Callable[[tuple[Evaluation, ...]], Evaluation]:
    """Return the function that merges what a run has collected."""
    default = outcomes.default_result(spec, "layer")
    by_id = {rule.id: rule for rule in spec.rules}

    def merge(parts: tuple[Evaluation, ...]) -> Evaluation:
        merged, exposures = _Merge(), []
        undelegated = merge_exposures(part.secondary for part in parts if part.is_gate)
        for part, following in zip_longest(parts, parts[1:]):
            # Gates are the rules; an experiment is handled with the gate before it.
            if not part.is_gate:
                continue
            exposures.append(part.secondary)
            # 1. The rule does not match: it only leaves its exposures.
            if part.value is not True:
                continue
            merged.cause = merged.cause or part.cause
            # 2. The rule has an experiment. One that does not take part leaves no exposures.
            if following is not None and not following.is_gate:
                if not merged.passed and merged.value.keys().isdisjoint(following.value):
                    exposures.append(following.secondary)
                    merged.experiment, merged.rule_id, merged.passed = following, part.rule_id, True
                    merged.is_group = part.is_experiment_group
                    merged.add(following.value, part.rule_id)
            # 3. The rule has none: its own parameters count.
            else:
                merged.passed = True
                merged.add(by_id[part.rule_id].return_value, part.rule_id)
        merged.add(spec.default, "default")
        return _merged_result(default, merged, merge_exposures(exposures), undelegated)

    return merge


def _merged_result(
    default: Evaluation, merged: _Merge, secondary: tuple[Any, ...], undelegated: tuple[Any, ...]
) -> Evaluation:
    experiment = merged.experiment
    result = attrs.evolve(
        default,
        value=merged.value,
        rule_id=merged.rule_id,
        passed=merged.passed,
        cause=merged.cause or default.cause,
        is_experiment_group=merged.is_group,
        secondary=secondary,
        undelegated=undelegated,
        parameter_rules=merged.rules,
    )
    if experiment is None:
        return result
    return attrs.evolve(
        result,
        group_name=experiment.group_name,
        cause=outcomes.combine_causes(result.cause, experiment.cause),
        explicit_parameters=experiment.explicit_parameters,
        allocated_experiment=experiment.name,
    )
