"""The properties of planned events, and the overloads of `track` that take them."""

from collections.abc import Iterable, Sequence

import attrs

from asyncsdk.cli.codegen.annotations import Key, SchemaReader, TypedKeys
from asyncsdk.cli.codegen.identifiers import Identifiers
from asyncsdk.cli.codegen.module import function, implementation, literal_of, statement, typed_keys
from asyncsdk.cli.codegen.tracking_plan import PlannedEvent

_ANY_PROPERTIES = "properties: Mapping[str, Any] | EventObject | None = None"


@attrs.frozen
class TypedEvents:
    """The events of a plan as types.

    Attributes:
        blocks: The blocks of code that define them.
        classes: Names of the `TypedDict` classes.
        typed: Alias of each event's name, with the class of its properties.
        untyped: Alias of the names of events without known properties; None if there are none.
    """

    blocks: Sequence[str]
    classes: Sequence[str]
    typed: Sequence[tuple[str, TypedKeys]]
    untyped: str | None


def typed_events(events: Iterable[PlannedEvent], identifiers: Identifiers) -> TypedEvents:
    """Return the types of planned events."""
    blocks, classes, typed, untyped = [], [], [], []
    for event in events:
        reader = SchemaReader(identifiers, event.root)
        properties = reader.read_object(f"{event.name} properties", event.schema)
        blocks += [_keys_class(found) for found in reader.classes]
        classes += [found.name for found in reader.classes]
        if properties is None:
            untyped.append(event.name)
        else:
            alias = identifiers.create_private(event.name, "event")
            blocks.append(statement(literal_of([event.name], f"{alias} = ")))
            typed.append((alias, properties))
    others = identifiers.create_private("other events") if untyped else None
    if others:
        blocks.append(statement(literal_of(untyped, f"{others} = ")))
    return TypedEvents(blocks, classes, typed, others)


def track_methods(events: TypedEvents, *, is_client: bool) -> list[str]:
    """Return the overloads of `track`: one for each event, one for those without properties, one for objects.

    Args:
        events: The events.
        is_client: Whether it is the client's `track`, which takes a user and is awaited; else that of flags.
    """
    user = ["user: UserLike"] if is_client else []
    forms = [(names, f"properties: {_properties(keys)}") for names, keys in events.typed]
    forms += [(events.untyped, _ANY_PROPERTIES)] if events.untyped else []
    forms.append(("Revenue | EventObject", _ANY_PROPERTIES))
    found = []
    for names, properties in forms:
        parameters = [*user, f"event: {names}", properties, "**options: Unpack[EventOptions]"]
        found.append(function("track", parameters, "Receipt", is_async=is_client, overload=len(forms) > 1))
    return [*found, implementation("track", is_async=is_client)] if len(forms) > 1 else found


def _properties(keys: TypedKeys) -> str:
    return f"{keys.name} | EventObject" + (" | None = None" if keys.is_optional else "")


def _keys_class(found: TypedKeys) -> str:
    return typed_keys(found.name, [(key.name, _annotation(key)) for key in found.keys])


def _annotation(key: Key) -> str:
    return key.annotation if key.is_required else f"NotRequired[{key.annotation}]"
