"""What compiling one name collects: the programs it looks at, and what follows from them."""

from typing import Any, Protocol

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import Evaluation, Program, Run
from asyncsdk._rules.compiler.outcomes import undecided
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import Condition, MalformedError, Spec, parse, read_condition, read_spec

SECTIONS = {
    "gate": "feature_gates",
    "config": "dynamic_configs",
    "experiment": "dynamic_configs",
    "layer": "layer_configs",
}
NOT_REUSABLE = ("", "")
_HEAVY = 100
_MAX_TRAIL = 24

Trail = tuple[tuple[str, str], ...]


class SpecSource(Protocol):
    """The ruleset, as far as compiling needs it."""

    shared_context: SharedContext
    is_inline: bool

    def raw(self, section: str, name: str) -> bytes | None:
        """Give the JSON of one member of a section."""
        ...

    def program(self, kind: str, name: str, trail: Trail = ()) -> Program | None:
        """Give the program of a name, compiled if need be; None when the ruleset has no such name."""
        ...


@attrs.define(eq=False, repr=False)
class Linker:
    """Compiles one name: finds what it refers to, and notes what it was made from.

    Attributes:
        rules: The ruleset.
        trail: The names whose compiling led here, this one last.
        dependencies: What the program is made from, as (section, name).
        is_steady: The answer depends on nothing but the user.
        weight: How many evaluations one run may make.
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
    def is_heavy(self) -> bool:
        """Whether a run must remember what it looked at, lest gates in gates multiply."""
        return self.weight > _HEAVY

    def raw(self, section: str, name: str) -> bytes | None:
        """Give a member of the ruleset and note that it was needed."""
        self.dependencies.add((section, name))
        return self.rules.raw(section, name)

    def spec(self, kind: str, name: str) -> Spec | None:
        """Read a spec; None when there is none.

        Raises:
            MalformedError: Its rules cannot be understood.
        """
        raw = self.raw(SECTIONS[kind], name)
        return None if raw is None else read_spec(raw, name, inline=self.rules.is_inline)

    def condition(self, key: str | Condition) -> Condition | None:
        """Read a condition; None when it is absent or cannot be understood."""
        if not isinstance(key, str):
            return key
        raw = self.raw("condition_map", key)
        if raw is None:
            return None
        try:
            return read_condition(parse(raw, key))
        except MalformedError:
            return None

    def run_of(self, kind: str, name: str) -> Run | None:
        """Give the function that evaluates another name; None when the ruleset has no such name.

        A name that is being compiled, or one far down a chain, is looked up when it is first evaluated.
        """
        if (kind, name) in self.trail or len(self.trail) > _MAX_TRAIL:
            return self._late(kind, name)
        program = self.rules.program(kind, name, self.trail)
        if program is None:
            self.dependencies |= members_defining(kind, name)
            return None
        self.dependencies |= program.dependencies
        self.is_steady &= program.is_steady
        self.weight += program.weight
        return program.run

    def _late(self, kind: str, name: str) -> Run:
        """Look a name up when it is evaluated; one that is absent then answers like one that never matches."""
        self.dependencies.add(NOT_REUSABLE)
        self.is_steady = False
        self.weight = float("inf")
        rules, nothing = self.rules, undecided(name, kind, "Unrecognized")

        def run(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
            program = rules.program(kind, name)
            return nothing if program is None else program.run(user, level, memory)

        return run


def members_defining(kind: str, name: str) -> frozenset[tuple[str, str]]:
    """Say where a ruleset may know a name."""
    places = {(SECTIONS[kind], name), ("overrides", name)}
    return frozenset(places | {("cmab_configs", name)} if kind == "experiment" else places)


def memoized(key: tuple[str, str], run: Run) -> Run:
    """Make a run that evaluates the same name once per evaluation."""

    def remembered(user: User, level: int, memory: dict[Any, Evaluation] | None) -> Evaluation:
        kept = {} if memory is None else memory
        found = kept.get(key)
        if found is None:
            found = kept[key] = run(user, level, kept)
        return found

    return remembered
