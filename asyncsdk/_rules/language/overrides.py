"""Local overrides: answers that a developer or a test puts in the place of the rules'."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.language.values import as_object, as_text

Kind = Literal["gate", "config", "experiment", "layer", "parameter_store"]


@attrs.frozen
class GroupOverride:
    """Stands for the value that an experiment gives to one of its groups."""

    name: str


_Slots = Mapping[str | None, Any]


@attrs.frozen
class Overrides:
    """What overrides answer, by kind, name, and the id they hold for (None: everybody).

    A value: its methods give a new one.
    """

    _slots: Mapping[tuple[str, str], _Slots] = attrs.Factory(dict)

    def set(self, kind: Kind, name: str, value: Any, unit: str | None = None) -> Self:
        """Answer `value` (or a `GroupOverride`) for a name, for one user or custom id, or for everybody."""
        slots = {**self._slots.get((kind, name), {}), unit: value}
        return attrs.evolve(self, slots={**self._slots, (kind, name): slots})

    def remove(self, kind: Kind, name: str, unit: str | None = None) -> Self:
        """Take one override back; None takes back all of the name."""
        kept = {key: value for key, value in self._slots.get((kind, name), {}).items() if unit not in (None, key)}
        others = {key: slots for key, slots in self._slots.items() if key != (kind, name)}
        return attrs.evolve(self, slots={**others, (kind, name): kept} if kept else others)

    def of(self, kind: str, name: str) -> _Slots:
        """Give what holds for a name, by id; empty when nothing does."""
        return self._slots.get((kind, name), {})


def find_unit(slots: _Slots, user: User) -> str | None:
    """Say under which id an override holds for a user: the user id, a custom id, else None for everybody.

    Raises:
        KeyError: None holds.
    """
    for unit in _units(user):
        if unit in slots:
            return unit
    if None in slots:
        return None
    raise KeyError


def _units(user: User) -> list[str]:
    ids = as_object(user.custom_ids) or {}
    return [unit for unit in map(as_text, (user.user_id, *ids.values())) if unit is not None]
