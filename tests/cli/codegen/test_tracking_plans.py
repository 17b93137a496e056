"""Tracking plans: the forms in which vendors export them, and JSON Schemas as types."""

from typing import Any

import pytest

from asyncsdk.cli.codegen.annotations import SchemaReader
from asyncsdk.cli.codegen.identifiers import Identifiers
from asyncsdk.cli.codegen.tracking_plan import UnknownPlanError, read_plan

SKU = {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}
MESSAGE = {"type": "object", "properties": {"context": {}, "traits": {"type": "object"}, "properties": SKU}}

FORMS: dict[str, Any] = {
    "Segment's Public API": {
        "data": {"rules": [{"key": "Bought", "type": "TRACK", "version": 1, "jsonSchema": MESSAGE}], "pagination": {}}
    },
    "typewriter 8": {"name": "Shop", "rules": [{"key": "Bought", "type": "TRACK", "version": 1, "jsonSchema": SKU}]},
    "Segment's older API, typewriter 7": {
        "name": "workspaces/shop/tracking-plans/rs_1",
        "rules": {"events": [{"name": "Bought", "version": 1, "rules": MESSAGE}], "identify_traits": []},
    },
    "RudderStack's API, ruddertyper": {
        "name": "shop",
        "rules": {"events": [{"name": "Bought", "eventType": "track", "rules": MESSAGE}]},
        "version": 3,
    },
    "an event of RudderStack's Data Catalog API": {"name": "Bought", "eventType": "track", "rules": MESSAGE},
    "several of them": [{"name": "Bought", "eventType": "track", "rules": MESSAGE}],
    "a page of them": {"data": [{"name": "Bought", "eventType": "track", "rules": MESSAGE}], "total": 1},
    "a JSON Schema": {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Bought", **SKU},
    "several JSON Schemas": [{"title": "Bought", **SKU}],
    "JSON Schemas by event": {"Bought": SKU},
    "JSON Schemas by event under a key": {"events": {"Bought": SKU}},
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_plan_is_read(form: str) -> None:
    [event] = read_plan(FORMS[form])

    assert (event.name, event.schema | {"title": ""}) == (
        "Bought",
        ({"$schema": FORMS[form]["$schema"]} if form == "a JSON Schema" else {}) | SKU | {"title": ""},
    )


def test_only_track_events_count() -> None:
    rules = [{"key": None, "type": "IDENTIFY", "jsonSchema": {}}, {"name": "", "eventType": "page", "rules": {}}]

    assert read_plan({"rules": rules}) == []


def test_of_several_versions_the_latest_counts() -> None:
    versions = [{"key": "A", "version": number, "jsonSchema": {"n": number}} for number in (2, 10, 9)]

    assert [event.schema for event in read_plan({"rules": versions})] == [{"n": 10}]


def test_an_event_without_properties_has_any() -> None:
    message = {"type": "object", "properties": {"context": {}, "traits": {}}}

    assert [event.schema for event in read_plan({"rules": [{"key": "A", "jsonSchema": message}]})] == [True]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (5, "neither a tracking plan"),
        ({"a": 1}, "neither a tracking plan"),
        ({"data": {"rules": [], "pagination": {"next": "x"}}}, "one page of several"),
        ({"data": [{"name": "A", "eventType": "track"}]}, "no schema: RudderStack returns `rules` for one event"),
        ({"rules": [5]}, "one of its rules is not an object"),
        ({"rules": [{"jsonSchema": {}}]}, "one of its rules has no name"),
        ({"type": "object", "properties": {}}, "needs a `title`"),
        ([5], "needs a `title`"),
    ],
)
def test_anything_else_is_said_to_be_no_plan(document: Any, reason: str) -> None:
    with pytest.raises(UnknownPlanError, match=reason):
        read_plan(document)


def _annotation(schema: Any, root: Any = None) -> str:
    return SchemaReader(Identifiers(set()), root).annotation("Thing", schema)


