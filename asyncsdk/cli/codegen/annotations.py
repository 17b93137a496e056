"""A JSON Schema as a type annotation, and as `TypedDict` classes for the objects in it.

Types are those that a client encodes: a `date-time` is text or a `datetime`. What an annotation cannot express is left
out (patterns, ranges, `not`), and what is not understood is `Any`: a checker then accepts too much, never too little.
The exception are keys that a schema does not name: a `TypedDict` refuses them even where the schema does not, since a
misspelt name would be one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import attrs

from asyncsdk.cli.codegen.identifiers import Identifiers, literal

_MAX_LEVELS = 20
_PLAIN = {"integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_FORMATS = {"date-time": ("datetime",), "date": ("date",), "uuid": ("UUID",)}
_Types = tuple[str, ...]
"""Alternatives, joined to one annotation at the end."""
_ANY: _Types = ("Any",)


@attrs.frozen
class Key:
    """A key of a `TypedDict`.

    Attributes:
        name: The key.
        annotation: Its type.
        is_required: Whether it must be there.
    """

    name: str
    annotation: str
    is_required: bool


@attrs.frozen
class TypedKeys:
    """A `TypedDict` class.

    Attributes:
        name: Name of the class.
        keys: Its keys, sorted by name.
    """

    name: str
    keys: tuple[Key, ...]

    @property
    def is_optional(self) -> bool:
        """Whether an empty mapping is valid."""
        return not any(key.is_required for key in self.keys)


@attrs.define
class SchemaReader:
    """Turns the schemas of one document into annotations.

    Attributes:
        identifiers: The source of class names.
        root: The document, in which references are looked up.
        classes: The classes so far, each after those that it refers to.
    """

    identifiers: Identifiers
    root: Any
    classes: list[TypedKeys] = attrs.Factory(list)
    # Types by reference; that of one which is being read is `Any`, so that a recursive one ends.
    _references: dict[str, _Types] = attrs.field(init=False, factory=dict)

    def read_object(self, name: str, schema: Any) -> TypedKeys | None:
        """Return the class of an object schema; None if the schema names no keys.

        Args:
            name: What the class is called, if the name is free.
            schema: The schema.
        """
        properties: dict[str, Any] = {}
        required: set[str] = set()
        for part in self._parts(schema):
            found = part.get("properties")
            properties |= found if isinstance(found, dict) else {}
            needed = part.get("required")
            required |= {key for key in needed if isinstance(key, str)} if isinstance(needed, list) else set()
        properties.pop("", None)  # a TypedDict has no such key
        if not properties:
            return None
        created = self.identifiers.create(name)
        keys = [
            Key(key, self.annotation(f"{name} {key}", properties[key]), key in required) for key in sorted(properties)
        ]
        self.classes.append(TypedKeys(created, tuple(keys)))
        return self.classes[-1]

    def annotation(self, name: str, schema: Any) -> str:
        """Return the annotation of a schema.

        Args:
            name: What a class for an object in it is called.
            schema: The schema.
        """
        return _join(self._types(name, schema))

    def _types(self, name: str, schema: Any) -> _Types:
        if not isinstance(schema, Mapping):
            return ("Never",) if schema is False else _ANY
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference not in self._references:
                self._references[reference] = _ANY
                self._references[reference] = self._types(reference.rpartition("/")[2] or name, self._find(reference))
            return self._references[reference]
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if isinstance(values, list):
            return tuple(map(_type_of_value, values))
        choices = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(choices, list) and "type" not in schema:
            return tuple(kind for choice in choices for kind in self._types(name, choice))
        kinds = schema.get("type", "object" if "properties" in schema or "allOf" in schema else None)
        kinds = kinds if isinstance(kinds, list) else [kinds]
        return tuple(found for kind in kinds for found in self._types_of_kind(name, kind, schema))

    def _types_of_kind(self, name: str, kind: object, schema: Mapping[str, Any]) -> _Types:
        if kind == "string":
            form = schema.get("format")
            return ("str", *_FORMATS.get(form, ())) if isinstance(form, str) else ("str",)
        if kind == "array":
            items = schema.get("items")
            many = items if isinstance(items, list) and items else [items]
            return (f"list[{_join([found for item in many for found in self._types(f'{name} item', item)])}]",)
        if kind == "object":
            found = self.read_object(name, schema)
            values = self.annotation(f"{name} value", schema.get("additionalProperties") or True)
            return (f"Mapping[str, {values}]" if found is None else found.name,)
        return (_PLAIN.get(kind, "Any") if isinstance(kind, str) else "Any",)

    def _parts(self, schema: Any, level: int = 0) -> Iterator[Mapping[str, Any]]:
        """Yield a schema and all that `allOf` adds to it, references resolved."""
        for _ in range(_MAX_LEVELS):
            if not (isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str)):
                break
            schema = self._find(schema["$ref"])
        if isinstance(schema, Mapping) and level < _MAX_LEVELS:
            yield schema
            both = schema.get("allOf")
            for part in both if isinstance(both, list) else ():
                yield from self._parts(part, level + 1)

    def _find(self, reference: str) -> Any:
        """Return what a reference within the document stands for; True, any value, if it leads nowhere."""
        found = self.root if reference.startswith("#") else True
        for step in unquote(reference).removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key, True) if isinstance(found, Mapping) else True
        return found


def _type_of_value(value: object) -> str:
    if value is None or isinstance(value, str | int):
        return f"Literal[{literal(value)}]"
    return "float" if isinstance(value, float) else "Any"


def _join(types: Sequence[str]) -> str:
    found = [kind for kind in dict.fromkeys(types) if kind != "Never"]
    if "Any" in found:
        return "Any"
    literals = [kind[len("Literal[") : -1] for kind in found if kind.startswith("Literal[")]
    others = [kind for kind in found if not kind.startswith("Literal[")]
    return " | ".join([f"Literal[{', '.join(literals)}]"] * bool(literals) + others) or "Never"
