"""The events of a tracking plan, in the forms in which it can be had.

| form | where it is from |
|---|---|
| `{"rules": [{"key", "type", "version", "jsonSchema"}]}`, also under `data` | Segment's Public API; typewriter 8 |
| `{"rules": {"events": [{"name", "version", "rules"}]}}` | Segment's older API; RudderStack's; ruddertyper |
| `{"name", "eventType", "rules"}`, or a list of them | RudderStack's Data Catalog API, event by event |
| `{"title", "type": "object", "properties"}`, a list of them, or an object of schemas by event | plain JSON Schema |

A rule's schema describes a whole message, with `properties` and `traits` in it, or only the properties (typewriter 8,
plain schemas). Rules for other calls than `track` are left out. Of several versions of a rule, the latest counts.

Sources: typewriter's and rudder-typer's readers and their test plans, and the vendors' API pages (read 2026-11).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

_MESSAGE_KEYS = frozenset(
    (
        "anonymousId",
        "context",
        "event",
        "integrations",
        "messageId",
        "properties",
        "timestamp",
        "traits",
        "type",
        "userId",
    )
)
_SCHEMA_KEYS = frozenset(("$schema", "$ref", "type", "properties", "allOf", "title"))


class UnknownPlanError(ValueError):
    """Raised for a document that is not a tracking plan; the text says why."""


@attrs.frozen
class PlannedEvent:
    """An event that a plan allows.

    Attributes:
        name: Name of the event.
        schema: JSON Schema of its properties.
        root: The document that references in the schema refer to.
        version: Version of the rule.
    """

    name: str
    schema: Any
    root: Any
    version: float = 0


def read_plan(document: Any) -> list[PlannedEvent]:
    """Return the `track` events of a tracking plan, sorted by name.

    Args:
        document: The parsed JSON.

    Raises:
        UnknownPlanError: It is in none of the forms above, or incomplete.
    """
    latest: dict[str, PlannedEvent] = {}
    for event in _events(document):
        if event.name not in latest or event.version >= latest[event.name].version:
            latest[event.name] = event
    return [latest[name] for name in sorted(latest)]


def _events(document: Any) -> Iterator[PlannedEvent]:
    match document:
        case {"data": {"rules": list(rules), **more}} | {"rules": list(rules), **more}:
            if isinstance(page := more.get("pagination"), Mapping) and page.get("next"):
                msg = "it is one page of several: ask for all rules (pagination.count), or join the pages"
                raise UnknownPlanError(msg)
            yield from filter(None, map(_rule, rules))
        case {"rules": {"events": list(rules)}} | {"events": list(rules)}:
            yield from filter(None, map(_rule, rules))
        case {"events": Mapping() as events}:
            yield from _events(events)
        case {"data": list(rules)} | list(rules):
            yield from filter(None, map(_rule_or_schema, rules))
        case {"rules": _, "name": _} | {"jsonSchema": _}:
            yield from filter(None, [_rule(document)])
        case Mapping() if document.keys() & _SCHEMA_KEYS and isinstance(document.get("type", ""), str | list):
            yield _schema(document)
        case Mapping() if all(isinstance(schema, Mapping) for schema in document.values()):
            yield from (PlannedEvent(name, _properties(schema), schema) for name, schema in document.items())
        case _:
            msg = "it is neither a tracking plan of Segment or RudderStack nor a JSON Schema"
            raise UnknownPlanError(msg)


def _rule_or_schema(rule: Any) -> PlannedEvent | None:
    is_rule = isinstance(rule, Mapping) and rule.keys() & {"rules", "jsonSchema", "eventType", "key"}
    return _rule(rule) if is_rule else _schema(rule)


def _rule(rule: Any) -> PlannedEvent | None:
    """Return the event of a rule; None if it is about another call than `track`."""
    if not isinstance(rule, Mapping):
        msg = "one of its rules is not an object"
        raise UnknownPlanError(msg)
    if str(rule.get("type") or rule.get("eventType") or "track").lower() != "track":
        return None
    name, schema = rule.get("key") or rule.get("name"), rule.get("jsonSchema", rule.get("rules"))
    if not (isinstance(name, str) and name):
        msg = "one of its rules has no name"
        raise UnknownPlanError(msg)
    if schema is None:
        msg = f"its event {name!r} has no schema: RudderStack returns `rules` for one event at a time"
        raise UnknownPlanError(msg)
    version = rule.get("version")
    return PlannedEvent(name, _properties(schema), schema, version if isinstance(version, int | float) else 0)


def _schema(schema: Any) -> PlannedEvent:
    name = schema.get("title") if isinstance(schema, Mapping) else None
    if not (isinstance(name, str) and name):
        msg = "a JSON Schema of an event needs a `title`, the name of the event"
        raise UnknownPlanError(msg)
    return PlannedEvent(name, _properties(schema), schema)


def _properties(schema: Any) -> Any:
    """Return the part of a rule's schema that describes the event's properties."""
    parts = schema.get("properties") if isinstance(schema, Mapping) else None
    if isinstance(parts, Mapping) and "properties" in parts and parts.keys() <= _MESSAGE_KEYS:
        return parts["properties"]
    is_message = isinstance(parts, Mapping) and parts and parts.keys() <= {"context", "traits"}
    return True if is_message else schema
