"""The audit: what was accepted, what has arrived, and what that leaves."""

from collections import Counter
from hashlib import sha256
from typing import Any

import attrs
import orjson


@attrs.define(repr=False)
class Audit:
    """What a client's engine accepted, and what a vendor received. Times are seconds since the epoch.

    Attributes:
        tracked: Number of events that the client was given.
        accepted: When each event was accepted, by id, in that order.
        delivered: When the first copy of each event arrived, by id.
        copies: Number of further copies.
        differing: Ids of events of which two copies differ.
        dead: Ids of events that became dead letters.
        given_up: Ids of accepted events that the server lost, as its settings allow: those of a file that was cut, or
            of a stream that was deleted.
        refused: Events that the client dropped, by reason: they were not accepted.
        done: How often each thing was done to the fleet.
        faults: What must not happen, and did.
    """

    tracked: int = 0
    accepted: dict[str, float] = attrs.field(factory=dict)
    delivered: dict[str, float] = attrs.field(factory=dict)
    copies: int = 0
    differing: set[str] = attrs.field(factory=set)
    dead: set[str] = attrs.field(factory=set)
    given_up: set[str] = attrs.field(factory=set)
    refused: Counter[str] = attrs.field(factory=Counter)
    done: Counter[str] = attrs.field(factory=Counter)
    faults: list[str] = attrs.field(factory=list)
    _digests: dict[str, bytes] = attrs.field(factory=dict)

    def record_delivery(self, event_id: str, body: dict[str, Any], at: float) -> None:
        """Record a copy of an event; `sentAt` is that of the request."""
        digest = sha256(orjson.dumps({k: v for k, v in body.items() if k != "sentAt"})).digest()[:8]
        if self._digests.setdefault(event_id, digest) != digest:
            self.differing.add(event_id)
        if event_id in self.delivered:
            self.copies += 1
        else:
            self.delivered[event_id] = at

    @property
    def missing(self) -> set[str]:
        """Ids of events that were accepted, and neither arrived nor became dead letters."""
        return self.accepted.keys() - self.delivered.keys() - self.dead

    @property
    def longest_delay(self) -> float:
        """Longest time from acceptance to delivery, in seconds."""
        delays = (at - self.accepted[event_id] for event_id, at in self.delivered.items() if event_id in self.accepted)
        return max(delays, default=0.0)

    @property
    def is_ok(self) -> bool:
        """Whether no event is missing but what the server may lose, and all copies are identical."""
        return bool(self.accepted) and not (self.missing - self.given_up or self.differing or self.faults)

    def __repr__(self) -> str:
        return str(self)

    def progress(self) -> str:
        """Return a line about a run that is under way."""
        done = ", ".join(f"{what} {number}" for what, number in sorted(self.done.items()))
        return f"{done}; accepted {len(self.accepted):,}, delivered {len(self.delivered):,}, copies {self.copies:,}"

    def __str__(self) -> str:
        lines = [
            ", ".join(f"{what} {number:,}" for what, number in sorted(self.done.items())),
            f"tracked {self.tracked:,}, accepted {len(self.accepted):,}, delivered {len(self.delivered):,}",
            f"missing {len(self.missing):,}, of which the server may lose {len(self.missing & self.given_up):,}",
            f"dead letters {len(self.dead):,}, refused {sum(self.refused.values()):,} {dict(self.refused)}",
            f"copies {self.copies:,}, of which differ {len(self.differing):,}; longest delay {self.longest_delay:.1f} s",
            *self.faults,
        ]
        return "\n".join([*lines, "ok" if self.is_ok else "FAILED"])
