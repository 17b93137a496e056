"""The verbs that override what the rules say, for tests and debugging."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import orjson

from asyncsdk._lookups.evaluator import RulesHolder
from asyncsdk._model.encoding import to_json
from asyncsdk._model.validation import describe_type
from asyncsdk._model.wire_values import text_id
from asyncsdk._rules.language.overrides import KINDS, GroupOverride, Kind, Overrides
from asyncsdk.errors import ConfigurationError, InvalidEventError

if TYPE_CHECKING:
    from asyncsdk._lookups.shared_overrides import OverrideSync


class OverrideVerbs:
    """The verbs for local overrides: for tests and debugging. They return the client, so calls can be chained.

    Every lookup and `bootstrap` follow an override from the next call on. Flags that `bind` returned earlier keep
    their rules. An override for an id takes precedence over one for every user; of the ids, the `user_id` comes first,
    then the custom ids.

    With `Rules(overrides=Redis(url))`, or `Postgres(dsn)`, the overrides are those of the fleet: they apply here at
    once, and within a second in the other processes.
    """

    _holder: RulesHolder
    _override_sync: "OverrideSync | None" = None

    def override_gate(self, name: str, value: bool, *, user_id: str | int | None = None) -> Self:  # noqa: FBT001 -- its value
        """Override a gate: it has this value regardless of the rules.

        Args:
            name: The gate, known to the rules or not.
            value: Whether it is open: True or False.
            user_id: The `user_id` or custom id to override it for. None overrides it for every user.

        Raises:
            ConfigurationError: `value` is not a bool, or `name` or `user_id` is not text.
        """
        if not isinstance(value, bool):
            msg = f"`value` of override_gate must be True or False, not {describe_type(value)}"
            raise ConfigurationError(msg)
        return self._override("gate", name, value, user_id)

    def override_config(self, name: str, value: Mapping[str, Any], *, user_id: str | int | None = None) -> Self:
        """Override a dynamic config: it has these parameters regardless of the rules.

        Args:
            name: The config, known to the rules or not.
            value: All its parameters; copied.
            user_id: The `user_id` or custom id to override it for. None overrides it for every user.

        Raises:
            ConfigurationError: `value` is not a mapping that JSON can represent, or `name` or `user_id` is not text.
        """
        return self._override("config", name, _copied(value), user_id)

    def override_experiment(
        self, name: str, value: Mapping[str, Any] | str, *, user_id: str | int | None = None
    ) -> Self:
        """Override an experiment with parameters, or with one of its groups, regardless of the rules.

        A group that the experiment does not have is logged as a warning, now or when the rules arrive, and the rules
        decide.

        Args:
            name: The experiment, known to the rules or not.
            value: All its parameters, copied; or the name of one of its groups.
            user_id: The `user_id` or custom id to override it for. None overrides it for every user.

        Raises:
            ConfigurationError: `value` is neither a string nor a mapping that JSON can represent, or `name` or
                `user_id` is not text.
        """
        given = GroupOverride(str.__str__(value)) if isinstance(value, str) else _copied(value)
        return self._override("experiment", name, given, user_id)

    def override_layer(self, name: str, value: Mapping[str, Any], *, user_id: str | int | None = None) -> Self:
        """Override a layer: it has these parameters regardless of the rules.

        Args:
            name: The layer, known to the rules or not.
            value: All its parameters; copied.
            user_id: The `user_id` or custom id to override it for. None overrides it for every user.

        Raises:
            ConfigurationError: `value` is not a mapping that JSON can represent, or `name` or `user_id` is not text.
        """
        return self._override("layer", name, _copied(value), user_id)

    def override_parameter_store(
        self, name: str, value: Mapping[str, Any], *, user_id: str | int | None = None
    ) -> Self:
        """Override a parameter store: it has these parameters and no others, and reading one reports no exposure.

        Args:
            name: The parameter store, known to the rules or not.
            value: All its parameters; copied.
            user_id: The `user_id` or custom id to override it for. None overrides it for every user.

        Raises:
            ConfigurationError: `value` is not a mapping that JSON can represent, or `name` or `user_id` is not text.
        """
        return self._override("parameter_store", name, _copied(value), user_id)

    def remove_override(self, name: str, *, user_id: str | int | None = None) -> Self:
        """Remove the overrides of a name, whether of a gate, config, experiment, layer or parameter store.

        Args:
            name: The name. Nothing happens if it has no override.
            user_id: Removes the override for this id only. None removes all of the name.

        Raises:
            ConfigurationError: `name` or `user_id` is not text.
        """
        name, unit = _checked(name, user_id)

        def removed(overrides: Overrides) -> Overrides:
            for kind in KINDS:
                overrides = overrides.remove(kind, name, unit)
            return overrides

        return self._change(removed)

    def remove_all_overrides(self) -> Self:
        """Remove all overrides."""
        return self._change(lambda _: Overrides())

    def _override(self, kind: Kind, name: str, value: Any, user_id: str | int | None) -> Self:
        name, unit = _checked(name, user_id)
        return self._change(lambda overrides: overrides.set(kind, name, value, unit))

    def _change(self, change: Callable[[Overrides], Overrides]) -> Self:
        if self._override_sync is not None:
            self._override_sync.change(change)
        else:
            self._holder.use_overrides(change(self._holder.rules.shared_context.overrides))
        return self


def _checked(name: str, user_id: str | int | None) -> tuple[str, str | None]:
    """Return the name, and the id as text.

    Raises:
        ConfigurationError: One of them is not text, or the id is blank: the override would never apply.
    """
    if not isinstance(name, str):
        msg = f"`name` of an override must be text, not {describe_type(name)}"
        raise ConfigurationError(msg)
    try:
        unit = text_id(user_id, "user_id")
    except InvalidEventError as error:
        raise ConfigurationError(str(error)) from None
    if unit is None and user_id is not None:
        msg = "`user_id` of an override is blank: pass None to override for every user"
        raise ConfigurationError(msg)
    return name, unit


def _copied(value: Mapping[str, Any]) -> dict[str, Any]:
    """Copy an override's value, so that later changes by the caller do not affect it.

    Raises:
        ConfigurationError: It is not a mapping that JSON can represent.
    """
    if not isinstance(value, Mapping):
        msg = f"an override takes a mapping that JSON can represent, not {describe_type(value)}"
        raise ConfigurationError(msg)
    try:
        copied: dict[str, Any] = orjson.loads(to_json(value, "value"))
    except InvalidEventError as error:
        msg = f"an override takes a mapping that JSON can represent: {error}"
        raise ConfigurationError(msg) from None
    return copied
