"""One decision as a command shows it: value, group, rule, and the reason in a line."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.condition_code import ID_LIST_OPERATORS
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.compiler.linker import SECTIONS
from asyncsdk._rules.explain import Step, explain
from asyncsdk._rules.ruleset import Kind, Ruleset


@attrs.frozen
class Side:
    """What a user gets under one of the rulesets.

    Attributes:
        value: True or False for a gate, else a JSON object.
        group: The group of an experiment; None without one.
        rule: Id of the rule.
        rule_name: The rule's name in the console, or its id.
        reason: Source and outcome, such as `Bootstrap:Recognized`.
        why: The rule and its conditions with the user's values, in one line.
    """

    value: Any
    group: str | None
    rule: str
    rule_name: str
    reason: str
    why: str


def side_of(rules: Ruleset, kind: Kind, name: str, user: User, evaluation: Evaluation) -> Side:
    """Return what a user gets.

    Args:
        rules: The ruleset.
        kind: The kind of the name.
        name: The name.
        user: The user.
        evaluation: What the rules say about the name for the user.
    """
    explanation = explain(rules, kind, user, name, evaluation)
    labels = rule_names(rules, kind, name)
    rule = evaluation.rule_id
    return Side(
        evaluation.value,
        evaluation.group_name,
        rule,
        labels.get(rule, rule),
        explanation.reason,
        why(explanation.steps, labels),
    )


def rule_names(rules: Ruleset, kind: Kind, name: str) -> Mapping[str, str]:
    """Return the names of a spec's rules by id, as the console shows them."""
    found = rules_of(rules.raw(SECTIONS[kind], name))
    return {str(rule.get("id")): str(rule.get("name") or rule.get("id")) for rule in found}


def why(steps: Sequence[Step], labels: Mapping[str, str]) -> str:
    """Return the decisive step of an explanation in one line: the rule, and its conditions with the user's values."""
    step = steps[-1]
    if step.kind != "rule":
        return step.text
    label = str(step.fields["label"])
    conditions = [inner.text for inner in step.steps if inner.kind in ("condition", "gate", "bucket")]
    text = f"rule {labels.get(label, label)}: {' and '.join(conditions)}"
    if not step.fields.get("via"):
        return text
    inner_rules = [inner for inner in step.steps if inner.kind in ("rule", "note")]
    return f"{text}; experiment {step.fields['via']}: {why(inner_rules, labels)}"


def rules_of(raw: bytes | None) -> Sequence[Mapping[str, Any]]:
    """Return the rules of a spec as they are written; none of what is malformed."""
    spec = orjson.loads(raw) if raw is not None else None
    listed = spec.get("rules") if isinstance(spec, dict) else None
    return [rule for rule in listed if isinstance(rule, dict)] if isinstance(listed, list) else []


def asks_for_id_lists(*rulesets: Ruleset) -> bool:
    """Return whether a condition of the rules looks for the user in an ID list."""
    words = [f'"{operator}"'.encode() for operator in ID_LIST_OPERATORS]
    parts = (raw for rules in rulesets for section in rules.sections.values() for raw in section.values())
    return any(word in raw for raw in parts for word in words)
