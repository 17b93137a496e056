"""A name of a ruleset to its program: local override, config mapping, bandit, rules, in this order."""

from typing import Any

from asyncsdk._model.users import User
from asyncsdk._rules.compiler import outcomes
from asyncsdk._rules.compiler.bandits import compile_bandit
from asyncsdk._rules.compiler.config_mapping import compile_mapping
from asyncsdk._rules.compiler.evaluate import Evaluation, Program, Run, UnsupportedError
from asyncsdk._rules.compiler.layers import compile_merging_layer
from asyncsdk._rules.compiler.linker import Linker, SpecSource, Trail
from asyncsdk._rules.compiler.rules import compile_rules
from asyncsdk._rules.language.overrides import GroupOverride, find_unit
from asyncsdk._rules.language.specs import MalformedError, Spec

_HEAVIEST = 10**9


def compile_program(rules: SpecSource, kind: str, name: str, trail: Trail) -> Program | None:
    """Compile a name of a ruleset.

    Args:
        rules: The ruleset.
        kind: `gate`, `config`, `experiment` or `layer`.
        name: The name.
        trail: The names whose compiling led here.

    Returns:
        Its program; None when neither the ruleset nor an override knows the name.
    """
    linker = Linker(rules, (*trail, (kind, name)))
    try:
        spec = linker.spec(kind, name)
        run = _spec_run(linker, kind, name, spec)
    except MalformedError:
        spec, run = None, _unsupported
    base = outcomes.undecided(name, kind, "Unrecognized", spec)
    full = compile_mapping(linker, kind, name, "" if spec is None else spec.salt, run or (lambda _u, _d, _m: base))
    slots = rules.shared_context.overrides.of(kind, name)
    if slots:
        full = _overridden(slots, kind, name, spec, full)
    elif run is None and linker.rules.raw("overrides", name) is None:
        return None
    return Program(
        name,
        full,
        linker.is_steady,
        int(min(linker.weight, _HEAVIEST)),
        frozenset(linker.dependencies),
        outcomes.undecided(name, kind, "Unsupported", spec),
        outcomes.undecided(name, kind, "Error:Statsig Evaluation Depth Exceeded", spec),
    )


def unknown_program(kind: str, name: str) -> Program:
    """Make the program of a name that neither the ruleset nor an override knows."""
    nothing = outcomes.undecided(name, kind, "Unrecognized")
    return Program(name, lambda _u, _d, _m: nothing, False, 0, frozenset(), nothing, nothing)  # noqa: FBT003 -- is_steady


def _spec_run(linker: Linker, kind: str, name: str, spec: Spec | None) -> Run | None:
    bandit = linker.raw("cmab_configs", name) if kind == "experiment" else None
    if bandit is not None:
        return compile_bandit(linker, name, bandit)
    if spec is None:
        return None
    if kind == "layer" and spec.walks_all_rules:
        return compile_merging_layer(linker, spec)
    return compile_rules(linker, spec, kind)


def _unsupported(_user: User, _level: int, _memory: dict[Any, Evaluation] | None) -> Evaluation:
    raise UnsupportedError


def _overridden(slots: Any, kind: str, name: str, spec: Spec | None, run: Run) -> Run:
    """Put local overrides before a run."""
    answers = {unit: _answer(value, kind, name, spec) for unit, value in slots.items()}

    def run_overridden(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
        try:
            answer = answers[find_unit(slots, user)]
        except KeyError:
            answer = None
        return run(user, level, memory) if answer is None else answer

    return run_overridden


def _answer(value: Any, kind: str, name: str, spec: Spec | None) -> Evaluation | None:
    """Make what an override answers; None when it names a group that the experiment does not have."""
    group = None
    if isinstance(value, GroupOverride):
        rules = () if spec is None else spec.rules
        rule = next((rule for rule in rules if rule.group_name == value.name), None)
        if rule is None:
            return None
        value, group = rule.return_value, value.name
    answer = outcomes.undecided(name, kind, "LocalOverride:Recognized")
    answer.value = value is True if kind == "gate" else outcomes.config_value(value)
    answer.rule_id, answer.group_name, answer.cause = "override", group, "static"
    return answer
