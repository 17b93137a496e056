"""Builds rulesets in Statsig's format (v2) from a few lines of Python, for tests.

    rules = (
        RulesBuilder()
        .segment("staff", email="*@shop.example")
        .gate("new_checkout", segment="staff")
        .gate("new_checkout", country=["NL", "BE"], percentage=50)
        .config("prices", {"lamp": 39.0})
        .experiment("button", {"Control": {"label": "Buy"}, "Test": {"label": "Get it"}})
    )
    DevServer(ruleset=rules.build())

Rules of a name are tried in the order of the calls; the first whose conditions all hold decides. As in Statsig, a user
whom its percentage leaves out gets the default (a closed gate, no parameters), not a later rule. Percentages are hashed
with the names as salts, so a user is in the same part in every run.
"""

from collections.abc import Mapping
from typing import Any, Self, Unpack

import attrs
import orjson

from asyncsdk.errors import ConfigurationError
from asyncsdk.testing.rule_conditions import SEGMENT, Conditions, conditions_of

# Number of buckets that Statsig hashes units into, of which each group has a part.
_BUCKETS = 1000


@attrs.define(eq=False)
class _Spec:
    entity: str
    default: Any
    unit: str
    rules: list[dict[str, Any]] = attrs.Factory(list)
    more: dict[str, Any] = attrs.Factory(dict)


class RulesBuilder:
    """Builds a ruleset for `DevServer(ruleset=...)`, `Rules(bootstrap=...)`, and `FakeClient(rules=...)`.

    Each method returns the builder, so calls can be chained. All of them raise `ConfigurationError` for a value that
    cannot be what is documented.
    """

    def __init__(self) -> None:
        """Begin without names."""
        self._specs: dict[str, dict[str, _Spec]] = {"feature_gates": {}, "dynamic_configs": {}, "layer_configs": {}}
        self._conditions: dict[str, dict[str, Any]] = {}
        self._layers: dict[str, str] = {}

    def __repr__(self) -> str:
        names = ", ".join(name for specs in self._specs.values() for name in specs)
        return f"<RulesBuilder: {names or 'no names'}>"

    def gate(
        self,
        name: str,
        value: bool = True,  # noqa: FBT001, FBT002 -- as in `override_gate`
        *,
        percentage: float = 100,
        unit: str = "userID",
        **conditions: Unpack[Conditions],
    ) -> Self:
        """Add a rule to a gate, which is closed for all whom no rule opens it for.

        Args:
            name: The gate.
            value: Whether the rule opens the gate or closes it.
            percentage: Percentage of the users for whom the conditions hold, 0 to 100.
            unit: Id that the percentage hashes: `userID`, `stableID`, or a custom id.
            **conditions: Whom the rule is for; none is everyone.
        """
        if not isinstance(value, bool):
            msg = f"the value of a gate is True or False, not {value!r}"
            raise ConfigurationError(msg)
        spec = self._spec("feature_gates", name, "feature_gate", default=False, unit=unit)
        return self._add(spec, name, value=value, percentage=percentage, conditions=conditions)

    def segment(self, name: str, **conditions: Unpack[Conditions]) -> Self:
        """Add a rule to a segment, which `segment=` of other rules refers to.

        Args:
            name: The segment.
            **conditions: Who is in it; a user of any of its rules is.
        """
        name = f"{SEGMENT}{name}"
        spec = self._spec("feature_gates", name, "segment", default=False, unit="userID")
        return self._add(spec, name, value=True, percentage=100, conditions=conditions)

    def config(
        self,
        name: str,
        value: Mapping[str, Any],
        *,
        percentage: float = 100,
        unit: str = "userID",
        **conditions: Unpack[Conditions],
    ) -> Self:
        """Add a rule to a dynamic config, which has no parameters for users whom no rule applies to.

        Args:
            name: The config.
            value: All its parameters.
            percentage: Percentage of the users for whom the conditions hold, 0 to 100.
            unit: Id that the percentage hashes: `userID`, `stableID`, or a custom id.
            **conditions: Whom the rule is for; none is everyone.
        """
        spec = self._spec("dynamic_configs", name, "dynamic_config", default={}, unit=unit)
        return self._add(spec, name, value=_parameters(value, name), percentage=percentage, conditions=conditions)

    def experiment(
        self,
        name: str,
        groups: Mapping[str, Mapping[str, Any]],
        *,
        percentage: float = 100,
        unit: str = "userID",
        layer: str | None = None,
        **conditions: Unpack[Conditions],
    ) -> Self:
        """Add a running experiment, whose groups are of equal size.

        Args:
            name: The experiment.
            groups: The parameters of each group, by its name.
            percentage: Percentage of the users who take part, 0 to 100.
            unit: Id that decides the group: `userID`, `stableID`, or a custom id.
            layer: Layer of the experiment, added by `layer`; None for an experiment of its own. In the layer, the
                experiment decides its own parameters.
            **conditions: Who may take part; none is everyone.
        """
        if not isinstance(groups, Mapping) or not groups:
            msg = f"the experiment {name!r} needs groups: a mapping of their names to their parameters"
            raise ConfigurationError(msg)
        spec = self._spec("dynamic_configs", name, "experiment", default={}, unit=unit)
        values = {str(group): _parameters(value, f"{name}: {group}") for group, value in groups.items()}
        own = list(dict.fromkeys(parameter for value in values.values() for parameter in value))
        spec.more |= {"isActive": True, "hasSharedParams": layer is not None, "explicitParameters": own}
        part = _BUCKETS * _percentage(percentage) / 100
        for number, (group, value) in enumerate(values.items(), 1):
            bucket = {"type": "user_bucket", "operator": "lt", "targetValue": round(part * number / len(values))}
            bucket |= {"additionalValues": {"salt": name}, "idType": unit}
            keys = [*self._keys(conditions), self._key(bucket)]
            spec.rules.append(_rule(f"{name}:{group}", value, keys, 100, unit, groupName=group, isExperimentGroup=True))
        if layer is not None:
            self._layers[name] = layer
        return self

    def layer(self, name: str, value: Mapping[str, Any], *, unit: str = "userID") -> Self:
        """Add a layer.

        Args:
            name: The layer.
            value: All its parameters, as they are for users in no experiment.
            unit: Id of its experiments: `userID`, `stableID`, or a custom id.
        """
        self._spec("layer_configs", name, "layer", default={}, unit=unit).default = _parameters(value, name)
        return self

    def build(self) -> dict[str, Any]:
        """Return the ruleset, as decoded JSON.

        Raises:
            ConfigurationError: A rule refers to a segment, or an experiment to a layer, that was not added.
        """
        self._check_references()
        specs = {
            section: {name: _spec(name, spec) for name, spec in named.items()} for section, named in self._specs.items()
        }
        for experiment, layer in self._layers.items():
            shared, mine = specs["layer_configs"][layer], specs["dynamic_configs"][experiment]
            mine["defaultValue"] = shared["defaultValue"]
            for rule in mine["rules"]:
                rule["returnValue"] = {**shared["defaultValue"], **rule["returnValue"]}
            # In the layer, an experiment decides for the users of its groups, and leaves the others to the next one.
            for rule in mine["rules"]:
                more = {"configDelegate": experiment}
                keys, unit = rule["conditions"], rule["idType"]
                shared["rules"].append(_rule(rule["id"], shared["defaultValue"], keys, 100, unit, **more))
        tables = {"condition_map": self._conditions, "experiment_to_layer": self._layers}
        # Through JSON: a copy, which the caller may change.
        built = {"has_updates": True, "time": 1, "response_format": "dcs-v2", **specs, **tables}
        ruleset: dict[str, Any] = orjson.loads(orjson.dumps(built))
        return ruleset

    # --- rules and conditions ---------------------------------------------------------------------------------

    def _spec(self, section: str, name: str, entity: str, *, default: Any, unit: str) -> _Spec:
        if not isinstance(name, str) or not name:
            msg = f"a name is text that is not empty, not {name!r}"
            raise ConfigurationError(msg)
        spec = self._specs[section].setdefault(name, _Spec(entity, default, unit))
        if spec.entity != entity or (entity == "experiment" and spec.rules):
            article = "an" if spec.entity == "experiment" else "a"
            msg = f"{name!r} is there already: {article} {spec.entity.replace('_', ' ')}"
            raise ConfigurationError(msg)
        return spec

    def _add(self, spec: _Spec, name: str, *, value: Any, percentage: float, conditions: Conditions) -> Self:
        keys = self._keys(conditions) or [self._key({"type": "public"})]
        rule = _rule(f"{name}:{len(spec.rules) + 1}", value, keys, _percentage(percentage), spec.unit)
        spec.rules.append(rule)
        return self

    def _keys(self, conditions: Conditions) -> list[str]:
        """Return the keys of conditions in the table, where they are added."""
        return [self._key(found) for found in conditions_of(conditions)]

    def _key(self, condition: dict[str, Any]) -> str:
        key = orjson.dumps(condition, option=orjson.OPT_SORT_KEYS).decode()
        self._conditions[key] = {"idType": "userID", **condition}
        return key

    def _check_references(self) -> None:
        gates = self._specs["feature_gates"]
        for condition in self._conditions.values():
            name = condition.get("targetValue")
            if condition["type"] == "pass_gate" and name not in gates:
                kind = "segment" if str(name).startswith(SEGMENT) else "gate"
                msg = f"a rule refers to the {kind} {str(name).removeprefix(SEGMENT)!r}, which was not added"
                raise ConfigurationError(msg)
        for experiment, layer in self._layers.items():
            if layer not in self._specs["layer_configs"]:
                msg = f"the experiment {experiment!r} is in the layer {layer!r}, which was not added"
                raise ConfigurationError(msg)


