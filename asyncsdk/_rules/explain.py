"""Why a lookup came out as it did: every rule and condition that was looked at, with values and bucket numbers.

The tree is worked out from the rules as they are written, not by the compiled program, so that the two check each
other. Values of private attributes are not shown.
"""

from typing import Any

import attrs
import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.condition_code import ID_LIST_OPERATORS, id_list_test
from asyncsdk._rules.compiler.evaluate import PERSISTED, Evaluation
from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.language.conditions import source_of, user_bucketer
from asyncsdk._rules.language.operators import OPERATORS
from asyncsdk._rules.language.specs import Condition, MalformedError, Rule, Spec
from asyncsdk._rules.language.values import as_object
from asyncsdk._rules.ruleset import Kind, Ruleset

_MARKS = {True: "+", False: "-", None: "?"}
_MAX_DEPTH = 6
# What gates look at multiplies from level to level: after so many conditions nothing more is looked into.
_MAX_CONDITIONS = 500
_MAX_JSON_LENGTH = 60
_BUCKETS = 10_000


@attrs.frozen
class Step:
    """One thing that was looked at.

    Attributes:
        text: What it is, in one line.
        holds: Whether it held; None when nobody can say.
        steps: What it consists of.
        bucket: The user's bucket, where one was worked out.
    """

    text: str
    holds: bool | None
    steps: tuple["Step", ...] = ()
    bucket: int | None = None

    def lines(self, indent: str = "") -> list[str]:
        """Give this step and its parts, a line each."""
        own = f"{indent}{_MARKS[self.holds]} {self.text}"
        return [own, *(line for step in self.steps for line in step.lines(indent + "  "))]


@attrs.frozen
class Explanation:
    """A decision as a tree.

    Attributes:
        name: What was asked for.
        evaluation: What was answered.
        reason: Where the answer came from, such as `Network:Recognized`.
        steps: What was looked at, in order; the last rule that holds decided.
    """

    name: str
    evaluation: Evaluation
    reason: str
    steps: tuple[Step, ...]

    def render(self) -> str:
        """Give the tree as text: `+` held, `-` did not, `?` cannot be said."""
        found = self.evaluation
        value = "open" if found.value is True else "closed" if found.value is False else _json(found.value)
        head = f"{self.name}: {value} (rule {found.rule_id or 'none'}, {self.reason})"
        return "\n".join([head, *(line for step in self.steps for line in step.lines("  "))])


def explain(rules: Ruleset, kind: Kind, user: User, name: str, found: Evaluation | None = None) -> Explanation:
    """Explain what a lookup answers a user; `found` if it is not what the rules say alone. Never raises."""
    if found is None:
        found = rules.lookup(kind, user, name)
    return Explanation(name, found, rules.reason(found), tuple(_steps(rules, kind, user, name, found, at=_Level())))


@attrs.define(eq=False, repr=False)
class _Level:
    """A level of an explanation.

    Attributes:
        depth: How many levels are above it.
        shown: The conditions that were shown so far, on any level.
    """

    depth: int = 0
    shown: list[object] = attrs.Factory(list)

    def inner(self) -> "_Level | None":
        """Go a level deeper; None where no more is shown."""
        return (
            _Level(self.depth + 1, self.shown)
            if self.depth < _MAX_DEPTH and len(self.shown) < _MAX_CONDITIONS
            else None
        )


def _steps(rules: Ruleset, kind: Kind, user: User, name: str, found: Evaluation, *, at: _Level) -> list[Step]:
    if found.rule_id == "override":
        return [Step("a local override answers", holds=True)]
    if found.outcome == PERSISTED:
        return [
            Step(f"a sticky assignment answers: {found.group_name or found.rule_id}", holds=True),
            Step("without it:", None, tuple(_rules(rules, kind, user, name, at=at))),
        ]
    if found.mapped_to is not None:
        return [
            Step(f"config mapping sends the user to {found.mapped_to}", holds=True),
            *_rules(rules, kind, user, found.mapped_to, at=at),
        ]
    return _rules(rules, kind, user, name, at=at)


def _rules(rules: Ruleset, kind: Kind, user: User, name: str, *, at: _Level) -> list[Step]:
    linker = Linker(rules, ())
    if kind == "experiment" and linker.raw("cmab_configs", name) is not None:
        return [Step("a bandit picks the group", holds=True)]
    try:
        spec = linker.spec(kind, name)
    except MalformedError as error:
        return [Step(f"it cannot be understood: {error}", holds=None)]
    if spec is None:
        return [Step("the ruleset does not know this name", holds=False)]
    steps = [] if spec.enabled else [Step("it is disabled", holds=True)]
    for rule in spec.rules:
        step = _rule(linker, spec, rule, user, rules=rules, at=at)
        steps.append(step)
        if step.holds is None or (step.holds and not spec.walks_all_rules):
            return steps
    return [*steps, Step("no rule matched: the default holds", holds=True)]


