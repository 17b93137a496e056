"""Compile a spec's rules to the function that evaluates them.

Each rule of the ruleset becomes a `RuleCode`, from which `codegen` writes the source. What differs from rule to rule:

| condition | becomes |
|---|---|
| `public`, or one that always holds | nothing |
| `pass_gate`, `fail_gate` | the nested gate's value; a gate that is absent counts as closed |
| `experiment_group` | the operator's test of the experiment's group name: none if the experiment cannot be decided |
| unknown type or operator, absent, malformed | None: the function raises `UnsupportedError` when it gets there |
| any other | an expression, see `condition_code` |
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from asyncsdk._model.results import Cause
from asyncsdk._model.users import User
from asyncsdk._rules.compiler import outcomes
from asyncsdk._rules.compiler.codegen import (
    ConditionCode,
    NestedCode,
    ResultFactory,
    RuleCode,
    compile_in_parts,
    compile_source,
    generate,
)
from asyncsdk._rules.compiler.condition_code import ALWAYS, compile_condition, prepare_target
from asyncsdk._rules.compiler.evaluate import Evaluation, Run
from asyncsdk._rules.compiler.linker import Linker, memoized
from asyncsdk._rules.language.conditions import user_bucketer
from asyncsdk._rules.language.operators import OPERATORS
from asyncsdk._rules.language.specs import Condition, Rule, Spec
from asyncsdk._rules.patterns.errors import UnsupportedError
from asyncsdk._rules.sliced import Steps, run_to_end

_BUCKETS = 10_000
_MAX_AT_ONCE = 100
"""Rules and conditions of a spec that becomes a single function."""
_RULES_PER_STEP = 20
_GATE_TESTS = {"pass_gate": "{0}.value", "fail_gate": "not {0}.value"}
_ABSENT_GATE_TESTS = {"pass_gate": "False", "fail_gate": "True"}


def compile_rules(linker: Linker, spec: Spec, kind: str) -> Run:
    """Compile a spec's rules without yielding, and record what they refer to on the linker."""
    return run_to_end(compile_rules_in_steps(linker, spec, kind))


def compile_rules_in_steps(linker: Linker, spec: Spec, kind: str) -> Steps[Run]:
    """Compile a spec's rules, and record what they refer to on the linker. Yields between steps."""
    default = outcomes.default_result(spec, kind)
    rules: list[RuleCode] = []
    is_targeted = False
    for number, rule in enumerate(spec.rules, 1):
        code = yield from _rule_code(linker, spec, rule, kind, is_targeted=is_targeted)
        is_targeted = is_targeted or bool(code.conditions)
        rules.append(code)
        if number % _RULES_PER_STEP == 0:
            yield
    # The linker knows the weight only now, after all rules: therefore a second pass.
    if linker.is_heavy:
        for code in rules:
            _memoize(code)
    size = len(rules) + sum(len(code.conditions) for code in rules)
    if size > _MAX_AT_ONCE:
        return (yield from compile_in_parts(rules, _result_factory(lambda: default), is_heavy=linker.is_heavy))
    return compile_source(*generate(rules, _result_factory(lambda: default), is_heavy=linker.is_heavy))


def _memoize(rule: RuleCode) -> None:
    for nested in (*rule.conditions, rule.delegate):
        if isinstance(nested, NestedCode):
            nested.run = memoized(nested.key, nested.run)


