"""What a ruleset says about names: which there are, and of which types their parameters can be."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from asyncsdk._rules.catalog import list_names
from asyncsdk._rules.language.specs import read_fields
from asyncsdk._rules.language.values import as_object
from asyncsdk._rules.ruleset import Ruleset

JsonType = str
"""`string`, `number`, `boolean`, `array`, `object`, or `null`; as Statsig calls the types of parameters."""

Shape = Mapping[str, frozenset[JsonType]]
"""Types by parameter, in the order of the names. A parameter that is only ever `null` may be of any type."""

_TYPES: dict[type, JsonType] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


@attrs.frozen
class Entry:
    """A config, experiment, layer or parameter store.

    Attributes:
        name: Its name.
        shape: Its parameters.
        groups: Names of its groups; empty if it has none.
    """

    name: str
    shape: Shape
    groups: tuple[str, ...] = ()


@attrs.frozen
class Project:
    """The names of a project, sorted.

    Attributes:
        gates: The gates.
        configs: Dynamic configs and autotunes.
        experiments: Experiments and contextual bandits.
        layers: Layers.
        stores: Parameter stores.
    """

    gates: tuple[str, ...] = ()
    configs: tuple[Entry, ...] = ()
    experiments: tuple[Entry, ...] = ()
    layers: tuple[Entry, ...] = ()
    stores: tuple[Entry, ...] = ()


def read_project(rules: Ruleset) -> Project:
    """Return the names of a ruleset, with the types of all values that its rules can return."""
    names = list_names(rules)
    bandits = sorted(rules.names("cmab_configs"))
    configs = sorted({*names.configs, *names.autotunes} - set(bandits))
    experiments = {name: _spec_entry(rules, name) for name in names.experiments}
    experiments |= {name: _bandit_entry(rules, name) for name in bandits}
    return Project(
        names.gates,
        tuple(_spec_entry(rules, name) for name in configs),
        tuple(experiments[name] for name in sorted(experiments)),
        tuple(_layer_entry(rules, name) for name in names.layers),
        tuple(_store_entry(rules, name) for name in names.parameter_stores),
    )


def _spec_entry(rules: Ruleset, name: str) -> Entry:
    spec = read_fields(rules.raw("dynamic_configs", name), name)
    groups = (rule.get("groupName") for rule in _objects(spec, "rules")) if spec.get("entity") == "experiment" else ()
    return Entry(name, _shape(_values(spec)), _texts(groups))


def _bandit_entry(rules: Ruleset, name: str) -> Entry:
    bandit = read_fields(rules.raw("cmab_configs", name), name)
    groups = list(_objects(bandit, "groups"))
    values = [bandit.get("defaultValue"), *(group.get("parameterValues") for group in groups)]
    return Entry(name, _shape(values), _texts(group.get("name") for group in groups))


def _layer_entry(rules: Ruleset, name: str) -> Entry:
    layer = read_fields(rules.raw("layer_configs", name), name)
    # An experiment that a rule delegates to decides with its own values.
    delegates = _texts(rule.get("configDelegate") for rule in _objects(layer, "rules"))
    experiments = [read_fields(rules.raw("dynamic_configs", delegate), delegate) for delegate in delegates]
    groups = (rule.get("groupName") for spec in (layer, *experiments) for rule in _objects(spec, "rules"))
    return Entry(name, _shape(value for spec in (layer, *experiments) for value in _values(spec)), _texts(groups))


def _store_entry(rules: Ruleset, name: str) -> Entry:
    parameters = as_object(read_fields(rules.raw("param_stores", name), name).get("parameters")) or {}
    kinds = {
        parameter: fields.get("param_type") if isinstance(fields, dict) else None
        for parameter, fields in parameters.items()
    }
    known = set(_TYPES.values())
    return Entry(
        name,
        {
            parameter: frozenset({kind} & known if isinstance(kind, str) else ())
            for parameter, kind in sorted(kinds.items())
        },
    )


def _values(spec: Mapping[str, Any]) -> Iterator[Any]:
    yield spec.get("defaultValue")
    for rule in _objects(spec, "rules"):
        yield rule.get("returnValue")


def _shape(values: Iterable[Any]) -> Shape:
    found: dict[str, set[JsonType]] = {}
    for value in values:
        for name, parameter in value.items() if isinstance(value, dict) else ():
            found.setdefault(name, set()).add(_TYPES[type(parameter)])
    return {name: frozenset(found[name]) for name in sorted(found)}


def _objects(spec: Mapping[str, Any], field: str) -> Iterator[Mapping[str, Any]]:
    members = spec.get(field)
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict):
            yield member


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if isinstance(value, str) and value}))
