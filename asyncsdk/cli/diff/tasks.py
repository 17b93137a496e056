"""The parts of a comparison, each of which can be done in any process: one name for some users."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk.cli._users import NamedUser
from asyncsdk.cli.diff.dependencies import Named
from asyncsdk.cli.diff.model import NameDiff
from asyncsdk.cli.diff.pairs import Rulesets, compare_name, compare_store

_PARTS = ("sections", "facts", "is_inline", "source", "received_at_ms", "needs_countries", "needs_patterns")


@attrs.frozen
class Task:
    """A name to compare.

    Attributes:
        named: The name; None for a parameter store.
        diff: What is known of it, without its users.
        group: Index of the group of users for whom it may change; None for all users.
    """

    named: Named | None
    diff: NameDiff
    group: int | None = None


@attrs.frozen
class Circumstances:
    """What is the same for both rulesets. A moving clock, or the dice of a bandit, would be a difference of neither.

    Attributes:
        now_ms: The time of day, in milliseconds since 1970.
        environment: The environment; None for the rules' own.
    """

    now_ms: int
    environment: Mapping[str, str] | None = None

    def shared_context(self) -> SharedContext:
        """Return the context of all evaluations."""
        return SharedContext(clock=lambda: self.now_ms, random=lambda: 0.5, environment=self.environment)


@attrs.define
class Comparer:
    """Compares names: both rulesets and the users.

    Attributes:
        rules: The rules as they are, and as they will be.
        users: The users.
        groups: Positions of those users for whom only some names may change.
        max_examples: Number of users to explain for each name.
    """

    rules: Rulesets
    users: Sequence[NamedUser]
    max_examples: int
    groups: list["array[int]"] = attrs.Factory(list)

    def size(self, task: Task) -> int:
        """Return the number of users of a task."""
        return len(self.users) if task.group is None else len(self.groups[task.group])

    def compare(self, task: Task) -> tuple[NameDiff, "array[int]"]:
        """Return what changes about a name, and the positions of the users for whom it does."""
        group = None if task.group is None else self.groups[task.group]
        users = self.users if group is None else [self.users[position] for position in group]
        diff = attrs.evolve(task.diff)
        if task.named is None:
            found = compare_store(self.rules, diff, users, self.max_examples)
        else:
            found = compare_name(self.rules, task.named, diff, users, self.max_examples)
        return diff, array("I", found if group is None else [group[position] for position in found])

    def pack(self) -> tuple[Any, ...]:
        """Return what `unpack` takes, as values that can be pickled."""
        return [_parts_of(one) for one in self.rules], self.users, self.max_examples, self.groups

    @classmethod
    def unpack(cls, packed: tuple[Any, ...], circumstances: Circumstances) -> "Comparer":
        """Return a comparer in another process."""
        parts, users, max_examples, groups = packed
        context = circumstances.shared_context()
        old, new = (Ruleset(**one, shared_context=context) for one in parts)
        return cls((old, new), users, max_examples, groups)


def _parts_of(rules: Ruleset) -> Mapping[str, Any]:
    return {name: getattr(rules, name) for name in _PARTS}
