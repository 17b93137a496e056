"""What is recorded while the demo runs."""

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
class Recorder:
    """Records what the client passes to its callbacks, and what the shop answers.

    Attributes:
        verbs: The verb of each event, by event id.
        deliveries: Each outcome that was reported, with the event's id, by destination name.
        failures: What went wrong in the demo itself, such as an error answer of the shop.
        answers: Answers of the shop that the report quotes, by path.
        ruleset_changes: Each new ruleset, once it is in use.
    """

    verbs: dict[str, str] = attrs.field(factory=dict)
    deliveries: dict[str, list[tuple[str, Delivery]]] = attrs.field(factory=dict)
    failures: list[str] = attrs.field(factory=list)
    answers: dict[str, bytes] = attrs.field(factory=dict)
    ruleset_changes: asyncio.Queue[RulesetChange] = attrs.field(factory=asyncio.Queue)

    def record_event(self, payload: Payload, pass_on: Next) -> Awaitable[None]:
        """Record the verb of an event: a middleware."""
        event = payload.event
        is_revenue = isinstance(event, Track) and isinstance(event.name, Revenue)
        self.verbs[str(event.message_id)] = "track Revenue" if is_revenue else _VERBS[type(event)]
        return pass_on(payload)

    def record_delivery(self, event_id: str, delivery: Delivery) -> None:
        """Record an event's outcome at one destination: `on_delivery`."""
        self.deliveries.setdefault(delivery.destination, []).append((event_id, delivery))
