"""A ruleset body to a snapshot that answers: cut into raw slices at load, each compiled when it is first asked for."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any, Literal, TypeVar

import attrs
import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.evaluate import Evaluation, Program, evaluate
from asyncsdk._rules.linking import NEVER_KEPT, SECTIONS, Trail
from asyncsdk._rules.outcomes import empty
from asyncsdk._rules.program import compile_name
from asyncsdk._rules.slices import walk
from asyncsdk._rules.specs import MalformedError, parse
from asyncsdk._rules.surroundings import Surroundings

RAW_SECTIONS = (*dict.fromkeys(SECTIONS.values()), "condition_map", "param_stores", "cmab_configs")
_MAPPING_SECTIONS = ("override_rules", "overrides")
_SECTIONS = frozenset((*RAW_SECTIONS, *_MAPPING_SECTIONS))
_SLICE_BYTES = 48_000
_MEMBER_BYTES = 700
_CHUNK = 65_536

Result = TypeVar("Result")
Kind = Literal["gate", "config", "experiment", "layer"]
Sections = Mapping[str, Mapping[str, bytes]]


@attrs.define(eq=False)
class Ruleset:
    """One version of the rules. Replaced whole, never changed; its programs are compiled as they are asked for.

    Attributes:
        sections: Raw JSON of each spec, condition, parameter store and bandit, by section and name.
        facts: The small top-level fields, parsed, such as `sdk_configs`.
        surroundings: What evaluations know besides.
        is_inline: It is of the first form (v1): lists of specs with conditions inside.
        source: Where it came from, as evaluation reasons name it: `Network`, `Bootstrap`, `Adapter(DataStore)`.
        received_at_ms: When it arrived.
        fingerprint: Tells whether another body is the same.
        stamp: Marks what was derived from this ruleset and must not outlive it; holds nothing.
        views: The same rules under other surroundings, by whatever key their maker chooses.
    """

    sections: Sections = attrs.field(repr=False)
    facts: Mapping[str, Any] = attrs.field(repr=False)
    surroundings: Surroundings = attrs.field(repr=False)
    is_inline: bool = False
    source: str = "NoValues"
    received_at_ms: int = 0
    fingerprint: tuple[int, ...] = attrs.field(default=(), repr=False)
    gates: dict[str, Program] = attrs.field(init=False, factory=dict, repr=False)
    configs: dict[str, Program] = attrs.field(init=False, factory=dict, repr=False)
    experiments: dict[str, Program] = attrs.field(init=False, factory=dict, repr=False)
    layers: dict[str, Program] = attrs.field(init=False, factory=dict, repr=False)
    stamp: object = attrs.field(init=False, factory=object, repr=False)
    views: dict[Any, Any] = attrs.field(init=False, factory=dict, repr=False)

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

    @property
    def asks_for_countries(self) -> bool:
        """Whether a condition derives the country of an address, so that the table should be loaded in good time."""
        section = "feature_gates" if self.is_inline else "condition_map"
        return any(b'"ip_based"' in raw for raw in self.sections[section].values())

    def gate(self, user: User, name: str) -> Evaluation:
        """Evaluate a gate. Never raises."""
        program = self.gates.get(name)
        return evaluate(program, user) if program is not None else self._first("gate", user, name)

    def config(self, user: User, name: str) -> Evaluation:
        """Evaluate a dynamic config. Never raises."""
        program = self.configs.get(name)
        return evaluate(program, user) if program is not None else self._first("config", user, name)

    def experiment(self, user: User, name: str) -> Evaluation:
        """Evaluate an experiment. Never raises."""
        program = self.experiments.get(name)
        return evaluate(program, user) if program is not None else self._first("experiment", user, name)

    def layer(self, user: User, name: str) -> Evaluation:
        """Evaluate a layer. Never raises."""
        program = self.layers.get(name)
        return evaluate(program, user) if program is not None else self._first("layer", user, name)

    def _first(self, kind: Kind, user: User, name: str) -> Evaluation:
        program = self.program(kind, name)
        return empty(name, kind, "Unrecognized") if program is None else evaluate(program, user)

    def reason(self, evaluation: Evaluation) -> str:
        """Say why an evaluation came out as it did, such as `Network:Recognized`."""
        if not self.sections:
            return self.source
        outcome = evaluation.outcome
        return f"{self.source}:{outcome}" if outcome.isalpha() and outcome != "Persisted" else outcome

    def names(self, section: str) -> Iterator[str]:
        """Give the names in a section."""
        return iter(self.sections.get(section, ()))

    def raw(self, section: str, name: str) -> bytes | None:
        """Give the JSON of one member of a section."""
        found = self.sections.get(section)
        return None if found is None else found.get(name)

    def program(self, kind: str, name: str, trail: Trail = ()) -> Program | None:
        """Give the program of a name, compiled if need be; None when the ruleset has no such name."""
        table = self._tables()[kind]
        found = table.get(name)
        if found is None:
            found = compile_name(self, kind, name, trail)
            if found is not None:
                found = table.setdefault(name, found)
        return found

    def _tables(self) -> dict[str, dict[str, Program]]:
        return {
            "gate": self.gates,
            "config": self.configs,
            "experiment": self.experiments,
            "layer": self.layers,
        }

    def warm(self) -> Iterator[None]:
        """Compile every name, yielding after each, so that no lookup has to."""
        for kind, section in SECTIONS.items():
            for name in self.sections.get(section, ()):
                self.program(kind, name)
                yield

    def keep(self, previous: "Ruleset") -> Iterator[None]:
        """Take over what an earlier ruleset compiled from the same bytes; yields between slices."""
        if previous.surroundings != self.surroundings or previous.is_inline != self.is_inline:
            return
        for kind, table in previous._tables().items():
            mine = self._tables()[kind]
            for place, (name, program) in enumerate(list(table.items())):
                if NEVER_KEPT not in program.needs and all(
                    self.raw(*need) == previous.raw(*need) for need in program.needs
                ):
                    mine[name] = program
                if place % 50 == 49:
                    yield

    def under(self, surroundings: Surroundings) -> "Ruleset":
        """Give the same rules under other surroundings; nothing is parsed again until it is asked for."""
        return attrs.evolve(self, surroundings=surroundings)


def empty_ruleset(surroundings: Surroundings, source: str = "NoValues") -> Ruleset:
    """Give a ruleset that knows no name; `source` is the whole reason of its evaluations."""
    return Ruleset({}, {}, surroundings, source=source)


def load(
    body: bytes,
    surroundings: Surroundings,
    *,
    source: str = "Network",
    received_at_ms: int = 0,
    previous: Ruleset | None = None,
) -> Generator[None, None, Ruleset | None]:
    """Turn a body into a ruleset, yielding between slices of at most some 0.3 ms.

    Args:
        body: JSON as downloaded, of either form.
        surroundings: What evaluations know besides.
        source: Where the body came from.
        received_at_ms: When it arrived.
        previous: The ruleset in use: what did not change keeps its compiled form.

    Returns:
        The ruleset; `previous` when the body is the same; None when it says that there is nothing new.

    Raises:
        MalformedError: The body is no ruleset. One malformed spec in it is no reason.
    """
    fingerprint = yield from _fingerprint(body)
    if previous is not None and previous.fingerprint == fingerprint:
        return previous
    sections, facts = yield from _cut(body)
    if facts.get("has_updates") is not True:
        return None
    ruleset = Ruleset(
        sections,
        facts,
        _completed(surroundings, facts),
        is_inline="" in facts,
        source=source,
        received_at_ms=received_at_ms,
        fingerprint=fingerprint,
    )
    if previous is not None:
        yield from ruleset.keep(previous)
    return ruleset


def load_now(body: bytes, surroundings: Surroundings, **options: Any) -> Ruleset | None:
    """Do what `load` does in one go."""
    return finish(load(body, surroundings, **options))


def finish(steps: Generator[None, None, Result]) -> Result:
    """Run steps to their end."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def supersedes(new: Ruleset, current: Ruleset) -> bool:
    """Say whether a ruleset is to replace the one in use: not when it is older, or says that it is the same."""
    if not current.time_ms:
        return True
    if new.time_ms < current.time_ms:
        return False
    return not new.checksum or new.checksum != current.checksum


