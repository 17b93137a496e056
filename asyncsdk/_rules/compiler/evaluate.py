"""Evaluate a program for a user: the one entry to compiled rules, on the path of every lookup.

An `Evaluation` is what a lookup found, with everything that its exposure will report. Evaluations are constants: a
rule's result is built once and returned for every user whom the rule picks. Two things follow:

* A lookup allocates almost nothing.
* Evaluations are compared, hashed and cached by identity, and what is derived from one (`derived`, `view`, `exposure`)
  is kept on it, computed once for all users.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import attrs

from asyncsdk._model.results import Cause
from asyncsdk._model.user_view import UNUSUAL, prepare
from asyncsdk._model.users import User
from asyncsdk._model.values import Shown
from asyncsdk._rules.patterns.errors import UnsupportedError
from asyncsdk.errors import InvalidEventError

MAX_LEVELS = 64
_MAX_REMEMBERED = 500

INVALID_USER = "InvalidUser"
"""Outcome of an evaluation of a user that has no form on the wire, so that rules cannot read it."""
PERSISTED = "Persisted"
"""Outcome of an evaluation that comes from a sticky assignment."""
LOCAL_OVERRIDE = "LocalOverride:Recognized"
"""Outcome of an evaluation that a local override decided, or a nested one."""
NEVER_EXPOSED: tuple[object, set[Hashable]] = (None, set())
"""`Evaluation.seen` before the first exposure: no window, no users."""
Exposed = tuple[str, str, str]
"""A secondary exposure: gate, `true` or `false`, rule id."""


class TooDeepError(Exception):
    """Raised inside an evaluation that is nested more than 64 levels deep, which every cycle is."""


@attrs.define(eq=False, repr=False)
class Evaluation(Shown):
    """What a ruleset answers about one name for some users. Shared between users: must not be changed.

    Attributes:
        name: The gate, config, experiment or layer that was asked for.
        value: True or False for a gate, else a JSON object.
        rule_id: The rule that decided; `default`, `disabled`, `override`, or "" when nothing could decide.
        passed: Whether a rule matched and the user passed; an exposure's `rulePassed`.
        group_name: The experiment group, None without one.
        id_type: The type of unit id that the spec is about.
        version: The spec's version, None without a spec.
        cause: What decided, as in the public `Details`.
        outcome: `Recognized`, `Unrecognized`, `Unsupported`, `InvalidUser`, or a whole reason such as
            `LocalOverride:Recognized`.
        secondary: Gates that were evaluated on the way, each once, in order.
        undelegated: Those of a layer's own rules, without its experiment's; None if they equal `secondary`.
        allocated_experiment: The experiment that a layer's user is in.
        explicit_parameters: Parameters that the experiment owns in its layer.
        is_experiment_group: Whether the rule is a group of an experiment.
        is_active: Whether the experiment is running; None if unknown.
        is_in_layer: Whether the experiment shares its parameters with a layer; None if unknown.
        is_bandit: Whether a bandit decided.
        parameter_rules: The rule that set each parameter, for layers that merge their rules.
        mapped_to: The spec that answered instead (config mapping).
        tried_mapping: A rule of config mapping was evaluated first; a layer then takes over what it otherwise keeps.
        sampling_rate: Keep one in this many exposures if sampling is on; None keeps all.
        forward_all: Exposures are never sampled.
        consulted: Experiments whose group decided a condition, and which are therefore exposed too.
        derived: Cache of values derived from this evaluation; each user of it chooses keys of its own.
        view: The public result, and the stamp of its ruleset; only `public_results` uses it.
        seen: The current window of exposures, and the users exposed in it; only `exposure_window` uses it.
        exposure: The exposure's encoded fields, and the stamp of their ruleset; only `exposures` uses it.
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
    is_in_layer: bool | None = None
    is_bandit: bool = False
    parameter_rules: Mapping[str, str] | None = None
    mapped_to: str | None = None
    tried_mapping: bool = False
    sampling_rate: int | None = None
    forward_all: bool = False
    consulted: tuple["Evaluation", ...] = ()
    derived: dict[Any, Any] = attrs.field(init=False, factory=dict)
    view: tuple[object, Any] | None = attrs.field(init=False, default=None)
    seen: tuple[object, set[Hashable]] = attrs.field(init=False, default=NEVER_EXPOSED)
    exposure: tuple[object, Any] | None = attrs.field(init=False, default=None)

    @property
    def is_gate(self) -> bool:
        """Whether the value is True or False."""
        return self.value.__class__ is bool

    def own_exposures(self) -> tuple[Exposed, ...]:
        """Return what a gate adds to the secondary exposures of an evaluation that uses it.

        Those are its own secondary exposures, then itself unless it is a segment or could not decide. Experiments add
        nothing: they are in `consulted`, with an exposure of their own.
        """
        found: tuple[Exposed, ...] | None = self.derived.get("own_exposures")
        if found is None:
            hidden = not self.rule_id or self.name.startswith("segment:")
            own = () if hidden else ((self.name, "true" if self.value else "false", self.rule_id),)
            found = self.derived["own_exposures"] = self.secondary + own if self.is_gate else ()
        return found


