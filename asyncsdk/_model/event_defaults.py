"""Defaults: properties and context for events that do not have their own.

They come from several layers, of which later ones win, key by key, and what an event has itself wins over all:

1. the fields of the user, which only RudderStack's `context` has;
2. the client: `Client(properties=..., context=...)`, then `add_event_defaults`, in order;
3. the request: the `event_properties` and `event_context` of an integration, or `bind(user, properties=..., ...)`;
4. the event.

Only the keys at the top are merged; an object under a key is replaced as a whole. Properties are those of `track`,
`page` and `screen`, the metadata of `log_event`, and the `event_properties` of an event in Amplitude's form. All events
have a context.
"""

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from asyncsdk._model.events import Event, LogEvent, Page, Properties, RawEvent, Screen, Track
from asyncsdk._model.values import Value

Defaults = Properties | Callable[[], Properties | None] | None
"""Default values by name, or a function that is called for each event and returns them; None for none."""

_PROPERTIES: Mapping[type, str] = {Page: "properties", Screen: "properties", LogEvent: "metadata"}
# Amplitude's events of these types have no properties of their own.
_WITHOUT_PROPERTIES = ("$identify", "$groupidentify")


@attrs.frozen(eq=False, repr=False)
class EventDefaults(Value):
    """One layer of defaults.

    Attributes:
        properties: Default properties.
        context: Default context.
    """

    properties: Defaults = None
    context: Defaults = None


def fill(event: Event, layers: tuple[EventDefaults, ...]) -> Event:
    """Return a validated event with the defaults of all layers; later layers win.

    An event that cannot be read is returned as it is: encoding it says why.
    """
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    for layer in layers:
        properties.update(_values(layer.properties))
        context.update(_values(layer.context))
    try:
        return _with_defaults(event, properties, context)
    except Exception:  # noqa: BLE001 -- a mapping of the caller's may raise anything
        return event


def _values(source: Defaults) -> Properties:
    return (source() if callable(source) else source) or {}


def _with_defaults(event: Event, properties: dict[str, Any], context: dict[str, Any]) -> Event:
    merged_context = {**context, **(event.context or {})} if context else event.context
    # Track is by far the most frequent, and `attrs.evolve` takes four times as long as the constructor.
    if type(event) is Track:
        return Track(
            event.user,
            event.name,
            {**properties, **(event.properties or {})} if properties else event.properties,
            context=merged_context,
            timestamp=event.timestamp,
            integrations=event.integrations,
            message_id=event.message_id,
            extra=event.extra,
        )
    changes: dict[str, Any] = {"context": merged_context} if context else {}
    if properties and isinstance(event, RawEvent) and event.fields["event_type"] not in _WITHOUT_PROPERTIES:
        own = event.fields.get("event_properties") or {}
        changes["fields"] = {**event.fields, "event_properties": {**properties, **own}}
    elif properties and type(event) in _PROPERTIES:
        name = _PROPERTIES[type(event)]
        changes[name] = {**properties, **(getattr(event, name) or {})}
    return attrs.evolve(event, **changes) if changes else event
