"""Resolve the names that a spec refers to while it is compiled, and collect what follows from them.

Compiling a name compiles all that it refers to, depth first: a gate's conditions name other gates, a layer's rules name
experiments. Each name being compiled has a `Linker` of its own, which collects what is known of the names that it
refers to (`Linker.run_of`):

* **dependencies**: every member of the ruleset that was read, or looked for and not found. A later ruleset in which all
  of them have the same bytes may reuse the program (`Ruleset.keep`).
* **is_steady**: whether the same user always gets the same evaluation. A clock, an ID list or a bandit makes it False,
  for this name and for all that refer to it.
* **weight**: an upper bound for the evaluations in one run. If each gate looks at two that look at the same two, it
  doubles per level. Above 100 a run is *heavy*: it keeps nested evaluations in a dict, its memory, so that each name is
  evaluated once.

**Cycles.** `trail` lists the names whose compiling led to this one. A name that is already on it, or more than 24 names
down, is not compiled but resolved *late*, by a function that looks the program up when it is called. A name that refers
to a late one is heavy, not steady and not reusable, because nothing is known of the late name yet. Example: gates
`a -> b -> a`. Compiling `a` compiles `b`, which gets a late `a`. Evaluating `a` then calls `b`, `a`, `b`... until
level 64 raises `TooDeepError`.
"""

from typing import Any, Protocol

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import Evaluation, Program, Run
from asyncsdk._rules.compiler.outcomes import undecided
from asyncsdk._rules.language.operators import OPERATORS, prepare_in_steps
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import (
    Condition,
    MalformedError,
    Rule,
    Spec,
    TooLargeError,
    check_size,
    parse,
    read_condition,
    read_rule,
    read_spec,
    rules_of,
    spec_of,
)
from asyncsdk._rules.sliced import Steps, parse_in_steps, run_to_end

SECTIONS = {
    "gate": "feature_gates",
    "config": "dynamic_configs",
    "experiment": "dynamic_configs",
    "layer": "layer_configs",
}
NOT_REUSABLE = ("", "")
"""A dependency of programs that must be compiled again for each ruleset."""
_HEAVY = 100
_RULES_PER_STEP = 20
LONG = 4_000
"""Bytes of a condition above which it is prepared before a ruleset is used, in steps."""
_LONG_LIST, _SHOWN = 1_000, 20
_MAX_TRAIL = 24

Trail = tuple[tuple[str, str], ...]
"""Kinds and names, outermost first."""


class SpecSource(Protocol):
    """The part of a ruleset that the compiler uses.

    Attributes:
        shared_context: What is the same for all users.
        is_inline: The ruleset has the older format (v1), with conditions inside rules.
        long_conditions: Conditions of more than `LONG` bytes, prepared, by key; None for one that cannot be used.
    """

    shared_context: SharedContext
    is_inline: bool
    long_conditions: dict[str, Condition | None]

    def raw(self, section: str, name: str) -> bytes | None:
        """Return the JSON of one member of a section, None if it is absent."""
        ...

    def program(self, kind: str, name: str, trail: Trail = ()) -> Program | None:
        """Return the program of a name, compiled if necessary; None if the ruleset has no such name."""
        ...

    def program_in_steps(self, kind: str, name: str, trail: Trail = ()) -> Steps[Program | None]:
        """Return what `program` does, yielding between steps."""
        ...


