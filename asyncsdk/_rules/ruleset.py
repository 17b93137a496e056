"""One version of the rules: raw slices of JSON, each compiled when it is first asked for."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import PERSISTED, Evaluation, Program, evaluate
from asyncsdk._rules.compiler.linker import NOT_REUSABLE, SECTIONS, Trail
from asyncsdk._rules.compiler.program import compile_program, unknown_program
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import read_fields

Kind = Literal["gate", "config", "experiment", "layer"]
KINDS: tuple[Kind, ...] = ("config", "experiment", "layer", "gate")
Sections = Mapping[str, Mapping[str, bytes]]


@attrs.define(eq=False)
class Ruleset:
    """One version of the rules. Replaced whole, never changed; its programs are compiled as they are asked for.

    Attributes:
        sections: Raw JSON of each spec, condition, parameter store and bandit, by section and name.
        facts: The small top-level fields, parsed, such as `sdk_configs`.
        shared_context: What evaluations know besides.
        is_inline: It is of the first form (v1): lists of specs with conditions inside.
        source: Where it came from, as evaluation reasons name it: `Network`, `Bootstrap`, `Adapter(DataStore)`.
        received_at_ms: When it arrived.
        asks_for_countries: A condition derives the country of an address: load the table in good time.
        fingerprint: Tells whether another body is the same.
        stamp: Marks what was derived from this ruleset and must not outlive it; holds nothing.
        views: The same rules under other shared_context, by whatever key their maker chooses.
        notes: What later steps have worked out about these rules, by whatever key they choose.
        samples_exposures: Whether they ask for exposures to be sampled.
    """

    sections: Sections = attrs.field(repr=False)
    facts: Mapping[str, Any] = attrs.field(repr=False)
    shared_context: SharedContext = attrs.field(repr=False)
    is_inline: bool = False
    source: str = "NoValues"
    received_at_ms: int = 0
    asks_for_countries: bool = False
    fingerprint: tuple[int, ...] = attrs.field(default=(), repr=False)
    gates: dict[str, Program] = attrs.field(init=False, factory=dict, repr=False)
    configs: dict[str, Program] = attrs.field(init=False, factory=dict, repr=False)
    experiments: dict[str, Program] = attrs.field(init=False, factory=dict, repr=False)
    layers: dict[str, Program] = attrs.field(init=False, factory=dict, repr=False)
    stamp: object = attrs.field(init=False, factory=object, repr=False)
    views: dict[Any, Any] = attrs.field(init=False, factory=dict, repr=False)
    _kinds: dict[str, tuple[Kind, ...]] = attrs.field(init=False, factory=dict, repr=False)
    notes: dict[Any, Any] = attrs.field(init=False, factory=dict, repr=False)
    samples_exposures: bool = attrs.field(init=False, repr=False)

    @samples_exposures.default
    def _find_sampling(self) -> bool:
        settings = self.facts.get("sdk_configs")
        return isinstance(settings, dict) and settings.get("sampling_mode") in ("on", "shadow")

    @property
    def time_ms(self) -> int:
        """When the project was last changed (`lcut`), 0 when unknown."""
        time = self.facts.get("time")
        return time if isinstance(time, int) else 0

    @property
    def checksum(self) -> str:
        """The server's name for this version, "" when unknown."""
        checksum = self.facts.get("checksum")
        return checksum if isinstance(checksum, str) else ""

    def gate(self, user: User, name: str) -> Evaluation:
        """Evaluate a gate. Never raises."""
        return evaluate(self.gates.get(name) or self.find("gate", name), user)

    def config(self, user: User, name: str) -> Evaluation:
        """Evaluate a dynamic config. Never raises."""
        return evaluate(self.configs.get(name) or self.find("config", name), user)

    def experiment(self, user: User, name: str) -> Evaluation:
        """Evaluate an experiment. Never raises."""
        return evaluate(self.experiments.get(name) or self.find("experiment", name), user)

    def layer(self, user: User, name: str) -> Evaluation:
        """Evaluate a layer. Never raises."""
        return evaluate(self.layers.get(name) or self.find("layer", name), user)

    def lookup(self, kind: Kind, user: User, name: str) -> Evaluation:
        """Evaluate a name of a kind that is only known now. Never raises."""
        return evaluate(self.find(kind, name), user)

    def find(self, kind: Kind, name: str) -> Program:
        """Give the program of a name, compiled if need be; of an unknown name, one that finds nothing."""
        return self.program(kind, name) or unknown_program(kind, name)

    def reason(self, evaluation: Evaluation) -> str:
        """Say why an evaluation came out as it did, such as `Network:Recognized`."""
        if not self.sections:
            return self.source
        outcome = evaluation.outcome
        return f"{self.source}:{outcome}" if outcome.isalpha() and outcome != PERSISTED else outcome

    def names(self, section: str) -> Iterator[str]:
        """Give the names in a section."""
        return iter(self.sections.get(section, ()))

    def kinds_of(self, name: str) -> tuple[Kind, ...]:
        """Say what is known by a name, local overrides included, in the order of `KINDS`."""
        kinds = self._kinds.get(name)
        if kinds is None:
            kinds = tuple(kind for kind in KINDS if self._knows(kind, name))
            if kinds:  # unknown names have no bound
                self._kinds[name] = kinds
        return kinds

    def _knows(self, kind: Kind, name: str) -> bool:
        raw = self.raw(SECTIONS[kind], name)
        if kind in ("config", "experiment") and raw is not None:
            entity = read_fields(raw, name).get("entity")
            raw = raw if (entity == "experiment") is (kind == "experiment") else None
        if kind == "experiment" and raw is None:
            raw = self.raw("cmab_configs", name)
        return raw is not None or bool(self.shared_context.overrides.of(kind, name))

    def raw(self, section: str, name: str) -> bytes | None:
        """Give the JSON of one member of a section."""
        found = self.sections.get(section)
        return None if found is None else found.get(name)

    def program(self, kind: str, name: str, trail: Trail = ()) -> Program | None:
        """Give the program of a name, compiled if need be; None when the ruleset has no such name."""
        table = self.tables()[kind]
        found = table.get(name)
        if found is None:
            found = compile_program(self, kind, name, trail)
            if found is not None:
                found = table.setdefault(name, found)
        return found

    def tables(self) -> dict[str, dict[str, Program]]:
        """Give what is compiled so far, by kind and name."""
        return {
            "gate": self.gates,
            "config": self.configs,
            "experiment": self.experiments,
            "layer": self.layers,
        }

    def precompile(self, previous: "Ruleset") -> Iterator[None]:
        """Compile what an earlier ruleset had compiled, yielding after each name, so that no lookup has to."""
        for kind, table in previous.tables().items():
            for name in list(table):
                self.program(kind, name)
                yield

    def adopt_programs(self, previous: "Ruleset") -> Iterator[None]:
        """Take over what an earlier ruleset compiled from the same bytes; yields between slices."""
        if previous.shared_context != self.shared_context or previous.is_inline != self.is_inline:
            return
        for kind, table in previous.tables().items():
            mine = self.tables()[kind]
            for place, (name, program) in enumerate(list(table.items())):
                if NOT_REUSABLE not in program.dependencies and all(
                    self.raw(*dependency) == previous.raw(*dependency) for dependency in program.dependencies
                ):
                    mine[name] = program
                if place % 50 == 49:
                    yield

    def with_context(self, shared_context: SharedContext) -> "Ruleset":
        """Give the same rules under other shared_context; nothing is parsed again until it is asked for."""
        return attrs.evolve(self, shared_context=shared_context)


def empty_ruleset(shared_context: SharedContext, source: str = "NoValues") -> Ruleset:
    """Give a ruleset that knows no name; `source` is the whole reason of its evaluations."""
    return Ruleset({}, {}, shared_context, source=source)
