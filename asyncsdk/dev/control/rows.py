"""An event as a row of the live view: what the list, the search and the stream need of it, without its body. Pure."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import attrs

from asyncsdk.dev.received_event import Json, ReceivedEvent

_MAX_NAMES = 6
"""Traits named in the row of an identify call."""


@attrs.define(slots=False, eq=False)
class Row:
    """One arrival of an event.

    Attributes:
        event: The event.
        receipt: What the client that sent it said about it; empty if it said nothing.
    """

    event: ReceivedEvent
    receipt: Mapping[str, Json]

    def __getattr__(self, name: str) -> Json:
        # The rest that a search asks for: vendor, user, id, status, reason, attempt, request, run, client.
        return getattr(self.event, name)

    @property
    def at(self) -> int:
        """Time of arrival, in milliseconds since 1970."""
        return int(self.event.at * 1000)

    @property
    def exposure(self) -> bool:
        """Whether a lookup reported it."""
        return self.event.kind.endswith("exposure")

    @property
    def type(self) -> str:
        """The verb if the client said so, else the vendor's kind."""
        return "exposure" if self.exposure else str(self.receipt.get("verb") or self.event.kind)

    @property
    def size(self) -> int:
        """Size of the body as JSON, in bytes."""
        return len(self.event.json)

    @property
    def text(self) -> str:
        """The body as JSON."""
        return self.event.json.decode()

    @cached_property
    def name(self) -> str:
        """Its name; for an identify call, the traits that it sets."""
        event = self.event
        if event.kind in ("identify", "group identify", "group") and isinstance(event.body, dict):
            return ", ".join(_traits(event.body)[:_MAX_NAMES]) or event.name or event.kind
        return event.name or event.kind

    def json(self) -> dict[str, Json]:
        """Return the row as the API has it."""
        event = self.event
        return {
            "seq": event.seq,
            "at": self.at,
            "vendor": event.vendor,
            "type": self.type,
            "kind": event.kind,
            "name": self.name,
            "user": event.user,
            "verdict": event.status,
            "reason": event.reason,
            "blamed": event.is_blamed,
            "attempt": event.attempt,
            "size": self.size,
            "id": event.id,
            "request": event.request,
            "client": event.client,
            "run": event.run,
            "exposure": self.exposure,
            "sees": sees(event) if self.exposure else None,
            "failures": failures(self.receipt),
            "local": not event.request,
        }


def failures(receipt: Mapping[str, Json]) -> list[list[str]]:
    """Return destination, status and reason for each destination that an event never reached, from its receipt."""
    outcomes: Mapping[str, Json] = receipt.get("vendors", {})
    return [
        [name.lower(), outcome["status"], outcome["reason"]]
        for name, outcome in outcomes.items()
        if not outcome["attempts"] and outcome["status"] not in ("pending", "delivered")
    ]


def sees(event: ReceivedEvent) -> dict[str, Json]:
    """Return what an exposure says that its user saw."""
    metadata = event.body.get("metadata") if isinstance(event.body, dict) else None
    fields: Mapping[str, Json] = metadata if isinstance(metadata, dict) else {}
    rule = fields.get("ruleID", "")
    if "gate" in fields:
        is_open = str(fields.get("gateValue")).lower() == "true"
        return {"what": "gate", "value": "open" if is_open else "closed", "rule": rule}
    if event.kind == "layer_exposure":
        return {"what": "layer", "value": f".{fields.get('parameterName', '')}", "rule": rule}
    return {"what": "config", "value": rule, "rule": rule}


def _traits(body: Mapping[str, Json]) -> Sequence[str]:
    """Return the names of the traits of an identify or group call of RudderStack or Amplitude."""
    context = body.get("context")
    places = (
        body.get("traits"),
        context.get("traits") if isinstance(context, dict) else None,
        *(
            operation
            for field in ("user_properties", "group_properties")
            for operation in (body[field].values() if isinstance(body.get(field), dict) else ())
        ),
    )
    return [str(name) for place in places if isinstance(place, dict) for name in place]
