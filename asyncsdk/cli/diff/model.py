"""What a diff of two rulesets has found."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import attrs

from asyncsdk.cli._decision import Side

Status = Literal["changed", "added", "removed"]


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