def release(*rulesets: Ruleset) -> Iterator[None]:
    """Let go of rulesets bit by bit: freeing a big one at once would hold the loop.

    Whoever still holds one of them keeps all of it.
    """
    held: list[Any] = [
        item
        for ruleset in rulesets
        for part in (*ruleset.sections.values(), *ruleset._tables().values())
        for item in part.values()
    ]
    del rulesets
    while held:
        del held[-300:]
        yield


def _completed(surroundings: Surroundings, facts: Mapping[str, Any]) -> Surroundings:
    """Fill in what the ruleset itself says: its default tier and its app."""
    tier = facts.get("default_environment")
    environment = surroundings.environment
    if environment is None and isinstance(tier, str):
        environment = {"tier": tier}
    return attrs.evolve(surroundings, environment=environment, app_id=facts.get("app_id"))


def _fingerprint(body: bytes) -> Generator[None, None, tuple[int, ...]]:
    view, hashes = memoryview(body), [len(body)]
    for start in range(0, len(body), _CHUNK):
        hashes.append(hash(view[start : start + _CHUNK]))
        yield
    return tuple(hashes)


def _cut(body: bytes) -> Generator[None, None, tuple[dict[str, dict[str, bytes]], dict[str, Any]]]:
    """Cut a body into its sections, and parse the rest. A fact named "" marks the first form."""
    sections: dict[str, dict[str, bytes]] = {section: {} for section in _SECTIONS}
    facts: dict[str, Any] = {}
    spent = 0
    for section, key, start, end in walk(body, _SECTIONS):
        piece = body[start:end]
        if not section:
            facts[_text(key)] = parse(piece, "a field")
        elif key or piece[:1] != b"{":
            sections[section][_text(key)] = piece
        else:
            facts[""] = True
            sections[section][_name_of(piece)] = piece
        spent += end - start + _MEMBER_BYTES
        if spent > _SLICE_BYTES:
            spent = 0
            yield
    return sections, facts


def _text(key: bytes) -> str:
    """Give a raw key as text."""
    return key.decode() if b"\\" not in key else str(parse(b'"' + key + b'"', "a name"))


def _name_of(piece: bytes) -> str:
    """Give the name inside a spec of the first form, "" when it has none or is not JSON."""
    try:
        fields = parse(piece, "a spec")
    except MalformedError:
        return ""
    name = fields.get("name")
    return name if isinstance(name, str) else ""
