"""Compare two rulesets for many users: who gets another value or group, and through which rules.

Each name is compiled in both rulesets. What a program depends on, as bytes, decides how it is compared:

1. The same bytes in both: equal for every user, never evaluated.
2. Only gates that it asks for were edited: evaluated for the users for whom one of these gates changes.
3. Otherwise: evaluated for every user.

That is the plan (`Plan`). Its tasks, a name each, are then done here, or shared with helper processes if they would
take long; the result is the same.
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import process_time

import attrs

from asyncsdk._rules.catalog import list_names
from asyncsdk._rules.compiler.evaluate import Evaluation, Program
from asyncsdk._rules.ruleset import Kind, Ruleset
from asyncsdk.cli._users import NamedUser
from asyncsdk.cli.diff.columns import column
from asyncsdk.cli.diff.dependencies import Named, edited_parts, is_edited, other_names
from asyncsdk.cli.diff.helpers import Answer, compare_in_helpers, cpus
from asyncsdk.cli.diff.model import Diff, NameDiff, Status
from asyncsdk.cli.diff.pairs import Rulesets, parameters
from asyncsdk.cli.diff.tasks import Circumstances, Comparer, Task

_TRIAL_SECONDS = 0.3
"""How long tasks are done here before the time for the others is estimated."""
_WORTH_SECONDS = 1.5
"""Time for the remaining tasks above which helpers are started, which takes about half a second."""


@attrs.define
class Plan:
    """What has to be compared.

    Attributes:
        comparer: Compares a name.
        tasks: The names that may change.
        unchanged: Names that cannot change for any user, and are reported if they are new or gone.
        compared: Number of names.
    """

    comparer: Comparer
    tasks: Sequence[Task]
    unchanged: Sequence[NameDiff]
    compared: int

    @property
    def steps(self) -> int:
        """Number of evaluations in each ruleset."""
        return sum(map(self.comparer.size, self.tasks))

    def run(self, circumstances: Circumstances, jobs: int | None, advance: Callable[[int], None]) -> Diff:
        """Compare all names.

        Args:
            circumstances: What is the same for both rulesets.
            jobs: Number of processes: 1 does all in this one, None decides by the work.
            advance: Called with the number of further steps that are done.
        """
        users = self.comparer.users
        is_changed = bytearray(len(users))
        names = list(self.unchanged)
        for task, diff, changed in self._answers(circumstances, jobs):
            names.append(diff)
            for position in changed:
                is_changed[position] = 1
            advance(self.comparer.size(task))
        shown = [one for one in names if one.users or one.status != "changed"]
        return Diff(sorted(shown, key=_place), self.compared, len(users), sum(is_changed))

    def _answers(self, circumstances: Circumstances, jobs: int | None) -> Iterator[Answer]:
        """Do all tasks: at first here, then in helpers if that is worth it, and at last what helpers failed to do."""
        waiting = dict(enumerate(self.tasks))
        if jobs is None:
            started, done = process_time(), 0
            while waiting and process_time() - started < _TRIAL_SECONDS:
                number = next(iter(waiting))
                task = waiting.pop(number)
                done += self.comparer.size(task)
                yield task, *self.comparer.compare(task)
            left = sum(map(self.comparer.size, waiting.values())) * (process_time() - started) / max(done, 1)
            jobs = cpus() if left > _WORTH_SECONDS else 1
        if jobs > 1 and waiting:
            for number, answer in compare_in_helpers(self.comparer, circumstances, dict(waiting), jobs):
                del waiting[number]
                yield answer
        for task in waiting.values():
            yield task, *self.comparer.compare(task)


def plan(rules: Rulesets, users: Sequence[NamedUser], wanted: Callable[[str], bool], max_examples: int) -> Plan:
    """Plan the comparison of two rulesets for users.

    Args:
        rules: The rules as they are, and as they will be, with equal shared contexts.
        users: The users.
        wanted: Returns whether to compare a name.
        max_examples: Number of users to explain for each name.
    """
    in_old, in_new = map(_lookups, rules)
    names = sorted(name for name in in_old | in_new if wanted(name[1]))
    _compile(rules, names)
    comparer = Comparer(rules, users, max_examples)
    gates = _ChangedGates(comparer)
    tasks: list[Task] = []
    unchanged: list[NameDiff] = []
    for named in names:
        programs = _programs(rules, named)
        edited = edited_parts(*rules, programs)
        diff = NameDiff(*named, _status(named in in_old, named in in_new), through=other_names(edited, named))
        if edited and is_edited(*rules, named, edited):
            tasks.append(Task(named, diff))
        elif edited and (group := gates.group_for(programs, named)) is not None:
            tasks.append(Task(named, diff, group))
        else:
            unchanged.append(diff)
    stores = {name for one in rules for name in one.names("param_stores") if wanted(name)}
    tasks += [Task(None, NameDiff("parameter_store", *store)) for store in _edited_stores(rules, sorted(stores))]
    return Plan(comparer, tasks, unchanged, len(names) + len(stores))


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


def _compile(rules: Rulesets, names: Sequence[Named]) -> None:
    """Compile names in both rulesets; those that depend on the same bytes once."""
    old, new = rules
    for named in names:
        old.find(*named)
    deque(new.adopt_programs(old), maxlen=0)


def _programs(rules: Rulesets, named: Named) -> tuple[Program, Program]:
    old, new = rules
    return old.find(*named), new.find(*named)


def _status(is_old: bool, is_new: bool) -> Status:  # noqa: FBT001 -- both at once
    if is_old and is_new:
        return "changed"
    return "added" if is_new else "removed"


def _edited_stores(rules: Rulesets, names: Sequence[str]) -> Iterator[tuple[str, Status]]:
    """Yield the parameter stores that were edited; a change of what their parameters refer to shows there."""
    old, new = rules
    for name in names:
        if old.raw("param_stores", name) != new.raw("param_stores", name):
            yield name, _status(bool(parameters(old, name)), bool(parameters(new, name)))


class _ChangedGates:
    """Finds the users for whom a name may change because a gate that it asks for does."""

    def __init__(self, comparer: Comparer) -> None:
        self._comparer = comparer
        self._plain = [one.user for one in comparer.users]
        self._users: dict[str, frozenset[int]] = {}
        self._groups: dict[frozenset[int], int] = {}

    def group_for(self, programs: tuple[Program, Program], named: Named) -> int | None:
        """Return the index of the group of those users; None if there are none."""
        parts = programs[0].dependencies | programs[1].dependencies
        gates = {name for section, name in parts if section == "feature_gates"} - {named[1]}
        users = frozenset().union(*map(self._users_of, gates))
        if not users:
            return None
        if users not in self._groups:
            self._groups[users] = len(self._groups)
            self._comparer.groups.append(array("I", sorted(users)))
        return self._groups[users]

    def _users_of(self, gate: str) -> frozenset[int]:
        """Return the positions of the users for whom a gate changes."""
        if gate not in self._users:
            rules = self._comparer.rules
            programs = _programs(rules, ("gate", gate))
            edited = edited_parts(*rules, programs)
            # A gate that itself only asks for an edited one is left out: whoever asks for it depends on that one, too.
            is_own = bool(edited) and is_edited(*rules, ("gate", gate), edited)
            self._users[gate] = frozenset(self._changed(programs)) if is_own else frozenset()
        return self._users[gate]

    def _changed(self, programs: tuple[Program, Program]) -> Iterator[int]:
        before, after = (column(program, self._plain) for program in programs)
        outcomes = list(zip(before, after, strict=True))
        differs = {both for both in set(outcomes) if _answer(both[0]) != _answer(both[1])}
        return (position for position, both in enumerate(outcomes) if both in differs)


def _answer(evaluation: Evaluation) -> tuple[object, str]:
    # `Unsupported` is false too, but not the same to a name that asks for the gate.
    return evaluation.value, evaluation.outcome


def _place(diff: NameDiff) -> tuple[bool, str, str]:
    """Return where a name comes in the report: by kind and name, parameter stores last."""
    return diff.kind == "parameter_store", diff.kind, diff.name
