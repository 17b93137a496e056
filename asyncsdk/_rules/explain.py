"""Explains a lookup: each rule and condition that was evaluated, with values and bucket numbers.

The tree is built by interpreting the rules as they are written, not by the compiled program; so the two check each
other. Values of private attributes are not shown.

Example of `Explanation.render()`: `+` is true, `-` false, `?` unknown. The last rule that is true decided.

    new_checkout: open (rule staff, Network:Recognized)
      - rule beta
        - country "DE" any ["FR"]
      + rule staff
        + email "ada@shop.example" str_contains_any ["@shop.example"]
"""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Literal

import attrs
import orjson

from asyncsdk._model.user_view import fault_of
from asyncsdk._model.users import User
from asyncsdk._model.values import Value
from asyncsdk._rules.compiler.condition_code import ID_LIST_OPERATORS, id_list_test
from asyncsdk._rules.compiler.evaluate import INVALID_USER, PERSISTED, Evaluation
from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.language.conditions import source_of, user_bucketer
from asyncsdk._rules.language.operators import OPERATORS, Operator, target_of
from asyncsdk._rules.language.overrides import GroupOverride, find_unit
from asyncsdk._rules.language.specs import Condition, MalformedError, Rule, Spec
from asyncsdk._rules.patterns.errors import UnsupportedError
from asyncsdk._rules.places import CONDITION_BUCKETS, PERCENTAGE_BUCKETS, Place, group_place, percentage_place
from asyncsdk._rules.ruleset import Kind, Ruleset

_MARKS = {True: "+", False: "-", None: "?"}
_MAX_DEPTH = 6
"""Maximum number of nested gates and experiments that are explained."""
_MAX_CONDITIONS = 500
"""Conditions after which no further gate is explained. The depth alone is no bound: gates multiply at each level."""
_MAX_JSON_LENGTH = 60

StepKind = Literal["note", "rule", "condition", "gate", "bucket"]


@attrs.frozen(eq=False, repr=False)
class Step(Value):
    """One rule or condition that was evaluated.

    Attributes:
        text: Description, in one line.
        holds: Whether it was true; None if that is unknown.
        steps: The steps it consists of.
        bucket: The bucket of the user, if it depends on one.
        kind: What it is.
        fields: The same as data. Rule: `label`, `group`, `via` (the experiment that decides), `passes`. Condition:
            `subject`, `operator`, `target`, `value` (absent if it is private), `of` (the number of buckets). Gate:
            `name`, `wants`. Bucket: `at`, `of`, `percentage`.
        place: The place of the user's bucket, for a rule that decided by one.
    """

    text: str
    holds: bool | None
    steps: tuple["Step", ...] = ()
    bucket: int | None = None
    kind: StepKind = "note"
    fields: Mapping[str, Any] = MappingProxyType({})
    place: Place | None = None

    def lines(self, indent: str = "") -> list[str]:
        """Return this step and its parts, one line each."""
        own = f"{indent}{_MARKS[self.holds]} {self.text}"
        return [own, *(line for step in self.steps for line in step.lines(indent + "  "))]


@attrs.frozen(eq=False, repr=False)
class Explanation(Value):
    """A decision as a tree.

    Attributes:
        name: The name that was looked up.
        evaluation: The result of the lookup.
        reason: Source and outcome, such as `Network:Recognized`.
        steps: What was evaluated, in order; the last rule that holds decided.
    """

    name: str
    evaluation: Evaluation
    reason: str
    steps: tuple[Step, ...]

    @property
    def place(self) -> Place | None:
        """The place of the user's bucket among the borders that decided; None if no bucket did."""
        steps = self.steps
        while steps:
            # The last step decided; that of a delegating rule is inside it.
            last = next((step for step in reversed(steps) if step.kind == "rule" or step.place), None)
            if last is None or last.place is not None:
                return None if last is None else last.place
            steps = last.steps if last.fields.get("via") else ()
        return None

    def render(self) -> str:
        """Return the tree as text: `+` is true, `-` false, `?` unknown."""
        evaluation = self.evaluation
        value = (
            "open" if evaluation.value is True else "closed" if evaluation.value is False else _json(evaluation.value)
        )
        head = f"{self.name}: {value} (rule {evaluation.rule_id or 'none'}, {self.reason})"
        return "\n".join([head, *(line for step in self.steps for line in step.lines("  "))])


def explain(rules: Ruleset, kind: Kind, user: User, name: str, evaluation: Evaluation | None = None) -> Explanation:
    """Explain a lookup for a user. Never raises.

    Args:
        rules: The ruleset.
        kind: The kind of the name.
        user: The user.
        name: The name.
        evaluation: The result, if it is not that of the rules alone (a sticky assignment); None evaluates the name.
    """
    if evaluation is None:
        evaluation = rules.lookup(kind, user, name)
    return Explanation(
        name,
        evaluation,
        rules.reason(evaluation),
        tuple(_explain_name(rules, kind, user, name, evaluation, level=_Level())),
    )