@pytest.mark.parametrize(
    ("schema", "annotation"),
    [
        ({"type": "string"}, "str"),
        ({"type": "string", "format": "date-time"}, "str | datetime"),
        ({"type": "string", "format": "date"}, "str | date"),
        ({"type": "string", "format": "uuid"}, "str | UUID"),
        ({"type": "string", "format": ["odd"]}, "str"),
        ({"type": "string", "pattern": "a|b"}, "str"),
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "float"),
        ({"type": "boolean"}, "bool"),
        ({"type": "null"}, "None"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"type": ["string", "string"]}, "str"),
        ({"type": "array"}, "list[Any]"),
        ({"type": "array", "items": {"type": ["string", "number"]}}, "list[str | float]"),
        ({"type": "array", "items": [{"type": "string"}, {"type": "null"}]}, "list[str | None]"),
        ({"type": "array", "items": []}, "list[Any]"),
        ({"type": "object"}, "Mapping[str, Any]"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "Mapping[str, float]"),
        ({"type": "object", "additionalProperties": False}, "Mapping[str, Any]"),
        ({"properties": {"a": {}}}, "Thing"),
        ({"enum": ["a", 'b"', 1, None, True]}, 'Literal["a", \'b"\', 1, None, True]'),
        ({"enum": ["a", 1.5, []]}, "Any"),
        ({"enum": ["a", 1.5]}, 'Literal["a"] | float'),
        ({"enum": []}, "Never"),
        ({"const": "a"}, 'Literal["a"]'),
        ({"anyOf": [{"const": "a"}, {"const": "b"}, {"type": "null"}]}, 'Literal["a", "b"] | None'),
        ({"oneOf": [{"type": "string"}, {}]}, "Any"),
        ({"allOf": [{"type": "string"}]}, "Mapping[str, Any]"),
        ({"type": "odd"}, "Any"),
        ({"type": 5}, "Any"),
        ({}, "Any"),
        (True, "Any"),
        (False, "Never"),
        (5, "Any"),
        ({"$ref": "#/nowhere"}, "Any"),
        ({"$ref": "other.json#/a"}, "Any"),
    ],
)
def test_a_schema_is_the_type_of_what_it_accepts(schema: Any, annotation: str) -> None:
    assert _annotation(schema) == annotation


def _classes(schema: dict[str, Any]) -> dict[str, dict[str, str]]:
    reader = SchemaReader(Identifiers(set()), schema)
    reader.read_object("Thing", schema)
    return {found.name: {key.name: key.annotation for key in found.keys} for found in reader.classes}


def test_a_reference_is_one_class_wherever_it_is_used() -> None:
    address = {"type": "object", "properties": {"street": {"type": "string"}}}
    both = {"home": {"$ref": "#/$defs/Post~1Address"}, "work": {"$ref": "#/$defs/Post~1Address"}}

    assert _classes({"properties": both, "$defs": {"Post/Address": address}}) == {
        "Post1Address": {"street": "str"},
        "Thing": {"home": "Post1Address", "work": "Post1Address"},
    }


def test_a_recursive_schema_ends() -> None:
    node = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#/definitions/right"}}}

    assert _classes({**node, "definitions": {"right": node}})["Thing"] == {"left": "Name", "right": "Right"}


@pytest.mark.parametrize("reference", ["#", "#/definitions/a"])
def test_references_that_lead_in_a_circle_end(reference: str) -> None:
    circle = {"$ref": reference, "definitions": {"a": {"$ref": "#/definitions/a"}}}

    assert _classes(circle) == {}


def test_a_schema_has_the_keys_of_all_its_parts() -> None:
    base = {"properties": {"a": {"type": "string"}}, "required": ["a", 5]}
    reader = SchemaReader(Identifiers(set()), {"$defs": {"base": base}})

    found = reader.read_object("Thing", {"allOf": [{"$ref": "#/$defs/base"}, {"properties": {"b": {}, "": {}}}, 5]})

    assert found is not None
    assert [(key.name, key.is_required) for key in found.keys] == [("a", True), ("b", False)]
    assert not found.is_optional


def test_parts_that_contain_themselves_end() -> None:
    schema: dict[str, Any] = {"properties": {"a": {}}}
    schema["allOf"] = [{"$ref": "#"}]

    assert _classes(schema) == {"Thing": {"a": "Any"}}
