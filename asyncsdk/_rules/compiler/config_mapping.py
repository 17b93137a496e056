"""Compile config mapping: entries of the ruleset that send some users of a name to another spec.

The section `overrides` has, by name, a list of mappings; each names another spec and rules of the section
`override_rules`:

    "overrides": {"old": [{"new_config_name": "new", "rules": [{"rule_name": "half", "start_time": 1700000000000}]}]}
    "override_rules": {"half": {"id": "half", "passPercentage": 50, "conditions": [...]}}

The first rule that has started (milliseconds since 1970) and holds for the user wins: the user gets the evaluation of
`new` under the name `old`. A mapping never breaks a name: one that is malformed, refers to something absent or meets an
unknown condition does not apply.
"""

from collections.abc import Callable
from typing import Any

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import MAX_LEVELS, Evaluation, Run, TooDeepError
from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.compiler.outcomes import CombinedResults, combine_causes
from asyncsdk._rules.compiler.rules import compile_rules_in_steps
from asyncsdk._rules.language.specs import MalformedError, Spec, TooLargeError, check_size, read_rule
from asyncsdk._rules.patterns.errors import UnsupportedError
from asyncsdk._rules.sliced import Steps, parse_in_steps

_Applies = Callable[[User, int, dict[Any, Evaluation] | None], bool | None]
"""Returns whether a rule holds; None before it has started."""
# Outcomes of a spec that is absent or malformed; for a spec that cannot be decided, a run raises.
_ABSENT = ("Unrecognized", "Unsupported")


def compile_mapping(linker: Linker, kind: str, name: str, salt: str, run: Run) -> Steps[Run]:
    """Compile the mappings of a name, yielding between steps.

    Args:
        linker: Compiles the name.
        kind: `gate`, `config`, `experiment` or `layer`.
        name: The name.
        salt: Its spec's salt; "" without a spec.
        run: Evaluates the name where no mapping applies.

    Returns:
        A run that tries the mappings first; `run` itself if there are none.
    """
    raw = linker.raw("overrides", name)
    if raw is None:
        return run
    # In the order of the ruleset: the first that applies wins.
    mappings: list[tuple[_Applies, Run | None, CombinedResults]] = []
    for new_name, rules in (yield from _read_mappings(linker, raw, name)):
        for rule_name, start_time in rules:
            applies = yield from _compile_rule(linker, name, salt, rule_name, start_time)
            if applies is not None:
                yield from linker.compile_in_steps(kind, new_name)
                mappings.append((applies, linker.run_of(kind, new_name), CombinedResults(_with_name(name, new_name))))
            yield
    unmapped = CombinedResults(lambda parts: attrs.evolve(parts[0], tried_mapping=True))

    def run_mapped(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
        has_tried = False
        for applies, target, results in mappings:
            holds = applies(user, level, memory)
            has_tried |= holds is not None
            if holds and target is not None:
                # A spec may be mapped to itself, which ends here.
                if level >= MAX_LEVELS:
                    raise TooDeepError
                found = target(user, level + 1, memory)
                # A target that turns out to be absent or malformed leaves the user to the next mapping.
                if found.outcome not in _ABSENT:
                    return results[found,]
        own = run(user, level, memory)
        return unmapped[own,] if has_tried else own

    return run_mapped if mappings else run


def _read_mappings(linker: Linker, raw: bytes, name: str) -> Steps[list[tuple[str, list[tuple[str, int]]]]]:
    """Read mappings as new names, each with rule names and start times; skip what is malformed."""
    found = []
    try:
        mappings = yield from parse_in_steps(raw, name)
        for mapping in mappings if isinstance(mappings, list) else ():
            match mapping:
                case {"new_config_name": str(new_name), "rules": list(rules)}:
                    found.append((new_name, [pair for rule in rules if (pair := _rule_name(rule)) is not None]))
        check_size(sum(len(pairs) for _, pairs in found))
    except TooLargeError as error:
        linker.shared_context.report_too_large(f"mapping of {linker.label}", str(error))
        return []
    except MalformedError:
        return []
    return found


def _rule_name(rule: Any) -> tuple[str, int] | None:
    match rule:
        case {"rule_name": str(rule_name), "start_time": int(start_time)}:
            return rule_name, start_time
        case {"rule_name": str(rule_name)}:
            return rule_name, 0
    return None


def _compile_rule(linker: Linker, name: str, salt: str, rule_name: str, start_time: int) -> Steps[_Applies | None]:
    """Compile an override rule to a test, by way of a gate; None if it is absent or malformed."""
    raw = linker.raw("override_rules", rule_name)
    if raw is None:
        return None
    try:
        rule = read_rule((yield from parse_in_steps(raw, rule_name)))
    except MalformedError:
        return None
    rule = attrs.evolve(rule, delegate=None, return_value=True)
    run = yield from compile_rules_in_steps(linker, Spec(name, default=False, rules=(rule,), salt=salt), "gate")
    clock = linker.shared_context.clock
    # A rule that has not started yet will change the answer without a new ruleset.
    if start_time > clock():
        linker.is_steady = False

    def applies(user: User, level: int, memory: dict[Any, Evaluation] | None) -> bool | None:
        if start_time and clock() < start_time:
            return None
        try:
            return bool(run(user, level, memory).value)
        except (UnsupportedError, TooDeepError):
            return False

    return applies


def _with_name(name: str, new_name: str) -> Callable[[tuple[Evaluation, ...]], Evaluation]:
    """Return the function that gives an evaluation of `new_name` the mapped name."""

    def build(parts: tuple[Evaluation, ...]) -> Evaluation:
        cause = combine_causes("targeting_match", parts[0].cause)
        return attrs.evolve(parts[0], name=name, mapped_to=new_name, tried_mapping=True, cause=cause)

    return build
