"""The classes of configs, experiments, layers and parameter stores: getters that know the names of parameters."""

from collections.abc import Mapping, Sequence

import attrs

from asyncsdk.cli.codegen.identifiers import Identifiers
from asyncsdk.cli.codegen.module import function, implementation, literal_of, statement, typed_keys
from asyncsdk.cli.codegen.project import Entry, JsonType, Shape

_GETTERS: dict[JsonType, tuple[str, str]] = {
    "string": ("get_string", "str"),
    "number": ("get_number", "float"),
    "boolean": ("get_bool", "bool"),
    "array": ("get_array", "list[Any]"),
    "object": ("get_object", "dict[str, Any]"),
}


@attrs.frozen
class ResultClass:
    """The class of the results of one name, or of several that have the same parameters.

    Attributes:
        name: Name of the class.
        value: Name of the `TypedDict` of its `value`; "" if there is none.
        blocks: The blocks of code that define it.
    """

    name: str
    value: str
    blocks: Sequence[str]


def result_class(entry: Entry, base: str, identifiers: Identifiers) -> ResultClass:
    """Return the class of the results of a config, experiment, layer or store.

    Args:
        entry: The config, experiment, layer or store.
        base: The class of its results without types, such as `DynamicConfig`.
        identifiers: The source of names.
    """
    name = identifiers.create(entry.name, base.removeprefix("Dynamic").removeprefix("Parameter"))
    keys = [(key, _value_type(kinds)) for key, kinds in entry.shape.items() if key]  # a TypedDict has no key ""
    value = identifiers.create(name, "Value") if keys and base != "ParameterStore" else ""
    by_kind = {kind: _names_of(entry.shape, kind) for kind in _GETTERS}
    aliases = {kind: identifiers.create_private(name, kind) for kind, names in by_kind.items() if names}
    blocks = [statement(literal_of(by_kind[kind], f"{alias} = ")) for kind, alias in aliases.items()]
    body = [statement([f"class {name}({base}):"])]
    if entry.groups:
        *lines, last = literal_of(entry.groups, "group: ")
        body.append(statement([*lines, f"{last} | None", ""], 2))
    if value:
        blocks.append(typed_keys(value, keys, total=False))
        body.append(statement(["@property", f"def value(self) -> {value}: ..."], 2))
    for kind, (getter, result) in _GETTERS.items():
        body += _overloads(getter, [(aliases[kind], result)]) if kind in aliases else _without_names(getter)
    return ResultClass(name, value, [*blocks, "\n".join([*body, *_get(entry.shape, aliases)])])


def _names_of(shape: Shape, kind: JsonType) -> list[str]:
    """Return the parameters that can have a type: those of an unknown type can have any."""
    return [name for name, kinds in shape.items() if kind in kinds or not kinds - {"null"}]


def _value_type(kinds: frozenset[JsonType]) -> str:
    known = [result for kind, (_, result) in _GETTERS.items() if kind in kinds]
    return " | ".join([*known, *(["None"] if "null" in kinds else [])]) if known else "Any"


def _get(shape: Shape, aliases: Mapping[JsonType, str]) -> list[str]:
    """Return the method `get`, which takes parameters of any type."""
    if not aliases:
        return _without_names("get")
    if all(len(kinds - {"null"}) == 1 for kinds in shape.values()):
        return _overloads("get", [(names, _GETTERS[kind][1]) for kind, names in aliases.items()])
    # A parameter of several types would be in several overloads, of which the first would decide.
    return [function("get", [f"name: {' | '.join(aliases.values())}", "fallback: object = ..."], "Any")]


def _overloads(getter: str, types: list[tuple[str, str]]) -> list[str]:
    """Return the overloads of a getter: for each group of names with its type, one without and one with a fallback."""
    found: list[str] = []
    for names, result in types:
        found.append(function(getter, [f"name: {names}"], f"{result} | None", overload=True))
        found.append(function(getter, [f"name: {names}", "fallback: _T"], f"{result} | _T", overload=True))
    return [*found, implementation(getter)]


def _without_names(getter: str) -> list[str]:
    return [function(getter, ["name: Never", "fallback: object = ..."], "Any")]
