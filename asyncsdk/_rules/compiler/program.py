"""Compile a name of a ruleset to its program.

A program's run is a chain; each link answers for some users and passes the others on:

1. **Local override**, if one is set for the name: answers for the overridden ids, or for every user.
2. **Config mapping** (`config_mapping`), if the ruleset maps the name: answers with another spec's evaluation.
3. **The name's own rules**: a bandit (`bandits`), else a layer that merges its rules (`layers`), else rules (`rules`).

A link that is absent costs nothing: the run is then the next one itself. A name without a spec may still have 1 and 2.
A spec that cannot be read still has a program, whose evaluation is `Unsupported`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asyncsdk._model.users import User
from asyncsdk._rules.compiler import outcomes
from asyncsdk._rules.compiler.bandits import compile_bandit
from asyncsdk._rules.compiler.config_mapping import compile_mapping
from asyncsdk._rules.compiler.evaluate import LOCAL_OVERRIDE, Evaluation, Program, Run
from asyncsdk._rules.compiler.layers import compile_merging_layer
from asyncsdk._rules.compiler.linker import Linker, SpecSource, Trail
from asyncsdk._rules.compiler.rules import compile_rules_in_steps
from asyncsdk._rules.language.overrides import GroupOverride, find_unit
from asyncsdk._rules.language.specs import MalformedError, Spec, TooLargeError
from asyncsdk._rules.sliced import Steps

_MAX_WEIGHT = 10**9


def compile_program(rules: SpecSource, kind: str, name: str, trail: Trail) -> Steps[Program | None]:
    """Compile a name of a ruleset, yielding between steps.

    Args:
        rules: The ruleset.
        kind: `gate`, `config`, `experiment` or `layer`.
        name: The name.
        trail: The names whose compiling led here.

    Returns:
        Its program; None if neither the ruleset nor an override knows the name.
    """
    linker = Linker(rules, (*trail, (kind, name)))
    spec, own_run = yield from _own_run(linker, kind, name)
    unrecognized = outcomes.undecided(name, kind, "Unrecognized", spec)
    salt = "" if spec is None else spec.salt
    run = yield from compile_mapping(linker, kind, name, salt, own_run or (lambda _user, _level, _memory: unrecognized))
    overrides = rules.shared_context.overrides.of(kind, name)
    if overrides:
        run = _with_overrides(overrides, kind, name, spec, run)
    elif own_run is None and linker.rules.raw("overrides", name) is None:
        return None
    return Program(
        name,
        run,
        linker.is_steady,
        # A late name makes the weight infinite, which is not an int.
        int(min(linker.weight, _MAX_WEIGHT)),
        frozenset(linker.dependencies),
        outcomes.undecided(name, kind, "Unsupported", spec),
        outcomes.undecided(name, kind, "Error:Statsig Evaluation Depth Exceeded", spec),
    )


def unknown_program(kind: str, name: str) -> Program:
    """Return the program of a name that neither the ruleset nor an override knows."""
    unrecognized = outcomes.undecided(name, kind, "Unrecognized")
    is_steady = False  # each call builds a new program, which a user's memo would never find again
    return Program(
        name, lambda _user, _level, _memory: unrecognized, is_steady, 0, frozenset(), unrecognized, unrecognized
    )


def _own_run(linker: Linker, kind: str, name: str) -> Steps[tuple[Spec | None, Run | None]]:
    """Compile a name's own rules; a bandit wins over a spec of the same name, even a malformed one.

    Returns:
        The spec and the run; None for what the ruleset does not have.
    """
    unsupported = outcomes.undecided(name, kind, "Unsupported")

    def run_malformed(_user: User, _level: int, _memory: dict[Any, Evaluation] | None) -> Evaluation:
        # Not `UnsupportedError`: a spec that refers to a malformed one treats it as absent.
        return unsupported

    spec: Spec | None = None
    run: Run | None = run_malformed
    bandit = linker.raw("cmab_configs", name) if kind == "experiment" else None
    if bandit is not None:
        with _malformed_is_unsupported(linker):
            run = yield from compile_bandit(linker, name, bandit)
    with _malformed_is_unsupported(linker):
        spec = yield from linker.spec_in_steps(kind, name)
        if bandit is None:
            run = None if spec is None else (yield from _spec_run(linker, kind, spec))
    return spec, run


@contextmanager
def _malformed_is_unsupported(linker: Linker) -> Iterator[None]:
    """Leave a name unsupported whose spec is malformed; report one that is too large."""
    try:
        yield
    except TooLargeError as error:
        linker.shared_context.report_too_large(linker.label, str(error))
    except MalformedError:
        pass


def _spec_run(linker: Linker, kind: str, spec: Spec) -> Steps[Run]:
    if kind == "layer" and spec.merges_rules:
        return (yield from compile_merging_layer(linker, spec))
    return (yield from compile_rules_in_steps(linker, spec, kind))


def _with_overrides(overrides: Any, kind: str, name: str, spec: Spec | None, run: Run) -> Run:
    """Return a run that answers with local overrides, and for other users calls `run`."""
    answers = {unit: _override_result(value, kind, name, spec) for unit, value in overrides.items()}

    def run_overridden(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
        try:
            answer = answers[find_unit(overrides, user)]
        except KeyError:
            answer = None
        return run(user, level, memory) if answer is None else answer

    return run_overridden


def _override_result(value: Any, kind: str, name: str, spec: Spec | None) -> Evaluation | None:
    """Build the result of an override; None if it names a group that the experiment does not have."""
    group = None
    if isinstance(value, GroupOverride):
        rules = () if spec is None else spec.rules
        rule = next((rule for rule in rules if rule.group_name == value.name), None)
        if rule is None:
            return None
        value, group = rule.return_value, value.name
    result = outcomes.undecided(name, kind, LOCAL_OVERRIDE)
    result.value = value is True if kind == "gate" else outcomes.config_value(value)
    result.rule_id, result.group_name, result.cause = "override", group, "static"
    return result
