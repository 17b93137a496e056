"""Compare two rulesets for many users: who gets another value or group, and through which rules.

Each name is compiled in both rulesets. What a program depends on, as bytes, decides how it is compared:

1. The same bytes in both: equal for every user, never evaluated.
2. Only gates that it asks for were edited: evaluated for the users for whom one of these gates changes.
3. Otherwise: evaluated for every user.

Evaluations are constants of the rules, so a pair of them is compared once, no matter how many users get it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.catalog import list_names
from asyncsdk._rules.compiler.evaluate import Evaluation, Program, evaluate
from asyncsdk._rules.compiler.linker import NOT_REUSABLE, SECTIONS
from asyncsdk._rules.parameters import evaluate_parameter
from asyncsdk._rules.ruleset import Kind, Ruleset
from asyncsdk.cli._decision import Side, rules_of, side_of
from asyncsdk.cli._users import NamedUser

Named = tuple[Kind, str]
Status = Literal["changed", "added", "removed"]
_MAX_JSON = 60
_USERS_PER_STEP = 200
_KINDS = {"feature_gates": "gate", "dynamic_configs": "config", "layer_configs": "layer"}


@attrs.frozen
class Example:
    """A user who gets something else.

    Attributes:
        user: How the file calls the user.
        old: Under the old rules.
        new: Under the new rules.
    """

    user: str
    old: Side
    new: Side


@attrs.define
class NameDiff:
    """What changes about one name.

    Attributes:
        kind: `gate`, `config`, `experiment`, `layer` or `parameter_store`.
        name: The name.
        status: Whether both rulesets have it.
        users: Number of users who get another value or group.
        through: Other names whose change it depends on, such as `gate staff`.
        transitions: Number of users by what they got and what they get.
        examples: The first of those users.
    """

    kind: str
    name: str
    status: Status
    users: int = 0
    through: Sequence[str] = ()
    transitions: Counter[tuple[str, str]] = attrs.Factory(Counter)
    examples: list[Example] = attrs.Factory(list)


@attrs.frozen
class Diff:
    """What changes for a number of users.

    Attributes:
        names: What changes about each name; names for which nothing changes are left out, unless they are new or gone.
        compared: Number of names that were compared.
        users: Number of users.
        changed_users: Number of users who get another value or group of at least one name.
    """

    names: Sequence[NameDiff]
    compared: int
    users: int
    changed_users: int


def compare(
    old: Ruleset,
    new: Ruleset,
    users: Sequence[NamedUser],
    wanted: Callable[[str], bool],
    *,
    max_examples: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Diff:
    """Compare two rulesets for users.

    Args:
        old: The rules as they are.
        new: The rules as they will be, with the same shared context.
        users: The users.
        wanted: Returns whether to compare a name.
        max_examples: Number of users to explain for each name.
        advance: Called with the number of users that are done.
    """
    in_old, in_new = _lookups(old), _lookups(new)
    names = sorted(name for name in in_old | in_new if wanted(name[1]))
    pairs = [_Pair(old, new, kind, name) for kind, name in names]
    for pair in pairs:
        is_in = pair.named in in_old, pair.named in in_new
        pair.diff.status = "changed" if all(is_in) else "added" if is_in[1] else "removed"
    stores = [store for store in _stores(old, new) if wanted(store.diff.name)]
    everyone: list[_Pair | _StorePair] = [*(pair for pair in pairs if pair.is_edited), *stores]
    gates = _GateChanges(old, new, [pair for pair in pairs if pair.edited and not pair.is_edited])
    changed = 0
    for number, one in enumerate(users, 1):
        counts = [pair.compare(one, max_examples) for pair in (*everyone, *gates.affected(one.user))]
        changed += any(counts)
        one.user._memo = None  # noqa: SLF001 -- evaluations of this user are needed no more
        if number % _USERS_PER_STEP == 0:
            advance(_USERS_PER_STEP)
    diffs = [pair.diff for pair in pairs] + [store.diff for store in stores]
    count = len(pairs) + len({name for rules in (old, new) for name in rules.names("param_stores") if wanted(name)})
    return Diff([one for one in diffs if one.users or one.status != "changed"], count, len(users), changed)


def _lookups(rules: Ruleset) -> set[Named]:
    """Return what can be looked up; segments and holdouts only show in the gates that ask for them."""
    names, bandits = list_names(rules), set(rules.names("cmab_configs"))
    experiments = {*names.experiments, *bandits}
    configs = {*names.configs, *(name for name in names.autotunes if name not in bandits)}
    by_kind: Mapping[Kind, Sequence[str] | set[str]] = {
        "gate": names.gates,
        "config": configs,
        "experiment": experiments,
        "layer": names.layers,
    }
    return {(kind, name) for kind, listed in by_kind.items() for name in listed}


class _Pair:
    """One name in both rulesets.

    Attributes:
        named: Its kind and name.
        diff: What changes.
        edited: The parts of the rulesets that it depends on and that differ, by section and name.
        is_edited: Whether they are its own, not only those of gates that it asks for.
    """

    def __init__(self, old: Ruleset, new: Ruleset, kind: Kind, name: str) -> None:
        self.named: Named = (kind, name)
        self.diff = NameDiff(kind, name, "changed")
        self._rules = old, new
        self._programs = old.find(kind, name), new.find(kind, name)
        self.edited = _edited(old, new, self._programs)
        self.is_edited = bool(self.edited) and _is_edited(old, new, self.named, self.edited)
        self.diff.through = _others(self.edited, self.named)
        # What two evaluations come to: None if they are equal.
        self._known: dict[tuple[Evaluation, Evaluation], tuple[str, str] | None] = {}

    @property
    def gates(self) -> set[str]:
        """The other gates that it depends on."""
        parts = self._programs[0].dependencies | self._programs[1].dependencies
        return {name for section, name in parts if section == "feature_gates"} - {self.named[1]}

    def compare(self, one: NamedUser, max_examples: int) -> bool:
        """Count a user if something changes; return whether it does."""
        before, after = self._programs
        both = evaluate(before, one.user), evaluate(after, one.user)
        try:
            transition = self._known[both]
        except KeyError:
            transition = self._known[both] = _transition(*both)
        if transition is None:
            return False
        diff = self.diff
        diff.users += 1
        diff.transitions[transition] += 1
        if len(diff.examples) < max_examples:
            sides = [
                side_of(rules, *self.named, one.user, found) for rules, found in zip(self._rules, both, strict=True)
            ]
            diff.examples.append(Example(one.label, *sides))
        return True


class _StorePair:
    """A parameter store whose parameters were changed; a change of what they refer to shows there."""

    def __init__(self, old: Ruleset, new: Ruleset, name: str) -> None:
        before, after = (_parameters(rules, name) for rules in (old, new))
        status: Status = "changed" if before and after else "added" if after else "removed"
        self.diff = NameDiff("parameter_store", name, status)
        self._rules = old, new
        self._parameters = sorted({*before, *after})

    def compare(self, one: NamedUser, max_examples: int) -> bool:
        """Count a user if something changes; return whether it does."""
        before, after = (self._values(rules, one.user) for rules in self._rules)
        if _dump(before) == _dump(after):
            return False
        keys = [key for key in self._parameters if _dump(before.get(key)) != _dump(after.get(key))]
        shown = [{key: values.get(key) for key in keys} for values in (before, after)]
        self.diff.users += 1
        self.diff.transitions[_short(shown[0]), _short(shown[1])] += 1
        if len(self.diff.examples) < max_examples:
            sides = [Side(values, None, "", "", "", "its parameters") for values in shown]
            self.diff.examples.append(Example(one.label, *sides))
        return True

    def _values(self, rules: Ruleset, user: User) -> dict[str, Any]:
        store = self.diff.name
        return {name: evaluate_parameter(rules, user, store, name).value for name in self._parameters}


class _GateChanges:
    """Finds, for a user, the names that may change because a gate that they ask for does.

    Args:
        old: The rules as they are.
        new: The rules as they will be.
        pairs: The names of which only other gates were edited.
    """

    def __init__(self, old: Ruleset, new: Ruleset, pairs: Sequence["_Pair"]) -> None:
        self._dependents: dict[str, list[_Pair]] = {}
        for pair in pairs:
            for gate in pair.gates:
                self._dependents.setdefault(gate, []).append(pair)
        gates = {gate: (old.find("gate", gate), new.find("gate", gate)) for gate in self._dependents}
        # A gate that itself only asks for an edited one is left out: that one is in the list, too.
        self._gates = [
            (gate, *programs)
            for gate, programs in gates.items()
            for edited in [_edited(old, new, programs)]
            if edited and _is_edited(old, new, ("gate", gate), edited)
        ]
        self._known: dict[tuple[Evaluation, Evaluation], bool] = {}

    def affected(self, user: User) -> Sequence["_Pair"]:
        """Return the names that may change for a user, each once."""
        found: dict[_Pair, None] = {}
        for gate, before, after in self._gates:
            both = evaluate(before, user), evaluate(after, user)
            try:
                is_same = self._known[both]
            except KeyError:
                # `Unsupported` is false too, but not the same to a name that asks for the gate.
                is_same = self._known[both] = (both[0].value, both[0].outcome) == (both[1].value, both[1].outcome)
            if not is_same:
                found |= dict.fromkeys(self._dependents[gate])
        return list(found)


def _stores(old: Ruleset, new: Ruleset) -> Iterator[_StorePair]:
    for name in sorted({*old.names("param_stores"), *new.names("param_stores")}):
        if old.raw("param_stores", name) != new.raw("param_stores", name):
            yield _StorePair(old, new, name)


def _parameters(rules: Ruleset, store: str) -> Sequence[str]:
    raw = rules.raw("param_stores", store)
    value = None if raw is None else orjson.loads(raw)
    parameters = value.get("parameters") if isinstance(value, dict) else None
    return list(parameters) if isinstance(parameters, dict) else []


def _edited(old: Ruleset, new: Ruleset, programs: tuple[Program, Program]) -> Sequence[tuple[str, str]]:
    """Return the parts of the rulesets, by section and name, that a name depends on and that differ.

    Under another context or format, everything may differ; so it may in a cycle.
    """
    parts = programs[0].dependencies | programs[1].dependencies
    if old.shared_context != new.shared_context or old.is_inline != new.is_inline:
        return sorted(parts)
    return sorted(part for part in parts if part == NOT_REUSABLE or old.raw(*part) != new.raw(*part))


def _is_edited(old: Ruleset, new: Ruleset, named: Named, edited: Sequence[tuple[str, str]]) -> bool:
    """Return whether more than other gates was edited of what a name depends on."""
    own = (SECTIONS[named[0]], named[1])
    for part in edited:
        if part[0] not in ("feature_gates", "condition_map") or part == own:
            return True
    # A condition of a gate is that gate's, if no spec of another kind has it.
    conditions = {name for section, name in edited if section == "condition_map"}
    return bool(conditions) and not conditions.isdisjoint(_own_conditions(old, new, named))


def _own_conditions(old: Ruleset, new: Ruleset, named: Named) -> set[str]:
    """Return the keys of the conditions of a name's own rules, and of those of the configs that it depends on."""
    parts = [(SECTIONS[named[0]], named[1])]
    for rules in (old, new):
        parts += [part for part in rules.find(*named).dependencies if part[0] not in ("feature_gates", "condition_map")]
    found: set[str] = set()
    for rules in (old, new):
        for part in parts:
            for rule in rules_of(rules.raw(*part)):
                keys = rule.get("conditions")
                found |= {key for key in keys if isinstance(key, str)} if isinstance(keys, list) else set()
    return found


