"""What a user saw of the rules, in words that any vendor understands."""

import attrs


@attrs.frozen
class Seen:
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
