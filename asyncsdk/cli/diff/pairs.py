"""Compare one name of two rulesets for many users.

Evaluations are constants of the rules, so what a user gets under both rulesets, the *outcome*, is a tuple of a few
different ones: each is compared once, no matter how many users it has.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.parameters import evaluate_parameter
from asyncsdk._rules.ruleset import Kind, Ruleset
from asyncsdk.cli._decision import Side, side_of
from asyncsdk.cli._users import NamedUser
from asyncsdk.cli.diff.columns import column
from asyncsdk.cli.diff.dependencies import Named
from asyncsdk.cli.diff.model import Example, NameDiff

Outcome = tuple[Evaluation, ...]
Rulesets = tuple[Ruleset, Ruleset]
"""The rules as they are, and as they will be."""
_MAX_JSON = 60


def compare_name(
    rules: Rulesets, named: Named, diff: NameDiff, users: Sequence[NamedUser], max_examples: int
) -> Sequence[int]:
    """Compare what users get for a gate, config, experiment or layer.

    Args:
        rules: Both rulesets.
        named: The name.
        diff: What changes is added to it.
        users: The users.
        max_examples: Number of users to explain.

    Returns:
        The positions of the users who get something else.
    """
    plain = [one.user for one in users]
    before, after = (column(one.find(*named), plain) for one in rules)
    outcomes: list[Outcome] = list(zip(before, after, strict=True))

    def example(position: int) -> Example:
        both = zip(rules, outcomes[position], strict=True)
        sides = [side_of(one, *named, plain[position], found) for one, found in both]
        return Example(users[position].label, *sides)

    return _count(diff, outcomes, lambda both: _transition(*both), example, max_examples)


def compare_store(rules: Rulesets, diff: NameDiff, users: Sequence[NamedUser], max_examples: int) -> Sequence[int]:
    """Compare what users get from a parameter store whose parameters were edited. As `compare_name`."""
    plain = [one.user for one in users]
    before, after = (_Store(one, diff.name) for one in rules)
    columns = [*before.columns(plain), *after.columns(plain)]
    outcomes: list[Outcome] = list(zip(*columns, strict=True)) if columns else [()] * len(users)
    count = len(before.references)

    def values(outcome: Outcome) -> Sequence[Mapping[str, Any]]:
        both = before.values(outcome[:count]), after.values(outcome[count:])
        keys = [key for key in sorted({*both[0], *both[1]}) if _dump(both[0].get(key)) != _dump(both[1].get(key))]
        return [{key: one.get(key) for key in keys} for one in both]

    def transition(outcome: Outcome) -> tuple[str, str] | None:
        old, new = values(outcome)
        return (_short(old), _short(new)) if old else None

    def example(position: int) -> Example:
        sides = [Side(one, None, "", "", "", "its parameters") for one in values(outcomes[position])]
        return Example(users[position].label, *sides)

    return _count(diff, outcomes, transition, example, max_examples)


def _count(
    diff: NameDiff,
    outcomes: Sequence[Outcome],
    transition: Callable[[Any], tuple[str, str] | None],
    example: Callable[[int], Example],
    max_examples: int,
) -> Sequence[int]:
    """Add the outcomes that are a change to a diff; return the positions of their users."""
    counts = Counter(outcomes)
    changes = {one: found for one in counts if (found := transition(one)) is not None}
    if not changes:
        return ()
    # In the order in which the users come.
    for outcome, found in changes.items():
        diff.transitions[found] += counts[outcome]
    changed = [position for position, outcome in enumerate(outcomes) if outcome in changes]
    diff.users = len(changed)
    diff.examples = [example(position) for position in changed[:max_examples]]
    return changed


class _Store:
    """A parameter store of one ruleset.

    Attributes:
        references: What its parameters refer to, each once.
    """

    def __init__(self, rules: Ruleset, name: str) -> None:
        self._rules, self._name = rules, name
        self._targets = {parameter: self._target(parameter) for parameter in parameters(rules, name)}
        self.references = sorted({target for target in self._targets.values() if target is not None})
        self._known: dict[tuple[str, Evaluation | None], Any] = {}

    def columns(self, users: Sequence[User]) -> Sequence[Sequence[Evaluation]]:
        """Return the evaluations of each reference."""
        return [column(self._rules.find(*named), users) for named in self.references]

    def values(self, evaluations: Outcome) -> Mapping[str, Any]:
        """Return the value of each parameter, given the evaluation of each reference."""
        found = dict(zip(self.references, evaluations, strict=True))
        return {
            parameter: self._value(parameter, None if target is None else found[target])
            for parameter, target in self._targets.items()
        }

    def _value(self, parameter: str, evaluation: Evaluation | None) -> Any:
        key = parameter, evaluation
        if key not in self._known:
            self._known[key] = evaluate_parameter(
                self._rules,
                User(),
                self._name,
                parameter,
                lambda *_: evaluation,  # type: ignore[arg-type]
            ).value
        return self._known[key]

    def _target(self, parameter: str) -> Named | None:
        """Return what a parameter refers to; None if it has the same value for all users."""
        asked: list[Named] = []

        def lookup(rules: Ruleset, kind: Kind, user: User, name: str) -> Evaluation:
            asked.append((kind, name))
            return rules.lookup(kind, user, name)

        evaluate_parameter(self._rules, User(), self._name, parameter, lookup)
        return asked[0] if asked else None


def parameters(rules: Ruleset, store: str) -> Sequence[str]:
    """Return the names of a parameter store's parameters."""
    raw = rules.raw("param_stores", store)
    value = None if raw is None else orjson.loads(raw)
    found = value.get("parameters") if isinstance(value, dict) else None
    return list(found) if isinstance(found, dict) else []


def _transition(before: Evaluation, after: Evaluation) -> tuple[str, str] | None:
    """Return what a user got and gets, in a few words; None if both are equal."""
    has_value = _dump(before.value) == _dump(after.value)
    if has_value and _group(before) == _group(after):
        return None
    words = _words(before), _words(after)
    # The same group with another value.
    return words if words[0] != words[1] else (_short(before.value), _short(after.value))


def _group(evaluation: Evaluation) -> tuple[object, ...]:
    return evaluation.group_name, evaluation.allocated_experiment


def _words(evaluation: Evaluation) -> str:
    if evaluation.is_gate:
        return "open" if evaluation.value else "closed"
    if evaluation.group_name is None:
        return _short(evaluation.value)
    experiment = evaluation.allocated_experiment
    return evaluation.group_name if experiment is None else f"{evaluation.group_name} of {experiment}"


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _short(value: Any) -> str:
    text = _dump(value).decode()
    return text if len(text) <= _MAX_JSON else f"{text[: _MAX_JSON - 1]}…"
