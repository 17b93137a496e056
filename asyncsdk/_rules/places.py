"""Where a user's bucket lies among the borders of a percentage or of an experiment's groups, as data."""

from collections.abc import Sequence
from typing import Any

import attrs

from asyncsdk._model.users import User
from asyncsdk._model.values import Value
from asyncsdk._rules.compiler.linker import Linker
from asyncsdk._rules.language.conditions import user_bucketer
from asyncsdk._rules.language.specs import Condition, Rule, Spec

PERCENTAGE_BUCKETS, CONDITION_BUCKETS = 10_000, 1_000
_BUCKET = "user_bucket"


@attrs.frozen(eq=False, repr=False)
class Part(Value):
    """A range of buckets.

    Attributes:
        start: Where it starts, from 0 to 1.
        end: Where it ends, from 0 to 1.
        label: `pass` or `fail` of a percentage, else the name of the group.
        has_user: Whether the user is in it.
    """

    start: float
    end: float
    label: str
    has_user: bool


@attrs.frozen(eq=False, repr=False)
class Place(Value):
    """The place of a user's bucket.

    Attributes:
        bucket: The bucket, from 0.
        of: The number of buckets.
        parts: The ranges in order; they may leave gaps.
    """

    bucket: int
    of: int
    parts: tuple[Part, ...]

    @property
    def at(self) -> float:
        """The place, from 0 to 1."""
        return self.bucket / self.of


def percentage_place(bucket: int, percentage: float) -> Place:
    """Return the place of a bucket under a rule's percentage, which may have any value."""
    border = min(max(percentage, 0.0), 100.0) / 100
    passes = bucket < percentage * 100
    parts = (Part(0.0, border, "pass", passes), Part(border, 1.0, "fail", not passes))
    return Place(bucket, PERCENTAGE_BUCKETS, parts)


def group_place(linker: Linker, spec: Spec, user: User, decided: Rule | None) -> Place | None:
    """Return the place of a user among the groups of a spec; None if no group has a range of buckets.

    Args:
        linker: Finds the conditions.
        spec: The spec.
        user: The user.
        decided: The rule that decided; None if none did. Its salt is that of the groups.
    """
    candidates = [decided] if decided is not None else spec.rules
    first = next((condition for rule in candidates for condition in _bucket_conditions(linker, rule)), None)
    if first is None:
        return None
    bucket = user_bucketer(first.salt, first.id_type, CONDITION_BUCKETS)(user)
    ranges = [(rule, *_range(linker, rule, first)) for rule in spec.rules if rule.group_name is not None]
    parts = [
        Part(start / CONDITION_BUCKETS, end / CONDITION_BUCKETS, rule.group_name or "", start <= bucket < end)
        for rule, start, end in ranges
        if start < end
    ]
    return Place(bucket, CONDITION_BUCKETS, tuple(sorted(parts, key=lambda part: part.start))) if parts else None


def group_borders(linker: Linker, spec: Spec) -> Sequence[Part]:
    """Return the ranges of buckets of a spec's groups, without a user."""
    place = group_place(linker, spec, User("nobody"), None)
    return () if place is None else [attrs.evolve(part, has_user=False) for part in place.parts]


def _bucket_conditions(linker: Linker, rule: Rule) -> list[Condition]:
    found = map(linker.condition, rule.conditions)
    return [condition for condition in found if condition is not None and condition.type == _BUCKET]


def _range(linker: Linker, rule: Rule, like: Condition) -> tuple[float, float]:
    """Return the range of a rule's buckets under a salt; an empty one if it has none."""
    conditions = [c for c in _bucket_conditions(linker, rule) if (c.salt, c.id_type) == (like.salt, like.id_type)]
    if not conditions:
        return 0, 0
    start, end = 0.0, float(CONDITION_BUCKETS)
    for condition in conditions:
        target = _number(condition.target)
        match condition.operator:
            case "lt":
                end = min(end, target)
            case "lte":
                end = min(end, target + 1)
            case "gt":
                start = max(start, target + 1)
            case "gte":
                start = max(start, target)
    return start, end


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
