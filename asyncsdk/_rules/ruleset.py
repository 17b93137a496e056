"""One version of the rules: raw slices of JSON, each compiled on first use.

A service uses a part of a project's names only, so loading cuts the JSON into slices without parsing them
(`loading.py`). A name goes through these states, and only forward:

1. *raw*: `sections` has its bytes, nothing is parsed;
2. *compiled*: its table (`gates`, `configs`, `experiments`, `layers`) has its program. The first lookup does this, or a
   refresh, before the ruleset is used: `adopt_programs` takes programs over whose bytes did not change, `precompile`
   compiles the remaining names that were in use.

Invariants:

1. `sections`, `facts` and `shared_context` never change. A new version of the rules, or another context, is a new
   `Ruleset`; a lookup reads the attribute that holds the current one once, and sees one version throughout.
2. The tables only grow, by `setdefault`: two threads that compile a name at once end up with one program. No lock.
3. A program depends on its `dependencies`, as bytes, and on the shared context, on nothing else. That is what makes
   adopting it safe.

Example: with `{"feature_gates": {"new_page": b'{...}'}}` in `sections`, the first `rules.gate(user, "new_page")`
compiles the gate; each later call is a dict lookup and a run of the program.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import PERSISTED, Evaluation, Program, evaluate
from asyncsdk._rules.compiler.linker import LONG, NOT_REUSABLE, SECTIONS, Linker, Trail
from asyncsdk._rules.compiler.program import compile_program, unknown_program
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.language.specs import Condition, read_fields
from asyncsdk._rules.sliced import Steps, run_to_end

Kind = Literal["gate", "config", "experiment", "layer"]
KINDS: tuple[Kind, ...] = ("config", "experiment", "layer", "gate")
Sections = Mapping[str, Mapping[str, bytes]]
"""Raw JSON by section and name."""
_ADOPTED_PER_STEP = 50
"""Programs compared in one step of `adopt_programs`."""
_MAX_SHORT, _MIN_LONG = 2_000, 65_536
_MAX_RULES = 100
_CONDITION_KEYS = re.compile(rb'"conditions"\s*:\s*\[([^\]]*)')


@attrs.define(eq=False, repr=False)
class Ruleset:
    """One version of the rules. Its content never changes; programs are added as they are compiled.

    Attributes:
        sections: Raw JSON of each spec, condition, parameter store and bandit, by section and name.
        facts: The small top-level fields, parsed, such as `sdk_configs`.
        shared_context: Context of all evaluations: environment, ID lists, overrides, clock.
        is_inline: Whether it has the older format (v1): lists of specs with their conditions inside.
        source: Origin, as in evaluation reasons: `Network`, `Bootstrap` or `Adapter(DataStore)` (the cache).
        received_at_ms: When it was received, in milliseconds since 1970.
        needs_countries: Whether a condition derives the country from the IP address, which needs a large table.
        needs_patterns: Whether a condition matches a pattern, which needs modules that are not imported otherwise.
        fingerprint: Compares equal for the same body.
        gates: Compiled gates by name; `configs`, `experiments` and `layers` likewise.
        stamp: Identity of this ruleset. A cache holds it in place of the ruleset, which could not be freed otherwise.
        views: The same rules in other contexts, by keys of the owner (`bootstrap.py`).
        derived: Results that other modules derived from these rules, by keys of their own.
        long_conditions: Conditions that take long to prepare, by key; see `Linker.condition_in_steps`.
        samples_exposures: Whether the project asks for sampling of exposures.
    """

    sections: Sections
    facts: Mapping[str, Any]
    shared_context: SharedContext
    is_inline: bool = False
    source: str = "NoValues"
    received_at_ms: int = 0
    needs_countries: bool = False
    needs_patterns: bool = False
    fingerprint: tuple[int, ...] = ()
    gates: dict[str, Program] = attrs.field(init=False, factory=dict)
    configs: dict[str, Program] = attrs.field(init=False, factory=dict)
    experiments: dict[str, Program] = attrs.field(init=False, factory=dict)
    layers: dict[str, Program] = attrs.field(init=False, factory=dict)
    stamp: object = attrs.field(init=False, factory=object)
    views: dict[Any, Any] = attrs.field(init=False, factory=dict)
    long_conditions: dict[str, Condition | None] = attrs.field(init=False, factory=dict)
    _kinds: dict[str, tuple[Kind, ...]] = attrs.field(init=False, factory=dict)
    derived: dict[Any, Any] = attrs.field(init=False, factory=dict)
    samples_exposures: bool = attrs.field(init=False)

    @samples_exposures.default
    def _find_sampling(self) -> bool:
        settings = self.facts.get("sdk_configs")
        return isinstance(settings, dict) and settings.get("sampling_mode") in ("on", "shadow")

    def __repr__(self) -> str:
        names = sum(len(self.sections.get(section, ())) for section in {*SECTIONS.values()})
        compiled = sum(len(table) for table in self.tables().values())
        return f"<Ruleset {self.source}, {names} names, {compiled} compiled, time_ms={self.time_ms}>"

    @property
    def time_ms(self) -> int:
        """When the project was last changed (`lcut`), in milliseconds since 1970; 0 if unknown."""
        time = self.facts.get("time")
        return time if isinstance(time, int) else 0

    @property
    def checksum(self) -> str:
        """The vendor's identifier of this version; "" if unknown."""
        checksum = self.facts.get("checksum")
        return checksum if isinstance(checksum, str) else ""

    # In these four, the table lookup of `find` is inlined: a compiled name costs one call less.

    def gate(self, user: User, name: str) -> Evaluation:
        """Evaluate a gate. Never raises."""
        try:
            program = self.gates.get(name) or self.find("gate", name)
        except Exception:  # noqa: BLE001 -- a name that cannot be hashed
            program = self.find("gate", name)
        return ((memo := user._memo) and memo.get(program)) or evaluate(program, user)

    def config(self, user: User, name: str) -> Evaluation:
        """Evaluate a dynamic config. Never raises."""
        try:
            program = self.configs.get(name) or self.find("config", name)
        except Exception:  # noqa: BLE001 -- a name that cannot be hashed
            program = self.find("config", name)
        return ((memo := user._memo) and memo.get(program)) or evaluate(program, user)

    def experiment(self, user: User, name: str) -> Evaluation:
        """Evaluate an experiment. Never raises."""
        try:
            program = self.experiments.get(name) or self.find("experiment", name)
        except Exception:  # noqa: BLE001 -- a name that cannot be hashed
            program = self.find("experiment", name)
        return ((memo := user._memo) and memo.get(program)) or evaluate(program, user)

    def layer(self, user: User, name: str) -> Evaluation:
        """Evaluate a layer. Never raises."""
        try:
            program = self.layers.get(name) or self.find("layer", name)
        except Exception:  # noqa: BLE001 -- a name that cannot be hashed
            program = self.find("layer", name)
        return ((memo := user._memo) and memo.get(program)) or evaluate(program, user)

    def lookup(self, kind: Kind, user: User, name: str) -> Evaluation:
        """Evaluate a name whose kind is a variable. Never raises."""
        program = self.find(kind, name)
        return ((memo := user._memo) and memo.get(program)) or evaluate(program, user)

    def find(self, kind: Kind, name: Any) -> Program:
        """Return the program of a name, compiling it on first use; for an unknown name, a program that says so."""
        if not issubclass(type(name), str):  # a caller may pass anything, even what `isinstance` raises for
            return unknown_program(kind, f"({type(name).__name__})")
        program = self.program(kind, name)
        if program is None:
            if self.sections:  # without rules, every name is unknown
                self.shared_context.on_unknown(kind, name)
            program = unknown_program(kind, name)
        return program

    def reason(self, evaluation: Evaluation) -> str:
        """Return the reason of an evaluation, such as `Network:Recognized`."""
        if not self.sections:
            return self.source
        # An outcome that is not a single word is a whole reason already, such as `LocalOverride:Recognized`.
        outcome = evaluation.outcome
        return f"{self.source}:{outcome}" if outcome.isalpha() and outcome != PERSISTED else outcome

    def names(self, section: str) -> Iterator[str]:
        """Return the names in a section."""
        return iter(self.sections.get(section, ()))

    def kinds_of(self, name: str) -> tuple[Kind, ...]:
        """Return the kinds that have this name, local overrides included, in the order of `KINDS`."""
        if not issubclass(type(name), str):
            return ()
        kinds = self._kinds.get(name)
        if kinds is None:
            kinds = tuple(kind for kind in KINDS if self._has(kind, name))
            if kinds:  # not cached for unknown names: their number is unbounded
                self._kinds[name] = kinds
        return kinds

    def _has(self, kind: Kind, name: str) -> bool:
        raw = self.raw(SECTIONS[kind], name)
        # Configs and experiments share a section; the entity tells them apart.
        if kind in ("config", "experiment") and raw is not None:
            entity = read_fields(raw, name).get("entity")
            raw = raw if (entity == "experiment") is (kind == "experiment") else None
        # A bandit is looked up as an experiment, but has a section of its own.
        if kind == "experiment" and raw is None:
            raw = self.raw("cmab_configs", name)
        return raw is not None or bool(self.shared_context.overrides.of(kind, name))

    def has_store(self, name: str) -> bool:
        """Return whether there is a parameter store of this name, or a local override of one."""
        return self.raw("param_stores", name) is not None or bool(
            self.shared_context.overrides.of("parameter_store", name)
        )

    def raw(self, section: str, name: str) -> bytes | None:
        """Return the JSON of one member of a section; None if there is none."""
        members = self.sections.get(section)
        return None if members is None or not issubclass(type(name), str) else members.get(name)

    def program(self, kind: str, name: str, trail: Trail = ()) -> Program | None:
        """Return the program of a name, compiling it on first use; None if the ruleset has no such name.

        Args:
            kind: `gate`, `config`, `experiment` or `layer`.
            name: The name.
            trail: The names being compiled that led to this one; its length bounds the recursion.
        """
        table = self.tables()[kind]
        program = table.get(name)
        return run_to_end(self.program_in_steps(kind, name, trail)) if program is None else program

    def program_in_steps(self, kind: str, name: str, trail: Trail = ()) -> Steps[Program | None]:
        """Return what `program` does, yielding between steps."""
        table = self.tables()[kind]
        if name not in table:
            program = yield from compile_program(self, kind, name, trail)
            if program is not None:
                table.setdefault(name, program)
        return table.get(name)

    def tables(self) -> dict[str, dict[str, Program]]:
        """Return the compiled programs, by kind and name."""
        return {
            "gate": self.gates,
            "config": self.configs,
            "experiment": self.experiments,
            "layer": self.layers,
        }

    def precompile(self, previous: "Ruleset") -> Iterator[None]:
        """Compile the names that an earlier ruleset has compiled, so that no lookup has to. Yields after each name."""
        for kind, table in previous.tables().items():
            for name in list(table):
                yield from self.program_in_steps(kind, name)
                yield

    def prepare_large(self) -> Iterator[None]:
        """Compile what would take long in a lookup: long conditions and specs with many rules. Yields in between."""
        linker = Linker(self, ())
        for key, raw in self.sections.get("condition_map", {}).items():
            if len(raw) > LONG:
                yield from linker.condition_in_steps(key)
        for kind, section in SECTIONS.items():
            for name, raw in self.sections.get(section, {}).items():
                if is_large(raw) or is_large(self.raw("overrides", name) or b""):
                    yield from self.program_in_steps(kind, name)
        for name, raw in self.sections.get("cmab_configs", {}).items():
            if is_large(raw):
                yield from self.program_in_steps("experiment", name)

    def adopt_programs(self, previous: "Ruleset") -> Iterator[None]:
        """Take over the programs that an earlier ruleset compiled from the same bytes. Yields between slices."""
        # Invariant 3: with another context or format, equal bytes may compile to another program.
        if previous.shared_context != self.shared_context or previous.is_inline != self.is_inline:
            return
        for kind, table in previous.tables().items():
            own_table = self.tables()[kind]
            for position, (name, program) in enumerate(list(table.items()), 1):
                if NOT_REUSABLE not in program.dependencies and all(
                    self.raw(*dependency) == previous.raw(*dependency) for dependency in program.dependencies
                ):
                    own_table[name] = program
                if position % _ADOPTED_PER_STEP == 0:
                    yield

    def with_context(self, shared_context: SharedContext) -> "Ruleset":
        """Return the same rules with another context. Nothing is compiled in it yet."""
        rules = attrs.evolve(self, shared_context=shared_context)
        rules.long_conditions = self.long_conditions
        return rules


def is_large(raw: bytes) -> bool:
    """Return whether a spec may have so many rules or conditions that compiling it at once takes long.

    A rule is an object, and a rule's conditions are texts in a list. Most specs are short, and decided by their length.
    """
    if len(raw) <= _MAX_SHORT:
        return False
    if len(raw) > _MIN_LONG or raw.count(b"{") > _MAX_RULES or b"\\u" in raw:
        return True
    count: int = sum(keys.count(b",") for keys in _CONDITION_KEYS.findall(raw))
    return count > _MAX_RULES


def empty_ruleset(shared_context: SharedContext, source: str = "NoValues") -> Ruleset:
    """Return a ruleset without names; `source` is the whole reason of its evaluations."""
    return Ruleset({}, {}, shared_context, source=source)