def _rule(linker: Linker, spec: Spec, rule: Rule, user: User, *, rules: Ruleset, at: _Level) -> Step:
    """Explain one rule. It holds when its conditions do: then it decides, whatever the percentage says."""
    at.shown.extend(rule.conditions)
    parts = [_condition(rules, linker.condition(key), user, at=at) for key in rule.conditions]
    states = {part.holds for part in parts}
    holds = None if None in states else False not in states
    label = rule.id if rule.group_name is None else f"{rule.id} ({rule.group_name})"
    if not holds:
        return Step(f"rule {label}", holds, tuple(parts))
    if rule.delegate is not None and rules.program("experiment", rule.delegate) is not None:
        inner = _nested(rules, "experiment", user, rule.delegate, at=at)
        return Step(f"rule {label}: experiment {rule.delegate} decides", holds, (*parts, *inner))
    salt = rule.id if rule.salt is None else rule.salt
    if rule.pass_percentage >= 100:
        return Step(f"rule {label}", holds, tuple(parts))
    place = user_bucketer(f"{spec.salt}.{salt}", rule.id_type, _BUCKETS)(user)
    passes = place < rule.pass_percentage * 100.0
    share = Step(f"bucket {place} of 10000, {rule.pass_percentage:g} % pass", passes, (), place)
    return Step(f"rule {label}", holds, (*parts, share))


def _condition(rules: Ruleset, condition: Condition | None, user: User, *, at: _Level) -> Step:
    if condition is None:
        return Step("a condition that the ruleset does not have", holds=None)
    if condition.type == "public":
        return Step("everybody", holds=True)
    if condition.type in ("pass_gate", "fail_gate"):
        return _gate(rules, condition, user, at=at)
    if condition.type == "experiment_group":
        return _group(rules, condition, user, at=at)
    shared_context = rules.shared_context
    source, operator = source_of(condition, shared_context), OPERATORS.get(condition.operator or "")
    if source is None or operator is None:
        return Step(f"unknown condition {condition.type}, operator {condition.operator}", holds=None)
    value = source.fetch(user)
    target = operator.prepare(condition.target)
    if condition.operator in ID_LIST_OPERATORS:
        target = id_list_test(condition.target, shared_context.id_lists)
    subject = condition.field or condition.type
    shown = "(private)" if _is_private(user, condition.field) else _json(value)
    place = value if condition.type == "user_bucket" else None
    text = f"{subject} {shown} {condition.operator} {_json(condition.target)}"
    return Step(text, operator.test(value, target), (), place)


def _gate(rules: Ruleset, condition: Condition, user: User, *, at: _Level) -> Step:
    name = condition.target if isinstance(condition.target, str) else ""
    program = rules.program("gate", name)
    if program is None:
        return Step(f"{condition.type} {name}: there is no such gate", condition.type == "fail_gate")
    found = rules.lookup("gate", user, name)
    inner = tuple(_nested(rules, "gate", user, name, at=at))
    if found.outcome not in ("Recognized", "LocalOverride:Recognized", "Unrecognized"):
        return Step(f"{condition.type} {name}: {found.outcome}", None, inner)
    return Step(f"{condition.type} {name}", bool(found.value) is (condition.type == "pass_gate"), inner)


def _group(rules: Ruleset, condition: Condition, user: User, *, at: _Level) -> Step:
    operator, name = OPERATORS.get(condition.operator or ""), condition.field or ""
    if operator is None:
        return Step(f"unknown operator {condition.operator}", holds=None)
    group = rules.lookup("experiment", user, name).group_name
    holds = operator.test(group, operator.prepare(condition.target))
    text = f"group of {name} {_json(group)} {condition.operator} {_json(condition.target)}"
    return Step(text, holds, tuple(_nested(rules, "experiment", user, name, at=at)))


def _nested(rules: Ruleset, kind: Kind, user: User, name: str, *, at: _Level) -> list[Step]:
    inner = at.inner()
    if inner is None:
        return [Step("deeper levels are not shown", holds=None)]
    return _steps(rules, kind, user, name, rules.lookup(kind, user, name), at=inner)


def _is_private(user: User, field: str | None) -> bool:
    private, custom = as_object(user.private_attributes) or {}, as_object(user.custom) or {}
    names = {field, (field or "").lower()}
    return not names.isdisjoint(private) and names.isdisjoint(custom)


def _json(value: Any) -> str:
    try:
        written = orjson.dumps(value).decode()
    except TypeError:
        return "(not JSON)"
    return written if len(written) <= _MAX_JSON_LENGTH else written[: _MAX_JSON_LENGTH - 3] + "..."
