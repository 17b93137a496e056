"""Compile bandits: experiments that pick a user's group by predicted score, and sometimes explore another.

The ruleset has them in `cmab_configs` (contextual multi-armed bandits), with a linear model per group in `config`:

    score = intercept + alpha + sum(weight * number field) + sum(weight of the other field's value as text)

A bandit wins over an experiment of the same name. A user gets a group by the first of these that applies:

1. The bandit is disabled or has no groups: the default (`prestart`).
2. The targeting gate is closed, or absent: the default (`inlineTargetingRules`).
3. There are no scores yet (`config` is absent): all users explore; the bucket splits them evenly between the groups.
4. The user's bucket is in the sample that explores (`sampleRate`): a random group, likelier the fewer records it has.
5. No group has weights: a random group.
6. The group with the best score.

3 and 4 append `:explore` to the rule id, so that the vendor learns from those users. A bandit is never steady, since 4
and 5 draw again for each lookup.
"""

from collections.abc import Callable
from math import inf
from typing import Any

import attrs
import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.compiler import outcomes
from asyncsdk._rules.compiler.evaluate import Evaluation, Run, merge_exposures
from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.language.conditions import Fetcher, field_fetcher, user_bucketer
from asyncsdk._rules.language.specs import MalformedError, Spec, check_size
from asyncsdk._rules.language.values import as_number, as_text
from asyncsdk._rules.sliced import Steps, parse_in_steps

_BUCKETS = 10_000
_GROUPS_PER_STEP = 20
_MISSING = object()


@attrs.frozen(eq=False, repr=False)
class _Arm:
    """One group.

    Attributes:
        chosen: The result of users who get the group by score.
        explored: The result of users who get it to explore.
        weight: Likelihood of being explored, relative to the other arms.
        score: Predicts a user's score; None without weights.
    """

    chosen: Evaluation
    explored: Evaluation
    weight: float
    score: Callable[[User], float] | None


def compile_bandit(linker: Linker, name: str, raw: bytes) -> Steps[Run]:
    """Compile a bandit, yielding between steps.

    Raises:
        MalformedError: It cannot be read.
    """
    fields = yield from parse_in_steps(raw, name)
    match fields:
        case {"groups": list(groups), "enabled": bool(enabled)}:
            pass
        case _:
            raise MalformedError(name)
    check_size(len(groups) + _count_weights(fields.get("config")))
    spec = Spec(name, fields.get("defaultValue"), salt=str(fields.get("salt", "")), id_type=str(fields.get("idType")))
    version = fields.get("version")
    # All results of the bandit are copies of this one.
    base = attrs.evolve(
        outcomes.default_result(spec, "config"),
        version=version if isinstance(version, int) else None,
        is_active=enabled,
        is_bandit=True,
    )
    arms = yield from _arms(linker, fields, base, groups)
    prestart = attrs.evolve(base, rule_id="prestart", passed=False)
    if not enabled or not arms:
        return lambda _user, _level, _memory: prestart
    linker.is_steady = False
    return _with_targeting(linker, fields, base, _chooser(linker, fields, spec, arms))


def _arms(linker: Linker, fields: dict[str, Any], base: Evaluation, groups: list[Any]) -> Steps[list[_Arm]]:
    scores = fields.get("config")
    arms = []
    for number, group in enumerate(groups, 1):
        if number % _GROUPS_PER_STEP == 0:
            yield
        match group:
            case {"id": str(identity), "name": str(group_name)}:
                chosen = attrs.evolve(
                    base,
                    value=outcomes.config_value(group.get("parameterValues")),
                    rule_id=identity,
                    group_name=group_name,
                    cause="split",
                    passed=True,
                )
                entry = scores.get(identity) if isinstance(scores, dict) else None
                entry = entry if isinstance(entry, dict) else {}
                explored = attrs.evolve(chosen, rule_id=f"{identity}:explore")
                weight = 1 / (1 + (as_number(entry.get("records")) or 0))
                arms.append(_Arm(chosen, explored, weight, _score_function(linker, entry)))
            case _:
                raise MalformedError(base.name)
    return arms


def _count_weights(scores: Any) -> int:
    """Return the number of fields in the models of all groups, each of which is read for each lookup."""
    entries = [entry for entry in scores.values() if isinstance(entry, dict)] if isinstance(scores, dict) else []
    weights = [entry.get(kind) for entry in entries for kind in ("weightsNumerical", "weightsCategorical")]
    return sum(len(some) for some in weights if isinstance(some, dict))


