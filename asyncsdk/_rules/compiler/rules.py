"""A spec's rules to the function that runs them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from asyncsdk._model.results import Cause
from asyncsdk._rules.compiler import outcomes
from asyncsdk._rules.compiler.codegen import (
    ConditionCode,
    NestedCode,
    ResultFactory,
    RuleCode,
    compile_source,
    generate,
)
from asyncsdk._rules.compiler.condition_code import ALWAYS, compile_condition
from asyncsdk._rules.compiler.evaluate import Evaluation, Run
from asyncsdk._rules.compiler.linker import Linker, memoized
from asyncsdk._rules.language.conditions import user_bucketer
from asyncsdk._rules.language.operators import OPERATORS
from asyncsdk._rules.language.specs import Condition, Rule, Spec

_BUCKETS = 10_000
_GATE_TESTS = {"pass_gate": "{0}.value", "fail_gate": "not {0}.value"}
_ABSENT_GATE = {"pass_gate": "False", "fail_gate": "True"}


def compile_rules(linker: Linker, spec: Spec, kind: str) -> Run:
    """Compile a spec's rules; what they look at is noted on the linker."""
    source, constants = generate_rules(linker, spec, kind)
    return compile_source(source, constants)


def generate_rules(linker: Linker, spec: Spec, kind: str) -> tuple[str, dict[str, Any]]:
    """Write a spec's rules as source, with the constants that it runs with."""
    default = outcomes.default_result(spec, kind)
    branches: list[RuleCode] = []
    for rule in spec.rules:
        branches.append(_branch(linker, spec, rule, kind, is_targeted=any(earlier.steps for earlier in branches)))
    if linker.is_heavy:
        for branch in branches:
            _remember(branch)
    return generate(branches, _result(lambda: default), heavy=linker.is_heavy)


def _remember(branch: RuleCode) -> None:
    for nested in (*branch.steps, branch.delegate):
        if isinstance(nested, NestedCode):
            nested.run = memoized(nested.key, nested.run)


def _branch(linker: Linker, spec: Spec, rule: Rule, kind: str, *, is_targeted: bool) -> RuleCode:
    """Compile a rule; `is_targeted` says that an earlier one looks at the user."""
    conditions = [linker.condition(key) for key in rule.conditions]
    steps = [made for condition in conditions for made in _steps(linker, condition)]
    delegate = None if rule.delegate is None else linker.run_of("experiment", rule.delegate)
    cause = _cause(rule, conditions, is_targeted=is_targeted or bool(steps))
    passed = partial(outcomes.rule_result, spec, rule, kind, cause, passed=True)
    failed = partial(outcomes.rule_result, spec, rule, kind, cause, passed=False)
    branch = RuleCode(steps, _result(passed), _result(failed), threshold=rule.pass_percentage * 100.0)
    if delegate is not None and rule.delegate is not None:
        branch.delegate = NestedCode(("experiment", rule.delegate), delegate)
        branch.passed = _delegated(passed())
    elif 0 < branch.threshold < _BUCKETS:
        salt = rule.id if rule.salt is None else rule.salt
        branch.bucket = user_bucketer(f"{spec.salt}.{salt}", rule.id_type, _BUCKETS)
    return branch


def _cause(rule: Rule, conditions: Sequence[Condition | None], *, is_targeted: bool) -> Cause:
    """Say what decides when a rule does."""
    is_rollout = rule.delegate is None and 0 < rule.pass_percentage < 100
    is_bucketed = any(condition is not None and condition.type == "user_bucket" for condition in conditions)
    if is_rollout or is_bucketed or rule.is_experiment_group:
        return "split"
    return "targeting_match" if is_targeted else "static"


def _result(make: Callable[[], Evaluation]) -> ResultFactory:
    """Make a result when it is written, or what gives its combinations with nested gates."""
    return lambda depends: outcomes.CombinedResults(outcomes.with_nested(make())) if depends else make()


def _delegated(layer: Evaluation) -> ResultFactory:
    combined = outcomes.CombinedResults(outcomes.with_delegate(layer))
    return lambda _: combined


def _steps(linker: Linker, condition: Condition | None) -> Sequence[ConditionCode | NestedCode | None]:
    """Turn a condition into steps: none for one that always holds, [None] for one that nobody knows."""
    if condition is None:
        return [None]
    if condition.type == "public":
        return []
    if condition.type in _GATE_TESTS:
        return [_gate(linker, condition)]
    if condition.type == "experiment_group" and linker.shared_context.knows_groups:
        return [_experiment_group(linker, condition)]
    test, is_steady = compile_condition(condition, linker.shared_context)
    linker.is_steady &= is_steady
    return [] if test is not None and test.template == ALWAYS else [test]


def _gate(linker: Linker, condition: Condition) -> ConditionCode | NestedCode:
    kind, name = condition.type or "", condition.target
    run = linker.run_of("gate", name) if isinstance(name, str) else None
    if run is None:
        return ConditionCode(_ABSENT_GATE[kind])
    return NestedCode(("gate", str(name)), run, _GATE_TESTS[kind])


def _experiment_group(linker: Linker, condition: Condition) -> ConditionCode | NestedCode | None:
    operator = OPERATORS.get(condition.operator or "")
    if operator is None:
        return None
    target = operator.prepare(condition.target)
    run = None if condition.field is None else linker.run_of("experiment", condition.field)
    if run is None or condition.field is None:
        return ConditionCode("{0}(None, {1})", (("T", operator.test), ("V", target)))
    test: Callable[[Evaluation], bool] = lambda evaluation: operator.test(evaluation.group_name, target)  # noqa: E731
    return NestedCode(("experiment", condition.field), run, "{1}({0})", (("T", test),))