def merge_exposures(exposures: Iterable[tuple[Exposed, ...]]) -> tuple[Exposed, ...]:
    """Concatenate secondary exposures, keeping the first of equal ones."""
    return tuple({exposed: None for part in exposures for exposed in part})


Run = Callable[[User, int, dict[Any, Evaluation] | None], Evaluation]
"""(user, level, memory of this evaluation or None) to an evaluation; raises `UnsupportedError` and `TooDeepError`."""


@attrs.define(eq=False, repr=False)
class Program(Shown):
    """A name of a ruleset, compiled.

    Attributes:
        name: The name.
        run: Evaluates it.
        is_steady: The same user always gets the same evaluation, so that it may be remembered.
        weight: Upper bound for the evaluations in one run; heavy runs remember each nested one.
        dependencies: What it was compiled from, as (section, name) of the ruleset; absent members included.
        unsupported: The answer where a condition is unknown.
        too_deep: The answer where gates are nested too deep.
    """

    name: str
    run: Run
    is_steady: bool
    weight: int
    dependencies: frozenset[tuple[str, str]]
    unsupported: Evaluation
    too_deep: Evaluation
    _invalid_user: Evaluation | None = attrs.field(init=False, default=None)

    @property
    def invalid_user(self) -> Evaluation:
        """The answer for a user that cannot be used."""
        if self._invalid_user is None:
            self._invalid_user = attrs.evolve(self.unsupported, outcome=INVALID_USER)
        return self._invalid_user


def evaluate(program: Program, user: User) -> Evaluation:
    """Evaluate a program for a user. Never raises, no matter what the user's fields contain.

    A user whose fields have no form on the wire gets `invalid_user`; `fault_of` says why.

    The user's memo goes through three states: None (never evaluated), False (once), and a dict of evaluations by
    program from the second evaluation on. A user who is evaluated once needs no dict; for the others, a repeated
    lookup of a steady program costs one dict lookup. Callers make it, which saves them this call:

        ((memo := user._memo) and memo.get(program)) or evaluate(program, user)
    """
    if not user._view.is_ready and not prepare(user):
        return program.invalid_user
    try:
        found = program.run(user, 0, None)
    except UnsupportedError:
        found = program.unsupported
    except (TooDeepError, RecursionError):  # a caller deep in its own stack may not get as far as level 64
        found = program.too_deep
    except InvalidEventError:  # a value of `custom` that a condition needs
        return program.invalid_user
    except Exception:
        # A subclass of str may raise anything, wherever it is used: convert it to text.
        if not user._view.is_as_given:
            raise
        user._view = UNUSUAL
        return evaluate(program, user)
    memo = user._memo
    if memo is None:
        user._memo = False
    elif program.is_steady:
        # The memo keeps old programs alive after a refresh, until it is full.
        if not memo or len(memo) >= _MAX_REMEMBERED:
            memo = user._memo = {}
        memo[program] = found
    return found