def _score_function(linker: Linker, entry: dict[str, Any]) -> Callable[[User], float] | None:
    """Compile a group's model; None if it has no weights."""
    numerical = _weighted_fields(linker, entry.get("weightsNumerical"))
    categorical = _weighted_fields(linker, entry.get("weightsCategorical"))
    if not numerical and not categorical:
        return None
    start = (as_number(entry.get("intercept")) or 0) + (as_number(entry.get("alpha")) or 0)

    def score(user: User) -> float:
        total = start
        for fetch, weight in numerical:
            total += (as_number(fetch(user)) or 0) * (as_number(weight) or 0)
        for fetch, weights in categorical:
            text = _category(fetch(user))
            if text is not None and isinstance(weights, dict):
                total += as_number(weights.get(text)) or 0
        return total

    return score


def _category(value: object) -> str | None:
    """Return the text by which a value of any type has a categorical weight; None if the user has no such field."""
    text = None if value is _MISSING else as_text(value)
    if value is _MISSING or text is not None:
        return text
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _weighted_fields(linker: Linker, weights: Any) -> list[tuple[Fetcher, Any]]:
    fields = weights if isinstance(weights, dict) else {}
    return [(field_fetcher(field, linker.shared_context, _MISSING), weight) for field, weight in fields.items()]


def _chooser(linker: Linker, fields: dict[str, Any], spec: Spec, arms: list[_Arm]) -> Callable[[User], Evaluation]:
    """Return the function that picks a user's group: cases 3 to 6 above."""
    bucket_of = user_bucketer(spec.salt, spec.id_type, _BUCKETS)
    random = linker.shared_context.random
    explores_below = (as_number(fields.get("sampleRate")) or 0) * _BUCKETS
    # The lowest score is the best one's negative.
    sign = 1 if fields.get("higherIsBetter") else -1
    is_learning = not isinstance(fields.get("config"), dict)

    def choose(user: User) -> Evaluation:
        bucket = bucket_of(user)
        # Case 3 of the list above.
        if is_learning:
            return arms[int(bucket / (_BUCKETS / len(arms)))].explored
        # Case 4.
        if bucket < explores_below:
            return _draw(arms, random()).explored
        scored = [(arm.score(user), arm) for arm in arms if arm.score is not None]
        # Cases 5 and 6.
        if not scored:
            return arms[int(random() * len(arms))].chosen
        best, chosen = -inf, arms[0].chosen
        for score, arm in scored:
            # Not `max`: a score that is not a number is never the best, and the first of equal ones is.
            if score * sign > best:
                best, chosen = score * sign, arm.chosen
        return chosen

    return choose


def _draw(arms: list[_Arm], chance: float) -> _Arm:
    """Return the arm at `chance`, a number in [0, 1), of the arms' total weight."""
    left = chance * sum(arm.weight for arm in arms)
    for arm in arms:
        left -= arm.weight
        if left < 0:
            return arm
    # Rounding may leave a remainder of 0.
    return arms[-1]


def _with_targeting(
    linker: Linker, fields: dict[str, Any], base: Evaluation, choose: Callable[[User], Evaluation]
) -> Run:
    """Return a run that evaluates the targeting gate, if there is one, before it picks a group."""
    gate = fields.get("targetingGateName")
    if not isinstance(gate, str):
        return lambda user, _level, _memory: choose(user)
    run_gate = linker.run_of("gate", gate)
    outside = attrs.evolve(base, rule_id="inlineTargetingRules", passed=False, cause="targeting_match")
    absent = outcomes.undecided(gate, "gate", "Unrecognized")
    results = outcomes.CombinedResults(_with_exposed_gate(gate))

    def run(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
        found = absent if run_gate is None else run_gate(user, level + 1, memory)
        return results[choose(user) if found.value else outside, found]

    return run


def _with_exposed_gate(name: str) -> Callable[[tuple[Evaluation, ...]], Evaluation]:
    """Return the function that adds the targeting gate to a result.

    Unlike a rule, a bandit exposes also a gate that is absent or whose rule has no id: with the rule id "".
    """

    def build(parts: tuple[Evaluation, ...]) -> Evaluation:
        result, gate = outcomes.with_nested(parts[0])(parts[1:]), parts[1]
        if gate.rule_id or name.startswith("segment:"):
            return result
        exposed = (name, "true" if gate.value else "false", "")
        return attrs.evolve(result, secondary=merge_exposures((result.secondary, (exposed,))))

    return build