def _others(parts: Sequence[tuple[str, str]], named: Named) -> Sequence[str]:
    """Return the other names among the edited parts, if the name's own rules are not: they are the cause."""
    own = (SECTIONS[named[0]], named[1])
    if own in parts:
        return ()
    return [f"{_KINDS[section]} {name}" for section, name in parts if section in _KINDS]


def _transition(before: Evaluation, after: Evaluation) -> tuple[str, str] | None:
    """Return what a user got and gets, in a few words; None if both are equal."""
    has_value = _dump(before.value) == _dump(after.value)
    if has_value and _group(before) == _group(after):
        return None
    words = _words(before), _words(after)
    # The same group with another value.
    return words if words[0] != words[1] else (_short(before.value), _short(after.value))


def _group(evaluation: Evaluation) -> tuple[object, ...]:
    return evaluation.group_name, evaluation.allocated_experiment


def _words(evaluation: Evaluation) -> str:
    if evaluation.is_gate:
        return "open" if evaluation.value else "closed"
    if evaluation.group_name is None:
        return _short(evaluation.value)
    experiment = evaluation.allocated_experiment
    return evaluation.group_name if experiment is None else f"{evaluation.group_name} of {experiment}"


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _short(value: Any) -> str:
    text = _dump(value).decode()
    return text if len(text) <= _MAX_JSON else f"{text[: _MAX_JSON - 1]}…"
