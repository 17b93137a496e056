"""Exposures: which variant of a gate, config or experiment a user was shown."""

from functools import lru_cache
from typing import NamedTuple

import attrs

from asyncsdk._model.values import Shown, Value


@attrs.frozen(eq=False, repr=False)
class ExposedVariant(Value):
    """A variant that a user was shown, independent of any vendor.

    Attributes:
        name: Name of the experiment, gate or config; for a layer's parameter, the experiment that owns it, otherwise
            the layer.
        variant: Name of the group; `on` or `off` for a gate; the rule's id if there is no group.
        variant_id: Id of the rule that decided, which is also that of the group; `on` or `off` for a gate.
        in_experiment: Whether the user is in a group of an active experiment.
    """

    name: str
    variant: str
    variant_id: str
    in_experiment: bool = False


class SharedUserFields(NamedTuple):
    """Fields that Statsig's events have for every user of a client.

    Attributes:
        tier: Environment of users without one of their own, or None.
        custom: Custom fields as a JSON object, which the user's own override; empty for none.
    """

    tier: str | None = None
    custom: bytes = b""


@lru_cache
def shared_user_fields(tier: str | None, custom: bytes) -> SharedUserFields:
    """Return one object for equal arguments.

    `User._encoded` is valid for one of these objects, compared by identity, which is faster than by value.
    """
    return SharedUserFields(tier, custom)


@attrs.define(eq=False, repr=False)
class Exposure(Shown):
    """The part of an exposure event that is the same for all users with the same evaluation.

    Attributes:
        event_name: Name of the event, such as `statsig::gate_exposure`.
        metadata: A JSON object of strings.
        secondary: A JSON list of the gates evaluated on the way.
        shared_user_fields: Fields of every user.
        start: The encoded start of the event, cached by Statsig's codec; empty until it is first encoded.
    """

    event_name: str
    metadata: bytes
    secondary: bytes
    shared_user_fields: SharedUserFields = shared_user_fields(None, b"")
    start: bytes = b""
