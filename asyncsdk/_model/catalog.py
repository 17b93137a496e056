"""What `get_names`, `get_experiment_groups` and `get_all` return."""

from collections.abc import Container, Mapping
from typing import Any

import attrs

from asyncsdk._model.results import (
    DynamicConfig,
    Experiment,
    FeatureGate,
    Layer,
    Parameters,
    ParameterStore,
    copy_value,
)
from asyncsdk._model.values import Value


@attrs.frozen(eq=False, repr=False)
class Names(Value):
    """The names of a project, local overrides included, each sorted. Segments and holdouts are not listed.

    Attributes:
        gates: Feature gates.
        configs: Dynamic configs.
        experiments: Experiments, running or not.
        autotunes: Autotunes and contextual bandits.
        layers: Layers.
        parameter_stores: Parameter stores.
    """

    gates: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    autotunes: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    parameter_stores: tuple[str, ...] = ()


@attrs.frozen(eq=False, repr=False)
class ExperimentGroup(Parameters, Value):
    """A group of an experiment, and the parameters that its users get.

    Attributes:
        name: Name of the group; "" if it has none.
        rule_id: Id of the group's rule.
        id_type: Type of the id by which users are assigned, such as `userID`.
    """

    name: str
    _value: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    rule_id: str = ""
    id_type: str = ""

    @property
    def value(self) -> dict[str, Any]:
        """A copy of all parameters."""
        copied: dict[str, Any] = copy_value(self._value)
        return copied

    def _read(self, name: str, kinds: Container[type], fallback: Any) -> Any:
        value = self._value.get(name)
        return value if value.__class__ in kinds else fallback


@attrs.frozen(eq=False, repr=False)
class ExperimentGroups(Value):
    """The groups of an experiment.

    Attributes:
        name: Name of the experiment.
        is_active: Whether it is running; None for an unknown experiment.
        groups: Its groups, in the order of its rules; empty for an unknown experiment.
    """

    name: str
    is_active: bool | None = None
    groups: tuple[ExperimentGroup, ...] = ()


@attrs.frozen(eq=False, repr=False)
class AllResults(Value):
    """All results of a user, by name. Reading them reports no exposures.

    Attributes:
        gates: Feature gates.
        configs: Dynamic configs and autotunes.
        experiments: Experiments and contextual bandits.
        layers: Layers.
        parameter_stores: Parameter stores.
    """

    gates: Mapping[str, FeatureGate]
    configs: Mapping[str, DynamicConfig]
    experiments: Mapping[str, Experiment]
    layers: Mapping[str, Layer]
    parameter_stores: Mapping[str, ParameterStore]
