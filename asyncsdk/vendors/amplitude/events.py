"""The conversion of events to Amplitude's form.

Sources: as in `__init__.py`. Decisions where they leave a choice:

* Ids: `device_id` is the user's, otherwise their `anonymous_id`. An event whose `user_id` Amplitude would refuse is
  rejected here. A device id that it would refuse is left out if there is a `user_id`, since Amplitude would refuse the
  whole request for it. RudderStack's `context` is not read.
* Revenue: if `properties` has a number as `revenue`, it is copied with `price`, `quantity`, `currency`, `product_id`
  and `revenue_type` to the top level, where Amplitude counts them. A `price` alone is not copied, as in RudderStack's
  own Amplitude destination: a product that was only viewed earns nothing. Unlike there, the properties keep the fields,
  as in Segment's destination, so that existing charts on either continue to work.
* `page` and `screen`: `category` and `name` become event properties too, unless `properties` has its own.
* `group`: with traits it sets the group's properties (`$groupidentify`); without, it adds the user to the group
  (`$identify` with `groups`). Amplitude has one call for each.
* `integrations={"Amplitude": {...}}`: the object's fields replace those of the event.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.events import Group, IdentifyEvent, LogEvent, Page, RawEvent, Screen, Track
from asyncsdk._model.user_view import prepare
from asyncsdk._model.users import User
from asyncsdk._model.wire_values import text_id

Message = dict[str, Any]


def add_user(message: Message, user: User) -> None:
    """Add the user's ids and fields."""
    if not user._view.is_ready:
        prepare(user)  # an event's user has been, one of a test may not
    if user._user_id is not None:
        message["user_id"] = user._user_id
    if user._device_id is not None:
        message["device_id"] = user._device_id
    elif user._anonymous_id is not None:
        message["device_id"] = user._anonymous_id
    if user._ip is not None:
        message["ip"] = user._ip
    if user._user_agent is not None:
        message["user_agent"] = user._user_agent
    if user._locale is not None:
        message["language"] = user._locale


def _identify(message: Message, event: IdentifyEvent, _: str) -> None:
    message["event_type"] = "$identify"
    message["user_properties"] = _operations(event.traits)


def _operations(traits: Mapping[str, Any] | Identify | None) -> Mapping[str, Any]:
    if isinstance(traits, Identify):
        return traits.user_properties
    return {"$set": traits} if traits else {}


def _track(message: Message, event: Track, _: str) -> None:
    name, properties = event.name, event.properties
    if isinstance(name, Revenue):
        message["event_type"] = name.event_type
        message["event_properties"] = {**(properties or {}), **name.event_properties}
        return
    message["event_type"] = name
    if properties is not None:
        message["event_properties"] = properties
        if "revenue" in properties:
            _lift_revenue(message, properties)


def _lift_revenue(message: Message, properties: Mapping[str, Any]) -> None:
    """Copy revenue fields to the top level, where Amplitude counts them, unless their type is one that it refuses."""
    # `bool` is a subclass of `int`, so it is excluded here and below.
    if not isinstance(properties["revenue"], _NUMBERS) or isinstance(properties["revenue"], bool):
        return
    for source, field, kinds in _REVENUE_FIELDS:
        if source in properties:
            value = properties[source]
            if isinstance(value, kinds) and not isinstance(value, bool):
                message[field] = value


_NUMBERS = (int, float, Decimal)
# Property, Amplitude's field, accepted types. Properties may have RudderStack's or Amplitude's names.
_REVENUE_FIELDS: tuple[tuple[str, str, tuple[type, ...]], ...] = (
    ("revenue", "revenue", _NUMBERS),
    ("price", "price", _NUMBERS),
    ("quantity", "quantity", (int,)),
    ("currency", "currency", (str,)),
    ("product_id", "productId", (str,)),
    ("productId", "productId", (str,)),
    ("revenue_type", "revenueType", (str,)),
    ("revenueType", "revenueType", (str,)),
)


def _page(message: Message, event: Page | Screen, _: str) -> None:
    words = ("Viewed", event.category, event.name, type(event).__name__)
    message["event_type"] = " ".join(word for word in words if word)
    known = {"category": event.category, "name": event.name}
    properties = {name: value for name, value in known.items() if value is not None} | dict(event.properties or {})
    if properties:
        message["event_properties"] = properties


def _group(message: Message, event: Group, group_type: str) -> None:
    kind = event.group_type or group_type
    ids = event.group_id
    joined: object = (
        [text_id(one, "group_id") for one in ids] if isinstance(ids, list | tuple) else text_id(ids, "group_id")
    )
    group = {kind: joined}
    message["groups"] = group
    traits = event.traits
    # 1. Without traits the user joins the group. 2. With traits the group's properties are set.
    if not traits or (isinstance(traits, Identify) and traits.is_empty):
        message["event_type"] = "$identify"
        message["user_properties"] = {"$set": group}
        return
    message["event_type"] = "$groupidentify"
    message["group_properties"] = traits.group_properties if isinstance(traits, Identify) else {"$set": traits}


def _log_event(message: Message, event: LogEvent, _: str) -> None:
    message["event_type"] = event.name
    if event.metadata is not None or event.value is not None:
        value = {} if event.value is None else {"value": event.value}
        message["event_properties"] = {**value, **(event.metadata or {})}


def _raw(message: Message, event: RawEvent, _: str) -> None:
    """Override the message with the given fields; None counts as missing."""
    message.update((name, value) for name, value in event.fields.items() if value is not None)


# `Alias` is missing, since Amplitude has no such call.
FILL: Mapping[type, Callable[[Message, Any, str], None]] = {
    IdentifyEvent: _identify,
    Track: _track,
    Page: _page,
    Screen: _page,
    Group: _group,
    LogEvent: _log_event,
    RawEvent: _raw,
}
