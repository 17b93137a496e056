"""(program, user) to an evaluation: what a lookup found, and everything that its exposure will say.

Evaluations are constants: a rule's outcome is built once and given to everybody whom the rule picks. That is why a
lookup allocates next to nothing, and why evaluations may be compared, cached and counted by identity.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import attrs

from asyncsdk._model.results import Cause
from asyncsdk._model.users import User

MAX_LEVELS = 64
_MAX_REMEMBERED = 500

PERSISTED = "Persisted"
"""Outcome of an evaluation that a sticky assignment answers."""
NEVER_EXPOSED: tuple[object, set[Hashable]] = (None, set())
"""Who was exposed to an evaluation, and in which window, when nobody ever was."""
Exposed = tuple[str, str, str]
"""A secondary exposure: gate, `true` or `false`, rule id."""


class UnsupportedError(Exception):
    """Raised inside an evaluation that meets a condition it does not know."""


class TooDeepError(Exception):
    """Raised inside an evaluation that is nested more than 64 levels deep, or in itself."""


@attrs.define(eq=False)
class Evaluation:
    """What a ruleset says about one name for some users. Never change one: everybody shares it.

    Attributes:
        name: The gate, config, experiment or layer that was asked for.
        value: True or False for a gate, else a JSON object.
        rule_id: The rule that decided; `default`, `disabled`, `override`, or "" when nothing could decide.
        passed: Whether a rule matched and let the user pass; what `rulePassed` of an exposure says.
        cause: What decided, as `Details` says it.
        outcome: `Recognized`, `Unrecognized`, `Unsupported`, or a whole reason such as `LocalOverride:Recognized`.
        secondary: Gates that were looked at on the way, each once, in order.
        undelegated: Those of a layer's own rules, without its experiment's; None when they are `secondary`.
        allocated_experiment: The experiment that a layer's user is in.
        explicit_parameters: Parameters that the experiment owns in its layer.
        parameter_rules: Which rule set each parameter, for layers that merge their rules.
        mapped_to: The spec that answered instead (config mapping).
        sampling_rate: One in how many exposures is kept where sampling is on; None keeps all.
        forward_all: Exposures are never sampled.
        consulted: Experiments whose group decided a condition, and which are exposed too.
        derived: What later steps have worked out about this evaluation, by whatever key they choose.
        view: The form a caller gets, and the stamp of the ruleset it was made for; belongs to `views`.
        seen: Who was exposed to it of late, and in which window; belongs to `exposures.Recent`.
        exposure: What an event says of it, and the stamp of the ruleset it was made for; belongs to `exposures`.
    """

    name: str
    value: Any
    rule_id: str = ""
    passed: bool = False
    group_name: str | None = None
    id_type: str = ""
    version: int | None = None
    cause: Cause = ""
    outcome: str = "Recognized"
    secondary: tuple[Exposed, ...] = ()
    undelegated: tuple[Exposed, ...] | None = None
    allocated_experiment: str | None = None
    explicit_parameters: tuple[str, ...] | None = None
    is_experiment_group: bool = False
    is_active: bool | None = None
    parameter_rules: Mapping[str, str] | None = None
    mapped_to: str | None = None
    sampling_rate: int | None = None
    forward_all: bool = False
    consulted: tuple["Evaluation", ...] = ()
    derived: dict[Any, Any] = attrs.field(init=False, factory=dict)
    view: tuple[object, Any] | None = attrs.field(init=False, default=None)
    seen: tuple[object, set[Hashable]] = attrs.field(init=False, default=NEVER_EXPOSED)
    exposure: tuple[object, Any] | None = attrs.field(init=False, default=None)

    @property
    def is_gate(self) -> bool:
        """Whether it answers with true or false."""
        return self.value.__class__ is bool

    def own_exposures(self) -> tuple[Exposed, ...]:
        """Give what a gate adds to the evaluation that looks at it: its own exposures, then itself."""
        found: tuple[Exposed, ...] | None = self.derived.get("own_exposures")
        if found is None:
            hidden = not self.rule_id or self.name.startswith("segment:")
            own = () if hidden else ((self.name, "true" if self.value else "false", self.rule_id),)
            found = self.derived["own_exposures"] = self.secondary + own if self.is_gate else ()
        return found


def merge_exposures(exposures: Iterable[tuple[Exposed, ...]]) -> tuple[Exposed, ...]:
    """Join exposures, keeping the first of equal ones."""
    return tuple({exposed: None for part in exposures for exposed in part})


Run = Callable[[User, int, dict[Any, Evaluation] | None], Evaluation]
"""(user, level, memory of this evaluation or None) to an evaluation; raises `UnsupportedError` and `TooDeepError`."""


@attrs.define(eq=False)
class Program:
    """A name of a ruleset, compiled.

    Attributes:
        name: The name.
        run: Evaluates it.
        is_steady: The same user always gets the same answer, so that it may be remembered.
        weight: How many gates and experiments one run may look at; heavy runs remember each of them.
        dependencies: What it was compiled from, as (section, name) of the ruleset; names that were absent included.
        unsupported: The answer where a condition is not known.
        too_deep: The answer where gates are nested too deep.
    """

    name: str
    run: Run
    is_steady: bool
    weight: int
    dependencies: frozenset[tuple[str, str]]
    unsupported: Evaluation
    too_deep: Evaluation


def evaluate(program: Program, user: User) -> Evaluation:
    """Evaluate a program for a user. Never raises, whatever the user holds.

    A user's second evaluation of anything starts a memory on the user, so that a repeated lookup is a dict lookup.
    """
    memory = user._memo  # noqa: SLF001 -- the slot is there for this
    if memory:
        found: Evaluation | None = memory.get(program)
        if found is not None:
            return found
    try:
        found = program.run(user, 0, None)
    except UnsupportedError:
        found = program.unsupported
    except (TooDeepError, RecursionError):
        found = program.too_deep
    if memory is None:
        user._memo = False  # noqa: SLF001 -- see above
    elif program.is_steady:
        if not memory or len(memory) >= _MAX_REMEMBERED:
            memory = user._memo = {}  # noqa: SLF001 -- see above
        memory[program] = found
    return found
