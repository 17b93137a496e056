"""Compile a spec's rules to the function that evaluates them.

Each rule of the ruleset becomes a `RuleCode`, from which `codegen` writes the source. What differs from rule to rule:

| condition | becomes |
|---|---|
| `public`, or one that always holds | nothing |
| `pass_gate`, `fail_gate` | the nested gate's value; a gate that is absent counts as closed |
| `experiment_group` | the operator's test of the nested experiment's group name |
| unknown type or operator, absent, malformed | None: the function raises `UnsupportedError` when it gets there |
| any other | an expression, see `condition_code` |
"""

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
_ABSENT_GATE_TESTS = {"pass_gate": "False", "fail_gate": "True"}


def compile_rules(linker: Linker, spec: Spec, kind: str) -> Run:
    """Compile a spec's rules, and record what they refer to on the linker."""
    source, constants = generate_rules(linker, spec, kind)
    return compile_source(source, constants)


def generate_rules(linker: Linker, spec: Spec, kind: str) -> tuple[str, dict[str, Any]]:
    """Generate the source of a spec's rules, and the constants that it needs."""
    default = outcomes.default_result(spec, kind)
    rules: list[RuleCode] = []
    for rule in spec.rules:
        rules.append(_rule_code(linker, spec, rule, kind, is_targeted=any(earlier.conditions for earlier in rules)))
    # The linker knows the weight only now, after all rules: therefore a second pass.
    if linker.is_heavy:
        for code in rules:
            _memoize(code)
    return generate(rules, _result_factory(lambda: default), is_heavy=linker.is_heavy)


def _memoize(rule: RuleCode) -> None:
    for nested in (*rule.conditions, rule.delegate):
        if isinstance(nested, NestedCode):
            nested.run = memoized(nested.key, nested.run)


def _rule_code(linker: Linker, spec: Spec, rule: Rule, kind: str, *, is_targeted: bool) -> RuleCode:
    """Compile a rule.

    Args:
        linker: Resolves what the rule refers to.
        spec: The rule's spec.
        rule: The rule.
        kind: `gate`, `config`, `experiment` or `layer`.
        is_targeted: An earlier rule has conditions, so that who comes this far depends on the user.
    """
    parsed = [linker.condition(key) for key in rule.conditions]
    conditions = [code for condition in parsed for code in _condition_codes(linker, condition)]
    delegate = None if rule.delegate is None else linker.run_of("experiment", rule.delegate)
    cause = _cause(rule, parsed, is_targeted=is_targeted or bool(conditions))
    passed = partial(outcomes.rule_result, spec, rule, kind, cause, passed=True)
    failed = partial(outcomes.rule_result, spec, rule, kind, cause, passed=False)
    code = RuleCode(
        conditions, _result_factory(passed), _result_factory(failed), threshold=rule.pass_percentage * 100.0
    )
    if delegate is not None and rule.delegate is not None:
        # The experiment decides: the rule's percentage is ignored.
        code.delegate = NestedCode(("experiment", rule.delegate), delegate)
        code.passed = _delegate_factory(passed())
    elif 0 < code.threshold < _BUCKETS:
        salt = rule.id if rule.salt is None else rule.salt
        code.bucket = user_bucketer(f"{spec.salt}.{salt}", rule.id_type, _BUCKETS)
    return code


def _cause(rule: Rule, conditions: Sequence[Condition | None], *, is_targeted: bool) -> Cause:
    """Return what decides when this rule does: a hash of the user, the user's fields, or nothing about the user."""
    is_rollout = rule.delegate is None and 0 < rule.pass_percentage < 100
    is_bucketed = any(condition is not None and condition.type == "user_bucket" for condition in conditions)
    if is_rollout or is_bucketed or rule.is_experiment_group:
        return "split"
    return "targeting_match" if is_targeted else "static"


def _result_factory(build: Callable[[], Evaluation]) -> ResultFactory:
    """Return a factory of a result, or of its combinations if nested evaluations are part of it."""
    return lambda has_nested: outcomes.CombinedResults(outcomes.with_nested(build())) if has_nested else build()


def _delegate_factory(layer: Evaluation) -> ResultFactory:
    """Return a factory of a layer's results; its experiment is always part of them."""
    combined = outcomes.CombinedResults(outcomes.with_delegate(layer))
    return lambda _: combined


def _condition_codes(linker: Linker, condition: Condition | None) -> Sequence[ConditionCode | NestedCode | None]:
    """Compile a condition: to nothing if it always holds, to [None] if it is unknown."""
    if condition is None:
        return [None]
    if condition.type == "public":
        return []
    if condition.type in _GATE_TESTS:
        return [_gate_code(linker, condition)]
    if condition.type == "experiment_group" and linker.shared_context.knows_groups:
        return [_experiment_group_code(linker, condition)]
    code, is_steady = compile_condition(condition, linker.shared_context)
    linker.is_steady &= is_steady
    return [] if code is not None and code.template == ALWAYS else [code]


def _gate_code(linker: Linker, condition: Condition) -> ConditionCode | NestedCode:
    kind, name = condition.type or "", condition.target
    run = linker.run_of("gate", name) if isinstance(name, str) else None
    if run is None:
        return ConditionCode(_ABSENT_GATE_TESTS[kind])
    return NestedCode(("gate", str(name)), run, _GATE_TESTS[kind])


def _experiment_group_code(linker: Linker, condition: Condition) -> ConditionCode | NestedCode | None:
    operator = OPERATORS.get(condition.operator or "")
    if operator is None:
        return None
    target = operator.prepare(condition.target)
    run = None if condition.field is None else linker.run_of("experiment", condition.field)
    if run is None or condition.field is None:
        # An absent experiment has no group: the operator decides what that means.
        return ConditionCode("{0}(None, {1})", (("T", operator.test), ("V", target)))
    test: Callable[[Evaluation], bool] = lambda evaluation: operator.test(evaluation.group_name, target)  # noqa: E731
    return NestedCode(("experiment", condition.field), run, "{1}({0})", (("T", test),))