@attrs.define(eq=False, repr=False)
class _Level:
    """A level of an explanation.

    Attributes:
        depth: Number of levels above it.
        shown: The conditions shown so far, shared by all levels.
    """

    depth: int = 0
    shown: list[object] = attrs.Factory(list)

    def inner(self) -> "_Level | None":
        """Return the next deeper level; None if no more is shown."""
        return (
            _Level(self.depth + 1, self.shown)
            if self.depth < _MAX_DEPTH and len(self.shown) < _MAX_CONDITIONS
            else None
        )


def _explain_name(
    rules: Ruleset, kind: Kind, user: User, name: str, evaluation: Evaluation, *, level: _Level
) -> list[Step]:
    if evaluation.outcome == INVALID_USER:
        return [Step(f"the user cannot be used: {fault_of(user)}", holds=None)]
    if evaluation.outcome == "LocalOverride:Recognized":
        return [Step("a local override applies", holds=True)]
    ignored = _ignored_overrides(rules, kind, user, name)
    if evaluation.outcome == PERSISTED:
        return [
            *ignored,
            Step(f"a sticky assignment applies: {evaluation.group_name or evaluation.rule_id}", holds=True),
            Step("without it:", None, tuple(_explain_rules(rules, kind, user, name, level=level))),
        ]
    if evaluation.mapped_to is not None:
        return [
            *ignored,
            Step(f"config mapping evaluates {evaluation.mapped_to} instead", holds=True),
            *_explain_rules(rules, kind, user, evaluation.mapped_to, level=level),
        ]
    return [*ignored, *_explain_rules(rules, kind, user, name, level=level)]


def _ignored_overrides(rules: Ruleset, kind: Kind, user: User, name: str) -> list[Step]:
    """Return a step for the override by a group that does not exist, if there is one that would apply otherwise."""
    overrides = rules.shared_context.overrides.of(kind, name)
    with suppress(KeyError):
        value = overrides[find_unit(overrides, user)]
        if isinstance(value, GroupOverride):
            return [Step(f"a local override is ignored: no group {value.name!r}", holds=False)]
    return []


def _explain_rules(rules: Ruleset, kind: Kind, user: User, name: str, *, level: _Level) -> list[Step]:
    linker = Linker(rules, ())
    if kind == "experiment" and linker.raw("cmab_configs", name) is not None:
        return [Step("a bandit picks the group", holds=True)]
    try:
        spec = linker.spec(kind, name)
    except MalformedError as error:
        return [Step(f"malformed spec: {error}", holds=None)]
    if spec is None:
        return [Step("the ruleset has no such name", holds=False)]
    steps = [] if spec.enabled else [Step("it is disabled", holds=True)]
    for rule in spec.rules:
        step = _explain_rule(linker, spec, rule, user, rules=rules, level=level)
        steps.append(step)
        # Rules end at the first that holds; a layer that merges its rules evaluates all of them.
        if step.holds is None or (step.holds and not spec.merges_rules):
            return steps
    place = group_place(linker, spec, user, None)
    return [*steps, Step("no rule matched: default value", holds=True, place=place)]


def _explain_rule(linker: Linker, spec: Spec, rule: Rule, user: User, *, rules: Ruleset, level: _Level) -> Step:
    """Explain a rule. It holds if its conditions do, and then it decides, even if its percentage excludes the user."""
    level.shown.extend(rule.conditions)
    parts = [_explain_condition(rules, linker.condition(key), user, level=level) for key in rule.conditions]
    states = {part.holds for part in parts}
    holds = None if None in states else False not in states
    label = rule.id if rule.group_name is None else f"{rule.id} ({rule.group_name})"
    fields = {"label": rule.id, "group": rule.group_name, "passes": bool(holds)}
    if not holds:
        return Step(f"rule {label}", holds, tuple(parts), kind="rule", fields=fields)
    if rule.delegate is not None and linker.delegate_of(rule) is not None:
        inner = _explain_nested(rules, "experiment", user, rule.delegate, level=level)
        text = f"rule {label}: experiment {rule.delegate} decides"
        return Step(text, holds, (*parts, *inner), kind="rule", fields={**fields, "via": rule.delegate})
    if rule.pass_percentage >= 100:
        place = group_place(linker, spec, user, rule)
        return Step(f"rule {label}", holds, tuple(parts), kind="rule", fields=fields, place=place)
    # The bucket of a percentage is salted with both the spec and the rule.
    salt = rule.id if rule.salt is None else rule.salt
    bucket = user_bucketer(f"{spec.salt}.{salt}", rule.id_type, PERCENTAGE_BUCKETS)(user)
    share = _explain_share(bucket, rule.pass_percentage)
    fields["passes"] = bool(share.holds)
    place = percentage_place(bucket, rule.pass_percentage)
    return Step(f"rule {label}", holds, (*parts, share), kind="rule", fields=fields, place=place)


