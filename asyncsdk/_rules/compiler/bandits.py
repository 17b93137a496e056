"""Bandits (CMAB): experiments whose groups are picked by a score of the user, with some exploring."""

from collections.abc import Callable
from typing import Any

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compiler import outcomes
from asyncsdk._rules.compiler.evaluate import Evaluation, Run
from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.language.conditions import Fetcher, field_fetcher, user_bucketer
from asyncsdk._rules.language.specs import MalformedError, Spec, check_size, parse
from asyncsdk._rules.language.values import as_number

_WHOLE = 10_000


@attrs.frozen(eq=False, repr=False)
class _Arm:
    """One group: its result, the result when it is explored, and how it is scored."""

    chosen: Evaluation
    explored: Evaluation
    weight: float
    score: Callable[[User], float] | None


def compile_bandit(linker: Linker, name: str, raw: bytes) -> Run:
    """Compile a bandit.

    Raises:
        MalformedError: It cannot be understood.
    """
    fields = parse(raw, name)
    match fields:
        case {"groups": list(groups), "enabled": bool(enabled)}:
            pass
        case _:
            raise MalformedError(name)
    check_size(len(groups))
    spec = Spec(name, fields.get("defaultValue"), salt=str(fields.get("salt", "")), id_type=str(fields.get("idType")))
    version = fields.get("version")
    base = attrs.evolve(outcomes.default_result(spec, "config"), version=version if isinstance(version, int) else None)
    arms = _arms(linker, fields, base, groups)
    prestart = attrs.evolve(base, rule_id="prestart", passed=False)
    if not enabled or not arms:
        return lambda _user, _level, _memory: prestart
    linker.is_steady = False
    return _targeted(linker, fields, base, _chooser(linker, fields, spec, arms))


def _arms(linker: Linker, fields: dict[str, Any], base: Evaluation, groups: list[Any]) -> list[_Arm]:
    scores = fields.get("config")
    arms = []
    for group in groups:
        match group:
            case {"id": str(identity), "name": str(group_name)}:
                chosen = attrs.evolve(
                    base,
                    value=outcomes.config_value(group.get("parameterValues")),
                    rule_id=identity,
                    group_name=group_name,
                    cause="split",
                    passed=True,
                    is_experiment_group=True,
                )
                entry = scores.get(identity) if isinstance(scores, dict) else None
                entry = entry if isinstance(entry, dict) else {}
                explored = attrs.evolve(chosen, rule_id=f"{identity}:explore")
                weight = 1 / (1 + (as_number(entry.get("records")) or 0))
                arms.append(_Arm(chosen, explored, weight, _score(linker, entry)))
            case _:
                raise MalformedError(base.name)
    return arms


def _score(linker: Linker, entry: dict[str, Any]) -> Callable[[User], float] | None:
    numerical, categorical = entry.get("weightsNumerical"), entry.get("weightsCategorical")
    numbers = _fetches(linker, numerical)
    words = _fetches(linker, categorical)
    if not numbers and not words:
        return None
    start = (as_number(entry.get("intercept")) or 0) + (as_number(entry.get("alpha")) or 0)

    def score(user: User) -> float:
        total = start
        for fetch, weight in numbers:
            total += (as_number(fetch(user)) or 0) * (as_number(weight) or 0)
        for fetch, weights in words:
            value = fetch(user)
            if isinstance(value, str) and isinstance(weights, dict):
                total += as_number(weights.get(value)) or 0
        return total

    return score


def _fetches(linker: Linker, weights: Any) -> list[tuple[Fetcher, Any]]:
    fields = weights if isinstance(weights, dict) else {}
    return [(field_fetcher(field, linker.shared_context), weight) for field, weight in fields.items()]


def _chooser(linker: Linker, fields: dict[str, Any], spec: Spec, arms: list[_Arm]) -> Callable[[User], Evaluation]:
    bucket_of = user_bucketer(spec.salt, spec.id_type, _WHOLE)
    random = linker.shared_context.random
    explores_below = (as_number(fields.get("sampleRate")) or 0) * _WHOLE
    best = max if fields.get("higherIsBetter") else min
    is_learning = not isinstance(fields.get("config"), dict)

    def choose(user: User) -> Evaluation:
        place = bucket_of(user)
        if is_learning:
            return arms[int(place / (_WHOLE / len(arms)))].explored
        if place < explores_below:
            return _drawn(arms, random()).explored
        scored = [(arm.score(user), arm) for arm in arms if arm.score is not None]
        if not scored:
            return arms[int(random() * len(arms))].chosen
        return best(scored, key=lambda pair: pair[0])[1].chosen

    return choose


def _drawn(arms: list[_Arm], chance: float) -> _Arm:
    """Draw an arm; those with fewer records are likelier."""
    left = chance * sum(arm.weight for arm in arms)
    for arm in arms:
        left -= arm.weight
        if left < 0:
            return arm
    return arms[-1]


def _targeted(linker: Linker, fields: dict[str, Any], base: Evaluation, choose: Callable[[User], Evaluation]) -> Run:
    gate = fields.get("targetingGateName")
    if not isinstance(gate, str):
        return lambda user, _level, _memory: choose(user)
    run_gate = linker.run_of("gate", gate)
    outside = attrs.evolve(base, rule_id="inlineTargetingRules", passed=False, cause="targeting_match")
    unseen = () if gate.startswith("segment:") else ((gate, "false", ""),)
    excluded = attrs.evolve(outside, secondary=unseen)
    results = outcomes.CombinedResults(lambda parts: outcomes.with_nested(parts[0])(parts[1:]))

    def run(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
        if run_gate is None:
            return excluded
        found = run_gate(user, level + 1, memory)
        return results[choose(user) if found.value else outside, found]

    return run