def _percentage(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        msg = f"a percentage is a number from 0 to 100, not {value!r}"
        raise ConfigurationError(msg)
    return value


def _parameters(value: object, name: str) -> dict[str, Any]:
    """Return a copy of parameters as JSON has them."""
    if isinstance(value, Mapping):
        try:
            copied: dict[str, Any] = orjson.loads(orjson.dumps(dict(value)))
        except (TypeError, ValueError) as error:
            msg = f"the parameters of {name!r} have no form in JSON: {error}"
            raise ConfigurationError(msg) from error
        return copied
    msg = f"the parameters of {name!r} are a mapping, not {value!r}"
    raise ConfigurationError(msg)


def _rule(rule_id: str, value: Any, keys: list[str], percentage: float, unit: str, **more: Any) -> dict[str, Any]:
    fields = {"id": rule_id, "name": rule_id, "salt": rule_id, "idType": unit, "conditions": keys}
    return {**fields, "passPercentage": percentage, "returnValue": value, **more}


def _spec(name: str, spec: _Spec) -> dict[str, Any]:
    kind = "feature_gate" if spec.entity in ("feature_gate", "segment") else "dynamic_config"
    fields = {"type": kind, "entity": spec.entity, "idType": spec.unit, "salt": name, "enabled": True, "version": 1}
    # Copies of the rules, which `build` changes for experiments in a layer.
    return {**fields, "defaultValue": spec.default, "rules": [dict(rule) for rule in spec.rules], **spec.more}