def _explain_share(bucket: int, percentage: float) -> Step:
    passes = bucket < percentage * 100.0
    fields = {"at": bucket, "of": PERCENTAGE_BUCKETS, "percentage": percentage}
    return Step(f"bucket {bucket} of 10000, {percentage:g} % pass", passes, (), bucket, "bucket", fields)


def _explain_condition(rules: Ruleset, condition: Condition | None, user: User, *, level: _Level) -> Step:
    if condition is None:
        return Step("a condition that is missing in the ruleset", holds=None, kind="condition")
    if condition.type == "public":
        return Step("everyone", holds=True, kind="condition")
    if condition.type in ("pass_gate", "fail_gate"):
        return _explain_gate(rules, condition, user, level=level)
    if condition.type == "experiment_group":
        return _explain_group(rules, condition, user, level=level)
    shared_context = rules.shared_context
    source, operator = source_of(condition, shared_context), OPERATORS.get(condition.operator or "")
    if source is None or operator is None:
        text = f"unknown condition {condition.type}, operator {condition.operator}"
        return Step(text, holds=None, kind="condition")
    value = source.fetch(user)
    target = target_of(operator, condition)
    if condition.operator in ID_LIST_OPERATORS:
        target = id_list_test(condition.target, shared_context.id_lists)
    subject = condition.field or condition.type
    is_private = _is_private(user, condition.field)
    bucket = value if condition.type == "user_bucket" else None
    text = f"{subject} {'(private)' if is_private else _json(value)} {condition.operator} {_json(condition.target)}"
    fields = {"subject": subject, "operator": condition.operator, "target": condition.target}
    fields |= {} if is_private else {"value": value}
    fields |= {} if bucket is None else {"of": CONDITION_BUCKETS}
    return Step(text, _holds(operator, value, target), (), bucket, "condition", fields)


def _holds(operator: Operator, value: object, target: object) -> bool | None:
    """Test a value; None if the target is an unsupported pattern."""
    try:
        return operator.test(value, target)
    except UnsupportedError:
        return None


def _explain_gate(rules: Ruleset, condition: Condition, user: User, *, level: _Level) -> Step:
    name = condition.target if isinstance(condition.target, str) else ""
    program = rules.program("gate", name)
    wants = condition.type == "pass_gate"
    fields = {"name": name, "wants": wants}
    if program is None:
        return Step(f"{condition.type} {name}: no such gate", not wants, kind="gate", fields=fields)
    evaluation = rules.lookup("gate", user, name)
    inner = tuple(_explain_nested(rules, "gate", user, name, level=level))
    # A gate that is unsupported or nested too deeply is neither true nor false; a malformed one counts as absent.
    if evaluation in (program.unsupported, program.too_deep):
        return Step(f"{condition.type} {name}: {evaluation.outcome}", None, inner, kind="gate", fields=fields)
    return Step(f"{condition.type} {name}", bool(evaluation.value) is wants, inner, kind="gate", fields=fields)


def _explain_group(rules: Ruleset, condition: Condition, user: User, *, level: _Level) -> Step:
    operator, name = OPERATORS.get(condition.operator or ""), condition.field or ""
    if operator is None:
        return Step(f"unknown operator {condition.operator}", holds=None)
    group = rules.lookup("experiment", user, name).group_name
    holds = _holds(operator, group, target_of(operator, condition))
    text = f"group of {name} {_json(group)} {condition.operator} {_json(condition.target)}"
    fields = {"subject": f"group of {name}", "operator": condition.operator, "target": condition.target, "value": group}
    inner = tuple(_explain_nested(rules, "experiment", user, name, level=level))
    return Step(text, holds, inner, kind="condition", fields=fields)


def _explain_nested(rules: Ruleset, kind: Kind, user: User, name: str, *, level: _Level) -> list[Step]:
    inner = level.inner()
    if inner is None:
        return [Step("deeper levels are not shown", holds=None)]
    return _explain_name(rules, kind, user, name, rules.lookup(kind, user, name), level=inner)


def _is_private(user: User, field: str | None) -> bool:
    """Return whether a field of the user comes from the private attributes, which `custom` fields hide."""
    private, custom = user._private_attributes or {}, user._custom or {}
    names = {field, (field or "").lower()}
    return not names.isdisjoint(private) and names.isdisjoint(custom)


def _json(value: Any) -> str:
    try:
        written = orjson.dumps(value).decode()
    except TypeError:  # a store of sticky assignments may return anything
        return "(not JSON)"
    return written if len(written) <= _MAX_JSON_LENGTH else written[: _MAX_JSON_LENGTH - 3] + "..."
