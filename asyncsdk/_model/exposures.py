"""What a user saw of the rules, in words that any vendor understands."""

from functools import lru_cache
from typing import NamedTuple

import attrs


@attrs.frozen
class ExposedVariant:
    """A variant of something that a user saw.

    Attributes:
        name: The experiment, gate or config; of a layer's parameter the experiment that owns it, else the layer.
        variant: The group's name; `on` or `off` of a gate; without a group, the rule's id.
        variant_id: The id of the rule that decided, which is that of the group; `on` or `off` of a gate.
        in_experiment: The user is in a group of an experiment that runs.
    """

    name: str
    variant: str
    variant_id: str
    in_experiment: bool = False


class SharedUserFields(NamedTuple):
    """What events say of every user.

    Attributes:
        tier: The environment of users that name none; None for none.
        custom: Custom fields as a JSON object, over which the user's own win; empty for none.
    """

    tier: str | None = None
    custom: bytes = b""


@lru_cache
def shared_user_fields(tier: str | None, custom: bytes) -> SharedUserFields:
    """Give the same object for the same words: a user remembers by it what was written of them."""
    return SharedUserFields(tier, custom)


@attrs.define(eq=False)
class Exposure:
    """What Statsig is told of an outcome, whoever sees it.

    Attributes:
        event_name: Such as `statsig::gate_exposure`.
        metadata: A JSON object of texts.
        secondary: A JSON list: the gates that were looked at on the way.
        everyone: What is said of every user.
        start: How the event begins, once it was written; belongs to the vendor's codec.
    """

    event_name: str
    metadata: bytes
    secondary: bytes
    shared_user_fields: SharedUserFields = shared_user_fields(None, b"")
    start: bytes = b""