def _rule_code(linker: Linker, spec: Spec, rule: Rule, kind: str, *, is_targeted: bool) -> Steps[RuleCode]:
    """Compile a rule.

    Args:
        linker: Resolves what the rule refers to.
        spec: The rule's spec.
        rule: The rule.
        kind: `gate`, `config`, `experiment` or `layer`.
        is_targeted: An earlier rule has conditions, so that who comes this far depends on the user.
    """
    parsed: list[Condition | None] = []
    conditions: list[ConditionCode | NestedCode | None] = []
    for number, key in enumerate(rule.conditions, 1):
        condition = yield from linker.condition_in_steps(key)
        parsed.append(condition)
        yield from _compile_nested(linker, condition)
        conditions += _condition_codes(linker, condition)
        if number % _RULES_PER_STEP == 0:
            yield
    delegate = yield from linker.delegate_in_steps(rule)
    cause = _cause(rule, parsed, is_targeted=is_targeted or bool(conditions))
    passed = partial(outcomes.rule_result, spec, rule, kind, cause, passed=True)
    failed = partial(outcomes.rule_result, spec, rule, kind, cause, passed=False)
    code = RuleCode(
        conditions, _result_factory(passed), _result_factory(failed), threshold=rule.pass_percentage * 100.0
    )
    if delegate is not None:
        # The experiment decides: the rule's percentage is ignored.
        run, experiment = delegate
        code.delegate = NestedCode(("experiment", experiment.name), run)
        code.passed = _delegate_factory(passed(), experiment.explicit_parameters)
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


def _delegate_factory(layer: Evaluation, explicit_parameters: tuple[str, ...] | None) -> ResultFactory:
    """Return a factory of a layer's results; its experiment is always part of them."""
    combined = outcomes.CombinedResults(outcomes.with_delegate(layer, explicit_parameters))
    return lambda _: combined


def _condition_codes(linker: Linker, condition: Condition | None) -> Sequence[ConditionCode | NestedCode | None]:
    """Compile a condition: to nothing if it always holds, to [None] if it is unknown."""
    if condition is None:
        return [None]
    if condition.type == "public":
        return []
    if condition.type in _GATE_TESTS:
        return [_gate_code(linker, condition)]
    if condition.type == "experiment_group":
        return [_experiment_group_code(linker, condition)]
    code, is_steady = compile_condition(condition, linker.shared_context, linker.label)
    linker.is_steady &= is_steady
    return [] if code is not None and code.template == ALWAYS else [code]


def _compile_nested(linker: Linker, condition: Condition | None) -> Steps[None]:
    """Compile what a condition refers to, so that `_condition_codes` finds it compiled."""
    if condition is not None and condition.type in _GATE_TESTS and isinstance(condition.target, str):
        yield from linker.compile_in_steps("gate", condition.target)
    elif condition is not None and condition.type == "experiment_group" and condition.field is not None:
        yield from linker.compile_in_steps("experiment", condition.field)


def _gate_code(linker: Linker, condition: Condition) -> ConditionCode | NestedCode:
    kind = condition.type or ""
    # A target that is not text refers to the gate "", as in statsig-python-core.
    name = condition.target if isinstance(condition.target, str) else ""
    run = linker.run_of("gate", name)
    if run is None:
        return ConditionCode(_ABSENT_GATE_TESTS[kind])
    return NestedCode(("gate", name), run, _GATE_TESTS[kind])


def _experiment_group_code(linker: Linker, condition: Condition) -> ConditionCode | NestedCode | None:
    operator, name = OPERATORS.get(condition.operator or ""), condition.field
    if operator is None:
        return None
    target = prepare_target(operator, condition, linker.shared_context, linker.label)
    if name is None:
        # No experiment has no group: the operator decides what that means.
        return ConditionCode("{0}(None, {1})", (("T", operator.test), ("V", target)))
    test: Callable[[Evaluation], bool] = lambda evaluation: operator.test(evaluation.group_name, target)  # noqa: E731
    return NestedCode(("group", name), _group_run(name, linker.run_of("experiment", name)), "{1}({0})", (("T", test),))


def _group_run(name: str, run: Run | None) -> Run:
    """Return a run that answers also for an experiment that is absent or cannot be decided: without a group."""
    unrecognized, unsupported = (
        outcomes.undecided(name, "experiment", word) for word in ("Unrecognized", "Unsupported")
    )
    if run is None:
        return lambda _user, _level, _memory: unrecognized

    def run_decided(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
        try:
            return run(user, level, memory)
        except UnsupportedError:
            return unsupported

    return run_decided
