"""What the demo writes down while it runs."""

import asyncio
from collections.abc import Awaitable

import attrs

from asyncsdk import (
    Alias,
    Delivery,
    Event,
    Group,
    IdentifyEvent,
    LogEvent,
    Next,
    Page,
    Payload,
    RawEvent,
    Revenue,
    RulesetChange,
    Screen,
    Track,
)

_VERBS: dict[type[Event], str] = {
    IdentifyEvent: "identify",
    Track: "track",
    Page: "page",
    Screen: "screen",
    Group: "group",
    Alias: "alias",
    LogEvent: "log_event",
    RawEvent: "log_event {...}",
}


@attrs.define
class Notebook:
    """Notes of the client's own callbacks, and of the shop's answers.

    Attributes:
        verbs: The verb of each event id.
        fates: Per destination name, each fate as it was announced, with the event's id.
        unanswered: What did not happen as it should have, such as an answer of the shop.
        answers: By path, the answers of the shop that are worth keeping.
        rules: What other rules brought, once they are in use.
    """

    verbs: dict[str, str] = attrs.field(factory=dict)
    deliveries: dict[str, list[tuple[str, Delivery]]] = attrs.field(factory=dict)
    unanswered: list[str] = attrs.field(factory=list)
    answers: dict[str, bytes] = attrs.field(factory=dict)
    rules: asyncio.Queue[RulesetChange] = attrs.field(factory=asyncio.Queue)

    def verb(self, payload: Payload, pass_on: Next) -> Awaitable[None]:
        """Note an event on its way in: a middleware."""
        event = payload.event
        is_revenue = isinstance(event, Track) and isinstance(event.name, Revenue)
        self.verbs[str(event.message_id)] = "track Revenue" if is_revenue else _VERBS[type(event)]
        return pass_on(payload)

    def record_delivery(self, event_id: str, delivery: Delivery) -> None:
        """Note an event's end at one destination: `on_delivery`."""
        self.deliveries.setdefault(delivery.destination, []).append((event_id, delivery))