@attrs.define(eq=False, repr=False)
class Linker:
    """Resolves the references of one name, and records what the name depends on.

    Attributes:
        rules: The ruleset.
        trail: The names whose compiling led here, this one last.
        dependencies: Members of the ruleset that the program depends on, as (section, name).
        is_steady: The evaluation depends on nothing but the user.
        weight: Upper bound for the evaluations in one run.
    """

    rules: SpecSource
    trail: Trail
    dependencies: set[tuple[str, str]] = attrs.Factory(set)
    is_steady: bool = True
    weight: float = 1

    @property
    def shared_context(self) -> SharedContext:
        """What is the same for all users."""
        return self.rules.shared_context

    @property
    def label(self) -> str:
        """The kind and name being compiled, such as `gate new_page`."""
        return " ".join(self.trail[-1]) if self.trail else ""

    @property
    def is_heavy(self) -> bool:
        """Whether a run must remember its nested evaluations, because their number might grow exponentially."""
        return self.weight > _HEAVY

    def raw(self, section: str, name: str) -> bytes | None:
        """Return the JSON of a member of the ruleset, and record it as a dependency."""
        self.dependencies.add((section, name))
        return self.rules.raw(section, name)

    def spec(self, kind: str, name: str) -> Spec | None:
        """Read a spec.

        Args:
            kind: `gate`, `config`, `experiment` or `layer`.
            name: Its name.

        Returns:
            The spec; None if it is absent.

        Raises:
            MalformedError: Its rules cannot be read.
        """
        raw = self.raw(SECTIONS[kind], name)
        return None if raw is None else read_spec(raw, name, inline=self.rules.is_inline)

    def spec_in_steps(self, kind: str, name: str) -> Steps[Spec | None]:
        """Read a spec of any size, as `spec` does, yielding between steps."""
        raw = self.raw(SECTIONS[kind], name)
        if raw is None:
            return None
        fields = yield from parse_in_steps(raw, name)
        values = rules_of(fields, name)
        rules: list[Rule] = []
        size = len(values)
        for number, value in enumerate(values, 1):
            check_size(size)
            rules.append(read_rule(value))
            size += len(rules[-1].conditions)
            if number % _RULES_PER_STEP == 0:
                yield
        check_size(size)
        return spec_of(fields, name, tuple(rules), inline=self.rules.is_inline)

    def condition(self, key: str | Condition) -> Condition | None:
        """Return a condition, by its key unless it is inline; None if it is absent, malformed or too large."""
        return run_to_end(self.condition_in_steps(key))

    def condition_in_steps(self, key: str | Condition) -> Steps[Condition | None]:
        """Return a condition, as `condition` does, yielding between steps."""
        if not isinstance(key, str):
            return (yield from self._prepared(key)) if is_long(key.target) else key
        raw = self.raw("condition_map", key)
        if raw is None:
            return None
        if len(raw) <= LONG:
            return _condition_of(raw, key)
        # A long one is shared by all that refer to it.
        long_conditions = self.rules.long_conditions
        if key not in long_conditions:
            try:
                condition = read_condition((yield from parse_in_steps(raw, key)))
                long_conditions[key] = yield from self._prepared(condition)
            except MalformedError:
                long_conditions[key] = None
        return long_conditions[key]

    def _prepared(self, condition: Condition) -> Steps[Condition | None]:
        """Return a condition whose target is prepared; None if it is too large."""
        operator = OPERATORS.get(condition.operator or "")
        if operator is None:
            return condition
        try:
            condition.prepared = ((yield from prepare_in_steps(operator, condition.target)),)
        except TooLargeError as error:
            self.shared_context.report_too_large(self.label, str(error))
            return None
        if is_long(condition.target) and isinstance(condition.target, list):
            condition.target = condition.target[:_SHOWN]  # only explanations show it now
        return condition

    def compile_in_steps(self, kind: str, name: str) -> Steps[None]:
        """Compile another name, yielding between steps, so that `run_of` finds it compiled."""
        if (kind, name) not in self.trail and len(self.trail) <= _MAX_TRAIL:
            yield from self.rules.program_in_steps(kind, name, self.trail)

    def run_of(self, kind: str, name: str) -> Run | None:
        """Return the function that evaluates another name.

        Args:
            kind: `gate`, `config`, `experiment` or `layer`.
            name: The name.

        Returns:
            The function, a late one in a cycle or a long chain; None if the ruleset has no such name.
        """
        # The limit on the chain keeps the compiler's recursion, several Python frames per name, from overflowing.
        if (kind, name) in self.trail or len(self.trail) > _MAX_TRAIL:
            return self._late_run(kind, name)
        program = self.rules.program(kind, name, self.trail)
        # A later ruleset may add the name: its absence is a dependency, too.
        if program is None:
            self.dependencies |= members_defining(kind, name)
            return None
        self.dependencies |= program.dependencies
        self.is_steady &= program.is_steady
        self.weight += program.weight
        return program.run

    def delegate_of(self, rule: Rule) -> tuple[Run, Spec] | None:
        """Return what `delegate_in_steps` does, without yielding."""
        return run_to_end(self.delegate_in_steps(rule))

    def delegate_in_steps(self, rule: Rule) -> Steps[tuple[Run, Spec] | None]:
        """Return the function that evaluates a rule's experiment, and the experiment's spec.

        Returns:
            None if the rule has no experiment, or `dynamic_configs` has no such spec or a malformed one: the rule then
            decides itself. A bandit, a mapping or an override alone does not make an experiment.
        """
        if rule.delegate is None:
            return None
        try:
            spec = yield from self.spec_in_steps("experiment", rule.delegate)
        except MalformedError:
            return None
        yield from self.compile_in_steps("experiment", rule.delegate)
        run = self.run_of("experiment", rule.delegate)
        return None if spec is None or run is None else (run, spec)

    def _late_run(self, kind: str, name: str) -> Run:
        """Return a function that looks the name's program up when it is called; an absent name never matches."""
        self.dependencies.add(NOT_REUSABLE)
        self.is_steady = False
        self.weight = float("inf")
        rules, absent = self.rules, undecided(name, kind, "Unrecognized")

        def run(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
            program = rules.program(kind, name)
            return absent if program is None else program.run(user, level, memory)

        return run


def is_long(target: Any) -> bool:
    """Return whether a target takes so long to prepare that it is done in steps."""
    return isinstance(target, list | dict) and len(target) > _LONG_LIST


def _condition_of(raw: bytes, key: str) -> Condition | None:
    try:
        return read_condition(parse(raw, key))
    except MalformedError:
        return None


def members_defining(kind: str, name: str) -> frozenset[tuple[str, str]]:
    """Return the members of a ruleset, as (section, name), any of which would define a name."""
    places = {(SECTIONS[kind], name), ("overrides", name)}
    return frozenset(places | {("cmab_configs", name)} if kind == "experiment" else places)


def memoized(key: tuple[str, str], run: Run) -> Run:
    """Return a function that runs `run` once per evaluation and key, and then answers from the memory."""

    def run_memoized(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
        known = {} if memory is None else memory
        found = known.get(key)
        if found is None:
            found = known[key] = run(user, level, known)
        return found

    return run_memoized
